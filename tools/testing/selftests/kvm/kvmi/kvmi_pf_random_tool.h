/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_RANDOM_TOOL_H
#define SELFTEST_KVMI_PF_RANDOM_TOOL_H

/*
 * The tool's picture of the restrictions, and of the events that they can raise.
 *
 * A vCPU looks at the map before it sends an event. So an event may tell of a restriction
 * that is gone by now, until the vCPU has answered a command that came after the change.
 */
#include "kvmi_page_access.h"
#include "kvmi_pf_random.h"

#define MAX_PAGES	(AREA_PAGES + 16)
#define NR_NOTES	64
#define NOTE_SIZE	100

/* Those of TABLEs are only looked at by the processor, without an event. */
enum page_kind { AREA, TABLE, ENTRIES, SEGMENT };

struct page {
	__u64 gpa;
	enum page_kind kind;
	__u8 now;
	__u8 denied[VCPUS];		/* what may still be reported */
};

struct random_tool {
	struct kvmi_test *t;
	__u64 state;			/* of its random numbers */
	bool can_step;
	struct area area, mirror[VCPUS];
	struct random_guest *guest[VCPUS];

	struct page page[MAX_PAGES];	/* those of the area come first */
	int nr_pages;
	__u8 access[8];			/* that this processor can grant alone */
	int nr_accesses;

	struct kvmi_event_msg held[VCPUS];
	bool is_held[VCPUS];
	bool pf_on[VCPUS], step_on[VCPUS];
	int pauses[VCPUS];		/* that are to come */
	bool undisturbed[VCPUS];	/* no signal came or can come since the last answer */
	struct {
		__u64 ops, rip, rcx, gva, gpa;
		__u8 access;
		bool rep_complete;
	} continued[VCPUS];		/* the last event that was for sure, or zeros */
	__u64 supplied[VCPUS];

	/* what has happened */
	char last[NR_NOTES][NOTE_SIZE];
	int nr_notes;
	__u64 events[8], replies[8], changes, steps, rehooks, freezes, checks;
};

static inline __u64 any(struct random_tool *r, __u64 n)
{
	return (next_random(&r->state) >> 16) % n;
}

