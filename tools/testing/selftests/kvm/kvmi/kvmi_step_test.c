// SPDX-License-Identifier: GPL-2.0-only
/*
 * VCPU_CONTROL_SINGLESTEP and the SINGLESTEP event, but for what single instructions
 * do: that is kvmi_step_insn_test.
 */
#include "kvmi_step.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_step, 1);
KVMI_TEST_SUITE(kvmi_step_smp, 2);

static void start(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	kvmi_expect_step(&t->tool, 0, ev);
}

/* --- steps ------------------------------------------------------------------------- */

KVMI_TEST(kvmi_step, one_event_for_each_instruction, guest_loop)
{
	struct kvmi_event_msg ev;
	__u64 rax, rbx;
	int at;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	for (int i = 0; i < 50; i++) {
		at = loop_index(&ev);
		rax = ev.ev.arch.regs.rax;
		rbx = ev.ev.arch.regs.rbx;
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_loop(&t->tool, 0, &ev, 1);
		TEST_ASSERT_EQ(ev.ev.arch.regs.rax, rax + (at == 1));
		TEST_ASSERT_EQ(ev.ev.arch.regs.rbx, rbx + (at == 3));
		if (at == 2)
			TEST_ASSERT_EQ(t->guest[0]->count, rax);
	}
	kvmi_end_steps(&t->tool, 0, &ev);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_step, on_and_off_again, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	for (int i = 0; i < 20; i++) {
		KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
		kvmi_expect_step(&t->tool, 0, &ev);
		/* Once more is the same. */
		KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_loop(&t->tool, 0, &ev, 1);
		KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 0));
		/* Off and on inside one event: the next step is the next instruction. */
		if (i & 1) {
			KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
			kvmi_continue(&t->tool, &ev);
			kvmi_expect_loop(&t->tool, 0, &ev, 1);
			KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 0));
		}
		KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 0));
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_running(t, 0);
		kvmi_expect_no_event(&t->tool, 0);
	}
}

KVMI_TEST(kvmi_step, from_before_the_first_instruction, guest_loop)
{
	struct kvmi_event_msg ev;
	__u32 seq;

	REQUIRE_STEPPING(t);
	vcpu_arch_set_entry_point(t->vcpu[0], (void *)loop_0);
	seq = kvmi_post_step(&t->tool, 0, 1);
	/* Then the command is there before the vCPU runs. */
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_collect_step(&t->tool, seq));
	kvmi_expect_step(&t->tool, 0, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rip, (__u64)loop_1);
}

KVMI_TEST(kvmi_step, tool_moves_the_guest, guest_loop)
{
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	for (int i = 0; i < 10; i++) {
		regs = ev.ev.arch.regs;
		regs.rip = (__u64)loop_rips[i % LOOP_LEN];
		regs.rax = 1000 * i;
		KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
		kvmi_next_step(&t->tool, 0, &ev);
		TEST_ASSERT_EQ(loop_index(&ev), (i + 1) % LOOP_LEN);
		TEST_ASSERT_EQ(ev.ev.arch.regs.rax, 1000 * i + (i % LOOP_LEN == 1));
	}
}

KVMI_TEST(kvmi_step, other_events_come_first, guest_cr3_steps)
{
	struct kvmi_event_msg ev;
	__u64 rip;

	REQUIRE_STEPPING(t);
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	kvmi_step_begin(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &ev);
	rip = ev.ev.arch.regs.rip;
	/* This instruction has begun: the first step is the next one. */
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_step(&t->tool, 0, &ev);
	TEST_ASSERT(ev.ev.arch.regs.rip > rip + 3, "no step, or another instruction's");
	kvmi_step_begin(t, 0);
	for (int i = 0; ev.ev.event == KVMI_VCPU_EVENT_SINGLESTEP; i++) {
		TEST_ASSERT(i < 500, "the guest does not write CR3 again");
		kvmi_continue(&t->tool, &ev);
		kvmi_next_event(&t->tool, &ev);
	}
	TEST_ASSERT_EQ(ev.ev.event, KVMI_VCPU_EVENT_CR);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rip, rip);
	kvmi_next_step(&t->tool, 0, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rip, rip + 3);
}

KVMI_TEST(kvmi_step, pause, guest_loop)
{
	struct kvmi_event_msg ev, pause;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_continue(&t->tool, &ev);
	/* Before or after the step, but nothing gets lost. */
	kvmi_next_event(&t->tool, &pause);
	if (pause.ev.event == KVMI_VCPU_EVENT_SINGLESTEP) {
		ev = pause;
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &pause);
	}
	TEST_ASSERT_EQ(pause.ev.event, KVMI_VCPU_EVENT_PAUSE);
	TEST_ASSERT_EQ(pause.ev.arch.regs.rip, ev.ev.arch.regs.rip);
	kvmi_continue(&t->tool, &pause);
	kvmi_expect_loop(&t->tool, 0, &ev, 1);
}

/* --- errors ------------------------------------------------------------------------ */

KVMI_TEST(kvmi_step, bad_arguments, guest_loop)
{
	__u8 bytes[sizeof(struct kvmi_vcpu_control_singlestep)];

	kvmi_run(t, 0);
	KVMI_ASSERT_ERR(kvmi_control_step(&t->tool, 0, 2), -KVM_EINVAL);
	KVMI_ASSERT_ERR(kvmi_control_step(&t->tool, 0, 255), -KVM_EINVAL);
	for (int i = 0; i < sizeof(bytes); i++) {
		memset(bytes, 0, sizeof(bytes));
		bytes[i] = i ? 1 : 0x80;
		KVMI_ASSERT_ERR(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_CONTROL_SINGLESTEP, bytes,
						  sizeof(bytes), NULL, 0), -KVM_EINVAL);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_step, not_supported, guest_loop)
{
	bool can = kvmi_can_step(&t->tool);

	kvmi_run(t, 0);
	KVMI_ASSERT_ERR(kvmi_control_step(&t->tool, 0, 1), can ? 0 : -KVM_EOPNOTSUPP);
}

