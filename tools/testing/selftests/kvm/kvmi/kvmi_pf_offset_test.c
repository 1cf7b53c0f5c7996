// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two operands of an instruction at the same offset of different pages. The processor tells
 * the physical address of one: it must not be taken for the other's.
 */
#include "kvmi_pf.h"
#include "kvmi_test_harness.h"

/* In g->val. */
enum { INSN, OPERAND, STACK, RESULT, BEHIND };

enum { CALL, LOAD_ES };

#define OFFSET		0x7f8		/* of a pointer, and of where a call pushes */
#define SEL_DATA	0x100		/* of a descriptor that the host makes */

KVMI_TEST_SUITE(kvmi_pf_offset, 1);

static noinline __attribute__((noclone)) void guest_execute(struct kvmi_guest *g)
{
	__u64 rsp, result = 0, behind = 0;

	switch (g->val[INSN]) {
	case CALL:
		asm volatile("mov %%rsp, %[rsp]; mov %[stack], %%rsp\n\t"
			     "lea 2f(%%rip), %[behind]; lea 1f(%%rip), %[result]\n\t"
			     "cmpq $0, (%[operand]); jne 3f\n\t"
			     "mov %[result], (%[operand])\n\t"
			     "3: call *(%[operand])\n\t"
			     "2: ud2\n\t"
			     "1: mov %[rsp], %%rsp"
			     : [rsp] "=&r"(rsp), [behind] "+&r"(behind), [result] "+&r"(result)
			     : [stack] "r"(g->val[STACK]), [operand] "r"(g->val[OPERAND])
			     : "memory", "cc");
		break;
	case LOAD_ES:
		asm volatile("movw (%[operand]), %%es; mov %%es, %k[result]"
			     : [result] "+&r"(result) : [operand] "r"(g->val[OPERAND]) : "memory");
		break;
	}
	g->val[RESULT] = result;
	g->val[BEHIND] = behind;
}

static void guest_steps(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		guest_execute(g);
		guest_done(g, n);
	}
}

static void expect(struct kvmi_test *t, __u8 access, __u64 gva, __u64 gpa)
{
	struct kvmi_event_msg ev;

	expect_pf(t, 0, access, gva, gpa, &ev);
	kvmi_continue(&t->tool, &ev);
}

static void finish(struct kvmi_test *t)
{
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- CALL through memory --- */

/* The first page has the pointer, the second one is the stack. */
static struct area prepare_call(struct kvmi_test *t)
{
	struct area a = add_area(t, 2);
	struct kvmi_guest *g = t->guest[0];

	memset(a.hva, 0, 2 * PAGE);
	g->val[INSN] = CALL;
	g->val[OPERAND] = a.gva + OFFSET;
	g->val[STACK] = a.gva + PAGE + OFFSET + 8;
	kvmi_run(t, 0);
	enable_pf(t, 0);
	/* It learns where to go. */
	kvmi_step_begin(t, 0);
	finish(t);
	return a;
}

static void check_call(struct kvmi_test *t, const struct area *a)
{
	struct kvmi_guest *g = t->guest[0];

	TEST_ASSERT_EQ(*(__u64 *)(a->hva + OFFSET), g->val[RESULT]);
	TEST_ASSERT_EQ(*(__u64 *)(a->hva + PAGE + OFFSET), g->val[BEHIND]);
}

KVMI_TEST(kvmi_pf_offset, call_reads, guest_steps)
{
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = prepare_call(t);
	*(__u64 *)(a.hva + PAGE + OFFSET) = 0;
	KVMI_ASSERT_OK(set_access(t, a.gpa, 0));
	kvmi_step_begin(t, 0);
	/* CMPQ, then the call */
	expect(t, ACCESS_R, a.gva + OFFSET, a.gpa + OFFSET);
	expect(t, ACCESS_R, a.gva + OFFSET, a.gpa + OFFSET);
	finish(t);
	check_call(t, &a);
}

KVMI_TEST(kvmi_pf_offset, call_pushes, guest_steps)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = prepare_call(t);
	*(__u64 *)(a.hva + PAGE + OFFSET) = 0;
	KVMI_ASSERT_OK(set_access(t, a.gpa + PAGE, ACCESS_R));
	kvmi_step_begin(t, 0);
	expect(t, ACCESS_W, a.gva + PAGE + OFFSET, a.gpa + PAGE + OFFSET);
	finish(t);
	check_call(t, &a);
}

/* The last restriction goes while the tool is asked. */
KVMI_TEST(kvmi_pf_offset, call_pushes_freely, guest_steps)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = prepare_call(t);
	for (int i = 0; i < 2; i++) {
		*(__u64 *)(a.hva + PAGE + OFFSET) = 0;
		KVMI_ASSERT_OK(set_access(t, a.gpa, 0));
		kvmi_step_begin(t, 0);
		expect(t, ACCESS_R, a.gva + OFFSET, a.gpa + OFFSET);
		expect_pf(t, 0, ACCESS_R, a.gva + OFFSET, a.gpa + OFFSET, &ev);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
		kvmi_continue(&t->tool, &ev);
		finish(t);
		check_call(t, &a);
	}
}

/* --- a selector at the offset of its descriptor --- */

struct selector {
	struct area a;
	__u64 gva, gpa;		/* of the descriptor */
	__u64 offset;
};

static void prepare_selector(struct kvmi_test *t, struct selector *s)
{
	struct kvmi_guest *g = t->guest[0];
	__u64 *gdt;

	s->a = add_area(t, 1);
	s->gva = t->vm->arch.gdt + SEL_DATA;
	s->gpa = addr_gva2gpa(t->vm, s->gva);
	s->offset = s->gva & (PAGE - 1);
	memset(s->a.hva, 0, PAGE);
	*(__u16 *)(s->a.hva + s->offset) = SEL_DATA;
	gdt = addr_gva2hva(t->vm, s->gva);
	/* A flat data segment that has been accessed. */
	*gdt = 0x00cf93000000ffffull;
	g->val[INSN] = LOAD_ES;
	g->val[OPERAND] = s->a.gva + s->offset;
	kvmi_run(t, 0);
	enable_pf(t, 0);
}

static void load(struct kvmi_test *t, const struct selector *s, bool operand, bool descriptor)
{
	KVMI_ASSERT_OK(set_access(t, s->a.gpa, operand ? 0 : ACCESS_RWX));
	KVMI_ASSERT_OK(set_access(t, s->gpa, descriptor ? 0 : ACCESS_RWX));
	kvmi_step_begin(t, 0);
	if (operand)
		expect(t, ACCESS_R, s->a.gva + s->offset, s->a.gpa + s->offset);
	if (descriptor)
		expect(t, ACCESS_R, s->gva, s->gpa);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], SEL_DATA);
}

KVMI_TEST(kvmi_pf_offset, descriptor, guest_steps)
{
	struct selector s;

	REQUIRE_NO_ACCESS(t);
	prepare_selector(t, &s);
	for (int i = 0; i < 4; i++)
		load(t, &s, i & 1, i & 2);
}

KVMI_TEST_MAIN()
