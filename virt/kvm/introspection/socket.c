// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: the transport. Everything that knows of a socket is here.
 */

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "kvmi_int.h"

/*
 * How long a tool may leave its end of a full connection unread. Within it a
 * vCPU that has something to send does not return to userspace.
 */
#define KVMI_SEND_TIMEOUT	(5 * HZ)

/* Returns a socket for kvm_introspection.sock, with its own reference. */
struct socket *kvmi_socket_get(int fd)
{
	struct socket *sock;
	int err;

	sock = sockfd_lookup(fd, &err);
	if (!sock)
		return ERR_PTR(-EINVAL);

	if (sock->type != SOCK_STREAM ||
	    READ_ONCE(sock->sk->sk_state) != TCP_ESTABLISHED) {
		sockfd_put(sock);
		return ERR_PTR(-EINVAL);
	}

	return sock;
}

/* What concerns a reader. */
#define KVMI_POLL_READ	(EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/*
 * The reader sleeps elsewhere and is woken from here, for two reasons: who it is can
 * change while it sleeps, and a tool that takes an event out of the socket does not
 * wake it, for the room that this makes is for senders.
 */
static int kvmi_socket_ready(struct wait_queue_entry *entry, unsigned int mode,
			     int sync, void *key)
{
	struct kvm_introspection *kvmi =
		container_of(entry, struct kvm_introspection, rx_entry);

	/* Without a key it can be anything, such as the end. */
	if (!key || key_to_poll(key) & KVMI_POLL_READ)
		kvmi_reader_wake(kvmi);
	return 0;
}

/* From now on, until kvmi_socket_detach(), @sock wakes the reader. */
void kvmi_socket_attach(struct kvm_introspection *kvmi, struct socket *sock)
{
	init_waitqueue_func_entry(&kvmi->rx_entry, kvmi_socket_ready);
	add_wait_queue(sk_sleep(sock->sk), &kvmi->rx_entry);
}

void kvmi_socket_detach(struct kvm_introspection *kvmi)
{
	remove_wait_queue(sk_sleep(kvmi->sock->sk), &kvmi->rx_entry);
}

/* Returns the session's socket with a reference, or NULL if it is over. */
static struct socket *kvmi_socket_pin(struct kvm_introspection *kvmi, u32 epoch)
{
	struct socket *sock = NULL;

	spin_lock(&kvmi->sock_lock);
	if (kvmi->sock && kvmi->epoch == epoch) {
		sock = kvmi->sock;
		get_file(sock->file);
	}
	spin_unlock(&kvmi->sock_lock);
	return sock;
}

static int kvmi_socket_read(struct kvm_introspection *kvmi, void *buf, size_t size,
			    int flags)
{
	struct socket *sock = kvmi->sock;
	struct kvec vec = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = { };
	const struct cred *cred;
	int r;

	/* A vCPU thread need not have the rights of who opened the socket. */
	cred = override_creds(sock->file->f_cred);
	r = kernel_recvmsg(sock, &msg, &vec, 1, size, flags | MSG_DONTWAIT);
	revert_creds(cred);
	return r ?: -EPIPE;
}

/*
 * Reads a message of @size bytes at most into @buf, but leaves it in the socket until
 * kvmi_socket_drop(). Taking it out would wake a tool that sleeps in recv(), for the
 * room this makes; put off until the next event wakes it anyway, it costs nothing.
 * Returns the number of bytes, or a negative error.
 */
int kvmi_socket_peek(struct kvm_introspection *kvmi, void *buf, size_t size)
{
	lockdep_assert_held(&kvmi->rx_mutex);

	kvmi_socket_drop(kvmi);
	return kvmi_socket_read(kvmi, buf, size, MSG_PEEK);
}

void kvmi_socket_drop(struct kvm_introspection *kvmi)
{
	u8 seen[64];
	int r;

	lockdep_assert_held(&kvmi->rx_mutex);

	while (kvmi->rx_seen) {
		r = kvmi_socket_read(kvmi, seen, min(kvmi->rx_seen, sizeof(seen)), 0);
		/* An error shows again when the next message is read. */
		kvmi->rx_seen -= r < 0 ? kvmi->rx_seen : r;
	}
}

/*
 * Makes at least @size unread bytes available at kvmi->rx + kvmi->rx_pos, and as many
 * more as there are, so that a short message takes one call into the socket. Returns
 * -EAGAIN if there are less: what did come is kept, for whoever reads next.
 */
int kvmi_socket_receive(struct kvm_introspection *kvmi, size_t size)
{
	int r;

	lockdep_assert_held(&kvmi->rx_mutex);

	kvmi_socket_drop(kvmi);

	/* Messages have no alignment in the stream, but structures in memory do. */
	if (kvmi->rx_pos + size > KVMI_MAX_MSG ||
	    !IS_ALIGNED(kvmi->rx_pos, sizeof(u64))) {
		memmove(kvmi->rx, kvmi->rx + kvmi->rx_pos,
			kvmi->rx_end - kvmi->rx_pos);
		kvmi->rx_end -= kvmi->rx_pos;
		kvmi->rx_pos = 0;
	}

	while (kvmi->rx_end - kvmi->rx_pos < size) {
		r = kvmi_socket_read(kvmi, kvmi->rx + kvmi->rx_end,
				     KVMI_MAX_MSG - kvmi->rx_end, 0);
		if (r < 0)
			return r;
		kvmi->rx_end += r;
	}
	return 0;
}

