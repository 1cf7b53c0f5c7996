// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single-stepping through many forms of instructions. Each is executed twice from the
 * same state, undisturbed by one vCPU and step by step by another: afterwards nothing
 * must differ, be it registers, memory or the frame of an exception. TF is not to be
 * seen anywhere, unless the guest has set it itself.
 */
#include <poll.h>

#include "kvmi_step_insn.h"
#include "kvmi_test_harness.h"

/* More than any form has. */
#define MAX_STEPS	500

enum { NEEDS_NOTHING, NEEDS_XSAVE };

KVMI_TEST_SUITE(kvmi_step_insn, 2);

FIXTURE_VARIANT(kvmi_step_insn) { struct insn_form form; };

#include "kvmi_step_forms.h"

struct run {
	struct kvmi_test *t;
	struct insn_state *state;
	bool ended;
};

static void *run_thread(void *arg)
{
	struct run *run = arg;

	insn_run(run->t, run->t->vcpu[1], run->state);
	WRITE_ONCE(run->ended, true);
	return NULL;
}

static __u32 post_control(struct kvmi_test *t, __u8 enable)
{
	struct kvmi_vcpu_control_singlestep req = { .enable = enable };

	return kvmi_vcpu_post(&t->tool, 1, KVMI_VCPU_CONTROL_SINGLESTEP, &req, sizeof(req));
}

static int collect_control(struct kvmi_test *t, __u32 seq)
{
	return kvmi_collect(&t->tool, KVMI_VCPU_CONTROL_SINGLESTEP, seq, NULL, 0);
}

static bool event_is_there(struct kvmi_test *t)
{
	struct pollfd pfd = { .fd = t->tool.fd, .events = POLLIN };

	return t->tool.nr_events || poll(&pfd, 1, 0) > 0;
}

static void expect_step(struct run *run, struct kvmi_event_msg *ev)
{
	struct kvmi_test *t = run->t;

	KVMI_WAIT(event_is_there(t) || READ_ONCE(run->ended), "no event after a step");
	TEST_ASSERT(event_is_there(t), "the guest came to its end without an event: RIP %#llx",
		    run->state->regs.rip);
	kvmi_expect_event(&t->tool, 1, KVMI_VCPU_EVENT_SINGLESTEP, ev);
	TEST_ASSERT_EQ(ev->singlestep.failed, 0);
}

/* Steps vCPU 1 until it is at the end; returns the number of steps. */
static int step_to_end(struct run *run, const struct insn_form *form)
{
	struct kvmi_test *t = run->t;
	struct kvmi_event_msg ev;
	int n = 0;

	do {
		if (n)
			kvmi_continue(&t->tool, &ev);
		expect_step(run, &ev);
		TEST_ASSERT(form->traps || !(ev.ev.arch.regs.rflags & RFLAGS_TF),
			    "TF is seen after step %d", n + 1);
		pr_debug("step %d: rip %#llx rflags %#llx\n", n + 1, ev.ev.arch.regs.rip,
			 ev.ev.arch.regs.rflags);
		n++;
		TEST_ASSERT(n < MAX_STEPS, "RIP is %#llx after %d steps",
			    ev.ev.arch.regs.rip, n);
	} while (!insn_at_end(t, &ev.ev.arch));

	KVMI_ASSERT_OK(collect_control(t, post_control(t, 0)));
	kvmi_continue(&t->tool, &ev);
	return n;
}

TEST_F_TIMEOUT(kvmi_step_insn, same_result, KVMI_TEST_TIMEOUT_S)
{
	static struct insn_state undisturbed, stepped;
	const struct insn_form *form = &variant->form;
	struct kvmi_test *t = &self->t;
	struct run run = { t, &stepped };
	pthread_t thread;
	__u32 seq;
	int n;

	REQUIRE_STEPPING(t);
	if (form->needs == NEEDS_XSAVE && !kvm_cpu_has(X86_FEATURE_XSAVE))
		SKIP(return, "this processor has no XSAVE");

	insn_setup(t, t->vcpu[0], form);
	insn_run(t, t->vcpu[0], &undisturbed);
	TEST_ASSERT_EQ(undisturbed.exit_reason, KVM_EXIT_IO);

	insn_setup(t, t->vcpu[1], form);
	seq = post_control(t, 1);
	/* Then the command waits for the vCPU, which must not be faster. */
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	TEST_ASSERT(!pthread_create(&thread, NULL, run_thread, &run), "pthread_create() failed");
	KVMI_ASSERT_OK(collect_control(t, seq));
	n = step_to_end(&run, form);
	pthread_join(thread, NULL);

	insn_compare(form, &undisturbed, &stepped);
	if (form->steps)
		TEST_ASSERT_EQ(n, form->steps);
}

KVMI_TEST_MAIN()
