// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: a vCPU that stops after each instruction.
 *
 * A step begins in the run loop and is over when the vCPU comes back there and
 * either the hardware has stopped it (trapped), or RIP has moved because KVM carried
 * the instruction out, or the event whose delivery was the step is delivered. The
 * exits of a vCPU that steps lead there, and the hardware is armed for each entry.
 *
 * VMX stops by the monitor trap flag, which the guest cannot see. SVM has to use
 * RFLAGS.TF. Instructions that would show it are carried out by KVM's emulator, for
 * which the flag does not exist.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "kvm_emulate.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

static struct kvmi_step *kvmi_step(struct kvm_vcpu *vcpu)
{
	return &vcpu->introspection->arch.step;
}

bool __kvmi_is_stepping(struct kvm_vcpu *vcpu)
{
	return kvmi_step(vcpu)->on;
}

/*
 * KVM must not inject interrupts. With APICv and AVIC the hardware would, so that
 * these are switched off for the VM meanwhile.
 */
static void kvmi_step_block_interrupts(struct kvm_vcpu *vcpu, bool block)
{
	if (block)
		vcpu->guest_debug |= KVM_GUESTDBG_BLOCKIRQ;
	else
		vcpu->guest_debug &= ~KVM_GUESTDBG_BLOCKIRQ;
	kvm_arch_vcpu_guestdbg_update_apicv_inhibit(vcpu->kvm);
	kvm_make_request(KVM_REQ_EVENT, vcpu);
}

static void kvmi_step_switch(struct kvm_vcpu *vcpu, bool on)
{
	struct kvmi_step *step = kvmi_step(vcpu);

	if (step->on == on)
		return;

	step->on = on;
	step->begun = false;
	if (on) {
		kvmi_arch_watch(vcpu);
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
		step->blocks = !(vcpu->guest_debug & KVM_GUESTDBG_BLOCKIRQ);
	} else {
		/* The intercepts go before the guest is entered. */
		kvm_x86_ops.kvmi_ops->step_disarm(vcpu);
	}
	/* Only what was set here: the VMM may debug, too. */
	if (step->blocks)
		kvmi_step_block_interrupts(vcpu, on);
}

static void kvmi_step_set(struct kvm_vcpu *vcpu, bool asked)
{
	struct kvmi_step *step = kvmi_step(vcpu);

	step->asked = asked;
	kvmi_step_switch(vcpu, step->asked || step->once);
}

/* Whether kvmi_step_once() will stop it after what it is about to do. */
bool kvmi_step_is_possible(struct kvm_vcpu *vcpu)
{
	return kvm_x86_ops.kvmi_ops->can_step() ||
	       kvm_event_needs_reinjection(vcpu);
}

/* Stops the vCPU once, without an event. */
void kvmi_step_once(struct kvm_vcpu *vcpu, bool once)
{
	struct kvmi_step *step = kvmi_step(vcpu);

	step->once = once;
	kvmi_step_switch(vcpu, step->asked || step->once);
}

int kvmi_cmd_vcpu_control_singlestep(struct kvmi_call *call)
{
	const struct kvmi_vcpu_control_singlestep *req = call->req;
	struct kvm_vcpu *vcpu = call->vcpu;

	if (req->enable > 1)
		return -KVM_EINVAL;
	if (!kvmi_event_allowed(call->kvm->introspection,
				KVMI_VCPU_EVENT_SINGLESTEP))
		return -KVM_EPERM;
	if (!kvm_x86_ops.kvmi_ops->can_step())
		return -KVM_EOPNOTSUPP;
	if (req->enable && vcpu->guest_debug & KVM_GUESTDBG_ENABLE)
		return -KVM_EBUSY;

	kvmi_step_set(vcpu, req->enable);
	return 0;
}

void kvmi_step_reset(struct kvm_vcpu *vcpu)
{
	kvmi_step_set(vcpu, false);
}

/*
 * True if the step under way is over. Called in the run loop. The event under way is
 * delivered when KVM has nothing to inject again.
 */
