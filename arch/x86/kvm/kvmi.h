/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ARCH_X86_KVM_KVMI_H
#define ARCH_X86_KVM_KVMI_H

/* What x86 KVM calls when introspection is built in, and what it lends. */

#include <linux/kvm_host.h>
#include <linux/util_macros.h>

struct kvmi_x86_ops;

/* regs.c: the register ioctls without vcpu_load(). */
void __get_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs);
void __set_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs);
void __get_sregs(struct kvm_vcpu *vcpu, struct kvm_sregs *sregs);

/* x86.c: to be called after a change of KVM_GUESTDBG_BLOCKIRQ. */
void kvm_arch_vcpu_guestdbg_update_apicv_inhibit(struct kvm *kvm);

/* Only there if introspection is built in. */
extern const struct kvmi_x86_ops vmx_kvmi_ops;
extern const struct kvmi_x86_ops svm_kvmi_ops;

#define KVMI_X86_OPS(ops) \
	.kvmi_ops = PTR_IF(IS_ENABLED(CONFIG_KVM_INTROSPECTION), &(ops)),

#ifdef CONFIG_KVM_INTROSPECTION

void __kvmi_prepare_entry(struct kvm_vcpu *vcpu);

/*
 * Called on the vCPU thread before VM-Enter, after everything in KVM that may
 * change an intercept, with preemption and interrupts enabled.
 */
static inline void kvmi_prepare_entry(struct kvm_vcpu *vcpu)
{
	if (kvmi_active(vcpu))
		__kvmi_prepare_entry(vcpu);
}

void kvmi_arch_end_entry(struct kvm_vcpu *vcpu);

/* Called on the vCPU thread at the end of KVM_RUN, before anyone sees its state. */
static inline void kvmi_post_run(struct kvm_vcpu *vcpu)
{
	if (kvmi_active(vcpu))
		kvmi_arch_end_entry(vcpu);
}

bool __kvmi_guest_debug_is_busy(struct kvm_vcpu *vcpu, u32 control);

/* True if KVM_SET_GUEST_DEBUG with @control would take from the tool what it uses. */
static inline bool kvmi_guest_debug_is_busy(struct kvm_vcpu *vcpu, u32 control)
{
	return kvmi_active(vcpu) && __kvmi_guest_debug_is_busy(vcpu, control);
}

int vmx_kvmi_handle_exit(struct kvm_vcpu *vcpu);
int svm_kvmi_handle_exit(struct kvm_vcpu *vcpu);

#else

static inline void kvmi_prepare_entry(struct kvm_vcpu *vcpu) { }
static inline void kvmi_post_run(struct kvm_vcpu *vcpu) { }
static inline bool kvmi_guest_debug_is_busy(struct kvm_vcpu *vcpu, u32 control)
{
	return false;
}

static inline int vmx_kvmi_handle_exit(struct kvm_vcpu *vcpu)
{
	return KVMI_PASS;
}

static inline int svm_kvmi_handle_exit(struct kvm_vcpu *vcpu)
{
	return KVMI_PASS;
}

#endif /* CONFIG_KVM_INTROSPECTION */

/*
 * Called on the vCPU thread before the vendor's exit handler, with vcpu->mutex
 * and kvm->srcu held. May sleep and drop kvm->srcu. Returns KVMI_PASS, or what an exit
 * handler returns if the exit has been handled.
 */
static inline int vmx_kvmi_exit(struct kvm_vcpu *vcpu)
{
	return kvmi_active(vcpu) ? vmx_kvmi_handle_exit(vcpu) : KVMI_PASS;
}

static inline int svm_kvmi_exit(struct kvm_vcpu *vcpu)
{
	return kvmi_active(vcpu) ? svm_kvmi_handle_exit(vcpu) : KVMI_PASS;
}

#endif /* ARCH_X86_KVM_KVMI_H */
