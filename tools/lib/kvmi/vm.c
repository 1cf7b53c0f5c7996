// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands about the VM as a whole. */
#include "internal.h"

int kvmintro_get_version(struct kvmintro *k, uint32_t *version,
			 struct kvmi_features *features)
{
	struct kvmi_get_version_reply reply;
	const struct command c = {
		.id = KVMI_GET_VERSION,
		.reply = &reply,
		.reply_size = sizeof(reply),
		/* A kernel without features sends the version alone. */
		.reply_min = offsetof(struct kvmi_get_version_reply, features),
	};
	int r = kvmintro__command(k, &c);

	if (r < 0)
		return r;
	*version = reply.version;
	if (features)
		*features = reply.features;
	return 0;
}

int kvmintro_check_command(struct kvmintro *k, uint16_t id)
{
	const struct kvmi_vm_check_command body = { .id = id };
	const struct command c = {
		.id = KVMI_VM_CHECK_COMMAND,
		.query = true,
		.body = &body,
		.body_size = sizeof(body),
	};

	return kvmintro__command(k, &c);
}

int kvmintro_check_event(struct kvmintro *k, uint16_t id)
{
	const struct kvmi_vm_check_event body = { .id = id };
	const struct command c = {
		.id = KVMI_VM_CHECK_EVENT,
		.query = true,
		.body = &body,
		.body_size = sizeof(body),
	};

	return kvmintro__command(k, &c);
}

int kvmintro_get_vcpu_count(struct kvmintro *k, uint32_t *count)
{
	struct kvmi_vm_get_info_reply reply;
	const struct command c = {
		.id = KVMI_VM_GET_INFO,
		.reply = &reply,
		.reply_size = sizeof(reply),
		.reply_min = sizeof(reply.vcpu_count),
	};
	int r = kvmintro__command(k, &c);

	if (!r)
		*count = reply.vcpu_count;
	return r;
}

int kvmintro_get_max_gfn(struct kvmintro *k, uint64_t *gfn)
{
	struct kvmi_vm_get_max_gfn_reply reply;
	const struct command c = {
		.id = KVMI_VM_GET_MAX_GFN,
		.reply = &reply,
		.reply_size = sizeof(reply),
		.reply_min = sizeof(reply),
	};
	int r = kvmintro__command(k, &c);

	if (!r)
		*gfn = reply.gfn;
	return r;
}

int kvmintro_query_physical(struct kvmintro *k, uint64_t gfn,
			    uint64_t *first_gfn, uint64_t *pages)
{
	const struct kvmi_vm_query_physical body = { .gfn = gfn };
	struct kvmi_vm_query_physical_reply reply;
	const struct command c = {
		.id = KVMI_VM_QUERY_PHYSICAL,
		.body = &body,
		.body_size = sizeof(body),
		.reply = &reply,
		.reply_size = sizeof(reply),
		.reply_min = sizeof(reply),
	};
	int r = kvmintro__command(k, &c);

	if (r < 0)
		return r;
	*first_gfn = reply.gfn;
	*pages = reply.size;
	return 0;
}

int kvmintro_control_vm_event(struct kvmintro *k, uint16_t event, bool enable)
{
	const struct kvmi_vm_control_events body = {
		.event_id = event,
		.enable = enable,
	};
	const struct command c = {
		.id = KVMI_VM_CONTROL_EVENTS,
		.body = &body,
		.body_size = sizeof(body),
	};

	return kvmintro__command(k, &c);
}
