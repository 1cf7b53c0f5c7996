// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection on SVM: intercept bits and exit decoding.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "kvm_emulate.h"
#include "svm.h"
#include "svm_onhyperv.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/* EXITINFO1 of a control register exit names the general register. */
#define SVM_CR_VALID	BIT_ULL(63)

/* A guest turns into an encrypted one after its VM was created. */
static bool svm_kvmi_vm_supported(struct kvm *kvm)
{
	return !sev_guest(kvm);
}

static void svm_kvmi_intercept(struct vcpu_svm *svm, int bit, bool set)
{
	struct vmcb_control_area *control = &svm->vmcb01.ptr->control;

	if (vmcb_is_intercept(control, bit) == set)
		return;

	if (set)
		vmcb_set_intercept(control, bit);
	else
		vmcb_clr_intercept(control, bit);
	recalc_intercepts(svm);
}

static void svm_kvmi_set_cr_intercept(struct kvm_vcpu *vcpu, u32 want, u32 had)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	/* The selective intercept, always on, misses what CR0.MP does. */
	if (want & BIT(0))
		svm_kvmi_intercept(svm, INTERCEPT_CR0_WRITE, true);
	else if (had & BIT(0))
		svm_set_cr0(vcpu, kvm_read_cr0(vcpu));

	/* KVM wants the exits only when it shadows page tables. */
	if (want & BIT(3))
		svm_kvmi_intercept(svm, INTERCEPT_CR3_WRITE, true);
	else if (had & BIT(3) && npt_enabled)
		svm_kvmi_intercept(svm, INTERCEPT_CR3_WRITE, false);

	/* CR4 is always intercepted. */
}

static void svm_kvmi_set_msr_intercept(struct kvm_vcpu *vcpu, u32 msr, bool set)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	u32 *word, bit;

	if (!set) {
		kvm_make_request(KVM_REQ_MSR_FILTER_CHANGED, vcpu);
		return;
	}

	/* Two bits for each register: read and write. */
	word = &svm->msrpm[svm_msrpm_offset(msr)];
	bit = BIT(2 * (msr & 15) + 1);
	if (*word & bit)
		return;

	*word |= bit;
	svm_hv_vmcb_dirty_nested_enlightenments(vcpu);
	svm->nested.force_msr_bitmap_recalc = true;
}

static void svm_kvmi_intercept_breakpoints(struct kvm_vcpu *vcpu)
{
	svm_kvmi_intercept(to_svm(vcpu), INTERCEPT_EXCEPTION_OFFSET + BP_VECTOR,
			   true);
}

static bool svm_kvmi_can_step(void)
{
	return true;
}

static bool svm_kvmi_can_inject(struct kvm_vcpu *vcpu)
{
	return true;
}

/* Else KVM takes it for the end of the instruction that it is about to skip. */
static void svm_kvmi_forget_next_rip(struct kvm_vcpu *vcpu)
{
	to_svm(vcpu)->vmcb->control.next_rip = 0;
	to_svm(vcpu)->next_rip = 0;
}

static u64 svm_kvmi_fault_gva(struct kvm_vcpu *vcpu)
{
	return ~0ull;
}

static bool svm_kvmi_has_desc_intercept(void)
{
	return true;
}

/* KVM wants none of them. */
static void svm_kvmi_set_desc_intercept(struct kvm_vcpu *vcpu, bool set)
{
	int bit;

	for (bit = INTERCEPT_STORE_IDTR; bit <= INTERCEPT_LOAD_TR; bit++)
		svm_kvmi_intercept(to_svm(vcpu), bit, set);
}

const struct kvmi_x86_ops svm_kvmi_ops = {
	.vm_supported = svm_kvmi_vm_supported,
	.set_cr_intercept = svm_kvmi_set_cr_intercept,
	.set_msr_intercept = svm_kvmi_set_msr_intercept,
	.has_desc_intercept = svm_kvmi_has_desc_intercept,
	.set_desc_intercept = svm_kvmi_set_desc_intercept,
	.intercept_breakpoints = svm_kvmi_intercept_breakpoints,
	.can_step = svm_kvmi_can_step,
	.step_is_visible = true,
	.can_inject = svm_kvmi_can_inject,
	.forget_next_rip = svm_kvmi_forget_next_rip,
	.fault_gva = svm_kvmi_fault_gva,
	.step_arm = svm_kvmi_step_arm,
	.step_disarm = svm_kvmi_step_disarm,
	.step_stop = svm_kvmi_step_stop,
};

/*
 * Without decode assists the instruction has to tell. Returns false for one that
 * is not decoded here.
 */