/* Whether anything is unread: bytes of any number, or the end. */
bool kvmi_socket_has_more(struct kvm_introspection *kvmi)
{
	struct socket *sock = kvmi->sock;
	__poll_t events = KVMI_POLL_READ;

	lockdep_assert_held(&kvmi->rx_mutex);

	if (kvmi->rx_pos != kvmi->rx_end)
		return true;

	/*
	 * What was only looked at was all that there is, unless it ends where sockets do
	 * not join data, such as before another sender's.
	 */
	if (kvmi->rx_seen) {
		if (skb_queue_len_lockless(&sock->sk->sk_receive_queue) > 1)
			return true;
		events &= ~EPOLLIN;
	}
	return sock->ops->poll(sock->file, sock, NULL) & events;
}

/* Before the current thread sleeps on its way to sending something. */
static void kvmi_stop_reading(void)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();

	if (vcpu)
		kvmi_reader_hand_back(vcpu);
}

/* Sockets wake interruptible sleepers only; this one is not. */
static int kvmi_socket_wake(struct wait_queue_entry *wait, unsigned int mode,
			    int sync, void *key)
{
	return woken_wake_function(wait, TASK_NORMAL, sync, key);
}

/*
 * Waits until @sock takes more data. Woken by the tool that reads, by a shutdown
 * and by a fatal signal. Other signals must wait, because half a message is out
 * already or the reply to a job would be lost.
 */
static int kvmi_socket_wait_writable(struct socket *sock, unsigned long deadline)
{
	DEFINE_WAIT_FUNC(wait, kvmi_socket_wake);
	long timeout;
	int r = 0;

	/* The tool may want to be heard before it listens. */
	kvmi_stop_reading();
	add_wait_queue(sk_sleep(sock->sk), &wait);
	while (!(sock->ops->poll(sock->file, sock, NULL) &
		 (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		if (fatal_signal_pending(current)) {
			r = -EINTR;
			break;
		}
		timeout = deadline - jiffies;
		if (timeout <= 0) {
			r = -ETIMEDOUT;
			break;
		}
		wait_woken(&wait, TASK_KILLABLE, timeout);
	}
	remove_wait_queue(sk_sleep(sock->sk), &wait);
	return r;
}

static int kvmi_socket_write(struct socket *sock, unsigned long deadline,
			     void *buf, size_t size)
{
	struct kvec vec = { .iov_base = buf, .iov_len = size };
	int r;

	for (;;) {
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };

		r = kernel_sendmsg(sock, &msg, &vec, 1, vec.iov_len);
		if (r == vec.iov_len)
			return 0;
		if (r > 0) {
			vec.iov_base += r;
			vec.iov_len -= r;
			continue;
		}
		if (r != -EAGAIN)
			return r ?: -EPIPE;

		r = kvmi_socket_wait_writable(sock, deadline);
		if (r)
			return r;
	}
}

static int __kvmi_socket_send(struct kvm_introspection *kvmi, u32 epoch,
			      unsigned long deadline, void *buf, size_t size)
{
	const struct cred *cred;
	struct socket *sock;
	int r;

	lockdep_assert_held(&kvmi->send_mutex);

	sock = kvmi_socket_pin(kvmi, epoch);
	if (!sock)
		return -ENOTCONN;

	/* As in kvmi_socket_read(). */
	cred = override_creds(sock->file->f_cred);
	r = kvmi_socket_write(sock, deadline, buf, size);
	revert_creds(cred);
	if (r) {
		/* Part of a message may be out: nothing can follow it. */
		if (r == -ETIMEDOUT)
			kvmi_warn(kvmi, "the tool does not read, closing the connection\n");
		kvmi_socket_shutdown(kvmi, epoch);
	}
	sockfd_put(sock);
	return r;
}

/*
 * Sends a whole message or ends the session. May sleep; the time that others take
 * to send theirs counts.
 */
int kvmi_socket_send(struct kvm_introspection *kvmi, u32 epoch,
		     void *buf, size_t size)
{
	unsigned long deadline = jiffies + KVMI_SEND_TIMEOUT;
	int r;

	mutex_lock(&kvmi->send_mutex);
	r = __kvmi_socket_send(kvmi, epoch, deadline, buf, size);
	mutex_unlock(&kvmi->send_mutex);
	return r;
}

/* The same for an event, which gets its number here, in the order of sending. */
int kvmi_socket_send_event(struct kvm_introspection *kvmi, u32 epoch,
			   void *buf, size_t size)
{
	unsigned long deadline = jiffies + KVMI_SEND_TIMEOUT;
	struct kvmi_msg_hdr *hdr = buf;
	int r;

	if (!mutex_trylock(&kvmi->send_mutex)) {
		kvmi_stop_reading();
		mutex_lock(&kvmi->send_mutex);
	}
	hdr->seq = kvmi->event_seq + 1;
	r = __kvmi_socket_send(kvmi, epoch, deadline, buf, size);
	if (!r) {
		kvmi->event_seq++;
		kvmi->kvm->stat.kvmi_events++;
	}
	mutex_unlock(&kvmi->send_mutex);
	return r;
}

/*
 * Ends the session of @epoch, if it goes on: the receiver and every sender
 * return, and no command is run that is still in the socket. Does not wait.
 */
void kvmi_socket_shutdown(struct kvm_introspection *kvmi, u32 epoch)
{
	struct socket *sock = kvmi_socket_pin(kvmi, epoch);

	if (!sock)
		return;

	WRITE_ONCE(kvmi->closing_epoch, epoch);
	kernel_sock_shutdown(sock, SHUT_RDWR);
	sockfd_put(sock);
}
