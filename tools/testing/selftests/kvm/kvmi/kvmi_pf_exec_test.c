// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that must not be executed: one event for each instruction there, which then
 * does what it always does.
 */
#include "kvmi_pf_code.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_pf_exec, 1);

static void run_simple_function(struct kvmi_test *t, __u8 access)
{
	struct code c = simple_function();
	struct area a = add_area(t, NR_PAGES);

	run(t);
	prepare(t, &a, &c, 0x123);
	KVMI_ASSERT_OK(set_access(t, a.gpa, access));
	for (int i = 0; i < 3; i++) {
		*(__u64 *)(a.hva + DATA + 8) = 0;
		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0x123, 0, c.nr);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 6);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], 0xabcdef);
		TEST_ASSERT_EQ(*(__u64 *)(a.hva + DATA + 8), RAX + 6);
	}
	/* Without the event, and without the restriction. */
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_PF, 0));
	kvmi_step_begin(t, 0);
	finish(t);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
	kvmi_step_begin(t, 0);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 6);
}

KVMI_TEST(kvmi_pf_exec, each_instruction, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	run_simple_function(t, ACCESS_RW);
}

KVMI_TEST(kvmi_pf_exec, each_instruction_of_a_page_without_access, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	if (!(pf_features(t) & KVMI_PAGE_ACCESS_NONE))
		SKIP_CASE("this processor cannot take away the right to read");
	run_simple_function(t, 0);
}

/* The page is mapped because the guest has read and written there. */
KVMI_TEST(kvmi_pf_exec, mapped_for_its_data, guest_calls)
{
	struct code data = { }, c = { };
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	run(t);
	INSN(&data, LOAD_RDX);
	INSN(&data, STORE_RAX);
	INSN(&data, RET);
	INSN(&c, INC_RAX);
	INSN(&c, RET);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	for (int i = 0; i < 3; i++) {
		prepare(t, &a, &data, PAGE);
		t->guest[0]->val[SI] = a.gva + 0x800;
		t->guest[0]->val[DI] = a.gva + 0x800;
		kvmi_step_begin(t, 0);
		finish(t);
		TEST_ASSERT_EQ(*(__u64 *)(a.hva + 0x800), RAX);
		prepare(t, &a, &c, 0x100);
		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0x100, 0, c.nr);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 1);
	}
}

/* RIP of the event, when the tool goes elsewhere. */
KVMI_TEST(kvmi_pf_exec, tool_skips_instructions, guest_calls)
{
	struct code c = simple_function();
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	run(t);
	prepare(t, &a, &c, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	kvmi_step_begin(t, 0);
	for (int i = 0; i < 3; i++) {
		expect_pf(t, 0, ACCESS_X, a.gva, a.gpa, &ev);
		retry_pf(t, &ev);
	}
	expect_pf(t, 0, ACCESS_X, a.gva, a.gpa, &ev);
	ev.ev.arch.regs.rip = a.gva + c.begin[c.nr - 1];
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &ev.ev.arch.regs));
	retry_pf(t, &ev);
	expect_exec(t, &a, c.begin[c.nr - 1]);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX);
}

/* --- across two pages --- */

FIXTURE(kvmi_pf_cross) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_cross) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_cross) { kvmi_test_teardown(&self->t); }
FIXTURE_VARIANT(kvmi_pf_cross) { bool first, second; };
FIXTURE_VARIANT_ADD(kvmi_pf_cross, first) { .first = true };
FIXTURE_VARIANT_ADD(kvmi_pf_cross, second) { .second = true };
FIXTURE_VARIANT_ADD(kvmi_pf_cross, both) { .first = true, .second = true };

static void cross(struct kvmi_test *t, const struct code *c, int before, bool first, bool second)
{
	struct area a = add_area(t, NR_PAGES);
	__u64 offset = PAGE - c->begin[1] - before;

	run(t);
	prepare(t, &a, c, offset);
	KVMI_ASSERT_OK(set_access(t, a.gpa, first ? ACCESS_RW : ACCESS_RWX));
	KVMI_ASSERT_OK(set_access(t, a.gpa + PAGE, second ? ACCESS_RW : ACCESS_RWX));
	for (int i = 0; i < 3; i++) {
		kvmi_step_begin(t, 0);
		if (first)
			expect_insns(t, &a, c, offset, 0, 2);
		if (second) {
			expect_exec(t, &a, PAGE);
			expect_insns(t, &a, c, offset, 2, c->nr);
		}
		finish(t);
	}
}

