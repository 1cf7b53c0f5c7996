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

/**
 * struct kvmi_vcpu_control_msr - KVMI_VCPU_CONTROL_MSR
 * @enable: 1 to hear of writes, 0 to stop
 * @padding1: 0
 * @padding2: 0
 * @msr: index of the model specific register: 0 to 0x1fff or 0xc0000000 to
 *	 0xc0001fff, but not 0x6e0 or 0x800 to 0x8ff
 *
 * KVMI_VCPU_EVENT_MSR must be switched on, too, before or after. The registers
 * of the local APIC and its deadline timer cannot be watched.
 *
 * Errors: -KVM_EINVAL for any other register and if @enable is more than 1,
 * -KVM_EBUSY if KVMI_MAX_MSRS registers are selected.
 */
struct kvmi_vcpu_control_msr {
	__u8 enable;
	__u8 padding1;
	__u16 padding2;
	__u32 msr;
};

/* Model specific registers of one vCPU that a tool can select. */
#define KVMI_MAX_MSRS	256

/**
 * struct kvmi_vcpu_event_msr - data of KVMI_VCPU_EVENT_MSR
 * @msr: index of the model specific register
 * @padding: 0
 * @old_value: value before the write
 * @new_value: value that the guest writes
 *
 * Sent before the write takes effect and only if it would change the register.
 * A write that a filter of the VMM (KVM_X86_SET_MSR_FILTER) denies is the VMM's
 * alone.
 */
struct kvmi_vcpu_event_msr {
	__u32 msr;
	__u32 padding;
	__u64 old_value;
	__u64 new_value;
};

/**
 * struct kvmi_vcpu_event_msr_reply - reply data of KVMI_VCPU_EVENT_MSR
 * @new_val: value that is written instead
 *
 * The guest gets #GP if the register cannot hold @new_val.
 */
struct kvmi_vcpu_event_msr_reply {
	__u64 new_val;
};

/**
 * struct kvmi_vcpu_event_xsetbv - data of KVMI_VCPU_EVENT_XSETBV
 * @xcr: number of the extended control register: 0
 * @padding: 0
 * @old_value: value before the write
 * @new_value: value that the guest writes
 *
 * Sent before the write takes effect and only if it would change the register.
 * The guest gets #GP afterwards if the register cannot hold the value.
 */
struct kvmi_vcpu_event_xsetbv {
	__u8 xcr;
	__u8 padding[7];
	__u64 old_value;
	__u64 new_value;
};

/**
 * DOC: Hypercall of the guest to the tool
 *
 * A guest calls the tool with VMCALL or VMMCALL, from any privilege level, with
 * KVMI_HYPERCALL in RAX (EAX), KVMI_HYPERCALL_EVENT in RDI (EBX outside of 64-bit
 * mode) and 0 in RSI (ECX). While the event is off, the call is one that KVM does
 * not know. Else RAX is 0 after it, unless the tool has set registers.
 * KVMI_VCPU_EVENT_HYPERCALL has no data: what the guest wants to tell is in its
 * other registers.
 */
#define KVMI_HYPERCALL		34
#define KVMI_HYPERCALL_EVENT	24

/**
 * struct kvmi_vcpu_inject_exception - KVMI_VCPU_INJECT_EXCEPTION
 * @nr: vector of the exception: 0, 1, 3 to 8, 10 to 14 or 16 to 19
 * @padding1: 0
 * @padding2: 0
 * @error_code: error code, for a vector that has one
 * @address: value of CR2, for a page fault
 *
 * The exception is raised before the guest's next instruction, at the current
 * RIP. A breakpoint or overflow trap (3, 4) needs the instruction there that raises
 * it, INT3, INT n or INTO, and the guest returns behind it. KVMI_VCPU_EVENT_TRAP
 * then tells what was delivered: it is another event if one was on its way already,
 * and this exception is dropped.
 *
 * Errors: -KVM_EINVAL for any other vector and if the message is too short,
 * -KVM_EPERM if the VMM did not allow the TRAP event, -KVM_EBUSY if that event
 * of an earlier exception has not been sent yet, -KVM_EOPNOTSUPP if the vCPU
 * waits to be started, runs a nested guest, or is in real mode on a processor
 * without unrestricted guest.
 */
struct kvmi_vcpu_inject_exception {
	__u8 nr;
	__u8 padding1;
	__u16 padding2;
	__u32 error_code;
	__u64 address;
};

/**
 * struct kvmi_vcpu_event_trap - data of KVMI_VCPU_EVENT_TRAP
 * @vector: what is delivered to the guest: an exception, NMI or interrupt
 * @lost: 1 if nothing is: the vCPU was reset, or is at no instruction that raises
 *	  the breakpoint or overflow trap asked for; @vector is 0 then
 * @padding: 0
 * @error_code: its error code, 0 if it has none
 * @cr2: CR2
 *
 * Sent once for each KVMI_VCPU_INJECT_EXCEPTION, before the first instruction of
 * the guest's handler and before any event of an instruction.
 */
