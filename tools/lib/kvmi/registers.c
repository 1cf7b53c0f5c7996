// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string.h>

#include "internal.h"

#define REPLY_FIXED sizeof(struct kvmi_vcpu_get_registers_reply)

_Static_assert(sizeof(struct kvmi_error_code) + REPLY_FIXED +
	       KVMINTRO_MAX_MSRS * sizeof(struct kvm_msr_entry) <= KVMI_MAX_MSG_SIZE,
	       "KVMINTRO_MAX_MSRS fits one message");

int kvmintro_get_registers(struct kvmintro *k, uint16_t vcpu,
			   struct kvmintro_registers *registers,
			   const uint32_t *msrs, uint64_t *values,
			   size_t count)
{
	const struct kvmi_vcpu_get_registers body = { .nmsrs = count };
	union {
		struct kvmi_vcpu_get_registers_reply reply;
		uint8_t raw[KVMI_MAX_MSG_SIZE];
	} u;
	const size_t size = REPLY_FIXED + count * sizeof(struct kvm_msr_entry);
	const struct command c = {
		.id = KVMI_VCPU_GET_REGISTERS,
		VCPU(vcpu),
		BODY(body),
		.tail = msrs,
		.tail_size = count * sizeof(*msrs),
		.reply = &u,
		.reply_size = size,
		.reply_min = size,
	};
	struct kvm_msr_entry entry;
	size_t i;
	int r;

	if (count > KVMINTRO_MAX_MSRS)
		return kvmintro__fail(k, -E2BIG, "%zu MSRs at once, not more than %d are possible",
				      count, KVMINTRO_MAX_MSRS);
	r = kvmintro__command(k, &c);
	if (r == -EINVAL && count)
		return kvmintro__fail(k, r,
				      "an MSR does not exist for this guest, or there is no vCPU %u",
				      vcpu);
	if (r < 0)
		return r;

	registers->mode = u.reply.mode;
	registers->regs = u.reply.regs;
	registers->sregs = u.reply.sregs;
	for (i = 0; i < count; i++) {
		memcpy(&entry, u.raw + REPLY_FIXED + i * sizeof(entry),
		       sizeof(entry));
		values[i] = entry.data;
	}
	return 0;
}

int kvmintro_set_registers(struct kvmintro *k, uint16_t vcpu,
			   const struct kvm_regs *regs)
{
	int r = COMMAND(k, KVMI_VCPU_SET_REGISTERS, VCPU(vcpu), BODY(*regs));

	if (r == -EOPNOTSUPP)
		return kvmintro__fail(k, r,
				      "vCPU %u does not wait for the answer to an event: pause it first",
				      vcpu);
	return r;
}
