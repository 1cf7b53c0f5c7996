/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_CLI_FOLLOW_H
#define KVMI_CLI_FOLLOW_H

#include <time.h>

#include "cli.h"

/* What trace, watch, step and break have in common: events, until something ends it. */
struct follow {
	struct cli *cli;
	/* From the options: one vCPU or -1, milliseconds or -1, a count or 0. */
	int vcpu;
	int duration;
	uint64_t count;
	bool summary;
	bool json;
	/* The VM is paused, and goes on by follow_resume(). */
	bool resume;

	struct timespec start;
	/* What is counted. */
	uint64_t done;
	/* A signal came, or the VMM asked the tool to leave. */
	bool stop;
	bool shielded;
};

#define FOLLOW_OPTIONS                                  \
	{ "vcpu", required_argument, NULL, 'v' },       \
	{ "duration", required_argument, NULL, 'd' },   \
	{ "count", required_argument, NULL, 'n' },      \
	{ "summary", no_argument, NULL, 's' },          \
	{ "json", no_argument, NULL, 'j' }

int follow_option(struct follow *f, int opt);
/* Connect, and make sure that nothing is in the way. */
int follow_connect(struct follow *f, struct cli *cli, const char *name);
/* When all is prepared: CLI_OK, also if there is nothing to resume. */
int follow_resume(struct follow *f);
void follow_start(struct follow *f);
double follow_seconds(const struct follow *f);
bool follow_ended(struct follow *f);
/* 1 with an event, 0 when it is time to look at follow_ended(), or -errno. */
int follow_next(struct follow *f, struct kvmintro_event *ev);
/* As kvmintro_wait_event() for events that must come; a signal only sets @stop. */
int follow_wait(struct follow *f, int timeout, struct kvmintro_event *ev);
/* From now on a signal ends no command, only the wait for events. */
void follow_shield(struct follow *f);
/* Take UNHOOK; true if it was that. */
bool follow_unhook(struct follow *f, const struct kvmintro_event *ev);
/* Undo follow_connect() and follow_shield(). */
void follow_finish(struct follow *f);

#endif
