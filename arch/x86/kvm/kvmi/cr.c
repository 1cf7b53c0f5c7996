// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: writes to control registers.
 *
 * The vendor decodes the exit; here the tool decides and the write takes place.
 * CR3 is intercepted for introspection alone. KVM intercepts CR0 and CR4 itself,
 * but leaves bits of them to the guest, which are taken from it while the tool
 * watches the register. What KVM emulates on the guest's behalf comes through
 * emulate.c: task switches, LMSW from memory, code that VMX cannot run.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "x86.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"
#include "trace.h"

#define KVMI_WATCHABLE_CRS	(BIT(0) | BIT(3) | BIT(4))

int kvmi_cmd_vcpu_control_cr(struct kvmi_call *call)
{
	struct kvmi_vcpu_arch *arch = &call->vcpu->introspection->arch;
	const struct kvmi_vcpu_control_cr *req = call->req;

	if (req->enable > 1 || req->cr > 4 ||
	    !(BIT(req->cr) & KVMI_WATCHABLE_CRS))
		return -KVM_EINVAL;

	kvmi_vcpu_event_forget(call->vcpu);
	if (req->enable)
		arch->cr_selected |= BIT(req->cr);
	else
		arch->cr_selected &= ~BIT(req->cr);
	return 0;
}

static u32 kvmi_watched_crs(struct kvm_vcpu *vcpu)
{
	u32 selected = vcpu->introspection->arch.cr_selected;

	if (!selected || !kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_CR))
		return 0;
	return selected;
}

bool kvmi_cr_is_watched(struct kvm_vcpu *vcpu, int cr)
{
	return kvmi_watched_crs(vcpu) & BIT(cr);
}
EXPORT_SYMBOL_GPL(kvmi_cr_is_watched);

void kvmi_cr_prepare_entry(struct kvm_vcpu *vcpu)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	u32 want = kvmi_watched_crs(vcpu);

	if (!(want | arch->cr_applied))
		return;

	kvm_x86_ops.kvmi_ops->set_cr_intercept(vcpu, want, arch->cr_applied);
	arch->cr_applied = want;
}

static unsigned long kvmi_read_cr(struct kvm_vcpu *vcpu, int cr)
{
	switch (cr) {
	case 0:
		return kvm_read_cr0(vcpu);
	case 3:
		return kvm_read_cr3(vcpu);
	default:
		return kvm_read_cr4(vcpu);
	}
}

static int kvmi_set_cr(struct kvm_vcpu *vcpu, int cr, unsigned long val)
{
	trace_kvm_cr_write(cr, val);

	switch (cr) {
	case 0:
		return kvm_set_cr0(vcpu, val);
	case 3:
		return kvm_set_cr3(vcpu, val);
	default:
		return kvm_set_cr4(vcpu, val);
	}
}

/* Whether a write of @val is worth an event. */
static bool kvmi_cr_changes(int cr, unsigned long old, unsigned long val)
{
	unsigned long changed = old ^ val;

	/* VMX leaves CR0.TS to the guest always, so SVM does not report it. */
	if (cr == 0)
		changed &= ~X86_CR0_TS;
	return changed;
}

/*
 * Tells the tool that the guest writes @val to @cr. Returns 0 to write @val, which
 * the tool may have replaced, or not 0 to write nothing: the instruction has to
 * execute again, or the vCPU will not.
 */
static int kvmi_cr_ask(struct kvm_vcpu *vcpu, int cr, unsigned long *val)
{
	struct kvmi_vcpu_event_cr event = { .cr = cr };
	struct kvmi_vcpu_event_cr_reply reply;
	unsigned long flush = 0;
	int r;

	/* With PCIDs, the top bit is a wish for the TLB and no part of CR3. */
	if (cr == 3 && kvm_is_cr4_bit_set(vcpu, X86_CR4_PCIDE))
		flush = *val & X86_CR3_PCID_NOFLUSH;

	event.old_value = kvmi_read_cr(vcpu, cr);
	event.new_value = *val & ~flush;
	if (!kvmi_cr_changes(cr, event.old_value, event.new_value))
		return 0;

	r = kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_CR, &event, &reply);
	switch (r) {
	case KVMI_EVENT_ACTION_CONTINUE:
		*val = reply.new_val | flush;
		return 0;
	case -ENOTCONN:
		return 0;
	default:
		return r;
	}
}

/*
 * Carries out the guest's instruction that writes @val to @cr: ask the tool, write
 * and go to the next instruction, or raise #GP. Returns what an exit handler
 * returns. For a vCPU that does not run a nested guest.
 */
int kvmi_cr_write(struct kvm_vcpu *vcpu, int cr, unsigned long val)
{
	if (kvmi_cr_ask(vcpu, cr, &val))
		return 1;

	return kvm_complete_insn_gp(vcpu, kvmi_set_cr(vcpu, cr, val));
}
EXPORT_SYMBOL_GPL(kvmi_cr_write);

/*
 * The same for an instruction in KVM's emulator, which writes the register itself.
 * Returns true if it shall, with @val.
 */
bool kvmi_cr_emulated_write(struct kvm_vcpu *vcpu, int cr, unsigned long *val)
{
	return kvmi_emulate_asked(vcpu, kvmi_cr_ask(vcpu, cr, val));
}
