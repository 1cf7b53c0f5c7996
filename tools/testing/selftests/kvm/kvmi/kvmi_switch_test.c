// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every switch of every event, on and off in any order, again and again, while the
 * vCPUs raise all events all the time.
 *
 * A vCPU sends its events and its replies to commands in order: once it has said that
 * an event is off, there is none any more. What is random begins with a seed, which is
 * printed; KVMI_SEED=number repeats it as far as timing allows.
 */
#include <sched.h>

#include "kvmi_switch_guest.h"
#include "kvmi_switch_tool.h"
#include "kvmi_test_harness.h"

/* Events that one command has asked for, and how many came of each kind. */
static int expected[VCPUS + 1][KVMI_NUM_EVENTS];
static __u64 seen[VCPUS + 1][KVMI_NUM_EVENTS];
/* Events that are to be answered later. */
static struct kvmi_event_msg held[VCPUS];
static bool is_held[VCPUS], hold;
static __u64 calls[VCPUS], answers[VCPUS], traps[VCPUS];
static __u32 event_seq;

static unsigned int seed;

static unsigned int any(unsigned int n)
{
	return rand_r(&seed) % n;
}

static bool may_come(const struct kvmi_event_msg *ev)
{
	__u8 vcpu = ev->ev.vcpu, event = ev->ev.event;

	switch (event) {
	case KVMI_VCPU_EVENT_SINGLESTEP:
		return is_on(vcpu, KVMI_VCPU_CONTROL_SINGLESTEP, 0);
	case KVMI_VCPU_EVENT_CR:
		return is_on(vcpu, KVMI_VCPU_CONTROL_EVENTS, event) &&
		       is_on(vcpu, KVMI_VCPU_CONTROL_CR, ev->cr.cr);
	case KVMI_VCPU_EVENT_MSR:
		return is_on(vcpu, KVMI_VCPU_CONTROL_EVENTS, event) &&
		       is_on(vcpu, KVMI_VCPU_CONTROL_MSR, ev->msr.msr);
	case KVMI_VCPU_EVENT_XSETBV:
	case KVMI_VCPU_EVENT_BREAKPOINT:
	case KVMI_VCPU_EVENT_HYPERCALL:
	case KVMI_VCPU_EVENT_DESCRIPTOR:
	case KVMI_VCPU_EVENT_CPUID:
		return is_on(vcpu, KVMI_VCPU_CONTROL_EVENTS, event);
	default:
		return expected[vcpu][event]-- > 0;
	}
}

