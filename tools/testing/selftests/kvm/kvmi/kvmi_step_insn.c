// SPDX-License-Identifier: GPL-2.0-only
/* The guest that executes single instructions; see kvmi_step_insn.h. */
#include "kvmi_step_handlers.h"
#include "kvmi_step_insn.h"

#define RFLAGS_START	(X86_EFLAGS_FIXED | 0x3000 | 0x881)	/* IOPL 3, OF, SF, CF */

static const __u64 gdt[] = {
	[1] = 0x00af9b000000ffff,	/* KCODE */
	[2] = 0x00cf93000000ffff,	/* KDATA */
	[3] = 0x00cffb000000ffff,	/* UCODE32 */
	[4] = 0x00cff3000000ffff,	/* UDATA */
	[5] = 0x00affb000000ffff,	/* UCODE */
	[6] = 0x00cf9b000000ffff,	/* KCODE32 */
	[7] = 0x00008b00b8000067,	/* the task, of two entries */
	[9] = 0x00009b000000ffff,	/* KCODE16 */
	[10] = 0x00cf13000000ffff,	/* ABSENT */
	[11] = 0x00cf92009000ffff,	/* EXTRA, at DATA, not accessed yet */
	/* In the order that SYSENTER wants. */
	[12] = 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
};

static void *at(struct kvmi_test *t, vm_paddr_t gpa)
{
	return addr_gpa2hva(t->vm, gpa);
}

static void set_gate(struct kvmi_test *t, int vector)
{
	__u32 addr = INSN_HANDLERS + 16 * vector;
	bool user = vector == INT_USER || vector == 3 || vector == 4;
	/* Where the stack itself may be the reason. */
	int stack = vector == 8 || vector == 12 || vector == 14;
	__u64 low = (addr & 0xffff) | 0x8e0000000000ull | (user ? 0x600000000000ull : 0);
	__u64 *idt = at(t, INSN_IDT), *idt32 = at(t, INSN_IDT32);
	__u16 *ivt = at(t, INSN_IVT);

	idt[2 * vector] = low | 0x08 << 16 | (__u64)stack << 32;
	idt[2 * vector + 1] = 0;
	idt32[vector] = low | 0x30 << 16;
	ivt[2 * vector] = addr;
	ivt[2 * vector + 1] = 0;
}

static void *put(void *to, const char *code, const char *end)
{
	memcpy(to, code, end - code);
	return to + (end - code);
}

static void put_jump(__u8 *to, __u8 *target, enum insn_mode mode)
{
	to[0] = 0xe9;
	if (mode == REAL)
		*(__u16 *)(to + 1) = target - (to + 3);
	else
		*(__u32 *)(to + 1) = target - (to + 5);
}

static void set_handlers(struct kvmi_test *t, enum insn_mode mode)
{
	__u8 *h = at(t, INSN_HANDLERS), *shared = h + 16 * 0xc0;
	static const __u8 stop[] = { 0xe6, PORT_HANDLER, 0xeb, 0xfc };

	for (int i = 0; i < 256; i++) {
		set_gate(t, i);
		if (i < 0xc0)
			memcpy(h + 16 * i, stop, sizeof(stop));
	}
	h[16 * INT_RETURNS] = 0xcf;
	h[16 * INT_USER] = 0xcf;
	if (mode <= COMPAT) {
		memcpy(h + 16 * INT_RETURNS, "\x48\xcf", 2);
		memcpy(h + 16 * INT_USER, "\x48\xcf", 2);
		put(shared, handler_db, handler_db_end);
	} else if (mode == PROT32 || mode == PROT16) {
		put(shared, handler_db32, handler_db32_end);
	} else {
		put(shared, handler_db16, handler_db16_end);
	}
	put_jump(h + 16, shared, mode);
	put(h + 16 * 0xd0, handler_syscall, handler_syscall_end);
	put(h + 16 * 0xd8, handler_sysenter, handler_sysenter_end);
}

