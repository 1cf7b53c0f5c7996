// SPDX-License-Identifier: GPL-2.0-only
/* Replies to the page fault event: its actions, and those that break the rules. */
#include "kvmi_pf_guest.h"
#include "kvmi_test_harness.h"

#define NR_PAGES	6

KVMI_TEST_SUITE(kvmi_pf_reply, 1);

/* --- actions --- */

/* The page stays as it is: the next access is reported, too. */
KVMI_TEST(kvmi_pf_reply, continue, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	for (int i = 1; i <= 3; i++) {
		begin_insn(t, ADD, a.gva + 8, 0);
		expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
		TEST_ASSERT_EQ(word(&a, 8), i - 1);
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		TEST_ASSERT_EQ(word(&a, 8), i);
		TEST_ASSERT_EQ(get_access(t, a.gpa), ACCESS_R);
	}
}

KVMI_TEST(kvmi_pf_reply, retry_with_the_right_to_write, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	begin_insn(t, ADD, a.gva + 8, 0);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
	retry_pf(t, &ev);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 8), 1);
	run_insn(t, ADD, a.gva + 8, 0);
	TEST_ASSERT_EQ(word(&a, 8), 2);
}

/* Read and write of the same instruction: the second one is retried. */
KVMI_TEST(kvmi_pf_reply, retry_begins_anew, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;
	__u64 rip;

	REQUIRE_PAGE_ACCESS(t);
	if (!(pf_features(t) & KVMI_PAGE_ACCESS_NONE))
		SKIP_CASE("this processor cannot take away the right to read");
	start_restricted(t, &a, 0);
	begin_insn(t, ADD, a.gva + 8, 0);
	for (int i = 0; i < 3; i++) {
		expect_pf(t, 0, ACCESS_R, a.gva + 8, a.gpa + 8, &ev);
		rip = ev.ev.arch.regs.rip;
		kvmi_continue(&t->tool, &ev);
		expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
		TEST_ASSERT_EQ(ev.ev.arch.regs.rip, rip);
		retry_pf(t, &ev);
	}
	for (int i = 0; i < 3; i++) {
		expect_pf(t, 0, ACCESS_R, a.gva + 8, a.gpa + 8, &ev);
		retry_pf(t, &ev);
	}
	expect_pf(t, 0, ACCESS_R, a.gva + 8, a.gpa + 8, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 8), 1);
}

/* KVM's emulator reads, and finds only then that it lacks this form of the instruction. */
KVMI_TEST(kvmi_pf_reply, lifted_before_the_fault_is_reported, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	if (!(pf_features(t) & KVMI_PAGE_ACCESS_NONE))
		SKIP_CASE("this processor cannot take away the right to read");
	start_restricted(t, &a, 0);
	begin_insn(t, CMPXCHG16B, a.gva + 16, 0);
	expect_pf(t, 0, ACCESS_R, a.gva + 16, a.gpa + 16, &ev);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
	kvmi_continue(&t->tool, &ev);
	KVMI_WAIT((kvmi_expect_no_event(&t->tool, 0), t->guest[0]->done == t->guest[0]->go),
		  "the guest does not finish its step");
	TEST_ASSERT_EQ(word(&a, 16), 7);
}

/* The tool goes past the instruction, and sets what it would have read. */
KVMI_TEST(kvmi_pf_reply, retry_behind_the_instruction, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	begin_insn(t, ADD, a.gva + 8, 0);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	regs = ev.ev.arch.regs;
	TEST_ASSERT_EQ(regs.rip, (__u64)insn_begin[ADD]);
	regs.rip = (__u64)insn_end[ADD];
	regs.rax = 0x4711;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	retry_pf(t, &ev);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 8), 0);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0x4711);
}

/* The instruction takes place, and then the registers are set. */
KVMI_TEST(kvmi_pf_reply, continue_with_registers, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	begin_insn(t, ADD, a.gva + 8, 0);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	regs = ev.ev.arch.regs;
	regs.rax = 0x4711;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 8), 1);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0x4711);
}

/* The processor executes it in a step view; SVM does not tell the address. */
static void expect_step_pf(struct kvmi_test *t, __u8 access, const struct area *a, __u64 at,
			   struct kvmi_event_msg *ev)
{
	expect_pf(t, 0, access, host_cpu_is_amd ? ~0ull : a->gva + at, a->gpa + at, ev);
}

KVMI_TEST(kvmi_pf_reply, continue_a_step_with_registers, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	REQUIRE_PF_STEP(t);
	REQUIRE_NO_ACCESS(t);
	memset(a.hva, 1, NR_PAGES * PAGE);
	memset(a.hva + PAGE, 2, PAGE);
	start_restricted(t, &a, 0);
	begin_insn(t, PADDD, a.gva, 0);
	expect_step_pf(t, ACCESS_R, &a, 0, &ev);
	regs = ev.ev.arch.regs;
	regs.rsi = a.gva + PAGE;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], INSN_RAX + 0x0101010101010101ull);
}

/* It begins anew, with nothing open. */
KVMI_TEST(kvmi_pf_reply, retry_a_step, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	__u64 at = PAGE - 4;

	REQUIRE_PF_STEP(t);
	start_restricted(t, &a, ACCESS_R);
	begin_insn(t, MOVLPS, a.gva + at, 0);
	for (int i = 0; i < 2; i++) {
		struct kvmi_event_msg ev;

		expect_step_pf(t, ACCESS_W, &a, at, &ev);
		kvmi_continue(&t->tool, &ev);
		expect_step_pf(t, ACCESS_W, &a, PAGE, &ev);
		if (i)
			kvmi_continue(&t->tool, &ev);
		else
			retry_pf(t, &ev);
	}
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(word(&a, at), INSN_RAX);
}