/* In KVM's place. */
static void answer_cpuid(struct kvmi_test *t, const struct kvmi_event_msg *ev)
{
	struct kvm_regs regs = ev->ev.arch.regs;

	answers[ev->ev.vcpu]++;
	regs.rbx = ANSWER;
	regs.rip += ev->cpuid.insn_len;
	post(t, ev->ev.vcpu, KVMI_VCPU_SET_REGISTERS, &regs, sizeof(regs), NULL);
	flush(t);
	kvmi_reply(&t->tool, ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
}

static void answer(struct kvmi_test *t, int vcpu)
{
	if (!is_held[vcpu])
		return;
	is_held[vcpu] = false;
	if (held[vcpu].ev.event == KVMI_VCPU_EVENT_CPUID && !any(4))
		answer_cpuid(t, &held[vcpu]);
	else
		kvmi_continue(&t->tool, &held[vcpu]);
}

static void take_event(struct kvmi_test *t, const struct kvmi_msg *msg)
{
	struct kvmi_event_msg ev;
	bool of_vm;

	TEST_ASSERT(sizeof(msg->hdr) + msg->hdr.size <= sizeof(ev), "event too long");
	memcpy(&ev, msg, sizeof(msg->hdr) + msg->hdr.size);
	of_vm = ev.ev.event == KVMI_VM_EVENT_UNHOOK || ev.ev.event == KVMI_VM_EVENT_CMD_ERROR;
	TEST_ASSERT(ev.ev.vcpu < VCPUS && ev.ev.event < KVMI_NUM_EVENTS, "event %u of vCPU %u",
		    ev.ev.event, ev.ev.vcpu);
	if (of_vm)
		ev.ev.vcpu = THE_VM;
	TEST_ASSERT_EQ(ev.hdr.seq, ++event_seq);
	TEST_ASSERT(may_come(&ev), "event %u of vCPU %u, which is off", ev.ev.event, ev.ev.vcpu);
	seen[ev.ev.vcpu][ev.ev.event]++;
	if (of_vm)
		return;
	if (ev.ev.event == KVMI_VCPU_EVENT_HYPERCALL)
		calls[ev.ev.vcpu]++;
	if (ev.ev.event == KVMI_VCPU_EVENT_TRAP)
		traps[ev.ev.vcpu] += ev.trap.vector == UD_VECTOR;
	held[ev.ev.vcpu] = ev;
	is_held[ev.ev.vcpu] = true;
	if (!hold)
		answer(t, ev.ev.vcpu);
}

static void take_message(struct kvmi_test *t)
{
	struct kvmi_msg msg;

	receive(t, &msg);
	TEST_ASSERT(!nr_pending || kvmi_now_ms() < pending[0].since + KVMI_TIMEOUT_MS,
		    "timeout: vCPU %u does not answer command %u", pending[0].vcpu, pending[0].id);
	/* As a command it is unknown, and not used here. */
	if (msg.hdr.id == KVMI_EVENT)
		take_event(t, &msg);
	else
		take_reply(&msg);
}

/* A vCPU serves commands while it runs and while it waits for an answer. */
static void take_replies(struct kvmi_test *t)
{
	hold = any(2);
	while (nr_pending)
		take_message(t);
	hold = false;
	for (int i = 0; i < VCPUS; i++)
		answer(t, i);
	/* Of commands that answers brought along. */
	while (nr_pending)
		take_message(t);
}

static void take_expected(struct kvmi_test *t, int vcpu, int event)
{
	while (expected[vcpu][event])
		take_message(t);
}

/* --- one cycle ------------------------------------------------------------------------------ */

static void swap(struct cond *a, struct cond *b)
{
	struct cond c = *a;

	*a = *b;
	*b = c;
}

/* In a new order. Steps take long: most of the time they are the last on and first off. */
static void shuffle(bool on)
{
	int i, steps = 0;

	for (i = nr_conds - 1; i > 0; i--)
		swap(&conds[i], &conds[any(i + 1)]);
	if (!any(4))
		return;
	for (i = 0; i < nr_conds; i++) {
		struct cond *c = &conds[on ? nr_conds - 1 - i : i];

		if (c->id != KVMI_VCPU_CONTROL_SINGLESTEP)
			continue;
		swap(c, &conds[on ? nr_conds - 1 - steps : steps]);
		steps++;
	}
}

/* Some at a time. */
static void switch_all(struct kvmi_test *t, bool on)
{
	shuffle(on);
	for (int i = 0; i < nr_conds; ) {
		for (int n = 1 + any(16); n && i < nr_conds; n--)
			post_switch(t, &conds[i++], on);
		take_replies(t);
	}
}

static void pause_and_inject(struct kvmi_test *t)
{
	struct kvmi_vcpu_inject_exception ex = { .nr = UD_VECTOR };
	struct kvmi_vcpu_pause pause;

	for (int i = 0; i < VCPUS; i++) {
		expected[i][KVMI_VCPU_EVENT_PAUSE]++;
		expected[i][KVMI_VCPU_EVENT_TRAP]++;
		pause = (struct kvmi_vcpu_pause) { .wait = any(2) };
		post(t, i, KVMI_VCPU_PAUSE, &pause, sizeof(pause), NULL);
		post(t, i, KVMI_VCPU_INJECT_EXCEPTION, &ex, sizeof(ex), NULL);
	}
	take_replies(t);
	for (int i = 0; i < VCPUS; i++) {
		take_expected(t, i, KVMI_VCPU_EVENT_PAUSE);
		take_expected(t, i, KVMI_VCPU_EVENT_TRAP);
	}
	take_replies(t);
}

/* The events of the VM: each comes if it is on, and only then. */
static void events_of_vm(struct kvmi_test *t, bool on)
{
	struct kvmi_vm_control_cmd_response response = { .enable = 0, .now = 1 };
	struct kvmi_vm_check_event no_such = { .id = KVMI_NUM_EVENTS };

	expected[THE_VM][KVMI_VM_EVENT_UNHOOK] += on;
	expected[THE_VM][KVMI_VM_EVENT_CMD_ERROR] += on;
	TEST_ASSERT_EQ(kvmi_preunhook(t->vm->fd), on ? 0 : -ENOENT);
	post(t, THE_VM, KVMI_VM_CONTROL_CMD_RESPONSE, &response, sizeof(response), NO_REPLY);
	post(t, THE_VM, KVMI_VM_CHECK_EVENT, &no_such, sizeof(no_such), NO_REPLY);
	response.enable = 1;
	post(t, THE_VM, KVMI_VM_CONTROL_CMD_RESPONSE, &response, sizeof(response), NULL);
	take_replies(t);
	take_expected(t, THE_VM, KVMI_VM_EVENT_UNHOOK);
	take_expected(t, THE_VM, KVMI_VM_EVENT_CMD_ERROR);
}

/*
 * Without anything on, guests come to their next round, and exceptions to the handler:
 * the next injection would meet one that is still on its way, and be dropped.
 */
static void expect_all_free(struct kvmi_test *t)
{
	for (int i = 0; i < VCPUS; i++) {
		__u64 done = READ_ONCE(t->guest[i]->done);

		/* Without a sleep this thread would run in the guest's place. */
		KVMI_WAIT((usleep(100), READ_ONCE(t->guest[i]->done) > done + 1),
			  "a guest makes no progress");
		TEST_ASSERT_EQ(READ_ONCE(t->guest[i]->val[TRAPS]), traps[i]);
	}
}

static void cycle(struct kvmi_test *t)
{
	switch_all(t, true);
	pause_and_inject(t);
	events_of_vm(t, true);
	switch_all(t, false);
	events_of_vm(t, false);
	expect_all_free(t);
}

/* --- before and after ------------------------------------------------------------------------ */

#define MANY	300

/* Exits in MANY rounds of a vCPU that nobody introspects; the host's interrupts add some. */
static __u64 count_exits(struct kvmi_test *t, int i)
{
	__u64 n, least = ~0ull;

	t->guest[i]->val[ROUNDS] = MANY;
	kvmi_count_exits(t, i);
	kvmi_run(t, i);
	for (int tries = 0; tries < 3; tries++) {
		n = kvmi_exits_of_step(t, i);
		least = n < least ? n : least;
	}
	kvmi_worker_stop(&t->worker[i]);
	return least;
}

/* Guests that never rest: the tool comes first, or it waits for its turn all the time. */
static void run_in_background(struct kvmi_test *t, int i)
{
	const struct sched_param param = { };

	kvmi_run(t, i);
	KVMI_WAIT(READ_ONCE(t->worker[i].tid), "the vCPU's thread does not start");
	TEST_ASSERT(!sched_setscheduler(t->worker[i].tid, SCHED_IDLE, &param),
		    "sched_setscheduler() failed");
}

static void expect_results(struct kvmi_test *t, int i)
{
	__u64 *val = t->guest[i]->val;

	for (int c = 0; c < ARRAY_SIZE(checks); c++)
		TEST_ASSERT(!(val[FAILED] & BIT(c)), "vCPU %d: the guest found %s wrong",
			    i, checks[c]);
	TEST_ASSERT_EQ(val[CALLS], calls[i]);
	TEST_ASSERT_EQ(val[ANSWERS], answers[i]);
	TEST_ASSERT_EQ(val[TRAPS], traps[i]);
}

static void print_seen(void)
{
	for (int i = 0; i <= THE_VM; i++) {
		printf("# events of %s %d:", i == THE_VM ? "VM" : "vCPU", i);
		for (int event = 0; event < KVMI_NUM_EVENTS; event++)
			printf(" %llu", seen[i][event]);
		printf("\n");
	}
	fflush(stdout);
}

FIXTURE(kvmi_switch) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_switch)
{
	struct kvmi_test *t = &self->t;

	seed = kvmi_env("KVMI_SEED", getpid() ^ kvmi_now_ms());
	printf("# seed %u\n", seed);
	fflush(stdout);
	t->vm = vm_create_with_vcpus(VCPUS, guest_everything, t->vcpu);
	kvmi_test_prepare(t, VCPUS);
	vm_install_exception_handler(t->vm, BP_VECTOR, guest_bp_handler);
	vm_install_exception_handler(t->vm, UD_VECTOR, guest_ud_handler);
	kvmi_tool_init(&t->tool, -1);
	for (int i = 0; i < VCPUS; i++) {
		kvmi_set_guest(t, i, guest_everything);
		t->guest[i]->val[HAS_XSAVE] = kvm_cpu_has(X86_FEATURE_XSAVE);
	}
}

