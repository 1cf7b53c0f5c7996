// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restrictions that change at random while two vCPUs work in the pages.
 *
 * The guest checks what it reads, the host what is in memory when both stop. The tool
 * checks each event against the restrictions that it has set, and now and then, with all
 * events unanswered, that no access slips by.
 *
 * Guest and tool have generators of their own, which begin with a seed that is printed.
 * KVMI_SEED=number repeats it as far as timing allows, KVMI_SECONDS=number tells for how
 * long.
 */
#include <poll.h>
#include <sched.h>

#include "kvmi_pf_random_area.h"
#include "kvmi_test_harness.h"

/* Bochs needs a minute for a second. */
#define SECONDS		(host_cpu_is_amd ? 10 : 1)

enum { CONTINUE, LIFT, RETRY, COMPLETE, SUPPLY, BUSY, NR_REPLIES };

static const char *const reply_names[] = {
	"continue", "lift and retry", "retry", "rep_complete", "supply", "commands first",
};

/* --- answers --- */

static void continue_pf(struct random_tool *r, int v, const struct kvmi_vcpu_event_pf_reply *reply)
{
	const struct kvmi_event_msg *ev = &r->held[v];

	r->continued[v].ops = r->undisturbed[v] ? r->guest[v]->ops + 1 : 0;
	r->continued[v].rip = ev->ev.arch.regs.rip;
	r->continued[v].rcx = ev->ev.arch.regs.rcx;
	r->continued[v].gva = ev->pf.gva;
	r->continued[v].gpa = ev->pf.gpa;
	r->continued[v].access = ev->pf.access;
	r->continued[v].rep_complete = reply->rep_complete;
	r->is_held[v] = false;
	reply_pf(r->t, ev, KVMI_EVENT_ACTION_CONTINUE, reply);
}

static void retry(struct random_tool *r, int v)
{
	r->is_held[v] = false;
	r->continued[v].ops = 0;
	retry_pf(r->t, &r->held[v]);
}

/*
 * What a read of the vCPU's own data or of the oracle gets from the tool. A REP prefix
 * might read later what it has written.
 */
static bool supply(struct random_tool *r, int v, struct kvmi_vcpu_event_pf_reply *reply)
{
	const struct kvmi_event_msg *ev = &r->held[v];
	__u64 page = (ev->pf.gpa - r->area.gpa) / PAGE, kind = r->guest[v]->kind, word;
	__u64 offset = ev->pf.gpa & (PAGE - 1);

	if (ev->pf.access != ACCESS_R || ev->pf.gpa < r->area.gpa || page >= AREA_PAGES ||
	    ev->pf.gva == ~0ull)
		return false;

	reply->ctx_addr = ev->pf.gva;
	if (page == ORACLE && kind == ORACLE_PAGE) {
		word = ORACLE_TOOL(offset / 8);
		reply->ctx_size = sizeof(word);
		memcpy(reply->ctx_data, &word, sizeof(word));
		r->supplied[v]++;
		return true;
	}
	if (page < v * OWN_PAGES || page >= v * OWN_PAGES + MIRRORED || kind < REPEATED)
		return false;
	reply->ctx_size = 1 + any(r, sizeof(reply->ctx_data));
	if (reply->ctx_size > PAGE - offset)
		reply->ctx_size = PAGE - offset;
	memcpy(reply->ctx_data, r->area.hva + (ev->pf.gpa - r->area.gpa), reply->ctx_size);
	return true;
}

static void answer_pf(struct random_tool *r, int v)
{
	static const __u8 kinds[16] = {
		LIFT, LIFT, RETRY, COMPLETE, COMPLETE, SUPPLY, SUPPLY, SUPPLY, BUSY,
	};
	struct kvmi_vcpu_event_pf_reply reply = { };
	struct kvmi_vcpu_get_registers_reply regs;
	__u8 kind = kinds[any(r, 16)];

	switch (kind) {
	case LIFT:
		set_pages(r, r->held[v].pf.gpa / PAGE, 1, ACCESS_RWX);
		retry(r, v);
		break;
	case RETRY:
		retry(r, v);
		break;
	case SUPPLY:
		if (!supply(r, v, &reply))
			kind = CONTINUE;
		continue_pf(r, v, &reply);
		break;
	case BUSY:
		KVMI_ASSERT_OK(kvmi_get_regs(&r->t->tool, v, &regs));
		vcpu_is_up_to_date(r, v);
		TEST_ASSERT_EQ(regs.regs.rip, r->held[v].ev.arch.regs.rip);
		set_ranges(r);
		continue_pf(r, v, &reply);
		break;
	default:
		reply.rep_complete = kind == COMPLETE;
		continue_pf(r, v, &reply);
	}
	r->replies[kind]++;
	NOTE(r, "vCPU %d: answered, %s", v, reply_names[kind]);
}

