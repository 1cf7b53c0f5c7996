/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ARCH_X86_KVM_KVMI_X86_H
#define ARCH_X86_KVM_KVMI_X86_H

/* KVM introspection on x86, private to it: between features and vendors. */

#include <linux/kvm_host.h>
#include <asm/kvmi_host.h>

struct x86_emulate_ops;

/* In the opcode of an instruction: it begins with 0x0f. */
#define KVMI_OPCODE_0F		0x100

/* kvmi.c */
void kvmi_arch_watch(struct kvm_vcpu *vcpu);
u8 kvmi_x86_mode(const struct kvm_sregs *sregs);

/* kvmi/cr.c */
void kvmi_cr_prepare_entry(struct kvm_vcpu *vcpu);
bool kvmi_cr_is_watched(struct kvm_vcpu *vcpu, int cr);
int kvmi_cr_write(struct kvm_vcpu *vcpu, int cr, unsigned long val);
bool kvmi_cr_emulated_write(struct kvm_vcpu *vcpu, int cr, unsigned long *val);

/* kvmi/breakpoint.c */
bool kvmi_breakpoint_is_watched(struct kvm_vcpu *vcpu);
bool kvmi_breakpoint_is_taken(struct kvm_vcpu *vcpu);
void kvmi_breakpoint_prepare_entry(struct kvm_vcpu *vcpu);
int kvmi_breakpoint(struct kvm_vcpu *vcpu, u8 insn_len);

/* kvmi/exception.c */
void kvmi_queue_exception(struct kvm_vcpu *vcpu, u8 nr, u32 error_code,
			  u64 address);
void kvmi_injection_start(struct kvm_vcpu *vcpu);
void kvmi_injection_prepare_entry(struct kvm_vcpu *vcpu);
bool kvmi_injection_event(struct kvm_vcpu *vcpu, struct kvmi_vcpu_event_trap *data);

/* kvmi/step.c */
void kvmi_step_reset(struct kvm_vcpu *vcpu);
int kvmi_step_start(struct kvm_vcpu *vcpu);
bool kvmi_step_event(struct kvm_vcpu *vcpu,
		     struct kvmi_vcpu_event_singlestep *data);
bool kvmi_step_prepare_entry(struct kvm_vcpu *vcpu);
void kvmi_step_exit(struct kvm_vcpu *vcpu, bool trapped);

bool kvmi_step_is_possible(struct kvm_vcpu *vcpu);
void kvmi_step_once(struct kvm_vcpu *vcpu, bool once);

/* kvmi/view.c */
bool kvmi_view_enter(struct kvm_vcpu *vcpu);
void kvmi_view_leave(struct kvm_vcpu *vcpu);
void kvmi_view_grant(struct kvm_vcpu *vcpu, gfn_t gfn, u8 access);
u8 kvmi_view_access(struct kvm_vcpu *vcpu, gfn_t gfn);

/* svm/kvmi_step.c */
int svm_kvmi_step_exit(struct kvm_vcpu *vcpu);
void svm_kvmi_step_arm(struct kvm_vcpu *vcpu);
void svm_kvmi_step_disarm(struct kvm_vcpu *vcpu);
void svm_kvmi_step_stop(struct kvm_vcpu *vcpu);

/* kvmi/emulate.c; what KVM's own emulator context has */
extern const struct x86_emulate_ops *kvm_emulate_ops;
void kvmi_emulate_watch(struct kvm_vcpu *vcpu, bool watch);
bool kvmi_emulate_asked(struct kvm_vcpu *vcpu, int r);

/* kvmi/emulate_memory.c */
void kvmi_emulate_memory_init(struct x86_emulate_ops *ops);

/* kvmi/page_access.c */
u8 kvmi_page_access_features(void);

/* kvmi/page_fault.c */
int kvmi_pf_access(struct kvm_vcpu *vcpu, u64 gva, gpa_t gpa, u8 access);
void kvmi_pf_keep(struct kvm_vcpu *vcpu);
void kvmi_pf_reset(struct kvm_vcpu *vcpu);
bool kvmi_pf_is_kept(struct kvm_vcpu *vcpu);
void kvmi_pf_retry(struct kvm_vcpu *vcpu);
void kvmi_pf_end_entry(struct kvm_vcpu *vcpu);
void kvmi_pf_end(struct kvm_vcpu *vcpu);

/* kvmi/cpuid.c */
bool kvmi_cpuid_is_watched(struct kvm_vcpu *vcpu);
int kvmi_cpuid(struct kvm_vcpu *vcpu, u8 insn_len);

/* kvmi/descriptor.c */
void kvmi_descriptor_prepare_entry(struct kvm_vcpu *vcpu);
int kvmi_descriptor(struct kvm_vcpu *vcpu, u8 descriptor, bool write);

/* kvmi/hypercall.c */
int kvmi_hypercall(struct kvm_vcpu *vcpu);

/* kvmi/msr.c */
void kvmi_msr_prepare_entry(struct kvm_vcpu *vcpu);
void kvmi_msr_reset(struct kvm_vcpu *vcpu);
int kvmi_wrmsr(struct kvm_vcpu *vcpu);
bool kvmi_msr_emulated_write(struct kvm_vcpu *vcpu, u32 msr, u64 *val);

/* kvmi/xcr.c */
int kvmi_xsetbv(struct kvm_vcpu *vcpu);
bool kvmi_xcr_emulated_write(struct kvm_vcpu *vcpu, u32 xcr, u64 val);

#endif /* ARCH_X86_KVM_KVMI_X86_H */
