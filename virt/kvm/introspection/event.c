// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: sending an event and waiting for its reply.
 *
 * The wait can be interrupted by any signal, so that the VMM can stop the vCPU,
 * a debugger can trace it and the freezer can freeze it. The instruction then
 * did not happen. The event remains under way: when the vCPU is run again, it
 * first waits for the reply, and when the instruction executes again and raises
 * the same event, it gets that reply instead of sending a second event.
 */

#include <linux/jiffies.h>
#include <linux/sched/signal.h>

#include "kvmi_int.h"
#include <trace/events/kvmi.h>

struct kvmi_event_msg {
	struct kvmi_msg_hdr hdr;
	struct kvmi_event event;
	u8 data[];
};

/* True if the tool wants to hear of @id from this vCPU. vCPU thread only. */
bool kvmi_vcpu_event_enabled(struct kvm_vcpu *vcpu, u8 id)
{
	return test_bit(id, vcpu->introspection->events) &&
	       kvmi_event_allowed(vcpu->kvm->introspection, id) &&
	       kvmi_vcpu_in_session(vcpu);
}

/* Hands the reply to the sender of the event and arms what comes with it. */
static int kvmi_take_reply(struct kvm_vcpu *vcpu, struct kvmi_pending_event *ev,
			   void *reply)
{
	const struct kvmi_event_desc *desc = kvmi_find_event(ev->id);
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;

	if (reply)
		memcpy(reply, ev->reply, desc->reply_size);

	if (ev->set_regs) {
		vcpui->regs = ev->regs;
		vcpui->regs_rip = ev->at.rip;
		vcpui->set_regs = true;
	}
	if (ev->action == KVMI_EVENT_ACTION_CRASH)
		vcpui->crash = true;
	if (vcpui->set_regs || vcpui->crash)
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);

	ev->state = KVMI_EVENT_NONE;
	return ev->action;
}

/* Whether the vCPU is where the event happened, which userspace may change. */
static bool kvmi_same_place(struct kvm_vcpu *vcpu,
			    const struct kvmi_pending_event *ev)
{
	struct kvm_regs regs;

	kvmi_arch_get_regs(vcpu, &regs);
	return !memcmp(&ev->at, &regs, sizeof(regs));
}

static bool kvmi_same_event(struct kvm_vcpu *vcpu,
			    const struct kvmi_pending_event *ev, u8 id,
			    const void *data, size_t size)
{
	return ev->id == id && !memcmp(ev->data, data, size) &&
	       kvmi_same_place(vcpu, ev);
}

/* Drops a reply whose question may not come again. */
void kvmi_vcpu_event_forget(struct kvm_vcpu *vcpu)
{
	vcpu->introspection->kept.state = KVMI_EVENT_NONE;
}

static int kvmi_send_event(struct kvm_vcpu *vcpu, u8 id, const void *data,
			   size_t size)
{
	struct kvm_introspection *kvmi = vcpu->kvm->introspection;
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	struct kvmi_pending_event *ev = &vcpui->event;
	struct kvmi_event_msg *msg = vcpui->tx;
	int r;

	memset(msg, 0, sizeof(*msg));
	msg->hdr.id = KVMI_EVENT;
	msg->hdr.size = sizeof(msg->event) + size;
	msg->event.size = sizeof(msg->event);
	msg->event.vcpu = vcpu->vcpu_idx;
	msg->event.event = id;
	kvmi_arch_fill_event(vcpu, &msg->event.arch);
	memcpy(msg->data, data, size);

	/* Now, for the tool may reply before this thread runs again. */
	kvmi_reader_guess(vcpu);
	kvmi_reader_take(vcpu);
	r = kvmi_socket_send_event(kvmi, vcpui->epoch, msg, sizeof(*msg) + size);
	if (r) {
		kvmi_reader_hand_back(vcpu);
		return r;
	}

	trace_kvmi_event(vcpu, kvmi_find_event(id)->name, msg->hdr.seq);
	kvmi_forget_reply(kvmi);

	ev->seq = msg->hdr.seq;
	ev->id = id;
	ev->discard = false;
	ev->set_regs = false;
	ev->at = msg->event.arch.regs;
	memcpy(ev->data, data, size);
	ev->state = KVMI_EVENT_SENT;
	return 0;
}

