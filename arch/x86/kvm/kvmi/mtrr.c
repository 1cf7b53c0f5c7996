// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: the memory type that the guest's MTRRs give an address.
 *
 * KVM keeps the registers but does not look at them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <asm/mtrr.h>

#include "x86.h"
#include "cpuid.h"
#include "kvmi_int.h"

static u64 kvmi_mtrr_read(struct kvm_vcpu *vcpu, u32 msr)
{
	u64 data;

	return __kvm_get_msr(vcpu, msr, &data, true) ? 0 : data;
}

/* A register has eight ranges, a byte each, of 64, 16 or 4 KiB. */
static u8 kvmi_mtrr_fixed(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	unsigned int unit;
	u32 msr;

	if (gpa < 0x80000) {
		msr = MSR_MTRRfix64K_00000;
		unit = gpa / SZ_64K;
	} else if (gpa < 0xc0000) {
		msr = MSR_MTRRfix16K_80000;
		unit = (gpa - 0x80000) / SZ_16K;
	} else {
		msr = MSR_MTRRfix4K_C0000;
		unit = (gpa - 0xc0000) / SZ_4K;
	}
	return kvmi_mtrr_read(vcpu, msr + unit / 8) >> (unit % 8 * 8);
}

/* The type of all variable ranges together that hold @gpa, a bit each. */
static u8 kvmi_mtrr_overlap(u32 types)
{
	if (hweight32(types) == 1)
		return __ffs(types);
	if (types == (BIT(MTRR_TYPE_WRTHROUGH) | BIT(MTRR_TYPE_WRBACK)))
		return MTRR_TYPE_WRTHROUGH;
	/* One of them is uncacheable, or it is not defined: take the safe one. */
	return MTRR_TYPE_UNCACHABLE;
}

static u8 kvmi_mtrr_type(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	u64 cap = kvmi_mtrr_read(vcpu, MSR_MTRRcap);
	u64 def = kvmi_mtrr_read(vcpu, MSR_MTRRdefType);
	u64 base, mask;
	u32 types = 0;
	int i;

	if (!(def & MTRR_DEF_TYPE_E))
		return MTRR_TYPE_UNCACHABLE;
	if (gpa < SZ_1M && cap & MTRR_CAP_FIX && def & MTRR_DEF_TYPE_FE)
		return kvmi_mtrr_fixed(vcpu, gpa);

	for (i = 0; i < (cap & MTRR_CAP_VCNT); i++) {
		base = kvmi_mtrr_read(vcpu, MTRRphysBase_MSR(i));
		mask = kvmi_mtrr_read(vcpu, MTRRphysMask_MSR(i));
		if (mask & MTRR_PHYSMASK_V && !((gpa ^ base) & mask & PAGE_MASK))
			types |= BIT(base & MTRR_PHYSBASE_TYPE);
	}
	return types ? kvmi_mtrr_overlap(types) : def & MTRR_DEF_TYPE_TYPE;
}

int kvmi_cmd_vcpu_get_mtrr_type(struct kvmi_call *call)
{
	struct kvmi_vcpu_get_mtrr_type_reply *rpl = call->rpl;
	const struct kvmi_vcpu_get_mtrr_type *req = call->req;

	if (!guest_cpuid_has(call->vcpu, X86_FEATURE_MTRR))
		return -KVM_EOPNOTSUPP;
	if (!kvm_vcpu_is_legal_gpa(call->vcpu, req->gpa))
		return -KVM_EINVAL;

	rpl->type = kvmi_mtrr_type(call->vcpu, req->gpa);
	return 0;
}
