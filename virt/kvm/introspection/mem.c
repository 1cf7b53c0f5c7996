// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: a VM's memory as others map it.
 *
 * Others get a page of the VM when they touch it, and no reference to it. Whatever
 * takes the page from the VMM (a copy on write, swap, migration, a hole, the end of the
 * process) or the frame from the VM (a change of memory slots) tells so before, and it
 * is taken from the others, too. Who is about to get a page meanwhile finds that it has
 * changed and looks again.
 */

#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kvmi_int.h"

static void kvmi_mem_free(struct kvmi_mem *mem)
{
	xa_destroy(&mem->mapped);
	mutex_destroy(&mem->lock);
	iput(mem->inode);
	mmdrop(mem->mm);
	kfree(mem);
}

void kvmi_mem_put(struct kvmi_mem *mem)
{
	if (refcount_dec_and_test(&mem->refs))
		kvmi_mem_free(mem);
}

/* What was written, other than by the VM, counts for its dirty log. Under kvm->srcu. */
void kvmi_mem_mark_dirty(struct kvm_memory_slot *slot, gfn_t gfn)
{
	if (slot->dirty_bitmap)
		set_bit_le(gfn - slot->base_gfn, slot->dirty_bitmap);
}

static void kvmi_mem_unmap(struct kvmi_mem *mem, struct kvm_memory_slot *slot,
			   gfn_t first, gfn_t last)
{
	kvmi_mem_file_unmap(mem, slot, first, last);
	kvmi_mem_guest_unmap(mem, slot, first, last, false);
}

/* The frames of @slot that the VMM has between @start and @end. */
static bool kvmi_slot_frames(const struct kvm_memory_slot *slot,
			     unsigned long start, unsigned long end,
			     gfn_t *first, gfn_t *last)
{
	unsigned long slot_end = slot->userspace_addr + (slot->npages << PAGE_SHIFT);

	start = max(start, slot->userspace_addr);
	end = min(end, slot_end);
	if (start >= end)
		return false;

	*first = slot->base_gfn + ((start - slot->userspace_addr) >> PAGE_SHIFT);
	*last = slot->base_gfn + ((end - 1 - slot->userspace_addr) >> PAGE_SHIFT);
	return true;
}

/* False if something is, or may be just on its way out. Does not wait. */
static bool kvmi_mem_is_unmapped(struct kvmi_mem *mem)
{
	bool r;

	if (!mutex_trylock(&mem->lock))
		return false;
	r = xa_empty(&mem->mapped) && RB_EMPTY_ROOT(&mem->guest_maps.rb_root);
	mutex_unlock(&mem->lock);
	return r;
}

