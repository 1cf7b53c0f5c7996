/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_KVMI_HOST_H
#define _ASM_X86_KVMI_HOST_H

/* KVM introspection: x86 state, private to introspection. */

#include <linux/kvm_types.h>
#include <uapi/asm/kvmi.h>

struct kvm;
struct kvmi_msr_list;
struct kvm_vcpu;

/**
 * struct kvmi_vcpu_arch - x86 part of a vCPU's introspection state
 * @watching: an event may be wanted, or an intercept is still set for one. While it
 *	      is false, neither VM-Enter nor VM-Exit is looked at.
 * @cr_selected: control registers that the tool chose, a bit each
 * @cr_applied: control registers whose writes are intercepted for introspection
 * @msrs: model specific registers that the tool chose, NULL if none
 * @msrs_applied: writes to @msrs are intercepted for introspection
 * @desc_applied: use of descriptor table registers is intercepted for introspection
 *
 * Only the vCPU's thread touches it.
 */
struct kvmi_vcpu_arch {
	bool watching;
	u32 cr_selected;
	u32 cr_applied;
	struct kvmi_msr_list *msrs;
	bool msrs_applied;
	bool desc_applied;
};

/**
 * struct kvmi_x86_ops - what VMX and SVM do differently
 * @vm_supported: can the host read the VM's registers and memory
 * @set_cr_intercept: intercept writes to @want, a bit for each control register,
 *		      and leave all others to what KVM wants by itself. @had is
 *		      the last @want. Called before every VM-Enter while either
 *		      is not 0, so that what KVM changed since is put right; not
 *		      called while the vCPU runs a nested guest.
 * @set_msr_intercept: intercept writes to @msr, or leave it to what KVM wants by
 *		       itself. The former is called before every VM-Enter, as
 *		       above, the latter once, on the vCPU thread at any time.
 * @has_desc_intercept: can the use of descriptor table registers be intercepted
 * @set_desc_intercept: intercept it, or leave it to what KVM wants by itself. Called
 *			as @set_cr_intercept is.
 */
struct kvmi_x86_ops {
	bool (*vm_supported)(struct kvm *kvm);
	void (*set_cr_intercept)(struct kvm_vcpu *vcpu, u32 want, u32 had);
	void (*set_msr_intercept)(struct kvm_vcpu *vcpu, u32 msr, bool set);
	bool (*has_desc_intercept)(void);
	void (*set_desc_intercept)(struct kvm_vcpu *vcpu, bool set);
};

#endif /* _ASM_X86_KVMI_HOST_H */
