// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection on VMX: intercept bits and exit decoding.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "nested.h"
#include "vmx.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/* Of an interruption information: INT3 is of a type for which KVM has no test. */
#define VMX_INTR_VECTOR	(INTR_INFO_VALID_MASK | INTR_INFO_VECTOR_MASK)

/* Instruction information of descriptor table exits. */
#define VMX_DESC_INSN(info)		(((info) >> 28) & 3)
#define VMX_DESC_SECOND			BIT(0)	/* IDTR or TR */
#define VMX_DESC_LOAD			BIT(1)

/* Access types in the qualification of a control register exit. */
#define VMX_CR_ACCESS_TYPE(qual)	(((qual) >> 4) & 3)
#define VMX_CR_MOV_TO			0
#define VMX_CR_LMSW			3

static bool vmx_kvmi_vm_supported(struct kvm *kvm)
{
	return true;
}

static void vmx_kvmi_set_cr0_owned(struct kvm_vcpu *vcpu, unsigned long owned)
{
	unsigned long cr0;

	if (vcpu->arch.cr0_guest_owned_bits == owned)
		return;

	/* Read with the old mask: then the shadow holds what the guest sees. */
	cr0 = kvm_read_cr0(vcpu);
	vcpu->arch.cr0_guest_owned_bits = owned;
	vmcs_writel(CR0_GUEST_HOST_MASK, ~owned);
	vmx_set_cr0(vcpu, cr0);
}

static void vmx_kvmi_set_cr4_owned(struct kvm_vcpu *vcpu, bool watch)
{
	unsigned long cr4;

	if (watch && !vcpu->arch.cr4_guest_owned_bits)
		return;

	cr4 = kvm_read_cr4(vcpu);
	if (watch) {
		vcpu->arch.cr4_guest_owned_bits = 0;
		vmcs_writel(CR4_GUEST_HOST_MASK, ~0ul);
	} else {
		set_cr4_guest_host_mask(to_vmx(vcpu));
	}
	vmx_set_cr4(vcpu, cr4);
}

static void vmx_kvmi_set_cr_intercept(struct kvm_vcpu *vcpu, u32 want, u32 had)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	/* CR0.TS stays with the guest: KVM has no handler for CLTS. */
	if (want & BIT(0))
		vmx_kvmi_set_cr0_owned(vcpu, X86_CR0_TS);
	else if (had & BIT(0))
		vmx_kvmi_set_cr0_owned(vcpu, vmx_l1_guest_owned_cr0_bits());

	if ((want | had) & BIT(4))
		vmx_kvmi_set_cr4_owned(vcpu, want & BIT(4));

	if (want & BIT(3)) {
		/* With the bit set, KVM takes what it has cached for CR3. */
		kvm_read_cr3(vcpu);
		exec_controls_setbit(vmx, CPU_BASED_CR3_LOAD_EXITING);
	} else if (had & BIT(3) && enable_ept &&
		   (enable_unrestricted_guest || is_paging(vcpu))) {
		/* Without unrestricted guest, KVM wants the exits until paging is on. */
		exec_controls_clearbit(vmx, CPU_BASED_CR3_LOAD_EXITING);
	}
}

/* Of these KVM keeps no record besides whether it passes all of them through. */
static bool vmx_kvmi_is_passed_lbr(struct kvm_vcpu *vcpu, u32 msr)
{
	struct x86_pmu_lbr *lbr = vcpu_to_lbr_records(vcpu);

	if (!vcpu_to_lbr_desc(vcpu)->msr_passthrough)
		return false;

	return msr == MSR_LBR_SELECT || msr == MSR_LBR_TOS ||
	       msr - lbr->from < lbr->nr || msr - lbr->to < lbr->nr ||
	       (lbr->info && msr - lbr->info < lbr->nr);
}

static void vmx_kvmi_set_msr_intercept(struct kvm_vcpu *vcpu, u32 msr, bool set)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	unsigned long *bitmap = vmx->vmcs01.msr_bitmap;

	if (!cpu_has_vmx_msr_bitmap())
		return;

	if (!set) {
		kvm_make_request(KVM_REQ_MSR_FILTER_CHANGED, vcpu);
		if (vmx_kvmi_is_passed_lbr(vcpu, msr))
			vmx_disable_intercept_for_msr(vcpu, msr, MSR_TYPE_W);
	} else if (!vmx_test_msr_bitmap_write(bitmap, msr)) {
		vmx_set_msr_bitmap_write(bitmap, msr);
		/* For neither reading nor writing: tells who uses the bitmap. */
		vmx_disable_intercept_for_msr(vcpu, MSR_IA32_TSC, 0);
	}
}

