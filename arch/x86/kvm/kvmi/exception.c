// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: exceptions that the tool raises in the guest.
 *
 * The command stores the exception. When the vCPU is about to enter the guest, it is
 * queued, unless one of the guest's own is on its way. KVM then prepares to inject
 * whatever is due and finds a request, so that it comes back to the run loop with
 * that event marked as injected: the TRAP event tells which one it is.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "kvm_emulate.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/* With others VM-Enter may fail, which would be the end of the VM. */
#define KVMI_EXCEPTIONS \
	(BIT(DE_VECTOR) | BIT(DB_VECTOR) | BIT(BP_VECTOR) | BIT(OF_VECTOR) | \
	 BIT(BR_VECTOR) | BIT(UD_VECTOR) | BIT(NM_VECTOR) | BIT(DF_VECTOR) | \
	 BIT(TS_VECTOR) | BIT(NP_VECTOR) | BIT(SS_VECTOR) | BIT(GP_VECTOR) | \
	 BIT(PF_VECTOR) | BIT(MF_VECTOR) | BIT(AC_VECTOR) | BIT(MC_VECTOR) | \
	 BIT(XM_VECTOR))

/* Else it waits: for SIPI, the end of a nested guest or of an emulated real mode. */
static bool kvmi_can_inject(struct kvm_vcpu *vcpu)
{
	return !is_guest_mode(vcpu) && kvm_x86_ops.kvmi_ops->can_inject(vcpu) &&
	       (vcpu->arch.mp_state == KVM_MP_STATE_RUNNABLE ||
		vcpu->arch.mp_state == KVM_MP_STATE_HALTED);
}

int kvmi_cmd_vcpu_inject_exception(struct kvmi_call *call)
{
	const struct kvmi_vcpu_inject_exception *req = call->req;
	struct kvm_vcpu *vcpu = call->vcpu;
	struct kvmi_injection *injection = &vcpu->introspection->arch.injection;

	/* Cut off, it would be a division by zero. */
	if (call->req_size < sizeof(*req))
		return -KVM_EINVAL;
	if (req->nr > 31 || !(BIT(req->nr) & KVMI_EXCEPTIONS))
		return -KVM_EINVAL;
	if (!kvmi_event_allowed(call->kvm->introspection, KVMI_VCPU_EVENT_TRAP))
		return -KVM_EPERM;
	if (!kvmi_can_inject(vcpu))
		return -KVM_EOPNOTSUPP;
	if (injection->state != KVMI_INJECTION_NONE)
		return -KVM_EBUSY;

	injection->exception = *req;
	injection->state = KVMI_INJECTION_STORED;
	kvmi_arch_watch(vcpu);
	return 0;
}

static bool kvmi_exception_is_underway(struct kvm_vcpu *vcpu)
{
	return kvm_is_exception_pending(vcpu) || kvm_event_needs_reinjection(vcpu);
}

/*
 * KVM delivers a breakpoint or overflow trap only behind an instruction that raises
 * it: SVM skips it itself, VMX has to be told its length.
 */
static bool kvmi_prepare_soft_exception(struct kvm_vcpu *vcpu, u8 nr)
{
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	bool found;

	kvm_x86_ops.kvmi_ops->forget_next_rip(vcpu);
	if (x86_decode_emulated_instruction(vcpu, 0, NULL, 0) != EMULATION_OK ||
	    ctxt->opcode_len != 1)
		return false;

	switch (ctxt->b) {
	case 0xcc:
		found = nr == BP_VECTOR;
		break;
	case 0xcd:
		found = (ctxt->src.val & 0xff) == nr;
		break;
	case 0xce:
		found = nr == OF_VECTOR;
		break;
	default:
		found = false;
	}
	vcpu->arch.event_exit_inst_len = ctxt->_eip - ctxt->eip;
	return found;
}

/*
 * Queues exception @nr as if the guest's current instruction raised it. The error
 * code counts for vectors that have one, the address for #PF. Not for a nested guest.
 */
void kvmi_queue_exception(struct kvm_vcpu *vcpu, u8 nr, u32 error_code, u64 address)
{
	if (nr == PF_VECTOR)
		vcpu->arch.cr2 = address;

	if (x86_exception_has_error_code(nr))
		kvm_queue_exception_e(vcpu, nr, error_code);
	else
		kvm_queue_exception(vcpu, nr);
}
EXPORT_SYMBOL_GPL(kvmi_queue_exception);

/* In the run loop, when the guest is to be entered next. */
void kvmi_injection_start(struct kvm_vcpu *vcpu)
{
	struct kvmi_injection *injection = &vcpu->introspection->arch.injection;
	struct kvmi_vcpu_inject_exception *ex = &injection->exception;

	if (likely(injection->state != KVMI_INJECTION_STORED) ||
	    !kvmi_can_inject(vcpu))
		return;

	if (!kvmi_exception_is_underway(vcpu) &&
	    ((ex->nr != BP_VECTOR && ex->nr != OF_VECTOR) ||
	     kvmi_prepare_soft_exception(vcpu, ex->nr)))
		kvmi_queue_exception(vcpu, ex->nr, ex->error_code, ex->address);
	injection->state = KVMI_INJECTION_QUEUED;
	/* Brings the vCPU back here before it executes anything. */
	kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
}

/* The vCPU was not ready for it when it was last in the run loop. */
void kvmi_injection_prepare_entry(struct kvm_vcpu *vcpu)
{
	if (vcpu->introspection->arch.injection.state != KVMI_INJECTION_NONE)
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
}

/* True if a TRAP event is due, with its @data filled in. */
bool kvmi_injection_event(struct kvm_vcpu *vcpu, struct kvmi_vcpu_event_trap *data)
{
	struct kvmi_injection *injection = &vcpu->introspection->arch.injection;
	struct kvm_queued_exception *ex = &vcpu->arch.exception;

	if (injection->state != KVMI_INJECTION_QUEUED)
		return false;

	if (kvm_is_exception_pending(vcpu) && !ex->injected) {
		/* KVM did not get so far. */
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
		return false;
	}

	*data = (struct kvmi_vcpu_event_trap) { };
	if (ex->injected) {
		data->vector = ex->vector;
		if (ex->has_error_code)
			data->error_code = ex->error_code;
	} else if (vcpu->arch.nmi_injected) {
		data->vector = NMI_VECTOR;
	} else if (vcpu->arch.interrupt.injected) {
		data->vector = vcpu->arch.interrupt.nr;
	} else {
		data->lost = 1;
	}
	data->cr2 = vcpu->arch.cr2;
	injection->state = KVMI_INJECTION_NONE;
	return true;
}
