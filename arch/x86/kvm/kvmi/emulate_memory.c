// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: guest memory that KVM's emulator touches.
 *
 * Each access is looked at page by page before it takes place. The address is translated
 * here and once more in KVM, so that another vCPU that changes the page tables meanwhile
 * can lead the access elsewhere; not where the processor has told the same address.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "mmu.h"
#include "kvm_emulate.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

static gpa_t kvmi_emulate_gpa(struct x86_emulate_ctxt *ctxt, u64 addr, u64 access)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;
	struct kvm_mmu *mmu = vcpu->arch.walk_mmu;
	struct x86_exception e;
	gpa_t gpa;

	gpa = mmu->gva_to_gpa(vcpu, mmu, addr, access, &e);
	/*
	 * KVM would use the processor's address for each operand with its offset, see
	 * emulator_read_write_onepage().
	 */
	if (offset_in_page(addr) == offset_in_page(ctxt->gpa_val) &&
	    gpa != ctxt->gpa_val)
		ctxt->gpa_available = false;
	return gpa;
}

static const struct kvmi_pf *kvmi_emulate_pf(struct x86_emulate_ctxt *ctxt)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;

	return &vcpu->introspection->arch.pf;
}

static u64 kvmi_emulate_user(struct x86_emulate_ctxt *ctxt)
{
	return kvm_x86_call(get_cpl)(ctxt->vcpu) == 3 ? PFERR_USER_MASK : 0;
}

static int kvmi_emulate_retry(struct x86_emulate_ctxt *ctxt)
{
	/* What the emulator writes back has to be what it found. */
	ctxt->eflags = kvm_get_rflags(ctxt->vcpu);
	ctxt->tf = false;
	kvmi_pf_retry(ctxt->vcpu);
	return X86EMUL_RETRY_INSTR;
}

/*
 * The emulator is about to access @bytes at @addr in the way @want, one of &enum
 * kvmi_page_access, with the rights @pferr. Returns X86EMUL_CONTINUE or what the
 * emulator's operation is to return.
 */
static int kvmi_emulate_access(struct x86_emulate_ctxt *ctxt, u64 addr,
			       unsigned int bytes, u8 want, u64 pferr)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;
	const struct kvmi_pf *pf = kvmi_emulate_pf(ctxt);
	unsigned int now;
	gpa_t gpa;

	/* The processor's address is no operand's. */
	if (pf->fault && (pf->walk || pf->access == KVMI_PAGE_ACCESS_X))
		ctxt->gpa_available = false;

	/* A fastpath emulates with interrupts off and touches no memory. */
	if (likely(!kvmi_has_restrictions(vcpu->kvm)) || irqs_disabled()) {
		if (pf->fault)
			ctxt->gpa_available = false;
		return X86EMUL_CONTINUE;
	}

	/* The registers are the vCPU's until the instruction is over, also after MMIO. */
	vcpu->arch.emulate_regs_need_sync_to_vcpu = false;

	for (; bytes; bytes -= now, addr += now) {
		if (ctxt->mode != X86EMUL_MODE_PROT64)
			addr = (u32)addr;
		now = min_t(unsigned int, bytes, PAGE_SIZE - offset_in_page(addr));
		gpa = kvmi_emulate_gpa(ctxt, addr, pferr);
		/* KVM will find that, too, and raise the exception. */
		if (gpa == INVALID_GPA)
			break;
		if (kvmi_pf_access(vcpu, addr, gpa, want))
			return kvmi_emulate_retry(ctxt);
	}
	return X86EMUL_CONTINUE;
}

/*
 * Copies what the tool supplies for @bytes at @gva to @val, if it supplies all of
 * it. False if they are to be read from memory.
 */
