// SPDX-License-Identifier: GPL-2.0-only
/* What a trace has seen, per vCPU, per kind, and per value of CR3. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

/* The low bits of CR3 are flags or a PCID: the rest names the page tables. */
#define CR3_TABLE(value) ((value) & ~0xfffULL)

int stats_init(struct trace_stats *s, uint32_t vcpus)
{
	*s = (struct trace_stats){ .vcpus = vcpus };
	s->by_vcpu = calloc(vcpus ? vcpus : 1, sizeof(*s->by_vcpu));
	return s->by_vcpu ? 0 : -1;
}

int stats_add_vcpu(struct trace_stats *s, uint16_t vcpu)
{
	uint64_t *p;

	if (vcpu < s->vcpus)
		return 0;
	p = realloc(s->by_vcpu, (vcpu + 1) * sizeof(*p));
	if (!p)
		return -1;
	memset(p + s->vcpus, 0, (vcpu + 1 - s->vcpus) * sizeof(*p));
	s->by_vcpu = p;
	s->vcpus = vcpu + 1;
	return 0;
}

void stats_free(struct trace_stats *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->keys); i++)
		tally_free(&s->keys[i]);
	tally_free(&s->cr3);
	free(s->by_vcpu);
}

int stats_add(struct trace_stats *s, const struct kvmintro_event *ev)
{
	uint64_t key;

	s->events++;
	s->by_kind[ev->id]++;
	if (ev->vcpu < s->vcpus)
		s->by_vcpu[ev->vcpu]++;
	if (trace_key(ev, &key) && tally_add(&s->keys[ev->id], key) < 0)
		return -1;
	if (ev->id != KVMI_VCPU_EVENT_CR || ev->data.cr.cr != 3)
		return 0;
	return tally_add(&s->cr3, ev->data.cr.new_value);
}

/* How many page tables the values name; @entries are in order of the values. */
static size_t count_tables(const struct tally_entry *entries, size_t count)
{
	size_t tables = 0, i;

	for (i = 0; i < count; i++)
		tables += !i || CR3_TABLE(entries[i].value) !=
				CR3_TABLE(entries[i - 1].value);
	return tables;
}

static void print_kind(const struct trace_stats *s, uint8_t event)
{
	struct tally_entry *entries;
	char label[64];
	size_t i;

	if (!s->keys[event].count && s->by_kind[event])
		printf("  %-7s %llu\n", trace_kind(event), (unsigned long long)s->by_kind[event]);
	entries = tally_by_value(&s->keys[event]);
	for (i = 0; entries && i < s->keys[event].count; i++) {
		trace_label(event, entries[i].value, label, sizeof(label));
		printf("  %-7s %llu\n", label, (unsigned long long)entries[i].times);
	}
	free(entries);
}

void stats_print(const struct trace_stats *s, double seconds)
{
	struct tally_entry *entries;
	size_t i;

	printf("%llu events in %.1f s (%.1f/s)\n", (unsigned long long)s->events, seconds,
	       seconds > 0 ? s->events / seconds : 0);
	for (i = 0; i < KVMI_NUM_EVENTS; i++)
		print_kind(s, i);
	for (i = 0; i < s->vcpus; i++)
		printf("  vCPU %-3zu %llu\n", i, (unsigned long long)s->by_vcpu[i]);

	entries = tally_by_value(&s->cr3);
	if (entries && s->cr3.count)
		printf("%zu values of cr3, %zu address spaces\n", s->cr3.count,
		       count_tables(entries, s->cr3.count));
	if (entries)
		tally_sort_by_times(entries, s->cr3.count);
	for (i = 0; entries && i < s->cr3.count; i++)
		printf("  %016llx %llu\n", (unsigned long long)entries[i].value,
		       (unsigned long long)entries[i].times);
	free(entries);
}

static void add_count(struct json_object *o, const char *key, uint64_t count)
{
	json_object_object_add(o, key, json_object_new_uint64(count));
}

static struct json_object *json_kinds(const struct trace_stats *s)
{
	struct json_object *part = json_object_new_object();
	size_t i;

	for (i = 0; i < KVMI_NUM_EVENTS; i++) {
		if (s->by_kind[i])
			add_count(part, trace_kind(i), s->by_kind[i]);
	}
	return part;
}

static struct json_object *json_keys(const struct trace_stats *s)
{
	struct json_object *part = json_object_new_object();
	struct tally_entry *entries;
	char label[64];
	size_t i, k;

	for (k = 0; k < KVMI_NUM_EVENTS; k++) {
		entries = tally_by_value(&s->keys[k]);
		for (i = 0; entries && i < s->keys[k].count; i++) {
			trace_label(k, entries[i].value, label, sizeof(label));
			add_count(part, label, entries[i].times);
		}
		free(entries);
	}
	return part;
}

struct json_object *stats_json(const struct trace_stats *s, double seconds)
{
	struct json_object *o = json_object_new_object(), *part;
	struct tally_entry *entries;
	char key[32];
	size_t i;

	json_object_object_add(o, "type", json_object_new_string("summary"));
	add_count(o, "events", s->events);
	json_object_object_add(o, "seconds", json_object_new_double(seconds));
	json_object_object_add(o, "kinds", json_kinds(s));
	json_object_object_add(o, "registers", json_keys(s));

	part = json_object_new_array();
	for (i = 0; i < s->vcpus; i++)
		json_object_array_add(part, json_object_new_uint64(s->by_vcpu[i]));
	json_object_object_add(o, "vcpus", part);

	entries = tally_by_value(&s->cr3);
	part = json_object_new_object();
	json_object_object_add(o, "cr3", part);
	if (!entries)
		return o;
	add_count(o, "address_spaces", count_tables(entries, s->cr3.count));
	tally_sort_by_times(entries, s->cr3.count);
	for (i = 0; i < s->cr3.count; i++) {
		snprintf(key, sizeof(key), "0x%llx", (unsigned long long)entries[i].value);
		add_count(part, key, entries[i].times);
	}
	free(entries);
	return o;
}
