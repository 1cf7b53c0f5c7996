// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands about one vCPU, except for its registers. */
#include "internal.h"

int kvmintro_get_tsc_speed(struct kvmintro *k, uint16_t vcpu, uint64_t *hz)
{
	struct kvmi_vcpu_get_info_reply reply;
	int r = COMMAND(k, KVMI_VCPU_GET_INFO, VCPU(vcpu), REPLY(reply));

	if (!r)
		*hz = reply.tsc_speed;
	return r;
}

int kvmintro_pause_vcpu(struct kvmintro *k, uint16_t vcpu, bool wait)
{
	const struct kvmi_vcpu_pause body = { .wait = wait };

	return COMMAND(k, KVMI_VCPU_PAUSE, VCPU(vcpu), BODY(body));
}

int kvmintro_pause_all(struct kvmintro *k)
{
	uint32_t count, i;
	int r = kvmintro_get_vcpu_count(k, &count);

	for (i = 0; !r && i < count; i++)
		r = kvmintro_pause_vcpu(k, i, true);
	return r < 0 ? r : (int)count;
}

int kvmintro_control_event(struct kvmintro *k, uint16_t vcpu, uint16_t event,
			   bool enable)
{
	const struct kvmi_vcpu_control_events body = {
		.event_id = event,
		.enable = enable,
	};

	return COMMAND(k, KVMI_VCPU_CONTROL_EVENTS, VCPU(vcpu), BODY(body));
}

int kvmintro_control_cr(struct kvmintro *k, uint16_t vcpu, uint32_t cr,
			bool enable)
{
	const struct kvmi_vcpu_control_cr body = {
		.enable = enable,
		.cr = cr,
	};

	return COMMAND(k, KVMI_VCPU_CONTROL_CR, VCPU(vcpu), BODY(body));
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
