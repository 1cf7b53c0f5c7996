// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: pages of a VM in the place of another VM's.
 *
 * The VM that maps asks for it with a hypercall. Where KVM makes memory available to it,
 * the other VM's page is taken instead of the VMM's own. What KVM has mapped is taken
 * away by zapping the frame, which also tells a fault that is on its way.
 */

#include <linux/mm.h>
#include <linux/slab.h>

#include "kvmi_int.h"

static void kvmi_guest_map_put(struct kvmi_guest_map *map)
{
	if (!refcount_dec_and_test(&map->refs))
		return;
	kvmi_mem_put(map->mem);
	kfree_rcu(map, rcu);
}

/* With a reference, or NULL. */
static struct kvmi_guest_map *kvmi_guest_map_find(struct kvm *kvm, gfn_t *gfn,
						  gfn_t last)
{
	struct kvmi_guest_map *map;
	unsigned long index = *gfn;

	rcu_read_lock();
	do {
		map = xa_find(&kvm->introspection->guest_maps, &index, last,
			      XA_PRESENT);
		/* One that is gone is on its way out of the array. */
	} while (map && !refcount_inc_not_zero(&map->refs));
	rcu_read_unlock();

	*gfn = index;
	return map;
}

bool kvmi_has_guest_maps(struct kvm *kvm, gfn_t first, gfn_t last)
{
	struct xarray *maps = &kvm->introspection->guest_maps;
	unsigned long index = first;

	return !xa_empty(maps) && xa_find(maps, &index, last, XA_PRESENT);
}

/* When it returns, no vCPU has what it had of the frame. */
static void kvmi_guest_zap(struct kvm *kvm, gfn_t gfn)
{
	struct kvmi_zap zap = { .kvm = kvm };

	kvmi_arch_zap_begin(&zap);
	kvmi_arch_zap(&zap, gfn, gfn);
	kvmi_arch_zap_end(&zap);
}

/* Takes the page away from the VM that sees it. @slot is that of the other. */
static void kvmi_guest_map_zap(struct kvmi_guest_map *map,
			       struct kvm_memory_slot *slot)
{
	bool written;

	lockdep_assert_held(&map->mem->lock);

	/* Who sets it after this is found, too, or finds that the page is taken away. */
	written = xchg(&map->written, false);
	kvmi_guest_zap(map->kvm, map->gfn);
	written |= READ_ONCE(map->written);
	if (written && slot)
		kvmi_mem_mark_dirty(slot, map->node.start);
}

/* Drops the reference of being attached. */
static void kvmi_guest_map_detach(struct kvmi_guest_map *map,
				  struct kvm_memory_slot *slot)
{
	struct kvm *kvm = map->kvm;
	int idx;

	lockdep_assert_held(&map->mem->lock);

	/* When the map is not found any more, the VM waits for nobody but these readers. */
	idx = srcu_read_lock(&kvm->srcu);
	WRITE_ONCE(map->attached, false);
	interval_tree_remove(&map->node, &map->mem->guest_maps);
	xa_erase(&kvm->introspection->guest_maps, map->gfn);
	kvmi_guest_map_zap(map, slot);
	srcu_read_unlock(&kvm->srcu, idx);
	kvmi_guest_map_put(map);
}

/*
 * The frames of @mem's VM are not its VMM's any more, or with @detach not its own. @slot
 * has them, or is NULL if the VM has come to its end.
 */
void kvmi_mem_guest_unmap(struct kvmi_mem *mem, struct kvm_memory_slot *slot,
			  gfn_t first, gfn_t last, bool detach)
{
	struct interval_tree_node *node, *next;
	struct kvmi_guest_map *map;

	mutex_lock(&mem->lock);
	node = interval_tree_iter_first(&mem->guest_maps, first, last);
	for (; node; node = next) {
		next = interval_tree_iter_next(node, first, last);
		map = container_of(node, struct kvmi_guest_map, node);
		if (detach)
			kvmi_guest_map_detach(map, slot);
		else
			kvmi_guest_map_zap(map, slot);
	}
	mutex_unlock(&mem->lock);
}

/*
 * Shows @mem_gfn of @mem at @gfn of @kvm, which is memory. With kvm->srcu of @kvm held, so
 * that it stays memory until others can find the map.
 */
