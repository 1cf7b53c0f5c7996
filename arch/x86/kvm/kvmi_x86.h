/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ARCH_X86_KVM_KVMI_X86_H
#define ARCH_X86_KVM_KVMI_X86_H

/* KVM introspection on x86, private to it: between features and vendors. */

#include <linux/kvm_host.h>
#include <asm/kvmi_host.h>

/* kvmi.c */
u8 kvmi_x86_mode(const struct kvm_sregs *sregs);

/* kvmi/cr.c */
void kvmi_cr_prepare_entry(struct kvm_vcpu *vcpu);
bool kvmi_cr_is_watched(struct kvm_vcpu *vcpu, int cr);
int kvmi_cr_write(struct kvm_vcpu *vcpu, int cr, unsigned long val);
bool kvmi_cr_emulated_write(struct kvm_vcpu *vcpu, int cr, unsigned long *val);

/* kvmi/emulate.c */
void kvmi_emulate_watch(struct kvm_vcpu *vcpu, bool watch);
bool kvmi_emulate_asked(struct kvm_vcpu *vcpu, int r);

/* kvmi/cpuid.c */
bool kvmi_cpuid_is_watched(struct kvm_vcpu *vcpu);
int kvmi_cpuid(struct kvm_vcpu *vcpu, u8 insn_len);

/* kvmi/descriptor.c */
void kvmi_descriptor_prepare_entry(struct kvm_vcpu *vcpu);
int kvmi_descriptor(struct kvm_vcpu *vcpu, u8 descriptor, bool write);

/* kvmi/hypercall.c */
int kvmi_hypercall(struct kvm_vcpu *vcpu);

/* kvmi/msr.c */
void kvmi_msr_prepare_entry(struct kvm_vcpu *vcpu);
void kvmi_msr_reset(struct kvm_vcpu *vcpu);
int kvmi_wrmsr(struct kvm_vcpu *vcpu);
bool kvmi_msr_emulated_write(struct kvm_vcpu *vcpu, u32 msr, u64 *val);

/* kvmi/xcr.c */
int kvmi_xsetbv(struct kvm_vcpu *vcpu);
bool kvmi_xcr_emulated_write(struct kvm_vcpu *vcpu, u32 xcr, u64 val);

#endif /* ARCH_X86_KVM_KVMI_X86_H */
