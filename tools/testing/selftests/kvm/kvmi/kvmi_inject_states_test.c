// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_INJECT_EXCEPTION in all states of a vCPU, and when tool or VMM interfere. */
#include "apic.h"
#include "kvmi_inject_guest.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_inject_states, 1);
KVMI_TEST_SUITE(kvmi_inject_smp, 2);

/* --- states of the vCPU -------------------------------------------------------------------- */

static void guest_halts(struct kvmi_guest *g)
{
	for (;;) {
		WRITE_ONCE(g->count, g->count + 1);
		asm volatile("sti; hlt; cli" : : : "memory");
	}
}

KVMI_TEST(kvmi_inject_states, wakes_a_halted_vcpu, guest_halts)
{
	__u64 *count = &t->guest[0]->count;
	struct kvmi_event_msg ev;
	struct kvm_mp_state mp;

	install(t);
	kvmi_run(t, 0);
	for (int i = 1; i <= 3; i++) {
		KVMI_WAIT(READ_ONCE(*count) == i, "the guest does not come to HLT");
		do {
			/* It runs, for it serves the tool. */
			kvmi_expect_no_event(&t->tool, 0);
			kvmi_worker_stop(&t->worker[0]);
			vcpu_mp_state_get(t->vcpu[0], &mp);
			kvmi_run(t, 0);
		} while (mp.mp_state != KVM_MP_STATE_HALTED);
		KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
		expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
		kvmi_continue(&t->tool, &ev);
		KVMI_WAIT(READ_ONCE(*count) == i + 1, "the guest does not wake up");
		TEST_ASSERT_EQ(t->guest[0]->val[1], i);
	}
}

KVMI_TEST(kvmi_inject_smp, vcpu_waits_for_sipi, guest_loop)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_UNINITIALIZED };
	struct kvmi_event_msg ev;

	vcpu_mp_state_set(t->vcpu[1], &mp);
	start(t);
	KVMI_ASSERT_ERR(inject(t, 1, UD_VECTOR, 0, 0), -KVM_EOPNOTSUPP);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_inject_smp, one_vcpu_only, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	kvmi_expect_running(t, 1);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_expect_running(t, 1);
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 1, UD_VECTOR, ev.ev.arch.regs.rip, 0, 0);
	kvmi_expect_no_event(&t->tool, 1);
}

/* The delivery is a step: the handler's first instruction is next. */
KVMI_TEST(kvmi_inject_states, while_stepping, guest_loop)
{
	struct kvmi_event_msg ev;
	__u64 rip;

	REQUIRE_STEPPING(t);
	start(t);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	kvmi_expect_step(&t->tool, 0, &ev);
	rip = ev.ev.arch.regs.rip;
	KVMI_ASSERT_OK(inject(t, 0, PF_VECTOR, CODE, ADDRESS));
	kvmi_continue(&t->tool, &ev);
	expect_trap(t, 0, PF_VECTOR, CODE, ADDRESS, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rip, rip);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_step(&t->tool, 0, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rip, (__u64)idt_handlers[PF_VECTOR]);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->val[1]), 0);
	kvmi_next_step(&t->tool, 0, &ev);
	kvmi_end_steps(&t->tool, 0, &ev);
	expect_handled(t, 1, PF_VECTOR, rip, CODE, ADDRESS);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_inject_states, trap_comes_before_other_events, guest_cr3_steps)
{
	struct kvmi_event_msg ev;
	__u64 rip;

	start(t);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	pause_vcpu(t, 0, &ev);
	rip = ev.ev.arch.regs.rip;
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	kvmi_step_begin(t, 0);
	kvmi_continue(&t->tool, &ev);
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &ev);
	expect_handled(t, 1, UD_VECTOR, rip, 0, 0);
	kvmi_continue(&t->tool, &ev);
	kvmi_step_end(t, 0);
}

/* --- other ends ------------------------------------------------------------------------------ */

KVMI_TEST(kvmi_inject_states, signal, guest_loop)
{
	struct kvmi_event_msg ev;
	__u64 rip;

	start(t);
	KVMI_ASSERT_OK(inject(t, 0, GP_VECTOR, CODE, 0));
	expect_trap(t, 0, GP_VECTOR, CODE, 0, &ev);
	rip = ev.ev.arch.regs.rip;
	for (int i = 0; i < 5; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->val[1]), 0);
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 1, GP_VECTOR, rip, CODE, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_inject_states, crash, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_expect_crash(t, 0, &ev);
	TEST_ASSERT_EQ(t->guest[0]->val[1], 0);
}

KVMI_TEST(kvmi_inject_states, tool_closes, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_tool_close(&t->tool);
	/* It is the guest's now. */
	expect_handled(t, 1, UD_VECTOR, ev.ev.arch.regs.rip, 0, 0);
}

/* Stored, but the session ends before the guest is entered. */
KVMI_TEST(kvmi_inject_states, unhook_before_delivery, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	pause_vcpu(t, 0, &ev);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	kvmi_test_rehook(t);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[1], 0);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
}

/* The VMM may forget the exception, as in a reset: the tool is not stuck. */
static void reset_during_trap(struct kvmi_test *t, void (*reset)(struct kvmi_test *t),
			      int delivered)
{
	struct kvmi_event_msg ev;

	start(t);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_worker_stop(&t->worker[0]);
	reset(t);
	kvmi_run(t, 0);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[1], delivered);
	KVMI_ASSERT_OK(inject(t, 0, GP_VECTOR, CODE, 0));
	expect_trap(t, 0, GP_VECTOR, CODE, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, delivered + 1, GP_VECTOR, ev.ev.arch.regs.rip, CODE, 0);
}

static void set_vcpu_events(struct kvmi_test *t)
{
	struct kvm_vcpu_events events;

	vcpu_events_get(t->vcpu[0], &events);
	memset(&events.exception, 0, sizeof(events.exception));
	vcpu_events_set(t->vcpu[0], &events);
}

static void set_regs(struct kvmi_test *t)
{
	struct kvm_regs regs;

	vcpu_regs_get(t->vcpu[0], &regs);
	vcpu_regs_set(t->vcpu[0], &regs);
}

KVMI_TEST(kvmi_inject_states, vmm_sets_vcpu_events, guest_loop)
{
	reset_during_trap(t, set_vcpu_events, 0);
}

KVMI_TEST(kvmi_inject_states, vmm_sets_registers, guest_loop)
{
	/* KVM_SET_REGS forgets what is not yet on its way to the guest. */
	reset_during_trap(t, set_regs, 1);
}

KVMI_TEST_MAIN()
