/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_CLI_TALLY_H
#define KVMI_CLI_TALLY_H

#include <stddef.h>
#include <stdint.h>

/* How often each of some numbers came. */
struct tally {
	/* A search tree of libc. */
	void *tree;
	size_t count;
};

struct tally_entry {
	uint64_t value;
	uint64_t times;
};

/* 0, or -1 if there is no memory. */
int tally_add(struct tally *t, uint64_t value);
/* @t->count entries in order of their values, to be freed; NULL: no memory. */
struct tally_entry *tally_by_value(const struct tally *t);
void tally_sort_by_times(struct tally_entry *entries, size_t count);
void tally_free(struct tally *t);

#endif
