/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_DESC_GUEST_H
#define SELFTEST_KVMI_DESC_GUEST_H

/* A guest that loads and stores descriptor table registers, and what the host expects. */

#include "kvmi_test_util.h"

enum insn {
	SIDT, SGDT, SLDT, STR, LIDT, LGDT, LLDT, LTR,	/* to and from memory */
	SLDT_REG, STR_REG, LLDT_REG, LTR_REG,		/* to and from RAX */
	NR_INSNS,
	MANY_SGDT
};

#define MANY	300

/* What each of them is on the wire. */
static const struct { __u8 descriptor, write; const char *name; } insns[NR_INSNS] = {
	[SIDT]	= { KVMI_DESC_IDTR, 0, "sidt" },
	[SGDT]	= { KVMI_DESC_GDTR, 0, "sgdt" },
	[SLDT]	= { KVMI_DESC_LDTR, 0, "sldt" },
	[STR]	= { KVMI_DESC_TR, 0, "str" },
	[LIDT]	= { KVMI_DESC_IDTR, 1, "lidt" },
	[LGDT]	= { KVMI_DESC_GDTR, 1, "lgdt" },
	[LLDT]	= { KVMI_DESC_LDTR, 1, "lldt" },
	[LTR]	= { KVMI_DESC_TR, 1, "ltr" },
	[SLDT_REG] = { KVMI_DESC_LDTR, 0, "sldt %rax" },
	[STR_REG]  = { KVMI_DESC_TR, 0, "str %rax" },
	[LLDT_REG] = { KVMI_DESC_LDTR, 1, "lldt %ax" },
	[LTR_REG]  = { KVMI_DESC_TR, 1, "ltr %ax" },
};

/* The operand, in guest memory of its own. */
static struct {
	__u16 lo;
	__u64 hi;
} __packed operand;

#define SAFE(insn) (vec = kvm_asm_safe(insn, "a"(&operand)))

/*
 * In g->val[0] the instruction, in [1] and [2] the operand's 2 and 8 bytes; then
 * the exception in [3] and the operand in [4] and [5].
 */
static inline void guest_insns(struct kvmi_guest *g)
{
	uint64_t rax, ign;
	uint8_t vec;

	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		WRITE_ONCE(operand.lo, g->val[1]);
		WRITE_ONCE(operand.hi, g->val[2]);
		rax = g->val[1];
		vec = 0;
		barrier();
		switch (READ_ONCE(g->val[0])) {
		case SIDT:
			SAFE("sidt (%%rax)");
			break;
		case SGDT:
			SAFE("sgdt (%%rax)");
			break;
		case SLDT:
			SAFE("sldt (%%rax)");
			break;
		case STR:
			SAFE("str (%%rax)");
			break;
		case LIDT:
			SAFE("lidt (%%rax)");
			break;
		case LGDT:
			SAFE("lgdt (%%rax)");
			break;
		case LLDT:
			SAFE("lldt (%%rax)");
			break;
		case LTR:
			SAFE("ltr (%%rax)");
			break;
		case LLDT_REG:
			vec = kvm_asm_safe("lldt %%ax", "a"(rax));
			break;
		case LTR_REG:
			vec = kvm_asm_safe("ltr %%ax", "a"(rax));
			break;
		case SLDT_REG:
			asm volatile(KVM_ASM_SAFE("sldt %%rax")
				     : "+a"(rax), KVM_ASM_SAFE_OUTPUTS(vec, ign)
				     : : KVM_ASM_SAFE_CLOBBERS);
			break;
		case STR_REG:
			asm volatile(KVM_ASM_SAFE("str %%rax")
				     : "+a"(rax), KVM_ASM_SAFE_OUTPUTS(vec, ign)
				     : : KVM_ASM_SAFE_CLOBBERS);
			break;
		case MANY_SGDT:
			for (int i = 0; i < MANY; i++)
				asm volatile("sgdt (%0)" : : "r"(&operand) : "memory");
			break;
		}
		barrier();
		g->val[3] = vec;
		if (g->val[0] == SLDT_REG || g->val[0] == STR_REG) {
			g->val[4] = rax;
		} else {
			g->val[4] = READ_ONCE(operand.lo);
			g->val[5] = READ_ONCE(operand.hi);
		}
		guest_done(g, n);
	}
}

/* --- the tables that the guest loads and stores ------------------------------------------ */

