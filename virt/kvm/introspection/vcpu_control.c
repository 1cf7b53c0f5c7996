// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: switches of a vCPU.
 */

#include "kvmi_int.h"

int kvmi_cmd_vcpu_control_events(struct kvmi_call *call)
{
	const struct kvmi_vcpu_control_events *req = call->req;
	const struct kvmi_event_desc *desc = kvmi_find_event(req->event_id);
	int r;

	if (!desc || desc->of_vm || req->enable > 1)
		return -KVM_EINVAL;
	if (!kvmi_event_allowed(call->kvm->introspection, req->event_id))
		return -KVM_EPERM;
	if (req->enable) {
		r = kvmi_arch_enable_event(call->vcpu, req->event_id);
		if (r)
			return r;
	}

	kvmi_vcpu_event_forget(call->vcpu);
	__assign_bit(req->event_id, call->vcpu->introspection->events,
		     req->enable);
	return 0;
}
