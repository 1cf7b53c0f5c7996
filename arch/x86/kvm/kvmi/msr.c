// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: writes to model specific registers.
 *
 * The tool selects registers. Those that KVM passes through to the guest are
 * intercepted while the event is on; KVM's own records of what it wants stay as they
 * are, so that KVM can put the intercepts right by itself afterwards.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "x86.h"
#include "kvmi_int.h"
#include "kvmi_x86.h"
#include "trace.h"

/**
 * struct kvmi_msr_list - registers that the tool selected
 * @nr: How many.
 * @index: Which, in no order.
 */
struct kvmi_msr_list {
	unsigned int nr;
	u32 index[KVMI_MAX_MSRS];
};

/* KVM consumes writes to some registers before it looks at an exit. */
static bool kvmi_msr_can_be_watched(u32 msr)
{
	if (msr == MSR_IA32_TSC_DEADLINE ||
	    (msr >= APIC_BASE_MSR && msr <= APIC_BASE_MSR + 0xff))
		return false;

	return msr <= 0x1fff || (msr >= 0xc0000000 && msr <= 0xc0001fff);
}

/* Returns the place of @msr in @list, which may be its end. */
static unsigned int kvmi_msr_find(const struct kvmi_msr_list *list, u32 msr)
{
	unsigned int i;

	for (i = 0; i < list->nr && list->index[i] != msr; i++)
		;
	return i;
}

static int kvmi_msr_select(struct kvm_vcpu *vcpu, u32 msr)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	struct kvmi_msr_list *list = arch->msrs;

	if (!list) {
		list = kzalloc(sizeof(*list), GFP_KERNEL_ACCOUNT);
		if (!list)
			return -KVM_ENOMEM;
		arch->msrs = list;
	}

	if (kvmi_msr_find(list, msr) < list->nr)
		return 0;
	if (list->nr == KVMI_MAX_MSRS)
		return -KVM_EBUSY;

	list->index[list->nr++] = msr;
	return 0;
}

static void kvmi_msr_deselect(struct kvm_vcpu *vcpu, u32 msr)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	struct kvmi_msr_list *list = arch->msrs;
	unsigned int i;

	if (!list)
		return;

	i = kvmi_msr_find(list, msr);
	if (i == list->nr)
		return;

	list->index[i] = list->index[--list->nr];
	if (arch->msrs_applied)
		kvm_x86_ops.kvmi_ops->set_msr_intercept(vcpu, msr, false);
}

int kvmi_cmd_vcpu_control_msr(struct kvmi_call *call)
{
	const struct kvmi_vcpu_control_msr *req = call->req;

	if (req->enable > 1 || !kvmi_msr_can_be_watched(req->msr))
		return -KVM_EINVAL;

	kvmi_vcpu_event_forget(call->vcpu);
	if (req->enable)
		return kvmi_msr_select(call->vcpu, req->msr);
	kvmi_msr_deselect(call->vcpu, req->msr);
	return 0;
}

static void kvmi_msr_set_intercepts(struct kvm_vcpu *vcpu, bool set)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;
	unsigned int i;

	for (i = 0; i < arch->msrs->nr; i++)
		kvm_x86_ops.kvmi_ops->set_msr_intercept(vcpu,
							arch->msrs->index[i], set);
	arch->msrs_applied = set;
}

/* Called if the tool has ever selected a register. */
void kvmi_msr_prepare_entry(struct kvm_vcpu *vcpu)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;

	if (arch->msrs->nr && kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_MSR))
		kvmi_msr_set_intercepts(vcpu, true);
	else if (arch->msrs_applied)
		kvmi_msr_set_intercepts(vcpu, false);
}

/* The session is over. */
void kvmi_msr_reset(struct kvm_vcpu *vcpu)
{
	struct kvmi_vcpu_arch *arch = &vcpu->introspection->arch;

	if (arch->msrs_applied)
		kvmi_msr_set_intercepts(vcpu, false);
	kfree(arch->msrs);
	arch->msrs = NULL;
}

static bool kvmi_msr_is_watched(struct kvm_vcpu *vcpu, u32 msr)
{
	struct kvmi_msr_list *list = vcpu->introspection->arch.msrs;

	return list && kvmi_msr_find(list, msr) < list->nr &&
	       kvmi_vcpu_event_enabled(vcpu, KVMI_VCPU_EVENT_MSR) &&
	       kvm_msr_allowed(vcpu, msr, KVM_MSR_FILTER_WRITE);
}

/*
 * Tells the tool that the guest writes @val to @msr. Returns 0 to write @val, which
 * the tool may have replaced, or not 0 to write nothing.
 */
static int kvmi_msr_ask(struct kvm_vcpu *vcpu, u32 msr, u64 *val)
{
	struct kvmi_vcpu_event_msr event = { .msr = msr, .new_value = *val };
	struct kvmi_vcpu_event_msr_reply reply;
	int r;

	/* KVM knows what to do about a register that does not exist. */
	if (__kvm_get_msr(vcpu, msr, &event.old_value, true) ||
	    event.old_value == event.new_value)
		return 0;

	r = kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_MSR, &event, &reply);
	switch (r) {
	case KVMI_EVENT_ACTION_CONTINUE:
		*val = reply.new_val;
		return 0;
	case -ENOTCONN:
		return 0;
	default:
		return r;
	}
}

/* The guest executes WRMSR. Returns what an exit handler returns, or KVMI_PASS. */
int kvmi_wrmsr(struct kvm_vcpu *vcpu)
{
	u64 val = kvm_read_edx_eax(vcpu);
	u32 msr = kvm_rcx_read(vcpu);
	u64 guest_val = val;
	int r;

	if (is_guest_mode(vcpu) || !kvmi_msr_is_watched(vcpu, msr))
		return KVMI_PASS;
	if (kvmi_msr_ask(vcpu, msr, &val))
		return 1;
	if (val == guest_val)
		return KVMI_PASS;

	r = kvm_set_msr(vcpu, msr, val);
	if (r < 0)
		return r;
	if (r)
		trace_kvm_msr_write_ex(msr, val);
	else
		trace_kvm_msr_write(msr, val);
	return kvm_complete_insn_gp(vcpu, r);
}
EXPORT_SYMBOL_GPL(kvmi_wrmsr);

/*
 * The same for an instruction in KVM's emulator, which writes the register itself.
 * Returns true if it shall, with @val.
 */
bool kvmi_msr_emulated_write(struct kvm_vcpu *vcpu, u32 msr, u64 *val)
{
	return !kvmi_msr_is_watched(vcpu, msr) ||
	       kvmi_emulate_asked(vcpu, kvmi_msr_ask(vcpu, msr, val));
}
