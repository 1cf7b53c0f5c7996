// SPDX-License-Identifier: GPL-2.0-only
/* What a trace has seen, per vCPU, per register and per value of CR3. */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "trace.h"

/* The low bits of CR3 are flags or a PCID: the rest names the page tables. */
#define CR3_TABLE(value) ((value) & ~0xfffULL)

struct cr3 {
	uint64_t value;
	uint64_t count;
};

struct cr3_list {
	const struct cr3 **entries;
	size_t count;
};

int stats_init(struct trace_stats *s, uint32_t vcpus)
{
	*s = (struct trace_stats){ .vcpus = vcpus };
	s->by_vcpu = calloc(vcpus ? vcpus : 1, sizeof(*s->by_vcpu));
	return s->by_vcpu ? 0 : -1;
}

void stats_free(struct trace_stats *s)
{
	tdestroy(s->cr3_tree, free);
	free(s->by_vcpu);
}

static int by_value(const void *a, const void *b)
{
	const struct cr3 *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

static int count_cr3(struct trace_stats *s, uint64_t value)
{
	struct cr3 *new = malloc(sizeof(*new)), **found;

	if (!new)
		return -1;
	*new = (struct cr3){ .value = value };
	found = tsearch(new, &s->cr3_tree, by_value);
	if (!found || *found != new)
		free(new);
	else
		s->cr3_count++;
	if (!found)
		return -1;
	(*found)->count++;
	return 0;
}

int stats_add(struct trace_stats *s, const struct kvmintro_event *ev)
{
	s->events++;
	if (ev->vcpu < s->vcpus)
		s->by_vcpu[ev->vcpu]++;
	if (ev->data.cr.cr < ARRAY_SIZE(s->by_cr))
		s->by_cr[ev->data.cr.cr]++;
	if (ev->data.cr.cr != 3)
		return 0;
	return count_cr3(s, ev->data.cr.new_value);
}

static void collect(const void *node, VISIT which, void *data)
{
	struct cr3_list *list = data;

	/* In order of the values. */
	if (which == postorder || which == leaf)
		list->entries[list->count++] = *(const struct cr3 *const *)node;
}

static int by_count(const void *a, const void *b)
{
	const struct cr3 *x = *(const struct cr3 *const *)a;
	const struct cr3 *y = *(const struct cr3 *const *)b;

	return (x->count < y->count) - (x->count > y->count);
}

/* All values, the most frequent first; and how many page tables they name. */
static struct cr3_list sorted(const struct trace_stats *s, size_t *tables)
{
	struct cr3_list list = {
		.entries = calloc(s->cr3_count + 1, sizeof(*list.entries)),
	};
	size_t i;

	*tables = 0;
	if (!list.entries)
		return list;
	twalk_r(s->cr3_tree, collect, &list);
	for (i = 0; i < list.count; i++)
		*tables += !i || CR3_TABLE(list.entries[i]->value) !=
				 CR3_TABLE(list.entries[i - 1]->value);
	qsort(list.entries, list.count, sizeof(*list.entries), by_count);
	return list;
}

void stats_print(const struct trace_stats *s, double seconds)
{
	struct cr3_list list;
	size_t tables, i;

	printf("%llu events in %.1f s (%.1f/s)\n", (unsigned long long)s->events,
	       seconds, seconds > 0 ? s->events / seconds : 0);
	for (i = 0; i < ARRAY_SIZE(s->by_cr); i++) {
		if (s->by_cr[i])
			printf("  cr%zu     %llu\n", i,
			       (unsigned long long)s->by_cr[i]);
	}
	for (i = 0; i < s->vcpus; i++)
		printf("  vCPU %-3zu %llu\n", i,
		       (unsigned long long)s->by_vcpu[i]);
	if (!s->by_cr[3])
		return;

	list = sorted(s, &tables);
	printf("%zu values of cr3, %zu address spaces\n", list.count, tables);
	for (i = 0; i < list.count; i++)
		printf("  %016llx %llu\n",
		       (unsigned long long)list.entries[i]->value,
		       (unsigned long long)list.entries[i]->count);
	free(list.entries);
}

struct json_object *stats_json(const struct trace_stats *s, double seconds)
{
	struct json_object *o = json_object_new_object(), *part;
	struct cr3_list list;
	size_t tables, i;
	char key[32];

	json_object_object_add(o, "type", json_object_new_string("summary"));
	json_object_object_add(o, "events", json_object_new_uint64(s->events));
	json_object_object_add(o, "seconds", json_object_new_double(seconds));

	part = json_object_new_object();
	for (i = 0; i < ARRAY_SIZE(s->by_cr); i++) {
		if (!s->by_cr[i])
			continue;
		snprintf(key, sizeof(key), "cr%zu", i);
		json_object_object_add(part, key,
				       json_object_new_uint64(s->by_cr[i]));
	}
	json_object_object_add(o, "registers", part);

	part = json_object_new_array();
	for (i = 0; i < s->vcpus; i++)
		json_object_array_add(part, json_object_new_uint64(s->by_vcpu[i]));
	json_object_object_add(o, "vcpus", part);

	list = sorted(s, &tables);
	part = json_object_new_object();
	for (i = 0; i < list.count; i++) {
		snprintf(key, sizeof(key), "0x%llx",
			 (unsigned long long)list.entries[i]->value);
		json_object_object_add(part, key,
				       json_object_new_uint64(list.entries[i]->count));
	}
	json_object_object_add(o, "cr3", part);
	json_object_object_add(o, "address_spaces",
			       json_object_new_uint64(tables));
	free(list.entries);
	return o;
}
