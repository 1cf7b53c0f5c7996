// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions that KVM emulates though the processor did not stop at a restricted page:
 * what they name and what they imply, as descriptors, is reported before it is touched.
 *
 * A prefix makes KVM emulate whatever follows it.
 */
#include "kvmi_pf.h"
#include "kvmi_test_harness.h"

/* In g->val. */
enum { FORM, OPERAND, AX, STACK_TOP, RESULT, NR_PF };

/* What is restricted. */
enum base { OP, STK, LDT, GDT, NR_BASES };

#define NR_PAGES	3		/* of OP, STK and LDT */
#define OFF		0x40		/* of the operand in its page */
#define TOP		0x800		/* of the stack in its page */

/* Selectors of descriptors that the host makes. */
#define SEL_CODE	0x08
#define SEL_DATA	0x100
#define SEL_NEW_DATA	0x108
#define SEL_LDT		0x110
#define SEL_TSS		0x120
#define SEL_OF_LDT	0x0c		/* the second one there */

struct expected {
	__u8 access;
	enum base base;
	__u64 offset;
};

struct form {
	__u64 ax;
	struct expected events[5];
};

#define R(b, o)		{ ACCESS_R, b, o }
#define W(b, o)		{ ACCESS_W, b, o }

#define FORMS(FORM) \
FORM(sgdt,	0, "sgdt (%%rsi)",		{ W(OP, OFF) })			\
FORM(sidt,	0, "sidt (%%rsi)",		{ W(OP, OFF) })			\
FORM(lgdt,	0, "lgdt (%%rsi)",		{ R(OP, OFF), R(OP, OFF + 2) })	\
FORM(store,	0, "mov %%rax, (%%rsi)",	{ W(OP, OFF) })			\
FORM(add,	0, "addq $1, (%%rsi)",		{ R(OP, OFF), W(OP, OFF) })	\
FORM(cmpxchg,	0, "lock cmpxchg %%rbx, (%%rsi)", { R(OP, OFF), W(OP, OFF) })	\
FORM(load_es,	SEL_DATA, "mov %%eax, %%es",	{ R(GDT, SEL_DATA) })		\
FORM(load_es_first, SEL_NEW_DATA, "mov %%eax, %%es",				\
	{ R(GDT, SEL_NEW_DATA), W(GDT, SEL_NEW_DATA) })				\
FORM(load_es_of_ldt, SEL_OF_LDT, "mov %%eax, %%es", { R(LDT, SEL_OF_LDT & ~7) })	\
FORM(lldt,	SEL_LDT, "lldt %%ax",		{ R(GDT, SEL_LDT), R(GDT, SEL_LDT + 8) }) \
FORM(ltr,	SEL_TSS, "ltr %%ax",						\
	{ R(GDT, SEL_TSS), R(GDT, SEL_TSS + 8), W(GDT, SEL_TSS) })		\
FORM(far_jump,	0, "ljmp *(%%rsi)",		{ R(OP, OFF), R(GDT, SEL_CODE) })	\
FORM(far_call,	0, "lcall *(%%rsi)",						\
	{ R(OP, OFF), R(GDT, SEL_CODE), W(STK, TOP - 4), W(STK, TOP - 8) })	\
FORM(far_return, 0, "lretq",							\
	{ R(STK, TOP), R(STK, TOP + 8), R(GDT, SEL_CODE) })

enum {
#define NUMBER(form, ...) NR_##form,
	FORMS(NUMBER)
	NR_FORMS
};

#define LIST(form, a, insn, ...) [NR_##form] = { .ax = a, .events = __VA_ARGS__ },
static const struct form forms[] = { FORMS(LIST) };

/* Where far transfers go to. */
#define LABEL(form, ...) extern const char behind_##form[];
FORMS(LABEL)
#define BEHIND(form, ...) [NR_##form] = behind_##form,
static const char *const behind[] = { FORMS(BEHIND) };