FIXTURE_TEARDOWN(kvmi_switch) { kvmi_test_teardown(&self->t); }

TEST_F_TIMEOUT(kvmi_switch, every_event, 1500)
{
	struct kvmi_get_version_reply v;
	struct kvmi_test *t = &self->t;
	__u64 untouched[VCPUS], start, now;
	int cycles, i;

	for (i = 0; i < VCPUS; i++) {
		untouched[i] = count_exits(t, i);
		expect_results(t, i);
		t->guest[i]->val[ROUNDS] = 1;
		t->guest[i]->go = ~0ull;
	}
	kvmi_tool_init(&t->tool, kvmi_hook(t->vm->fd));
	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &v, sizeof(v)));
	list_all(v.features.singlestep);
	start_messages(t);
	cycles = kvmi_env("KVMI_CYCLES", 1000);

	for (i = 0; i < VCPUS; i++)
		run_in_background(t, i);
	start = kvmi_now_ms();
	for (i = 0; i < cycles; i++)
		cycle(t);
	printf("# %d cycles in %llu ms; a command waited for %llu ms at most\n", cycles,
	       kvmi_now_ms() - start, longest);
	print_seen();

	for (i = 0; i < VCPUS; i++) {
		/* It waits for a step that is far away. */
		WRITE_ONCE(t->guest[i]->go, 0);
		kvmi_expect_running(t, i);
		expect_results(t, i);
	}
	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	for (i = 0; i < VCPUS; i++) {
		kvmi_worker_stop(&t->worker[i]);
		t->guest[i]->go = t->guest[i]->done;
		now = count_exits(t, i);
		TEST_ASSERT(now < untouched[i] + MANY / 2,
			    "vCPU %d: %llu exits, %llu before anything was switched", i, now,
			    untouched[i]);
		expect_results(t, i);
	}
}

KVMI_TEST_MAIN()
