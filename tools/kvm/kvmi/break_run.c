// SPDX-License-Identifier: GPL-2.0-only
/* kvmi break: set the breakpoint, take its hits, take it away. */
#include <errno.h>
#include <stdlib.h>

#include "break.h"

static int switch_events(struct breakpoint *b, bool on)
{
	size_t i;
	int first = 0, r;

	for (i = 0; i < b->count && !(on && first); i++) {
		r = kvmintro_control_event(b->f.cli->k, i,
					   KVMI_VCPU_EVENT_BREAKPOINT, on);
		first = first ? first : r;
	}
	return first;
}

int break_begin(struct breakpoint *b)
{
	struct kvmintro *k = b->f.cli->k;
	uint32_t count;
	int r;

	r = kvmintro_get_vcpu_count(k, &count);
	if (r < 0)
		return r;
	b->vcpus = calloc(count ? count : 1, sizeof(*b->vcpus));
	if (!b->vcpus) {
		out_error("out of memory");
		b->said = true;
		return -ENOMEM;
	}
	b->count = count;
	follow_shield(&b->f);
	b->fast = !kvmintro_batch_errors(k, true);
	r = kvmintro_control_vm_event(k, KVMI_VCPU_EVENT_CREATE, true);
	b->new_vcpus = !r;
	if (!r || r == -EPERM)
		r = switch_events(b, true);
	return r ? r : break_write(b, true);
}

int break_follow(struct breakpoint *b)
{
	struct kvmintro_event ev;
	int r = 0;

	while (r >= 0 && !follow_ended(&b->f)) {
		r = follow_next(&b->f, &ev);
		/* Whoever is here already is stepped in the same go. */
		while (r > 0) {
			r = break_take(b, &ev);
			if (!r)
				r = follow_wait(&b->f, 0, &ev);
		}
		if (!r && break_any(b, HIT) && !follow_ended(&b->f))
			r = break_step_over(b);
	}
	return r;
}

static int stop_steps(struct breakpoint *b)
{
	int first = 0, r;
	size_t i;

	for (i = 0; i < b->count; i++) {
		if (b->vcpus[i].state != STEPPING && b->vcpus[i].state != STEPPED)
			continue;
		r = kvmintro_control_singlestep(b->f.cli->k, i, false);
		first = first ? first : r;
	}
	return first;
}

/* The original instruction is back: whoever has hit executes it now. */
static int answer_all(struct breakpoint *b)
{
	struct break_vcpu *v;
	int r = 0;
	size_t i;

	for (i = 0; !r && i < b->count; i++) {
		v = &b->vcpus[i];
		if (v->state == HIT)
			r = kvmintro_retry(b->f.cli->k, &v->open);
		else if (v->state == STEPPED || v->state == HELD)
			r = kvmintro_continue(b->f.cli->k, &v->open);
		v->state = RUNNING;
	}
	return r;
}

static bool any_pausing(const struct breakpoint *b)
{
	size_t i;

	for (i = 0; i < b->count; i++) {
		if (b->vcpus[i].pausing)
			return true;
	}
	return false;
}

/* A vCPU answers a switch after its last event, but PAUSE comes after commands. */
static int drain(struct breakpoint *b)
{
	struct kvmintro *k = b->f.cli->k;
	struct kvmintro_event ev;
	int first = answer_all(b), r;

	while (kvmintro_fd(k) >= 0 && (kvmintro_pending_events(k) || any_pausing(b))) {
		r = follow_wait(&b->f, BREAK_TIMEOUT, &ev);
		if (r <= 0)
			return r ? r : -ETIMEDOUT;
		r = break_take(b, &ev);
		first = first ? first : r;
		r = answer_all(b);
		first = first ? first : r;
	}
	return first;
}

/* All of it is tried, whatever fails. The byte comes first. */
int break_end(struct breakpoint *b)
{
	int r[5] = { 0 };
	size_t i;

	if (b->planted)
		r[0] = break_write(b, false);
	if (b->new_vcpus)
		r[1] = kvmintro_control_vm_event(b->f.cli->k,
						 KVMI_VCPU_EVENT_CREATE, false);
	r[2] = stop_steps(b);
	r[3] = switch_events(b, false);
	r[4] = drain(b);
	follow_finish(&b->f);
	kvmintro_batch_errors(b->f.cli->k, false);
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		if (r[i])
			return r[i];
	}
	return 0;
}
