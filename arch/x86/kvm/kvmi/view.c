// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: step views.
 *
 * An instruction that touches restricted pages and that KVM cannot emulate is executed by
 * the processor, in page tables that no other vCPU uses: there, the pages are open that
 * the instruction may touch, and all others as restricted as everywhere. The vCPU stops
 * after this instruction.
 *
 * A view is a number in the role of a root, so that KVM's MMU keeps page tables of their
 * own for it. They stay for the next vCPU that needs the view, without the pages that
 * were open.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "mmu.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/* 0 is where vCPUs are as a rule. The others fit into kvm_mmu_page_role.view. */
#define KVMI_NR_VIEWS	32

static struct kvmi_view *kvmi_vcpu_view(struct kvm_vcpu *vcpu)
{
	return &vcpu->introspection->arch.view;
}

u8 __kvmi_view(struct kvm_vcpu *vcpu)
{
	return kvmi_vcpu_view(vcpu)->nr;
}

bool kvmi_arch_in_step_view(struct kvm_vcpu *vcpu)
{
	return __kvmi_view(vcpu);
}

static void kvmi_view_switch(struct kvm_vcpu *vcpu, u8 nr)
{
	kvmi_vcpu_view(vcpu)->nr = nr;

	/* The instruction has entered a nested guest: roots are made when it leaves. */
	if (vcpu->arch.mmu != &vcpu->arch.root_mmu) {
		kvm_mmu_free_roots(vcpu->kvm, &vcpu->arch.root_mmu,
				   KVM_MMU_ROOTS_ALL);
		return;
	}

	kvm_init_mmu(vcpu);
	kvm_mmu_new_pgd(vcpu, 0);
	/* SVM knows translations by the ASID only. */
	kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
}

/* Returns a view that nobody uses, or 0. */
static u8 kvmi_view_get(struct kvm_introspection *kvmi)
{
	u8 nr;

	for (nr = 1; nr < KVMI_NR_VIEWS; nr++)
		if (!test_and_set_bit_lock(nr, &kvmi->views))
			return nr;
	return 0;
}

/*
 * Has the vCPU execute one instruction, or the delivery of an event, in a step view.
 * Does nothing if it is in one. False if all are in use.
 */
bool kvmi_view_enter(struct kvm_vcpu *vcpu)
{
	struct kvmi_view *view = kvmi_vcpu_view(vcpu);
	u8 nr;

	if (view->nr)
		return true;

	nr = kvmi_view_get(vcpu->kvm->introspection);
	if (!nr)
		return false;

	view->nr_grants = 0;
	kvmi_view_switch(vcpu, nr);
	kvmi_step_once(vcpu, true);
	return true;
}

/* Closes what is open. */
static void kvmi_view_close(struct kvm_vcpu *vcpu)
{
	struct kvmi_zap zap = { .kvm = vcpu->kvm };
	struct kvmi_view *view = kvmi_vcpu_view(vcpu);
	u8 nr = view->nr_grants, i;

	if (!nr)
		return;

	view->nr_grants = 0;
	kvmi_arch_zap_begin(&zap);
	for (i = 0; i < nr; i++)
		kvmi_arch_zap(&zap, gpa_to_gfn(view->grants[i].gpa),
			      gpa_to_gfn(view->grants[i].gpa));
	kvmi_arch_zap_end(&zap);
}

/* Closes what was open. Does nothing if the vCPU is in no step view. */
void kvmi_view_leave(struct kvm_vcpu *vcpu)
{
	struct kvmi_view *view = kvmi_vcpu_view(vcpu);
	u8 nr = view->nr;

	if (likely(!nr))
		return;

	kvmi_view_switch(vcpu, 0);
	kvmi_view_close(vcpu);
	clear_bit_unlock(nr, &vcpu->kvm->introspection->views);
	kvmi_step_once(vcpu, false);
}

/*
 * Opens @gfn in the view. Only a gather, through protected page tables, touches more pages
 * than can be open: it does not begin anew, so that those it has done with are closed.
 */
void kvmi_view_grant(struct kvm_vcpu *vcpu, gfn_t gfn, u8 access)
{
	struct kvmi_view *view = kvmi_vcpu_view(vcpu);

	/* What cannot be read cannot be written, nor executed as a rule. */
	if (access & KVMI_PAGE_ACCESS_W ||
	    !kvmi_arch_can_restrict(KVMI_PAGE_ACCESS_X))
		access |= KVMI_PAGE_ACCESS_R;
	if ((kvmi_view_access(vcpu, gfn) & access) == access)
		return;
	if (view->nr_grants == KVMI_MAX_VIEW_GRANTS)
		kvmi_view_close(vcpu);

	view->grants[view->nr_grants++] = (struct kvmi_grant) {
		.gpa = gfn_to_gpa(gfn),
		.access = access,
	};
}

/* What is open in the vCPU's view beside what is open everywhere. */
u8 kvmi_view_access(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvmi_view *view = kvmi_vcpu_view(vcpu);
	u8 access = 0, i;

	if (likely(!view->nr))
		return 0;

	for (i = 0; i < view->nr_grants; i++)
		if (view->grants[i].gpa == gfn_to_gpa(gfn))
			access |= view->grants[i].access;
	return access;
}
