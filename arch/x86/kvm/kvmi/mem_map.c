// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: a guest that maps pages of another guest.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <uapi/linux/kvmmem.h>

#include "x86.h"
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/*
 * Pages are put in the place of the guest's own where it faults, which it does for all of
 * its memory only with nested paging. KVM also makes translations ahead of faults; they
 * are made without any rights.
 */
static bool kvmi_can_map(struct kvm *kvm)
{
	return kvmi_vm_supported(kvm) && kvmi_arch_can_restrict(0);
}

static bool kvmi_is_page(gpa_t gpa)
{
	return PAGE_ALIGNED(gpa) && gpa_to_gfn(gpa) < BIT_ULL(KVMI_GFN_BITS);
}

/* Whether the other guest has memory at @gfn that can be mapped, now. */
static int kvmi_check_page(struct kvmi_mem *mem, gfn_t gfn, bool writable)
{
	unsigned int flags = FOLL_INTERRUPTIBLE | (writable ? FOLL_WRITE : 0);
	struct page *page;
	long r;

	r = kvmi_mem_get_pages(mem, gfn, 1, flags, &page);
	/* The token is used up: the fault will look again. */
	if (r == -EINTR)
		return 0;
	if (r != 1)
		return -ENOENT;
	put_page(page);
	return 0;
}

static int kvmi_mem_map(struct kvm_vcpu *vcpu, const struct kvmi_map_mem_token *token,
			gpa_t mem_gpa, gpa_t gpa)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvmi_mem *mem;
	bool writable;
	int r;

	mem = kvmi_token_take(token, &writable);
	if (!mem)
		return -ENOENT;

	r = -EINVAL;
	if (mem->kvm == kvm || !kvmi_find_page(kvm, gpa_to_gfn(gpa), true))
		goto out_put;
	r = -ENOMEM;
	if (!kvmi_get_or_alloc(kvm))
		goto out_put;
	r = kvmi_check_page(mem, gpa_to_gfn(mem_gpa), writable);
	if (r)
		goto out_put;
	r = kvmi_guest_map_add(kvm, gpa_to_gfn(gpa), mem, gpa_to_gfn(mem_gpa),
			       writable);
out_put:
	kvmi_mem_put(mem);
	return r;
}

static int kvmi_mem_unmap_gpa(struct kvm *kvm, gpa_t gpa)
{
	if (!READ_ONCE(kvm->introspection))
		return -ENOENT;
	return kvmi_guest_map_remove(kvm, gpa_to_gfn(gpa));
}

static unsigned long kvmi_hypercall_error(int r)
{
	switch (r) {
	case 0:
		return 0;
	case -ENOENT:
		return -KVM_ENOENT;
	case -EBUSY:
		return -KVM_EBUSY;
	case -ENOMEM:
		return -KVM_ENOMEM;
	default:
		return -KVM_EINVAL;
	}
}

unsigned long kvmi_mem_hypercall(struct kvm_vcpu *vcpu, unsigned long nr,
				 unsigned long a0, unsigned long a1,
				 unsigned long a2)
{
	struct kvmi_map_mem_token token;
	struct x86_exception e;
	int r;

	if (!kvmi_version())
		return -KVM_ENOSYS;

	if (nr == KVM_HC_MEM_UNMAP) {
		r = -EINVAL;
		if (kvmi_is_page(a0))
			r = kvmi_mem_unmap_gpa(vcpu->kvm, a0);
		return kvmi_hypercall_error(r);
	}

	if (!kvmi_is_page(a1) || !kvmi_is_page(a2))
		return -KVM_EINVAL;
	if (!kvmi_can_map(vcpu->kvm))
		return -KVM_EOPNOTSUPP;
	if (kvm_read_guest_virt(vcpu, a0, &token, sizeof(token), &e) != X86EMUL_CONTINUE)
		return -KVM_EFAULT;

	r = kvmi_mem_map(vcpu, &token, a1, a2);
	memzero_explicit(&token, sizeof(token));
	return kvmi_hypercall_error(r);
}

int __kvmi_faultin_pfn(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct page *page;
	bool writable;

	if (!kvmi_is_guest_memory(fault->slot) || fault->is_private ||
	    !kvmi_has_guest_maps(vcpu->kvm, fault->gfn, fault->gfn))
		return KVMI_PASS;

	switch (kvmi_guest_map_get_page(vcpu->kvm, fault->gfn, fault->write, &page,
					&writable)) {
	case 0:
		fault->pfn = page_to_pfn(page);
		fault->map_writable = writable;
		break;
	case -EPERM:
		/* KVM carries the write out where the VMM has memory, which nobody sees. */
		fault->pfn = KVM_PFN_ERR_RO_FAULT;
		break;
	case -EINTR:
		fault->pfn = KVM_PFN_ERR_SIGPENDING;
		break;
	default:
		/* Only the guest's own page is left. */
		return KVMI_PASS;
	}
	return RET_PF_CONTINUE;
}

/*
 * Without paging on the first vCPU, the VMM resets the VM. What boots next does not know
 * that some of its frames are not its own.
 */
void __kvmi_set_sregs(struct kvm_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	if (kvm_vcpu_is_reset_bsp(vcpu) && !(sregs->cr0 & X86_CR0_PG))
		kvmi_guest_maps_remove(vcpu->kvm, 0, ULONG_MAX);
}
