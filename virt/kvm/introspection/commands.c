// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: all commands. To find what a command does, follow its
 * handler; to add one, add a row here, its handler in the file of its feature and
 * its structures to the uapi header.
 */

#include <linux/build_bug.h>
#include <linux/nospec.h>

#include "kvmi_int.h"

/* The bytes of a request's member, for kvmi_command.req_pad. */
#define PAD(type, member)						\
	(BUILD_BUG_ON_ZERO(offsetofend(struct type, member) > 64) +	\
	 GENMASK_ULL(offsetofend(struct type, member) - 1,		\
		     offsetof(struct type, member)))

static const struct kvmi_command kvmi_commands[KVMI_NUM_MESSAGES] = {
	[KVMI_GET_VERSION] = {
		.name = "GET_VERSION",
		.handler = kvmi_cmd_get_version,
		.scope = KVMI_SCOPE_VM,
		.always = true,
		.rpl_size = sizeof(struct kvmi_get_version_reply),
	},
	[KVMI_VM_CHECK_COMMAND] = {
		.name = "VM_CHECK_COMMAND",
		.handler = kvmi_cmd_vm_check_command,
		.scope = KVMI_SCOPE_VM,
		.always = true,
		.req_size = sizeof(struct kvmi_vm_check_command),
		.req_pad = PAD(kvmi_vm_check_command, padding1) |
			   PAD(kvmi_vm_check_command, padding2),
	},
	[KVMI_VM_CHECK_EVENT] = {
		.name = "VM_CHECK_EVENT",
		.handler = kvmi_cmd_vm_check_event,
		.scope = KVMI_SCOPE_VM,
		.always = true,
		.req_size = sizeof(struct kvmi_vm_check_event),
		.req_pad = PAD(kvmi_vm_check_event, padding1) |
			   PAD(kvmi_vm_check_event, padding2),
	},
	[KVMI_VM_GET_INFO] = {
		.name = "VM_GET_INFO",
		.handler = kvmi_cmd_vm_get_info,
		.scope = KVMI_SCOPE_VM,
		.rpl_size = sizeof(struct kvmi_vm_get_info_reply),
	},
	[KVMI_VCPU_GET_INFO] = {
		.name = "VCPU_GET_INFO",
		.handler = kvmi_cmd_vcpu_get_info,
		.scope = KVMI_SCOPE_VCPU,
		.rpl_size = sizeof(struct kvmi_vcpu_get_info_reply),
	},
	/* On the receiver: when all are answered, all vCPUs are stopped. */
	[KVMI_VCPU_PAUSE] = {
		.name = "VCPU_PAUSE",
		.handler = kvmi_cmd_vcpu_pause,
		.scope = KVMI_SCOPE_VCPU_RECEIVER,
		.req_size = sizeof(struct kvmi_vcpu_pause),
		.req_pad = PAD(kvmi_vcpu_pause, padding1) |
			   PAD(kvmi_vcpu_pause, padding2) |
			   PAD(kvmi_vcpu_pause, padding3),
	},
	[KVMI_VM_CONTROL_EVENTS] = {
		.name = "VM_CONTROL_EVENTS",
		.handler = kvmi_cmd_vm_control_events,
		.scope = KVMI_SCOPE_VM,
		.req_size = sizeof(struct kvmi_vm_control_events),
		.req_pad = PAD(kvmi_vm_control_events, padding1) |
			   PAD(kvmi_vm_control_events, padding2),
	},
	[KVMI_VCPU_CONTROL_EVENTS] = {
		.name = "VCPU_CONTROL_EVENTS",
		.handler = kvmi_cmd_vcpu_control_events,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_control_events),
		.req_pad = PAD(kvmi_vcpu_control_events, padding1) |
			   PAD(kvmi_vcpu_control_events, padding2),
	},
	[KVMI_VCPU_CONTROL_CR] = {
		.name = "VCPU_CONTROL_CR",
		.handler = kvmi_cmd_vcpu_control_cr,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_control_cr),
		.req_pad = PAD(kvmi_vcpu_control_cr, padding1) |
			   PAD(kvmi_vcpu_control_cr, padding2),
	},
	[KVMI_VCPU_CONTROL_MSR] = {
		.name = "VCPU_CONTROL_MSR",
		.handler = kvmi_cmd_vcpu_control_msr,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_control_msr),
		.req_pad = PAD(kvmi_vcpu_control_msr, padding1) |
			   PAD(kvmi_vcpu_control_msr, padding2),
	},
	[KVMI_VCPU_GET_REGISTERS] = {
		.name = "VCPU_GET_REGISTERS",
		.handler = kvmi_cmd_vcpu_get_registers,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_get_registers),
		.req_pad = PAD(kvmi_vcpu_get_registers, padding1) |
			   PAD(kvmi_vcpu_get_registers, padding2),
		.rpl_size = sizeof(struct kvmi_vcpu_get_registers_reply),
	},
	[KVMI_VCPU_SET_REGISTERS] = {
		.name = "VCPU_SET_REGISTERS",
		.handler = kvmi_cmd_vcpu_set_registers,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_set_registers),
	},
	[KVMI_VCPU_GET_CPUID] = {
		.name = "VCPU_GET_CPUID",
		.handler = kvmi_cmd_vcpu_get_cpuid,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_get_cpuid),
		.rpl_size = sizeof(struct kvmi_vcpu_get_cpuid_reply),
	},
	[KVMI_VCPU_GET_XSAVE] = {
		.name = "VCPU_GET_XSAVE",
		.handler = kvmi_cmd_vcpu_get_xsave,
		.scope = KVMI_SCOPE_VCPU,
		.rpl_size = sizeof(struct kvmi_vcpu_xsave),
	},
	[KVMI_VM_READ_PHYSICAL] = {
		.name = "VM_READ_PHYSICAL",
		.handler = kvmi_cmd_vm_read_physical,
		.scope = KVMI_SCOPE_VM,
		.req_size = sizeof(struct kvmi_vm_read_physical),
	},
	[KVMI_VM_WRITE_PHYSICAL] = {
		.name = "VM_WRITE_PHYSICAL",
		.handler = kvmi_cmd_vm_write_physical,
		.scope = KVMI_SCOPE_VM,
		.needs_vcpu = kvmi_write_needs_vcpu,
		.req_size = sizeof(struct kvmi_vm_write_physical),
	},
	[KVMI_VCPU_INJECT_EXCEPTION] = {
		.name = "VCPU_INJECT_EXCEPTION",
		.handler = kvmi_cmd_vcpu_inject_exception,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_inject_exception),
		.req_pad = PAD(kvmi_vcpu_inject_exception, padding1) |
			   PAD(kvmi_vcpu_inject_exception, padding2),
	},
	[KVMI_VM_GET_PAGE_ACCESS] = {
		.name = "VM_GET_PAGE_ACCESS",
		.handler = kvmi_cmd_vm_get_page_access,
		.scope = KVMI_SCOPE_VM,
		.req_size = sizeof(struct kvmi_vm_get_page_access),
		.req_pad = PAD(kvmi_vm_get_page_access, padding),
	},
	[KVMI_VM_SET_PAGE_ACCESS] = {
		.name = "VM_SET_PAGE_ACCESS",
		.handler = kvmi_cmd_vm_set_page_access,
		.scope = KVMI_SCOPE_VM,
		.req_size = sizeof(struct kvmi_vm_set_page_access),
		.req_pad = PAD(kvmi_vm_set_page_access, padding),
	},
	[KVMI_VM_GET_MAP_TOKEN] = {
		.name = "VM_GET_MAP_TOKEN",
		.handler = kvmi_cmd_vm_get_map_token,
		.scope = KVMI_SCOPE_VM,
		.rpl_size = sizeof(struct kvmi_vm_get_map_token_reply),
	},
	[KVMI_VCPU_GET_MTRR_TYPE] = {
		.name = "VCPU_GET_MTRR_TYPE",
		.handler = kvmi_cmd_vcpu_get_mtrr_type,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_get_mtrr_type),
		.rpl_size = sizeof(struct kvmi_vcpu_get_mtrr_type_reply),
	},
	[KVMI_VM_CONTROL_CMD_RESPONSE] = {
		.name = "VM_CONTROL_CMD_RESPONSE",
		.handler = kvmi_cmd_vm_control_cmd_response,
		.scope = KVMI_SCOPE_VM,
		.req_size = sizeof(struct kvmi_vm_control_cmd_response),
		.req_pad = PAD(kvmi_vm_control_cmd_response, padding1) |
			   PAD(kvmi_vm_control_cmd_response, padding2),
	},
	[KVMI_VM_GET_MAX_GFN] = {
		.name = "VM_GET_MAX_GFN",
		.handler = kvmi_cmd_vm_get_max_gfn,
		.scope = KVMI_SCOPE_VM,
		.rpl_size = sizeof(struct kvmi_vm_get_max_gfn_reply),
	},
	[KVMI_VCPU_TRANSLATE_GVA] = {
		.name = "VCPU_TRANSLATE_GVA",
		.handler = kvmi_cmd_vcpu_translate_gva,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_translate_gva),
		.rpl_size = sizeof(struct kvmi_vcpu_translate_gva_reply),
	},
	[KVMI_VCPU_GET_XCR] = {
		.name = "VCPU_GET_XCR",
		.handler = kvmi_cmd_vcpu_get_xcr,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_get_xcr),
		.req_pad = PAD(kvmi_vcpu_get_xcr, padding),
		.rpl_size = sizeof(struct kvmi_vcpu_get_xcr_reply),
	},
	[KVMI_VCPU_SET_XSAVE] = {
		.name = "VCPU_SET_XSAVE",
		.handler = kvmi_cmd_vcpu_set_xsave,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_xsave),
	},
	[KVMI_VM_QUERY_PHYSICAL] = {
		.name = "VM_QUERY_PHYSICAL",
		.handler = kvmi_cmd_vm_query_physical,
		.scope = KVMI_SCOPE_VM,
		.req_size = sizeof(struct kvmi_vm_query_physical),
		.rpl_size = sizeof(struct kvmi_vm_query_physical_reply),
	},
	[KVMI_VCPU_CONTROL_SINGLESTEP] = {
		.name = "VCPU_CONTROL_SINGLESTEP",
		.handler = kvmi_cmd_vcpu_control_singlestep,
		.scope = KVMI_SCOPE_VCPU,
		.req_size = sizeof(struct kvmi_vcpu_control_singlestep),
		.req_pad = PAD(kvmi_vcpu_control_singlestep, padding1) |
			   PAD(kvmi_vcpu_control_singlestep, padding2) |
			   PAD(kvmi_vcpu_control_singlestep, padding3),
	},
	[KVMI_VM_SET_PAGE_ACCESS_RANGES] = {
		.name = "VM_SET_PAGE_ACCESS_RANGES",
		.handler = kvmi_cmd_vm_set_page_access_ranges,
		.scope = KVMI_SCOPE_VM,
		.req_size = sizeof(struct kvmi_vm_set_page_access_ranges),
		.req_pad = PAD(kvmi_vm_set_page_access_ranges, padding),
	},
};

