// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stepping beside what the VMM does to a vCPU: KVM_SET_GUEST_DEBUG, which one of both
 * sides has, and the ends that the VMM can put to a step.
 */
#include "kvmi_step.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_guest_debug, 1);
KVMI_TEST_SUITE(kvmi_guest_debug_smp, 2);

#define STEPS	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP)

static int set_debug(struct kvmi_test *t, int i, __u32 control)
{
	struct kvm_guest_debug debug = { .control = control };

	return __vcpu_ioctl(t->vcpu[i], KVM_SET_GUEST_DEBUG, &debug) ? errno : 0;
}

/* One step of the VMM: from instruction @at of the loop to the next. */
static void expect_vmm_step(struct kvmi_test *t, int at)
{
	struct kvm_run *run = t->vcpu[0]->run;

	vcpu_run(t->vcpu[0]);
	TEST_ASSERT_KVM_EXIT_REASON(t->vcpu[0], KVM_EXIT_DEBUG);
	TEST_ASSERT_EQ(run->debug.arch.exception, DB_VECTOR);
	TEST_ASSERT_EQ(run->debug.arch.pc, (__u64)loop_rips[(at + 1) % LOOP_LEN]);
	TEST_ASSERT(run->debug.arch.dr6 & BIT(14), "DR6 does not tell of a step");
}

static void into_loop(struct kvmi_test *t, int at)
{
	struct kvm_regs regs;

	vcpu_regs_get(t->vcpu[0], &regs);
	regs.rip = (__u64)loop_rips[at];
	regs.rdi = t->guest_gva[0] + offsetof(struct kvmi_guest, count);
	vcpu_regs_set(t->vcpu[0], &regs);
}

/* --- the VMM steps -------------------------------------------------------------------- */

#define VMM_STEPS	20

/* Where the VMM's steps end, whatever the (emulated) processor makes of them. */
static void vmm_steps(struct kvmi_test *t, __u64 *pc)
{
	into_loop(t, 0);
	TEST_ASSERT_EQ(set_debug(t, 0, STEPS), 0);
	for (int i = 0; i < VMM_STEPS; i++) {
		vcpu_run(t->vcpu[0]);
		TEST_ASSERT_KVM_EXIT_REASON(t->vcpu[0], KVM_EXIT_DEBUG);
		TEST_ASSERT_EQ(t->vcpu[0]->run->debug.arch.exception, DB_VECTOR);
		pc[i] = t->vcpu[0]->run->debug.arch.pc;
	}
	TEST_ASSERT_EQ(set_debug(t, 0, 0), 0);
}

KVMI_TEST(kvmi_guest_debug, vmm_steps_a_hooked_vm, guest_loop)
{
	__u64 unhooked[VMM_STEPS], hooked[VMM_STEPS];

	/* A step that first has to fault in its memory is another one on Bochs. */
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	kvmi_worker_stop(&t->worker[0]);
	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	vmm_steps(t, unhooked);
	kvmi_test_rehook(t);
	vmm_steps(t, hooked);
	for (int i = 0; i < VMM_STEPS; i++)
		TEST_ASSERT_EQ(hooked[i], unhooked[i]);
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* The tool has other events, which KVM_SET_GUEST_DEBUG does not disturb. */
KVMI_TEST(kvmi_guest_debug, vmm_steps_while_the_tool_watches, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 1));
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	kvmi_worker_stop(&t->worker[0]);
	TEST_ASSERT_EQ(set_debug(t, 0, STEPS), 0);
	for (int i = 0; i < 20; i++) {
		vcpu_run(t->vcpu[0]);
		TEST_ASSERT_KVM_EXIT_REASON(t->vcpu[0], KVM_EXIT_DEBUG);
	}
	TEST_ASSERT_EQ(set_debug(t, 0, 0), 0);
	kvmi_run(t, 0);
	kvmi_step_begin(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_step_end(t, 0);
}

/* --- one of the two --------------------------------------------------------------------- */

KVMI_TEST(kvmi_guest_debug, busy_while_the_vmm_debugs, guest_loop)
{
	static const __u32 controls[] = {
		KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP,
	};
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	for (int i = 0; i < ARRAY_SIZE(controls); i++) {
		TEST_ASSERT_EQ(set_debug(t, 0, controls[i]), 0);
		kvmi_run(t, 0);
		kvmi_expect_running(t, 0);
		KVMI_ASSERT_ERR(kvmi_control_step(&t->tool, 0, 1), -KVM_EBUSY);
		KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 0));
		kvmi_expect_no_event(&t->tool, 0);
		kvmi_worker_stop(&t->worker[0]);
		TEST_ASSERT_EQ(set_debug(t, 0, 0), 0);
	}
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	kvmi_expect_step(&t->tool, 0, &ev);
}

static void start(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	kvmi_expect_step(&t->tool, 0, ev);
}

KVMI_TEST(kvmi_guest_debug, busy_while_the_tool_steps, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	TEST_ASSERT_EQ(set_debug(t, 0, STEPS), EBUSY);
	TEST_ASSERT_EQ(set_debug(t, 0, KVM_GUESTDBG_ENABLE), EBUSY);
	TEST_ASSERT_EQ(set_debug(t, 0, 0), EBUSY);
	/* Nothing of it took effect. */
	kvmi_run(t, 0);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_loop(&t->tool, 0, &ev, 1);
	kvmi_end_steps(&t->tool, 0, &ev);
	kvmi_expect_running(t, 0);

	kvmi_worker_stop(&t->worker[0]);
	into_loop(t, 0);
	TEST_ASSERT_EQ(set_debug(t, 0, STEPS), 0);
	for (int i = 0; i < 5; i++)
		expect_vmm_step(t, i);
}

