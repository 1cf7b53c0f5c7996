// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection on x86: what an event tells about its vCPU, and the state that
 * the vendors keep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "x86.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

bool kvmi_arch_vm_supported(struct kvm *kvm)
{
	return kvm->arch.vm_type == KVM_X86_DEFAULT_VM &&
	       !kvm->arch.has_protected_state &&
	       kvm_x86_ops.kvmi_ops->vm_supported(kvm);
}

void kvmi_arch_fill_features(struct kvmi_features *features)
{
	features->singlestep = kvm_x86_ops.kvmi_ops->can_step();
	features->descriptor = kvm_x86_ops.kvmi_ops->has_desc_intercept();
	features->page_access = kvmi_page_access_features();
}

void kvmi_arch_watch(struct kvm_vcpu *vcpu)
{
	vcpu->introspection->arch.watching = true;
}

/* The tool switches an event on. Returns 0 or the error to be replied. */
int kvmi_arch_enable_event(struct kvm_vcpu *vcpu, u16 id)
{
	if (id == KVMI_VCPU_EVENT_BREAKPOINT && kvmi_breakpoint_is_taken(vcpu))
		return -KVM_EBUSY;

	kvmi_arch_watch(vcpu);
	return 0;
}

/*
 * KVM_SET_GUEST_DEBUG, under vcpu->mutex: what the tool has of a vCPU's debugging is
 * not the VMM's.
 */
bool __kvmi_guest_debug_is_busy(struct kvm_vcpu *vcpu, u32 control)
{
	if (!kvmi_vcpu_in_session(vcpu))
		return false;

	return vcpu->introspection->arch.step.asked ||
	       (control & KVM_GUESTDBG_USE_SW_BP &&
		kvmi_breakpoint_is_watched(vcpu));
}

/* A session ended. The intercepts go before the guest is entered. */
void kvmi_arch_vcpu_reset(struct kvm_vcpu *vcpu)
{
	vcpu->introspection->arch.cr_selected = 0;
	vcpu->introspection->arch.desc_asked = false;
	kvmi_msr_reset(vcpu);
	vcpu->introspection->arch.injection.state = KVMI_INJECTION_NONE;
	kvmi_view_leave(vcpu);
	kvmi_step_reset(vcpu);
	kvmi_pf_reset(vcpu);
}

void kvmi_arch_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	kfree(vcpu->introspection->arch.msrs);
}

unsigned long kvmi_arch_rip(struct kvm_vcpu *vcpu)
{
	return kvm_rip_read(vcpu);
}

void kvmi_arch_get_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs)
{
	__get_regs(vcpu, regs);
}

/*
 * KVM_SET_REGS forgets an exception that is about to be delivered, for it
 * replaces a state; here it belongs to the guest's.
 */
void kvmi_arch_set_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs)
{
	struct kvm_queued_exception exception = vcpu->arch.exception;
	struct kvm_queued_exception vmexit = vcpu->arch.exception_vmexit;

	__set_regs(vcpu, regs);
	vcpu->arch.exception = exception;
	vcpu->arch.exception_vmexit = vmexit;
}

/* Keeps the guest's watchdogs from counting the time that the tool took. */
void kvmi_arch_guest_was_stopped(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.pv_time.active)
		return;

	vcpu->arch.pvclock_set_guest_stopped_request = true;
	kvm_make_request(KVM_REQ_CLOCK_UPDATE, vcpu);
}

u8 kvmi_x86_mode(const struct kvm_sregs *sregs)
{
	if ((sregs->efer & EFER_LMA) && sregs->cs.l)
		return 8;
	return sregs->cs.db ? 4 : 2;
}

/* A register that the guest does not have reads as 0. */
static u64 kvmi_x86_msr(struct kvm_vcpu *vcpu, u32 index)
{
	struct msr_data msr = { .index = index, .host_initiated = true };

	return kvm_x86_call(get_msr)(vcpu, &msr) ? 0 : msr.data;
}

