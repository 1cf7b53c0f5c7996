/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVMI_MEM_H
#define __KVMI_MEM_H

/*
 * A VM's memory as others map it. Included by kvmi_int.h.
 *
 *   a process on the host      mem_file.c     mmap() of a file
 *   another VM on this host    mem_guest.c    a page in the place of one of its own
 *
 * Neither holds a reference to the VM's pages. What maps one is found by an MMU
 * notifier of the VMM and taken away before the VMM loses the page.
 *
 * Lock order, after that in kvmi_int.h
 *
 *   kvmi->mutex -> kvmi->mem_lock -> mmap_lock of the VMM
 *   kvm->slots_lock -> kvmi->mem_lock
 *   vcpu->mutex -> kvm->srcu of the VM that maps -> mem->lock
 *   MMU notifier of the VMM -> kvm->srcu -> mem->lock
 *	-> kvm->srcu, kvm->mmu_lock of the VM that maps
 *	-> MMU notifiers of the process that maps
 *
 * Nobody waits for memory while he holds mem->lock: to get memory may take an MMU
 * notifier. The last line nests MMU notifiers; it ends there, for what a process maps
 * of a VM cannot be mapped by others in turn (see kvmi_mem_get_pages()), so that there
 * is nothing to do (see kvmi_mem_is_zapping()).
 */

#include <linux/atomic.h>
#include <linux/interval_tree.h>
#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/xarray.h>

/**
 * struct kvmi_mem - the memory of a VM, in one session
 * @refs: Files, mappings in other VMs, tokens, the session.
 * @kvm: The VM. Valid in the MMU notifier and, under RCU, while @ended is false.
 * @mm: The VMM's address space, with a reference to the structure. Constant.
 * @ended: The session has. Set once, under @lock.
 * @notifier: Of all of @mm, from the begin until after @ended.
 * @inode: Its address space has all that processes map. Constant.
 * @mapped: Frames that processes may have mapped, as enum kvmi_mapped. Set before a
 *	    PTE is. Erased under @lock, which is kept until it is taken away.
 * @seq: Grows when PTEs are taken away, before they are.
 * @lock: Held by who takes anything away, until that is done: whoever comes to take
 *	  the same away does not go on before. Protects @guest_maps, and @attached of
 *	  what is there.
 * @guest_maps: What other VMs have mapped, by this VM's frame.
 * @nr_tokens: Tokens that can be used. Protected by the lock of the list of tokens.
 */
struct kvmi_mem {
	refcount_t refs;
	struct kvm *kvm;
	struct mm_struct *mm;
	bool ended;
	struct mmu_interval_notifier notifier;
	struct inode *inode;
	struct xarray mapped;
	atomic_t seq;
	/* Of taking away what is mapped */
	struct mutex lock;
	struct rb_root_cached guest_maps;
	unsigned int nr_tokens;
};

/**
 * enum kvmi_mapped - what processes may have of a frame, joined
 * @KVMI_MAPPED: they can read it
 * @KVMI_MAPPED_WRITABLE: they can write it, so it counts as dirty
 * @KVMI_MAPPED_NOT: it could not be mapped; for the one that is about to learn
 */
enum kvmi_mapped {
	KVMI_MAPPED		= 1,
	KVMI_MAPPED_WRITABLE	= 2,
	KVMI_MAPPED_NOT		= 4,
};

/**
 * struct kvmi_guest_map - a frame of one VM that shows a page of another
 * @refs: One for being attached, one for each user.
 * @rcu: To free it.
 * @mem: The other VM's memory, with a reference.
 * @kvm: The VM that sees it. Valid while attached.
 * @gfn: Where it sees it.
 * @node: In @mem->guest_maps while attached; its begin and end are the other VM's frame.
 * @attached: It counts. Protected by @mem->lock, read at any time. An attached map is in
 *	      kvm->introspection->guest_maps.
 * @writable: The page may be written. Constant.
 * @written: It may have been, since it was last found dirty. Set by vCPUs of @kvm before
 *	     they can write, cleared under @mem->lock before it is taken from them.
 */
struct kvmi_guest_map {
	refcount_t refs;
	struct rcu_head rcu;
	struct kvmi_mem *mem;
	struct kvm *kvm;
	gfn_t gfn;
	struct interval_tree_node node;
	bool attached;
	bool writable;
	bool written;
};

/* mem.c */
bool kvmi_mem_is_allowed(struct kvm_introspection *kvmi, bool write);
struct kvmi_mem *kvmi_mem_get(struct kvm_introspection *kvmi);
void kvmi_mem_put(struct kvmi_mem *mem);
void kvmi_mem_end(struct kvm_introspection *kvmi);
long kvmi_mem_get_pages(struct kvmi_mem *mem, gfn_t gfn, unsigned int nr,
			unsigned int gup_flags, struct page **pages);
bool kvmi_mem_has_dirty_ring(struct kvmi_mem *mem);
void kvmi_mem_mark_dirty(struct kvm_memory_slot *slot, gfn_t gfn);

/* mem_token.c */
struct kvmi_mem *kvmi_token_take(const struct kvmi_map_mem_token *token,
				 bool *writable);
void kvmi_tokens_drop(struct kvmi_mem *mem);

/* mem_file.c */
int kvmi_mem_mmap(struct kvmi_mem *mem, struct vm_area_struct *vma);
struct file *kvmi_mem_open_file(struct kvmi_mem *mem, bool writable);
int kvmi_mem_open_fd(struct kvmi_mem *mem, bool writable);
struct inode *kvmi_mem_alloc_inode(void);

/* mem_mapped.c */
int kvmi_mem_tell(struct kvmi_mem *mem, gfn_t gfn, unsigned int set,
		  unsigned int clear);
int kvmi_mem_announce(struct kvmi_mem *mem, gfn_t gfn, unsigned int nr,
		      bool write);
void kvmi_mem_new_seq(struct kvmi_mem *mem);
void kvmi_mem_zap(struct kvmi_mem *mem, gfn_t first, unsigned int nr);
bool kvmi_mem_is_zapping(void);
void kvmi_mem_file_unmap(struct kvmi_mem *mem, struct kvm_memory_slot *slot,
			 gfn_t first, gfn_t last);

/* mem_device.c */
int kvmi_mem_device_get(void);
void kvmi_mem_device_put(void);

/* mem_proc.c */
#ifdef CONFIG_KVM_INTROSPECTION_PROC
void kvmi_proc_add(struct kvm_introspection *kvmi);
void kvmi_proc_remove(struct kvm_introspection *kvmi);
#else
static inline void kvmi_proc_add(struct kvm_introspection *kvmi) { }
static inline void kvmi_proc_remove(struct kvm_introspection *kvmi) { }
#endif

/* mem_guest.c */
int kvmi_guest_map_add(struct kvm *kvm, gfn_t gfn, struct kvmi_mem *mem,
		       gfn_t mem_gfn, bool writable);
int kvmi_guest_map_remove(struct kvm *kvm, gfn_t gfn);
void kvmi_guest_maps_remove(struct kvm *kvm, gfn_t first, gfn_t last);
bool kvmi_has_guest_maps(struct kvm *kvm, gfn_t first, gfn_t last);
int kvmi_guest_map_get_page(struct kvm *kvm, gfn_t gfn, bool write,
			    struct page **page, bool *writable);
void kvmi_mem_guest_unmap(struct kvmi_mem *mem, struct kvm_memory_slot *slot,
			  gfn_t first, gfn_t last, bool detach);

#endif /* __KVMI_MEM_H */
