// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: what CPUID tells the guest, and that it asks.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "cpuid.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

int kvmi_cmd_vcpu_get_cpuid(struct kvmi_call *call)
{
	struct kvmi_vcpu_get_cpuid_reply *rpl = call->rpl;
	const struct kvmi_vcpu_get_cpuid *req = call->req;
	struct kvm_cpuid_entry2 *entry;

	entry = kvm_find_cpuid_entry_index(call->vcpu, req->function, req->index);
	if (!entry)
		return -KVM_ENOENT;

	rpl->eax = entry->eax;
	rpl->ebx = entry->ebx;
	rpl->ecx = entry->ecx;
	rpl->edx = entry->edx;
	return 0;
}

/* Whether the CPUID instruction that the guest executes raises an event. */
bool kvmi_cpuid_is_watched(struct kvm_vcpu *vcpu)
{
	if (is_guest_mode(vcpu) ||
	    !kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_CPUID))
		return false;

	/* The guest gets #GP instead. */
	return !cpuid_fault_enabled(vcpu) || !kvm_x86_call(get_cpl)(vcpu);
}
EXPORT_SYMBOL_GPL(kvmi_cpuid_is_watched);

/* Tells the tool. Returns what an exit handler returns, or KVMI_PASS. */
int kvmi_cpuid(struct kvm_vcpu *vcpu, u8 insn_len)
{
	const struct kvmi_vcpu_event_cpuid event = {
		.function = kvm_rax_read(vcpu),
		.index = kvm_rcx_read(vcpu),
		.insn_len = insn_len,
	};

	switch (kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_CPUID, &event, NULL)) {
	case KVMI_EVENT_ACTION_CONTINUE:
	case -ENOTCONN:
		return KVMI_PASS;
	default:
		return 1;
	}
}
EXPORT_SYMBOL_GPL(kvmi_cpuid);
