// SPDX-License-Identifier: LGPL-2.1-or-later
/* What happens on one vCPU: events, stops, exceptions. */
#include "internal.h"

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

int kvmintro_control_msr(struct kvmintro *k, uint16_t vcpu, uint32_t msr,
			 bool enable)
{
	const struct kvmi_vcpu_control_msr body = {
		.enable = enable,
		.msr = msr,
	};
	int r = COMMAND(k, KVMI_VCPU_CONTROL_MSR, VCPU(vcpu), BODY(body));

	if (r == -EINVAL)
		return kvmintro__fail(k, r,
				      "MSR %#x cannot be watched (0 to 0x1fff and 0xc0000000 to 0xc0001fff can, but for the local APIC's: 0x6e0, 0x800 to 0x8ff), or there is no vCPU %u",
				      msr, vcpu);
	return r;
}

int kvmintro_control_singlestep(struct kvmintro *k, uint16_t vcpu, bool enable)
{
	const struct kvmi_vcpu_control_singlestep body = { .enable = enable };

	return COMMAND(k, KVMI_VCPU_CONTROL_SINGLESTEP, VCPU(vcpu), BODY(body));
}

int kvmintro_inject_exception(struct kvmintro *k, uint16_t vcpu, uint8_t vector,
			      uint32_t error_code, uint64_t address)
{
	const struct kvmi_vcpu_inject_exception body = {
		.nr = vector,
		.error_code = error_code,
		.address = address,
	};

	return COMMAND(k, KVMI_VCPU_INJECT_EXCEPTION, VCPU(vcpu), BODY(body));
}