/* To be printed when something is wrong. */
#define NOTE(r, fmt, ...)							\
	snprintf((r)->last[(r)->nr_notes++ % NR_NOTES], NOTE_SIZE, fmt, ##__VA_ARGS__)

static inline void print_notes(const struct random_tool *r)
{
	for (int i = r->nr_notes; i < r->nr_notes + NR_NOTES; i++)
		if (*r->last[i % NR_NOTES])
			printf("# %s\n", r->last[i % NR_NOTES]);
	for (int v = 0; v < VCPUS; v++)
		printf("# vCPU %d: op %llu kind %llu of 0x%llx%s%s\n", v, r->guest[v]->ops,
		       r->guest[v]->kind, r->guest[v]->arg,
		       r->is_held[v] ? ", waits for an answer" : "",
		       kvmi_worker_is_kicked(&r->t->worker[v]) ? ", has not taken a signal" : "");
	fflush(stdout);
}

/* --- events --- */

static inline struct page *find_page(struct random_tool *r, __u64 gpa)
{
	for (int i = 0; i < r->nr_pages; i++)
		if (r->page[i].gpa == (gpa & ~(PAGE - 1)))
			return &r->page[i];
	return NULL;
}

#define EVENT_FORMAT	"access %u gva 0x%llx gpa 0x%llx rip 0x%llx op %llu kind %llu"
#define EVENT_VALUES(r, ev)							\
	(ev)->pf.access, (ev)->pf.gva, (ev)->pf.gpa, (ev)->ev.arch.regs.rip,	\
	(r)->guest[(ev)->ev.vcpu]->ops, (r)->guest[(ev)->ev.vcpu]->kind

#define FAIL_EVENT(r, ev, what)							\
	TEST_FAIL("vCPU %u: %s: " EVENT_FORMAT " of 0x%llx", (ev)->ev.vcpu, what, \
		  EVENT_VALUES(r, ev), (r)->guest[(ev)->ev.vcpu]->arg)

static inline bool in_area(struct random_tool *r, __u64 gva)
{
	return gva >= r->area.gva && gva < r->area.gva + AREA_PAGES * PAGE;
}

static inline void check_pf(struct random_tool *r, int v, const struct kvmi_event_msg *ev)
{
	struct page *p = find_page(r, ev->pf.gpa);

	if (!r->pf_on[v])
		FAIL_EVENT(r, ev, "an event that is off");
	if (!ev->pf.access || ev->pf.access & (ev->pf.access - 1) || ev->pf.access & ~ACCESS_RWX)
		FAIL_EVENT(r, ev, "not one access");
	if (!p)
		FAIL_EVENT(r, ev, "a page that is not restricted at all");
	if (!(p->denied[v] & ev->pf.access))
		FAIL_EVENT(r, ev, "a page that has the right");
	if (p->kind == TABLE)
		FAIL_EVENT(r, ev, "the processor's look at a page table");
	if (in_area(r, ev->pf.gva) && ev->pf.gva - r->area.gva != ev->pf.gpa - r->area.gpa)
		FAIL_EVENT(r, ev, "addresses that do not belong together");
	if (ev->pf.gva != ~0ull && (ev->pf.gva ^ ev->pf.gpa) & (PAGE - 1))
		FAIL_EVENT(r, ev, "different offsets");

	/* Each instruction of an operation executes once, but when it compares. */
	if (r->guest[v]->kind & COMPARING ||
	    r->continued[v].ops != r->guest[v]->ops + 1 ||
	    r->continued[v].rip != ev->ev.arch.regs.rip)
		return;
	if (r->continued[v].rep_complete)
		FAIL_EVENT(r, ev, "the tool wanted to hear no more");
	if (r->continued[v].rcx == ev->ev.arch.regs.rcx && r->continued[v].gva == ev->pf.gva &&
	    r->continued[v].gpa == ev->pf.gpa && r->continued[v].access == ev->pf.access)
		FAIL_EVENT(r, ev, "once more");
}

static inline void take_event(struct random_tool *r, const struct kvmi_event_msg *ev)
{
	int v = ev->ev.vcpu;

	TEST_ASSERT(v < VCPUS && !r->is_held[v], "vCPU %d sends an event while it waits", v);
	NOTE(r, "vCPU %d: event %u, " EVENT_FORMAT, v, ev->ev.event, EVENT_VALUES(r, ev));
	switch (ev->ev.event) {
	case KVMI_VCPU_EVENT_PF:
		check_pf(r, v, ev);
		r->events[ev->pf.access]++;
		break;
	case KVMI_VCPU_EVENT_PAUSE:
		TEST_ASSERT(r->pauses[v]-- > 0, "vCPU %d: a PAUSE event too many", v);
		break;
	case KVMI_VCPU_EVENT_SINGLESTEP:
		TEST_ASSERT(r->step_on[v], "vCPU %d steps, and was not told to", v);
		TEST_ASSERT(!ev->singlestep.failed, "vCPU %d: a step has failed", v);
		r->steps++;
		break;
	default:
		TEST_FAIL("event %u of vCPU %d", ev->ev.event, v);
	}
	r->held[v] = *ev;
	r->is_held[v] = true;
}

/* To be called before the picture changes. */
static inline void take_events(struct random_tool *r)
{
	struct kvmi_event_msg ev;

	while (r->t->tool.nr_events) {
		kvmi_next_event(&r->t->tool, &ev);
		take_event(r, &ev);
	}
}

/* --- commands --- */

/* The vCPU has served a command that came after all changes. */
static inline void vcpu_is_up_to_date(struct random_tool *r, int v)
{
	take_events(r);
	for (int i = 0; i < r->nr_pages; i++)
		r->page[i].denied[v] = ~r->page[i].now;
}

static inline void get_info(struct random_tool *r, int v)
{
	struct kvmi_vcpu_get_info_reply info;

	KVMI_ASSERT_OK(kvmi_vcpu_command(&r->t->tool, v, KVMI_VCPU_GET_INFO, NULL, 0, &info,
					 sizeof(info)));
	vcpu_is_up_to_date(r, v);
}

static inline void switch_pf(struct random_tool *r, int v, bool on)
{
	NOTE(r, "vCPU %d: switch PF %d", v, on);
	if (on)
		r->pf_on[v] = true;
	KVMI_ASSERT_OK(kvmi_vcpu_events(&r->t->tool, v, KVMI_VCPU_EVENT_PF, on));
	vcpu_is_up_to_date(r, v);
	r->pf_on[v] = on;
}

static inline void switch_step(struct random_tool *r, int v, bool on)
{
	struct kvmi_vcpu_control_singlestep req = { .enable = on };

	if (!r->can_step)
		return;
	NOTE(r, "vCPU %d: switch SINGLESTEP %d", v, on);
	if (on)
		r->step_on[v] = true;
	KVMI_ASSERT_OK(kvmi_vcpu_command(&r->t->tool, v, KVMI_VCPU_CONTROL_SINGLESTEP, &req,
					 sizeof(req), NULL, 0));
	vcpu_is_up_to_date(r, v);
	r->step_on[v] = on;
}

/* Answered while the vCPU may be about to send an event for what was not allowed before. */
static inline void pause_vcpu(struct random_tool *r, int v)
{
	NOTE(r, "vCPU %d: pause", v);
	r->pauses[v]++;
	KVMI_ASSERT_OK(kvmi_pause(&r->t->tool, v, any(r, 2)));
	take_events(r);
}

/* What a change sets is in @to; elements are applied in their order. */
static inline void will_set(struct random_tool *r, __u8 *to, __u64 gfn, __u64 nr, __u8 access)
{
	NOTE(r, "0x%llx pages at 0x%llx: access %u", nr, gfn * PAGE, access);
	for (int i = 0; i < r->nr_pages; i++) {
		if (r->page[i].gpa / PAGE < gfn || r->page[i].gpa / PAGE - gfn >= nr)
			continue;
		to[i] = access;
		for (int v = 0; v < VCPUS; v++)
			r->page[i].denied[v] |= ~access;
	}
}

static inline void copy_now(struct random_tool *r, __u8 *to)
{
	for (int i = 0; i < r->nr_pages; i++)
		to[i] = r->page[i].now;
}

static inline void is_set(struct random_tool *r, const __u8 *to)
{
	take_events(r);
	for (int i = 0; i < r->nr_pages; i++)
		r->page[i].now = to[i];
	r->changes++;
}

static inline void set_pages(struct random_tool *r, __u64 gfn, __u64 nr, __u8 access)
{
	__u8 to[MAX_PAGES];

	copy_now(r, to);
	will_set(r, to, gfn, nr, access);
	KVMI_ASSERT_OK(set_access_range(r->t, gfn, nr, access));
	is_set(r, to);
}

static inline void reset_all(struct random_tool *r)
{
	set_pages(r, 0, MAX_GFN, ACCESS_RWX);
}

static inline __u8 any_access(struct random_tool *r)
{
	return r->access[any(r, r->nr_accesses)];
}

static inline struct page *any_page(struct random_tool *r)
{
	struct page *p = &r->page[any(r, r->nr_pages)];

	return p->kind == TABLE && any(r, 8) ? &r->page[any(r, AREA_PAGES)] : p;
}

/* At times one of the entries is not sound: the others count. */
static inline void set_list(struct random_tool *r)
{
	int n = 1 + any(r, any(r, 4) ? 4 : 40), bad = any(r, 8) ? -1 : any(r, n);
	struct set s = { .req.count = n };
	__u8 to[MAX_PAGES], access;
	struct page *p;

	copy_now(r, to);
	for (int i = 0; i < n; i++) {
		p = any_page(r);
		access = any_access(r);
		s.entry[i] = entry(p->gpa / PAGE, i == bad ? ACCESS_W : access);
		if (i != bad)
			will_set(r, to, p->gpa / PAGE, 1, access);
	}
	KVMI_ASSERT_ERR(send_set(r->t, &s), bad < 0 ? 0 : -KVM_EINVAL);
	is_set(r, to);
}

/* With these restricted, next to each instruction is emulated. */
static inline void lift_tables(struct random_tool *r)
{
	struct set s = { };
	__u8 to[MAX_PAGES];

	copy_now(r, to);
	for (int i = 0; i < r->nr_pages; i++) {
		if (r->page[i].kind == AREA || to[i] == ACCESS_RWX)
			continue;
		s.entry[s.req.count++] = entry(r->page[i].gpa / PAGE, ACCESS_RWX);
		will_set(r, to, r->page[i].gpa / PAGE, 1, ACCESS_RWX);
	}
	KVMI_ASSERT_OK(send_set(r->t, &s));
	is_set(r, to);
}

static inline void set_ranges(struct random_tool *r)
{
	int n = 1 + any(r, 4);
	struct ranges s = { .req.count = n };
	__u64 first, nr;
	__u8 to[MAX_PAGES], access;

	copy_now(r, to);
	for (int i = 0; i < n; i++) {
		first = any(r, AREA_PAGES);
		nr = 1 + any(r, any(r, 2) && first < AREA_PAGES - 3 ? 3 : AREA_PAGES - first);
		access = any_access(r);
		s.range[i] = range(r->area.gpa / PAGE + first, nr, access);
		will_set(r, to, r->area.gpa / PAGE + first, nr, access);
	}
	KVMI_ASSERT_OK(send_ranges(r->t, &s));
	is_set(r, to);
}

static inline void compare_all(struct random_tool *r)
{
	struct get g = { .req.count = r->nr_pages };
	__u8 access[MAX_PAGES];

	for (int i = 0; i < r->nr_pages; i++)
		g.gpa[i] = r->page[i].gpa + any(r, PAGE);
	KVMI_ASSERT_OK(send_get(r->t, &g, access));
	take_events(r);
	for (int i = 0; i < r->nr_pages; i++)
		TEST_ASSERT(access[i] == r->page[i].now, "gpa 0x%llx: access %u, expected %u",
			    r->page[i].gpa, access[i], r->page[i].now);
}

/*
 * If the signal interrupts the wait for a reply, the instruction executes again, and the
 * reply is only for the same event. So what was answered last may be asked again, and so
 * may an event that is sent before the signal is taken.
 */
static inline void kick(struct random_tool *r, int v)
{
	if (kvmi_worker_is_kicked(&r->t->worker[v]))
		return;
	NOTE(r, "vCPU %d: signal", v);
	r->undisturbed[v] = false;
	r->continued[v].ops = 0;
	kvmi_worker_kick(&r->t->worker[v]);
}

/* All that the session knew is gone. */
static inline void rehook(struct random_tool *r)
{
	NOTE(r, "session %llu", r->rehooks + 2);
	/* A tool that dies, or a VMM that unhooks. */
	if (any(r, 2)) {
		kvmi_tool_close(&r->t->tool);
		TEST_ASSERT_EQ(kvmi_unhook(r->t->vm->fd), 0);
		kvmi_tool_init(&r->t->tool, kvmi_hook(r->t->vm->fd));
	} else {
		kvmi_test_rehook(r->t);
	}
	for (int i = 0; i < r->nr_pages; i++) {
		r->page[i].now = ACCESS_RWX;
		for (int v = 0; v < VCPUS; v++)
			r->page[i].denied[v] = 0;
	}
	for (int v = 0; v < VCPUS; v++) {
		r->is_held[v] = false;
		r->pf_on[v] = false;
		r->step_on[v] = false;
		r->pauses[v] = 0;
		r->continued[v].ops = 0;
		switch_pf(r, v, true);
	}
	r->rehooks++;
}

#endif /* SELFTEST_KVMI_PF_RANDOM_TOOL_H */
