// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_PAUSE: one event for each command, in every state of a vCPU. */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_pause, 1);
KVMI_TEST_SUITE(kvmi_pause_smp, 2);

static void expect_pause(struct kvmi_test *t, int i, struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_PAUSE, ev);
}

static void answer_pause(struct kvmi_test *t, int i)
{
	struct kvmi_event_msg ev;

	expect_pause(t, i, &ev);
	kvmi_continue(&t->tool, &ev);
}

static void one_event(struct kvmi_test *t, __u8 wait)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	for (int i = 0; i < 5; i++) {
		kvmi_expect_running(t, 0);
		KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, wait));
		expect_pause(t, 0, &ev);
		TEST_ASSERT_EQ(ev.ev.arch.mode, 8);
		TEST_ASSERT_EQ(ev.ev.arch.sregs.cr3, t->vm->pgd);
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_pause, one_event_without_wait, guest_spin)
{
	one_event(t, 0);
}

KVMI_TEST(kvmi_pause, one_event_with_wait, guest_spin)
{
	one_event(t, 1);
}

/* With wait=1 the guest stands still when the command is answered. */
KVMI_TEST(kvmi_pause, guest_stands_still, guest_spin)
{
	struct kvmi_vcpu_get_registers_reply before, after;
	struct kvmi_event_msg ev;
	__u64 count;

	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	count = READ_ONCE(t->guest[0]->count);
	expect_pause(t, 0, &ev);
	KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, &before));
	for (int i = 0; i < 100; i++)
		KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, &after));
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->count), count);
	TEST_ASSERT(!memcmp(&before.regs, &after.regs, sizeof(before.regs)) &&
		    !memcmp(&before.regs, &ev.ev.arch.regs, sizeof(before.regs)),
		    "registers of a paused vCPU change");
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_pause, several_pauses_several_events, guest_spin)
{
	kvmi_run(t, 0);
	for (int i = 0; i < 5; i++)
		KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, i & 1));
	for (int i = 0; i < 5; i++)
		answer_pause(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_running(t, 0);
}

/* The event comes after all other commands that wait for the vCPU. */
KVMI_TEST(kvmi_pause, event_comes_last, guest_spin)
{
	struct kvmi_vcpu_get_info_reply info;
	struct kvmi_vcpu_pause req = { };
	struct kvmi_event_msg ev;
	__u32 pause, first;

	pause = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_PAUSE, &req, sizeof(req));
	first = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_PAUSE, pause, NULL, 0));
	/* All three have been received: the vCPU may start. */
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_GET_INFO, first, &info, sizeof(info)));
	TEST_ASSERT(!t->tool.nr_events, "the pause event came before a reply");
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_GET_INFO, first + 1, &info, sizeof(info)));
	TEST_ASSERT(!t->tool.nr_events, "the pause event came before a reply");
	expect_pause(t, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_pause, limit, guest_spin)
{
	for (int i = 0; i < KVMI_MAX_PAUSE_REQUESTS; i++)
		KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, 0, 0), -KVM_EBUSY);
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, 0, 1), -KVM_EBUSY);
	kvmi_run(t, 0);
	/* One answered makes room for one. */
	answer_pause(t, 0);
	for (int i = 0; i < KVMI_MAX_PAUSE_REQUESTS - 1; i++)
		answer_pause(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	answer_pause(t, 0);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_pause, unhook_forgets_pauses, guest_spin)
{
	for (int i = 0; i < 3; i++)
		KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	kvmi_test_rehook(t);
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_pause, bad_wait, guest_spin)
{
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, 0, 2), -KVM_EINVAL);
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, 0, 255), -KVM_EINVAL);
	kvmi_run(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_pause, event_disallowed, guest_spin)
{
	int vm = t->vm->fd;

	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_PAUSE, 0), 0);
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, 0, 0), -KVM_EPERM);
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, 0, 1), -KVM_EPERM);
	kvmi_run(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_PAUSE, 1), 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	answer_pause(t, 0);
}

/* The switch of VCPU_CONTROL_EVENTS does not matter for this event. */
KVMI_TEST(kvmi_pause, event_switched_off, guest_spin)
{
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, 0));
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	answer_pause(t, 0);
	kvmi_expect_running(t, 0);
}

static void guest_one_sync(struct kvmi_guest *g)
{
	GUEST_SYNC1(1);
	guest_spin(g);
}

/* A vCPU in userspace is out of the guest: both kinds are answered at once. */
KVMI_TEST(kvmi_pause, vcpu_in_userspace, guest_one_sync)
{
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(kvmi_worker_wait_sync(&t->worker[0]), 1);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_expect_no_event(&t->tool, -1);
	kvmi_worker_go(&t->worker[0]);
	answer_pause(t, 0);
	answer_pause(t, 0);
	kvmi_expect_running(t, 0);
}

