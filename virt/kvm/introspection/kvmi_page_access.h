/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVMI_PAGE_ACCESS_H
#define __KVMI_PAGE_ACCESS_H

/* Restricted pages. Included by kvmi_int.h. */

#define KVMI_PAGE_ACCESS_RWX \
	(KVMI_PAGE_ACCESS_R | KVMI_PAGE_ACCESS_W | KVMI_PAGE_ACCESS_X)

/* page_access.c */
void kvmi_page_access_init(struct kvm_introspection *kvmi);
void kvmi_page_access_destroy(struct kvm_introspection *kvmi);
void kvmi_page_access_reset(struct kvm_introspection *kvmi);
u8 kvmi_page_access(struct kvm *kvm, gfn_t gfn);
bool kvmi_has_restrictions(struct kvm *kvm);
bool kvmi_is_restricted(struct kvm *kvm, gfn_t first, gfn_t last);

/**
 * struct kvmi_zap - taking translations away
 * @kvm: The VM, set by the caller.
 * @srcu_idx: Of kvm->srcu, which is held.
 * @flush: A vCPU may still hold one.
 *
 * Between kvmi_arch_zap_begin() and kvmi_arch_zap_end() nothing may sleep.
 */
struct kvmi_zap {
	struct kvm *kvm;
	int srcu_idx;
	bool flush;
};

/* Per architecture: arch/x86/kvm/kvmi/page_access.c */
bool kvmi_arch_can_restrict(u8 access);
void kvmi_arch_zap_begin(struct kvmi_zap *zap);
void kvmi_arch_zap(struct kvmi_zap *zap, gfn_t first, gfn_t last);
void kvmi_arch_zap_end(struct kvmi_zap *zap);

#endif /* __KVMI_PAGE_ACCESS_H */
