// SPDX-License-Identifier: LGPL-2.1-or-later
/* The socket on which a VMM connects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "internal.h"

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_vm vm;
};

static int parse_vsock(struct kvmintro *k, const char *port, union address *a,
		       socklen_t *len)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(port, &end, 10);
	if (errno || *port < '0' || *port > '9' || *end || value >= UINT32_MAX)
		return kvmintro__fail(k, -EINVAL, "'%s' is no vsock port", port);
	a->vm.svm_family = AF_VSOCK;
	a->vm.svm_cid = VMADDR_CID_ANY;
	a->vm.svm_port = value;
	*len = sizeof(a->vm);
	return 0;
}

static int parse_path(struct kvmintro *k, const char *path, union address *a,
		      socklen_t *len)
{
	if (!*path || strlen(path) >= sizeof(a->un.sun_path))
		return kvmintro__fail(k, -ENAMETOOLONG, "a socket's path has 1 to %zu bytes: '%s'",
				      sizeof(a->un.sun_path) - 1, path);
	a->un.sun_family = AF_UNIX;
	strcpy(a->un.sun_path, path);
	*len = sizeof(a->un);
	return 0;
}

/* Remove a socket that nobody listens on any more. */
static int clear_path(struct kvmintro *k, const union address *a)
{
	const char *path = a->un.sun_path;
	struct stat st;
	int fd, r = 0;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 :
		       kvmintro__fail(k, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return kvmintro__fail(k, -EEXIST, "%s exists and is no socket; choose another path",
				      path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return kvmintro__fail(k, -errno, "socket: %s", strerror(errno));
	if (!connect(fd, &a->any, sizeof(a->un)) || errno == EAGAIN)
		r = kvmintro__fail(k, -EADDRINUSE,
				   "another process listens on %s; end it or choose another path",
				   path);
	else if (errno != ECONNREFUSED)
		r = kvmintro__fail(k, -errno, "%s: %s", path, strerror(errno));
	else if (unlink(path) < 0)
		r = kvmintro__fail(k, -errno, "%s: %s", path, strerror(errno));
	close(fd);
	return r;
}

int kvmintro_listen(struct kvmintro *k, const char *address)
{
	union address a = { 0 };
	socklen_t len;
	int fd, r;

	if (!strncmp(address, "vsock:", 6))
		r = parse_vsock(k, address + 6, &a, &len);
	else
		r = parse_path(k, address, &a, &len);
	if (r < 0)
		return r;

	if (a.any.sa_family == AF_UNIX) {
		r = clear_path(k, &a);
		if (r < 0)
			return r;
	}
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return kvmintro__fail(k, -errno, "no socket for '%s': %s%s", address,
				      strerror(errno),
				      a.any.sa_family == AF_VSOCK ?
				      "; does the kernel have vsock (vhost_vsock)?" : "");
	if (bind(fd, &a.any, len) < 0 || listen(fd, 1) < 0) {
		r = kvmintro__fail(k, -errno, "cannot listen on '%s': %s", address,
				   strerror(errno));
		close(fd);
		return r;
	}
	return fd;
}

void kvmintro_unlisten(int listen_fd)
{
	union address a = { 0 };
	socklen_t len = sizeof(a);

	if (!getsockname(listen_fd, &a.any, &len) &&
	    a.any.sa_family == AF_UNIX && a.un.sun_path[0])
		unlink(a.un.sun_path);
	close(listen_fd);
}