static void set_memory(struct kvmi_test *t, const struct insn_form *form)
{
	static const __u8 end[] = { 0xe6, PORT_END, 0xeb, 0xfc };
	__u8 *code = at(t, INSN_CODE), *data = at(t, INSN_DATA);
	__u64 stack0 = INSN_STACK0 + 0xf00;

	memset(at(t, 0), 0, INSN_END);
	set_handlers(t, form->mode);
	memcpy(put(code, form->code, form->code_end), end, sizeof(end));
	memcpy(at(t, INSN_GDT), gdt, sizeof(gdt));
	for (int i = 0; i < 0x1000; i++)
		data[i] = i * 7 + 1;
	/* RSP0 and the first of the interrupt stacks; ESP0 and SS0. */
	memcpy(at(t, INSN_TSS + 4), &stack0, sizeof(stack0));
	memcpy(at(t, INSN_TSS + 36), &stack0, sizeof(stack0));
	if (form->mode == PROT32 || form->mode == PROT16)
		*(__u32 *)at(t, INSN_TSS + 8) = 0x10;
}

/* Everything is open to CPL 3, too. */
static void set_page_tables(struct kvmi_test *t)
{
	const __u64 flags = PTE_PRESENT_MASK | PTE_WRITABLE_MASK | PTE_USER_MASK;
	__u64 *table[4];

	for (int i = 0; i < 4; i++) {
		table[i] = at(t, INSN_TABLES + i * 0x1000);
		memset(table[i], 0, 0x1000);
		table[i][0] = (INSN_TABLES + (i + 1) * 0x1000) | flags;
	}
	for (__u64 gpa = 0; gpa < INSN_END; gpa += 0x1000)
		table[3][gpa / 0x1000] = gpa | flags;
	table[3][INSN_MMIO / 0x1000] = INSN_MMIO_GPA | flags;
}

static struct kvm_segment segment(__u16 selector)
{
	__u64 d = gdt[selector >> 3];

	return (struct kvm_segment) {
		.selector = selector,
		.base = (d >> 16 & 0xffffff) | (d >> 56) << 24,
		.limit = d >> 55 & 1 ? (d & 0xffff) << 12 | (d >> 48 & 0xf) << 28 | 0xfff :
				       (d & 0xffff),
		.type = d >> 40 & 0xf, .s = d >> 44 & 1, .dpl = d >> 45 & 3,
		.present = d >> 47 & 1, .l = d >> 53 & 1, .db = d >> 54 & 1, .g = d >> 55 & 1,
	};
}

static void set_segments(struct kvm_sregs *s, enum insn_mode mode)
{
	static const __u16 cs[] = {
		[LONG] = 0x08, [USER] = 0x2b, [COMPAT] = 0x1b, [PROT32] = 0x30, [PROT16] = 0x48,
	};
	struct kvm_segment data, *seg[] = { &s->ds, &s->es, &s->fs, &s->gs, &s->ss };

	data = segment(mode == USER || mode == COMPAT ? 0x23 : 0x10);
	s->cs = segment(cs[mode]);
	if (mode == REAL) {
		data.selector = 0;
		data.g = 0;
		data.db = 0;
		data.limit = 0xffff;
		s->cs = data;
		s->cs.type = 11;
	}
	for (int i = 0; i < ARRAY_SIZE(seg); i++)
		*seg[i] = data;
}

static void set_sregs(struct kvm_vcpu *vcpu, enum insn_mode mode)
{
	struct kvm_sregs s;

	vcpu_sregs_get(vcpu, &s);
	set_segments(&s, mode);
	s.gdt.base = INSN_GDT;
	s.gdt.limit = sizeof(gdt) - 1;
	s.idt.base = mode == REAL ? INSN_IVT : mode <= COMPAT ? INSN_IDT : INSN_IDT32;
	s.idt.limit = mode == REAL ? 0x3ff : mode <= COMPAT ? 0xfff : 0x7ff;
	s.tr = (struct kvm_segment) {
		.selector = 0x38, .base = INSN_TSS, .limit = 0x67, .type = 11, .present = 1,
	};
	s.cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_AM;
	s.cr4 |= X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	if (kvm_cpu_has(X86_FEATURE_XSAVE))
		s.cr4 |= X86_CR4_OSXSAVE;
	if (mode <= COMPAT) {
		s.cr0 |= X86_CR0_PG;
		s.cr3 = INSN_TABLES;
		s.efer |= EFER_SCE;
	} else {
		s.cr4 &= ~(X86_CR4_PAE | X86_CR4_PGE);
		s.efer = 0;
	}
	if (mode == REAL)
		s.cr0 &= ~X86_CR0_PE;
	vcpu_sregs_set(vcpu, &s);
}

