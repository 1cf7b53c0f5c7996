// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: the receiving thread, and a vCPU in its place. Reads a message,
 * checks it against the tables, runs it or queues it. Decides alone whether a
 * connection has to end; what a command's handler returns is a reply.
 */

#include <linux/kthread.h>
#include <linux/net.h>

#include "kvmi_int.h"
#include <trace/events/kvmi.h>

struct kvmi_reply_msg {
	struct kvmi_msg_hdr hdr;
	struct kvmi_error_code ec;
	u8 data[];
};

static int kvmi_reply(struct kvm_introspection *kvmi, u32 epoch,
		      const struct kvmi_msg_hdr *hdr, int err,
		      struct kvmi_reply_msg *msg, size_t size)
{
	if (err)
		size = 0;

	msg->hdr.id = hdr->id;
	msg->hdr.seq = hdr->seq;
	msg->hdr.size = sizeof(msg->ec) + size;
	msg->ec.err = err;
	msg->ec.padding = 0;
	return kvmi_socket_send(kvmi, epoch, msg, sizeof(*msg) + size);
}

/* A lost connection shows at the receiver. */
static void kvmi_answer(struct kvm_introspection *kvmi, u32 epoch,
			enum kvmi_answer answer, const struct kvmi_msg_hdr *hdr,
			int err, void *tx, size_t size)
{
	if (answer == KVMI_ANSWER_REPLY)
		kvmi_reply(kvmi, epoch, hdr, err, tx, size);
	else if (err && (answer == KVMI_ANSWER_ERROR ||
			 test_bit(KVMI_VM_EVENT_CMD_ERROR, kvmi->vm_events)))
		kvmi_vm_event_cmd_error(kvmi, epoch, hdr, err, tx);
}

/* Runs @cmd and answers it. */
void kvmi_call_and_reply(struct kvm_introspection *kvmi, u32 epoch,
			 const struct kvmi_command *cmd,
			 const struct kvmi_msg_hdr *hdr,
			 struct kvmi_call *call, void *tx)
{
	struct kvmi_reply_msg *msg = tx;
	int err;

	call->rpl = msg->data;
	call->rpl_size = cmd->rpl_size;
	memset(msg->data, 0, cmd->rpl_size);

	err = cmd->handler(call);
	trace_kvmi_command(call->vcpu, cmd->name, hdr->seq, err);

	kvmi_answer(kvmi, epoch, call->answer, hdr, err, msg, call->rpl_size);
}

static bool kvmi_padding_is_zero(const u8 *req, u64 mask)
{
	while (mask) {
		if (req[__ffs64(mask)])
			return false;
		mask &= mask - 1;
	}
	return true;
}

struct kvm_vcpu *kvmi_find_vcpu(struct kvm *kvm, const struct kvmi_vcpu_hdr *hdr)
{
	if (hdr->padding1 || hdr->padding2)
		return NULL;
	/* kvm_get_vcpu() returns another vCPU for an index out of range. */
	if (hdr->vcpu >= atomic_read(&kvm->online_vcpus))
		return NULL;
	return kvm_get_vcpu(kvm, hdr->vcpu);
}

/*
 * Splits a message into its vCPU header, if it has one, and the request after it,
 * both zero extended.
 */
static void kvmi_split_request(struct kvm_introspection *kvmi,
			       const struct kvmi_command *cmd, const void *body,
			       size_t size, struct kvmi_vcpu_hdr *vcpu_hdr,
			       struct kvmi_call *call)
{
	size_t part = 0;

	if (cmd->scope != KVMI_SCOPE_VM) {
		part = min(size, sizeof(*vcpu_hdr));
		memcpy(vcpu_hdr, body, part);
	}

	call->req = body + part;
	call->req_size = size - part;
	if (call->req_size < cmd->req_size) {
		/* Not in place: the next message may follow. */
		memset(kvmi->req, 0, cmd->req_size);
		memcpy(kvmi->req, call->req, call->req_size);
		call->req = kvmi->req;
	}
}

