// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whole messages in and out, without ever blocking outside of poll(). */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* Milliseconds since some point in the past. */
int64_t kvmintro__now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The end of a wait of @timeout milliseconds, -1 for none. */
int64_t kvmintro__deadline(int timeout)
{
	return timeout < 0 ? -1 : kvmintro__now() + timeout;
}

/* End the connection because of @err, which is returned. */
int kvmintro__break(struct kvmintro *k, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(k->error, sizeof(k->error), fmt, args);
	va_end(args);

	kvmintro__disconnect(k);
	return err;
}

static int poll_until(struct pollfd *fds, nfds_t count, int64_t deadline)
{
	int64_t left;
	int r;

	do {
		left = -1;
		if (deadline >= 0) {
			left = deadline - kvmintro__now();
			if (left < 0)
				left = 0;
			if (left > INT_MAX)
				left = INT_MAX;
		}
		r = poll(fds, count, (int)left);
	} while (r < 0 && errno == EINTR);

	return r < 0 ? -errno : r;
}

/*
 * Wait for @events of @fd. Returns the events that are there, or an error. What
 * the socket still holds goes before the end of the VMM, and before a request
 * to cancel when nothing has to be waited for.
 */
int kvmintro__wait(struct kvmintro *k, int fd, short events, int64_t deadline)
{
	struct pollfd fds[] = {
		{ .fd = fd, .events = events },
		{ .fd = k->cancel_fd, .events = POLLIN },
		{ .fd = k->vmm_fd, .events = POLLIN },
	};
	int r = poll_until(fds, 3, deadline);

	if (r < 0)
		return kvmintro__fail(k, r, "poll: %s", strerror(-r));
	if (fds[0].revents)
		return fds[0].revents;
	if (fds[1].revents)
		return kvmintro__fail(k, -ECANCELED, "interrupted");
	if (fds[2].revents)
		return kvmintro__break(k, -ECONNRESET, "the VMM has ended");
	return kvmintro__fail(k, -ETIMEDOUT, "no answer in time");
}

/* Take in what the socket has, without waiting. 0: nothing was there. */
static int fill_buffer(struct kvmintro *k)
{
	ssize_t n;

	if (k->fill == sizeof(k->rx))
		return 0;
	do {
		n = recv(k->fd, k->rx + k->fill, sizeof(k->rx) - k->fill,
			 MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);

	if (n > 0) {
		k->fill += n;
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return kvmintro__break(k, -ECONNRESET, "the connection broke: %s",
				       strerror(errno));
	return kvmintro__break(k, -ECONNRESET,
			       "the connection was closed by the VMM or the kernel: the VM ended or was reset, another tool took it, or the kernel refused a message; see the VMM's messages and the kernel's log");
}

/* The first message of the buffer if it is complete, else NULL. */
const struct kvmi_msg_hdr *kvmintro__message(const struct kvmintro *k)
{
	const struct kvmi_msg_hdr *hdr = (const void *)k->rx;

	if (k->fill < sizeof(*hdr) || k->fill < sizeof(*hdr) + hdr->size)
		return NULL;
	return hdr;
}

/* Drop the first message. */
void kvmintro__consume(struct kvmintro *k)
{
	const struct kvmi_msg_hdr *hdr = (const void *)k->rx;
	size_t size = sizeof(*hdr) + hdr->size;

	k->fill -= size;
	memmove(k->rx, k->rx + size, k->fill);
}

/* Make sure that the buffer's first message can become complete. */
static int check_size(struct kvmintro *k)
{
	const struct kvmi_msg_hdr *hdr = (const void *)k->rx;

	if (k->fill >= sizeof(*hdr) && hdr->size > KVMI_MAX_MSG_SIZE)
		return kvmintro__break(k, -EPROTO,
				       "the kernel sent a message of %u bytes, more than the %zu of the protocol",
				       hdr->size, KVMI_MAX_MSG_SIZE);
	return 0;
}

/* Wait until the buffer starts with a complete message. */
int kvmintro__receive(struct kvmintro *k, int64_t deadline)
{
	int r;

	if (k->fd < 0)
		return kvmintro__fail(k, -ENOTCONN, "there is no connection");

	for (;;) {
		r = check_size(k);
		if (r < 0)
			return r;
		if (kvmintro__message(k))
			return 0;

		r = fill_buffer(k);
		if (r < 0)
			return r;
		if (r > 0)
			continue;

		r = kvmintro__wait(k, k->fd, POLLIN, deadline);
		if (r < 0)
			return r;
	}
}

/*
 * The kernel blocks while nobody reads its events, so a long send has to take
 * them in. What is not an event stays where it is.
 */
static int receive_meanwhile(struct kvmintro *k)
{
	int r = fill_buffer(k);

	while (r >= 0 && (r = check_size(k)) == 0 && kvmintro__message(k)) {
		r = kvmintro__sort(k);
		if (r <= 0)
			break;
	}
	return r < 0 ? r : 0;
}

int kvmintro__send(struct kvmintro *k, const void *data, size_t size)
{
	int64_t deadline = kvmintro__deadline(k->timeout);
	const uint8_t *p = data;
	short events;
	ssize_t n;
	int r;

	while (size) {
		n = send(k->fd, p, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			p += n;
			size -= n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return kvmintro__break(k, -ECONNRESET,
					       "the connection was closed by the VMM or the kernel: %s",
					       strerror(errno));

		events = POLLOUT;
		if (k->fill < sizeof(k->rx))
			events |= POLLIN;
		r = kvmintro__wait(k, k->fd, events, deadline);
		/* Half a message is out: nothing sensible can follow. */
		if (r < 0 && k->fd >= 0)
			return kvmintro__break(k, r, "the kernel does not read: %s",
					       r == -ECANCELED ? "interrupted" : "timeout");
		if (r < 0)
			return r;
		if (r & ~POLLOUT) {
			r = receive_meanwhile(k);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
