// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: stopping a vCPU. The event is sent by __kvmi_pre_run().
 */

#include "kvmi_int.h"

int kvmi_cmd_vcpu_pause(struct kvmi_call *call)
{
	const struct kvmi_vcpu_pause *req = call->req;
	struct kvm_vcpu *vcpu = call->vcpu;
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	DECLARE_BITMAP(vcpus, KVM_MAX_VCPUS);
	bool full;

	if (req->wait > 1)
		return -KVM_EINVAL;
	if (!kvmi_event_allowed(call->kvm->introspection, KVMI_VCPU_EVENT_PAUSE))
		return -KVM_EPERM;

	spin_lock(&vcpui->lock);
	full = vcpui->pause_requests == KVMI_MAX_PAUSE_REQUESTS;
	if (!full)
		vcpui->pause_requests++;
	spin_unlock(&vcpui->lock);
	if (full)
		return -KVM_EBUSY;

	kvmi_kick(vcpu);

	if (req->wait) {
		bitmap_zero(vcpus, KVM_MAX_VCPUS);
		__set_bit(vcpu->vcpu_idx, vcpus);
		kvm_make_vcpus_request_mask(call->kvm,
					    KVM_REQ_INTROSPECTION | KVM_REQUEST_WAIT,
					    vcpus);
	}
	return 0;
}