/* Checks a command and fills in @call. Returns 0 or the error to be replied. */
static int kvmi_check_command(struct kvm_introspection *kvmi,
			      const struct kvmi_command *cmd,
			      const struct kvmi_msg_hdr *hdr, const void *body,
			      struct kvmi_call *call)
{
	struct kvmi_vcpu_hdr vcpu_hdr = { };

	if (!cmd)
		return -KVM_ENOSYS;
	if (!kvmi_command_allowed(kvmi, hdr->id))
		return -KVM_EPERM;
	/* The VM may have become a protected one since it was hooked. */
	if (!cmd->always && !kvmi_vm_supported(kvmi->kvm))
		return -KVM_EOPNOTSUPP;

	kvmi_split_request(kvmi, cmd, body, hdr->size, &vcpu_hdr, call);
	if (!kvmi_padding_is_zero(call->req, cmd->req_pad))
		return -KVM_EINVAL;

	if (cmd->scope != KVMI_SCOPE_VM) {
		call->vcpu = kvmi_find_vcpu(kvmi->kvm, &vcpu_hdr);
		if (!call->vcpu)
			return -KVM_EINVAL;
	} else if (cmd->needs_vcpu && cmd->needs_vcpu(kvmi->kvm)) {
		if (!atomic_read(&kvmi->kvm->online_vcpus))
			return -KVM_EAGAIN;
		call->vcpu = kvm_get_vcpu(kvmi->kvm, 0);
	}
	return 0;
}

/*
 * Commands that run on the receiver can take long, and a signal does not end them:
 * -EBUSY leaves them to it when @reader, a vCPU, has read one.
 */
static int kvmi_receive_command(struct kvm_introspection *kvmi,
				struct kvm_vcpu *reader,
				const struct kvmi_msg_hdr *hdr, const void *body)
{
	const struct kvmi_command *cmd = kvmi_find_command(hdr->id);
	struct kvmi_call call = { .kvm = kvmi->kvm, .answer = kvmi->answer };
	bool run_here;
	int err;

	err = kvmi_check_command(kvmi, cmd, hdr, body, &call);
	run_here = !err && (!call.vcpu || cmd->scope == KVMI_SCOPE_VCPU_RECEIVER);
	if (run_here && reader)
		return -EBUSY;

	kvmi->kvm->stat.kvmi_commands++;
	if (run_here) {
		WRITE_ONCE(kvmi->rx_calls, kvmi->rx_calls + 1);
		kvmi_call_and_reply(kvmi, kvmi->epoch, cmd, hdr, &call, kvmi->tx);
		return 0;
	}

	if (!err)
		err = kvmi_queue_command(call.vcpu, cmd, hdr, call.req,
					 call.req_size, call.answer);
	if (err) {
		trace_kvmi_command(call.vcpu, cmd ? cmd->name : "unknown",
				   hdr->seq, err);
		kvmi_answer(kvmi, kvmi->epoch, call.answer, hdr, err, kvmi->tx, 0);
	}
	return 0;
}

static int kvmi_receive_reply(struct kvm_introspection *kvmi,
			      struct kvm_vcpu *reader,
			      const struct kvmi_msg_hdr *hdr, const void *body)
{
	const struct kvmi_vcpu_hdr *vcpu_hdr = body;
	struct kvm_vcpu *vcpu;
	size_t size;

	if (hdr->size < sizeof(*vcpu_hdr) + sizeof(struct kvmi_event_reply))
		return -EPROTO;

	vcpu = kvmi_find_vcpu(kvmi->kvm, vcpu_hdr);
	if (!vcpu)
		return -EPROTO;

	kvmi->kvm->stat.kvmi_event_replies++;
	size = hdr->size - sizeof(*vcpu_hdr);
	if (vcpu != reader)
		return kvmi_queue_reply(vcpu, hdr, vcpu_hdr + 1, size);

	/* It has no jobs that it would overtake. */
	kvmi_vcpu_event_reply(vcpu, hdr, vcpu_hdr + 1, size);
	return 0;
}

