// SPDX-License-Identifier: GPL-2.0-only
/* The BREAKPOINT event: what the tool hears, and what becomes of the instruction. */
#include "kvmi_breakpoint_guest.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_breakpoint, 1);
KVMI_TEST_SUITE(kvmi_breakpoint_smp, 2);

/* --- what becomes of it ---------------------------------------------------------------- */

KVMI_TEST(kvmi_breakpoint, continued, guest_int3)
{
	struct kvmi_event_msg ev;
	int n = 0;

	start(t);
	enable(t, 0);
	for (int form = INT3; form <= REP_INT3; form++) {
		for (int i = 0; i < 3; i++) {
			begin(t, 0, form);
			expect_breakpoint(t, 0, form, &ev);
			kvmi_continue(&t->tool, &ev);
			expect_handled(t, 0, ++n, behind(&ev));
		}
	}
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_breakpoint, from_user_mode, guest_int3)
{
	struct kvmi_event_msg ev;

	kvmi_user_mode(t, 0);
	at_breakpoint(t, INT3, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.sregs.cs.dpl, 3);
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
	expect_breakpoint(t, 0, INT3, &ev);
}

/* Where the code segment does not begin at 0: RIP is an offset, the event has an address. */
KVMI_TEST(kvmi_breakpoint, in_a_segment_with_a_base, guest_int3)
{
	struct kvmi_vcpu_control_events on = {
		.event_id = KVMI_VCPU_EVENT_BREAKPOINT, .enable = 1,
	};
	struct kvmi_event_msg ev;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	__u32 seq;

	kvmi_32bit_mode(t, 0, "\xcc", 1);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.cs.base = KVMI_CODE32_GPA - 0x10;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	vcpu_regs_get(t->vcpu[0], &regs);
	regs.rip = 0x10;
	vcpu_regs_set(t->vcpu[0], &regs);

	seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_CONTROL_EVENTS, &on, sizeof(on));
	/* Once it is in, the vCPU serves it before its first instruction. */
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_CONTROL_EVENTS, seq, NULL, 0));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rip, 0x10);
	TEST_ASSERT_EQ(ev.breakpoint.gpa, KVMI_CODE32_GPA);
	kvmi_expect_crash(t, 0, &ev);
}

/* INT n is an interrupt whatever its vector is. */
KVMI_TEST(kvmi_breakpoint, int_n_is_none, guest_int3)
{
	start(t);
	enable(t, 0);
	expect_silence(t, INT_N_3, 0);
}

static void skip(struct kvmi_test *t, int i, const struct kvmi_event_msg *ev)
{
	struct kvm_regs regs = ev->ev.arch.regs;

	regs.rip = behind(ev);
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, i, &regs));
	kvmi_reply(&t->tool, ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
}

KVMI_TEST(kvmi_breakpoint, skipped_by_the_tool, guest_int3)
{
	struct kvmi_event_msg ev;

	start(t);
	enable(t, 0);
	for (int i = 0; i < 10; i++) {
		begin(t, 0, i & 1);
		expect_breakpoint(t, 0, i & 1, &ev);
		skip(t, 0, &ev);
		expect_handled(t, 0, 0, 0);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* As a tool does whose breakpoint it is: the old byte is back, and the guest goes on. */
KVMI_TEST(kvmi_breakpoint, byte_restored_by_the_tool, guest_int3)
{
	struct {
		struct kvmi_vm_write_physical req;
		__u8 byte;
	} write = { .req.size = 1, .byte = 0x90 };
	struct kvmi_event_msg ev;

	at_breakpoint(t, INT3, &ev);
	write.req.gpa = ev.breakpoint.gpa;
	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_WRITE_PHYSICAL, &write,
				    sizeof(write.req) + 1, NULL, 0));
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
	expect_handled(t, 0, 0, 0);
	begin(t, 0, INT3);
	expect_handled(t, 0, 0, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_breakpoint, retried_in_place, guest_int3)
{
	struct kvmi_event_msg ev;

	at_breakpoint(t, INT3, &ev);
	for (int i = 2; i <= 5; i++) {
		kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
		expect_breakpoint(t, 0, INT3, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
	}
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 0, 1, behind(&ev));
}

KVMI_TEST(kvmi_breakpoint, switched_off, guest_int3)
{
	int vm = t->vm->fd;
	struct kvmi_event_msg ev;

	start(t);
	expect_silence(t, INT3, 0);
	enable(t, 0);
	begin(t, 0, INT3);
	expect_breakpoint(t, 0, INT3, &ev);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 0));
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 0, 2, behind(&ev));
	expect_silence(t, INT3, 2);
	enable(t, 0);
	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_BREAKPOINT, 0), 0);
	expect_silence(t, INT3, 3);
	expect_silence(t, REP_INT3, 4);
	KVMI_ASSERT_ERR(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 1), -KVM_EPERM);
}

