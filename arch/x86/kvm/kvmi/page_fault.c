// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: an instruction that touches restricted pages.
 *
 * The processor tells of one access that it could not do, and not all of it. So KVM
 * emulates the instruction, and asks the tool about each access of the emulator (see
 * emulate_memory.c), before it takes place. What the tool lets happen, happens there:
 * the page stays restricted for everybody. Only a fetch is reported at once, for the
 * emulator has no use for what it does not decode.
 *
 * Emulation can end without effect, because the tool wants the instruction to be
 * executed again or a signal has interrupted the wait. In the latter case the tool is
 * not asked again about accesses that it knows of.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/spte.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

static struct kvmi_pf *kvmi_pf(struct kvm_vcpu *vcpu)
{
	return &vcpu->introspection->arch.pf;
}

/* Without the flag that KVM and the processor set when an instruction goes on. */
static void kvmi_pf_get_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs)
{
	kvmi_arch_get_regs(vcpu, regs);
	regs->rflags &= ~X86_EFLAGS_RF;
}

static bool kvmi_pf_same_place(struct kvm_vcpu *vcpu)
{
	struct kvm_regs regs;

	kvmi_pf_get_regs(vcpu, &regs);
	return !memcmp(&kvmi_pf(vcpu)->at, &regs, sizeof(regs));
}

static void kvmi_pf_forget(struct kvmi_pf *pf)
{
	pf->nr_grants = 0;
	pf->quiet = false;
	pf->reply.ctx_size = 0;
}

/* The session is over: the next tool knows nothing of what this one has answered. */
void kvmi_pf_reset(struct kvm_vcpu *vcpu)
{
	kvmi_pf_forget(kvmi_pf(vcpu));
	kvmi_pf(vcpu)->kept = false;
}

/* The instruction will execute again. */
void kvmi_pf_keep(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	kvmi_pf_get_regs(vcpu, &pf->at);
	pf->kept = true;
}

/* It will execute again here, with what was kept. */
bool kvmi_pf_is_kept(struct kvm_vcpu *vcpu)
{
	return kvmi_pf(vcpu)->kept && kvmi_pf_same_place(vcpu);
}

/* An instruction begins: what was kept may be of another one. */
static void kvmi_pf_resume(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	if (pf->kept && !kvmi_pf_same_place(vcpu))
		kvmi_pf_forget(pf);
	pf->kept = false;
}

static void kvmi_pf_grant(struct kvm_vcpu *vcpu, gpa_t gpa, u8 access)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	pf->grants[pf->nr_grants++ % KVMI_MAX_GRANTS] = (struct kvmi_grant) {
		.gpa = gpa,
		.access = access,
	};
}

static bool kvmi_pf_is_granted(struct kvm_vcpu *vcpu, gpa_t gpa, u8 access)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);
	unsigned int i;

	/* Each iteration is an access of its own. */
	if (pf->rcx != kvm_rcx_read(vcpu)) {
		pf->rcx = kvm_rcx_read(vcpu);
		pf->nr_grants = 0;
	}

	for (i = 0; i < min(pf->nr_grants, KVMI_MAX_GRANTS); i++) {
		if (pf->grants[i].access != access)
			continue;
		/* Instructions lie in one or two pages, wherever they begin. */
		if (access == KVMI_PAGE_ACCESS_X ?
		    gpa_to_gfn(pf->grants[i].gpa) == gpa_to_gfn(gpa) :
		    pf->grants[i].gpa == gpa)
			return true;
	}
	return false;
}

/*
 * Asks the tool about one access. Returns 0 if it shall take place, or an error: the
 * instruction shall execute again.
 */
static int kvmi_pf_ask(struct kvm_vcpu *vcpu, u64 gva, gpa_t gpa, u8 access)
{
	const struct kvmi_vcpu_event_pf event = {
		.gva = gva,
		.gpa = gpa,
		.access = access,
	};
	struct kvmi_vcpu_event_pf_reply reply;
	struct kvmi_pf *pf = kvmi_pf(vcpu);
	int r = -ENOTCONN;

	/* Where KVM emulates one instruction after the other, the loop ends for this. */
	kvm_make_request(KVM_REQ_EVENT, vcpu);
	if (!pf->quiet && kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_PF))
		r = kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_PF, &event, &reply);

	switch (r) {
	case KVMI_EVENT_ACTION_CONTINUE:
		pf->quiet = reply.rep_complete;
		/* What was supplied for a read is not taken back by a write. */
		if (reply.ctx_size)
			pf->reply = reply;
		fallthrough;
	case -ENOTCONN:
		kvmi_pf_grant(vcpu, gpa, access);
		return 0;
	case -EINTR:
		kvmi_pf_keep(vcpu);
		return r;
	default:
		kvmi_pf_forget(pf);
		/* The next attempt may be at something else. */
		kvmi_view_leave(vcpu);
		return -EAGAIN;
	}
}

