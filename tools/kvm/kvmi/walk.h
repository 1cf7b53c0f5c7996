/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_WALK_H
#define KVMI_WALK_H

#include "cli.h"

/* Physical addresses from @first up to, not including, @end. */
struct walk_span {
	uint64_t first, end;
};

/* The memory that there is in a span, and how far a walk over it has come. */
struct walk {
	struct walk_span span;
	struct walk_span *ranges;
	size_t count;
	/* In bytes; pages of a range that nobody could read count as done. */
	uint64_t total, done;
	uint64_t unreadable;
};

/* ADDR[-END]; without END to the end of memory. */
int walk_parse(const char *what, char *text, struct walk_span *span);

/* Find the ranges; CLI_FAILED if there are none. */
int walk_find(struct cli *cli, struct walk *w);

/*
 * Give all memory to @each, some at a time, in ascending order, until it returns
 * something else than CLI_OK. A signal ends it, too. walk_free() is for the caller.
 */
typedef int (*walk_fn)(void *arg, uint64_t address, const uint8_t *data, size_t size);
int walk_read(struct cli *cli, struct walk *w, walk_fn each, void *arg);
void walk_free(struct walk *w);

/* "1.5 GiB" */
const char *walk_human(uint64_t bytes, char text[16]);

#endif
