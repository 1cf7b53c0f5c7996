/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_CLI_PAUSE_H
#define KVMI_CLI_PAUSE_H

#include "trace.h"

/* Which write, by an instruction anywhere or in a range, the guest is stopped at. */
struct pause_at {
	struct trace_choice choice;
	bool somewhere;
	uint64_t first, last;
};

/* pause.c: stop all vCPUs; @at, if there is one, is answered when they are stopped. */
int pause_all(struct cli *cli, const struct kvmintro_event *at);

/* pause_at.c */
int pause_at_option(struct pause_at *at, int opt);
int pause_at_check(const struct pause_at *at);
/* Wait for the write, and stop all vCPUs right behind it. */
int pause_at(struct cli *cli, const struct pause_at *at);

#endif
