/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_NESTED_GUEST_H
#define SELFTEST_KVMI_NESTED_GUEST_H

/* A guest that runs a guest of its own (L2), and what both see. */

#include "kvmi_test_util.h"
#include "svm_util.h"
#include "vmx.h"

#define MAX_EXITS	8
#define STACK_SIZE	4096
#define CPUID_LEAF	0

/* What L2 saw of its own instructions, and the guest of L2's exits. */
static struct seen {
	__u64 breakpoints, msr, cr3, gdt_base, gdt_limit, ldt, vendor;
	__u64 nr_exits, exits[MAX_EXITS];
	__u64 spins, spinning;
} seen;

static __u8 l2_stack[STACK_SIZE] __aligned(16);

/* --- L2 ---------------------------------------------------------------------------------- */

/* The guest may have looked at it: its VMX does not keep L2's registers then. */
#define MAY_EXIT(insn, rax, rdi)						\
({										\
	__u64 a = rax, b = 0, c = 0, d = 0, S = 0, D = rdi;			\
										\
	asm volatile("lea -128(%%rsp), %%rsp; push %%rbp\n\t"			\
		     insn "\n\t"						\
		     "pop %%rbp; lea 128(%%rsp), %%rsp"				\
		     : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(S), "+D"(D)	\
		     : : "memory", "r8", "r9", "r10", "r11", "r12", "r13",	\
		     "r14", "r15");						\
	b;									\
})

static struct desc_ptr l2_gdt;
static __u16 l2_ldt;

/* What the guest may step over is not looked at, but for memory. */
static void l2_code(void)
{
	__u64 vendor;

	for (;;) {
		/* On Bochs it would not be interrupted, see kvmi_open_to_interrupts(). */
		if (READ_ONCE(seen.spinning) && !host_cpu_is_amd)
			asm volatile("sti");
		while (READ_ONCE(seen.spinning))
			WRITE_ONCE(seen.spins, seen.spins + 1);
		vendor = MAY_EXIT("cpuid", CPUID_LEAF, 0);
		seen.vendor = host_cpu_is_amd ? vendor : 0;
		wrmsr(MSR_KERNEL_GS_BASE, 0x1000 * READ_ONCE(seen.msr) + 0x1000);
		seen.msr = rdmsr(MSR_KERNEL_GS_BASE) >> 12;
		MAY_EXIT("sgdt (%%rax)", (__u64)&l2_gdt, 0);
		MAY_EXIT("lgdt (%%rax)", (__u64)&l2_gdt, 0);
		seen.gdt_base = l2_gdt.address;
		seen.gdt_limit = l2_gdt.size;
		WRITE_ONCE(l2_ldt, 0xffff);
		MAY_EXIT("sldt (%%rax)", (__u64)&l2_ldt, 0);
		seen.ldt = READ_ONCE(l2_ldt);
		MAY_EXIT("mov %%rax, %%cr3", get_cr3() ^ X86_CR3_PWT, 0);
		seen.cr3 = get_cr3();
		MAY_EXIT("int3", 0, 0);
		if (host_cpu_is_amd)
			MAY_EXIT("vmmcall", KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT);
		else
			MAY_EXIT("vmcall", KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT);
	}
}

static void guest_bp_handler(struct ex_regs *regs)
{
	seen.breakpoints++;
}

/* --- the guest --------------------------------------------------------------------------- */

static void l1_saw(__u64 exit)
{
	if (seen.nr_exits < MAX_EXITS)
		seen.exits[seen.nr_exits] = exit;
	seen.nr_exits++;
}

/* If @all, intercept what the tool wants, too. */
static void svm_init(struct svm_test_data *svm, bool all)
{
	struct vmcb_control_area *ctrl = &svm->vmcb->control;

	generic_svm_setup(svm, l2_code, l2_stack + STACK_SIZE - 8);
	if (!all)
		return;
	ctrl->intercept |= BIT_ULL(INTERCEPT_CPUID) | BIT_ULL(INTERCEPT_STORE_GDTR) |
			   BIT_ULL(INTERCEPT_LOAD_GDTR);
	/* CR3 writes, #BP. */
	ctrl->intercept_cr |= BIT(16 + 3);
	ctrl->intercept_exceptions |= BIT(BP_VECTOR);
}