static const __u32 msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_SYSCALL_MASK, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP,
	MSR_IA32_SYSENTER_EIP, MSR_KERNEL_GS_BASE, MSR_IA32_DEBUGCTLMSR,
};

static void set_msrs(struct kvm_vcpu *vcpu)
{
	vcpu_set_msr(vcpu, MSR_STAR, 0x1bull << 48 | 0x08ull << 32);
	vcpu_set_msr(vcpu, MSR_LSTAR, INSN_HANDLERS + 16 * 0xd0);
	vcpu_set_msr(vcpu, MSR_SYSCALL_MASK, 0x700);
	vcpu_set_msr(vcpu, MSR_IA32_SYSENTER_CS, 0x60);
	vcpu_set_msr(vcpu, MSR_IA32_SYSENTER_ESP, INSN_STACK0 + 0x800);
	vcpu_set_msr(vcpu, MSR_IA32_SYSENTER_EIP, INSN_HANDLERS + 16 * 0xd8);
	vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, 0x123000);
}

static void set_regs(struct kvm_vcpu *vcpu, enum insn_mode mode)
{
	struct kvm_regs r = {
		.rax = 0x05060708, .rbx = INSN_DATA, .rcx = 5, .rdx = PORT_DEVICE,
		.rsi = INSN_DATA + 0x100, .rdi = INSN_DATA + 0x200, .rbp = INSN_DATA + 0x300,
		.rsp = INSN_STACK + 0xf00, .rip = INSN_CODE, .rflags = RFLAGS_START,
	};

	if (mode <= USER) {
		r.rax |= 0x01020304ull << 32;
		r.r8 = 0x8888888888888888;
		r.r9 = 0x9999999999999999;
		r.r10 = 0xaaaaaaaaaaaaaaaa;
		r.r11 = 0xbbbbbbbbbbbbbbbb;
		r.r15 = 0xffffffffffffffff;
	}
	vcpu_regs_set(vcpu, &r);
}

void insn_setup(struct kvmi_test *t, struct kvm_vcpu *vcpu, const struct insn_form *form)
{
	set_page_tables(t);
	set_memory(t, form);
	set_sregs(vcpu, form->mode);
	set_msrs(vcpu);
	set_regs(vcpu, form->mode);
}

/*
 * A processor sets RF in the frame of a fault, as KVM does when it injects one; some
 * emulated ones do not. Make it so: nothing else of the frame is touched.
 */
static void set_rf(struct insn_state *s, enum insn_mode mode)
{
	const __u32 traps = BIT(1) | BIT(3) | BIT(4);
	const __u32 have_code = BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17);
	int vector = (s->regs.rip - INSN_HANDLERS) / 16, word = mode <= COMPAT ? 8 : 4;
	__u64 frame = s->sregs.ss.base + s->regs.rsp;

	if (s->regs.rip < INSN_HANDLERS || vector > 31 || BIT(vector) & traps || mode == REAL)
		return;
	frame += word * (BIT(vector) & have_code ? 3 : 2);
	*(__u32 *)(s->memory + frame) |= RFLAGS_RF;
}

/* A device: what it is told goes to the log, what it answers is always the same. */
static void device(struct insn_state *s, void *data, int len, bool write)
{
	if (!write) {
		memset(data, 0x5a, len);
		return;
	}
	TEST_ASSERT(s->io_len + len <= INSN_IO_LOG, "more output than any form has");
	memcpy(s->io + s->io_len, data, len);
	s->io_len += len;
}

