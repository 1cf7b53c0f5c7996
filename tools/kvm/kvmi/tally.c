// SPDX-License-Identifier: GPL-2.0-only
#include <search.h>
#include <stdlib.h>

#include "tally.h"

struct list {
	struct tally_entry *entries;
	size_t count;
};

static int by_value(const void *a, const void *b)
{
	const struct tally_entry *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

static int by_times(const void *a, const void *b)
{
	const struct tally_entry *x = a, *y = b;

	if (x->times != y->times)
		return x->times < y->times ? 1 : -1;
	return by_value(a, b);
}

int tally_add(struct tally *t, uint64_t value)
{
	const struct tally_entry key = { .value = value };
	struct tally_entry **found = tfind(&key, &t->tree, by_value), *new;

	if (!found) {
		new = malloc(sizeof(*new));
		if (!new)
			return -1;
		*new = key;
		found = tsearch(new, &t->tree, by_value);
		if (!found) {
			free(new);
			return -1;
		}
		t->count++;
	}
	(*found)->times++;
	return 0;
}

static void collect(const void *node, VISIT which, void *data)
{
	struct list *list = data;

	if (which == postorder || which == leaf)
		list->entries[list->count++] = **(const struct tally_entry *const *)node;
}

struct tally_entry *tally_by_value(const struct tally *t)
{
	struct list list = { .entries = calloc(t->count + 1, sizeof(*list.entries)) };

	if (list.entries)
		twalk_r(t->tree, collect, &list);
	return list.entries;
}

void tally_sort_by_times(struct tally_entry *entries, size_t count)
{
	qsort(entries, count, sizeof(*entries), by_times);
}

void tally_free(struct tally *t)
{
	tdestroy(t->tree, free);
}
