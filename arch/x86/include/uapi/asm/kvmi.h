/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_ASM_X86_KVMI_H
#define _UAPI_ASM_X86_KVMI_H

/* KVM introspection: what the protocol of linux/kvmi.h carries on x86. */

#include <linux/types.h>
#include <asm/kvm.h>

/**
 * struct kvmi_event_msrs - model specific registers of a vCPU in an event
 * @sysenter_cs: IA32_SYSENTER_CS
 * @sysenter_esp: IA32_SYSENTER_ESP
 * @sysenter_eip: IA32_SYSENTER_EIP
 * @efer: EFER
 * @star: STAR
 * @lstar: LSTAR
 * @cstar: CSTAR
 * @pat: IA32_PAT
 * @shadow_gs: KERNEL_GS_BASE
 */
struct kvmi_event_msrs {
	__u64 sysenter_cs;
	__u64 sysenter_esp;
	__u64 sysenter_eip;
	__u64 efer;
	__u64 star;
	__u64 lstar;
	__u64 cstar;
	__u64 pat;
	__u64 shadow_gs;
};

/**
 * struct kvmi_event_arch - state of a vCPU in an event
 * @mode: width of the running code in bytes: 2, 4 or 8
 * @padding1: 0
 * @view: view of guest memory that the vCPU uses
 * @padding2: 0
 * @regs: general registers
 * @sregs: special registers
 * @msrs: some model specific registers
 */
struct kvmi_event_arch {
	__u8 mode;
	__u8 padding1;
	__u16 view;
	__u32 padding2;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvmi_event_msrs msrs;
};

/**
 * struct kvmi_vcpu_get_info_reply - reply to KVMI_VCPU_GET_INFO
 * @tsc_speed: frequency of the guest's TSC in Hz
 */
struct kvmi_vcpu_get_info_reply {
	__u64 tsc_speed;
};

/**
 * struct kvmi_vcpu_get_registers - KVMI_VCPU_GET_REGISTERS
 * @nmsrs: number of entries in @msrs_idx
 * @padding1: 0
 * @padding2: 0
 * @msrs_idx: indices of the model specific registers to read
 *
 * Errors: -KVM_EINVAL if the message is shorter than @nmsrs tells, if the reply
 * would exceed KVMI_MAX_MSG_SIZE, or if a register does not exist.
 */
struct kvmi_vcpu_get_registers {
	__u16 nmsrs;
	__u16 padding1;
	__u32 padding2;
	__u32 msrs_idx[];
};

/**
 * struct kvmi_vcpu_get_registers_reply - reply to KVMI_VCPU_GET_REGISTERS
 * @mode: width of the running code in bytes: 2, 4 or 8
 * @padding: 0
 * @regs: general registers
 * @sregs: special registers
 * @msrs: as many entries as asked for, in the same order
 *
 * The registers are the vCPU's own even when KVMI_VCPU_SET_REGISTERS waits to
 * take effect.
 */
struct kvmi_vcpu_get_registers_reply {
	__u32 mode;
	__u32 padding;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_msrs msrs;
};

/**
 * struct kvmi_vcpu_set_registers - KVMI_VCPU_SET_REGISTERS
 * @regs: the general registers, all of them
 *
 * Takes effect when the event that the vCPU waits on has been answered and its
 * action was carried out; the last of several commands wins. If @regs.rip is the
 * address at which the event happened, execution goes on where the action left
 * it, else at @regs.rip. Forgotten if the VMM changes the vCPU's registers before.
 *
 * Errors: -KVM_EOPNOTSUPP if the vCPU does not wait for an event reply,
 * -KVM_EINVAL if the message is too short.
 */
struct kvmi_vcpu_set_registers {
	struct kvm_regs regs;
};

/**
 * struct kvmi_vcpu_get_cpuid - KVMI_VCPU_GET_CPUID
 * @function: value of EAX
 * @index: value of ECX
 *
 * Errors: -KVM_ENOENT if the VMM configured no such leaf.
 */
struct kvmi_vcpu_get_cpuid {
	__u32 function;
	__u32 index;
};

/**
 * struct kvmi_vcpu_get_cpuid_reply - reply to KVMI_VCPU_GET_CPUID
 * @eax: EAX
 * @ebx: EBX
 * @ecx: ECX
 * @edx: EDX
 */
struct kvmi_vcpu_get_cpuid_reply {
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
};

/**
 * struct kvmi_vcpu_control_cr - KVMI_VCPU_CONTROL_CR
 * @enable: 1 to hear of writes, 0 to stop
 * @padding1: 0
 * @padding2: 0
 * @cr: number of the control register: 0, 3 or 4
 *
 * KVMI_VCPU_EVENT_CR must be switched on, too, before or after.
 *
 * Errors: -KVM_EINVAL for any other register and if @enable is more than 1.
 */
struct kvmi_vcpu_control_cr {
	__u8 enable;
	__u8 padding1;
	__u16 padding2;
	__u32 cr;
};

/**
 * struct kvmi_vcpu_event_cr - data of KVMI_VCPU_EVENT_CR
 * @cr: number of the control register: 0, 3 or 4
 * @padding: 0
 * @old_value: value before the write
 * @new_value: value that the guest writes
 *
 * Sent before the write takes effect and only if it would change the register.
 * The bit of CR3 that keeps a PCID's translations is not part of the value, and
 * a change of CR0.TS alone is not reported.
 */
struct kvmi_vcpu_event_cr {
	__u16 cr;
	__u16 padding[3];
	__u64 old_value;
	__u64 new_value;
};

/**
 * struct kvmi_vcpu_event_cr_reply - reply data of KVMI_VCPU_EVENT_CR
 * @new_val: value that is written instead
 *
 * The guest gets #GP if the register cannot hold @new_val.
 */
struct kvmi_vcpu_event_cr_reply {
	__u64 new_val;
};

#endif /* _UAPI_ASM_X86_KVMI_H */
