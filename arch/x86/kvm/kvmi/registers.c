// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: a vCPU's registers.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

int kvmi_cmd_vcpu_get_info(struct kvmi_call *call)
{
	struct kvmi_vcpu_get_info_reply *rpl = call->rpl;

	rpl->tsc_speed = 1000ull * call->vcpu->arch.virtual_tsc_khz;
	return 0;
}

int kvmi_cmd_vcpu_get_registers(struct kvmi_call *call)
{
	struct kvmi_vcpu_get_registers_reply *rpl = call->rpl;
	const struct kvmi_vcpu_get_registers *req = call->req;
	struct kvm_vcpu *vcpu = call->vcpu;
	struct kvm_msr_entry *entry;
	u64 data;
	int i;

	if (call->req_size < struct_size(req, msrs_idx, req->nmsrs) && req->nmsrs)
		return -KVM_EINVAL;
	if (struct_size(rpl, msrs.entries, req->nmsrs) > KVMI_MAX_REPLY)
		return -KVM_EINVAL;

	for (i = 0; i < req->nmsrs; i++) {
		entry = &rpl->msrs.entries[i];
		if (__kvm_get_msr(vcpu, req->msrs_idx[i], &data, true))
			return -KVM_EINVAL;
		*entry = (struct kvm_msr_entry) {
			.index = req->msrs_idx[i],
			.data = data,
		};
	}

	__get_regs(vcpu, &rpl->regs);
	__get_sregs(vcpu, &rpl->sregs);
	rpl->mode = kvmi_x86_mode(&rpl->sregs);
	rpl->msrs.nmsrs = req->nmsrs;
	call->rpl_size = struct_size(rpl, msrs.entries, req->nmsrs);
	return 0;
}

int kvmi_cmd_vcpu_set_registers(struct kvmi_call *call)
{
	struct kvmi_pending_event *ev = &call->vcpu->introspection->event;
	const struct kvmi_vcpu_set_registers *req = call->req;

	if (call->req_size < sizeof(*req))
		return -KVM_EINVAL;
	if (ev->state != KVMI_EVENT_SENT)
		return -KVM_EOPNOTSUPP;

	ev->regs = req->regs;
	ev->set_regs = true;
	return 0;
}
