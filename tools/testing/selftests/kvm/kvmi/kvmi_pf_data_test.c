// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a reply to the page fault event carries: data in place of memory, and the wish
 * to hear no more of the instruction.
 */
#include "kvmi_pf_guest.h"
#include "kvmi_test_harness.h"

#define NR_PAGES	6
#define SUPPLIED	0xa1b2c3d4e5f60718ull

KVMI_TEST_SUITE(kvmi_pf_data, 1);

/* Answer with @size bytes at @gva, each 8 of them @val. */
static void supply(struct kvmi_test *t, const struct kvmi_event_msg *ev, __u64 gva, __u32 size,
		   __u64 val)
{
	struct kvmi_vcpu_event_pf_reply reply = { .ctx_addr = gva, .ctx_size = size };

	for (int i = 0; i < sizeof(reply.ctx_data); i++)
		reply.ctx_data[i] = val >> 8 * (i % 8);
	reply_pf(t, ev, KVMI_EVENT_ACTION_CONTINUE, &reply);
}

/* The memory has something else, which stays. */
static struct area start_reads(struct kvmi_test *t)
{
	struct area a = add_area(t, NR_PAGES);

	memset(a.hva, 0x11, NR_PAGES * PAGE);
	start_restricted(t, &a, 0);
	return a;
}

#define MEMORY	0x1111111111111111ull

/* Where the data begin and end, as seen from 8 bytes that are read. */
static const struct { int begin, size; bool used; } ranges[] = {
	{ 0, 8, true }, { -8, 16, true }, { -248, 256, true }, { 0, 256, true }, { -3, 11, true },
	{ 0, 7, false }, { 1, 8, false }, { -8, 8, false }, { -8, 15, false }, { 8, 8, false },
	{ -256, 256, false }, { 0, 0, false },
};

KVMI_TEST(kvmi_pf_data, whole_reads_only, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a;
	__u64 at;

	REQUIRE_NO_ACCESS(t);
	a = start_reads(t);
	for (int i = 0; i < ARRAY_SIZE(ranges); i++) {
		at = 0x800 + 0x10 * i;
		begin_insn(t, LOAD, a.gva + at, 0);
		expect_pf(t, 0, ACCESS_R, a.gva + at, a.gpa + at, &ev);
		supply(t, &ev, a.gva + at + ranges[i].begin, ranges[i].size, SUPPLIED);
		end_insn(t);
		if (!ranges[i].used)
			TEST_ASSERT_EQ(t->guest[0]->val[RESULT], MEMORY);
		else if (!(ranges[i].begin % 8))
			TEST_ASSERT_EQ(t->guest[0]->val[RESULT], SUPPLIED);
		else
			TEST_ASSERT(t->guest[0]->val[RESULT] != MEMORY, "range %d: memory", i);
		TEST_ASSERT_EQ(word(&a, at), MEMORY);
		kvmi_expect_no_event(&t->tool, 0);
	}
}

/* The processor itself reads memory, whatever the reply brings. */
KVMI_TEST(kvmi_pf_data, not_for_the_processor, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	REQUIRE_PF_STEP(t);
	a = start_reads(t);
	for (int i = 0; i < 3; i++) {
		begin_insn(t, PADDD, a.gva + 16, 0);
		expect_pf(t, 0, ACCESS_R, host_cpu_is_intel ? a.gva + 16 : ~0ull, a.gpa + 16, &ev);
		supply(t, &ev, a.gva + 16, 16, SUPPLIED);
		end_insn(t);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], INSN_RAX + MEMORY);
		/* Nothing is left for the next one, either. */
		begin_insn(t, LOAD, a.gva + 16, 0);
		expect_pf(t, 0, ACCESS_R, a.gva + 16, a.gpa + 16, &ev);
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], MEMORY);
	}
}

/* The next execution is an access of its own: nothing is left of the data. */
KVMI_TEST(kvmi_pf_data, for_this_instruction, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = start_reads(t);
	for (int i = 0; i < 2; i++) {
		begin_insn(t, LOAD, a.gva, 0);
		expect_pf(t, 0, ACCESS_R, a.gva, a.gpa, &ev);
		supply(t, &ev, a.gva, 8, SUPPLIED);
		end_insn(t);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], SUPPLIED);
		begin_insn(t, LOAD, a.gva, 0);
		expect_pf(t, 0, ACCESS_R, a.gva, a.gpa, &ev);
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], MEMORY);
	}
	/* After RETRY, too. */
	begin_insn(t, LOAD, a.gva, 0);
	expect_pf(t, 0, ACCESS_R, a.gva, a.gpa, &ev);
	{
		struct kvmi_vcpu_event_pf_reply reply = { .ctx_addr = a.gva, .ctx_size = 8 };

		reply_pf(t, &ev, KVMI_EVENT_ACTION_RETRY, &reply);
	}
	expect_pf(t, 0, ACCESS_R, a.gva, a.gpa, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], MEMORY);
}

