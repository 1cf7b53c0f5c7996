/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ARCH_X86_KVM_KVMI_H
#define ARCH_X86_KVM_KVMI_H

/* What x86 KVM calls when introspection is built in, and what it lends. */

#include <linux/kvm_host.h>
#include <linux/util_macros.h>
#include <uapi/linux/kvmmem.h>

struct kvm_mmu_page;
struct kvm_page_fault;
struct kvmi_x86_ops;

/* regs.c: the register ioctls without vcpu_load(). */
void __get_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs);
void __set_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs);
void __get_sregs(struct kvm_vcpu *vcpu, struct kvm_sregs *sregs);

/* x86.c: to be called after a change of KVM_GUESTDBG_BLOCKIRQ. */
void kvm_arch_vcpu_guestdbg_update_apicv_inhibit(struct kvm *kvm);

/* Only there if introspection is built in. */
extern const struct kvmi_x86_ops vmx_kvmi_ops;
extern const struct kvmi_x86_ops svm_kvmi_ops;

#define KVMI_X86_OPS(ops) \
	.kvmi_ops = PTR_IF(IS_ENABLED(CONFIG_KVM_INTROSPECTION), &(ops)),

/* Whether KVM makes EPT entries that grant nothing but execution. */
#define KVMI_EXEC_ONLY		IS_ENABLED(CONFIG_KVM_INTROSPECTION)

#ifdef CONFIG_KVM_INTROSPECTION

bool __kvmi_prepare_entry(struct kvm_vcpu *vcpu);

/*
 * Called on the vCPU thread before VM-Enter, after everything in KVM that may
 * change an intercept, with preemption and interrupts enabled. True if the vCPU shall
 * leave the guest before it executes anything.
 */
static inline bool kvmi_prepare_entry(struct kvm_vcpu *vcpu)
{
	return kvmi_active(vcpu) && __kvmi_prepare_entry(vcpu);
}

void kvmi_arch_end_entry(struct kvm_vcpu *vcpu);

/* Called on the vCPU thread at the end of KVM_RUN, before anyone sees its state. */
static inline void kvmi_post_run(struct kvm_vcpu *vcpu)
{
	if (kvmi_active(vcpu))
		kvmi_arch_end_entry(vcpu);
}

bool __kvmi_guest_debug_is_busy(struct kvm_vcpu *vcpu, u32 control);

/* True if KVM_SET_GUEST_DEBUG with @control would take from the tool what it uses. */
static inline bool kvmi_guest_debug_is_busy(struct kvm_vcpu *vcpu, u32 control)
{
	return kvmi_active(vcpu) && __kvmi_guest_debug_is_busy(vcpu, control);
}

int vmx_kvmi_handle_exit(struct kvm_vcpu *vcpu);
int svm_kvmi_handle_exit(struct kvm_vcpu *vcpu);

unsigned int __kvmi_spte_access(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp,
				const struct kvm_memory_slot *slot, gfn_t gfn,
				unsigned int pte_access, bool prefetch);

/*
 * What an SPTE for @gfn in @sp may grant of @pte_access, ACC_EXEC_MASK and so on. With
 * @prefetch it is not made for a fault that went through kvmi_faultin_pfn(). Called
 * under mmu_lock.
 */
static inline unsigned int kvmi_spte_access(struct kvm_vcpu *vcpu,
					    struct kvm_mmu_page *sp,
					    const struct kvm_memory_slot *slot,
					    gfn_t gfn, unsigned int pte_access,
					    bool prefetch)
{
	if (kvmi_vm_active(vcpu->kvm))
		return __kvmi_spte_access(vcpu, sp, slot, gfn, pte_access, prefetch);
	return pte_access;
}

u8 __kvmi_view(struct kvm_vcpu *vcpu);

/* Which of a VM's page tables the vCPU uses, for the role of their root. */
static inline u8 kvmi_view(struct kvm_vcpu *vcpu)
{
	return kvmi_active(vcpu) ? __kvmi_view(vcpu) : 0;
}

bool __kvmi_is_stepping(struct kvm_vcpu *vcpu);

/* The vCPU stops after the next instruction and takes no interrupts meanwhile. */
static inline bool kvmi_is_stepping(struct kvm_vcpu *vcpu)
{
	return kvmi_active(vcpu) && __kvmi_is_stepping(vcpu);
}

int __kvmi_max_mapping_level(struct kvm *kvm, gfn_t gfn, int max_level);

/* The largest page up to @max_level that may map @gfn. */
static inline int kvmi_max_mapping_level(struct kvm *kvm, gfn_t gfn,
					 int max_level)
{
	if (kvmi_vm_active(kvm))
		return __kvmi_max_mapping_level(kvm, gfn, max_level);
	return max_level;
}