static bool vmx_kvmi_has_desc_intercept(void)
{
	return vmcs_config.cpu_based_2nd_exec_ctrl & SECONDARY_EXEC_DESC;
}

static void vmx_kvmi_set_desc_intercept(struct kvm_vcpu *vcpu, bool set)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (!vmx_kvmi_has_desc_intercept())
		return;

	if (set || (vmx_umip_emulated() &&
		    kvm_is_cr4_bit_set(vcpu, X86_CR4_UMIP)))
		secondary_exec_controls_setbit(vmx, SECONDARY_EXEC_DESC);
	else
		secondary_exec_controls_clearbit(vmx, SECONDARY_EXEC_DESC);
}

static void vmx_kvmi_intercept_breakpoints(struct kvm_vcpu *vcpu)
{
	u32 bitmap = vmcs_read32(EXCEPTION_BITMAP);

	if (!(bitmap & BIT(BP_VECTOR)))
		vmcs_write32(EXCEPTION_BITMAP, bitmap | BIT(BP_VECTOR));
}

static bool vmx_kvmi_can_step(void)
{
	return vmcs_config.cpu_based_exec_ctrl & CPU_BASED_MONITOR_TRAP_FLAG;
}

static bool vmx_kvmi_is_emulated(struct kvm_vcpu *vcpu)
{
	return to_vmx(vcpu)->emulation_required;
}

/* KVM itself delivers to a guest that it runs in virtual 8086 mode. */
static bool vmx_kvmi_can_inject(struct kvm_vcpu *vcpu)
{
	return !to_vmx(vcpu)->rmode.vm86_active;
}

static void vmx_kvmi_forget_next_rip(struct kvm_vcpu *vcpu)
{
}

static u64 vmx_kvmi_fault_gva(struct kvm_vcpu *vcpu)
{
	if (!(vmx_get_exit_qual(vcpu) & EPT_VIOLATION_GVA_IS_VALID))
		return ~0ull;
	return vmcs_readl(GUEST_LINEAR_ADDRESS);
}

static void vmx_kvmi_step_arm(struct kvm_vcpu *vcpu)
{
	exec_controls_setbit(to_vmx(vcpu), CPU_BASED_MONITOR_TRAP_FLAG);
}

/* The flag does no harm until the vCPU runs, and then it will be wanted again. */
static void vmx_kvmi_step_disarm(struct kvm_vcpu *vcpu)
{
}

static void vmx_kvmi_step_stop(struct kvm_vcpu *vcpu)
{
	/* A nested guest's hypervisor may want it, too. */
	if (is_guest_mode(vcpu) && nested_cpu_has_mtf(get_vmcs12(vcpu)))
		return;

	exec_controls_clearbit(to_vmx(vcpu), CPU_BASED_MONITOR_TRAP_FLAG);
}

const struct kvmi_x86_ops vmx_kvmi_ops = {
	.vm_supported = vmx_kvmi_vm_supported,
	.set_cr_intercept = vmx_kvmi_set_cr_intercept,
	.set_msr_intercept = vmx_kvmi_set_msr_intercept,
	.has_desc_intercept = vmx_kvmi_has_desc_intercept,
	.set_desc_intercept = vmx_kvmi_set_desc_intercept,
	.intercept_breakpoints = vmx_kvmi_intercept_breakpoints,
	.can_step = vmx_kvmi_can_step,
	.is_emulated = vmx_kvmi_is_emulated,
	.can_inject = vmx_kvmi_can_inject,
	.forget_next_rip = vmx_kvmi_forget_next_rip,
	.fault_gva = vmx_kvmi_fault_gva,
	.step_arm = vmx_kvmi_step_arm,
	.step_disarm = vmx_kvmi_step_disarm,
	.step_stop = vmx_kvmi_step_stop,
};

/*
 * The bit that intercepts CR3 reaches nested guests, too. KVM's own handler is not
 * made for it, so that what it would do is done here.
 */
