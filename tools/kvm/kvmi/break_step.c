// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmi break: past the breakpoint and back.
 *
 * While the original byte is in memory, a vCPU that runs would pass unseen. So
 * every vCPU is stopped before the byte is written, and goes on after INT3 is
 * back, except for those that have hit: they execute one instruction meanwhile.
 * PAUSE with its wait has stopped a vCPU when it is done, and the kernel takes
 * commands in order: so the write that follows it is late enough, and nobody has
 * to wait for the PAUSE event. It is answered whenever it comes.
 *
 * A vCPU that hits while it is about to stop sends its BREAKPOINT event first,
 * and joins in.
 *
 * The write is always waited for: in a VM with a dirty ring it is done by a vCPU,
 * and not in order with what other vCPUs do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "break.h"

#define INT3 0xcc

bool break_any(const struct breakpoint *b, enum break_state state)
{
	size_t i;

	for (i = 0; i < b->count; i++) {
		if (b->vcpus[i].state == state)
			return true;
	}
	return false;
}

int break_write(struct breakpoint *b, bool plant)
{
	const uint8_t byte = plant ? INT3 : b->original;
	const struct timespec pause = { .tv_nsec = 1000000 };
	int tries = 1000, r;

	/* If it fails, it may have been done all the same. */
	b->planted = true;
	do {
		r = kvmintro_write_physical(b->f.cli->k, b->gpa, &byte, 1);
		/* The VMM has to empty a dirty ring first. */
		if (r == -EAGAIN)
			nanosleep(&pause, NULL);
	} while (r == -EAGAIN && --tries);
	if (!r)
		b->planted = plant;
	return r;
}

static int begin(struct breakpoint *b)
{
	return b->fast ? kvmintro_batch_begin(b->f.cli->k) : 0;
}

/* @r is what the commands have returned. */
static int commit(struct breakpoint *b, int r)
{
	if (!b->fast)
		return r;
	if (!r)
		return kvmintro_batch_send(b->f.cli->k);
	kvmintro_batch_cancel(b->f.cli->k);
	return r;
}

static int pause_others(struct breakpoint *b)
{
	int r = begin(b);
	size_t i;

	if (r < 0)
		return r;
	for (i = 0; !r && i < b->count; i++) {
		if (b->vcpus[i].state != RUNNING || b->vcpus[i].pausing)
			continue;
		r = kvmintro_pause_vcpu(b->f.cli->k, i, true);
		b->vcpus[i].pausing = !r;
	}
	return commit(b, r);
}

static int start_steps(struct breakpoint *b)
{
	struct kvmintro *k = b->f.cli->k;
	int r = begin(b);
	size_t i;

	if (r < 0)
		return r;
	for (i = 0; !r && i < b->count; i++) {
		if (b->vcpus[i].state != HIT)
			continue;
		r = kvmintro_control_singlestep(k, i, true);
		if (!r)
			r = kvmintro_retry(k, &b->vcpus[i].open);
		if (!r)
			b->vcpus[i].state = STEPPING;
	}
	return commit(b, r);
}

static int release(struct breakpoint *b)
{
	struct kvmintro *k = b->f.cli->k;
	struct break_vcpu *v;
	int r = begin(b);
	size_t i;

	if (r < 0)
		return r;
	for (i = 0; !r && i < b->count; i++) {
		v = &b->vcpus[i];
		if (v->state == STEPPED)
			r = kvmintro_control_singlestep(k, i, false);
		if (!r && (v->state == STEPPED || v->state == HELD)) {
			r = kvmintro_continue(k, &v->open);
			v->state = RUNNING;
		}
	}
	return commit(b, r);
}

static bool is_ours(const struct breakpoint *b, const struct kvmintro_event *ev)
{
	uint64_t gpa = ev->data.breakpoint.gpa;

	return gpa == b->gpa || (gpa == ~0ULL && ev->arch.regs.rip == b->gva);
}

static int take_breakpoint(struct breakpoint *b, struct break_vcpu *v,
			   const struct kvmintro_event *ev)
{
	if (!is_ours(b, ev))
		return kvmintro_continue(b->f.cli->k, ev);
	/* A hit that the kernel tells again, since something came in between. */
	if (v->state != STEPPING) {
		v->hits++;
		b->f.done++;
		if (b->report)
			b->report(b, ev);
	}
	v->open = *ev;
	v->state = HIT;
	return 0;
}

/* It would get past while the original byte is there, and must report its hits. */
static int take_create(struct breakpoint *b, const struct kvmintro_event *ev)
{
	struct break_vcpu *p;
	int r;

	if (ev->vcpu >= b->count) {
		p = realloc(b->vcpus, (ev->vcpu + 1) * sizeof(*p));
		if (!p) {
			out_error("out of memory");
			b->said = true;
			return -ENOMEM;
		}
		memset(p + b->count, 0, (ev->vcpu + 1 - b->count) * sizeof(*p));
		b->vcpus = p;
		b->count = ev->vcpu + 1;
	}
	r = kvmintro_control_event(b->f.cli->k, ev->vcpu,
				   KVMI_VCPU_EVENT_BREAKPOINT, true);
	if (r < 0 || b->planted)
		return r < 0 ? r : kvmintro_continue(b->f.cli->k, ev);
	b->vcpus[ev->vcpu].open = *ev;
	b->vcpus[ev->vcpu].state = HELD;
	return 0;
}

static int take_pause(struct breakpoint *b, struct break_vcpu *v,
		      const struct kvmintro_event *ev)
{
	v->pausing = false;
	if (b->planted || v->state == STEPPING)
		return kvmintro_continue(b->f.cli->k, ev);
	v->open = *ev;
	v->state = HELD;
	return 0;
}

int break_take(struct breakpoint *b, const struct kvmintro_event *ev)
{
	struct break_vcpu *v;

	if (follow_unhook(&b->f, ev))
		return 0;
	if (ev->id == KVMI_VM_EVENT_CMD_ERROR)
		return kvmintro_event_error(b->f.cli->k, ev);
	if (ev->id == KVMI_VCPU_EVENT_CREATE)
		return take_create(b, ev);
	if (ev->vcpu >= b->count)
		return kvmintro_continue(b->f.cli->k, ev);

	v = &b->vcpus[ev->vcpu];
	switch (ev->id) {
	case KVMI_VCPU_EVENT_BREAKPOINT:
		return take_breakpoint(b, v, ev);
	case KVMI_VCPU_EVENT_PAUSE:
		return take_pause(b, v, ev);
	case KVMI_VCPU_EVENT_SINGLESTEP:
		v->open = *ev;
		v->state = STEPPED;
		return 0;
	default:
		return kvmintro_continue(b->f.cli->k, ev);
	}
}

/* Every vCPU that has hit executes the original instruction. */
static int step_all(struct breakpoint *b)
{
	struct kvmintro_event ev;
	int r = 0;

	while (!r && (break_any(b, HIT) || break_any(b, STEPPING))) {
		if (break_any(b, HIT))
			r = start_steps(b);
		if (r < 0)
			return r;
		r = follow_wait(&b->f, BREAK_TIMEOUT, &ev);
		if (!r) {
			out_error("break: no end of the instruction in %d s; is the VM stopped?",
				  BREAK_TIMEOUT / 1000);
			b->said = true;
			return -ETIMEDOUT;
		}
		if (r > 0)
			r = break_take(b, &ev);
	}
	return r;
}

int break_step_over(struct breakpoint *b)
{
	int r = pause_others(b);

	if (!r)
		r = break_write(b, false);
	if (!r)
		r = step_all(b);
	if (!r)
		r = break_write(b, true);
	return r ? r : release(b);
}
