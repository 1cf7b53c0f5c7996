// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: what KVM's emulator does on the guest's behalf.
 *
 * An introspected vCPU's emulator context gets a copy of KVM's operations in which
 * those that a tool may watch are replaced. KVM's own code does not change.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/once.h>

#include "x86.h"
#include "kvm_emulate.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"

/* Written once, before any context points to the copy. */
const struct x86_emulate_ops *kvm_emulate_ops;
static struct x86_emulate_ops kvmi_emulate_ops;

/* A fastpath emulates with interrupts off and cannot wait. */
static bool kvmi_emulate_may_ask(struct kvm_vcpu *vcpu)
{
	return !irqs_disabled() && !is_guest_mode(vcpu);
}

/*
 * The tool was asked about an instruction, with @r as the outcome: 0 to go on with
 * it. Returns true if the instruction shall take effect. The emulator cannot stop
 * in the middle of an instruction: when a signal interrupts the wait, it takes
 * effect and the reply is ignored.
 */
bool kvmi_emulate_asked(struct kvm_vcpu *vcpu, int r)
{
	/* Ends a run of emulated instructions: the reply may have set registers. */
	kvm_make_request(KVM_REQ_EVENT, vcpu);
	if (r == -EINTR) {
		kvmi_vcpu_event_discard(vcpu);
		return true;
	}
	return !r;
}

static int kvmi_emulate_set_cr(struct x86_emulate_ctxt *ctxt, int cr, ulong val)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;

	if (kvmi_emulate_may_ask(vcpu) && kvmi_cr_is_watched(vcpu, cr) &&
	    !kvmi_cr_emulated_write(vcpu, cr, &val))
		return 0;

	return kvm_emulate_ops->set_cr(ctxt, cr, val);
}

static int kvmi_emulate_set_msr(struct x86_emulate_ctxt *ctxt, u32 index,
				u64 data)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;

	if (kvmi_emulate_may_ask(vcpu) &&
	    !kvmi_msr_emulated_write(vcpu, index, &data))
		return X86EMUL_CONTINUE;

	return kvm_emulate_ops->set_msr_with_filter(ctxt, index, data);
}

static int kvmi_emulate_set_xcr(struct x86_emulate_ctxt *ctxt, u32 index,
				u64 xcr)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;

	if (kvmi_emulate_may_ask(vcpu) &&
	    !kvmi_xcr_emulated_write(vcpu, index, xcr))
		return 0;

	return kvm_emulate_ops->set_xcr(ctxt, index, xcr);
}

static void kvmi_emulate_init(const struct x86_emulate_ops *ops)
{
	kvmi_emulate_ops = *ops;
	kvmi_emulate_ops.set_cr = kvmi_emulate_set_cr;
	kvmi_emulate_ops.set_msr_with_filter = kvmi_emulate_set_msr;
	kvmi_emulate_ops.set_xcr = kvmi_emulate_set_xcr;
	kvmi_emulate_memory_init(&kvmi_emulate_ops);
	kvm_emulate_ops = ops;
}

/* On the vCPU thread, between two instructions. */
void kvmi_emulate_watch(struct kvm_vcpu *vcpu, bool watch)
{
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;

	if (watch) {
		DO_ONCE_SLEEPABLE(kvmi_emulate_init, ctxt->ops);
		ctxt->ops = &kvmi_emulate_ops;
	} else if (ctxt->ops == &kvmi_emulate_ops) {
		ctxt->ops = kvm_emulate_ops;
	}
}