#define LDT_SELECTOR	0x40
#define TSS_SELECTOR	0x50
#define BAD_SELECTOR	0x60		/* nothing is there */
#define TYPE_LDT	2
#define TYPE_TSS	9
#define TYPE_BUSY_TSS	11

#define LDT_BASE	0x123456789000ull
#define OTHER_GDT	0xffffffff80001000ull

static inline __u64 *gdt_entry(struct kvmi_test *t, __u16 selector)
{
	return (__u64 *)addr_gva2hva(t->vm, t->vm->arch.gdt) + selector / 8;
}

static inline void make_descriptor(struct kvmi_test *t, __u16 selector, __u64 base, __u8 type)
{
	__u64 *d = gdt_entry(t, selector);

	d[0] = 0x67 | (base & 0xffffff) << 16 | (__u64)(type | 0x80) << 40 |
	       (base >> 24 & 0xff) << 56;
	d[1] = base >> 32;
}

static inline __u8 type_of(struct kvmi_test *t, __u16 selector)
{
	return *gdt_entry(t, selector) >> 40 & 0xf;
}

static inline void make_descriptors(struct kvmi_test *t)
{
	make_descriptor(t, LDT_SELECTOR, LDT_BASE, TYPE_LDT);
	make_descriptor(t, TSS_SELECTOR, t->vm->arch.tss, TYPE_TSS);
}

/* What the host put into the vCPU at its start. */
static inline struct kvm_sregs sregs_of(struct kvmi_test *t, int i)
{
	struct kvmi_vcpu_get_registers_reply r;

	KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, i, &r));
	return r.sregs;
}

static inline void begin_insn(struct kvmi_test *t, int i, enum insn insn, __u64 lo, __u64 hi)
{
	t->guest[i]->val[0] = insn;
	t->guest[i]->val[1] = lo;
	t->guest[i]->val[2] = hi;
	kvmi_step_begin(t, i);
}

static inline void end_insn(struct kvmi_test *t, int i, __u64 vector)
{
	kvmi_step_end(t, i);
	TEST_ASSERT_EQ(t->guest[i]->val[3], vector);
}

static inline void expect_desc(struct kvmi_test *t, int i, enum insn insn,
			       struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_DESCRIPTOR, ev);
	TEST_ASSERT(ev->desc.descriptor == insns[insn].descriptor &&
		    ev->desc.write == insns[insn].write, "%s: descriptor %u, write %u",
		    insns[insn].name, ev->desc.descriptor, ev->desc.write);
}

static inline bool can_report(struct kvmi_test *t)
{
	struct kvmi_get_version_reply v;

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &v, sizeof(v)));
	TEST_ASSERT(v.features.descriptor <= 1, "features.descriptor is %u", v.features.descriptor);
	return v.features.descriptor;
}

#define NEEDS_FEATURE(t) \
	do { if (!can_report(t)) SKIP_CASE("this processor cannot report it"); } while (0)

static inline void enable(struct kvmi_test *t, int i, __u8 on)
{
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_DESCRIPTOR, on));
}

static inline void start(struct kvmi_test *t)
{
	make_descriptors(t);
	kvmi_run(t, 0);
	enable(t, 0, 1);
}

/* --- CONTINUE: as if nobody had been there ----------------------------------------------- */

/* One instruction on vCPU 0, continued or without an event. */
static inline void insn(struct kvmi_test *t, bool event, enum insn insn, __u64 lo, __u64 hi,
			__u64 vector)
{
	struct kvmi_event_msg ev;

	begin_insn(t, 0, insn, lo, hi);
	if (event) {
		expect_desc(t, 0, insn, &ev);
		kvmi_continue(&t->tool, &ev);
	}
	end_insn(t, 0, vector);
	kvmi_expect_no_event(&t->tool, 0);
}

static inline void expect_stored(struct kvmi_test *t, __u64 lo, __u64 hi)
{
	__u64 *v = t->guest[0]->val;

	TEST_ASSERT(v[4] == lo && v[5] == hi, "stored is %#llx %#llx, expected %#llx %#llx",
		    v[4], v[5], lo, hi);
}

