// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_INJECT_EXCEPTION and the TRAP event: what the guest gets, what the tool hears. */
#include "kvmi_inject_guest.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_inject, 1);

/* --- what is delivered ------------------------------------------------------------------ */

/* Vectors that can be injected anywhere; breakpoint and overflow trap cannot. */
#define EXCEPTIONS	(BIT(20) - 1 - BIT(2) - BIT(3) - BIT(4) - BIT(9) - BIT(15))

/* From a pause: RIP is known, and nothing else happens. */
KVMI_TEST(kvmi_inject, every_exception, guest_loop)
{
	struct kvmi_event_msg ev;
	__u64 n = 0, cr2 = 0, rip;
	__u32 code;

	start(t);
	for (int nr = 0; nr < 32; nr++) {
		if (!(EXCEPTIONS & BIT(nr)))
			continue;
		pause_vcpu(t, 0, &ev);
		rip = ev.ev.arch.regs.rip;
		code = BIT(nr) & HAVE_CODE ? CODE : 0;
		cr2 = nr == PF_VECTOR ? ADDRESS : cr2;
		KVMI_ASSERT_OK(inject(t, 0, nr, CODE, ADDRESS));
		kvmi_continue(&t->tool, &ev);
		expect_trap(t, 0, nr, code, cr2, &ev);
		TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->val[1]), n);
		kvmi_continue(&t->tool, &ev);
		expect_handled(t, ++n, nr, rip, code, cr2);
	}
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* A running guest needs no event to be interrupted. */
KVMI_TEST(kvmi_inject, into_a_running_guest, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	for (int i = 1; i <= 20; i++) {
		KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
		expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
		kvmi_continue(&t->tool, &ev);
		expect_handled(t, i, UD_VECTOR, ev.ev.arch.regs.rip, 0, 0);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* INT3 or INTO that the tool puts there; the guest returns behind it. */
static void guest_soft(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		asm volatile("int3" : : : "memory");
		guest_done(g, n);
	}
}

KVMI_TEST(kvmi_inject, breakpoint_trap, guest_soft)
{
	struct kvmi_event_msg ev;
	__u64 rip;

	start(t);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 1));
	for (int i = 1; i <= 3; i++) {
		kvmi_step_begin(t, 0);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, &ev);
		rip = ev.ev.arch.regs.rip;
		KVMI_ASSERT_OK(inject(t, 0, BP_VECTOR, 0, 0));
		kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
		expect_trap(t, 0, BP_VECTOR, 0, 0, &ev);
		kvmi_continue(&t->tool, &ev);
		kvmi_step_end(t, 0);
		expect_handled(t, i, BP_VECTOR, rip + 1, 0, 0);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* Where no such instruction is, nothing is delivered. */
KVMI_TEST(kvmi_inject, soft_exceptions_need_their_instruction, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	for (int nr = BP_VECTOR; nr <= OF_VECTOR; nr++) {
		KVMI_ASSERT_OK(inject(t, 0, nr, 0, 0));
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_TRAP, &ev);
		TEST_ASSERT_EQ(ev.trap.lost, 1);
		TEST_ASSERT_EQ(ev.trap.vector, 0);
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_running(t, 0);
	}
	TEST_ASSERT_EQ(t->guest[0]->val[1], 0);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
}

/* The guest's own exception is on its way: it wins, and the tool is told so. */
KVMI_TEST(kvmi_inject, own_exception_wins, guest_soft)
{
	struct kvmi_event_msg ev;
	__u64 rip;

	start(t);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 1));
	kvmi_step_begin(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, &ev);
	rip = ev.ev.arch.regs.rip;
	KVMI_ASSERT_OK(inject(t, 0, GP_VECTOR, CODE, 0));
	kvmi_continue(&t->tool, &ev);
	expect_trap(t, 0, BP_VECTOR, 0, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_step_end(t, 0);
	expect_handled(t, 1, BP_VECTOR, rip + 1, 0, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_inject, from_user_mode, guest_loop)
{
	struct kvmi_event_msg ev;

	install(t);
	kvmi_user_mode(t, 0);
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	KVMI_ASSERT_OK(inject(t, 0, PF_VECTOR, 7, ADDRESS));
	expect_trap(t, 0, PF_VECTOR, 7, ADDRESS, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.sregs.cs.dpl, 3);
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 1, PF_VECTOR, ev.ev.arch.regs.rip, 7, ADDRESS);
	kvmi_expect_running(t, 0);
}

/* --- errors ------------------------------------------------------------------------------ */

KVMI_TEST(kvmi_inject, bad_arguments, guest_loop)
{
	static const __u8 bad[] = { 2, 9, 15, 20, 21, 28, 30, 31, 32, 33, 46, 128, 255 };
	__u8 bytes[sizeof(struct kvmi_vcpu_inject_exception)] = { UD_VECTOR };

	start(t);
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		KVMI_ASSERT_ERR(inject(t, 0, bad[i], 0, 0), -KVM_EINVAL);
	for (int i = 1; i <= 3; i++) {
		bytes[i] = 1;
		KVMI_ASSERT_ERR(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_INJECT_EXCEPTION, bytes,
						  sizeof(bytes), NULL, 0), -KVM_EINVAL);
		bytes[i] = 0;
	}
	for (int size = 0; size < sizeof(bytes); size++)
		KVMI_ASSERT_ERR(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_INJECT_EXCEPTION, bytes,
						  size, NULL, 0), -KVM_EINVAL);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_inject, event_disallowed, guest_loop)
{
	struct kvmi_event_msg ev;
	int vm = t->vm->fd;

	start(t);
	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_TRAP, 0), 0);
	KVMI_ASSERT_ERR(inject(t, 0, UD_VECTOR, 0, 0), -KVM_EPERM);
	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_TRAP, 1), 0);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_handled(t, 1, UD_VECTOR, ev.ev.arch.regs.rip, 0, 0);
}

/* One at a time, until its TRAP event is there. */
KVMI_TEST(kvmi_inject, busy, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	for (int i = 1; i <= 3; i++) {
		pause_vcpu(t, 0, &ev);
		KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
		KVMI_ASSERT_ERR(inject(t, 0, GP_VECTOR, 0, 0), -KVM_EBUSY);
		KVMI_ASSERT_ERR(inject(t, 0, UD_VECTOR, 0, 0), -KVM_EBUSY);
		kvmi_continue(&t->tool, &ev);
		expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
		kvmi_continue(&t->tool, &ev);
		expect_handled(t, i, UD_VECTOR, ev.ev.arch.regs.rip, 0, 0);
	}
}

/* In the TRAP event there may be a next one; it comes after the delivery of the first. */
KVMI_TEST(kvmi_inject, another_in_the_trap_event, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	KVMI_ASSERT_OK(inject(t, 0, PF_VECTOR, CODE, ADDRESS));
	kvmi_continue(&t->tool, &ev);
	/* The first one is still on its way to the guest: it is told a second time. */
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_TRAP, &ev);
	TEST_ASSERT(ev.trap.vector == UD_VECTOR || ev.trap.vector == PF_VECTOR, "vector %u",
		    ev.trap.vector);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT(READ_ONCE(t->guest[0]->val[1]) >= 1, "no exception reaches the guest");
}

KVMI_TEST_MAIN()