static noinline __attribute__((noclone)) void guest_execute(struct kvmi_guest *g)
{
	__u64 rsp, ax = g->val[AX];

	switch (g->val[FORM]) {
#define EXECUTE(form, a, insn, ...)						\
	case NR_##form:								\
		asm volatile("mov %%rsp, %[rsp]; mov %[stack], %%rsp\n\t"	\
			     KVM_FEP insn "\n\t"				\
			     ".globl behind_" #form "\n\t"			\
			     "behind_" #form ": mov %[rsp], %%rsp"		\
			     : "+a"(ax), [rsp] "=&r"(rsp)			\
			     : "S"(g->val[OPERAND]), [stack] "r"(g->val[STACK_TOP]) \
			     : "rbx", "memory", "cc");				\
		break;
	FORMS(EXECUTE)
	}
	g->val[RESULT] = ax;
}

static void guest_forms(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		guest_execute(g);
		guest_done(g, n);
	}
}

/* --- the host --- */

static __u64 system_descriptor(__u64 base, int type)
{
	return 0xfff | (base & 0xffffff) << 16 | (__u64)(0x80 | type) << 40 |
	       (base >> 24 & 0xff) << 56;
}

/* LTR marks its descriptor busy, the first load of ES another one accessed. */
static void set_descriptors(struct kvmi_test *t, const struct area *a)
{
	__u64 *gdt = addr_gva2hva(t->vm, t->vm->arch.gdt);

	gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
	gdt[SEL_NEW_DATA / 8] = 0x00cf92000000ffff;
	gdt[SEL_LDT / 8] = system_descriptor(a->gva + LDT * PAGE, 2);
	gdt[SEL_LDT / 8 + 1] = 0;
	gdt[SEL_TSS / 8] = system_descriptor(t->vm->arch.tss, 9);
	gdt[SEL_TSS / 8 + 1] = t->vm->arch.tss >> 32;
	((__u64 *)(a->hva + LDT * PAGE))[SEL_OF_LDT / 8] = 0x00cf93000000ffff;
}

static void set_ldtr(struct kvmi_test *t, const struct area *a)
{
	struct kvm_sregs sregs;

	vcpu_sregs_get(t->vcpu[0], &sregs);
	TEST_ASSERT_EQ(sregs.cs.selector, SEL_CODE);
	sregs.ldt = (struct kvm_segment) {
		.base = a->gva + LDT * PAGE, .limit = 0xfff, .selector = SEL_LDT, .type = 2,
		.present = 1,
	};
	vcpu_sregs_set(t->vcpu[0], &sregs);
}

static void set_operands(struct kvmi_test *t, const struct area *a, int n)
{
	__u64 *val = t->guest[0]->val, to = (__u64)behind[n];
	__u8 *op = a->hva + OP * PAGE + OFF;

	memset(op, 0x5a, 16);
	if (n == NR_lgdt) {
		memset(op, 0xff, 2);
		memcpy(op + 2, &t->vm->arch.gdt, 8);
	} else if (n == NR_far_jump || n == NR_far_call) {
		memcpy(op, &to, 4);
		memcpy(op + 4, &(__u16){ SEL_CODE }, 2);
	}
	((__u64 *)(a->hva + STK * PAGE + TOP))[0] = to;
	((__u64 *)(a->hva + STK * PAGE + TOP))[1] = SEL_CODE;
	val[FORM] = n;
	val[AX] = forms[n].ax;
	val[OPERAND] = a->gva + OP * PAGE + OFF;
	val[STACK_TOP] = a->gva + STK * PAGE + TOP;
}

static int fep_was;

FIXTURE(kvmi_pf_implied) { struct kvmi_test t; };
FIXTURE_VARIANT(kvmi_pf_implied) { int n; };

FIXTURE_SETUP(kvmi_pf_implied)
{
	kvmi_test_setup(&self->t, 1);
	fep_was = kvmi_force_emulation(1);
}

FIXTURE_TEARDOWN(kvmi_pf_implied)
{
	kvmi_force_emulation(fep_was);
	kvmi_test_teardown(&self->t);
}

#define VARIANT(form, ...) FIXTURE_VARIANT_ADD(kvmi_pf_implied, form) { .n = NR_##form };
FORMS(VARIANT)

static void expect_events(struct kvmi_test *t, const struct area *a, const struct form *form)
{
	struct kvmi_event_msg ev;

	for (const struct expected *e = form->events; e->access; e++) {
		__u64 gva = e->base == GDT ? t->vm->arch.gdt : a->gva + e->base * PAGE;

		gva += e->offset;
		expect_pf(t, 0, e->access, gva, addr_gva2gpa(t->vm, gva), &ev);
		/* The page is as it was; the instruction did not get further. */
		TEST_ASSERT_EQ(t->guest[0]->done + 1, t->guest[0]->go);
		kvmi_continue(&t->tool, &ev);
	}
}

