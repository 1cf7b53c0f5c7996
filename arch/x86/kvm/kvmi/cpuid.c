// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: what CPUID tells the guest.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "kvmi_int.h"

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
