// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: which frames of a VM processes have mapped, and how they lose them.
 */

#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mm.h>

#include "kvmi_int.h"

/* Frames that are taken away at a time. */
#define KVMI_UNMAP_BATCH	256

/**
 * struct kvmi_zapper - a task that takes memory away from processes
 * @list: In kvmi_zappers, under kvmi_zappers_lock.
 * @task: The task.
 */
struct kvmi_zapper {
	struct list_head list;
	struct task_struct *task;
};

static LIST_HEAD(kvmi_zappers);
static DEFINE_SPINLOCK(kvmi_zappers_lock);

/* Changes what @mem->mapped tells of @gfn. Returns what it told before, or an error. */
int kvmi_mem_tell(struct kvmi_mem *mem, gfn_t gfn, unsigned int set,
		  unsigned int clear)
{
	unsigned int was, is;
	void *old, *seen;

	do {
		old = xa_load(&mem->mapped, gfn);
		was = old ? xa_to_value(old) : 0;
		is = (was | set) & ~clear;
		if (is == was)
			break;
		seen = xa_cmpxchg(&mem->mapped, gfn, old, is ? xa_mk_value(is) : NULL,
				  GFP_KERNEL_ACCOUNT);
		if (xa_is_err(seen))
			return xa_err(seen);
	} while (seen != old);
	return was;
}

/* Tells that the frames may be mapped. Before they are. */
int kvmi_mem_announce(struct kvmi_mem *mem, gfn_t gfn, unsigned int nr,
		      bool write)
{
	unsigned int mapped = KVMI_MAPPED | (write ? KVMI_MAPPED_WRITABLE : 0);
	int r = 0;

	for (; nr && r >= 0; nr--, gfn++)
		r = kvmi_mem_tell(mem, gfn, mapped, KVMI_MAPPED_NOT);
	return min(r, 0);
}

/* Whoever looks for what is mapped after this finds it, or it is not mapped. */
void kvmi_mem_new_seq(struct kvmi_mem *mem)
{
	atomic_inc(&mem->seq);
	/* Pairs with the barrier in kvmi_mem_file_insert(). */
	smp_mb__after_atomic();
}

/*
 * Whether an MMU notifier is called because of kvmi_mem_zap(): for a mapping of another
 * VM's memory, which is nobody's memory in turn.
 */
bool kvmi_mem_is_zapping(void)
{
	struct kvmi_zapper *zapper;
	bool r = false;

	/* The caller's own is there, or is not. */
	if (list_empty_careful(&kvmi_zappers))
		return false;

	spin_lock(&kvmi_zappers_lock);
	list_for_each_entry(zapper, &kvmi_zappers, list)
		r |= zapper->task == current;
	spin_unlock(&kvmi_zappers_lock);
	return r;
}

/* Takes the PTEs of @nr frames from @first on away from all processes. */
void kvmi_mem_zap(struct kvmi_mem *mem, gfn_t first, unsigned int nr)
{
	struct kvmi_zapper zapper = { .task = current };

	spin_lock(&kvmi_zappers_lock);
	list_add(&zapper.list, &kvmi_zappers);
	spin_unlock(&kvmi_zappers_lock);
	/*
	 * In an MMU notifier of the VMM this calls those of the processes, which lockdep
	 * takes for a recursion. The inode is no file's that has pages.
	 */
	lockdep_off();
	unmap_mapping_range(mem->inode->i_mapping, (loff_t)first << PAGE_SHIFT,
			    (loff_t)nr << PAGE_SHIFT, 1);
	lockdep_on();
	spin_lock(&kvmi_zappers_lock);
	list_del(&zapper.list);
	spin_unlock(&kvmi_zappers_lock);
}

/* Takes up to KVMI_UNMAP_BATCH frames in a row out of @mem->mapped. */
static unsigned int kvmi_mem_take_mapped(struct kvmi_mem *mem, gfn_t *first,
					 gfn_t last, unsigned long *written)
{
	unsigned long gfn;
	unsigned int nr = 0;
	void *entry;

	lockdep_assert_held(&mem->lock);

	bitmap_zero(written, KVMI_UNMAP_BATCH);
	xa_for_each_range(&mem->mapped, gfn, entry, *first, last) {
		if (!(xa_to_value(entry) & KVMI_MAPPED))
			continue;
		if (!nr)
			*first = gfn;
		else if (gfn != *first + nr || nr == KVMI_UNMAP_BATCH)
			break;
		/* It may have been written meanwhile. */
		entry = xa_erase(&mem->mapped, gfn);
		if (entry && xa_to_value(entry) & KVMI_MAPPED_WRITABLE)
			__set_bit(nr, written);
		nr++;
	}
	return nr;
}

/*
 * Takes the first frames that are mapped between *@first and @last away from all processes
 * and moves *@first behind them. False when there are no more.
 */
static bool kvmi_mem_unmap_batch(struct kvmi_mem *mem, struct kvm_memory_slot *slot,
				 gfn_t *first, gfn_t last)
{
	DECLARE_BITMAP(written, KVMI_UNMAP_BATCH);
	unsigned int nr, i;

	nr = kvmi_mem_take_mapped(mem, first, last, written);
	if (!nr)
		return false;

	/* Who has found itself announced there has to do that anew. */
	kvmi_mem_new_seq(mem);
	kvmi_mem_zap(mem, *first, nr);

	if (slot) {
		for_each_set_bit(i, written, nr)
			kvmi_mem_mark_dirty(slot, *first + i);
	}
	*first += nr;
	return true;
}

/*
 * Takes all frames from @first to @last away from all processes. The caller has made
 * sure that those on their way there do not get there. @slot has them, or is NULL.
 */
void kvmi_mem_file_unmap(struct kvmi_mem *mem, struct kvm_memory_slot *slot,
			 gfn_t first, gfn_t last)
{
	bool more;

	do {
		mutex_lock(&mem->lock);
		more = kvmi_mem_unmap_batch(mem, slot, &first, last);
		mutex_unlock(&mem->lock);
	} while (more && first <= last);
}
