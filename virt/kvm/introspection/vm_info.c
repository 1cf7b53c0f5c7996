// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: what a tool can ask about the protocol and the VM.
 */

#include "kvmi_int.h"

int kvmi_cmd_get_version(struct kvmi_call *call)
{
	struct kvmi_get_version_reply *rpl = call->rpl;

	rpl->version = KVMI_VERSION;
	kvmi_arch_fill_features(&rpl->features);
	return 0;
}

int kvmi_cmd_vm_check_command(struct kvmi_call *call)
{
	const struct kvmi_vm_check_command *req = call->req;

	if (!kvmi_find_command(req->id))
		return -KVM_EINVAL;
	if (!kvmi_command_allowed(call->kvm->introspection, req->id))
		return -KVM_EPERM;
	return 0;
}

int kvmi_cmd_vm_check_event(struct kvmi_call *call)
{
	const struct kvmi_vm_check_event *req = call->req;

	if (!kvmi_find_event(req->id))
		return -KVM_EINVAL;
	if (!kvmi_event_allowed(call->kvm->introspection, req->id))
		return -KVM_EPERM;
	return 0;
}

int kvmi_cmd_vm_get_info(struct kvmi_call *call)
{
	struct kvmi_vm_get_info_reply *rpl = call->rpl;

	rpl->vcpu_count = atomic_read(&call->kvm->online_vcpus);
	return 0;
}

static bool kvmi_is_guest_slot(const struct kvm_memory_slot *slot)
{
	return kvmi_is_guest_memory(slot) && !(slot->flags & KVM_MEMSLOT_INVALID);
}

/* Returns the guest memory at @gfn or NULL. Under kvm->srcu, as the result. */
struct kvm_memory_slot *kvmi_find_slot(struct kvm *kvm, gfn_t gfn)
{
	struct kvm_memory_slot *slot = gfn_to_memslot(kvm, gfn);

	return kvmi_is_guest_slot(slot) ? slot : NULL;
}

int kvmi_cmd_vm_get_max_gfn(struct kvmi_call *call)
{
	struct kvmi_vm_get_max_gfn_reply *rpl = call->rpl;
	struct kvm_memory_slot *slot;
	int bkt, idx;

	idx = srcu_read_lock(&call->kvm->srcu);
	kvm_for_each_memslot(slot, bkt, kvm_memslots(call->kvm)) {
		if (!kvmi_is_guest_slot(slot) || slot->flags & KVM_MEM_READONLY)
			continue;
		rpl->gfn = max(rpl->gfn, slot->base_gfn + slot->npages);
	}
	srcu_read_unlock(&call->kvm->srcu, idx);
	return 0;
}

int kvmi_cmd_vm_query_physical(struct kvmi_call *call)
{
	struct kvmi_vm_query_physical_reply *rpl = call->rpl;
	const struct kvmi_vm_query_physical *req = call->req;
	struct kvm_memory_slot *slot;
	int idx, r = -KVM_ENOENT;

	if (req->gfn >> KVMI_GFN_BITS)
		return -KVM_EINVAL;

	idx = srcu_read_lock(&call->kvm->srcu);
	slot = kvmi_find_slot(call->kvm, req->gfn);
	if (slot) {
		rpl->gfn = slot->base_gfn;
		rpl->size = slot->npages;
		r = 0;
	}
	srcu_read_unlock(&call->kvm->srcu, idx);
	return r;
}
