// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: all events.
 */

#include <linux/build_bug.h>
#include <linux/nospec.h>

#include "kvmi_int.h"

#define CONTINUE	BIT(KVMI_EVENT_ACTION_CONTINUE)
#define RETRY		BIT(KVMI_EVENT_ACTION_RETRY)
#define CRASH		BIT(KVMI_EVENT_ACTION_CRASH)

static bool kvmi_pf_reply_is_valid(const void *data)
{
	const struct kvmi_vcpu_event_pf_reply *reply = data;

	return reply->ctx_size <= KVMI_MAX_CTX_DATA && !reply->padding1 &&
	       reply->rep_complete <= 1 && !reply->padding2;
}

/*
 * A row without actions is an event that this kernel never raises, but whose
 * switch a tool may set.
 */
static const struct kvmi_event_desc kvmi_events[KVMI_NUM_EVENTS] = {
	[KVMI_VM_EVENT_UNHOOK] = {
		.name = "UNHOOK",
		.of_vm = true,
	},
	[KVMI_VCPU_EVENT_CR] = {
		.name = "CR",
		.data_size = sizeof(struct kvmi_vcpu_event_cr),
		.reply_size = sizeof(struct kvmi_vcpu_event_cr_reply),
		.actions = CONTINUE | CRASH,
	},
	[KVMI_VCPU_EVENT_MSR] = {
		.name = "MSR",
		.data_size = sizeof(struct kvmi_vcpu_event_msr),
		.reply_size = sizeof(struct kvmi_vcpu_event_msr_reply),
		.actions = CONTINUE | CRASH,
	},
	[KVMI_VCPU_EVENT_XSETBV] = {
		.name = "XSETBV",
		.data_size = sizeof(struct kvmi_vcpu_event_xsetbv),
		.actions = CONTINUE | CRASH,
	},
	[KVMI_VCPU_EVENT_BREAKPOINT] = {
		.name = "BREAKPOINT",
		.data_size = sizeof(struct kvmi_vcpu_event_breakpoint),
		.actions = CONTINUE | RETRY | CRASH,
	},
	[KVMI_VCPU_EVENT_HYPERCALL] = {
		.name = "HYPERCALL",
		.actions = CONTINUE | CRASH,
	},
	[KVMI_VCPU_EVENT_PF] = {
		.name = "PF",
		.data_size = sizeof(struct kvmi_vcpu_event_pf),
		.reply_size = sizeof(struct kvmi_vcpu_event_pf_reply),
		.actions = CONTINUE | RETRY | CRASH,
		.reply_is_valid = kvmi_pf_reply_is_valid,
	},
	[KVMI_VCPU_EVENT_TRAP] = {
		.name = "TRAP",
		.data_size = sizeof(struct kvmi_vcpu_event_trap),
		.actions = CONTINUE | CRASH,
		.of_run_loop = true,
	},
	[KVMI_VCPU_EVENT_DESCRIPTOR] = {
		.name = "DESCRIPTOR",
		.data_size = sizeof(struct kvmi_vcpu_event_descriptor),
		.actions = CONTINUE | RETRY | CRASH,
	},
	[KVMI_VCPU_EVENT_CREATE] = {
		.name = "CREATE",
		.actions = CONTINUE | CRASH,
		.of_vm = true,
		.of_run_loop = true,
	},
	[KVMI_VCPU_EVENT_PAUSE] = {
		.name = "PAUSE",
		.actions = CONTINUE | CRASH,
		.of_run_loop = true,
	},
	[KVMI_VCPU_EVENT_SINGLESTEP] = {
		.name = "SINGLESTEP",
		.data_size = sizeof(struct kvmi_vcpu_event_singlestep),
		.actions = CONTINUE | CRASH,
		.of_run_loop = true,
	},
	[KVMI_VM_EVENT_CMD_ERROR] = {
		.name = "CMD_ERROR",
		.data_size = sizeof(struct kvmi_vm_event_cmd_error),
		.of_vm = true,
	},
	[KVMI_VCPU_EVENT_CPUID] = {
		.name = "CPUID",
		.data_size = sizeof(struct kvmi_vcpu_event_cpuid),
		.actions = CONTINUE | RETRY | CRASH,
	},
};

static_assert(sizeof(struct kvmi_event) == 544);
static_assert(sizeof(struct kvmi_vm_event_cmd_error) == 16);
static_assert(sizeof(struct kvmi_vcpu_event_cr) == 24);
static_assert(sizeof(struct kvmi_vcpu_event_cr_reply) == 8);
static_assert(sizeof(struct kvmi_vcpu_event_msr) == 24);
static_assert(sizeof(struct kvmi_vcpu_event_msr_reply) == 8);
static_assert(sizeof(struct kvmi_vcpu_event_xsetbv) == 24);
static_assert(sizeof(struct kvmi_vcpu_event_descriptor) == 8);
static_assert(sizeof(struct kvmi_vcpu_event_cpuid) == 16);
static_assert(sizeof(struct kvmi_vcpu_event_breakpoint) == 16);
static_assert(sizeof(struct kvmi_vcpu_event_pf) == 24);
static_assert(sizeof(struct kvmi_vcpu_event_pf_reply) == 272);
static_assert(sizeof(struct kvmi_vcpu_event_trap) == 16);
static_assert(sizeof(struct kvmi_vcpu_event_singlestep) == 8);

bool kvmi_events_are_sound(void)
{
	const struct kvmi_event_desc *desc;
	u16 id;

	for (id = 0; id < KVMI_NUM_EVENTS; id++) {
		desc = &kvmi_events[id];
		if (!desc->name || desc->data_size > KVMI_MAX_EVENT_DATA ||
		    desc->reply_size > KVMI_MAX_EVENT_REPLY ||
		    (desc->actions && !(desc->actions & CONTINUE))) {
			pr_err("kvm: introspection event %u is defined wrongly\n",
			       id);
			return false;
		}
	}
	return true;
}

const struct kvmi_event_desc *kvmi_find_event(u16 id)
{
	if (id >= KVMI_NUM_EVENTS)
		return NULL;

	return &kvmi_events[array_index_nospec(id, KVMI_NUM_EVENTS)];
}
