// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: calls of the guest to the tool.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

static bool kvmi_is_hypercall(struct kvm_vcpu *vcpu)
{
	if (is_64_bit_hypercall(vcpu))
		return kvm_rax_read(vcpu) == KVMI_HYPERCALL &&
		       kvm_rdi_read(vcpu) == KVMI_HYPERCALL_EVENT &&
		       kvm_rsi_read(vcpu) == 0;

	return (u32)kvm_rax_read(vcpu) == KVMI_HYPERCALL &&
	       (u32)kvm_rbx_read(vcpu) == KVMI_HYPERCALL_EVENT &&
	       (u32)kvm_rcx_read(vcpu) == 0;
}

/*
 * The guest executes VMCALL or VMMCALL, at any privilege level. Returns what an
 * exit handler returns, or KVMI_PASS.
 */
int kvmi_hypercall(struct kvm_vcpu *vcpu)
{
	if (is_guest_mode(vcpu) ||
	    !kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_HYPERCALL) ||
	    !kvmi_is_hypercall(vcpu))
		return KVMI_PASS;

	switch (kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_HYPERCALL, NULL, NULL)) {
	case KVMI_EVENT_ACTION_CONTINUE:
		kvm_rax_write(vcpu, 0);
		return kvm_skip_emulated_instruction(vcpu);
	case -ENOTCONN:
		return KVMI_PASS;
	default:
		return 1;
	}
}
EXPORT_SYMBOL_GPL(kvmi_hypercall);
