// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection on SVM: RFLAGS.TF as a trap that the guest does not see.
 *
 * KVM has this for itself, to find the moment for an NMI (nmi_singlestep): it sets the
 * flag for one entry and hides it from everybody who reads RFLAGS. An entry that
 * injects an event has no TF, but ends as soon as the event is delivered.
 *
 * While a vCPU steps, exceptions are intercepted and delivered by KVM, for otherwise
 * their frames would hold the flag.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "svm.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/* #UD, #DB and #MC: KVM intercepts them always. */
#define SVM_STEP_EXCEPTIONS \
	(BIT(DE_VECTOR) | BIT(BP_VECTOR) | BIT(OF_VECTOR) | BIT(BR_VECTOR) | \
	 BIT(NM_VECTOR) | BIT(DF_VECTOR) | BIT(TS_VECTOR) | BIT(NP_VECTOR) | \
	 BIT(SS_VECTOR) | BIT(GP_VECTOR) | BIT(PF_VECTOR) | BIT(MF_VECTOR) | \
	 BIT(AC_VECTOR) | BIT(XM_VECTOR))

#define OPCODE_IRET	0xcf
#define OPCODE_SYSRET	(KVMI_OPCODE_0F | 0x07)

/* What #DB reports beside the trap. */
#define SVM_STEP_DR6	(DR_TRAP_BITS | DR6_BD | DR6_BS | DR6_BT)

static struct kvmi_step *svm_kvmi_step(struct kvm_vcpu *vcpu)
{
	return &vcpu->introspection->arch.step;
}

/* Takes over those of @want that KVM does not intercept, gives all others back. */
static void svm_kvmi_step_intercept(struct kvm_vcpu *vcpu, u32 want)
{
	struct kvmi_step *step = svm_kvmi_step(vcpu);
	struct vcpu_svm *svm = to_svm(vcpu);
	u32 *exceptions = &svm->vmcb01.ptr->control.intercepts[INTERCEPT_EXCEPTION];
	u32 old = *exceptions;

	if (want == step->exceptions && !(want & ~old))
		return;

	*exceptions &= ~step->exceptions;
	step->exceptions = want & ~*exceptions;
	*exceptions |= step->exceptions;
	if (*exceptions != old)
		recalc_intercepts(svm);
}

/* An NMI that the hardware is to deliver by itself waits like those of KVM. */
static void svm_kvmi_step_hold_vnmi(struct vcpu_svm *svm)
{
	if (!is_vnmi_enabled(svm) ||
	    !(svm->vmcb->control.int_ctl & V_NMI_PENDING_MASK))
		return;

	svm->vmcb->control.int_ctl &= ~V_NMI_PENDING_MASK;
	vmcb_mark_dirty(svm->vmcb, VMCB_INTR);
	svm->vcpu.arch.nmi_pending++;
}

void svm_kvmi_step_arm(struct kvm_vcpu *vcpu)
{
	struct kvmi_step *step = svm_kvmi_step(vcpu);
	struct vcpu_svm *svm = to_svm(vcpu);

	svm_kvmi_step_intercept(vcpu, SVM_STEP_EXCEPTIONS);
	svm_kvmi_step_hold_vnmi(svm);
	/* Set already, or KVM steps for itself, which is as good. */
	if (svm->nmi_singlestep)
		return;

	if (svm->vmcb->control.event_inj & SVM_EVTINJ_VALID) {
		step->delivers = true;
	} else if (step->delivers) {
		/* KVM could not: another vCPU has changed the code. */
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
		return;
	}

	svm->nmi_singlestep_guest_rflags = kvm_get_rflags(vcpu);
	svm->nmi_singlestep = true;
	svm->vmcb->save.rflags |= X86_EFLAGS_TF;
	step->armed = true;
	step->shares_dr6 = vcpu->arch.switch_db_regs & KVM_DEBUGREG_WONT_EXIT;
	step->dr6 = step->shares_dr6 ? vcpu->arch.dr6 ^ DR6_ACTIVE_LOW : 0;

	/* SYSRET traps, or does not, by the flags that it loads. */
	if (step->opcode == OPCODE_SYSRET && is_long_mode(vcpu) &&
	    !(kvm_r11_read(vcpu) & X86_EFLAGS_TF)) {
		kvm_r11_write(vcpu, kvm_r11_read(vcpu) | X86_EFLAGS_TF);
		step->marked_r11 = true;
	}
}