KVMI_TEST(kvmi_pf_reply, crash, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	begin_insn(t, ADD, a.gva + 8, 0);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	kvmi_expect_crash(t, 0, &ev);
	TEST_ASSERT_EQ(word(&a, 8), 0);
}

/* Nobody wants to know: it happens, and the page stays restricted. */
KVMI_TEST(kvmi_pf_reply, event_switched_off, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	start_restricted(t, &a, ACCESS_R);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_PF, 0));
	run_insn(t, ADD, a.gva + 8, 0);
	run_insn(t, REP_STOSB, a.gva + 0x100, 5000);
	TEST_ASSERT_EQ(word(&a, 8), 1);
	TEST_ASSERT_EQ(a.hva[0x100 + 4999], INSN_BYTE);
	TEST_ASSERT_EQ(a.hva[0x100 + 5000], 0);
	TEST_ASSERT_EQ(get_access(t, a.gpa), ACCESS_R);
	/* The VMM does not allow it: the same. */
	enable_pf(t, 0);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_PF, 0), 0);
	run_insn(t, ADD, a.gva + 8, 0);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_PF, 1), 0);
	begin_insn(t, ADD, a.gva + 8, 0);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 8), 3);
}

/*
 * What KVM emulates for another reason begins anew, too: nothing is left of an
 * instruction that did the same.
 */
KVMI_TEST(kvmi_pf_reply, emulated_for_another_reason, guest_insns)
{
	const struct kvmi_vcpu_event_pf_reply complete = { .rep_complete = 1 };
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	start_restricted(t, &a, ACCESS_R);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_DESCRIPTOR, 1));
	for (int i = 0; i < 4; i++) {
		begin_insn(t, STORE, a.gva, 0);
		expect_pf(t, 0, ACCESS_W, a.gva, a.gpa, &ev);
		reply_pf(t, &ev, KVMI_EVENT_ACTION_CONTINUE, &complete);
		end_insn(t);
		for (int n = 0; n < 2; n++) {
			begin_insn(t, SGDT, a.gva, 0);
			kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_DESCRIPTOR, &ev);
			kvmi_continue(&t->tool, &ev);
			expect_pf(t, 0, ACCESS_W, a.gva, a.gpa, &ev);
			if (i & 1)
				reply_pf(t, &ev, KVMI_EVENT_ACTION_CONTINUE, &complete);
			else
				kvmi_continue(&t->tool, &ev);
			end_insn(t);
			kvmi_expect_no_event(&t->tool, 0);
		}
	}
}

/* --- replies that break the rules --- */

struct pf_reply_msg {
	struct kvmi_msg_hdr hdr;
	struct kvmi_vcpu_hdr vcpu;
	struct kvmi_event_reply reply;
	struct kvmi_vcpu_event_pf_reply data;
	__u8 more[8];
};

FIXTURE(kvmi_pf_bad) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_bad) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_bad) { kvmi_test_teardown(&self->t); }
FIXTURE_VARIANT(kvmi_pf_bad) { void (*damage)(struct pf_reply_msg *r); };

#define BAD(name, statement)							\
static void damage_##name(struct pf_reply_msg *r) { statement; }		\
FIXTURE_VARIANT_ADD(kvmi_pf_bad, name) { .damage = damage_##name }

BAD(action_3, r->reply.action = 3);
BAD(action_255, r->reply.action = 255);
BAD(padding1, r->reply.padding1 = 1);
BAD(padding2, r->reply.padding2 = 1);
BAD(data_padding1, r->data.padding1 = 0x80);
BAD(data_padding2, r->data.padding2 = 0x8000);
BAD(ctx_size_257, r->data.ctx_size = 257);
BAD(ctx_size_huge, r->data.ctx_size = 0x80000000);
BAD(rep_complete_2, r->data.rep_complete = 2);
BAD(rep_complete_255, r->data.rep_complete = 255);
BAD(one_byte_long, r->hdr.size++);
BAD(eight_bytes_long, r->hdr.size += 8);
BAD(retry_with_bad_data, r->reply.action = KVMI_EVENT_ACTION_RETRY; r->data.padding1 = 1);
BAD(crash_with_bad_data, r->reply.action = KVMI_EVENT_ACTION_CRASH; r->data.ctx_size = 1000);

TEST_F_TIMEOUT(kvmi_pf_bad, closes_the_connection, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;
	struct pf_reply_msg r = { };

	REQUIRE_PAGE_ACCESS(t);
	kvmi_set_guest(t, 0, guest_insns);
	wait_for_the_event(t, &a, &ev);
	r.hdr.id = KVMI_VCPU_EVENT_REPLY;
	r.hdr.size = sizeof(r.vcpu) + sizeof(r.reply) + sizeof(r.data);
	r.hdr.seq = ev.hdr.seq;
	variant->damage(&r);
	TEST_ASSERT(kvmi_write(&t->tool, &r, sizeof(r.hdr) + r.hdr.size), "closed");
	kvmi_expect_closed(&t->tool);
	expect_released(t, &a);
}

KVMI_TEST_MAIN()
