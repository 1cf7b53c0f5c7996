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

/* Takes up to KVMI_UNMAP_BATCH frames in a row out of @mem->mapped. */
static unsigned int kvmi_mem_take_mapped(struct kvmi_mem *mem, gfn_t *first,
					 gfn_t last, unsigned long *written)
{
	unsigned long gfn;
	unsigned int nr = 0;
	void *entry;

	bitmap_zero(written, KVMI_UNMAP_BATCH);
	xa_for_each_range(&mem->mapped, gfn, entry, *first, last) {
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
 * Takes the frames from @first to @last away from all processes. The caller has made
 * sure that those on their way there do not get there. @slot has them, or is NULL.
 */
void kvmi_mem_file_unmap(struct kvmi_mem *mem, struct kvm_memory_slot *slot,
			 gfn_t first, gfn_t last)
{
	DECLARE_BITMAP(written, KVMI_UNMAP_BATCH);
	unsigned int nr, i;

	for (; first <= last; first += nr) {
		nr = kvmi_mem_take_mapped(mem, &first, last, written);
		if (!nr)
			break;

		/*
		 * In an MMU notifier of the VMM this calls those of the processes, which
		 * lockdep takes for a recursion. It ends here: what they map cannot be
		 * mapped by others in turn. The inode is no file's that has pages.
		 */
		lockdep_off();
		unmap_mapping_range(mem->inode->i_mapping, (loff_t)first << PAGE_SHIFT,
				    (loff_t)nr << PAGE_SHIFT, 1);
		lockdep_on();

		if (!slot)
			continue;
		for_each_set_bit(i, written, nr)
			kvmi_mem_mark_dirty(slot, first + i);
	}
}
