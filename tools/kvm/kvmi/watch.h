/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_CLI_WATCH_H
#define KVMI_CLI_WATCH_H

#include "trace.h"

/* Bytes that are watched, and the accesses to them, 0 for all that can be. */
struct watch_range {
	uint64_t first, last;
	uint8_t access;
};

struct watch_list {
	struct watch_range *ranges;
	size_t count, room;
};

struct watch {
	struct follow f;
	bool virtual;
	const char *file;
	/* As they were asked for; by byte; the pages that they lie in. */
	struct watch_list asked, bytes, pages;
	/* The same pages for the library: nothing must be missing to take it back. */
	struct kvmintro_range *ranges;
	struct kvmi_features features;
	struct trace_stats stats;
	uint64_t elsewhere;
	uint32_t vcpus;
	bool new_vcpus;
};

/* watch_args.c: the arguments, before anything is connected. */
int watch_args(int argc, char **argv, struct watch *w);

/* watch_map.c: all return 0 or, after a message, CLI_FAILED. */
int watch_add(struct watch_list *l, uint64_t first, uint64_t last, uint8_t access);
/*
 * @to gets the ranges of @from in units of @unit bytes, in order and without overlap,
 * each with all the accesses that are asked for in it.
 */
int watch_map(const struct watch_list *from, uint64_t unit, struct watch_list *to);
/* What of @access is asked for at @address; of an ordered list without overlap. */
uint8_t watch_asked(const struct watch_list *l, uint64_t address, uint8_t access);
void watch_list_free(struct watch_list *l);

/* watch_pages.c: from what was asked for to pages, restricted and back. */
int watch_prepare(struct watch *w);
int watch_restrict(struct watch *w, bool on);
/* Report that watch_restrict() failed. */
int watch_refused(struct watch *w);

#endif
