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

	rpl->gpa = kvm_mmu_gva_to_gpa_system(call->vcpu, req->gva, NULL);
	return 0;
}
