// SPDX-License-Identifier: LGPL-2.1-or-later
/* A handle, and the end of a connection. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_TIMEOUT 15000

struct kvmintro *kvmintro_new(void)
{
	struct kvmintro *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->fd = -1;
	k->vm_fd = -1;
	k->vmm_fd = -1;
	k->cancel_fd = -1;
	k->timeout = DEFAULT_TIMEOUT;
	k->events_tail = &k->events;
	return k;
}

void kvmintro_free(struct kvmintro *k)
{
	if (!k)
		return;
	kvmintro_close(k);
	free(k->batch);
	free(k);
}

void kvmintro_set_timeout(struct kvmintro *k, int ms)
{
	k->timeout = ms;
}

void kvmintro_set_cancel_fd(struct kvmintro *k, int fd)
{
	k->cancel_fd = fd;
}

int kvmintro_fd(const struct kvmintro *k)
{
	return k->fd;
}

const struct kvmintro_hello *kvmintro_hello(const struct kvmintro *k)
{
	return k->has_hello ? &k->hello : NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Has the other end of the connection not been closed yet? */
static bool is_alive(const struct kvmintro *k)
{
	ssize_t n;
	char byte;

	if (k->fd < 0)
		return false;
	n = recv(k->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/*
 * End the connection. A VM whose connection is lost already is left alone: the
 * hook may belong to a tool that took the VM by force.
 */
int kvmintro__disconnect(struct kvmintro *k)
{
	bool ours = k->vm_fd >= 0 && is_alive(k);
	int err = 0;

	if (ours && ioctl(k->vm_fd, KVM_INTROSPECTION_UNHOOK) < 0)
		err = -errno;
	close_fd(&k->fd);
	close_fd(&k->vm_fd);
	close_fd(&k->vmm_fd);
	k->connection++;
	return err;
}

int kvmintro_close(struct kvmintro *k)
{
	int r = kvmintro__disconnect(k);

	if (r < 0)
		r = kvmintro__fail(k, r,
				   "the VM could not be unhooked: %s; attach with force to take it",
				   strerror(-r));
	kvmintro__drop_events(k);
	kvmintro_batch_cancel(k);
	k->batch_allowed = false;
	k->batch_flags = 0;
	k->fill = 0;
	k->stale = 0;
	k->quiet = false;
	k->has_hello = false;
	return r;
}

int kvmintro__must_be_new(struct kvmintro *k)
{
	if (k->fd >= 0 || k->vm_fd >= 0)
		return kvmintro__fail(k, -EISCONN, "this handle is connected; close it first");
	kvmintro_close(k);
	return 0;
}

int kvmintro_use_fd(struct kvmintro *k, int fd)
{
	int flags, r = kvmintro__must_be_new(k);

	if (!r) {
		flags = fcntl(fd, F_GETFD);
		if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
			r = kvmintro__fail(k, -errno, "the socket cannot be used: %s",
					   strerror(errno));
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	k->fd = fd;
	return 0;
}
