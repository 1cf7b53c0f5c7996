// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands about the VM as a whole. */
#include "internal.h"

int kvmintro_get_version(struct kvmintro *k, uint32_t *version,
			 struct kvmi_features *features)
{
	struct kvmi_get_version_reply reply;
	/* A kernel without features sends the version alone. */
	const size_t min = offsetof(struct kvmi_get_version_reply, features);
	int r = COMMAND(k, KVMI_GET_VERSION, REPLY_FROM(reply, min));

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

	return COMMAND(k, KVMI_VM_CHECK_COMMAND, .query = true, BODY(body));
}

int kvmintro_check_event(struct kvmintro *k, uint16_t id)
{
	const struct kvmi_vm_check_event body = { .id = id };

	return COMMAND(k, KVMI_VM_CHECK_EVENT, .query = true, BODY(body));
}

int kvmintro_get_vcpu_count(struct kvmintro *k, uint32_t *count)
{
	struct kvmi_vm_get_info_reply reply;
	const size_t min = sizeof(reply.vcpu_count);
	int r = COMMAND(k, KVMI_VM_GET_INFO, REPLY_FROM(reply, min));

	if (!r)
		*count = reply.vcpu_count;
	return r;
}

int kvmintro_get_max_gfn(struct kvmintro *k, uint64_t *gfn)
{
	struct kvmi_vm_get_max_gfn_reply reply;
	int r = COMMAND(k, KVMI_VM_GET_MAX_GFN, REPLY(reply));

	if (!r)
		*gfn = reply.gfn;
	return r;
}

int kvmintro_query_physical(struct kvmintro *k, uint64_t gfn,
			    uint64_t *first_gfn, uint64_t *pages)
{
	const struct kvmi_vm_query_physical body = { .gfn = gfn };
	struct kvmi_vm_query_physical_reply reply;
	int r = COMMAND(k, KVMI_VM_QUERY_PHYSICAL, BODY(body), REPLY(reply));

	if (r < 0)
		return r;
	*first_gfn = reply.gfn;
	*pages = reply.size;
	return 0;
}

int kvmintro_get_map_token(struct kvmintro *k, struct kvmi_map_mem_token *token)
{
	struct kvmi_vm_get_map_token_reply reply;
	int r = COMMAND(k, KVMI_VM_GET_MAP_TOKEN, REPLY(reply));

	if (!r)
		*token = reply.token;
	return r;
}

int kvmintro_control_vm_event(struct kvmintro *k, uint16_t event, bool enable)
{
	const struct kvmi_vm_control_events body = {
		.event_id = event,
		.enable = enable,
	};

	return COMMAND(k, KVMI_VM_CONTROL_EVENTS, BODY(body));
}
