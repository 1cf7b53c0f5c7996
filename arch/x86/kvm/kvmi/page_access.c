// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: restricted pages and KVM's page tables.
 *
 * A restriction takes effect where KVM makes an SPTE. It is expressed in the access
 * that the SPTE shall grant, before KVM derives anything from that: without the right
 * to write, an SPTE is one that may not be made writable later. Reading is what
 * ACC_USER_MASK stands for in an EPT entry. In a nested page table it stands for
 * everything, as the processor looks into the guest's memory as a user.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/spte.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/* On VMX. Without it, what can be executed or written there can be read, too. */
static bool kvmi_has_exec_only(void)
{
	return !(shadow_present_mask & VMX_EPT_READABLE_MASK);
}

static bool kvmi_has_npt(void)
{
	return shadow_user_mask == PT_USER_MASK;
}

/* Whether a page can be left with just @access, which the protocol allows. */
bool kvmi_arch_can_restrict(u8 access)
{
	if (!tdp_enabled)
		return false;

	switch (access) {
	case 0:
		return kvmi_has_npt() || kvmi_has_exec_only();
	case KVMI_PAGE_ACCESS_X:
		return kvmi_has_exec_only();
	default:
		return true;
	}
}

u8 kvmi_page_access_features(void)
{
	u8 features = 0;

	if (kvmi_arch_can_restrict(KVMI_PAGE_ACCESS_RWX))
		features |= KVMI_PAGE_ACCESS_RESTRICTED;
	if (kvmi_arch_can_restrict(0))
		features |= KVMI_PAGE_ACCESS_NONE;
	if (kvmi_arch_can_restrict(KVMI_PAGE_ACCESS_X))
		features |= KVMI_PAGE_ACCESS_EXEC_ONLY;
	if (features && (kvmi_has_npt() || kvm_ad_enabled()))
		features |= KVMI_PAGE_ACCESS_WALKS_WRITE;
	return features;
}

/*
 * What is left of @pte_access for @gfn in @sp. In page tables that are being made or
 * changed under mmu_lock.
 */
unsigned int __kvmi_spte_access(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp,
				const struct kvm_memory_slot *slot, gfn_t gfn,
				unsigned int pte_access, bool prefetch)
{
	u8 access;

	if (!kvmi_is_guest_memory(slot))
		return pte_access;
	/* It would be the page that another VM's is in the place of. */
	if (prefetch && kvmi_has_guest_maps(vcpu->kvm, gfn, gfn))
		return 0;
	if (likely(!kvmi_has_restrictions(vcpu->kvm)))
		return pte_access;

	access = kvmi_page_access(vcpu->kvm, gfn);
	/* The current vCPU's, which is the only one that gets there. */
	if (sp->role.view)
		access |= kvmi_view_access(vcpu, gfn);
	if (!(access & KVMI_PAGE_ACCESS_R))
		pte_access &= ~ACC_USER_MASK;
	if (!(access & KVMI_PAGE_ACCESS_W))
		pte_access &= ~ACC_WRITE_MASK;
	if (!(access & KVMI_PAGE_ACCESS_X))
		pte_access &= ~ACC_EXEC_MASK;
	return pte_access;
}

/* Whether one of the frames needs a translation of its own. */
static bool kvmi_are_special(struct kvm *kvm, gfn_t first, gfn_t last)
{
	return kvmi_is_restricted(kvm, first, last) ||
	       kvmi_has_guest_maps(kvm, first, last);
}

/* A large page must not cover a frame that is. Under mmu_lock. */
int __kvmi_max_mapping_level(struct kvm *kvm, gfn_t gfn, int max_level)
{
	gfn_t first, nr;

	for (; max_level > PG_LEVEL_4K; max_level--) {
		nr = KVM_PAGES_PER_HPAGE(max_level);
		first = gfn & ~(nr - 1);
		if (!kvmi_are_special(kvm, first, first + nr - 1))
			break;
	}
	return max_level;
}

void kvmi_arch_zap_begin(struct kvmi_zap *zap)
	__acquires(&zap->kvm->srcu)
	__acquires(&zap->kvm->mmu_lock)
{
	struct kvm *kvm = zap->kvm;

	zap->srcu_idx = srcu_read_lock(&kvm->srcu);
	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_begin(kvm);
}

/* The range that may be mapped by large pages again when a restriction in it is gone. */
static void kvmi_widen(struct kvm *kvm, gfn_t *first, gfn_t *last)
{
	gfn_t mask = KVM_PAGES_PER_HPAGE(PG_LEVEL_2M) - 1;

	if (!kvmi_are_special(kvm, *first & ~mask, *first | mask))
		*first &= ~mask;
	if (!kvmi_are_special(kvm, *last & ~mask, *last | mask))
		*last |= mask;
}

/*
 * To be called before mmu_lock is let go of: an MMU notifier would not find what was zapped,
 * and the page would be freed while a vCPU has its translation.
 */
static void kvmi_zap_flush(struct kvmi_zap *zap)
{
	if (zap->flush)
		kvm_flush_remote_tlbs(zap->kvm);
	zap->flush = false;
}

static void kvmi_zap_yield(struct kvmi_zap *zap)
{
	if (!need_resched() && !rwlock_needbreak(&zap->kvm->mmu_lock))
		return;

	kvmi_zap_flush(zap);
	cond_resched_rwlock_write(&zap->kvm->mmu_lock);
}

void kvmi_arch_zap(struct kvmi_zap *zap, gfn_t first, gfn_t last)
{
	struct kvm_gfn_range range = {
		.attr_filter = KVM_FILTER_SHARED,
	};
	struct kvm_memslot_iter iter;
	struct kvm_memslots *slots;
	struct kvm *kvm = zap->kvm;
	int i;

	kvmi_widen(kvm, &first, &last);
	kvm_mmu_invalidate_range_add(kvm, first, last + 1);

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		slots = __kvm_memslots(kvm, i);
		kvm_for_each_memslot_in_gfn_range(&iter, slots, first, last + 1) {
			if (!kvmi_is_guest_memory(iter.slot))
				continue;
			range.slot = iter.slot;
			range.start = max(first, iter.slot->base_gfn);
			range.end = min(last + 1, iter.slot->base_gfn +
						  iter.slot->npages);
			range.may_block = range.end - range.start >
					  KVM_PAGES_PER_HPAGE(PG_LEVEL_2M);
			if (range.may_block)
				kvmi_zap_flush(zap);
			zap->flush |= kvm_unmap_gfn_range(kvm, &range);
			kvmi_zap_yield(zap);
		}
	}
}

/* When it returns, no vCPU holds a translation that was zapped. */
void kvmi_arch_zap_end(struct kvmi_zap *zap)
	__releases(&zap->kvm->mmu_lock)
	__releases(&zap->kvm->srcu)
{
	struct kvm *kvm = zap->kvm;

	kvmi_zap_flush(zap);
	kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, zap->srcu_idx);
}