static int kvmi_receive_body(struct kvm_introspection *kvmi,
			     struct kvm_vcpu *reader,
			     const struct kvmi_msg_hdr *hdr, const void *body)
{
	int r;

	if (hdr->id != KVMI_VCPU_EVENT_REPLY)
		return kvmi_receive_command(kvmi, reader, hdr, body);

	r = kvmi_receive_reply(kvmi, reader, hdr, body);
	if (r)
		kvmi_warn(kvmi, "event reply %u is malformed, closing the connection\n",
			  hdr->seq);
	return r;
}

/*
 * Reads and processes one message; @reader is the vCPU that does it, NULL on the
 * receiver. Returns -EAGAIN if there is none, -EBUSY if it is left to the receiver,
 * and another error if the connection has to end.
 */
int kvmi_receive(struct kvm_introspection *kvmi, struct kvm_vcpu *reader)
{
	struct kvmi_msg_hdr hdr;
	int r;

	/* What was sent before a shutdown can still be read, but not run. */
	if (READ_ONCE(kvmi->closing_epoch) == kvmi->epoch)
		return -ESHUTDOWN;

	r = kvmi_socket_receive(kvmi, sizeof(hdr));
	if (r)
		return r;

	memcpy(&hdr, kvmi->rx + kvmi->rx_pos, sizeof(hdr));
	if (hdr.size > KVMI_MAX_MSG_SIZE) {
		kvmi_warn(kvmi, "message %u of %u bytes is too large, closing the connection\n",
			  hdr.id, hdr.size);
		return -EMSGSIZE;
	}

	r = kvmi_socket_receive(kvmi, sizeof(hdr) + hdr.size);
	if (r)
		return r;

	r = kvmi_receive_body(kvmi, reader, &hdr,
			      kvmi->rx + kvmi->rx_pos + sizeof(hdr));
	if (r)
		return r;

	kvmi->rx_pos += sizeof(hdr) + hdr.size;
	/* Nothing unread: start anew, so that the next message needs no move. */
	if (kvmi->rx_pos == kvmi->rx_end) {
		kvmi->rx_pos = 0;
		kvmi->rx_end = 0;
	}
	return 0;
}

/* All that is there, on the receiver. Returns an error if the connection has to end. */
static int kvmi_receive_all(struct kvm_introspection *kvmi)
{
	int r;

	mutex_lock(&kvmi->rx_mutex);
	/* A full barrier: see reader.c. */
	xchg(&kvmi->rx_ready, false);
	do {
		r = kthread_should_stop() ? -ESHUTDOWN : kvmi_receive(kvmi, NULL);
		cond_resched();
	} while (!r);
	mutex_unlock(&kvmi->rx_mutex);
	return r == -EAGAIN ? 0 : r;
}

/*
 * The session is over: let go of the socket, so that nothing which the tool put
 * into it outlives the connection, and of all vCPUs. On the receiver, or when it
 * did not and will not run.
 */
void kvmi_release(struct kvm_introspection *kvmi)
{
	struct socket *sock = kvmi->sock;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	if (!sock)
		return;

	kernel_sock_shutdown(sock, SHUT_RDWR);

	/* No vCPU reads now, nor does later: it looks for its session first. */
	mutex_lock(&kvmi->rx_mutex);
	/* The tool would take what is left unread for a reset of the connection. */
	kvmi_socket_drop(kvmi);
	kvmi_socket_detach(kvmi);
	spin_lock(&kvmi->sock_lock);
	WRITE_ONCE(kvmi->sock, NULL);
	spin_unlock(&kvmi->sock_lock);
	mutex_unlock(&kvmi->rx_mutex);
	sockfd_put(sock);

	kvmi_mem_end(kvmi);
	kvmi_page_access_reset(kvmi);

	/* A vCPU created from here on has nothing of this session. */
	kvm_for_each_vcpu(i, vcpu, kvmi->kvm) {
		kvmi_purge_jobs(vcpu);
		kvmi_kick(vcpu);
	}
}

int kvmi_receiver(void *arg)
{
	struct kvm_introspection *kvmi = arg;

	while (!kvmi_receive_all(kvmi))
		kvmi_reader_sleep(kvmi);

	kvmi_release(kvmi);

	/* UNHOOK and the destruction of the VM end the thread. */
	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}
