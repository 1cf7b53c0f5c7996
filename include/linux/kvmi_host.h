/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __LINUX_KVMI_HOST_H
#define __LINUX_KVMI_HOST_H

/*
 * What KVM calls when introspection is built in. Included by kvm_host.h, and
 * the only header of introspection that generic KVM code may include.
 */

#include <linux/jump_label.h>
#include <uapi/linux/kvmi.h>

/* A vCPU has introspection work to do; served by kvmi_pre_run(). */
#define KVM_REQ_INTROSPECTION		4

/*
 * Returned by hooks that can take over: go on as without introspection. No value that
 * KVM's run loop or exit handlers return. Not passed through a pointer, which would
 * cost registers where introspection is not used.
 */
#define KVMI_PASS			INT_MIN

#ifdef CONFIG_KVM_INTROSPECTION

/* Counts the VMs that were ever hooked. */
DECLARE_STATIC_KEY_FALSE(kvmi_key);

/*
 * True if @vcpu belongs to a VM that was ever hooked. The state behind
 * vcpu->introspection lives as long as the vCPU.
 */
static inline bool kvmi_active(const struct kvm_vcpu *vcpu)
{
	return static_branch_unlikely(&kvmi_key) &&
	       READ_ONCE(vcpu->introspection);
}

/*
 * True if @kvm was ever hooked, or has mapped memory of a VM that was. The state behind
 * kvm->introspection lives as long as the VM.
 */
static inline bool kvmi_vm_active(const struct kvm *kvm)
{
	return static_branch_unlikely(&kvmi_key) && READ_ONCE(kvm->introspection);
}

int __kvmi_pre_run(struct kvm_vcpu *vcpu);

/*
 * Called on the vCPU thread before it enters the guest or blocks, with
 * vcpu->mutex and kvm->srcu held. May sleep, and drops and retakes kvm->srcu
 * when it does. Returns KVMI_PASS, or 1 if a signal ended the sleep, so that the vCPU
 * must not enter the guest, or 0 if KVM_RUN is to return with the exit reason set.
 */
static inline int kvmi_pre_run(struct kvm_vcpu *vcpu)
{
	if (kvmi_active(vcpu) && kvm_check_request(KVM_REQ_INTROSPECTION, vcpu))
		return __kvmi_pre_run(vcpu);
	return KVMI_PASS;
}

/* Value of KVM_CAP_INTROSPECTION. */
int kvmi_version(void);

/* True for an ioctl that the caller may issue on another process' VM. */
bool kvmi_foreign_ioctl(unsigned int ioctl);

/* Returns -ENOTTY for an ioctl that is not of introspection. May sleep. */
long kvmi_vm_ioctl(struct kvm *kvm, unsigned int ioctl, unsigned long arg);

/* Called under kvm->lock, before @vcpu gets visible to anyone. */
int kvmi_vcpu_create(struct kvm_vcpu *vcpu);
/* Accepts a vCPU for which kvmi_vcpu_create() was not called. */
void kvmi_vcpu_destroy(struct kvm_vcpu *vcpu);

void __kvmi_flush_memslot(struct kvm *kvm, struct kvm_memory_slot *slot);

/*
 * Called when @slot can be found no more and before it goes away or gets another place,
 * under kvm->slots_lock.
 */
static inline void kvmi_flush_memslot(struct kvm *kvm,
				      struct kvm_memory_slot *slot)
{
	if (kvmi_vm_active(kvm))
		__kvmi_flush_memslot(kvm, slot);
}

void __kvmi_sync_dirty_log(struct kvm *kvm, struct kvm_memory_slot *slot);

/* Called before the dirty log of @slot is read, under kvm->slots_lock. */
static inline void kvmi_sync_dirty_log(struct kvm *kvm,
				       struct kvm_memory_slot *slot)
{
	if (kvmi_vm_active(kvm))
		__kvmi_sync_dirty_log(kvm, slot);
}

/* Called first of all in the destruction of a VM. Ends the receiving thread. */
void kvmi_vm_destroy(struct kvm *kvm);

#else

static inline bool kvmi_active(const struct kvm_vcpu *vcpu) { return false; }
static inline int kvmi_pre_run(struct kvm_vcpu *vcpu) { return KVMI_PASS; }
static inline int kvmi_version(void) { return 0; }
static inline bool kvmi_foreign_ioctl(unsigned int ioctl) { return false; }
static inline long kvmi_vm_ioctl(struct kvm *kvm, unsigned int ioctl,
				 unsigned long arg) { return -ENOTTY; }
static inline int kvmi_vcpu_create(struct kvm_vcpu *vcpu) { return 0; }
static inline void kvmi_vcpu_destroy(struct kvm_vcpu *vcpu) { }
static inline void kvmi_vm_destroy(struct kvm *kvm) { }
static inline void kvmi_flush_memslot(struct kvm *kvm,
				      struct kvm_memory_slot *slot) { }
static inline void kvmi_sync_dirty_log(struct kvm *kvm,
				       struct kvm_memory_slot *slot) { }

#endif /* CONFIG_KVM_INTROSPECTION */

#endif /* __LINUX_KVMI_HOST_H */
