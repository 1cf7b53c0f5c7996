// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: reading and writing guest memory by its physical address.
 *
 * On the receiver the access goes through the VMM's mapping of the memory, so it
 * faults pages in, breaks sharing and honours swap like the VMM itself. It does
 * not see what a guest's shadow page tables hold, as DMA does not.
 */

#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include "kvmi_int.h"

static bool kvmi_in_one_page(u64 gpa, u64 size)
{
	return size && size <= PAGE_SIZE - offset_in_page(gpa);
}

/* Returns 0 or the error to be replied. Pairs with kvmi_end_access(). */
static int kvmi_begin_access(struct kvm *kvm)
{
	/* Held for one command only, so that the VMM can exit meanwhile. */
	if (!mmget_not_zero(kvm->mm))
		return -KVM_ENOENT;

	kthread_use_mm(kvm->mm);
	return 0;
}

static void kvmi_end_access(struct kvm *kvm)
{
	kthread_unuse_mm(kvm->mm);
	mmput(kvm->mm);
}

/*
 * Returns the slot of a page that can be read or, for @write, written. To be looked up
 * once for an access: another look may find another slot.
 */
struct kvm_memory_slot *kvmi_find_page(struct kvm *kvm, gfn_t gfn, bool write)
{
	struct kvm_memory_slot *slot = kvmi_find_slot(kvm, gfn);

	if (!slot || kvm_mem_is_private(kvm, gfn))
		return NULL;
	if (write && slot->flags & KVM_MEM_READONLY)
		return NULL;
	return slot;
}

/* Where the VMM has @gpa. */
static void __user *kvmi_hva(const struct kvm_memory_slot *slot, gpa_t gpa)
{
	return (void __user *)__gfn_to_hva_memslot(slot, gpa_to_gfn(gpa)) +
	       offset_in_page(gpa);
}

int kvmi_cmd_vm_read_physical(struct kvmi_call *call)
{
	const struct kvmi_vm_read_physical *req = call->req;
	struct kvm_memory_slot *slot;
	int idx, r = -KVM_ENOENT;

	if (!kvmi_in_one_page(req->gpa, req->size))
		return -KVM_EINVAL;
	if (kvmi_begin_access(call->kvm))
		return -KVM_ENOENT;

	idx = srcu_read_lock(&call->kvm->srcu);
	slot = kvmi_find_page(call->kvm, gpa_to_gfn(req->gpa), false);
	if (slot && !copy_from_user(call->rpl, kvmi_hva(slot, req->gpa),
				    req->size)) {
		call->rpl_size = req->size;
		r = 0;
	}
	srcu_read_unlock(&call->kvm->srcu, idx);
	kvmi_end_access(call->kvm);
	return r;
}

/* Pages go into the dirty ring of a vCPU, and only its own thread adds them. */
bool kvmi_write_needs_vcpu(struct kvm *kvm)
{
	return READ_ONCE(kvm->dirty_ring_size);
}

/*
 * On the receiver: kvm_write_guest_page() insists on a running vCPU when it marks the
 * page dirty, which only a dirty ring needs.
 */
static int kvmi_write_page(struct kvm *kvm, gpa_t gpa, const void *data, int len)
{
	gfn_t gfn = gpa_to_gfn(gpa);
	struct kvm_memory_slot *slot = kvmi_find_page(kvm, gfn, true);

	if (!slot || copy_to_user(kvmi_hva(slot, gpa), data, len))
		return -KVM_ENOENT;

	kvmi_mem_mark_dirty(slot, gfn);
	return 0;
}

/*
 * On a vCPU, with kvm->srcu held. KVM itself leaves to userspace before the ring is
 * full; a vCPU that serves a tool does not.
 */
static int kvmi_write_page_on_vcpu(struct kvm_vcpu *vcpu, gpa_t gpa,
				   const void *data, int len)
{
	struct kvm_dirty_ring *ring = &vcpu->dirty_ring;
	gfn_t gfn = gpa_to_gfn(gpa);

	if (ring->dirty_index - READ_ONCE(ring->reset_index) >= ring->soft_limit) {
		kvm_make_request(KVM_REQ_DIRTY_RING_SOFT_FULL, vcpu);
		return -KVM_EAGAIN;
	}
	if (!kvmi_find_page(vcpu->kvm, gfn, true) ||
	    kvm_write_guest_page(vcpu->kvm, gfn, data, offset_in_page(gpa), len))
		return -KVM_ENOENT;
	return 0;
}

int kvmi_cmd_vm_write_physical(struct kvmi_call *call)
{
	const struct kvmi_vm_write_physical *req = call->req;
	int idx, r;

	if (!kvmi_in_one_page(req->gpa, req->size) ||
	    call->req_size < struct_size(req, data, req->size))
		return -KVM_EINVAL;

	if (call->vcpu)
		return kvmi_write_page_on_vcpu(call->vcpu, req->gpa, req->data,
					       req->size);

	r = kvmi_begin_access(call->kvm);
	if (r)
		return r;

	idx = srcu_read_lock(&call->kvm->srcu);
	r = kvmi_write_page(call->kvm, req->gpa, req->data, req->size);
	srcu_read_unlock(&call->kvm->srcu, idx);
	kvmi_end_access(call->kvm);
	return r;
}