/* --- KVM_SET_GUEST_DEBUG --------------------------------------------------------------- */

static int set_debug(struct kvmi_test *t, __u32 control)
{
	struct kvm_guest_debug debug = { .control = control };

	return __vcpu_ioctl(t->vcpu[0], KVM_SET_GUEST_DEBUG, &debug) ? errno : 0;
}

#define SW_BP	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP)

/* Run until the VMM gets the guest's breakpoint. */
static void expect_vmm_breakpoint(struct kvmi_test *t)
{
	begin(t, 0, INT3);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_DEBUG);
	TEST_ASSERT_EQ(t->vcpu[0]->run->debug.arch.exception, BP_VECTOR);
}

KVMI_TEST(kvmi_breakpoint, busy_while_the_vmm_has_them, guest_int3)
{
	struct kvmi_event_msg ev;

	vm_install_exception_handler(t->vm, BP_VECTOR, guest_bp_handler);
	TEST_ASSERT_EQ(set_debug(t, SW_BP), 0);
	kvmi_run(t, 0);
	KVMI_ASSERT_ERR(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 1), -KVM_EBUSY);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 0));
	expect_vmm_breakpoint(t);
	/* Also when introspection looks at the exits, for another event. */
	kvmi_worker_stop(&t->worker[0]);
	TEST_ASSERT_EQ(set_debug(t, 0), 0);
	kvmi_run(t, 0);
	kvmi_step_end(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	kvmi_worker_stop(&t->worker[0]);
	TEST_ASSERT_EQ(set_debug(t, SW_BP), 0);
	kvmi_run(t, 0);
	expect_vmm_breakpoint(t);
	TEST_ASSERT_EQ(set_debug(t, 0), 0);
	kvmi_run(t, 0);
	enable(t, 0);
	expect_breakpoint(t, 0, INT3, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 0, 2, behind(&ev));
}

KVMI_TEST(kvmi_breakpoint, busy_while_the_tool_has_them, guest_int3)
{
	struct kvmi_event_msg ev;

	vm_install_exception_handler(t->vm, BP_VECTOR, guest_bp_handler);
	kvmi_run(t, 0);
	enable(t, 0);
	kvmi_worker_stop(&t->worker[0]);
	TEST_ASSERT_EQ(set_debug(t, SW_BP), EBUSY);
	/* The rest of debugging is the VMM's. */
	TEST_ASSERT_EQ(set_debug(t, KVM_GUESTDBG_ENABLE), 0);
	TEST_ASSERT_EQ(set_debug(t, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP), 0);
	TEST_ASSERT_EQ(set_debug(t, 0), 0);

	kvmi_run(t, 0);
	begin(t, 0, INT3);
	expect_breakpoint(t, 0, INT3, &ev);
	kvmi_worker_stop(&t->worker[0]);
	TEST_ASSERT_EQ(set_debug(t, SW_BP), EBUSY);
	kvmi_run(t, 0);
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 0, 1, behind(&ev));

	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 0));
	kvmi_worker_stop(&t->worker[0]);
	TEST_ASSERT_EQ(set_debug(t, SW_BP), 0);
	kvmi_run(t, 0);
	expect_vmm_breakpoint(t);
}