static int vmx_kvmi_handle_cr3(struct kvm_vcpu *vcpu, unsigned long val)
{
	if (!is_guest_mode(vcpu) && kvmi_cr_is_watched(vcpu, 3))
		return kvmi_cr_write(vcpu, 3, val);

	return kvm_complete_insn_gp(vcpu, kvm_set_cr3(vcpu, val));
}

static int vmx_kvmi_handle_cr(struct kvm_vcpu *vcpu)
{
	unsigned long qual = vmx_get_exit_qual(vcpu);
	int cr = qual & 15;
	unsigned long val;

	switch (VMX_CR_ACCESS_TYPE(qual)) {
	case VMX_CR_MOV_TO:
		val = kvm_register_read(vcpu, (qual >> 8) & 15);
		if (cr == 3)
			return vmx_kvmi_handle_cr3(vcpu, val);
		if (cr != 0 && cr != 4)
			return KVMI_PASS;
		break;
	case VMX_CR_LMSW:
		/* LMSW writes four bits and cannot clear PE. */
		cr = 0;
		val = (qual >> LMSW_SOURCE_DATA_SHIFT) & 0x0f;
		val |= kvm_read_cr0(vcpu) & ~0x0eul;
		break;
	default:
		return KVMI_PASS;
	}

	if (is_guest_mode(vcpu) || !kvmi_cr_is_watched(vcpu, cr))
		return KVMI_PASS;

	return kvmi_cr_write(vcpu, cr, val);
}

static int vmx_kvmi_handle_cpuid(struct kvm_vcpu *vcpu)
{
	if (!kvmi_cpuid_is_watched(vcpu))
		return KVMI_PASS;

	return kvmi_cpuid(vcpu, vmcs_read32(VM_EXIT_INSTRUCTION_LEN));
}

static int vmx_kvmi_handle_desc(struct kvm_vcpu *vcpu, u8 first, u8 second)
{
	u32 insn = VMX_DESC_INSN(vmcs_read32(VMX_INSTRUCTION_INFO));

	return kvmi_descriptor(vcpu, insn & VMX_DESC_SECOND ? second : first,
			       insn & VMX_DESC_LOAD);
}

static int vmx_kvmi_handle_exception(struct kvm_vcpu *vcpu)
{
	u32 vector = INTR_INFO_VALID_MASK | BP_VECTOR;

	/* Without the intercept of introspection, it is the VMM that debugs. */
	if ((vmx_get_intr_info(vcpu) & VMX_INTR_VECTOR) != vector ||
	    vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP)
		return KVMI_PASS;

	return kvmi_breakpoint(vcpu, vmcs_read32(VM_EXIT_INSTRUCTION_LEN));
}

int vmx_kvmi_handle_exit(struct kvm_vcpu *vcpu)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	u16 reason = to_vmx(vcpu)->exit_reason.basic;

	if (likely(!arch->watching))
		return KVMI_PASS;

	if (arch->step.on)
		kvmi_step_exit(vcpu, reason == EXIT_REASON_MONITOR_TRAP_FLAG);

	switch (reason) {
	case EXIT_REASON_EXCEPTION_NMI:
		return vmx_kvmi_handle_exception(vcpu);
	case EXIT_REASON_MONITOR_TRAP_FLAG:
		return 1;
	case EXIT_REASON_CPUID:
		return vmx_kvmi_handle_cpuid(vcpu);
	case EXIT_REASON_CR_ACCESS:
		return vmx_kvmi_handle_cr(vcpu);
	case EXIT_REASON_VMCALL:
		return kvmi_hypercall(vcpu);
	case EXIT_REASON_GDTR_IDTR:
		return vmx_kvmi_handle_desc(vcpu, KVMI_DESC_GDTR, KVMI_DESC_IDTR);
	case EXIT_REASON_LDTR_TR:
		return vmx_kvmi_handle_desc(vcpu, KVMI_DESC_LDTR, KVMI_DESC_TR);
	case EXIT_REASON_MSR_WRITE:
		return kvmi_wrmsr(vcpu);
	case EXIT_REASON_XSETBV:
		return kvmi_xsetbv(vcpu);
	default:
		return KVMI_PASS;
	}
}