void svm_kvmi_step_disarm(struct kvm_vcpu *vcpu)
{
	struct kvmi_step *step = svm_kvmi_step(vcpu);
	struct vcpu_svm *svm = to_svm(vcpu);

	if (!step->armed)
		return;

	step->armed = false;
	if (svm->nmi_singlestep)
		disable_nmi_singlestep(svm);
	if (step->marked_r11)
		kvm_r11_write(vcpu, kvm_r11_read(vcpu) & ~X86_EFLAGS_TF);
	step->marked_r11 = false;
}

void svm_kvmi_step_stop(struct kvm_vcpu *vcpu)
{
	svm_kvmi_step_disarm(vcpu);
	/* KVM may want #GP, too, by now: it sees no change of a bit that is set. */
	if (vcpu->arch.efer & EFER_SVME)
		svm_kvmi_step(vcpu)->exceptions &= ~BIT(GP_VECTOR);
	svm_kvmi_step_intercept(vcpu, 0);
}

/* A debug exception of a vCPU whose TF is set: the trap, what the guest has, or both. */
static int svm_kvmi_step_trap(struct kvm_vcpu *vcpu)
{
	struct kvmi_step *step = svm_kvmi_step(vcpu);
	struct vcpu_svm *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	unsigned long dr6 = (vmcb->save.dr6 ^ DR6_ACTIVE_LOW) & SVM_STEP_DR6;
	bool guest_has_tf = svm->nmi_singlestep_guest_rflags & X86_EFLAGS_TF;
	bool trapped = dr6 & DR6_BS;
	bool iret = step->opcode == OPCODE_IRET;
	bool sysret = step->opcode == OPCODE_SYSRET && is_long_mode(vcpu) &&
		      !step->marked_r11;

	/* Both load the guest's own flag; SYSRET has then trapped by that one. */
	if (trapped && (iret || sysret))
		svm->nmi_singlestep_guest_rflags = vmcb->save.rflags;
	if (sysret)
		guest_has_tf = true;
	svm_kvmi_step_disarm(vcpu);

	/* DR6 keeps what it had, which is no news, but for a guest that traps itself. */
	if (!guest_has_tf) {
		if (!(step->dr6 & DR6_BS) && step->shares_dr6)
			vcpu->arch.dr6 &= ~DR6_BS;
		dr6 &= ~DR6_BS;
	}
	dr6 &= ~step->dr6 | DR6_BS;
	kvmi_step_exit(vcpu, trapped);

	if (dr6 || !trapped)
		kvm_queue_exception_p(vcpu, DB_VECTOR, dr6);
	return 1;
}

/*
 * At each exit of a vCPU that steps, before anything looks at its state. Returns
 * KVMI_PASS, or what an exit handler returns.
 */
int svm_kvmi_step_exit(struct kvm_vcpu *vcpu)
{
	struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	u32 vector = control->exit_code - SVM_EXIT_EXCP_BASE;
	struct kvmi_step *step = svm_kvmi_step(vcpu);
	bool armed = step->armed && to_svm(vcpu)->nmi_singlestep;

	if (vector == DB_VECTOR && armed)
		return svm_kvmi_step_trap(vcpu);

	svm_kvmi_step_disarm(vcpu);
	kvmi_step_exit(vcpu, false);

	/* Breakpoints have a handler of their own. */
	if (vector > 31 || vector == BP_VECTOR || !(step->exceptions & BIT(vector)))
		return KVMI_PASS;
	/* KVM knows that these may not be the guest's. */
	if ((vector == GP_VECTOR && vcpu->arch.efer & EFER_SVME) ||
	    (vector == PF_VECTOR && vcpu->arch.apf.host_apf_flags))
		return KVMI_PASS;

	kvmi_queue_exception(vcpu, vector, lower_32_bits(control->exit_info_1),
			     control->exit_info_2);
	return 1;
}
