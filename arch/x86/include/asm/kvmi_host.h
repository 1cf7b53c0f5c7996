/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_KVMI_HOST_H
#define _ASM_X86_KVMI_HOST_H

/* KVM introspection: x86 state, private to introspection. */

#include <linux/kvm_types.h>
#include <uapi/linux/kvmi.h>

struct kvm;
struct kvmi_msr_list;
struct kvm_vcpu;

/**
 * struct kvmi_step - a vCPU that stops after each instruction
 * @on: it does
 * @asked: because the tool wants it
 * @once: because of an instruction in a step view
 * @blocks: interrupts are blocked because it does
 * @begun: a step is under way, with what follows
 * @trapped: the hardware stopped the vCPU after the instruction
 * @delivers: the step is the delivery of an event
 * @applied: intercepts are set for it, at least for a nested guest's hypervisor
 * @armed: SVM: RFLAGS.TF is set for it
 * @shares_dr6: SVM: the guest's DR6 is in the hardware
 * @marked_r11: SVM: TF was set in R11, too, which SYSRET loads into RFLAGS
 * @opcode: opcode of the instruction, with 0x100 if it is of two bytes; 0: unknown
 * @dr6: SVM: bits that were set in the hardware's DR6 before
 * @exceptions: SVM: exceptions that are intercepted because of it, a bit each
 * @rip: where the step began
 */
struct kvmi_step {
	bool on;
	bool asked;
	bool once;
	bool blocks;
	bool begun;
	bool trapped;
	bool delivers;
	bool applied;
	bool armed;
	bool shares_dr6;
	bool marked_r11;
	u16 opcode;
	u32 dr6;
	u32 exceptions;
	unsigned long rip;
};

/**
 * enum kvmi_injection_state - of an exception that the tool raises
 * @KVMI_INJECTION_NONE: there is none
 * @KVMI_INJECTION_STORED: to be queued when the guest is to be entered
 * @KVMI_INJECTION_QUEUED: it, or what came first, is being injected
 */
enum kvmi_injection_state {
	KVMI_INJECTION_NONE,
	KVMI_INJECTION_STORED,
	KVMI_INJECTION_QUEUED,
};

/**
 * struct kvmi_injection - an exception that the tool raises
 * @state: how far it is
 * @exception: which one
 */
struct kvmi_injection {
	enum kvmi_injection_state state;
	struct kvmi_vcpu_inject_exception exception;
};

/**
 * struct kvmi_grant - an access that the tool has let an instruction have
 * @gpa: guest physical address of the access
 * @access: which one, of &enum kvmi_page_access
 */
struct kvmi_grant {
	u64 gpa;
	u8 access;
};

/* Most instructions have two operands at most, of two pages each. */
#define KVMI_MAX_GRANTS		8

/**
 * struct kvmi_pf - an instruction that touches restricted pages
 * @fault: the processor has stopped it, and what follows is of it. Until that is over.
 * @walk: what it could not do was to look a page table up
 * @retry: the tool wants it to be executed again
 * @quiet: the tool does not want to hear more of it
 * @kept: the guest was or will be entered before it is done, and what follows counts
 *	  when it faults again where @at says
 * @shadow: interrupt shadow to be restored if @retry
 * @access: what the processor could not do
 * @gpa: where
 * @gva: the same, all ones if the processor does not tell
 * @rip: where the instruction is
 * @rcx: which iteration of a REP prefix @grants are of
 * @nr_grants: number of @grants; the oldest are overwritten
 * @grants: what the tool has let it do
 * @reply: the tool's last reply that has what to read in place of memory
 * @at: general registers, valid with @kept
 */
struct kvmi_pf {
	bool fault;
	bool walk;
	bool retry;
	bool quiet;
	bool kept;
	u8 access;
	u32 shadow;
	u64 gpa;
	u64 gva;
	unsigned long rip;
	unsigned long rcx;
	unsigned int nr_grants;
	struct kvmi_grant grants[KVMI_MAX_GRANTS];
	struct kvmi_vcpu_event_pf_reply reply;
	struct kvm_regs at;
};

/* Page tables of the instruction, too: for code, two operands, the stack. */
#define KVMI_MAX_VIEW_GRANTS	64

/**
 * struct kvmi_view - the step view of a vCPU
 * @nr: number of the view, 0 if the vCPU is in none
 * @nr_grants: number of @grants
 * @grants: pages that are open in the view, and for what. Read when SPTEs of the view
 *	    are made, which only this vCPU does.
 */
