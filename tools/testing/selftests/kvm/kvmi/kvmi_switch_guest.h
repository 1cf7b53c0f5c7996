/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_SWITCH_GUEST_H
#define SELFTEST_KVMI_SWITCH_GUEST_H

/*
 * A guest that raises every event that instructions can raise, again and again, and
 * checks what comes of each. A tool may answer CPUID in KVM's place and inject #UD.
 */
#include "kvmi_test_util.h"

/* In g->val. */
enum {
	ROUNDS,			/* from the host: how often in one step */
	FAILED,			/* BIT(check) of those that failed */
	CALLS,			/* hypercalls that the tool took */
	BREAKPOINTS, TRAPS,	/* exceptions that came to their handlers */
	ANSWERS,		/* CPUIDs that the tool answered */
	HAS_XSAVE		/* from the host */
};

enum { CR0, CR3, CR4, MSR, XCR, BREAKPOINT, CALL, TABLES, CPUID_LEAF, TRAP_FLAG };

static const char *const checks[] = {
	[CR0] = "CR0", [CR3] = "CR3", [CR4] = "CR4", [MSR] = "MSR", [XCR] = "XCR0",
	[BREAKPOINT] = "a breakpoint", [CALL] = "a hypercall", [TABLES] = "a descriptor table",
	[CPUID_LEAF] = "CPUID", [TRAP_FLAG] = "RFLAGS.TF",
};

#define ANSWER	0x6b766d69

/*
 * Handlers run on the stack of what they interrupt, and #UD interrupts anything. So only
 * guest_everything(), which calls others, may have something on its stack: a function
 * that does not has it below its stack pointer.
 */
static noinline void guest_check(struct kvmi_guest *g, int what, bool good)
{
	if (!good)
		g->val[FAILED] |= BIT(what);
}

/* Which vCPU is the handler's business: INT3 has it in RAX, any code in GS.base. */
static void guest_bp_handler(struct ex_regs *regs)
{
	struct kvmi_guest *g = (void *)regs->rax;

	g->val[BREAKPOINTS]++;
}

static void guest_ud_handler(struct ex_regs *regs)
{
	asm volatile("incq %%gs:(%0)"
		     : : "r"(offsetof(struct kvmi_guest, val[TRAPS])) : "memory");
}

static noinline void guest_control_registers(struct kvmi_guest *g)
{
	__u64 cr0 = get_cr0() ^ X86_CR0_AM, cr3 = get_cr3() ^ X86_CR3_PWT;
	__u64 cr4 = get_cr4() ^ X86_CR4_TSD;

	set_cr0(cr0);
	guest_check(g, CR0, get_cr0() == cr0);
	set_cr3(cr3);
	guest_check(g, CR3, get_cr3() == cr3);
	set_cr4(cr4);
	guest_check(g, CR4, get_cr4() == cr4);
}

static noinline void guest_model_specific(struct kvmi_guest *g, __u64 k)
{
	__u64 xcr0;

	wrmsr(MSR_KERNEL_GS_BASE, k);
	guest_check(g, MSR, rdmsr(MSR_KERNEL_GS_BASE) == k);
	wrmsr(MSR_LSTAR, ~k);
	guest_check(g, MSR, rdmsr(MSR_LSTAR) == ~k);
	if (!g->val[HAS_XSAVE])
		return;
	xcr0 = xgetbv(0) ^ XFEATURE_MASK_SSE;
	xsetbv(0, xcr0);
	guest_check(g, XCR, xgetbv(0) == xcr0);
}

struct guest_tables {
	struct desc_ptr gdtr, idtr;	/* as they are */
	struct desc_ptr stored;
	__u16 selector;
};

/* Some are loads, of what is there already. */
static noinline void guest_descriptor_tables(struct kvmi_guest *g, __u64 k,
					     struct guest_tables *t)
{
	struct desc_ptr *d = &t->stored;

	switch (k % 7) {
	case 0:
		asm volatile("sgdt %0" : "=m"(*d));
		guest_check(g, TABLES, d->size == t->gdtr.size && d->address == t->gdtr.address);
		break;
	case 1:
		asm volatile("sidt %0" : "=m"(*d));
		guest_check(g, TABLES, d->size == t->idtr.size && d->address == t->idtr.address);
		break;
	case 2:
		asm volatile("str %0" : "=m"(t->selector));
		guest_check(g, TABLES, t->selector);
		break;
	case 3:
		asm volatile("sldt %0" : "=m"(t->selector));
		guest_check(g, TABLES, !t->selector);
		break;
	case 4:
		asm volatile("lgdt %0" : : "m"(t->gdtr));
		break;
	case 5:
		asm volatile("lidt %0" : : "m"(t->idtr));
		break;
	case 6:
		asm volatile("lldt %w0" : : "r"(0));
		break;
	}
}

static noinline void guest_calls(struct kvmi_guest *g)
{
	__u64 rax = KVMI_HYPERCALL;

	if (host_cpu_is_amd)
		asm volatile("vmmcall" : "+a"(rax) : "D"(KVMI_HYPERCALL_EVENT), "S"(0));
	else
		asm volatile("vmcall" : "+a"(rax) : "D"(KVMI_HYPERCALL_EVENT), "S"(0));
	g->val[CALLS] += !rax;
	guest_check(g, CALL, !rax || rax == -KVM_ENOSYS);
}

static noinline void guest_cpuid(struct kvmi_guest *g, __u32 ebx_of_0)
{
	__u32 eax = 0, ebx = 0, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "+b"(ebx), "+c"(ecx), "=d"(edx));
	g->val[ANSWERS] += ebx == ANSWER;
	guest_check(g, CPUID_LEAF, ebx == ANSWER || ebx == ebx_of_0);
}

static noinline void guest_flags(struct kvmi_guest *g)
{
	__u64 flags;

	asm volatile("pushf; pop %0" : "=r"(flags));
	guest_check(g, TRAP_FLAG, !(flags & BIT(8)));
}

static noinline void guest_int3(struct kvmi_guest *g)
{
	__u64 before = g->val[BREAKPOINTS];

	asm volatile("int3" : : "a"(g) : "memory");
	guest_check(g, BREAKPOINT, g->val[BREAKPOINTS] == before + 1);
}

static void guest_everything(struct kvmi_guest *g)
{
	struct guest_tables tables;
	__u32 eax = 0, ebx, ecx = 0, edx;
	__u64 k = 0;

	if (g->val[HAS_XSAVE])
		set_cr4(get_cr4() | X86_CR4_OSXSAVE);
	wrmsr(MSR_GS_BASE, (__u64)g);
	asm volatile("sgdt %0; sidt %1" : "=m"(tables.gdtr), "=m"(tables.idtr));
	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));

	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		for (__u64 i = READ_ONCE(g->val[ROUNDS]); i; i--) {
			k++;
			guest_control_registers(g);
			guest_model_specific(g, k);
			guest_descriptor_tables(g, k, &tables);
			guest_int3(g);
			guest_calls(g);
			guest_cpuid(g, ebx);
			guest_flags(g);
		}
		guest_done(g, n);
	}
}

#endif /* SELFTEST_KVMI_SWITCH_GUEST_H */