TEST_F_TIMEOUT(kvmi_pf_implied, is_reported, KVMI_TEST_TIMEOUT_S)
{
	const struct form *form = &forms[variant->n];
	struct kvmi_test *t = &self->t;
	struct area a = add_area(t, NR_PAGES);

	REQUIRE_NO_ACCESS(t);
	kvmi_set_guest(t, 0, guest_forms);
	set_ldtr(t, &a);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access_range(t, a.gpa / PAGE, NR_PAGES, 0));
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, t->vm->arch.gdt), 0));
	for (int i = 0; i < 3; i++) {
		set_descriptors(t, &a);
		set_operands(t, &a, variant->n);
		kvmi_step_begin(t, 0);
		expect_events(t, &a, form);
		kvmi_step_end(t, 0);
		kvmi_expect_no_event(&t->tool, 0);
	}
}

/* --- what the guest's page tables say comes first --- */

#define SEL_USER_DATA	0x2b

static struct kvmi_guest *implied_guest;

static void on_page_fault(struct ex_regs *regs)
{
	implied_guest->val[NR_PF]++;
	regs->rip = (__u64)behind[implied_guest->val[FORM]];
}

KVMI_TEST_SUITE(kvmi_pf_rights, 1);

static struct area prepare(struct kvmi_test *t)
{
	struct area a = add_area(t, NR_PAGES);

	vm_install_exception_handler(t->vm, PF_VECTOR, on_page_fault);
	implied_guest = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, implied_guest);
	set_descriptors(t, &a);
	return a;
}

/* Take a bit from the page table entry of a page that the guest has not used yet. */
static void clear_bit_of_page(struct kvmi_test *t, __u64 gva, __u64 bit)
{
	*vm_get_page_table_entry(t->vm, gva) &= ~bit;
}

static void expect_page_fault(struct kvmi_test *t, const struct area *a, int form)
{
	__u64 *nr = &t->guest[0]->val[NR_PF], before = *nr;

	set_operands(t, a, form);
	kvmi_step_begin(t, 0);
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(*nr, before + 1);
}

KVMI_TEST(kvmi_pf_rights, read_only_page, guest_forms)
{
	int was = kvmi_force_emulation(1);
	struct kvm_sregs sregs;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = prepare(t);
	clear_bit_of_page(t, a.gva + OP * PAGE, PTE_WRITABLE_MASK);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.cr0 |= X86_CR0_WP;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa + OP * PAGE, ACCESS_R));
	for (int i = 0; i < 3; i++) {
		expect_page_fault(t, &a, NR_store);
		expect_page_fault(t, &a, NR_sgdt);
		expect_page_fault(t, &a, NR_cmpxchg);
	}
	kvmi_force_emulation(was);
}

/* At CPL 3, too, the processor reads descriptors as CPL 0. */
KVMI_TEST(kvmi_pf_rights, page_of_the_kernel, guest_forms)
{
	static const struct form load_es = { .events = { R(GDT, SEL_USER_DATA & ~7) } };
	int was = kvmi_force_emulation(1);
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = prepare(t);
	kvmi_user_mode(t, 0);
	clear_bit_of_page(t, a.gva + OP * PAGE, PTE_USER_MASK);
	clear_bit_of_page(t, t->vm->arch.gdt, PTE_USER_MASK);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa + OP * PAGE, 0));
	for (int i = 0; i < 3; i++) {
		expect_page_fault(t, &a, NR_store);
		expect_page_fault(t, &a, NR_add);
		expect_page_fault(t, &a, NR_cmpxchg);
	}
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, t->vm->arch.gdt), 0));
	for (int i = 0; i < 3; i++) {
		set_operands(t, &a, NR_load_es);
		t->guest[0]->val[AX] = SEL_USER_DATA;
		kvmi_step_begin(t, 0);
		expect_events(t, &a, &load_es);
		kvmi_step_end(t, 0);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_force_emulation(was);
}

KVMI_TEST_MAIN()