/* The wire format is fixed; a compiler that lays it out otherwise must not. */
static_assert(sizeof(struct kvmi_msg_hdr) == 8);
static_assert(sizeof(struct kvmi_error_code) == 8);
static_assert(sizeof(struct kvmi_vcpu_hdr) == 8);
static_assert(sizeof(struct kvmi_get_version_reply) == 16);
static_assert(sizeof(struct kvmi_vm_get_info_reply) == 16);
static_assert(sizeof(struct kvmi_event_reply) == 8);
static_assert(sizeof(struct kvmi_page_access_entry) == 16);
static_assert(sizeof(struct kvmi_page_access_range) == 24);
static_assert(KVMI_MAX_MSG_SIZE / sizeof(struct kvmi_page_access_entry) ==
	      KVMI_MAX_PAGE_ACCESS_ENTRIES);
static_assert(sizeof(struct kvm_introspection_hook) == 24);
static_assert(sizeof(struct kvm_introspection_feature) == 8);

static bool kvmi_commands_are_sound(void)
{
	const struct kvmi_command *cmd;
	u16 id;

	for (id = 0; id < KVMI_NUM_MESSAGES; id++) {
		cmd = &kvmi_commands[id];
		if (!cmd->name && !cmd->handler)
			continue;

		if (id < KVMI_GET_VERSION || !cmd->name || !cmd->handler ||
		    cmd->req_size > KVMI_MAX_REQ ||
		    cmd->rpl_size > KVMI_MAX_REPLY ||
		    fls64(cmd->req_pad) > cmd->req_size ||
		    (cmd->needs_vcpu && cmd->scope != KVMI_SCOPE_VM)) {
			pr_err("kvm: introspection command %u is defined wrongly\n",
			       id);
			return false;
		}
	}
	return true;
}

/* Checked whenever a VM is hooked. */
bool kvmi_tables_are_sound(void)
{
	return kvmi_commands_are_sound() && kvmi_events_are_sound();
}

const struct kvmi_command *kvmi_find_command(u16 id)
{
	if (id >= KVMI_NUM_MESSAGES)
		return NULL;

	id = array_index_nospec(id, KVMI_NUM_MESSAGES);
	return kvmi_commands[id].handler ? &kvmi_commands[id] : NULL;
}
