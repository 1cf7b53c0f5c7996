// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: who is woken by the socket, and reads it.
 *
 * Normally the receiver. From sending an event until its reply is in, a vCPU is the
 * reader, so that the reply does not need another thread on its way. There is one
 * reader at a time. A vCPU hands back before it runs jobs or has to wait for anything
 * else than a message, and what only the receiver can do.
 *
 * kvmi->rx_ready tells that somebody has to read. It is set, with a full barrier,
 * before kvmi->reader is looked at to find out whom to wake; it is cleared, with a
 * full barrier, before the socket is read. So no message gets lost:
 *
 *   - data that come while somebody reads set it again, or are read;
 *   - data that come while the reader changes: who becomes the reader looks at it
 *     afterwards and before it sleeps, and who hands back looks at it afterwards and
 *     wakes the receiver. Either that look finds it set, or the socket, which sets
 *     it later, finds the new reader.
 */

#include <linux/kthread.h>
#include <linux/rcuwait.h>
#include <linux/sched/signal.h>

#include "kvmi_int.h"

/*
 * There is something to read, or the connection has ended. From the socket with the
 * lock of its wait queue held, in any context.
 */
void kvmi_reader_wake(struct kvm_introspection *kvmi)
{
	struct kvm_vcpu *vcpu;

	WRITE_ONCE(kvmi->rx_ready, true);
	/* Pairs with cmpxchg() below. */
	smp_mb();
	vcpu = READ_ONCE(kvmi->reader);
	rcuwait_wake_up(vcpu ? &vcpu->introspection->wait : &kvmi->rx_wait);
}

/* On the receiver: until it has to read or to stop. */
void kvmi_reader_sleep(struct kvm_introspection *kvmi)
{
	rcuwait_wait_event(&kvmi->rx_wait,
			   kthread_should_stop() ||
			   (READ_ONCE(kvmi->rx_ready) && !READ_ONCE(kvmi->reader)),
			   TASK_IDLE);
}

/*
 * Makes @vcpu, whose thread this is and which waits for an event reply or is about
 * to, the reader, if it can be.
 */
bool kvmi_reader_take(struct kvm_vcpu *vcpu)
{
	struct kvm_introspection *kvmi = vcpu->kvm->introspection;

	if (READ_ONCE(kvmi->reader) == vcpu)
		return true;

	/* What was left to the receiver is for it to read. */
	return vcpu->introspection->may_read && !READ_ONCE(kvmi->rx_ready) &&
	       !cmpxchg(&kvmi->reader, NULL, vcpu);
}

/* Messages for others would wait for a thread that lets everybody else go first. */
static bool kvmi_gives_way(void)
{
	return current->policy == SCHED_IDLE || task_nice(current) > 0;
}

/*
 * A tool that used commands of the VM, while it dealt with the last event, will do so
 * again. To hand each of them back is one switch of threads more than to leave the
 * socket to the receiver.
 */
void kvmi_reader_guess(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_introspection *vcpui = vcpu->introspection;
	u32 calls = READ_ONCE(vcpu->kvm->introspection->rx_calls);

	vcpui->may_read = calls == vcpui->rx_calls && !kvmi_gives_way();
	vcpui->rx_calls = calls;
}

/* No harm if @vcpu is not the reader. */
void kvmi_reader_hand_back(struct kvm_vcpu *vcpu)
{
	struct kvm_introspection *kvmi = vcpu->kvm->introspection;

	/* The next HOOK may have taken it back before. */
	if (READ_ONCE(kvmi->reader) == vcpu &&
	    cmpxchg(&kvmi->reader, vcpu, NULL) == vcpu &&
	    READ_ONCE(kvmi->rx_ready))
		rcuwait_wake_up(&kvmi->rx_wait);
}

/* What a vCPU that waits for an event reply has to get done before it goes on. */
static bool kvmi_is_busy(struct kvm_vcpu *vcpu)
{
	return vcpu->introspection->event.state != KVMI_EVENT_SENT ||
	       kvmi_has_jobs(vcpu) || signal_pending(current);
}

/*
 * The usual case: the reply to @vcpu's event is there, whole, and nothing else. Returns
 * false if it is not so, and nothing has happened.
 */