int __kvmi_page_fault(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/*
 * Called before memory is made available to the guest, with kvm->srcu held and without
 * mmu_lock. Returns RET_PF_CONTINUE, or what a page fault handler returns; then it may
 * have slept and dropped kvm->srcu.
 */
static inline int kvmi_page_fault(struct kvm_vcpu *vcpu,
				  struct kvm_page_fault *fault)
{
	return kvmi_active(vcpu) ? __kvmi_page_fault(vcpu, fault) : 0;
}

int __kvmi_faultin_pfn(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/*
 * Called where KVM gets a page of the VMM for @fault, with kvm->srcu held. May sleep.
 * Returns KVMI_PASS, or RET_PF_CONTINUE with what KVM would have found.
 */
static inline int kvmi_faultin_pfn(struct kvm_vcpu *vcpu,
				   struct kvm_page_fault *fault)
{
	if (kvmi_vm_active(vcpu->kvm))
		return __kvmi_faultin_pfn(vcpu, fault);
	return KVMI_PASS;
}

void __kvmi_set_sregs(struct kvm_vcpu *vcpu, const struct kvm_sregs *sregs);

/* The VMM sets the special registers. */
static inline void kvmi_set_sregs(struct kvm_vcpu *vcpu,
				  const struct kvm_sregs *sregs)
{
	if (kvmi_vm_active(vcpu->kvm))
		__kvmi_set_sregs(vcpu, sregs);
}

/*
 * The guest calls KVM_HC_MEM_MAP or KVM_HC_MEM_UNMAP at privilege level 0, with
 * kvm->srcu held. May sleep. Returns what the guest gets.
 */
unsigned long kvmi_mem_hypercall(struct kvm_vcpu *vcpu, unsigned long nr,
				 unsigned long a0, unsigned long a1,
				 unsigned long a2);

bool __kvmi_emulation_failed(struct kvm_vcpu *vcpu);

/* True if there is another way to execute what KVM could not emulate. */
static inline bool kvmi_emulation_failed(struct kvm_vcpu *vcpu)
{
	return kvmi_active(vcpu) && __kvmi_emulation_failed(vcpu);
}

#else

static inline unsigned int kvmi_spte_access(struct kvm_vcpu *vcpu,
					    struct kvm_mmu_page *sp,
					    const struct kvm_memory_slot *slot,
					    gfn_t gfn, unsigned int pte_access,
					    bool prefetch)
{
	return pte_access;
}

static inline u8 kvmi_view(struct kvm_vcpu *vcpu)
{
	return 0;
}

static inline bool kvmi_is_stepping(struct kvm_vcpu *vcpu)
{
	return false;
}

static inline int kvmi_max_mapping_level(struct kvm *kvm, gfn_t gfn,
					 int max_level)
{
	return max_level;
}

static inline int kvmi_page_fault(struct kvm_vcpu *vcpu,
				  struct kvm_page_fault *fault)
{
	return 0;
}

static inline int kvmi_faultin_pfn(struct kvm_vcpu *vcpu,
				   struct kvm_page_fault *fault)
{
	return KVMI_PASS;
}

static inline void kvmi_set_sregs(struct kvm_vcpu *vcpu,
				  const struct kvm_sregs *sregs) { }
static inline unsigned long kvmi_mem_hypercall(struct kvm_vcpu *vcpu,
					       unsigned long nr, unsigned long a0,
					       unsigned long a1, unsigned long a2)
{
	return -KVM_ENOSYS;
}

static inline bool kvmi_emulation_failed(struct kvm_vcpu *vcpu)
{
	return false;
}

static inline bool kvmi_prepare_entry(struct kvm_vcpu *vcpu) { return false; }
static inline void kvmi_post_run(struct kvm_vcpu *vcpu) { }
static inline bool kvmi_guest_debug_is_busy(struct kvm_vcpu *vcpu, u32 control)
{
	return false;
}

static inline int vmx_kvmi_handle_exit(struct kvm_vcpu *vcpu)
{
	return KVMI_PASS;
}

static inline int svm_kvmi_handle_exit(struct kvm_vcpu *vcpu)
{
	return KVMI_PASS;
}

#endif /* CONFIG_KVM_INTROSPECTION */

/*
 * Called on the vCPU thread before the vendor's exit handler, with vcpu->mutex
 * and kvm->srcu held. May sleep and drop kvm->srcu. Returns KVMI_PASS, or what an exit
 * handler returns if the exit has been handled.
 */
static inline int vmx_kvmi_exit(struct kvm_vcpu *vcpu)
{
	return kvmi_active(vcpu) ? vmx_kvmi_handle_exit(vcpu) : KVMI_PASS;
}

static inline int svm_kvmi_exit(struct kvm_vcpu *vcpu)
{
	return kvmi_active(vcpu) ? svm_kvmi_handle_exit(vcpu) : KVMI_PASS;
}

#endif /* ARCH_X86_KVM_KVMI_H */
