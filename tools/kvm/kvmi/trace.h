/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_CLI_TRACE_H
#define KVMI_CLI_TRACE_H

#include "cli.h"

/* Counts of a trace. */
struct trace_stats {
	uint64_t events;
	uint64_t by_cr[5];
	uint64_t *by_vcpu;
	uint32_t vcpus;
	/* Of each value that was written to CR3; a search tree of libc. */
	void *cr3_tree;
	size_t cr3_count;
};

int stats_init(struct trace_stats *s, uint32_t vcpus);
int stats_add(struct trace_stats *s, const struct kvmintro_event *ev);
void stats_print(const struct trace_stats *s, double seconds);
struct json_object *stats_json(const struct trace_stats *s, double seconds);
void stats_free(struct trace_stats *s);

#endif