static bool kvmi_step_is_over(struct kvm_vcpu *vcpu)
{
	struct kvmi_step *step = kvmi_step(vcpu);

	if (step->trapped || is_guest_mode(vcpu))
		return true;
	if (step->delivers || !kvm_x86_ops.kvmi_ops->can_step())
		return !kvm_is_exception_pending(vcpu) &&
		       !kvm_event_needs_reinjection(vcpu);
	return kvm_rip_read(vcpu) != step->rip;
}

/* True if a SINGLESTEP event is due, with its @data filled in. */
bool kvmi_step_event(struct kvm_vcpu *vcpu,
		     struct kvmi_vcpu_event_singlestep *data)
{
	struct kvmi_step *step = kvmi_step(vcpu);

	if (!step->begun)
		return false;

	kvm_x86_ops.kvmi_ops->step_disarm(vcpu);
	if (!kvmi_step_is_over(vcpu))
		return false;

	step->begun = false;
	if (step->once) {
		kvmi_view_leave(vcpu);
		kvmi_vcpu_apply_regs(vcpu);
	}
	if (!step->asked)
		return false;

	*data = (struct kvmi_vcpu_event_singlestep) {
		.failed = is_guest_mode(vcpu),
	};
	return true;
}

/* Those of three bytes are of no interest. */
static u16 kvmi_opcode(const struct x86_emulate_ctxt *ctxt)
{
	switch (ctxt->opcode_len) {
	case 1:
		return ctxt->b;
	case 2:
		return KVMI_OPCODE_0F | ctxt->b;
	default:
		return 0;
	}
}

/*
 * What KVM's emulator has to carry out where TF makes the step: what stores the flag,
 * and what delays its trap, which the emulator would not if the guest had set it.
 */
static bool kvmi_step_by_emulation(struct kvm_vcpu *vcpu,
				   const struct x86_emulate_ctxt *ctxt)
{
	bool ours = !(kvm_get_rflags(vcpu) & X86_EFLAGS_TF);

	if (!kvm_x86_ops.kvmi_ops->step_is_visible)
		return kvm_x86_ops.kvmi_ops->is_emulated(vcpu);

	switch (kvmi_opcode(ctxt)) {
	case 0x9c:			/* pushf */
	case 0x9d:			/* popf */
	case KVMI_OPCODE_0F | 0x05:	/* syscall */
		return true;
	case 0x17:			/* pop ss */
	case 0xfb:			/* sti */
	case KVMI_OPCODE_0F | 0xb2:	/* lss */
		return ours;
	case 0x8e:			/* mov ss */
		return ours && ((ctxt->modrm >> 3) & 7) == VCPU_SREG_SS;
	default:
		return false;
	}
}

/* INT n pushes TF and clears it before the trap: delivered like any other event. */
static bool kvmi_step_queue_int(struct kvm_vcpu *vcpu,
				const struct x86_emulate_ctxt *ctxt)
{
	if (kvmi_opcode(ctxt) != 0xcd ||
	    !kvm_x86_ops.kvmi_ops->step_is_visible ||
	    kvm_get_rflags(vcpu) & X86_EFLAGS_VM)
		return false;

	kvm_x86_ops.kvmi_ops->forget_next_rip(vcpu);
	kvm_queue_interrupt(vcpu, ctxt->src.val & 0xff, true);
	kvm_make_request(KVM_REQ_EVENT, vcpu);
	return true;
}

/*
 * Carries out the instruction that has been decoded, if KVM has to. Returns what an
 * exit handler returns, or KVMI_PASS. HLT and WRMSR are among them because KVM may
 * handle their exits in a fastpath and enter the guest without a look at the step.
 */