/* An instruction's access to the page at @gpa. Returns as kvmi_pf_ask(). */
int kvmi_pf_access(struct kvm_vcpu *vcpu, u64 gva, gpa_t gpa, u8 access)
{
	gfn_t gfn = gpa_to_gfn(gpa);

	/* Emulated, but not because of a fault. */
	if (!kvmi_pf(vcpu)->fault)
		kvmi_pf_resume(vcpu);

	if (kvmi_page_access(vcpu->kvm, gfn) & access ||
	    !kvmi_is_guest_memory(kvm_vcpu_gfn_to_memslot(vcpu, gfn)) ||
	    kvmi_pf_is_granted(vcpu, gpa, access))
		return 0;

	return kvmi_pf_ask(vcpu, gva, gpa, access);
}

/* Ends the emulation of an instruction that shall execute again. */
void kvmi_pf_retry(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	pf->retry = true;
	pf->shadow = kvm_x86_call(get_interrupt_shadow)(vcpu);
	kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
}

static u8 kvmi_pf_wanted(const struct kvm_page_fault *fault)
{
	if (fault->exec)
		return KVMI_PAGE_ACCESS_X;
	return fault->write ? KVMI_PAGE_ACCESS_W : KVMI_PAGE_ACCESS_R;
}

/* Where an instruction is fetched from: where it begins or at its second page. */
static u64 kvmi_pf_fetch_gva(struct kvm_vcpu *vcpu, u64 offset)
{
	u64 rip = kvm_get_linear_rip(vcpu);

	return offset_in_page(rip) == offset || offset ? rip : PAGE_ALIGN(rip);
}

/* A new fault, or the same once more. */
static void kvmi_pf_begin(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	/* In a step view it is always the same instruction. */
	if (!__kvmi_view(vcpu))
		kvmi_pf_resume(vcpu);

	pf->retry = false;
	pf->fault = true;
	pf->walk = fault->error_code & PFERR_GUEST_PAGE_MASK;
	pf->rip = kvm_rip_read(vcpu);
	pf->access = kvmi_pf_wanted(fault);
	pf->gpa = gfn_to_gpa(fault->gfn) | offset_in_page(fault->addr);
	if (pf->access == KVMI_PAGE_ACCESS_X && !pf->walk) {
		pf->gva = kvmi_pf_fetch_gva(vcpu, offset_in_page(fault->addr));
		pf->gpa = gfn_to_gpa(fault->gfn) | offset_in_page(pf->gva);
	} else {
		pf->gva = kvm_x86_ops.kvmi_ops->fault_gva(vcpu);
	}

	/* Whatever the tool wants to hear of, the emulator must not mix up addresses. */
	kvmi_arch_watch(vcpu);
	kvmi_emulate_watch(vcpu, true);
}

/* Opens to the instruction, in a view of the vCPU's own, what it may have. */
static bool kvmi_pf_step(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);
	unsigned int i;

	if (is_guest_mode(vcpu) || !kvmi_step_is_possible(vcpu))
		return false;
	/* Until another vCPU leaves one, the instruction executes again and again. */
	if (!kvmi_view_enter(vcpu)) {
		kvmi_pf_keep(vcpu);
		cond_resched();
		return true;
	}

	for (i = 0; i < min(pf->nr_grants, KVMI_MAX_GRANTS); i++)
		kvmi_view_grant(vcpu, gpa_to_gfn(pf->grants[i].gpa),
				pf->grants[i].access);
	kvmi_view_grant(vcpu, gpa_to_gfn(pf->gpa), pf->access);
	return true;
}

/* Looks @gva up as the processor does, which sets accessed and dirty bits. */
static void kvmi_pf_look_up(struct kvm_vcpu *vcpu, u64 gva, u64 access)
{
	u64 user = kvm_x86_call(get_cpl)(vcpu) == 3 ? PFERR_USER_MASK : 0;
	struct kvm_mmu *mmu = vcpu->arch.walk_mmu;
	struct x86_exception e;

	/* At CPL 3, too, the processor may want a descriptor. */
	if (mmu->gva_to_gpa(vcpu, mmu, gva, access | user, &e) == INVALID_GPA && user)
		mmu->gva_to_gpa(vcpu, mmu, gva, access, &e);
}

/*
 * The processor could not set a bit in the page table entry at pf->gpa, which it does not
 * do when the bit is set: the accessed bit if that is clear, else the dirty bit. Only if
 * it tells the address that it looked up, and if it does not write without a reason.
 */