static bool svm_kvmi_decode_cr(struct kvm_vcpu *vcpu, unsigned long *val)
{
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;

	if (x86_decode_emulated_instruction(vcpu, 0, NULL, 0) != EMULATION_OK)
		return false;
	if (ctxt->opcode_len != 2)
		return false;

	switch (ctxt->b) {
	case 0x22: /* mov to cr */
		*val = kvm_register_read(vcpu, ctxt->modrm_rm);
		break;
	case 0x06: /* clts */
		*val = kvm_read_cr0(vcpu) & ~X86_CR0_TS;
		break;
	case 0x01: /* lmsw: writes four bits and cannot clear PE */
		if (((ctxt->modrm >> 3) & 7) != 6 || ctxt->modrm_mod != 3)
			return false;
		*val = kvm_register_read(vcpu, ctxt->modrm_rm) & 0x0f;
		*val |= kvm_read_cr0(vcpu) & ~0x0eul;
		break;
	default:
		return false;
	}

	/* Saves decoding it once more to get past it. */
	to_svm(vcpu)->next_rip = ctxt->_eip;
	return true;
}

static int svm_kvmi_handle_cr(struct kvm_vcpu *vcpu, int cr)
{
	struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	unsigned long val;
	int r;

	if (is_guest_mode(vcpu) || !kvmi_cr_is_watched(vcpu, cr))
		return KVMI_PASS;

	if (boot_cpu_has(X86_FEATURE_DECODEASSISTS) &&
	    control->exit_info_1 & SVM_CR_VALID)
		val = kvm_register_read(vcpu, control->exit_info_1 &
					      SVM_EXITINFO_REG_MASK);
	else if (!svm_kvmi_decode_cr(vcpu, &val))
		return KVMI_PASS;

	r = kvmi_cr_write(vcpu, cr, val);
	/* Not for whatever comes after an interrupted wait. */
	to_svm(vcpu)->next_rip = 0;
	return r;
}

/* Returns 0 if the instruction cannot be read any more. */
static u8 svm_kvmi_insn_len(struct kvm_vcpu *vcpu)
{
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	struct vcpu_svm *svm = to_svm(vcpu);

	if (boot_cpu_has(X86_FEATURE_NRIPS) && svm->vmcb->control.next_rip)
		return svm->vmcb->control.next_rip - kvm_rip_read(vcpu);

	if (x86_decode_emulated_instruction(vcpu, 0, NULL, 0) != EMULATION_OK)
		return 0;
	return ctxt->_eip - ctxt->eip;
}

static int svm_kvmi_handle_cpuid(struct kvm_vcpu *vcpu)
{
	u8 len;

	if (!kvmi_cpuid_is_watched(vcpu))
		return KVMI_PASS;

	/* Another vCPU has taken the page away: KVM knows what to do. */
	len = svm_kvmi_insn_len(vcpu);
	return len ? kvmi_cpuid(vcpu, len) : KVMI_PASS;
}

/* Exit codes are in the order of &enum kvmi_descriptor, first to read. */
static int svm_kvmi_handle_desc(struct kvm_vcpu *vcpu, u32 exit_code)
{
	bool write = exit_code >= SVM_EXIT_IDTR_WRITE;

	exit_code -= write ? SVM_EXIT_IDTR_WRITE : SVM_EXIT_IDTR_READ;
	return kvmi_descriptor(vcpu, KVMI_DESC_IDTR + exit_code, write);
}

static int svm_kvmi_handle_breakpoint(struct kvm_vcpu *vcpu)
{
	/* Without the intercept of introspection, it is the VMM that debugs. */
	if (vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP)
		return KVMI_PASS;

	/* There may be prefixes. */
	return kvmi_breakpoint(vcpu, svm_kvmi_insn_len(vcpu) ?: 1);
}

int svm_kvmi_handle_exit(struct kvm_vcpu *vcpu)
{
	u32 exit_code = to_svm(vcpu)->vmcb->control.exit_code;
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	int r;

	if (likely(!arch->watching))
		return KVMI_PASS;

	if (arch->step.on) {
		r = svm_kvmi_step_exit(vcpu);
		if (r != KVMI_PASS)
			return r;
	}

	switch (exit_code) {
	case SVM_EXIT_EXCP_BASE + BP_VECTOR:
		return svm_kvmi_handle_breakpoint(vcpu);
	case SVM_EXIT_WRITE_CR0:
	case SVM_EXIT_CR0_SEL_WRITE:
		return svm_kvmi_handle_cr(vcpu, 0);
	case SVM_EXIT_WRITE_CR3:
		return svm_kvmi_handle_cr(vcpu, 3);
	case SVM_EXIT_WRITE_CR4:
		return svm_kvmi_handle_cr(vcpu, 4);
	case SVM_EXIT_VMMCALL:
		return kvmi_hypercall(vcpu);
	case SVM_EXIT_CPUID:
		return svm_kvmi_handle_cpuid(vcpu);
	case SVM_EXIT_IDTR_READ ... SVM_EXIT_TR_WRITE:
		return svm_kvmi_handle_desc(vcpu, exit_code);
	case SVM_EXIT_MSR:
		return to_svm(vcpu)->vmcb->control.exit_info_1 ?
		       kvmi_wrmsr(vcpu) : KVMI_PASS;
	case SVM_EXIT_XSETBV:
		return kvmi_xsetbv(vcpu);
	default:
		return KVMI_PASS;
	}
}
