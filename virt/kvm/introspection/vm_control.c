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
	struct kvm_introspection *kvmi = call->kvm->introspection;
	enum kvmi_answer answer = KVMI_ANSWER_REPLY;

	if (req->enable > 1 || req->now > 1 ||
	    req->flags & ~KVMI_CMD_RESPONSE_ERRORS)
		return -KVM_EINVAL;
	if (req->flags && !kvmi_event_allowed(kvmi, KVMI_VM_EVENT_CMD_ERROR))
		return -KVM_EPERM;

	if (!req->enable)
		answer = req->flags ? KVMI_ANSWER_ERROR : KVMI_ANSWER_NONE;
	kvmi->answer = answer;
	if (req->now)
		call->answer = answer;
	return 0;
}
