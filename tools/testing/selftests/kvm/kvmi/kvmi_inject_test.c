// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_INJECT_EXCEPTION and the TRAP event: what the guest gets, what the tool hears. */
#include "apic.h"
#include "kvmi_step.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_inject, 1);
KVMI_TEST_SUITE(kvmi_inject_smp, 2);

#define CODE		0x1234
#define ADDRESS		0x123456789000ull

/* Vectors whose frame has an error code. */
#define HAVE_CODE	(BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17))

static struct kvmi_guest *guest_of_handler;

/* What it has got: g->val[1] times, [2] vector, [3] RIP, [4] error code, [5] CR2. */
static void guest_handler(struct ex_regs *regs)
{
	struct kvmi_guest *g = guest_of_handler;

	g->val[2] = regs->vector;
	g->val[3] = regs->rip;
	g->val[4] = regs->error_code;
	asm volatile("mov %%cr2, %0" : "=r"(g->val[5]));
	WRITE_ONCE(g->val[1], g->val[1] + 1);
}

static int inject(struct kvmi_test *t, int i, __u8 nr, __u32 code, __u64 address)
{
	struct kvmi_vcpu_inject_exception req = {
		.nr = nr, .error_code = code, .address = address,
	};

	return kvmi_vcpu_command(&t->tool, i, KVMI_VCPU_INJECT_EXCEPTION, &req, sizeof(req),
				 NULL, 0);
}

static void expect_trap(struct kvmi_test *t, int i, __u8 nr, __u32 code, __u64 cr2,
			struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_TRAP, ev);
	TEST_ASSERT_EQ(ev->trap.lost, 0);
	TEST_ASSERT_EQ(ev->trap.vector, nr);
	TEST_ASSERT_EQ(ev->trap.error_code, code);
	TEST_ASSERT_EQ(ev->trap.cr2, cr2);
}

static void expect_handled(struct kvmi_test *t, __u64 times, __u8 nr, __u64 rip, __u32 code,
			   __u64 cr2)
{
	__u64 *v = t->guest[0]->val;

	KVMI_WAIT(READ_ONCE(v[1]) == times, "the guest's handler does not run");
	TEST_ASSERT_EQ(v[2], nr);
	TEST_ASSERT_EQ(v[3], rip);
	TEST_ASSERT_EQ(v[4], code);
	TEST_ASSERT_EQ(v[5], cr2);
}

static void install(struct kvmi_test *t)
{
	for (int i = 0; i < 32; i++)
		vm_install_exception_handler(t->vm, i, guest_handler);
	guest_of_handler = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, guest_of_handler);
}

static void start(struct kvmi_test *t)
{
	install(t);
	kvmi_run_all(t);
	kvmi_expect_running(t, 0);
}

static void pause_vcpu(struct kvmi_test *t, int i, struct kvmi_event_msg *ev)
{
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, i, 1));
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_PAUSE, ev);
}

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

/* --- states of the vCPU -------------------------------------------------------------------- */

static void guest_halts(struct kvmi_guest *g)
{
	for (;;) {
		WRITE_ONCE(g->count, g->count + 1);
		asm volatile("sti; hlt; cli" : : : "memory");
	}
}

KVMI_TEST(kvmi_inject, wakes_a_halted_vcpu, guest_halts)
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
KVMI_TEST(kvmi_inject, while_stepping, guest_loop)
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

KVMI_TEST(kvmi_inject, trap_comes_before_other_events, guest_cr3_steps)
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

KVMI_TEST(kvmi_inject, signal, guest_loop)
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

KVMI_TEST(kvmi_inject, crash, guest_loop)
{
	struct kvmi_event_msg ev;

	start(t);
	KVMI_ASSERT_OK(inject(t, 0, UD_VECTOR, 0, 0));
	expect_trap(t, 0, UD_VECTOR, 0, 0, &ev);
	kvmi_expect_crash(t, 0, &ev);
	TEST_ASSERT_EQ(t->guest[0]->val[1], 0);
}

KVMI_TEST(kvmi_inject, tool_closes, guest_loop)
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
KVMI_TEST(kvmi_inject, unhook_before_delivery, guest_loop)
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

KVMI_TEST(kvmi_inject, vmm_sets_vcpu_events, guest_loop)
{
	reset_during_trap(t, set_vcpu_events, 0);
}

KVMI_TEST(kvmi_inject, vmm_sets_registers, guest_loop)
{
	/* KVM_SET_REGS forgets what is not yet on its way to the guest. */
	reset_during_trap(t, set_regs, 1);
}

KVMI_TEST_MAIN()