static bool exit_is_for_device(struct kvm_run *run, struct insn_state *s)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.port == PORT_END || run->io.port == PORT_HANDLER)
			return false;
		device(s, (void *)run + run->io.data_offset, run->io.size * run->io.count,
		       run->io.direction == KVM_EXIT_IO_OUT);
		return true;
	case KVM_EXIT_MMIO:
		device(s, run->mmio.data, run->mmio.len, run->mmio.is_write);
		return true;
	default:
		return false;
	}
}

void insn_run(struct kvmi_test *t, struct kvm_vcpu *vcpu, struct insn_state *s)
{
	s->io_len = 0;
	memset(s->io, 0, sizeof(s->io));
	do {
		vcpu_run(vcpu);
	} while (exit_is_for_device(vcpu->run, s));

	s->exit_reason = vcpu->run->exit_reason;
	vcpu_regs_get(vcpu, &s->regs);
	vcpu_sregs_get(vcpu, &s->sregs);
	vcpu_debugregs_get(vcpu, &s->debugregs);
	vcpu_events_get(vcpu, &s->events);
	vcpu_fpu_get(vcpu, &s->fpu);
	for (int i = 0; i < ARRAY_SIZE(msrs); i++)
		s->msrs[i] = vcpu_get_msr(vcpu, msrs[i]);
	memcpy(s->memory, at(t, 0), sizeof(s->memory));
	/* This names the vCPU, and these mean nothing. */
	s->sregs.apic_base = 0;
	if (!s->events.exception.injected && !s->events.exception.pending)
		memset(&s->events.exception, 0, sizeof(s->events.exception));
	if (!s->events.interrupt.injected) {
		s->events.interrupt.nr = 0;
		s->events.interrupt.soft = 0;
	}
}

bool insn_at_end(struct kvmi_test *t, const struct kvmi_event_arch *arch)
{
	__u64 addr = arch->sregs.cs.base + arch->regs.rip;
	__u8 *insn;

	if (addr >= INSN_END)
		return false;
	insn = at(t, addr);
	return insn[0] == 0xe6 && (insn[1] == PORT_END || insn[1] == PORT_HANDLER);
}

/* Where they differ, in hexadecimal from the first byte on. */
static void compare(const char *what, const void *p, const void *q, size_t size)
{
	const __u8 *a = p, *b = q;
	size_t i = 0;

	while (i < size && a[i] == b[i])
		i++;
	if (i == size)
		return;
	i &= ~7ul;
	TEST_FAIL("%s differs at %#zx: undisturbed %#llx %#llx, stepped %#llx %#llx", what, i,
		  *(__u64 *)(a + i), *(__u64 *)(a + i + 8), *(__u64 *)(b + i),
		  *(__u64 *)(b + i + 8));
}

void insn_compare(const struct insn_form *form, struct insn_state *a, struct insn_state *b)
{
	set_rf(a, form->mode);
	set_rf(b, form->mode);
	TEST_ASSERT_EQ(a->exit_reason, b->exit_reason);
	TEST_ASSERT_EQ(a->regs.rip, b->regs.rip);
	TEST_ASSERT_EQ(a->regs.rflags, b->regs.rflags);
	TEST_ASSERT_EQ(a->sregs.cr2, b->sregs.cr2);
	TEST_ASSERT_EQ(a->debugregs.dr6, b->debugregs.dr6);
	compare("memory", a->memory, b->memory, sizeof(a->memory));
	compare("struct kvm_regs", &a->regs, &b->regs, sizeof(a->regs));
	compare("struct kvm_sregs", &a->sregs, &b->sregs, sizeof(a->sregs));
	compare("struct kvm_debugregs", &a->debugregs, &b->debugregs, sizeof(a->debugregs));
	compare("struct kvm_vcpu_events", &a->events, &b->events, sizeof(a->events));
	compare("the floating point state", &a->fpu, &b->fpu, sizeof(a->fpu));
	compare("an MSR", a->msrs, b->msrs, sizeof(a->msrs));
	compare("output", a->io, b->io, sizeof(a->io));
}
