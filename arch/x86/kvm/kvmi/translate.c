// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: guest virtual to guest physical addresses.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "mmu.h"
#include "kvmi_int.h"

int kvmi_cmd_vcpu_translate_gva(struct kvmi_call *call)
{
	struct kvmi_vcpu_translate_gva_reply *rpl = call->rpl;
	const struct kvmi_vcpu_translate_gva *req = call->req;

	BUILD_BUG_ON(INVALID_GPA != ~0ull);

	/* The walk looks only at the bits that index the page tables. */
	if (is_64_bit_mode(call->vcpu) ?
	    is_noncanonical_address(req->gva, call->vcpu, 0) :
	    req->gva > U32_MAX && !is_long_mode(call->vcpu))
		rpl->gpa = INVALID_GPA;
	else
		rpl->gpa = kvm_mmu_gva_to_gpa_system(call->vcpu, req->gva, NULL);
	return 0;
}