KVMI_TEST(kvmi_breakpoint, unhook_gives_them_to_the_vmm, guest_int3)
{
	struct kvmi_event_msg ev;

	vm_install_exception_handler(t->vm, BP_VECTOR, guest_bp_handler);
	kvmi_run(t, 0);
	enable(t, 0);
	begin(t, 0, INT3);
	expect_breakpoint(t, 0, INT3, &ev);
	kvmi_worker_stop(&t->worker[0]);
	kvmi_test_rehook(t);
	TEST_ASSERT_EQ(set_debug(t, SW_BP), 0);
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_DEBUG);
	TEST_ASSERT_EQ(t->vcpu[0]->run->debug.arch.exception, BP_VECTOR);
	TEST_ASSERT_EQ(set_debug(t, 0), 0);
	kvmi_run(t, 0);
	expect_handled(t, 0, 1, behind(&ev));
	expect_silence(t, INT3, 1);
}

/* --- other ends -------------------------------------------------------------------------- */

KVMI_TEST(kvmi_breakpoint, signal, guest_int3)
{
	struct kvmi_event_msg ev;

	at_breakpoint(t, REP_INT3, &ev);
	for (int i = 0; i < 5; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 0, 1, behind(&ev));
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_breakpoint, signal_then_skipped, guest_int3)
{
	struct kvmi_event_msg ev;

	at_breakpoint(t, INT3, &ev);
	kvmi_worker_interrupt(&t->worker[0]);
	skip(t, 0, &ev);
	expect_handled(t, 0, 0, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_breakpoint, crash, guest_int3)
{
	struct kvmi_event_msg ev;

	at_breakpoint(t, INT3, &ev);
	kvmi_expect_crash(t, 0, &ev);
}

KVMI_TEST(kvmi_breakpoint, unknown_action, guest_int3)
{
	struct kvmi_event_msg ev;

	at_breakpoint(t, INT3, &ev);
	kvmi_expect_no_action(t, &ev, 3);
	expect_handled(t, 0, 1, behind(&ev));
}

KVMI_TEST(kvmi_breakpoint, tool_closes, guest_int3)
{
	struct kvmi_event_msg ev;

	at_breakpoint(t, INT3, &ev);
	kvmi_tool_close(&t->tool);
	expect_handled(t, 0, 1, behind(&ev));
}

/* The intercept is gone with the session: the guest's breakpoints do not exit. */
KVMI_TEST(kvmi_breakpoint, unhook, guest_int3)
{
	struct kvmi_event_msg ev;
	__u64 exits = 1;

	kvmi_count_exits(t, 0);
	at_breakpoint(t, INT3, &ev);
	kvmi_test_rehook(t);
	expect_handled(t, 0, 1, behind(&ev));
	expect_silence(t, INT3, 1);
	/* The host's interrupts come at any time, but not in each of these steps. */
	for (int i = 0; exits && i < 1000; i++)
		exits = kvmi_exits_of_step(t, 0);
	TEST_ASSERT(!exits, "no breakpoint of 1000 without an exit");
}

KVMI_TEST(kvmi_breakpoint_smp, vcpus_are_independent, guest_int3)
{
	struct kvmi_event_msg ev;

	start(t);
	enable(t, 1);
	begin(t, 0, INT3);
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[1], 1);
	kvmi_expect_no_event(&t->tool, 0);
	begin(t, 1, INT3);
	expect_breakpoint(t, 1, INT3, &ev);
	kvmi_expect_running(t, 0);
	expect_silence(t, INT3, 1);
	skip(t, 1, &ev);
	expect_handled(t, 1, 0, 0);
}

KVMI_TEST(kvmi_breakpoint_smp, both_vcpus_wait, guest_int3)
{
	struct kvmi_event_msg ev[2], e;

	start(t);
	for (int i = 0; i < 2; i++) {
		enable(t, i);
		begin(t, i, i);
	}
	for (int i = 0; i < 2; i++) {
		kvmi_next_event(&t->tool, &e);
		TEST_ASSERT_EQ(e.ev.event, KVMI_VCPU_EVENT_BREAKPOINT);
		ev[e.ev.vcpu & 1] = e;
	}
	TEST_ASSERT_EQ(ev[0].breakpoint.insn_len, 1);
	TEST_ASSERT_EQ(ev[1].breakpoint.insn_len, 2);
	skip(t, 1, &ev[1]);
	expect_handled(t, 1, 0, 0);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->done), 0);
	kvmi_continue(&t->tool, &ev[0]);
	expect_handled(t, 0, 1, behind(&ev[0]));
}

KVMI_TEST_MAIN()
