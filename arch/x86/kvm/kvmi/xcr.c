// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: the extended control register.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/types.h>
#include <asm/fpu/xcr.h>

#include "x86.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

int kvmi_cmd_vcpu_get_xcr(struct kvmi_call *call)
{
	const struct kvmi_vcpu_get_xcr *req = call->req;
	struct kvmi_vcpu_get_xcr_reply *rpl = call->rpl;

	if (req->xcr != XCR_XFEATURE_ENABLED_MASK)
		return -KVM_EINVAL;

	rpl->value = call->vcpu->arch.xcr0;
	return 0;
}

static bool kvmi_xcr_is_watched(struct kvm_vcpu *vcpu, u32 xcr, u64 val)
{
	return xcr == XCR_XFEATURE_ENABLED_MASK && val != vcpu->arch.xcr0 &&
	       kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_XSETBV);
}

/* Tells the tool. Returns 0 if the write shall take place. */
static int kvmi_xcr_tell(struct kvm_vcpu *vcpu, u32 xcr, u64 val)
{
	const struct kvmi_vcpu_event_xsetbv event = {
		.xcr = xcr,
		.old_value = vcpu->arch.xcr0,
		.new_value = val,
	};
	int r = kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_XSETBV, &event, NULL);

	return r == -ENOTCONN ? 0 : r;
}

/* The guest executes XSETBV. Returns what an exit handler returns, or KVMI_PASS. */
int kvmi_xsetbv(struct kvm_vcpu *vcpu)
{
	u64 val = kvm_read_edx_eax(vcpu);
	u32 xcr = kvm_rcx_read(vcpu);

	if (is_guest_mode(vcpu) || !kvmi_xcr_is_watched(vcpu, xcr, val) ||
	    kvm_x86_call(get_cpl)(vcpu))
		return KVMI_PASS;

	return kvmi_xcr_tell(vcpu, xcr, val) ? 1 : KVMI_PASS;
}
EXPORT_SYMBOL_GPL(kvmi_xsetbv);

/* The same in KVM's emulator. Returns true if the write shall take place. */
bool kvmi_xcr_emulated_write(struct kvm_vcpu *vcpu, u32 xcr, u64 val)
{
	return !kvmi_xcr_is_watched(vcpu, xcr, val) ||
	       kvmi_emulate_asked(vcpu, kvmi_xcr_tell(vcpu, xcr, val));
}
