// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replies to events that break the rules. Each closes the connection; the
 * guest goes on as if the tool had said CONTINUE.
 */
#include "kvmi_test_harness.h"

struct bad_reply {
	struct kvmi_msg_hdr hdr;
	struct kvmi_vcpu_hdr vcpu;
	struct kvmi_event_reply reply;
	__u64 data[4];
};

FIXTURE(kvmi_bad_reply) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_bad_reply) { kvmi_test_setup(&self->t, 2); }
FIXTURE_TEARDOWN(kvmi_bad_reply) { kvmi_test_teardown(&self->t); }

/* What is wrong: one change to a good reply, or a message that nobody waits for. */
FIXTURE_VARIANT(kvmi_bad_reply) {
	void (*damage)(struct bad_reply *r);
	bool cr;		/* reply to a CR event, else to a PAUSE event */
	bool twice;		/* a good reply goes first */
	bool no_event;		/* nobody waits */
};

#define BAD(name, statement, ...)						\
static void damage_##name(struct bad_reply *r) { statement; }			\
FIXTURE_VARIANT_ADD(kvmi_bad_reply, name) {					\
	.damage = damage_##name, ##__VA_ARGS__					\
}

BAD(empty, r->hdr.size = 0);
BAD(vcpu_header_only, r->hdr.size = 8);
BAD(one_byte_short, r->hdr.size = 15);
BAD(one_byte_long, r->hdr.size = 17);
BAD(cr_one_byte_long, r->hdr.size = 25, .cr = true);
BAD(cr_far_too_long, r->hdr.size = 48, .cr = true);
BAD(sequence_number_too_high, r->hdr.seq++);
BAD(sequence_number_too_low, r->hdr.seq--);
BAD(sequence_number_zero, r->hdr.seq = 0);
BAD(no_such_vcpu, r->vcpu.vcpu = 2);
BAD(vcpu_far_out_of_range, r->vcpu.vcpu = 0xffff);
BAD(other_vcpu_does_not_wait, r->vcpu.vcpu = 1);
BAD(vcpu_header_padding1, r->vcpu.padding1 = 1);
BAD(vcpu_header_padding2, r->vcpu.padding2 = 0x80000000);
BAD(padding1, r->reply.padding1 = 0x100);
BAD(padding2, r->reply.padding2 = 1);
BAD(pause_retry, r->reply.action = KVMI_EVENT_ACTION_RETRY);
BAD(cr_retry, r->reply.action = KVMI_EVENT_ACTION_RETRY, .cr = true);
BAD(action_out_of_range, r->reply.action = 3);
BAD(action_255, r->reply.action = 255, .cr = true);
BAD(second_reply, (void)r, .twice = true);
BAD(cr_second_reply, (void)r, .cr = true, .twice = true);
BAD(nobody_waits, r->hdr.seq = 1, .no_event = true);

/* Writes CR3 in its first step; what it wrote must be there afterwards. */
static void guest_cr3(struct kvmi_guest *g)
{
	__u64 cr3 = get_cr3();

	g->val[0] = cr3;
	guest_wait(g, 1);
	set_cr3(cr3 | X86_CR3_PWT);
	g->val[1] = get_cr3();
	guest_done(g, 1);
	guest_spin(g);
}