static inline void stores(struct kvmi_test *t, bool event)
{
	struct kvm_sregs s = sregs_of(t, 0);
	const __u64 keep = 0x1111222233334444;

	insn(t, event, SIDT, 0xffff, keep, 0);
	expect_stored(t, s.idt.limit, s.idt.base);
	insn(t, event, SGDT, 0xffff, keep, 0);
	expect_stored(t, s.gdt.limit, s.gdt.base);
	/* 16 bits in memory, whatever the operand's size is. */
	insn(t, event, SLDT, 0xffff, keep, 0);
	expect_stored(t, s.ldt.selector, keep);
	insn(t, event, STR, 0xffff, keep, 0);
	expect_stored(t, s.tr.selector, keep);
	insn(t, event, SLDT_REG, 0xffff, 0, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[4], s.ldt.selector);
	insn(t, event, STR_REG, 0xffff, 0, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[4], s.tr.selector);
}

static inline void loads(struct kvmi_test *t, bool event)
{
	struct kvm_sregs s = sregs_of(t, 0), now;

	/* Limits alone: the tables stay. */
	insn(t, event, LIDT, s.idt.limit - 16, s.idt.base, 0);
	insn(t, event, LGDT, s.gdt.limit - 8, s.gdt.base, 0);
	now = sregs_of(t, 0);
	TEST_ASSERT_EQ(now.idt.limit, s.idt.limit - 16);
	TEST_ASSERT_EQ(now.idt.base, s.idt.base);
	TEST_ASSERT_EQ(now.gdt.limit, s.gdt.limit - 8);
	TEST_ASSERT_EQ(now.gdt.base, s.gdt.base);
	insn(t, event, LIDT, s.idt.limit, s.idt.base, 0);

	/* Nothing is loaded from the GDT until it is back. */
	insn(t, event, LGDT, 0x7f, OTHER_GDT, 0);
	now = sregs_of(t, 0);
	TEST_ASSERT_EQ(now.gdt.limit, 0x7f);
	TEST_ASSERT_EQ(now.gdt.base, OTHER_GDT);
	insn(t, event, LGDT, s.gdt.limit, s.gdt.base, 0);

	for (int reg = 0; reg < 2; reg++) {
		insn(t, event, reg ? LLDT_REG : LLDT, LDT_SELECTOR, 0, 0);
		now = sregs_of(t, 0);
		TEST_ASSERT_EQ(now.ldt.selector, LDT_SELECTOR);
		TEST_ASSERT_EQ(now.ldt.base, LDT_BASE);
		TEST_ASSERT_EQ(now.ldt.limit, 0x67);
		insn(t, event, reg ? LLDT_REG : LLDT, 0, 0, 0);
		TEST_ASSERT_EQ(sregs_of(t, 0).ldt.selector, 0);

		make_descriptor(t, TSS_SELECTOR, t->vm->arch.tss, TYPE_TSS);
		insn(t, event, reg ? LTR_REG : LTR, TSS_SELECTOR, 0, 0);
		now = sregs_of(t, 0);
		TEST_ASSERT_EQ(now.tr.selector, TSS_SELECTOR);
		TEST_ASSERT_EQ(now.tr.base, t->vm->arch.tss);
		TEST_ASSERT_EQ(type_of(t, TSS_SELECTOR), TYPE_BUSY_TSS);
	}
}

/* The instructions' own errors. */
static inline void faults(struct kvmi_test *t, bool event)
{
	struct kvm_sregs s = sregs_of(t, 0), now;

	insn(t, event, LLDT, BAD_SELECTOR, 0, GP_VECTOR);
	insn(t, event, LLDT_REG, TSS_SELECTOR, 0, GP_VECTOR);
	insn(t, event, LTR, BAD_SELECTOR, 0, GP_VECTOR);
	insn(t, event, LTR, s.tr.selector, 0, GP_VECTOR);	/* busy */
	/* Emulated processors load any address, and TR with nothing. */
	if (event) {
		insn(t, event, LTR_REG, 0, 0, GP_VECTOR);
		insn(t, event, LIDT, 0xfff, BIT_ULL(60), GP_VECTOR);
		insn(t, event, LGDT, 0xfff, BIT_ULL(60), GP_VECTOR);
	}
	now = sregs_of(t, 0);
	TEST_ASSERT(!memcmp(&s.idt, &now.idt, sizeof(s.idt)) &&
		    !memcmp(&s.gdt, &now.gdt, sizeof(s.gdt)) &&
		    !memcmp(&s.tr, &now.tr, sizeof(s.tr)) &&
		    !memcmp(&s.ldt, &now.ldt, sizeof(s.ldt)), "a fault changed a register");
}

#endif /* SELFTEST_KVMI_DESC_GUEST_H */