/* A reply may end anywhere; the rest is zeros. */
KVMI_TEST(kvmi_pf_data, short_replies, guest_insns)
{
	struct kvmi_vcpu_event_pf_reply reply;
	struct kvmi_event_msg ev;
	struct area a;
	__u64 want;

	REQUIRE_NO_ACCESS(t);
	a = start_reads(t);
	for (int size = 0; size <= 16 + 9; size++) {
		reply = (struct kvmi_vcpu_event_pf_reply) { .ctx_addr = a.gva, .ctx_size = 8 };
		memset(reply.ctx_data, 0xff, sizeof(reply.ctx_data));
		begin_insn(t, LOAD, a.gva, 0);
		expect_pf(t, 0, ACCESS_R, a.gva, a.gpa, &ev);
		kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_CONTINUE, &reply, size);
		end_insn(t);
		if (size <= 8)
			want = MEMORY;
		else if (size <= 16)
			want = 0;
		else
			want = size < 24 ? BIT_ULL(8 * (size - 16)) - 1 : ~0ull;
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], want);
	}
}

/* A word across two pages, supplied in one piece: the second page is read as well. */
KVMI_TEST(kvmi_pf_data, across_pages, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = start_reads(t);
	begin_insn(t, LOAD, a.gva + PAGE - 3, 0);
	expect_pf(t, 0, ACCESS_R, a.gva + PAGE - 3, a.gpa + PAGE - 3, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_pf(t, 0, ACCESS_R, a.gva + PAGE, a.gpa + PAGE, &ev);
	supply(t, &ev, a.gva + PAGE - 3, 8, SUPPLIED);
	end_insn(t);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], SUPPLIED);
	kvmi_expect_no_event(&t->tool, 0);
}

static void one_read(struct kvmi_test *t, struct area *a, int insn, __u64 val)
{
	struct kvmi_event_msg ev;

	begin_insn(t, insn, a->gva, 0);
	expect_pf(t, 0, ACCESS_R, a->gva, a->gpa, &ev);
	supply(t, &ev, a->gva, 8, val);
}

static void then_write(struct kvmi_test *t, __u64 gva, __u64 gpa)
{
	struct kvmi_event_msg ev;

	expect_pf(t, 0, ACCESS_W, gva, gpa, &ev);
	kvmi_continue(&t->tool, &ev);
}

KVMI_TEST(kvmi_pf_data, instructions_that_read, guest_insns)
{
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = start_reads(t);
	one_read(t, &a, CMP, 5);
	end_insn(t);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 1);
	one_read(t, &a, CMP, 6);
	end_insn(t);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0);
	one_read(t, &a, ADD_RAX, 5);
	end_insn(t);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], INSN_RAX + 5);
	TEST_ASSERT_EQ(word(&a, 0), MEMORY);
}

/* What is written comes from what was supplied, whatever the memory has. */
KVMI_TEST(kvmi_pf_data, instructions_that_read_and_write, guest_insns)
{
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = start_reads(t);
	one_read(t, &a, ADD, 99);
	then_write(t, a.gva, a.gpa);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 0), 100);

	one_read(t, &a, LOCK_ADD, 199);
	then_write(t, a.gva, a.gpa);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 0), 200);

	/* Equal to what it expects, by the tool's word. */
	one_read(t, &a, CMPXCHG, 5);
	then_write(t, a.gva, a.gpa);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 0), a.gva);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 5);

	one_read(t, &a, MOVSQ, SUPPLIED);
	then_write(t, a.gva + 3 * PAGE, a.gpa + 3 * PAGE);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 3 * PAGE), SUPPLIED);
	TEST_ASSERT_EQ(word(&a, 0), a.gva);
	TEST_ASSERT_EQ(word(&a, 8), MEMORY);
}