/*
 * Waits for the reply to the event under way and serves commands meanwhile.
 * Returns 0 when the reply is in, -EINTR on a signal and -ENOTCONN when the
 * session is over.
 */
int kvmi_vcpu_event_wait(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	unsigned long start = jiffies;
	int r = 0;

	while (!r) {
		if (!kvmi_vcpu_in_session(vcpu)) {
			vcpui->event.state = KVMI_EVENT_NONE;
			r = -ENOTCONN;
			break;
		}
		if (kvmi_has_jobs(vcpu)) {
			/* They may take long. */
			kvmi_reader_hand_back(vcpu);
			kvmi_run_jobs(vcpu);
		}
		if (vcpui->event.state == KVMI_EVENT_REPLIED)
			break;
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}

		/* A memslot update must not wait for the tool. */
		kvm_vcpu_srcu_read_unlock(vcpu);
		r = kvmi_reader_wait(vcpu);
		kvm_vcpu_srcu_read_lock(vcpu);
	}

	kvmi_reader_hand_back(vcpu);
	if (time_after(jiffies, start + HZ))
		kvmi_arch_guest_was_stopped(vcpu);
	return r;
}

/*
 * Sends event @id with @data and waits for the reply, in sizes of the event
 * table. On the vCPU thread, with kvm->srcu held, which is dropped and retaken.
 *
 * Returns the action, with the reply's data in @reply, or -EINTR: the
 * instruction must not happen and will execute again, or -ENOTCONN: nobody is
 * there to decide, the guest goes on. After KVMI_EVENT_ACTION_CRASH the vCPU
 * leaves the run loop before it enters the guest.
 */
int kvmi_vcpu_event(struct kvm_vcpu *vcpu, u8 id, const void *data, void *reply)
{
	const struct kvmi_event_desc *desc = kvmi_find_event(id);
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	struct kvmi_pending_event *kept = &vcpui->kept;
	int r;

	if (kept->state == KVMI_EVENT_REPLIED) {
		if (kvmi_same_event(vcpu, kept, id, data, desc->data_size))
			return kvmi_take_reply(vcpu, kept, reply);
		/* Something else came first: the reply has no question. */
		if (!desc->of_run_loop)
			kvmi_vcpu_event_forget(vcpu);
	}

	/*
	 * __kvmi_pre_run() waits for the last reply before the guest runs. Only the
	 * emulator goes on without, until it leaves an instruction of several parts.
	 */
	if (vcpui->event.state != KVMI_EVENT_NONE) {
		WARN_ON_ONCE(!vcpui->event.discard);
		return -ENOTCONN;
	}

	if (kvmi_send_event(vcpu, id, data, desc->data_size))
		return -ENOTCONN;

	r = kvmi_vcpu_event_wait(vcpu);
	if (r == -EINTR)
		kvm_make_request(KVM_REQ_INTROSPECTION, vcpu);
	return r ?: kvmi_take_reply(vcpu, &vcpui->event, reply);
}

/*
 * The reply to an interrupted event is in. Deal with it, or keep it until the
 * instruction has executed again.
 */
void kvmi_vcpu_event_resume(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	struct kvmi_pending_event *ev = &vcpui->event;

	/* These registers are for a guest that the VMM has put elsewhere. */
	if (!kvmi_same_place(vcpu, ev))
		ev->set_regs = false;

	if (kvmi_find_event(ev->id)->of_run_loop ||
	    ev->action == KVMI_EVENT_ACTION_CRASH) {
		kvmi_take_reply(vcpu, ev, NULL);
		return;
	}
	if (!ev->discard)
		vcpui->kept = *ev;
	ev->state = KVMI_EVENT_NONE;
}

