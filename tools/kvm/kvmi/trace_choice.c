// SPDX-License-Identifier: GPL-2.0-only
/* kvmi trace: which events, and switching them. */
#include <string.h>

#include "trace.h"

static const char *const kinds[KVMI_NUM_EVENTS] = {
	[KVMI_VCPU_EVENT_CR] = "cr",
	[KVMI_VCPU_EVENT_MSR] = "msr",
	[KVMI_VCPU_EVENT_XSETBV] = "xsetbv",
	[KVMI_VCPU_EVENT_BREAKPOINT] = "breakpoint",
	[KVMI_VCPU_EVENT_HYPERCALL] = "hypercall",
	[KVMI_VCPU_EVENT_PF] = "pf",
	[KVMI_VCPU_EVENT_DESCRIPTOR] = "descriptor",
	[KVMI_VCPU_EVENT_CREATE] = "create",
	[KVMI_VCPU_EVENT_SINGLESTEP] = "singlestep",
	[KVMI_VCPU_EVENT_CPUID] = "cpuid",
};

/* Those that decide where system calls go, and EFER. */
static const uint32_t system_call_msrs[] = {
	0x174, 0x175, 0x176, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084
};

const char *trace_kind(uint8_t event)
{
	return event < ARRAY_SIZE(kinds) ? kinds[event] : NULL;
}

static int add_kind(const char *text, void *arg)
{
	struct trace_choice *c = arg;
	/* Each instruction is an event: only for who asks for that. */
	const unsigned int not_all = 1u << KVMI_VCPU_EVENT_SINGLESTEP |
				     1u << KVMI_VCPU_EVENT_PF;
	size_t i;

	if (!strcmp(text, kinds[KVMI_VCPU_EVENT_PF])) {
		out_error("--event: pf needs pages that are restricted: see `kvmi help watch`");
		return CLI_USAGE;
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i] && !(not_all & 1u << i) && !strcmp(text, "all"))
			c->kinds |= 1u << i;
		if (kinds[i] && !strcmp(text, kinds[i])) {
			c->kinds |= 1u << i;
			return CLI_OK;
		}
	}
	if (!strcmp(text, "all"))
		return CLI_OK;
	out_error("--event: there is no '%s'; `kvmi help trace` lists what there is",
		  text);
	return CLI_USAGE;
}

int trace_choose_kinds(char *list, struct trace_choice *c)
{
	int r = parse_list(list, add_kind, c);

	if (!r && !c->kinds) {
		out_error("--event: choose at least one; `kvmi help trace` lists what there is");
		r = CLI_USAGE;
	}
	return r;
}

static int add_cr(const char *text, void *arg)
{
	struct trace_choice *c = arg;
	uint64_t cr;
	int r = parse_limited("--cr", text, 4, &cr);

	if (!r)
		c->crs |= 1u << cr;
	return r;
}

int trace_choose_crs(char *list, struct trace_choice *c)
{
	int r = parse_list(list, add_cr, c);

	if (!r && (!c->crs || c->crs & ~(1u << 0 | 1u << 3 | 1u << 4))) {
		out_error("--cr: choose among 0, 3 and 4, for example --cr 0,4");
		r = CLI_USAGE;
	}
	c->kinds |= 1u << KVMI_VCPU_EVENT_CR;
	return r;
}

static int add_msr(const char *text, void *arg)
{
	struct trace_choice *c = arg;
	uint64_t msr;
	int r = parse_limited("--msr", text, UINT32_MAX, &msr);
	size_t i;

	for (i = 0; !r && i < c->msr_count; i++) {
		if (c->msrs[i] == msr)
			return CLI_OK;
	}
	if (!r && c->msr_count == ARRAY_SIZE(c->msrs)) {
		out_error("--msr: at most %u at once", KVMI_MAX_MSRS);
		r = CLI_USAGE;
	}
	if (!r)
		c->msrs[c->msr_count++] = msr;
	return r;
}

int trace_choose_msrs(char *list, struct trace_choice *c)
{
	int r = parse_list(list, add_msr, c);

	if (!r && !c->msr_count) {
		out_error("--msr: name at least one, for example --msr 0xc0000082");
		r = CLI_USAGE;
	}
	c->kinds |= 1u << KVMI_VCPU_EVENT_MSR;
	return r;
}

void trace_defaults(struct trace_choice *c)
{
	if (!c->kinds)
		c->kinds = 1u << KVMI_VCPU_EVENT_CR;
	if (!c->crs)
		c->crs = 1u << 3;
	if (!c->msr_count) {
		memcpy(c->msrs, system_call_msrs, sizeof(system_call_msrs));
		c->msr_count = ARRAY_SIZE(system_call_msrs);
	}
}

/*
 * Switching on ends with the first failure; switching off goes on, and returns
 * the first.
 */
static bool next(int *first, int r, bool on)
{
	if (!*first)
		*first = r;
	return !*first || !on;
}

/* The registers that an event is about. */
static int switch_registers(const struct trace_choice *c, struct kvmintro *k,
			    uint16_t vcpu, uint8_t event, bool on)
{
	unsigned int cr;
	size_t i;
	int r = 0;

	for (cr = 0; event == KVMI_VCPU_EVENT_CR && cr <= 4; cr++) {
		if (c->crs & 1u << cr &&
		    !next(&r, kvmintro_control_cr(k, vcpu, cr, on), on))
			return r;
	}
	for (i = 0; event == KVMI_VCPU_EVENT_MSR && i < c->msr_count; i++) {
		if (!next(&r, kvmintro_control_msr(k, vcpu, c->msrs[i], on), on))
			return r;
	}
	return r;
}

static int switch_one(const struct trace_choice *c, struct kvmintro *k,
		      uint16_t vcpu, uint8_t event, bool on)
{
	int r = 0;

	if (event == KVMI_VCPU_EVENT_SINGLESTEP)
		return kvmintro_control_singlestep(k, vcpu, on);
	/* The event goes on first and off last: it does nothing alone. */
	if (on)
		r = kvmintro_control_event(k, vcpu, event, true);
	if (!r)
		r = switch_registers(c, k, vcpu, event, on);
	if (!on)
		next(&r, kvmintro_control_event(k, vcpu, event, false), false);
	return r;
}

int trace_switch(const struct trace_choice *c, struct kvmintro *k, uint16_t vcpu,
		 bool on, const char **kind)
{
	unsigned int event;
	int first = 0;

	for (event = 0; event < KVMI_NUM_EVENTS; event++) {
		if (!(c->kinds & 1u << event) || event == KVMI_VCPU_EVENT_CREATE)
			continue;
		if (!first)
			*kind = kinds[event];
		if (!next(&first, switch_one(c, k, vcpu, event, on), on))
			break;
	}
	return first;
}