static void answer(struct random_tool *r, int v)
{
	bool kicked = kvmi_worker_is_kicked(&r->t->worker[v]);

	if (!r->is_held[v])
		return;
	if (r->held[v].ev.event == KVMI_VCPU_EVENT_PF) {
		answer_pf(r, v);
	} else {
		r->is_held[v] = false;
		kvmi_continue(&r->t->tool, &r->held[v]);
	}
	r->undisturbed[v] = !kicked;
}

/*
 * Takes events that have come or come within @ms. Nothing else can, as no command is on
 * its way. Meanwhile this thread does not run in the guest's place.
 */
static void pump(struct random_tool *r, int ms)
{
	struct pollfd pfd = { .fd = r->t->tool.fd, .events = POLLIN };
	struct kvmi_event_msg ev;

	for (; poll(&pfd, 1, ms) > 0; ms = 0) {
		kvmi_next_event(&r->t->tool, &ev);
		take_event(r, &ev);
	}
}

static void pump_and_answer(struct random_tool *r)
{
	pump(r, 1);
	for (int v = 0; v < VCPUS; v++)
		answer(r, v);
}

/* --- no access slips by --- */

static __u64 entries_to(struct random_tool *r, int v, __u64 page)
{
	__u64 calls = 0;

	for (int i = 0; i < NR_FUNCTIONS; i++)
		if (CODE + random_functions[i].offset / PAGE == page)
			calls += READ_ONCE(r->guest[v]->calls[i]);
	return calls;
}

/* Each vCPU waits for an answer, or has finished some operations. */
static void let_work(struct random_tool *r, int nr_ops)
{
	__u64 ops[VCPUS];

	for (int v = 0; v < VCPUS; v++)
		ops[v] = READ_ONCE(r->guest[v]->ops);
	for (int v = 0; v < VCPUS; v++)
		KVMI_WAIT((pump(r, 1), r->is_held[v] ||
			   READ_ONCE(r->guest[v]->ops) >= ops[v] + nr_ops),
			  "a guest neither works nor waits for an answer");
}

/*
 * One page is restricted, and nothing is answered. What a vCPU was about to do before is
 * over when it is in the next operation.
 */
static void freeze(struct random_tool *r)
{
	__u8 before[PAGE], *hva, access = any_access(r);
	__u64 page = any(r, AREA_PAGES), entries[VCPUS], now;

	if (any(r, 2))
		reset_all(r);
	for (int v = 0; v < VCPUS; v++) {
		switch_step(r, v, false);
		switch_pf(r, v, true);
	}
	lift_tables(r);
	hva = r->area.hva + page * PAGE;
	set_pages(r, r->area.gpa / PAGE + page, 1, access);
	let_work(r, 2);

	memcpy(before, hva, PAGE);
	for (int v = 0; v < VCPUS; v++)
		entries[v] = entries_to(r, v, page);
	/* What nobody may read can be anything. */
	if (!access)
		memset(hva, 0xa5, PAGE);
	let_work(r, 20);
	for (int i = 0; !access && i < PAGE; i++)
		TEST_ASSERT(hva[i] == 0xa5, "page %llu byte %d: was written", page, i);
	if (!access)
		memcpy(hva, before, PAGE);
	for (int i = 0; !(access & ACCESS_W) && i < PAGE; i++)
		TEST_ASSERT(hva[i] == before[i], "page %llu byte %d: was written", page, i);
	for (int v = 0; v < VCPUS; v++) {
		now = entries_to(r, v, page);
		TEST_ASSERT(access & ACCESS_X || now == entries[v],
			    "vCPU %d: page %llu was executed", v, page);
	}
	r->freezes++;
}

/* --- is everything as it has to be? --- */

static void check_memory(struct random_tool *r)
{
	__u64 *shared = (__u64 *)(r->area.hva + SHARED * PAGE), locked = 0, pair = 0, added;
	struct random_guest *g;

	for (int v = 0; v < VCPUS; v++) {
		g = r->guest[v];
		for (int i = 0; i < MIRRORED * PAGE; i++)
			TEST_ASSERT(r->area.hva[v * OWN_PAGES * PAGE + i] == r->mirror[v].hva[i],
				    "vCPU %d offset 0x%x: %x, in the mirror %x, op %llu, last kind %llu of 0x%llx",
				    v, i, r->area.hva[v * OWN_PAGES * PAGE + i],
				    r->mirror[v].hva[i], g->ops, g->kind, g->arg);
		TEST_ASSERT_EQ(shared[LOOSE + v], g->loose);
		TEST_ASSERT(g->supplied <= r->supplied[v], "vCPU %d saw %llu values of %llu", v,
			    g->supplied, r->supplied[v]);
		locked += g->locked;
		pair += g->pair;
	}
	for (int i = 0; i < NR_WORDS; i++) {
		added = r->guest[0]->added[i] + r->guest[1]->added[i];
		TEST_ASSERT_EQ(shared[i], added);
	}
	TEST_ASSERT_EQ(shared[LOCK], 0);
	TEST_ASSERT_EQ(shared[LOCKED], locked);
	TEST_ASSERT_EQ(shared[PAIR], pair);
	TEST_ASSERT_EQ(shared[PAIR + 1], -pair);
}