KVMI_TEST(kvmi_step, event_disallowed, guest_loop)
{
	struct kvmi_event_msg ev;
	int vm = t->vm->fd;

	REQUIRE_STEPPING(t);
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_SINGLESTEP, 0), 0);
	KVMI_ASSERT_ERR(kvmi_control_step(&t->tool, 0, 1), -KVM_EPERM);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_SINGLESTEP, 1), 0);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	kvmi_expect_step(&t->tool, 0, &ev);
}

KVMI_TEST(kvmi_step, unknown_action, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
	kvmi_expect_closed(&t->tool);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_step, crash, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	kvmi_next_step(&t->tool, 0, &ev);
	kvmi_expect_crash(t, 0, &ev);
}

/* --- other ends -------------------------------------------------------------------- */

KVMI_TEST(kvmi_step, signal, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	for (int i = 0; i < 10; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_loop(&t->tool, 0, &ev, 1);
	}
}

/* The VMM stops the vCPU between two steps, or with the reply on its way. */
KVMI_TEST(kvmi_step, vcpu_in_userspace, guest_loop)
{
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	for (int i = 0; i < 10; i++) {
		kvmi_worker_stop(&t->worker[0]);
		vcpu_regs_get(t->vcpu[0], &regs);
		TEST_ASSERT(!memcmp(&regs, &ev.ev.arch.regs, sizeof(regs)),
			    "the VMM sees other registers than the tool");
		kvmi_continue(&t->tool, &ev);
		KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
		kvmi_run(t, 0);
		kvmi_expect_loop(&t->tool, 0, &ev, 1);
	}
}

/* One exit per instruction is over, and so is TF. */
static void expect_free_guest(struct kvmi_test *t)
{
	struct kvm_regs regs;
	__u64 exits = 30;

	kvmi_step_end(t, 0);
	/* On a busy host one step may see as many interrupts. */
	for (int i = 0; exits >= 30 && i < 100; i++)
		exits = kvmi_exits_of_step(t, 0);
	TEST_ASSERT(exits < 30, "%llu exits", exits);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_regs_get(t->vcpu[0], &regs);
	TEST_ASSERT_EQ(regs.rflags & RFLAGS_TF, 0);
	kvmi_run(t, 0);
}

static void guest_work(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		for (int i = 0; i < 1000; i++)
			barrier();
		guest_done(g, n);
	}
}

static void start_to_unhook(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_count_exits(t, 0);
	start(t, ev);
	for (int i = 0; i < 5; i++)
		kvmi_next_step(&t->tool, 0, ev);
	kvmi_step_begin(t, 0);
}

KVMI_TEST(kvmi_step, unhook, guest_work)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start_to_unhook(t, &ev);
	kvmi_test_rehook(t);
	expect_free_guest(t);
	kvmi_expect_no_event(&t->tool, 0);
	/* And again. */
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	kvmi_expect_step(&t->tool, 0, &ev);
}

KVMI_TEST(kvmi_step, tool_closes, guest_work)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start_to_unhook(t, &ev);
	kvmi_tool_close(&t->tool);
	expect_free_guest(t);
}

/* The session ends while the vCPU is in userspace; what it left goes with KVM_RUN. */
KVMI_TEST(kvmi_step, unhook_in_userspace, guest_work)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start_to_unhook(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	kvmi_test_rehook(t);
	kvmi_run(t, 0);
	expect_free_guest(t);
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- two vCPUs ------------------------------------------------------------------------- */

KVMI_TEST(kvmi_step_smp, one_vcpu_only, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	kvmi_run_all(t);
	kvmi_expect_running(t, 1);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 1, 1));
	kvmi_expect_step(&t->tool, 1, &ev);
	for (int i = 0; i < 20; i++) {
		kvmi_expect_running(t, 0);
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_loop(&t->tool, 1, &ev, 1);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_step_smp, both_vcpus, guest_loop)
{
	struct kvmi_event_msg ev[2], next;
	int n[2] = { }, i;

	REQUIRE_STEPPING(t);
	kvmi_run_all(t);
	for (i = 0; i < 2; i++) {
		kvmi_expect_running(t, i);
		KVMI_ASSERT_OK(kvmi_control_step(&t->tool, i, 1));
		kvmi_expect_step(&t->tool, i, &ev[i]);
	}
	for (i = 0; i < 2; i++)
		kvmi_continue(&t->tool, &ev[i]);
	while (n[0] < 50 || n[1] < 50) {
		kvmi_next_event(&t->tool, &next);
		i = next.ev.vcpu & 1;
		TEST_ASSERT_EQ(next.ev.event, KVMI_VCPU_EVENT_SINGLESTEP);
		TEST_ASSERT_EQ(next.singlestep.failed, 0);
		TEST_ASSERT_EQ(loop_index(&next), (loop_index(&ev[i]) + 1) % LOOP_LEN);
		ev[i] = next;
		n[i]++;
		kvmi_continue(&t->tool, &next);
	}
}

KVMI_TEST_MAIN()