KVMI_TEST(kvmi_guest_debug, unhook_gives_it_to_the_vmm, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	kvmi_test_rehook(t);
	into_loop(t, 0);
	TEST_ASSERT_EQ(set_debug(t, 0, STEPS), 0);
	for (int i = 0; i < 20; i++)
		expect_vmm_step(t, i);
	TEST_ASSERT_EQ(set_debug(t, 0, 0), 0);
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Each vCPU for itself. */
KVMI_TEST(kvmi_guest_debug_smp, vcpus_are_independent, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	kvmi_run(t, 1);
	kvmi_expect_running(t, 1);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 1, 1));
	kvmi_expect_step(&t->tool, 1, &ev);
	into_loop(t, 0);
	TEST_ASSERT_EQ(set_debug(t, 0, STEPS), 0);
	for (int i = 0; i < 10; i++) {
		expect_vmm_step(t, i);
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_loop(&t->tool, 1, &ev, 1);
	}
}

/* --- what the VMM does in the middle of a step ------------------------------------------- */

KVMI_TEST(kvmi_guest_debug, vmm_sets_registers, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	for (int i = 0; i < LOOP_LEN; i++) {
		kvmi_worker_stop(&t->worker[0]);
		into_loop(t, i);
		kvmi_run(t, 0);
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_step(&t->tool, 0, &ev);
		TEST_ASSERT_EQ(loop_index(&ev), (i + 1) % LOOP_LEN);
	}
}

static void set_mp_state(struct kvmi_test *t, int i, __u32 state)
{
	struct kvm_mp_state mp = { .mp_state = state };

	vcpu_mp_state_set(t->vcpu[i], &mp);
}

KVMI_TEST(kvmi_guest_debug, vmm_halts_the_vcpu, guest_loop)
{
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	start(t, &ev);
	for (int i = 0; i < 3; i++) {
		kvmi_worker_stop(&t->worker[0]);
		set_mp_state(t, 0, KVM_MP_STATE_HALTED);
		kvmi_run(t, 0);
		kvmi_continue(&t->tool, &ev);
		/* It sleeps: there is no step, but commands are served. */
		kvmi_expect_no_event(&t->tool, 0);
		kvmi_worker_stop(&t->worker[0]);
		set_mp_state(t, 0, KVM_MP_STATE_RUNNABLE);
		kvmi_run(t, 0);
		kvmi_expect_loop(&t->tool, 0, &ev, 1);
	}
}

/* As INIT leaves it: nothing is executed until the VMM starts it again. */
KVMI_TEST(kvmi_guest_debug_smp, vcpu_is_stopped_and_started, guest_loop)
{
	struct kvmi_event_msg ev;
	__u64 count;

	REQUIRE_STEPPING(t);
	kvmi_run_all(t);
	kvmi_expect_running(t, 1);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 1, 1));
	kvmi_expect_step(&t->tool, 1, &ev);
	kvmi_worker_stop(&t->worker[1]);
	set_mp_state(t, 1, KVM_MP_STATE_UNINITIALIZED);
	count = READ_ONCE(t->guest[1]->count);
	kvmi_run(t, 1);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_no_event(&t->tool, 1);
	kvmi_expect_running(t, 0);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[1]->count), count);
	kvmi_worker_stop(&t->worker[1]);
	set_mp_state(t, 1, KVM_MP_STATE_RUNNABLE);
	kvmi_run(t, 1);
	kvmi_expect_loop(&t->tool, 1, &ev, 1);
	kvmi_end_steps(&t->tool, 1, &ev);
	kvmi_expect_running(t, 1);
}

/* An SMI waits as interrupts do. */
KVMI_TEST(kvmi_guest_debug, smi_waits, guest_loop)
{
	struct kvm_vcpu_events events;
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	if (!kvm_has_cap(KVM_CAP_X86_SMM))
		SKIP_CASE("this kernel has no SMM");
	start(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_ioctl(t->vcpu[0], KVM_SMI, NULL);
	kvmi_run(t, 0);
	for (int i = 0; i < 20; i++) {
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_loop(&t->tool, 0, &ev, 1);
	}
	kvmi_worker_stop(&t->worker[0]);
	vcpu_events_get(t->vcpu[0], &events);
	TEST_ASSERT(events.smi.pending && !events.smi.smm, "the SMI did not wait");
}

/* And so does an NMI, which has another way into the guest. */
static struct kvmi_guest *guest_of_handler;

static void guest_nmi_handler(struct ex_regs *regs)
{
	guest_of_handler->val[1]++;
}

KVMI_TEST(kvmi_guest_debug, nmi_waits, guest_loop)
{
	__u64 *taken = &t->guest[0]->val[1];
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	vm_install_exception_handler(t->vm, NMI_VECTOR, guest_nmi_handler);
	guest_of_handler = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, guest_of_handler);
	start(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_ioctl(t->vcpu[0], KVM_NMI, NULL);
	kvmi_run(t, 0);
	for (int i = 0; i < 20; i++) {
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_loop(&t->tool, 0, &ev, 1);
	}
	TEST_ASSERT_EQ(READ_ONCE(*taken), 0);
	kvmi_end_steps(&t->tool, 0, &ev);
	KVMI_WAIT(READ_ONCE(*taken) == 1, "the NMI that had to wait does not come");
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST_MAIN()
