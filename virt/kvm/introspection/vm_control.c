// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: switches of the VM.
 */

#include "kvmi_int.h"

int kvmi_cmd_vm_control_events(struct kvmi_call *call)
{
	const struct kvmi_vm_control_events *req = call->req;
	const struct kvmi_event_desc *desc = kvmi_find_event(req->event_id);
	struct kvm_introspection *kvmi = call->kvm->introspection;

	if (!desc || !desc->of_vm || req->enable > 1)
		return -KVM_EINVAL;
	if (!kvmi_event_allowed(kvmi, req->event_id))
		return -KVM_EPERM;

	assign_bit(req->event_id, kvmi->vm_events, req->enable);
	return 0;
}

int kvmi_cmd_vm_control_cmd_response(struct kvmi_call *call)
{
	const struct kvmi_vm_control_cmd_response *req = call->req;

	if (req->enable > 1 || req->now > 1 || req->flags)
		return -KVM_EINVAL;

	call->kvm->introspection->silent = !req->enable;
	if (req->now)
		call->silent = !req->enable;
	return 0;
}