static bool kvmi_emulate_supplied(struct x86_emulate_ctxt *ctxt, u64 gva,
				  unsigned int bytes, void *val)
{
	const struct kvmi_pf *pf = kvmi_emulate_pf(ctxt);
	const struct kvmi_vcpu_event_pf_reply *reply = &pf->reply;
	u64 offset = gva - reply->ctx_addr;

	if (likely(!reply->ctx_size) || offset >= reply->ctx_size ||
	    bytes > reply->ctx_size - offset)
		return false;
	/* Kept for an instruction that was interrupted. */
	if (pf->kept && !kvmi_pf_is_kept(ctxt->vcpu))
		return false;

	memcpy(val, reply->ctx_data + offset, bytes);
	return true;
}

static int kvmi_emulate_read_std(struct x86_emulate_ctxt *ctxt, gva_t addr,
				 void *val, unsigned int bytes,
				 struct x86_exception *fault, bool system)
{
	u64 pferr = system ? PFERR_IMPLICIT_ACCESS : kvmi_emulate_user(ctxt);
	int r;

	if (kvmi_emulate_supplied(ctxt, addr, bytes, val))
		return X86EMUL_CONTINUE;
	r = kvmi_emulate_access(ctxt, addr, bytes, KVMI_PAGE_ACCESS_R, pferr);
	if (r != X86EMUL_CONTINUE ||
	    kvmi_emulate_supplied(ctxt, addr, bytes, val))
		return r;
	return kvm_emulate_ops->read_std(ctxt, addr, val, bytes, fault, system);
}

static int kvmi_emulate_write_std(struct x86_emulate_ctxt *ctxt, gva_t addr,
				  void *val, unsigned int bytes,
				  struct x86_exception *fault, bool system)
{
	u64 pferr = system ? PFERR_IMPLICIT_ACCESS : kvmi_emulate_user(ctxt);
	int r;

	r = kvmi_emulate_access(ctxt, addr, bytes, KVMI_PAGE_ACCESS_W,
				pferr | PFERR_WRITE_MASK);
	if (r != X86EMUL_CONTINUE)
		return r;
	return kvm_emulate_ops->write_std(ctxt, addr, val, bytes, fault, system);
}

static int kvmi_emulate_read(struct x86_emulate_ctxt *ctxt, unsigned long addr,
			     void *val, unsigned int bytes,
			     struct x86_exception *fault)
{
	int r;

	if (kvmi_emulate_supplied(ctxt, addr, bytes, val))
		return X86EMUL_CONTINUE;
	r = kvmi_emulate_access(ctxt, addr, bytes, KVMI_PAGE_ACCESS_R,
				kvmi_emulate_user(ctxt));
	if (r != X86EMUL_CONTINUE ||
	    kvmi_emulate_supplied(ctxt, addr, bytes, val))
		return r;
	return kvm_emulate_ops->read_emulated(ctxt, addr, val, bytes, fault);
}

static int kvmi_emulate_write(struct x86_emulate_ctxt *ctxt, unsigned long addr,
			      const void *val, unsigned int bytes,
			      struct x86_exception *fault)
{
	int r;

	r = kvmi_emulate_access(ctxt, addr, bytes, KVMI_PAGE_ACCESS_W,
				kvmi_emulate_user(ctxt) | PFERR_WRITE_MASK);
	if (r != X86EMUL_CONTINUE)
		return r;
	return kvm_emulate_ops->write_emulated(ctxt, addr, val, bytes, fault);
}

static int kvmi_emulate_cmpxchg(struct x86_emulate_ctxt *ctxt,
				unsigned long addr, const void *old,
				const void *new, unsigned int bytes,
				struct x86_exception *fault)
{
	u8 supplied[16];
	int r;

	r = kvmi_emulate_access(ctxt, addr, bytes, KVMI_PAGE_ACCESS_W,
				kvmi_emulate_user(ctxt) | PFERR_WRITE_MASK);
	if (r != X86EMUL_CONTINUE)
		return r;

