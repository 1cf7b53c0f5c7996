// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that runs a guest of its own (L2) while the tool has every event on. What
 * L2 does is no event, and goes where it would go without the tool: to the guest
 * if that wants it, else nowhere.
 */
#include <poll.h>

#include "kvmi_msr_guest.h"
#include "kvmi_test_harness.h"
#include "svm_util.h"
#include "vmx.h"

KVMI_TEST_SUITE(kvmi_nested, 1);

#define MAX_EXITS	8
#define STACK_SIZE	4096
#define CPUID_LEAF	0

/* What L2 saw of its own instructions, and the guest of L2's exits. */
static struct seen {
	__u64 breakpoints, msr, cr3, gdt_base, gdt_limit, ldt, vendor;
	__u64 nr_exits, exits[MAX_EXITS];
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

/* --- the host's side --------------------------------------------------------------------- */

static bool no_nesting(void)
{
	return !kvm_cpu_has(X86_FEATURE_SVM) && !kvm_cpu_has(X86_FEATURE_VMX);
}

#define NEEDS_NESTING() \
	do { if (no_nesting()) SKIP_CASE("nested virtualization is off in KVM"); } while (0)

static void step(struct kvmi_test *t)
{
	kvmi_step_begin(t, 0);
	kvmi_step_end(t, 0);
}

static void start(struct kvmi_test *t, bool l1_intercepts)
{
	vm_vaddr_t nested;

	if (host_cpu_is_amd)
		vcpu_alloc_svm(t->vm, &nested);
	else
		vcpu_alloc_vmx(t->vm, &nested);
	vm_install_exception_handler(t->vm, BP_VECTOR, guest_bp_handler);
	t->guest[0]->val[5] = 0;
	t->guest[0]->val[6] = l1_intercepts;
	t->guest[0]->val[7] = nested;
	kvmi_run(t, 0);
	step(t);
}

static const __u8 all_events[] = {
	KVMI_VCPU_EVENT_CR, KVMI_VCPU_EVENT_MSR, KVMI_VCPU_EVENT_XSETBV,
	KVMI_VCPU_EVENT_BREAKPOINT, KVMI_VCPU_EVENT_HYPERCALL, KVMI_VCPU_EVENT_DESCRIPTOR,
	KVMI_VCPU_EVENT_CPUID,
};

static void all_on(struct kvmi_test *t)
{
	for (int i = 0; i < ARRAY_SIZE(all_events); i++)
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, all_events[i], 1));
	for (int cr = 0; cr <= 4; cr += cr ? 1 : 3)
		KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, cr, 1));
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_KERNEL_GS_BASE, 1));
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_EFER, 1));
}

static bool has_message(struct kvmi_test *t)
{
	struct pollfd pfd = { .fd = t->tool.fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

/* One turn of L2, and what came of it. */
static struct seen l2_turn(struct kvmi_test *t)
{
	struct seen *s = addr_gva2hva(t->vm, (vm_vaddr_t)&seen);

	s->nr_exits = 0;
	s->breakpoints = 0;
	kvmi_step_begin(t, 0);
	KVMI_WAIT(READ_ONCE(t->guest[0]->done) == t->guest[0]->go || has_message(t),
		  "L2 does not end its turn");
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_step_end(t, 0);
	return *s;
}

static void compare(const struct seen *want, const struct seen *is, const char *when)
{
	for (int i = 0; i < want->nr_exits && i < MAX_EXITS; i++)
		TEST_ASSERT(is->exits[i] == want->exits[i], "%s: exit %d of L2 is %#llx, was %#llx",
			    when, i, is->exits[i], want->exits[i]);
	TEST_ASSERT(is->nr_exits == want->nr_exits, "%s: %llu exits of L2, were %llu", when,
		    is->nr_exits, want->nr_exits);
	TEST_ASSERT(is->breakpoints == want->breakpoints, "%s: L2 handled %llu breakpoints", when,
		    is->breakpoints);
	TEST_ASSERT(is->gdt_base == want->gdt_base && is->gdt_limit == want->gdt_limit &&
		    is->ldt == want->ldt && is->vendor == want->vendor,
		    "%s: L2 reads other values", when);
	TEST_ASSERT(is->msr == want->msr + 1, "%s: L2's WRMSR", when);
}

static void undisturbed(struct kvmi_test *t, bool l1_intercepts)
{
	struct seen first, s;
	__u64 toggled;

	start(t, l1_intercepts);
	first = l2_turn(t);
	TEST_ASSERT_EQ(first.exits[first.nr_exits - 1],
		       host_cpu_is_amd ? SVM_EXIT_VMMCALL : EXIT_REASON_VMCALL);
	TEST_ASSERT_EQ(first.breakpoints, !l1_intercepts);
	toggled = l1_intercepts ? 0 : X86_CR3_PWT;
	for (int i = 0; i < 5; i++) {
		if (i < 2)
			all_on(t);
		else if (i == 2)
			kvmi_test_rehook(t);
		s = l2_turn(t);
		compare(&first, &s, i < 2 ? "with events on" : "after unhooking");
		TEST_ASSERT_EQ(s.cr3, first.cr3 ^ toggled);
		first = s;
	}
}

KVMI_TEST(kvmi_nested, l2_is_undisturbed, guest_l1)
{
	NEEDS_NESTING();
	undisturbed(t, false);
}

/* What the guest wants of its guest it gets, though the tool wants the same. */
KVMI_TEST(kvmi_nested, l1_gets_its_exits, guest_l1)
{
	NEEDS_NESTING();
	undisturbed(t, true);
}

/* And the guest's own instructions are reported before and after L2 ran. */
static void expect_and_continue(struct kvmi_test *t, __u8 id)
{
	struct kvmi_event_msg ev;

	kvmi_expect_event(&t->tool, 0, id, &ev);
	kvmi_continue(&t->tool, &ev);
}

KVMI_TEST(kvmi_nested, l1_is_reported, guest_l1)
{
	NEEDS_NESTING();
	start(t, false);
	all_on(t);
	for (int i = 0; i < 3; i++) {
		t->guest[0]->val[5] = 0;
		l2_turn(t);
		t->guest[0]->val[5] = 1;
		kvmi_step_begin(t, 0);
		expect_and_continue(t, KVMI_VCPU_EVENT_CPUID);
		expect_and_continue(t, KVMI_VCPU_EVENT_MSR);
		expect_and_continue(t, KVMI_VCPU_EVENT_DESCRIPTOR);
		expect_and_continue(t, KVMI_VCPU_EVENT_DESCRIPTOR);
		expect_and_continue(t, KVMI_VCPU_EVENT_CR);
		expect_and_continue(t, KVMI_VCPU_EVENT_HYPERCALL);
		kvmi_step_end(t, 0);
	}
}

KVMI_TEST_MAIN()