static void guest_halt(struct kvmi_guest *g)
{
	/* Nothing interrupts this guest: each return from HLT is a fault. */
	for (;;) {
		WRITE_ONCE(g->count, g->count + 1);
		asm volatile("sti; hlt; cli" : : : "memory");
	}
}

KVMI_TEST(kvmi_pause, halted_vcpu, guest_halt)
{
	struct kvmi_vcpu_get_registers_reply regs;
	struct kvmi_event_msg ev;
	__u64 rip = 0;

	kvmi_run(t, 0);
	KVMI_WAIT(READ_ONCE(t->guest[0]->count) == 1, "the guest does not start");
	for (int i = 0; i < 6; i++) {
		KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, i & 1));
		expect_pause(t, 0, &ev);
		kvmi_continue(&t->tool, &ev);
		KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, &regs));
		/* The first pause may come before the HLT. */
		if (i > 1)
			TEST_ASSERT_EQ(regs.regs.rip, rip);
		rip = regs.regs.rip;
	}
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->count), 1);
}

/* A vCPU that waits for its start-up interrupt is not started by a pause. */
KVMI_TEST(kvmi_pause_smp, vcpu_waits_for_sipi, guest_spin)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_UNINITIALIZED };
	struct kvmi_event_msg ev;

	vcpu_mp_state_set(t->vcpu[1], &state);
	kvmi_run_all(t);
	for (int i = 0; i < 4; i++) {
		KVMI_ASSERT_OK(kvmi_pause(&t->tool, 1, i & 1));
		expect_pause(t, 1, &ev);
		kvmi_expect_running(t, 0);
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_no_event(&t->tool, 1);
	}
	kvmi_worker_stop(&t->worker[1]);
	vcpu_mp_state_get(t->vcpu[1], &state);
	TEST_ASSERT_EQ(state.mp_state, KVM_MP_STATE_UNINITIALIZED);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[1]->count), 0);
}

KVMI_TEST(kvmi_pause_smp, one_vcpu_only, guest_spin)
{
	struct kvmi_event_msg ev;
	__u64 count;

	kvmi_run_all(t);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 1, 1));
	expect_pause(t, 1, &ev);
	count = READ_ONCE(t->guest[1]->count);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[1]->count), count);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 1);
}

/* As tools stop a VM: all vCPUs in one batch, answered in any order. */
KVMI_TEST(kvmi_pause_smp, all_vcpus, guest_spin)
{
	struct kvmi_event_msg ev[2], e;
	struct kvmi_vcpu_pause req = { .wait = 1 };
	__u64 count[2];
	__u32 seq;

	kvmi_run_all(t);
	for (int round = 0; round < 10; round++) {
		seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_PAUSE, &req, sizeof(req));
		kvmi_vcpu_post(&t->tool, 1, KVMI_VCPU_PAUSE, &req, sizeof(req));
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_PAUSE, seq, NULL, 0));
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_PAUSE, seq + 1, NULL, 0));
		/* Both are out of the guest now. */
		count[0] = READ_ONCE(t->guest[0]->count);
		count[1] = READ_ONCE(t->guest[1]->count);
		for (int i = 0; i < 2; i++) {
			kvmi_next_event(&t->tool, &e);
			TEST_ASSERT_EQ(e.ev.event, KVMI_VCPU_EVENT_PAUSE);
			TEST_ASSERT(e.ev.vcpu < 2, "event of vCPU %u", e.ev.vcpu);
			ev[e.ev.vcpu] = e;
		}
		TEST_ASSERT_EQ(ev[0].ev.vcpu + ev[1].ev.vcpu, 1);
		TEST_ASSERT(ev[0].hdr.seq != ev[1].hdr.seq, "two events with one number");
		TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->count), count[0]);
		TEST_ASSERT_EQ(READ_ONCE(t->guest[1]->count), count[1]);
		kvmi_continue(&t->tool, &ev[round & 1]);
		kvmi_continue(&t->tool, &ev[!(round & 1)]);
		kvmi_expect_running(t, 0);
		kvmi_expect_running(t, 1);
	}
}

KVMI_TEST(kvmi_pause, crash_stops_the_guest, guest_spin)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	expect_pause(t, 0, &ev);
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_CRASH, NULL, 0);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_SHUTDOWN);
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
}

/* Numbers of events begin at 1 with each hook and grow by one. */
KVMI_TEST(kvmi_pause, event_numbers, guest_spin)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	for (int hook = 0; hook < 2; hook++) {
		for (__u32 seq = 1; seq <= 5; seq++) {
			KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
			expect_pause(t, 0, &ev);
			TEST_ASSERT_EQ(ev.hdr.seq, seq);
			kvmi_continue(&t->tool, &ev);
		}
		kvmi_test_rehook(t);
	}
}

KVMI_TEST_MAIN()
