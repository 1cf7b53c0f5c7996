// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: use of the descriptor table registers.
 *
 * The instructions are intercepted for introspection, and to emulate UMIP on VMX.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/* Called if the event may be on or the intercept is set. */
void kvmi_descriptor_prepare_entry(struct kvm_vcpu *vcpu)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	bool want = kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_DESCRIPTOR);

	kvm_x86_ops.kvmi_ops->set_desc_intercept(vcpu, want);
	arch->desc_applied = want;
}

/*
 * The guest executes an instruction that loads (@write) or stores @descriptor, one
 * of &enum kvmi_descriptor. Returns what an exit handler returns. Not KVMI_PASS:
 * KVM has no handler, or one that does the same and expects UMIP.
 */
int kvmi_descriptor(struct kvm_vcpu *vcpu, u8 descriptor, bool write)
{
	const struct kvmi_vcpu_event_descriptor event = {
		.descriptor = descriptor,
		.write = write,
	};
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	int r = -ENOTCONN;

	/* A signal has interrupted what came behind the event. */
	if (arch->desc_asked && kvmi_pf_is_kept(vcpu))
		r = KVMI_EVENT_ACTION_CONTINUE;
	else if (!is_guest_mode(vcpu) &&
		 kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_DESCRIPTOR))
		r = kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_DESCRIPTOR, &event,
				    NULL);

	arch->desc_asked = r == KVMI_EVENT_ACTION_CONTINUE;
	if (r != KVMI_EVENT_ACTION_CONTINUE && r != -ENOTCONN)
		return 1;
	r = kvm_emulate_instruction(vcpu, 0);
	arch->desc_asked &= kvmi_pf_is_kept(vcpu);
	return r;
}
EXPORT_SYMBOL_GPL(kvmi_descriptor);