int kvmi_guest_map_add(struct kvm *kvm, gfn_t gfn, struct kvmi_mem *mem,
		       gfn_t mem_gfn, bool writable)
{
	struct kvmi_guest_map *map;
	int r;

	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;

	refcount_inc(&mem->refs);
	map->mem = mem;
	map->kvm = kvm;
	map->gfn = gfn;
	map->node.start = mem_gfn;
	map->node.last = mem_gfn;
	map->writable = writable;
	/* Two: it can be found before it is attached. */
	refcount_set(&map->refs, 2);

	r = xa_insert(&kvm->introspection->guest_maps, gfn, map, GFP_KERNEL_ACCOUNT);
	if (r) {
		kvmi_guest_map_put(map);
		goto out_put;
	}

	mutex_lock(&mem->lock);
	if (mem->ended) {
		xa_erase(&kvm->introspection->guest_maps, gfn);
		kvmi_guest_map_put(map);
		r = -ENOENT;
	} else {
		interval_tree_insert(&map->node, &mem->guest_maps);
		WRITE_ONCE(map->attached, true);
		/* Take the VM's own page away. */
		kvmi_guest_zap(kvm, gfn);
	}
	mutex_unlock(&mem->lock);
out_put:
	kvmi_guest_map_put(map);
	return r;
}

/* Detaches @map unless somebody else does, and drops the caller's reference. */
static int kvmi_guest_map_end(struct kvmi_guest_map *map)
{
	struct kvmi_mem *mem = map->mem;
	struct kvm_memory_slot *slot;
	int idx, r = -ENOENT;

	mutex_lock(&mem->lock);
	if (map->attached) {
		/* An attached map keeps the session from its end, and so the VM. */
		idx = srcu_read_lock(&mem->kvm->srcu);
		slot = kvmi_find_slot(mem->kvm, map->node.start);
		kvmi_guest_map_detach(map, slot);
		srcu_read_unlock(&mem->kvm->srcu, idx);
		r = 0;
	}
	mutex_unlock(&mem->lock);
	kvmi_guest_map_put(map);
	return r;
}

/* -ENOENT if @gfn shows no other VM's page. */
int kvmi_guest_map_remove(struct kvm *kvm, gfn_t gfn)
{
	struct kvmi_guest_map *map = kvmi_guest_map_find(kvm, &gfn, gfn);

	return map ? kvmi_guest_map_end(map) : -ENOENT;
}

/* The VM loses these frames, or its life. */
void kvmi_guest_maps_remove(struct kvm *kvm, gfn_t first, gfn_t last)
{
	struct kvmi_guest_map *map;
	gfn_t gfn = first;

	while ((map = kvmi_guest_map_find(kvm, &gfn, last)))
		kvmi_guest_map_end(map);
}

/*
 * Gets the page that @gfn shows, with a reference, and whether it may be written. The
 * caller has looked at kvm->mmu_invalidate_seq before, and looks again before it maps the
 * page: what takes the page away changes it. Returns -ENOENT if @gfn shows no other VM's
 * page or that VM has none, -EPERM if @write is not possible, -EINTR for a signal.
 */
int kvmi_guest_map_get_page(struct kvm *kvm, gfn_t gfn, bool write,
			    struct page **page, bool *writable)
{
	struct kvmi_guest_map *map = kvmi_guest_map_find(kvm, &gfn, gfn);
	unsigned int flags = FOLL_INTERRUPTIBLE;
	long r;

	if (!map)
		return -ENOENT;

	r = -ENOENT;
	if (!READ_ONCE(map->attached))
		goto out_put;
	r = -EPERM;
	if (write && !map->writable)
		goto out_put;

	if (write) {
		flags |= FOLL_WRITE;
		WRITE_ONCE(map->written, true);
	}
	/*
	 * What began to take the page away before kvm->mmu_invalidate_seq was looked at is
	 * waited for; it may find the old page still in the VMM's page tables.
	 */
	mmu_interval_read_begin(&map->mem->notifier);
	r = kvmi_mem_get_pages(map->mem, map->node.start, 1, flags, page);
	if (r == 1) {
		*writable = write;
		r = 0;
	} else if (r != -EINTR && r != -EPERM) {
		r = -ENOENT;
	}
out_put:
	kvmi_guest_map_put(map);
	return r;
}