struct kvmi_vcpu_event_trap {
	__u8 vector;
	__u8 lost;
	__u16 padding;
	__u32 error_code;
	__u64 cr2;
};

/**
 * enum kvmi_descriptor - a descriptor table register
 * @KVMI_DESC_IDTR: LIDT, SIDT
 * @KVMI_DESC_GDTR: LGDT, SGDT
 * @KVMI_DESC_LDTR: LLDT, SLDT
 * @KVMI_DESC_TR: LTR, STR
 */
enum kvmi_descriptor {
	KVMI_DESC_IDTR	= 1,
	KVMI_DESC_GDTR	= 2,
	KVMI_DESC_LDTR	= 3,
	KVMI_DESC_TR	= 4
};

/**
 * struct kvmi_vcpu_event_descriptor - data of KVMI_VCPU_EVENT_DESCRIPTOR
 * @descriptor: one of &enum kvmi_descriptor
 * @write: 1 if the guest loads the register, 0 if it stores it
 * @padding: 0
 *
 * Sent before the instruction takes effect. Replies: KVMI_EVENT_ACTION_CONTINUE
 * executes the instruction, KVMI_EVENT_ACTION_RETRY enters the guest again without
 * it, where KVMI_VCPU_SET_REGISTERS puts it if the tool has sent that.
 */
struct kvmi_vcpu_event_descriptor {
	__u8 descriptor;
	__u8 write;
	__u8 padding[6];
};

/**
 * struct kvmi_vcpu_event_cpuid - data of KVMI_VCPU_EVENT_CPUID
 * @function: EAX
 * @index: ECX
 * @insn_len: length of the instruction in bytes
 * @padding1: 0
 * @padding2: 0
 *
 * Sent before the instruction takes effect. Replies: KVMI_EVENT_ACTION_CONTINUE
 * gives the guest what the VMM configured. To answer itself, the tool sets the
 * registers and adds @insn_len to RIP with KVMI_VCPU_SET_REGISTERS and replies
 * KVMI_EVENT_ACTION_RETRY.
 */
struct kvmi_vcpu_event_cpuid {
	__u32 function;
	__u32 index;
	__u8 insn_len;
	__u8 padding1[3];
	__u32 padding2;
};

/**
 * struct kvmi_vcpu_get_xcr - KVMI_VCPU_GET_XCR
 * @xcr: number of the extended control register: 0
 * @padding: 0
 *
 * Errors: -KVM_EINVAL for any other register.
 */
struct kvmi_vcpu_get_xcr {
	__u8 xcr;
	__u8 padding[7];
};

/**
 * struct kvmi_vcpu_get_xcr_reply - reply to KVMI_VCPU_GET_XCR
 * @value: value of the register
 */
struct kvmi_vcpu_get_xcr_reply {
	__u64 value;
};

/* Size in bytes of an extended state on the wire. */
#define KVMI_XSAVE_SIZE	4096

/**
 * struct kvmi_vcpu_xsave - KVMI_VCPU_SET_XSAVE and reply to KVMI_VCPU_GET_XSAVE
 * @region: the state as XSAVE stores it, uncompacted, without what lies beyond
 *
 * A SET_XSAVE that is shorter is read as if zeros followed. Parts of the state
 * that the header's XSTATE_BV leaves out are reset.
 *
 * Errors of SET_XSAVE: -KVM_EINVAL if the message is longer, if the header names
 * a part that the guest does not have or a compacted form, or if MXCSR has a
 * reserved bit.
 */
struct kvmi_vcpu_xsave {
	__u8 region[KVMI_XSAVE_SIZE];
};

/**
 * struct kvmi_vcpu_get_mtrr_type - KVMI_VCPU_GET_MTRR_TYPE
 * @gpa: guest physical address
 *
 * Errors: -KVM_EINVAL if @gpa is beyond the guest's physical addresses,
 * -KVM_EOPNOTSUPP if the guest has no MTRRs.
 */
struct kvmi_vcpu_get_mtrr_type {
	__u64 gpa;
};

/**
 * struct kvmi_vcpu_get_mtrr_type_reply - reply to KVMI_VCPU_GET_MTRR_TYPE
 * @type: 0 uncacheable, 1 write combining, 4 write through, 5 write protected,
 *	  6 write back
 * @padding: 0
 *
 * What the guest's own MTRRs say, which is not what the host uses for its memory.
 */
struct kvmi_vcpu_get_mtrr_type_reply {
	__u8 type;
	__u8 padding[7];
};

#endif /* _UAPI_ASM_X86_KVMI_H */
