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

	/* A time limit left from the VMM's handshake is not for an idle tool. */
	WRITE_ONCE(sock->sk->sk_rcvtimeo, MAX_SCHEDULE_TIMEOUT);
	return sock;
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

/*
 * Makes at least @size unread bytes available at kvmi->rx + kvmi->rx_pos, and as many
 * more as there are, so that a short message takes one call into the socket. For the
 * receiver, which holds the socket.
 */
int kvmi_socket_receive(struct kvm_introspection *kvmi, size_t size)
{
	struct msghdr msg = { };
	struct kvec vec;
	int r;

	/* Messages have no alignment in the stream, but structures in memory do. */
	if (kvmi->rx_pos + size > KVMI_MAX_MSG ||
	    !IS_ALIGNED(kvmi->rx_pos, sizeof(u64))) {
		memmove(kvmi->rx, kvmi->rx + kvmi->rx_pos,
			kvmi->rx_end - kvmi->rx_pos);
		kvmi->rx_end -= kvmi->rx_pos;
		kvmi->rx_pos = 0;
	}

	while (kvmi->rx_end - kvmi->rx_pos < size) {
		vec.iov_base = kvmi->rx + kvmi->rx_end;
		vec.iov_len = KVMI_MAX_MSG - kvmi->rx_end;
		r = kernel_recvmsg(kvmi->sock, &msg, &vec, 1, vec.iov_len, 0);
		if (r <= 0)
			return r ?: -EPIPE;
		kvmi->rx_end += r;
	}
	return 0;
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

	/* A vCPU thread need not have the rights of who opened the socket. */
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

	mutex_lock(&kvmi->send_mutex);
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
