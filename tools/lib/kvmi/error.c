// SPDX-License-Identifier: LGPL-2.1-or-later
/* What failed, why, and what to do next. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

int kvmintro__fail(struct kvmintro *k, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(k->error, sizeof(k->error), fmt, args);
	va_end(args);
	return err;
}

const char *kvmintro_error(const struct kvmintro *k)
{
	return k->error;
}

static const struct {
	int32_t code;
	int err;
	const char *text;
} codes[] = {
	{ -KVM_EPERM, -EPERM,
	  "not allowed by the VMM (QEMU: command= and event= of its introspection object)" },
	{ -KVM_ENOENT, -ENOENT, "nothing is there" },
	{ -KVM_E2BIG, -E2BIG, "too much for one message" },
	{ -KVM_EAGAIN, -EAGAIN, "not now, try again" },
	{ -KVM_ENOMEM, -ENOMEM, "the host is out of memory" },
	{ -KVM_EFAULT, -EFAULT, "the address cannot be used" },
	{ -KVM_EBUSY, -EBUSY,
	  "too much is waiting for this vCPU; answer its events, or let the VM run" },
	{ -KVM_EINVAL, -EINVAL,
	  "an argument is wrong, or there is no such vCPU" },
	{ -KVM_EOPNOTSUPP, -EOPNOTSUPP,
	  "not possible in this state or on this hardware" },
	{ -KVM_ENOSYS, -ENOSYS, "the kernel does not know this command" },
};

#define NOT_THIS_ACCESS \
	"the host's processor cannot leave pages with just this access, or KVM shadows the guest's page tables; see the feature page_access"
#define NO_SUCH_PAGE "an address is beyond what this guest can have"

/* Where a code has one meaning for a command, or the next step is another. */
static const struct {
	uint16_t id;
	int32_t code;
	const char *text;
} special[] = {
	{ KVMI_VCPU_CONTROL_SINGLESTEP, -KVM_EOPNOTSUPP,
	  "the host's processor cannot single-step a vCPU" },
	{ KVMI_VCPU_CONTROL_SINGLESTEP, -KVM_EBUSY,
	  "the VMM debugs it, or its queue is full; end the VMM's debugger" },
	{ KVMI_VCPU_CONTROL_EVENTS, -KVM_EBUSY,
	  "the VMM takes its breakpoints, or its queue is full; end the VMM's debugger" },
	{ KVMI_VCPU_CONTROL_MSR, -KVM_EBUSY,
	  "256 registers of this vCPU are watched, or its queue is full" },
	{ KVMI_VCPU_INJECT_EXCEPTION, -KVM_EBUSY,
	  "an earlier one was not delivered, or the queue is full; take its TRAP event" },
	{ KVMI_VCPU_INJECT_EXCEPTION, -KVM_EOPNOTSUPP,
	  "the vCPU waits to be started, or runs a nested guest; try again later" },
	{ KVMI_VM_GET_MAP_TOKEN, -KVM_EAGAIN,
	  "too many tokens wait to be used; they expire within 3 seconds" },
	{ KVMI_VM_GET_MAP_TOKEN, -KVM_EPERM,
	  "the VMM does not allow it, or not VM_READ_PHYSICAL" },
	{ KVMI_VCPU_GET_MTRR_TYPE, -KVM_EOPNOTSUPP, "the guest has no MTRRs" },
	{ KVMI_VM_SET_PAGE_ACCESS, -KVM_EOPNOTSUPP, NOT_THIS_ACCESS },
	{ KVMI_VM_SET_PAGE_ACCESS, -KVM_EINVAL, NO_SUCH_PAGE },
	{ KVMI_VM_SET_PAGE_ACCESS_RANGES, -KVM_EOPNOTSUPP, NOT_THIS_ACCESS },
	{ KVMI_VM_SET_PAGE_ACCESS_RANGES, -KVM_EINVAL, NO_SUCH_PAGE },
	{ KVMI_VM_GET_PAGE_ACCESS, -KVM_EOPNOTSUPP,
	  "KVM shadows the guest's page tables, or the VM is protected from the host" },
	{ KVMI_VM_GET_PAGE_ACCESS, -KVM_EINVAL, NO_SUCH_PAGE },
};

static const char *explain(uint16_t id, int32_t code, const char *general)
{
	size_t i;

	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (special[i].id == id && special[i].code == code)
			return special[i].text;
	}
	return general;
}

int kvmintro__command_failed(struct kvmintro *k, uint16_t id, int32_t code)
{
	const char *name = kvmintro_command_name(id) ? : "an unknown command";
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].code == code)
			return kvmintro__fail(k, codes[i].err, "%s: %s", name,
					      explain(id, code, codes[i].text));
	}
	return kvmintro__fail(k, -EREMOTEIO, "%s: the kernel answered with the unknown code %d",
			      name, code);
}