static void checkpoint(struct random_tool *r)
{
	struct kvmi_guest **g = r->t->guest;

	/* An operation may take long with these, and so it may one instruction at a time. */
	lift_tables(r);
	for (int v = 0; v < VCPUS; v++) {
		switch_step(r, v, false);
		kvmi_step_begin(r->t, v);
	}
	for (int v = 0; v < VCPUS; v++)
		/* Pairs with the release in guest_done(). */
		KVMI_WAIT((pump_and_answer(r), smp_load_acquire(&g[v]->done) == g[v]->go),
			  "a guest does not finish its operation");
	check_memory(r);
	compare_all(r);
	for (int v = 0; v < VCPUS; v++)
		kvmi_step_begin(r->t, v);
	r->checks++;
}

/* --- what happens at random --- */

static void one_round(struct random_tool *r)
{
	int v = any(r, VCPUS);

	switch (any(r, 64)) {
	case 0:
		reset_all(r);
		break;
	case 1 ... 2:
		compare_all(r);
		break;
	case 3 ... 4:
		switch_pf(r, v, any(r, 4));
		break;
	case 5 ... 6:
		kick(r, v);
		break;
	case 7:
		pause_vcpu(r, v);
		break;
	case 8:
		get_info(r, v);
		break;
	case 9:
		switch_step(r, v, true);
		break;
	case 10 ... 12:
		switch_step(r, v, false);
		break;
	case 13:
		lift_tables(r);
		break;
	case 14:
		freeze(r);
		break;
	case 15:
		checkpoint(r);
		break;
	case 16:
		if (!any(r, 8))
			rehook(r);
		break;
	case 17 ... 24:
		set_list(r);
		break;
	case 25 ... 32:
		set_ranges(r);
		break;
	default:
		pump(r, any(r, 2));
	}
	for (v = 0; v < VCPUS; v++)
		if (any(r, 8))
			answer(r, v);
}

/* --- before and after --- */

/* Guests that never rest: the tool comes first, or it waits for its turn all the time. */
static void run_in_background(struct kvmi_test *t, int v)
{
	const struct sched_param param = { };

	kvmi_run(t, v);
	KVMI_WAIT(READ_ONCE(t->worker[v].tid), "the vCPU's thread does not start");
	TEST_ASSERT(!sched_setscheduler(t->worker[v].tid, SCHED_IDLE, &param),
		    "sched_setscheduler() failed");
}

static void print_what_happened(struct random_tool *r)
{
	printf("# events: R %llu W %llu X %llu, steps %llu\n", r->events[ACCESS_R],
	       r->events[ACCESS_W], r->events[ACCESS_X], r->steps);
	printf("# replies:");
	for (int i = 0; i < NR_REPLIES; i++)
		printf(" %s %llu%s", reply_names[i], r->replies[i], i < BUSY ? "," : "\n");
	printf("# changes %llu, freezes %llu, checks %llu, sessions %llu\n", r->changes,
	       r->freezes, r->checks, r->rehooks + 1);
	for (int v = 0; v < VCPUS; v++)
		printf("# vCPU %d: operations %llu, exceptions %llu, values of the tool %llu\n", v,
		       r->guest[v]->ops, r->guest[v]->traps, r->guest[v]->supplied);
	fflush(stdout);
}

KVMI_TEST_SUITE(kvmi_pf_random, VCPUS);

TEST_F_TIMEOUT(kvmi_pf_random, restrictions, 3600)
{
	struct kvmi_test *t = &self->t;
	struct random_tool r = { };
	__u64 end;

	r.state = kvmi_env("KVMI_SEED", kvmi_now_ms() << 20 ^ getpid());
	/* The one number that the generator would repeat. */
	r.state = r.state ?: 1;
	printf("# KVMI_SEED=0x%llx\n", r.state);
	fflush(stdout);
	REQUIRE_PAGE_ACCESS(t);
	set_up(&r, t);
	for (int v = 0; v < VCPUS; v++)
		kvmi_set_guest(t, v, guest_random);
	for (int v = 0; v < VCPUS; v++)
		run_in_background(t, v);
	for (int v = 0; v < VCPUS; v++)
		switch_pf(&r, v, true);

	end = kvmi_now_ms() + 1000 * kvmi_env("KVMI_SECONDS", SECONDS);
	while (kvmi_now_ms() < end)
		one_round(&r);
	checkpoint(&r);
	print_what_happened(&r);
	for (int a = ACCESS_R; a <= ACCESS_X; a <<= 1)
		TEST_ASSERT(r.events[a], "no event of access %d", a);
	TEST_ASSERT(r.guest[0]->ops && r.guest[1]->ops, "a guest did nothing");
	unfinished_tool = NULL;
}

KVMI_TEST_MAIN()
