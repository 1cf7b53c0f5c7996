// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state of one vCPU, except for its registers. */
#include "internal.h"

int kvmintro_get_tsc_speed(struct kvmintro *k, uint16_t vcpu, uint64_t *hz)
{
	struct kvmi_vcpu_get_info_reply reply;
	int r = COMMAND(k, KVMI_VCPU_GET_INFO, VCPU(vcpu), REPLY(reply));

	if (!r)
		*hz = reply.tsc_speed;
	return r;
}

int kvmintro_get_cpuid(struct kvmintro *k, uint16_t vcpu, uint32_t function,
		       uint32_t index, struct kvmi_vcpu_get_cpuid_reply *leaf)
{
	const struct kvmi_vcpu_get_cpuid body = {
		.function = function,
		.index = index,
	};

	return COMMAND(k, KVMI_VCPU_GET_CPUID, VCPU(vcpu), BODY(body),
		       REPLY(*leaf));
}

int kvmintro_translate(struct kvmintro *k, uint16_t vcpu, uint64_t gva,
		       uint64_t *gpa)
{
	const struct kvmi_vcpu_translate_gva body = { .gva = gva };
	struct kvmi_vcpu_translate_gva_reply reply;
	int r = COMMAND(k, KVMI_VCPU_TRANSLATE_GVA, VCPU(vcpu), BODY(body),
			REPLY(reply));

	if (r < 0)
		return r;
	if (reply.gpa == ~0ULL)
		return kvmintro__fail(k, -EFAULT,
				      "virtual address %#llx is not mapped in the address space that vCPU %u uses now",
				      (unsigned long long)gva, vcpu);
	*gpa = reply.gpa;
	return 0;
}

int kvmintro_get_xcr(struct kvmintro *k, uint16_t vcpu, uint8_t xcr,
		     uint64_t *value)
{
	const struct kvmi_vcpu_get_xcr body = { .xcr = xcr };
	struct kvmi_vcpu_get_xcr_reply reply;
	int r = COMMAND(k, KVMI_VCPU_GET_XCR, VCPU(vcpu), BODY(body),
			REPLY(reply));

	if (!r)
		*value = reply.value;
	return r;
}

int kvmintro_get_xsave(struct kvmintro *k, uint16_t vcpu,
		       struct kvmi_vcpu_xsave *state)
{
	return COMMAND(k, KVMI_VCPU_GET_XSAVE, VCPU(vcpu), REPLY(*state));
}

int kvmintro_set_xsave(struct kvmintro *k, uint16_t vcpu, const void *state,
		       size_t size)
{
	int r;

	if (size > KVMI_XSAVE_SIZE)
		return kvmintro__fail(k, -E2BIG, "an extended state has at most %d bytes, not %zu",
				      KVMI_XSAVE_SIZE, size);
	r = COMMAND(k, KVMI_VCPU_SET_XSAVE, VCPU(vcpu), .tail = state,
		    .tail_size = size);
	if (r == -EINVAL)
		return kvmintro__fail(k, r,
				      "the extended state has parts that this guest lacks or a reserved bit in MXCSR, or there is no vCPU %u",
				      vcpu);
	return r;
}

int kvmintro_get_mtrr_type(struct kvmintro *k, uint16_t vcpu, uint64_t gpa,
			   uint8_t *type)
{
	const struct kvmi_vcpu_get_mtrr_type body = { .gpa = gpa };
	struct kvmi_vcpu_get_mtrr_type_reply reply;
	int r = COMMAND(k, KVMI_VCPU_GET_MTRR_TYPE, VCPU(vcpu), BODY(body),
			REPLY(reply));

	if (!r)
		*type = reply.type;
	return r;
}