static bool kvmi_pf_walk(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);
	u8 entry;

	if (!pf->walk || pf->access != KVMI_PAGE_ACCESS_W || pf->gva == ~0ull ||
	    kvm_ad_enabled() ||
	    kvm_vcpu_read_guest(vcpu, pf->gpa, &entry, sizeof(entry)))
		return false;

	kvmi_pf_look_up(vcpu, pf->gva,
			entry & PT_ACCESSED_MASK ? PFERR_WRITE_MASK : 0);
	return true;
}

/* Asks for what the processor could not do. Returns as kvmi_pf_ask(). */
static int kvmi_pf_ask_for_fault(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	/* The page tables are the guest's business: nobody is asked. */
	if (pf->walk || kvmi_pf_is_granted(vcpu, pf->gpa, pf->access))
		return 0;
	return kvmi_pf_ask(vcpu, pf->gva, pf->gpa, pf->access);
}

/* KVM must not emulate here: the vCPU delivers an event, or steps, or its exits count. */
static int kvmi_pf_without_emulation(struct kvm_vcpu *vcpu)
{
	if (kvmi_pf_ask_for_fault(vcpu) || kvmi_pf_walk(vcpu) || kvmi_pf_step(vcpu))
		return RET_PF_RETRY;

	/* Neither can it go on. */
	return -EFAULT;
}

/* Code whose instructions have exits that the tool wants, which the emulator has not. */
static bool kvmi_pf_wants_exits(struct kvm_vcpu *vcpu)
{
	return kvmi_pf(vcpu)->access == KVMI_PAGE_ACCESS_X &&
	       !is_guest_mode(vcpu) && kvm_x86_ops.kvmi_ops->can_step() &&
	       (kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_CPUID) ||
		kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_DESCRIPTOR));
}

int __kvmi_page_fault(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);
	u8 access;

	/* Nobody wants the page now; its SPTE will be restricted. */
	if (fault->prefetch || likely(!kvmi_has_restrictions(vcpu->kvm)))
		return RET_PF_CONTINUE;

	access = kvmi_page_access(vcpu->kvm, fault->gfn) |
		 kvmi_view_access(vcpu, fault->gfn);
	if (access & kvmi_pf_wanted(fault) || !kvmi_is_guest_memory(fault->slot))
		return RET_PF_CONTINUE;

	kvmi_pf_begin(vcpu, fault);

	if (kvm_event_needs_reinjection(vcpu) || __kvmi_view(vcpu) ||
	    kvmi_pf_wants_exits(vcpu))
		return kvmi_pf_without_emulation(vcpu);

	if (pf->access == KVMI_PAGE_ACCESS_X && kvmi_pf_ask_for_fault(vcpu))
		return RET_PF_RETRY;
	return RET_PF_EMULATE;
}

/* Whether the tool has lifted the restriction while it was asked about another access. */
static bool kvmi_pf_is_lifted(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	return kvmi_page_access(vcpu->kvm, gpa_to_gfn(pf->gpa)) & pf->access;
}

/* Called when that has turned out. */
bool __kvmi_emulation_failed(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	if (!pf->fault)
		return false;
	if (pf->retry)
		return true;
	if (kvmi_pf_is_lifted(vcpu)) {
		kvmi_pf_keep(vcpu);
		return true;
	}
	return kvmi_pf_ask_for_fault(vcpu) || kvmi_pf_walk(vcpu) ||
	       kvmi_pf_step(vcpu);
}

/* In the run loop, before interrupts are injected, and at its end. */
void kvmi_pf_end_entry(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	if (likely(!pf->retry))
		return;

	/* Neither did the emulator find out why it could not read the I/O bitmap. */
	kvm_clear_exception_queue(vcpu);
	/* The emulator has taken it for an instruction that came to its end. */
	kvm_x86_call(set_interrupt_shadow)(vcpu, pf->shadow);
	pf->retry = false;
}

/*
 * The instruction is over, or executes again. Before VM-Enter, and in the run loop, where
 * the next one may be decoded and carried out.
 */
void kvmi_pf_end(struct kvm_vcpu *vcpu)
{
	struct kvmi_pf *pf = kvmi_pf(vcpu);

	if (likely(!pf->fault && !pf->nr_grants && !pf->quiet))
		return;

	/* A long REP prefix: the rest follows. */
	if (pf->fault && pf->quiet && pf->rip == kvm_rip_read(vcpu))
		kvmi_pf_keep(vcpu);
	pf->fault = false;
	if (!pf->kept && !__kvmi_view(vcpu))
		kvmi_pf_forget(pf);
}