TEST_F_TIMEOUT(kvmi_bad_reply, closes_the_connection, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct kvmi_event_msg ev = { };
	struct bad_reply r = { };

	for (int i = 0; i < t->nr_vcpus; i++)
		kvmi_set_guest(t, i, guest_cr3);
	kvmi_run_all(t);
	kvmi_expect_running(t, 0);
	if (variant->cr) {
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
		KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
		kvmi_step_begin(t, 0);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &ev);
	} else if (!variant->no_event) {
		KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	}

	r.hdr.id = KVMI_VCPU_EVENT_REPLY;
	r.hdr.size = sizeof(r.vcpu) + sizeof(r.reply) + (variant->cr ? 8 : 0);
	r.hdr.seq = ev.hdr.seq;
	r.reply.event = ev.ev.event;
	r.data[0] = variant->cr ? ev.cr.new_value : 0;
	if (variant->twice)
		TEST_ASSERT(kvmi_write(&t->tool, &r, sizeof(r.hdr) + r.hdr.size), "closed");
	variant->damage(&r);
	TEST_ASSERT(kvmi_write(&t->tool, &r, sizeof(r.hdr) + r.hdr.size), "closed");
	kvmi_expect_closed(&t->tool);

	/* Both vCPUs go on, and the write that was reported takes place. */
	if (!variant->cr)
		kvmi_step_begin(t, 0);
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[1], t->guest[0]->val[0] | X86_CR3_PWT);
	kvmi_expect_running(t, 0);
	kvmi_expect_running(t, 1);
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_no_event(&t->tool, 1);
}

/* What is not checked or has a default does not close the connection. */
KVMI_TEST_SUITE(kvmi_good_reply, 1);

static void pause_and_reply(struct kvmi_test *t, __u8 event)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	ev.ev.event = event;
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_CONTINUE, NULL, 0);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_good_reply, event_byte_is_not_checked, guest_spin)
{
	pause_and_reply(t, 0xff);
}

/* A reply needs no permission: it is no command. */
KVMI_TEST(kvmi_good_reply, needs_no_permission, guest_spin)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, -1, 0), 0);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, -1, 0), 0);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
}

/* The upper half of new_val is left out: CR3 is below 4 GiB in this guest. */
KVMI_TEST(kvmi_good_reply, short_data_are_zero_extended, guest_cr3)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	kvmi_step_begin(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &ev);
	TEST_ASSERT_EQ(ev.cr.new_value >> 32, 0);
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_CONTINUE, &ev.cr.new_value, 4);
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[1], t->guest[0]->val[0] | X86_CR3_PWT);
}

/* --- replies to a vCPU in userspace, kept for the instruction when it is run again ------ */

static void in_userspace(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	kvmi_step_begin(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, ev);
	kvmi_worker_stop(&t->worker[0]);
}

/* The same event comes once more, and this time takes its reply. */
static void expect_again(struct kvmi_test *t, const struct kvmi_event_msg *ev)
{
	struct kvmi_event_msg again;

	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &again);
	TEST_ASSERT_EQ(again.ev.arch.regs.rip, ev->ev.arch.regs.rip);
	TEST_ASSERT_EQ(again.cr.new_value, ev->cr.new_value);
	kvmi_continue(&t->tool, &again);
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[1], ev->cr.new_value);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Not when the tool changes a switch behind its reply. */
KVMI_TEST(kvmi_good_reply, not_kept_after_a_switch, guest_cr3)
{
	struct kvmi_vcpu_control_cr on = { .cr = 3, .enable = 1 };
	struct kvmi_event_msg ev;
	__u32 seq;

	in_userspace(t, &ev);
	kvmi_reply_cr(&t->tool, &ev, ev.cr.old_value);
	seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_CONTROL_CR, &on, sizeof(on));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_CONTROL_CR, seq, NULL, 0));
	expect_again(t, &ev);
}

/* Nor when the VMM has changed the guest, be it ZF: the tool did not see that one. */
KVMI_TEST(kvmi_good_reply, not_for_other_registers, guest_cr3)
{
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	in_userspace(t, &ev);
	regs = ev.ev.arch.regs;
	regs.rip = (vm_vaddr_t)guest_spin;
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_worker_stop(&t->worker[0]);
	vcpu_regs_get(t->vcpu[0], &regs);
	regs.rflags ^= BIT(6);
	vcpu_regs_set(t->vcpu[0], &regs);
	kvmi_reply_cr(&t->tool, &ev, ev.cr.old_value);
	kvmi_run(t, 0);
	expect_again(t, &ev);
}

KVMI_TEST_MAIN()
