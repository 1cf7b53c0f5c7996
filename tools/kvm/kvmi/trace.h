/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_CLI_TRACE_H
#define KVMI_CLI_TRACE_H

#include "follow.h"
#include "tally.h"

/* What is traced: of which kinds, numbered as their events; CRn if bit n is set. */
struct trace_choice {
	unsigned int kinds;
	unsigned int crs;
	uint32_t msrs[KVMI_MAX_MSRS];
	size_t msr_count;
};

/* Counts of a trace. */
struct trace_stats {
	uint64_t events;
	uint64_t *by_vcpu;
	uint32_t vcpus;
	uint64_t by_kind[KVMI_NUM_EVENTS];
	/* What trace_key() tells apart within a kind; and values of CR3. */
	struct tally keys[KVMI_NUM_EVENTS];
	struct tally cr3;
};

/* trace_choice.c */
int trace_choose_kinds(char *list, struct trace_choice *c);
int trace_choose_crs(char *list, struct trace_choice *c);
int trace_choose_msrs(char *list, struct trace_choice *c);
/* What nobody has chosen. */
void trace_defaults(struct trace_choice *c);
/* What can be traced, NULL for answers to commands. */
const char *trace_kind(uint8_t event);
/* On failure, @kind is what could not be switched. */
int trace_switch(const struct trace_choice *c, struct kvmintro *k, uint16_t vcpu,
		 bool on, const char **kind);

/* trace_print.c */
void trace_print(const struct kvmintro_event *ev, double seconds);
struct json_object *trace_json(const struct kvmintro_event *ev, double seconds);
/* What an event is about, and that in words; false if its kind needs no more. */
bool trace_key(const struct kvmintro_event *ev, uint64_t *key);
/* Letters for a set of enum kvmi_page_access. */
void trace_access(uint8_t access, char text[4]);
void trace_label(uint8_t event, uint64_t key, char *text, size_t size);

/* trace_stats.c */
int stats_init(struct trace_stats *s, uint32_t vcpus);
int stats_add_vcpu(struct trace_stats *s, uint16_t vcpu);
int stats_add(struct trace_stats *s, const struct kvmintro_event *ev);
void stats_print(const struct trace_stats *s, double seconds);
struct json_object *stats_json(const struct trace_stats *s, double seconds);
void stats_free(struct trace_stats *s);

#endif
