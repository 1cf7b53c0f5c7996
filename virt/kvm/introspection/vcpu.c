// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: a vCPU's state, and what it does before it enters the guest.
 */

#include <linux/rcuwait.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kvmi_int.h"

/* True if what the vCPU holds belongs to a session that goes on. */
bool kvmi_vcpu_in_session(struct kvm_vcpu *vcpu)
{
	struct kvm_introspection *kvmi = vcpu->kvm->introspection;

	/*
	 * Pairs with the release in kvmi_begin_session(): who sees a session's
	 * socket sees its epoch.
	 */
	return smp_load_acquire(&kvmi->sock) &&
	       READ_ONCE(kvmi->epoch) == vcpu->introspection->epoch;
}

static void kvmi_vcpu_free(struct kvm_vcpu_introspection *vcpui)
{
	kfree(vcpui->reply_job);
	kfree(vcpui->tx);
	kfree(vcpui);
}

/* Called under kvm->lock, for each vCPU of a VM that gets hooked or is. */
int kvmi_vcpu_alloc(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui;

	lockdep_assert_held(&vcpu->kvm->lock);

	if (vcpu->introspection)
		return 0;

	vcpui = kzalloc(sizeof(*vcpui), GFP_KERNEL_ACCOUNT);
	if (!vcpui)
		return -ENOMEM;

	vcpui->tx = kmalloc(KVMI_MAX_MSG, GFP_KERNEL_ACCOUNT);
	vcpui->reply_job = kvmi_alloc_reply_job();
	if (!vcpui->tx || !vcpui->reply_job) {
		kvmi_vcpu_free(vcpui);
		return -ENOMEM;
	}

	spin_lock_init(&vcpui->lock);
	INIT_LIST_HEAD(&vcpui->jobs);
	rcuwait_init(&vcpui->wait);
	/* The vCPU may be running: pairs with the address dependency there. */
	smp_store_release(&vcpu->introspection, vcpui);
	return 0;
}

int kvmi_vcpu_create(struct kvm_vcpu *vcpu)
{
	/* Pairs with the release in kvmi_get_or_alloc(). */
	struct kvm_introspection *kvmi = smp_load_acquire(&vcpu->kvm->introspection);
	int r;

	if (!kvmi)
		return 0;

	r = kvmi_vcpu_alloc(vcpu);
	if (r)
		return r;

	if (READ_ONCE(kvmi->sock) && kvmi_vm_supported(vcpu->kvm) &&
	    test_bit(KVMI_VCPU_EVENT_CREATE, kvmi->vm_events)) {
		vcpu->introspection->created_in = READ_ONCE(kvmi->epoch);
		/* The latter for a vCPU that waits to be started. */
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
		kvm_make_request(KVM_REQ_UNBLOCK, vcpu);
	}
	return 0;
}

void kvmi_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;

	if (!vcpui)
		return;

	/* The receiver purged the jobs when it ended. */
	WARN_ON_ONCE(!list_empty(&vcpui->jobs));
	kvmi_arch_vcpu_destroy(vcpu);
	vcpu->introspection = NULL;
	kvmi_vcpu_free(vcpui);
}

/* Drops what is left of an older session and joins the current one. */
static void kvmi_vcpu_sync(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;

	if (kvmi_vcpu_in_session(vcpu))
		return;

	vcpui->epoch = READ_ONCE(vcpu->kvm->introspection->epoch);
	bitmap_zero(vcpui->events, KVMI_NUM_EVENTS);
	vcpui->event.state = KVMI_EVENT_NONE;
	kvmi_vcpu_event_forget(vcpu);
	kvmi_arch_vcpu_reset(vcpu);
}

/* Writes what the tool has set when the instruction that it was asked about is over. */
void kvmi_vcpu_apply_regs(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;

	if (!vcpui->set_regs)
		return;

	vcpui->set_regs = false;
	if (vcpui->regs.rip == vcpui->regs_rip)
		vcpui->regs.rip = kvmi_arch_rip(vcpu);
	kvmi_arch_set_regs(vcpu, &vcpui->regs);
}

/*
 * Sends the next event that no instruction raises. Returns false if there is
 * none, else true, with *@r as kvmi_vcpu_event() returns it.
 */
static bool kvmi_send_run_loop_event(struct kvm_vcpu *vcpu, int *r)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	u8 data[KVMI_MAX_EVENT_DATA] __aligned(8);
	u8 id;

	if (!kvmi_vcpu_in_session(vcpu))
		return false;

	if (kvmi_arch_run_loop_event(vcpu, &id, data)) {
		*r = kvmi_vcpu_event(vcpu, id, data, NULL);
		return true;
	}
	if (vcpui->created_in == vcpui->epoch) {
		vcpui->created_in = 0;
		*r = kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_CREATE, NULL, NULL);
		return true;
	}
	if (kvmi_take_pause(vcpu)) {
		*r = kvmi_vcpu_event(vcpu, KVMI_VCPU_EVENT_PAUSE, NULL, NULL);
		return true;
	}
	return false;
}

int __kvmi_pre_run(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	int r;

	kvmi_arch_end_entry(vcpu);
	for (;;) {
		kvmi_vcpu_sync(vcpu);
		if (vcpui->event.state == KVMI_EVENT_REPLIED)
			kvmi_vcpu_event_resume(vcpu);

		/* What the last reply asked for comes before any other job. */
		if (vcpui->crash) {
			vcpui->crash = false;
			vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
			return 0;
		}
		/* The instruction is yet to execute: kvmi_arch_run_loop_event() does it. */
		if (!kvmi_arch_in_step_view(vcpu))
			kvmi_vcpu_apply_regs(vcpu);
		kvmi_run_jobs(vcpu);

		r = 0;
		if (vcpui->event.state == KVMI_EVENT_REPLIED)
			continue;
		if (kvmi_has_jobs(vcpu) && signal_pending(current))
			r = -EINTR;
		else if (vcpui->event.state == KVMI_EVENT_SENT)
			r = kvmi_vcpu_event_wait(vcpu);
		else if (!kvmi_send_run_loop_event(vcpu, &r))
			return kvmi_arch_pre_run(vcpu);

		if (r == -EINTR) {
			kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
			return 1;
		}
	}
}
