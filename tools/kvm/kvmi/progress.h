/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_PROGRESS_H
#define KVMI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* A line on stderr, if that is a terminal, that tells how far something has come. */
struct progress {
	uint64_t total;
	bool shown;
	double began, last;
};

void progress_begin(struct progress *p, uint64_t total);
void progress_show(struct progress *p, uint64_t done);
/* Clears the line; seconds since the begin. */
double progress_end(struct progress *p);

#endif