/* Called for every event: what is at hand is not looked up. */
void kvmi_arch_fill_event(struct kvm_vcpu *vcpu, struct kvmi_event_arch *arch)
{
	__get_regs(vcpu, &arch->regs);
	__get_sregs(vcpu, &arch->sregs);
	arch->mode = kvmi_x86_mode(&arch->sregs);
	arch->msrs.sysenter_cs = kvmi_x86_msr(vcpu, MSR_IA32_SYSENTER_CS);
	arch->msrs.sysenter_esp = kvmi_x86_msr(vcpu, MSR_IA32_SYSENTER_ESP);
	arch->msrs.sysenter_eip = kvmi_x86_msr(vcpu, MSR_IA32_SYSENTER_EIP);
	arch->msrs.efer = vcpu->arch.efer;
	arch->msrs.star = kvmi_x86_msr(vcpu, MSR_STAR);
	arch->msrs.lstar = kvmi_x86_msr(vcpu, MSR_LSTAR);
	arch->msrs.cstar = kvmi_x86_msr(vcpu, MSR_CSTAR);
	arch->msrs.pat = vcpu->arch.pat;
	arch->msrs.shadow_gs = kvmi_x86_msr(vcpu, MSR_KERNEL_GS_BASE);
}

/*
 * True if an event is due that no instruction raises again, with its id and data
 * filled in.
 */
bool kvmi_arch_run_loop_event(struct kvm_vcpu *vcpu, u8 *id, void *data)
{
	BUILD_BUG_ON(sizeof(struct kvmi_vcpu_event_trap) > KVMI_MAX_EVENT_DATA);

	if (kvmi_injection_event(vcpu, data))
		*id = KVMI_VCPU_EVENT_TRAP;
	else if (kvmi_step_event(vcpu, data))
		*id = KVMI_VCPU_EVENT_SINGLESTEP;
	else
		return false;
	return true;
}

/* What is set for one entry does not outlast it, whether it took place or not. */
void kvmi_arch_end_entry(struct kvm_vcpu *vcpu)
{
	if (vcpu->introspection->arch.step.applied)
		kvm_x86_ops.kvmi_ops->step_disarm(vcpu);
	kvmi_pf_end_entry(vcpu);
}

/* The guest is to be entered next. Returns as kvmi_pre_run() does. */
int kvmi_arch_pre_run(struct kvm_vcpu *vcpu)
{
	/* What comes next is looked at on its own account. */
	kvmi_pf_end(vcpu);
	kvmi_injection_start(vcpu);
	return kvmi_step_start(vcpu);
}

/* Whether VM-Enter and VM-Exit are of interest until the next VM-Enter. */
static bool kvmi_x86_is_watching(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;

	return !bitmap_empty(vcpui->events, KVMI_NUM_EVENTS) ||
	       vcpui->arch.cr_applied || vcpui->arch.msrs_applied ||
	       vcpui->arch.desc_applied || vcpui->arch.bp_applied ||
	       vcpui->arch.step.on || vcpui->arch.step.applied ||
	       vcpui->arch.injection.state != KVMI_INJECTION_NONE;
}

bool __kvmi_prepare_entry(struct kvm_vcpu *vcpu)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	bool leave;

	if (likely(!arch->watching))
		return false;

	kvmi_pf_end(vcpu);

	/* A nested guest runs with what is set; its hypervisor's turn comes. */
	if (is_guest_mode(vcpu)) {
		kvmi_emulate_watch(vcpu, true);
		return kvmi_step_prepare_entry(vcpu);
	}

	kvmi_cr_prepare_entry(vcpu);
	kvmi_injection_prepare_entry(vcpu);
	if (arch->msrs)
		kvmi_msr_prepare_entry(vcpu);
	if (arch->desc_applied ||
	    test_bit(KVMI_VCPU_EVENT_DESCRIPTOR, vcpu->introspection->events))
		kvmi_descriptor_prepare_entry(vcpu);
	if (arch->bp_applied ||
	    test_bit(KVMI_VCPU_EVENT_BREAKPOINT, vcpu->introspection->events))
		kvmi_breakpoint_prepare_entry(vcpu);
	/* Needs more exceptions than others, which may give them back. */
	leave = kvmi_step_prepare_entry(vcpu);

	arch->watching = kvmi_x86_is_watching(vcpu);
	kvmi_emulate_watch(vcpu, arch->watching);
	return leave;
}