/* The instruction of the interrupted event happened and will not execute again. */
void kvmi_vcpu_event_discard(struct kvm_vcpu *vcpu)
{
	vcpu->introspection->event.discard = true;
}

/* Stores the reply's own data, too, before they are looked at as a whole. */
static bool kvmi_store_reply(struct kvmi_pending_event *ev,
			     const struct kvmi_msg_hdr *hdr,
			     const struct kvmi_event_reply *reply, size_t size)
{
	const struct kvmi_event_desc *desc;

	if (ev->state != KVMI_EVENT_SENT || hdr->seq != ev->seq)
		return false;

	desc = kvmi_find_event(ev->id);
	size -= sizeof(*reply);
	if (size > desc->reply_size || reply->padding1 || reply->padding2 ||
	    reply->action >= BITS_PER_TYPE(desc->actions) ||
	    !(desc->actions & BIT(reply->action)))
		return false;

	memcpy(ev->reply, reply + 1, size);
	memset(ev->reply + size, 0, desc->reply_size - size);
	return !desc->reply_is_valid || desc->reply_is_valid(ev->reply);
}

/* @reply is a &struct kvmi_event_reply and what follows it. */
void kvmi_vcpu_event_reply(struct kvm_vcpu *vcpu, const struct kvmi_msg_hdr *hdr,
			   const void *reply, size_t size)
{
	struct kvm_introspection *kvmi = vcpu->kvm->introspection;
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	struct kvmi_pending_event *ev = &vcpui->event;
	const struct kvmi_event_reply *common = reply;

	if (!kvmi_store_reply(ev, hdr, common, size)) {
		kvmi_warn(kvmi, "event reply %u does not fit what vCPU %d waits for, closing the connection\n",
			  hdr->seq, vcpu->vcpu_idx);
		kvmi_socket_shutdown(kvmi, vcpui->epoch);
		return;
	}

	trace_kvmi_event_reply(vcpu, hdr->seq, common->action);

	ev->action = common->action;
	ev->state = KVMI_EVENT_REPLIED;
}

/*
 * Sends an event of the VM. Returns 0, or -ENOENT if the tool does not want it or
 * is gone.
 */
int kvmi_vm_event(struct kvm_introspection *kvmi, u8 id)
{
	struct kvmi_event_msg msg = {
		.hdr.id = KVMI_EVENT,
		.hdr.size = sizeof(msg.event),
		.event.size = sizeof(msg.event),
		.event.event = id,
	};

	lockdep_assert_held(&kvmi->mutex);

	if (!test_bit(id, kvmi->vm_events))
		return -ENOENT;
	if (kvmi_socket_send_event(kvmi, kvmi->epoch, &msg, sizeof(msg)))
		return -ENOENT;
	return 0;
}

/* Tells that the command @cmd, which is not replied to, failed. @tx is scratch. */
void kvmi_vm_event_cmd_error(struct kvm_introspection *kvmi, u32 epoch,
			     const struct kvmi_msg_hdr *cmd, int err, void *tx)
{
	const struct kvmi_vm_event_cmd_error data = {
		.err = err,
		.msg_seq = cmd->seq,
		.msg_id = cmd->id,
	};
	struct kvmi_event_msg *msg = tx;

	if (!kvmi_event_allowed(kvmi, KVMI_VM_EVENT_CMD_ERROR))
		return;

	memset(msg, 0, sizeof(*msg));
	msg->hdr.id = KVMI_EVENT;
	msg->hdr.size = sizeof(msg->event) + sizeof(data);
	msg->event.size = sizeof(msg->event);
	msg->event.event = KVMI_VM_EVENT_CMD_ERROR;
	memcpy(msg->data, &data, sizeof(data));
	kvmi_socket_send_event(kvmi, epoch, msg, sizeof(*msg) + sizeof(data));
}
