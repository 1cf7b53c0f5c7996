// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: breakpoints of the guest.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "mmu.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

bool kvmi_breakpoint_is_watched(struct kvm_vcpu *vcpu)
{
	return kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_BREAKPOINT);
}

void kvmi_breakpoint_prepare_entry(struct kvm_vcpu *vcpu)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	bool want = kvmi_breakpoint_is_watched(vcpu);

	/* KVM knows how to put back what it wants itself. */
	if (want)
		kvm_x86_ops.kvmi_ops->intercept_breakpoints(vcpu);
	else if (arch->bp_applied)
		kvm_x86_call(update_exception_bitmap)(vcpu);
	arch->bp_applied = want;
}

/* Called under vcpu->mutex: the tool may have one use of #BP or the VMM. */
bool kvmi_breakpoint_is_taken(struct kvm_vcpu *vcpu)
{
	return vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP;
}

/*
 * Carries out a breakpoint of @insn_len bytes: ask the tool, then raise #BP in the
 * guest unless the tool has dealt with it. Returns what an exit handler returns.
 */
int kvmi_breakpoint(struct kvm_vcpu *vcpu, u8 insn_len)
{
	struct kvmi_vcpu_event_breakpoint event = { .insn_len = insn_len };
	int r = -ENOTCONN;

	/* A nested guest's is here only because the intercept reaches it. */
	if (!is_guest_mode(vcpu) && kvmi_breakpoint_is_watched(vcpu)) {
		event.gpa = kvm_mmu_gva_to_gpa_system(vcpu,
						      kvm_get_linear_rip(vcpu),
						      NULL);
		r = kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_BREAKPOINT, &event,
				    NULL);
	}

	if (r == KVMI_EVENT_ACTION_CONTINUE || r == -ENOTCONN) {
		vcpu->arch.event_exit_inst_len = insn_len;
		kvm_queue_exception(vcpu, BP_VECTOR);
	}
	return 1;
}
EXPORT_SYMBOL_GPL(kvmi_breakpoint);
