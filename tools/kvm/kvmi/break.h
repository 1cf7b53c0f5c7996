/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_CLI_BREAK_H
#define KVMI_CLI_BREAK_H

#include "follow.h"

/* For what a vCPU does at once if its VM runs, in milliseconds. */
#define BREAK_TIMEOUT 15000

/*
 * A vCPU runs unless it waits for the answer to an event, @open: it has hit the
 * breakpoint, or it has executed the instruction below it and waits for the
 * others, or it is held so that it cannot slip by. STEPPING: it executes that
 * instruction and will send an event after it.
 */
enum break_state { RUNNING, HIT, STEPPING, STEPPED, HELD };

struct break_vcpu {
	enum break_state state;
	struct kvmintro_event open;
	/* Its PAUSE event is yet to come: it is stopped, or will be by that. */
	bool pausing;
	uint64_t hits;
};

struct breakpoint {
	struct follow f;
	uint64_t gva, gpa;
	uint8_t original;
	/* INT3 is in the guest's memory now. */
	bool planted;
	/* Replies need not be waited for: failures are reported. */
	bool fast;
	bool new_vcpus;
	/* What failed has been reported. */
	bool said;
	struct break_vcpu *vcpus;
	size_t count;
	void (*report)(const struct breakpoint *b, const struct kvmintro_event *ev);
};

/* break_run.c: 0 or -errno, with the handle's error text. */
int break_begin(struct breakpoint *b);
int break_follow(struct breakpoint *b);
int break_end(struct breakpoint *b);
/* break_step.c */
int break_write(struct breakpoint *b, bool plant);
int break_take(struct breakpoint *b, const struct kvmintro_event *ev);
bool break_any(const struct breakpoint *b, enum break_state state);
int break_step_over(struct breakpoint *b);

#endif