TEST_F_TIMEOUT(kvmi_pf_cross, emulated, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct code c = { };

	REQUIRE_PAGE_ACCESS(t);
	kvmi_set_guest(t, 0, guest_calls);
	INSN(&c, INC_RAX);
	INSN(&c, MOV64_RDX);
	INSN(&c, RET);
	cross(t, &c, 3, variant->first, variant->second);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 1);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], 0x0807060504030201ull);
}

TEST_F_TIMEOUT(kvmi_pf_cross, not_emulated, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct code c = { };

	REQUIRE_PF_STEP(t);
	kvmi_set_guest(t, 0, guest_sse_calls);
	INSN(&c, INC_RAX);
	INSN(&c, PADDD_MEM);
	INSN(&c, RET);
	cross(t, &c, 2, variant->first, variant->second);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 1);
}

/* --- code that writes --- */

/* The instruction behind changes: what it adds. */
KVMI_TEST(kvmi_pf_exec, self_modifying, guest_calls)
{
	struct code c = { };
	struct kvmi_event_msg ev;
	struct area a;
	__u64 at;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	run(t);
	INSN(&c, STORE_AL);
	INSN(&c, ADD5_RAX);
	INSN(&c, RET);
	prepare(t, &a, &c, 0x40);
	at = 0x40 + c.begin[1] + 3;
	t->guest[0]->val[DI] = a.gva + at;
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RX));
	for (int i = 0; i < 2; i++) {
		a.hva[at] = 5;
		kvmi_step_begin(t, 0);
		expect_pf(t, 0, ACCESS_W, a.gva + at, a.gpa + at, &ev);
		kvmi_continue(&t->tool, &ev);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + (RAX & 0xff));
	}
	/* The same where nothing but reading is left. */
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
	a.hva[at] = 5;
	kvmi_step_begin(t, 0);
	expect_exec(t, &a, 0x40);
	expect_pf(t, 0, ACCESS_W, a.gva + at, a.gpa + at, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_insns(t, &a, &c, 0x40, 1, c.nr);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + (RAX & 0xff));
}

/*
 * An operand in another page, as far from its begin as the instruction: what the
 * processor tells about the fetch is not about the operand.
 */
static void same_offset(struct kvmi_test *t, bool reported, bool operand)
{
	struct area a = add_area(t, NR_PAGES);
	__u8 before[PAGE];
	struct code c = { };

	run(t);
	if (!reported)
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_PF, 0));
	INSN(&c, STORE_RAX);
	INSN(&c, LOAD_RDX);
	INSN(&c, RET);
	prepare(t, &a, &c, 0x48);
	t->guest[0]->val[DI] = a.gva + DATA + 0x48;
	t->guest[0]->val[SI] = a.gva + DATA + 0x48 + c.begin[1];
	*(__u64 *)(a.hva + DATA + 0x48 + c.begin[1]) = 0;
	memcpy(before, a.hva, PAGE);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	if (operand)
		KVMI_ASSERT_OK(set_access(t, a.gpa + DATA, ACCESS_R));
	for (int i = 0; i < 3; i++) {
		memset(a.hva + DATA, 0, PAGE);
		kvmi_step_begin(t, 0);
		if (reported) {
			expect_exec(t, &a, 0x48);
			if (operand) {
				struct kvmi_event_msg ev;

				expect_pf(t, 0, ACCESS_W, a.gva + DATA + 0x48,
					  a.gpa + DATA + 0x48, &ev);
				kvmi_continue(&t->tool, &ev);
			}
			expect_insns(t, &a, &c, 0x48, 1, c.nr);
		}
		finish(t);
		TEST_ASSERT(!memcmp(before, a.hva, PAGE), "the code has changed");
		TEST_ASSERT_EQ(*(__u64 *)(a.hva + DATA + 0x48), RAX);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], RAX >> 24);
	}
}

KVMI_TEST(kvmi_pf_exec, operand_at_the_same_offset, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	same_offset(t, true, false);
}

KVMI_TEST(kvmi_pf_exec, operand_at_the_same_offset_silently, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	same_offset(t, false, false);
}

KVMI_TEST(kvmi_pf_exec, restricted_operand_at_the_same_offset, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	same_offset(t, true, true);
}

KVMI_TEST(kvmi_pf_exec, restricted_operand_at_the_same_offset_silently, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	same_offset(t, false, true);
}

KVMI_TEST_MAIN()