/* Data that come with the second of two operands serve the instruction's later reads. */
KVMI_TEST(kvmi_pf_data, rep_with_data, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = start_reads(t);
	begin_insn(t, REP_MOVSB, a.gva, 16);
	expect_pf(t, 0, ACCESS_R, a.gva, a.gpa, &ev);
	{
		struct kvmi_vcpu_event_pf_reply reply = {
			.ctx_addr = a.gva, .ctx_size = 8, .rep_complete = 1,
		};

		memset(reply.ctx_data, 0x22, 8);
		reply_pf(t, &ev, KVMI_EVENT_ACTION_CONTINUE, &reply);
	}
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(word(&a, 3 * PAGE), 0x2222222222222222ull);
	TEST_ASSERT_EQ(word(&a, 3 * PAGE + 8), MEMORY);
	TEST_ASSERT_EQ(word(&a, 0), MEMORY);
}

/* --- rep_complete --- */

static void complete(struct kvmi_test *t, const struct kvmi_event_msg *ev)
{
	struct kvmi_vcpu_event_pf_reply reply = { .rep_complete = 1 };

	reply_pf(t, ev, KVMI_EVENT_ACTION_CONTINUE, &reply);
}

/* One event, how long it may take; and the next one is a new one. */
static void rep_once(struct kvmi_test *t, struct area *a, int insn, int n)
{
	__u8 access = insn == REP_STOSB ? ACCESS_W : ACCESS_R;
	__u64 to = insn == REP_STOSB ? 0 : 3 * PAGE;
	struct kvmi_event_msg ev;

	for (int i = 0; i < 3; i++) {
		memset(a->hva + to, 0, 8192);
		begin_insn(t, insn, a->gva, n);
		expect_pf(t, 0, access, a->gva, a->gpa, &ev);
		complete(t, &ev);
		end_insn(t);
		kvmi_expect_no_event(&t->tool, 0);
		TEST_ASSERT(a->hva[to] && a->hva[to + n - 1] && !a->hva[to + n],
			    "%d bytes are not copied", n);
	}
}

KVMI_TEST(kvmi_pf_data, rep_complete, guest_insns)
{
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = start_reads(t);
	rep_once(t, &a, REP_STOSB, 3);
	rep_once(t, &a, REP_MOVSB, 3);
	rep_once(t, &a, REP_STOSB, 5000);
	rep_once(t, &a, REP_MOVSB, 5000);
}

/* Only writes are restricted, which any processor can. */
KVMI_TEST(kvmi_pf_data, rep_complete_of_writes, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	rep_once(t, &a, REP_STOSB, 3);
	rep_once(t, &a, REP_STOSB, 5000);
}

/* The tool has heard enough in the middle. */
KVMI_TEST(kvmi_pf_data, rep_complete_later, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	begin_insn(t, REP_STOSB, a.gva, 5000);
	for (int i = 0; i < 10; i++) {
		expect_pf(t, 0, ACCESS_W, a.gva + i, a.gpa + i, &ev);
		if (i < 9)
			kvmi_continue(&t->tool, &ev);
	}
	complete(t, &ev);
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(a.hva[4999], INSN_BYTE);
}

/* The instruction is over: the next one is another, though no register has changed. */
KVMI_TEST(kvmi_pf_data, complete_is_for_one_instruction, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	for (int i = 0; i < 3; i++) {
		begin_insn(t, TWO_STORES, a.gva, 0);
		expect_pf(t, 0, ACCESS_W, a.gva, a.gpa, &ev);
		complete(t, &ev);
		expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
		complete(t, &ev);
		end_insn(t);
	}
	for (int n = 3; n <= 5000; n += 4997) {
		begin_insn(t, REP_STOSB_STORE, a.gva, n);
		expect_pf(t, 0, ACCESS_W, a.gva, a.gpa, &ev);
		complete(t, &ev);
		expect_pf(t, 0, ACCESS_W, a.gva + n, a.gpa + n, &ev);
		complete(t, &ev);
		end_insn(t);
	}
}

/* A signal on the way through a long one does not bring the events back. */
KVMI_TEST(kvmi_pf_data, complete_and_signals, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	for (int i = 0; i < 10; i++) {
		begin_insn(t, REP_STOSB, a.gva, 4 * PAGE);
		expect_pf(t, 0, ACCESS_W, a.gva, a.gpa, &ev);
		kvmi_worker_interrupt(&t->worker[0]);
		complete(t, &ev);
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_worker_interrupt(&t->worker[0]);
		end_insn(t);
		kvmi_expect_no_event(&t->tool, 0);
	}
}

KVMI_TEST_MAIN()