	/* What is in memory is not what the instruction has read. */
	if (bytes <= sizeof(supplied) &&
	    kvmi_emulate_supplied(ctxt, addr, bytes, supplied))
		return kvm_emulate_ops->write_emulated(ctxt, addr, new, bytes,
						       fault);

	r = kvm_emulate_ops->cmpxchg_emulated(ctxt, addr, old, new, bytes, fault);
	if (r != X86EMUL_CMPXCHG_FAILED)
		return r;

	/* Another vCPU was faster: the same accesses once more. */
	kvmi_pf_keep(ctxt->vcpu);
	return kvmi_emulate_retry(ctxt);
}

/*
 * Only for what the processor might not have fetched: in a step view it will do that
 * itself, and it has done so before any exit but that for a fault.
 */
static int kvmi_emulate_fetch(struct x86_emulate_ctxt *ctxt, gva_t addr,
			      void *val, unsigned int bytes,
			      struct x86_exception *fault)
{
	int r;

	if (kvmi_emulate_pf(ctxt)->fault && !__kvmi_view(ctxt->vcpu)) {
		r = kvmi_emulate_access(ctxt, addr, bytes, KVMI_PAGE_ACCESS_X,
					kvmi_emulate_user(ctxt) | PFERR_FETCH_MASK);
		if (r != X86EMUL_CONTINUE)
			return r;
	}
	return kvm_emulate_ops->fetch(ctxt, addr, val, bytes, fault);
}

/*
 * INS: what the device has given cannot be given back, so that its way to memory has to
 * be free before. Not when KVM has the data already.
 */
static int kvmi_emulate_pio_in(struct x86_emulate_ctxt *ctxt, int size,
			       unsigned short port, void *val, unsigned int count)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;
	u64 addr = ctxt->dst.addr.mem.ea;

	if (ctxt->dst.type == OP_MEM && !vcpu->arch.pio.count) {
		if (ctxt->mode != X86EMUL_MODE_PROT64)
			addr += ctxt->ops->get_cached_segment_base(ctxt, VCPU_SREG_ES);
		if (kvmi_emulate_access(ctxt, addr, size * count,
					KVMI_PAGE_ACCESS_W,
					kvmi_emulate_user(ctxt) | PFERR_WRITE_MASK))
			return 0;
	}
	return kvm_emulate_ops->pio_in_emulated(ctxt, size, port, val, count);
}

/* KVM replaces the instruction by one of as many bytes, see emulator_fix_hypercall(). */
#define KVMI_HYPERCALL_LEN	3

/* KVM would have the corrected instruction executed, which faults again. */
static int kvmi_emulate_fix_hypercall(struct x86_emulate_ctxt *ctxt)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;
	int r;

	if (kvmi_emulate_pf(ctxt)->fault)
		return X86EMUL_UNHANDLEABLE;

	if (kvm_check_has_quirk(vcpu->kvm, KVM_X86_QUIRK_FIX_HYPERCALL_INSN)) {
		r = kvmi_emulate_access(ctxt, kvm_rip_read(vcpu),
					KVMI_HYPERCALL_LEN, KVMI_PAGE_ACCESS_W,
					kvmi_emulate_user(ctxt) | PFERR_WRITE_MASK);
		if (r != X86EMUL_CONTINUE)
			return r;
	}
	return kvm_emulate_ops->fix_hypercall(ctxt);
}

void kvmi_emulate_memory_init(struct x86_emulate_ops *ops)
{
	ops->read_std = kvmi_emulate_read_std;
	ops->write_std = kvmi_emulate_write_std;
	ops->read_emulated = kvmi_emulate_read;
	ops->write_emulated = kvmi_emulate_write;
	ops->cmpxchg_emulated = kvmi_emulate_cmpxchg;
	ops->fetch = kvmi_emulate_fetch;
	ops->pio_in_emulated = kvmi_emulate_pio_in;
	ops->fix_hypercall = kvmi_emulate_fix_hypercall;
}