/* Step over what L2 wanted, which has no effect then. */
static void svm_run(struct svm_test_data *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	for (;;) {
		run_guest(vmcb, svm->vmcb_gpa);
		l1_saw(vmcb->control.exit_code);
		switch (vmcb->control.exit_code) {
		case SVM_EXIT_CPUID:
			vmcb->save.rip += 2;
			break;
		case SVM_EXIT_GDTR_READ:
		case SVM_EXIT_GDTR_WRITE:
		case SVM_EXIT_WRITE_CR3:
			vmcb->save.rip += 3;
			break;
		case SVM_EXIT_EXCP_BASE + BP_VECTOR:
			vmcb->save.rip += 1;
			break;
		case SVM_EXIT_VMMCALL:
			vmcb->save.rip += 3;
			return;
		default:
			GUEST_FAIL("exit %#x of L2", vmcb->control.exit_code);
		}
	}
}

static void vmx_init(struct vmx_pages *vmx, bool all)
{
	__u64 control;

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_code, l2_stack + STACK_SIZE - 8);
	/* Its bits are zero: L2 has every register for itself. */
	control = vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS;
	if (all) {
		control |= CPU_BASED_CR3_LOAD_EXITING;
		vmwrite(EXCEPTION_BITMAP, BIT(BP_VECTOR));
		if (rdmsr(MSR_IA32_VMX_PROCBASED_CTLS2) >> 32 & SECONDARY_EXEC_DESC) {
			control |= CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
			vmwrite(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_DESC);
		}
	}
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, control);
}

static void vmx_run(bool first)
{
	__u64 reason;

	do {
		GUEST_ASSERT(!(first ? vmlaunch() : vmresume()));
		first = false;
		/* Exits clear it; see kvmi_open_to_interrupts(). */
		asm volatile("sti");
		reason = vmreadz(VM_EXIT_REASON);
		l1_saw(reason);
		GUEST_ASSERT(reason == EXIT_REASON_CPUID || reason == EXIT_REASON_VMCALL ||
			     reason == EXIT_REASON_CR_ACCESS ||
			     reason == EXIT_REASON_EXCEPTION_NMI ||
			     reason == EXIT_REASON_GDTR_IDTR || reason == EXIT_REASON_LDTR_TR);
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
	} while (reason != EXIT_REASON_VMCALL);
}

/* In each step run L2 once; with g->val[5] do the same things itself. */
static void guest_l1(struct kvmi_guest *g)
{
	void *nested = (void *)g->val[7];

	guest_wait(g, 1);
	if (host_cpu_is_amd)
		svm_init(nested, g->val[6]);
	else
		vmx_init(nested, g->val[6]);
	guest_done(g, 1);
	for (__u64 n = 2; ; n++) {
		guest_wait(g, n);
		if (READ_ONCE(g->val[5])) {
			struct desc_ptr gdt;
			__u64 cr3 = get_cr3();

			MAY_EXIT("cpuid", CPUID_LEAF, 0);
			wrmsr(MSR_KERNEL_GS_BASE, 0x123000);
			gdt = get_gdt();
			asm volatile("lgdt %0" : : "m"(gdt));
			set_cr3(cr3 ^ X86_CR3_PWT);
			if (host_cpu_is_amd)
				MAY_EXIT("vmmcall", KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT);
			else
				MAY_EXIT("vmcall", KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT);
		} else if (host_cpu_is_amd) {
			svm_run(nested);
		} else {
			vmx_run(n == 2);
		}
		guest_done(g, n);
	}
}

#endif /* SELFTEST_KVMI_NESTED_GUEST_H */