static bool kvmi_receive_own_reply(struct kvm_vcpu *vcpu)
{
	struct kvm_introspection *kvmi = vcpu->kvm->introspection;
	struct {
		struct kvmi_msg_hdr hdr;
		struct kvmi_vcpu_hdr vcpu;
		struct kvmi_event_reply reply;
		u8 data[KVMI_MAX_EVENT_REPLY];
		u8 more;
	} msg;
	int r;

	if (kvmi->rx_pos != kvmi->rx_end ||
	    READ_ONCE(kvmi->closing_epoch) == kvmi->epoch)
		return false;

	r = kvmi_socket_peek(kvmi, &msg, sizeof(msg));
	if (r < (int)offsetof(typeof(msg), data) || r == sizeof(msg) ||
	    msg.hdr.id != KVMI_VCPU_EVENT_REPLY || msg.hdr.size != r - sizeof(msg.hdr) ||
	    kvmi_find_vcpu(kvmi->kvm, &msg.vcpu) != vcpu)
		return false;

	kvmi->rx_seen = r;
	kvmi->kvm->stat.kvmi_event_replies++;
	kvmi_vcpu_event_reply(vcpu, &msg.hdr, &msg.reply,
			      msg.hdr.size - sizeof(msg.vcpu));
	return true;
}

/* On the vCPU of kvmi_receive_own_reply(), once the tool has the next event. */
void kvmi_forget_reply(struct kvm_introspection *kvmi)
{
	/* Otherwise who reads does it. */
	if (READ_ONCE(kvmi->rx_seen) && mutex_trylock(&kvmi->rx_mutex)) {
		if (kvmi->sock)
			kvmi_socket_drop(kvmi);
		mutex_unlock(&kvmi->rx_mutex);
	}
}

/*
 * On a vCPU that is the reader, in place of the receiver: until there is something to
 * do for the vCPU. What is not read or not for a vCPU to read is left to the receiver.
 */
static void kvmi_receive_on_vcpu(struct kvm_vcpu *vcpu)
{
	struct kvm_introspection *kvmi = vcpu->kvm->introspection;
	int r = 0;

	/* The receiver reads. Waiting for it could take longer than a signal may. */
	if (!mutex_trylock(&kvmi->rx_mutex))
		return;

	/* Jobs that have come first go first. */
	if (!kvmi_vcpu_in_session(vcpu) || kvmi_is_busy(vcpu))
		goto out_unlock;

	/* A full barrier, see above. */
	xchg(&kvmi->rx_ready, false);
	if (!kvmi_receive_own_reply(vcpu)) {
		do {
			r = kvmi_receive(kvmi, vcpu);
			cond_resched();
		} while (!r && !kvmi_is_busy(vcpu));
	}

	/* More of these are likely to follow. */
	if (r == -EBUSY)
		vcpu->introspection->may_read = false;
	if (r != -EAGAIN && (r || kvmi_socket_has_more(kvmi)))
		WRITE_ONCE(kvmi->rx_ready, true);
	/* The receiver finds it shut down, and ends the session. */
	if (r && r != -EAGAIN && r != -EBUSY)
		kvmi_socket_shutdown(kvmi, kvmi->epoch);
out_unlock:
	mutex_unlock(&kvmi->rx_mutex);
}

static bool kvmi_wait_is_over(struct kvm_vcpu *vcpu)
{
	return kvmi_has_jobs(vcpu) || !kvmi_vcpu_in_session(vcpu);
}

/*
 * Sleeps until @vcpu, which waits for an event reply, may have something to do, and
 * reads what comes if nobody else does. Returns 0, or -EINTR on a signal. On the vCPU
 * thread without kvm->srcu. Woken by kvmi_kick(), by the socket and by signals.
 */
int kvmi_reader_wait(struct kvm_vcpu *vcpu)
{
	struct kvm_introspection *kvmi = vcpu->kvm->introspection;
	bool reader = kvmi_reader_take(vcpu);
	int r;

	r = rcuwait_wait_event(&vcpu->introspection->wait,
			       kvmi_wait_is_over(vcpu) ||
			       (reader && READ_ONCE(kvmi->rx_ready)),
			       TASK_INTERRUPTIBLE);
	if (reader) {
		if (!r && READ_ONCE(kvmi->rx_ready))
			kvmi_receive_on_vcpu(vcpu);
		kvmi_reader_hand_back(vcpu);
	}
	return r;
}