struct kvmi_view {
	u8 nr;
	u8 nr_grants;
	struct kvmi_grant grants[KVMI_MAX_VIEW_GRANTS];
};

/**
 * struct kvmi_vcpu_arch - x86 part of a vCPU's introspection state
 * @watching: an event may be wanted, or an intercept is still set for one. While it
 *	      is false, neither VM-Enter nor VM-Exit is looked at.
 * @cr_selected: control registers that the tool chose, a bit each
 * @cr_applied: control registers whose writes are intercepted for introspection
 * @bp_applied: breakpoints are intercepted for introspection
 * @step: single-stepping
 * @injection: the tool's exception
 * @msrs: model specific registers that the tool chose, NULL if none
 * @msrs_applied: writes to @msrs are intercepted for introspection
 * @desc_applied: use of descriptor table registers is intercepted for introspection
 * @desc_asked: the tool has let such an instruction go on, which has not taken place
 * @pf: the instruction under way, if it touches restricted pages
 * @view: where the vCPU executes an instruction that KVM cannot emulate
 *
 * Only the vCPU's thread touches it.
 */
struct kvmi_vcpu_arch {
	bool watching;
	u32 cr_selected;
	u32 cr_applied;
	bool bp_applied;
	struct kvmi_step step;
	struct kvmi_injection injection;
	struct kvmi_msr_list *msrs;
	bool msrs_applied;
	bool desc_applied;
	bool desc_asked;
	struct kvmi_pf pf;
	struct kvmi_view view;
};

/**
 * struct kvmi_x86_ops - what VMX and SVM do differently
 * @vm_supported: can the host read the VM's registers and memory
 * @set_cr_intercept: intercept writes to @want, a bit for each control register,
 *		      and leave all others to what KVM wants by itself. @had is
 *		      the last @want. Called before every VM-Enter while either
 *		      is not 0, so that what KVM changed since is put right; not
 *		      called while the vCPU runs a nested guest.
 * @intercept_breakpoints: intercept #BP. Called before every VM-Enter while it is
 *			   wanted, not for a nested guest.
 * @can_step: can a vCPU be stopped after each instruction
 * @step_is_visible: some instructions show the guest that it is stepped, unless KVM
 *		     carries them out
 * @is_emulated: KVM carries out the guest's next instruction whatever it is. Asked
 *		 only if the step is not visible.
 * @can_inject: KVM tells afterwards which exception it injected
 * @forget_next_rip: what is known of the end of an instruction is of an earlier one
 * @fault_gva: guest virtual address of the page fault that caused the last exit, all
 *	       ones if the processor does not tell
 * @step_arm: stop the vCPU after the next instruction or delivery of an event.
 *	      Called before VM-Enter.
 * @step_disarm: forget that; the guest's state is its own again
 * @step_stop: the same, and take back every intercept that stepping needs
 * @set_msr_intercept: intercept writes to @msr, or leave it to what KVM wants by
 *		       itself. The former is called before every VM-Enter, as
 *		       above, the latter once, on the vCPU thread at any time.
 * @has_desc_intercept: can the use of descriptor table registers be intercepted
 * @set_desc_intercept: intercept it, or leave it to what KVM wants by itself. Called
 *			as @set_cr_intercept is.
 */
struct kvmi_x86_ops {
	bool (*vm_supported)(struct kvm *kvm);
	void (*set_cr_intercept)(struct kvm_vcpu *vcpu, u32 want, u32 had);
	void (*intercept_breakpoints)(struct kvm_vcpu *vcpu);
	bool (*can_step)(void);
	bool step_is_visible;
	bool (*is_emulated)(struct kvm_vcpu *vcpu);
	bool (*can_inject)(struct kvm_vcpu *vcpu);
	void (*forget_next_rip)(struct kvm_vcpu *vcpu);
	u64 (*fault_gva)(struct kvm_vcpu *vcpu);
	void (*step_arm)(struct kvm_vcpu *vcpu);
	void (*step_disarm)(struct kvm_vcpu *vcpu);
	void (*step_stop)(struct kvm_vcpu *vcpu);
	void (*set_msr_intercept)(struct kvm_vcpu *vcpu, u32 msr, bool set);
	bool (*has_desc_intercept)(void);
	void (*set_desc_intercept)(struct kvm_vcpu *vcpu, bool set);
};

#endif /* _ASM_X86_KVMI_HOST_H */
