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
static int kvmi_begin_access(struct kvm *kvm, gfn_t gfn, int *idx)
{
	/* The VM may have become a protected one since it was hooked. */
	if (!kvmi_vm_supported(kvm) || kvm_mem_is_private(kvm, gfn))
		return -KVM_EOPNOTSUPP;
	/* Held for one command only, so that the VMM can exit meanwhile. */
	if (!mmget_not_zero(kvm->mm))
		return -KVM_ENOENT;

	kthread_use_mm(kvm->mm);
	*idx = srcu_read_lock(&kvm->srcu);
	return 0;
}

static void kvmi_end_access(struct kvm *kvm, int idx)
{
	srcu_read_unlock(&kvm->srcu, idx);
	kthread_unuse_mm(kvm->mm);
	mmput(kvm->mm);
}

int kvmi_cmd_vm_read_physical(struct kvmi_call *call)
{
	const struct kvmi_vm_read_physical *req = call->req;
	int idx, r;

	if (!kvmi_in_one_page(req->gpa, req->size))
		return -KVM_EINVAL;

	r = kvmi_begin_access(call->kvm, gpa_to_gfn(req->gpa), &idx);
	if (r)
		return r;

	r = kvm_read_guest_page(call->kvm, gpa_to_gfn(req->gpa), call->rpl,
				offset_in_page(req->gpa), req->size);
	kvmi_end_access(call->kvm, idx);
	if (r)
		return -KVM_ENOENT;

	call->rpl_size = req->size;
	return 0;
}

/* Pages go into the dirty ring of a vCPU, and only its own thread adds them. */
bool kvmi_write_needs_vcpu(struct kvm *kvm)
{
	return READ_ONCE(kvm->dirty_ring_size);
}

/*
 * Like kvm_write_guest_page(), which insists on a running vCPU when it marks the
 * page dirty. Without a dirty ring none is needed.
 */
static int kvmi_write_page(struct kvm *kvm, gfn_t gfn, const void *data,
			   int offset, int len)
{
	struct kvm_memory_slot *slot = gfn_to_memslot(kvm, gfn);
	unsigned long hva = gfn_to_hva_memslot_prot(slot, gfn, NULL);

	if (kvm_is_error_hva(hva) || slot->flags & KVM_MEM_READONLY)
		return -EFAULT;
	if (copy_to_user((void __user *)hva + offset, data, len))
		return -EFAULT;

	if (slot->dirty_bitmap)
		set_bit_le(gfn - slot->base_gfn, slot->dirty_bitmap);
	return 0;
}

int kvmi_cmd_vm_write_physical(struct kvmi_call *call)
{
	const struct kvmi_vm_write_physical *req = call->req;
	gfn_t gfn = gpa_to_gfn(req->gpa);
	int idx, r;

	if (!kvmi_in_one_page(req->gpa, req->size) ||
	    call->req_size < struct_size(req, data, req->size))
		return -KVM_EINVAL;

	if (call->vcpu) {
		r = kvm_vcpu_write_guest_page(call->vcpu, gfn, req->data,
					      offset_in_page(req->gpa),
					      req->size);
		return r ? -KVM_ENOENT : 0;
	}

	r = kvmi_begin_access(call->kvm, gfn, &idx);
	if (r)
		return r;

	r = kvmi_write_page(call->kvm, gfn, req->data, offset_in_page(req->gpa),
			    req->size);
	kvmi_end_access(call->kvm, idx);
	return r ? -KVM_ENOENT : 0;
}