static bool kvmi_mem_invalidate(struct mmu_interval_notifier *notifier,
				const struct mmu_notifier_range *range,
				unsigned long seq)
{
	struct kvmi_mem *mem = container_of(notifier, struct kvmi_mem, notifier);
	struct kvm_memory_slot *slot;
	struct kvm *kvm = mem->kvm;
	gfn_t first, last;
	int bkt, idx;

	mmu_interval_set_seq(notifier, seq);
	/*
	 * Who gets a page first tells that it may be mapped, then looks whether @seq has
	 * changed. Pairs with the barrier in kvmi_mem_file_insert(); for other VMs a frame
	 * is in the tree before anybody asks for its page.
	 */
	smp_mb();
	if (kvmi_mem_is_zapping())
		return true;
	/* The caller can do without. */
	if (!mmu_notifier_range_blockable(range))
		return kvmi_mem_is_unmapped(mem);

	idx = srcu_read_lock(&kvm->srcu);
	kvm_for_each_memslot(slot, bkt, kvm_memslots(kvm)) {
		if (kvmi_is_guest_memory(slot) &&
		    kvmi_slot_frames(slot, range->start, range->end, &first, &last))
			kvmi_mem_unmap(mem, slot, first, last);
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return true;
}

static const struct mmu_interval_notifier_ops kvmi_mem_notifier_ops = {
	.invalidate = kvmi_mem_invalidate,
};

static struct kvmi_mem *kvmi_mem_alloc(struct kvm *kvm)
{
	struct kvmi_mem *mem;
	int r;

	mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	if (!mem)
		return ERR_PTR(-ENOMEM);

	refcount_set(&mem->refs, 1);
	mem->kvm = kvm;
	mem->mm = kvm->mm;
	mmgrab(mem->mm);
	xa_init(&mem->mapped);
	mutex_init(&mem->lock);
	mem->guest_maps = RB_ROOT_CACHED;
	mem->inode = kvmi_mem_alloc_inode();
	if (IS_ERR(mem->inode)) {
		r = PTR_ERR(mem->inode);
		mem->inode = NULL;
		goto out_free;
	}

	/* A notifier cannot be added to what has no users any more. */
	r = -ENOTCONN;
	if (!mmget_not_zero(mem->mm))
		goto out_free;
	/* Of everything: where memory slots have their memory changes. */
	r = mmu_interval_notifier_insert(&mem->notifier, mem->mm, 0, ULONG_MAX,
					 &kvmi_mem_notifier_ops);
	mmput(mem->mm);
	if (!r)
		return mem;

out_free:
	kvmi_mem_free(mem);
	return ERR_PTR(r);
}

/* Mapping memory is a way of reading and writing it. */
bool kvmi_mem_is_allowed(struct kvm_introspection *kvmi, bool write)
{
	return kvmi_command_allowed(kvmi, KVMI_VM_READ_PHYSICAL) &&
	       (!write || kvmi_command_allowed(kvmi, KVMI_VM_WRITE_PHYSICAL));
}

/*
 * The memory of @kvmi's VM in this session, with a reference. -ENOTCONN if there is no
 * session.
 */
struct kvmi_mem *kvmi_mem_get(struct kvm_introspection *kvmi)
{
	struct kvmi_mem *mem;

	mutex_lock(&kvmi->mem_lock);
	mem = kvmi->mem;
	/* It goes away before kvmi_mem_end() is called. */
	if (!READ_ONCE(kvmi->sock))
		mem = ERR_PTR(-ENOTCONN);
	else if (!mem)
		mem = kvmi_mem_alloc(kvmi->kvm);
	if (!IS_ERR(mem)) {
		kvmi->mem = mem;
		refcount_inc(&mem->refs);
	}
	mutex_unlock(&kvmi->mem_lock);
	return mem;
}

/* The same if there is one, for what happens to the VM. */
static struct kvmi_mem *kvmi_mem_find(struct kvm *kvm)
{
	/* Pairs with the release in kvmi_get_or_alloc(). */
	struct kvm_introspection *kvmi = smp_load_acquire(&kvm->introspection);
	struct kvmi_mem *mem;

	if (!kvmi)
		return NULL;

	mutex_lock(&kvmi->mem_lock);
	mem = kvmi->mem;
	if (mem)
		refcount_inc(&mem->refs);
	mutex_unlock(&kvmi->mem_lock);
	return mem;
}

/* The session is over. On the receiver, or when it will not run any more. */
void kvmi_mem_end(struct kvm_introspection *kvmi)
{
	struct kvm *kvm = kvmi->kvm;
	struct kvm_memory_slot *slot;
	struct kvmi_mem *mem;
	int bkt, idx;
	gfn_t last;

	mutex_lock(&kvmi->mem_lock);
	mem = kvmi->mem;
	kvmi->mem = NULL;
	mutex_unlock(&kvmi->mem_lock);
	if (!mem)
		return;

	/* No new user ... */
	kvmi_tokens_drop(mem);
	mutex_lock(&mem->lock);
	WRITE_ONCE(mem->ended, true);
	mutex_unlock(&mem->lock);
	/* ... and none that still looks at the VM. */
	synchronize_rcu();
	kvmi_mem_new_seq(mem);

	idx = srcu_read_lock(&kvm->srcu);
	kvm_for_each_memslot(slot, bkt, kvm_memslots(kvm)) {
		last = slot->base_gfn + slot->npages - 1;
		kvmi_mem_file_unmap(mem, slot, slot->base_gfn, last);
		kvmi_mem_guest_unmap(mem, slot, slot->base_gfn, last, true);
	}
	kvmi_mem_file_unmap(mem, NULL, 0, ULONG_MAX);
	kvmi_mem_guest_unmap(mem, NULL, 0, ULONG_MAX, true);
	srcu_read_unlock(&kvm->srcu, idx);

	mmu_interval_notifier_remove(&mem->notifier);
	kvmi_mem_put(mem);
}

/* False, too, when the session has ended: then nothing can be written anyway. */
bool kvmi_mem_has_dirty_ring(struct kvmi_mem *mem)
{
	bool r;

	rcu_read_lock();
	r = !READ_ONCE(mem->ended) && kvmi_write_needs_vcpu(mem->kvm);
	rcu_read_unlock();
	return r;
}

/* Where the VMM has @gfn, and up to @nr frames from there. Returns their number. */
static long kvmi_mem_hva(struct kvmi_mem *mem, gfn_t gfn, unsigned int nr,
			 bool write, unsigned long *hva)
{
	struct kvm_memory_slot *slot;
	struct kvm *kvm = mem->kvm;
	long r;
	int idx;

	rcu_read_lock();
	if (READ_ONCE(mem->ended)) {
		rcu_read_unlock();
		return -ENOTCONN;
	}

	idx = srcu_read_lock(&kvm->srcu);
	slot = kvmi_find_page(kvm, gfn, false);
	if (!slot) {
		r = -EFAULT;
	} else if (write && (slot->flags & KVM_MEM_READONLY ||
			     kvmi_write_needs_vcpu(kvm))) {
		r = -EPERM;
	} else {
		*hva = __gfn_to_hva_memslot(slot, gfn);
		r = min_t(gfn_t, nr, slot->base_gfn + slot->npages - gfn);
	}
	srcu_read_unlock(&kvm->srcu, idx);
	rcu_read_unlock();
	return r;
}

/*
 * Gets up to @nr pages of the VM from @gfn on, with references. They are the VM's only
 * as long as nothing in mem.c's head happens: it is up to the caller to find out after
 * it has made them accessible, and with the lock that keeps them from being taken away.
 *
 * With FOLL_NOFAULT it does not wait, and fails with -EAGAIN if it would have to; so it
 * can be called with the lock of another address space. Pages that are not the VMM's own
 * memory but mapped into it, as devices are and what kvmi_mem_open_fd() shows, cannot be
 * got: -EFAULT. So there are no chains of mappings, nor circles.
 */
long kvmi_mem_get_pages(struct kvmi_mem *mem, gfn_t gfn, unsigned int nr,
			unsigned int gup_flags, struct page **pages)
{
	bool wait = !(gup_flags & FOLL_NOFAULT);
	unsigned long hva;
	int locked = 1;
	long r;

	r = kvmi_mem_hva(mem, gfn, nr, gup_flags & FOLL_WRITE, &hva);
	if (r < 0)
		return r;
	nr = r;

	if (!mmget_not_zero(mem->mm))
		return -ENOTCONN;

	if (wait) {
		r = mmap_read_lock_killable(mem->mm);
		if (r)
			goto out_put;
		r = get_user_pages_remote(mem->mm, hva, nr, gup_flags, pages, &locked);
		if (locked)
			mmap_read_unlock(mem->mm);
		if (r == -EAGAIN || r == -ERESTARTSYS)
			r = -EINTR;
	} else if (mmap_read_trylock(mem->mm)) {
		r = get_user_pages_remote(mem->mm, hva, nr, gup_flags, pages, NULL);
		mmap_read_unlock(mem->mm);
		if (r <= 0)
			r = -EAGAIN;
	} else {
		r = -EAGAIN;
	}
out_put:
	/* The last one to leave would tear it down here. */
	mmput_async(mem->mm);
	return r ?: -EFAULT;
}

/* Called before KVM tells the VMM what of @slot is dirty, under kvm->slots_lock. */
void __kvmi_sync_dirty_log(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvmi_mem *mem;

	if (slot->as_id)
		return;
	mem = kvmi_mem_find(kvm);
	if (!mem)
		return;

	/* What is written from here on has to be mapped for it again. */
	kvmi_mem_new_seq(mem);
	kvmi_mem_unmap(mem, slot, slot->base_gfn, slot->base_gfn + slot->npages - 1);
	kvmi_mem_put(mem);
}

/*
 * @slot is about to be deleted or moved. Under kvm->slots_lock, when nobody can find it any
 * more.
 */
void __kvmi_flush_memslot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	gfn_t last = slot->base_gfn + slot->npages - 1;
	struct kvmi_mem *mem;

	if (!kvmi_is_guest_memory(slot) || slot->as_id)
		return;

	/* What this VM sees of others there ... */
	kvmi_guest_maps_remove(kvm, slot->base_gfn, last);

	/* ... and others of it. */
	mem = kvmi_mem_find(kvm);
	if (!mem)
		return;
	kvmi_mem_new_seq(mem);
	kvmi_mem_file_unmap(mem, slot, slot->base_gfn, last);
	kvmi_mem_guest_unmap(mem, slot, slot->base_gfn, last, true);
	kvmi_mem_put(mem);
}