static int kvmi_step_carry_out(struct kvm_vcpu *vcpu,
			       const struct x86_emulate_ctxt *ctxt)
{
	bool privileged = !kvm_x86_call(get_cpl)(vcpu);
	int r;

	switch (kvmi_opcode(ctxt)) {
	case 0xf4:
		if (!privileged)
			return KVMI_PASS;
		kvm_x86_ops.kvmi_ops->forget_next_rip(vcpu);
		return kvm_emulate_halt(vcpu);
	case KVMI_OPCODE_0F | 0x30:
		if (!privileged)
			return KVMI_PASS;
		kvm_x86_ops.kvmi_ops->forget_next_rip(vcpu);
		r = kvmi_wrmsr(vcpu);
		return r == KVMI_PASS ? kvm_emulate_wrmsr(vcpu) : r;
	default:
		return kvmi_step_by_emulation(vcpu, ctxt) ?
		       kvm_emulate_instruction(vcpu, 0) : KVMI_PASS;
	}
}

/*
 * In the run loop, when the guest is to be entered next. Returns KVMI_PASS to enter
 * it, or what an exit handler returns if the instruction has been carried out.
 */
int kvmi_step_start(struct kvm_vcpu *vcpu)
{
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	struct kvmi_step *step = kvmi_step(vcpu);
	bool decoded;
	int r;

	if (likely(!step->on) || is_guest_mode(vcpu) ||
	    vcpu->arch.mp_state != KVM_MP_STATE_RUNNABLE ||
	    vcpu->arch.apf.halted)
		return KVMI_PASS;

	if (!step->begun) {
		step->begun = true;
		step->trapped = false;
		step->delivers = false;
		step->rip = kvm_rip_read(vcpu);
	}

	step->opcode = 0;
	if (kvm_is_exception_pending(vcpu) || kvm_event_needs_reinjection(vcpu)) {
		step->delivers = true;
		return KVMI_PASS;
	}
	decoded = x86_decode_emulated_instruction(vcpu, 0, NULL, 0) == EMULATION_OK;
	/* Known for an instruction, too, that the emulator lacks, as SYSRET. */
	if (!ctxt->have_exception)
		step->opcode = kvmi_opcode(ctxt);
	if (!decoded)
		return KVMI_PASS;

	if (kvmi_step_queue_int(vcpu, ctxt)) {
		step->delivers = true;
		return KVMI_PASS;
	}
	r = kvmi_step_carry_out(vcpu, ctxt);
	if (r != KVMI_PASS)
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
	return r;
}

/* A fastpath has carried out the instruction, or the entry delivered the event. */
static bool kvmi_step_is_done(struct kvm_vcpu *vcpu)
{
	struct kvmi_step *step = kvmi_step(vcpu);

	if (!kvm_x86_ops.kvmi_ops->can_step())
		return kvmi_step_is_over(vcpu);
	return !step->delivers && kvm_rip_read(vcpu) != step->rip;
}

/*
 * Before VM-Enter. The run loop has to see a step that is done. True if the vCPU shall
 * leave the guest as soon as the event is delivered, which needs no trap.
 */
bool kvmi_step_prepare_entry(struct kvm_vcpu *vcpu)
{
	struct kvmi_step *step = kvmi_step(vcpu);

	if (likely(!step->on && !step->applied))
		return false;

	/* What is set for its hypervisor has reached the nested guest, too. */
	if (is_guest_mode(vcpu)) {
		kvm_x86_ops.kvmi_ops->step_stop(vcpu);
		if (step->begun)
			kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
		return false;
	}

	if (!step->on) {
		kvm_x86_ops.kvmi_ops->step_stop(vcpu);
		step->applied = false;
	} else if (!step->begun || kvmi_step_is_done(vcpu)) {
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
	} else if (kvm_x86_ops.kvmi_ops->can_step()) {
		kvm_x86_ops.kvmi_ops->step_arm(vcpu);
		step->applied = true;
	} else {
		return true;
	}
	return false;
}

/* At each exit of a vCPU that steps; @trapped: the hardware stopped it. */
void kvmi_step_exit(struct kvm_vcpu *vcpu, bool trapped)
{
	struct kvmi_step *step = kvmi_step(vcpu);

	if (trapped)
		step->trapped = true;
	kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
}
EXPORT_SYMBOL_GPL(kvmi_step_exit);
