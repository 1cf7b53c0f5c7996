// SPDX-License-Identifier: LGPL-2.1-or-later
#include "peer.h"

#include <stdarg.h>
#include <sys/socket.h>

static int count, failed;

void check(int passed, const char *condition, const char *name, ...)
{
	va_list args;

	printf("%sok %d - ", passed ? "" : "not ", ++count);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	printf("\n");
	if (!passed) {
		failed++;
		printf("# failed: %s\n", condition);
	}
}

int done(void)
{
	printf("1..%d\n", count);
	return failed || !count;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

struct kvmintro *peer_open(int *fd)
{
	struct kvmintro *k = kvmintro_new();
	int pair[2];

	if (!k || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		die("socketpair");
	if (kvmintro_use_fd(k, pair[0]))
		die("kvmintro_use_fd");
	kvmintro_set_timeout(k, 2000);
	*fd = pair[1];
	return k;
}

void peer_close(struct kvmintro *k, int fd)
{
	kvmintro_free(k);
	if (fd >= 0)
		close(fd);
}

void peer_send(int fd, const void *data, size_t size)
{
	if (size && send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("send");
}

void peer_header(int fd, uint16_t id, uint32_t seq, uint16_t size)
{
	const struct kvmi_msg_hdr hdr = { .id = id, .seq = seq, .size = size };

	peer_send(fd, &hdr, sizeof(hdr));
}

void peer_reply(int fd, uint16_t id, uint32_t seq, int32_t err,
		const void *data, size_t size)
{
	const struct kvmi_error_code ec = { .err = err };

	peer_header(fd, id, seq, sizeof(ec) + size);
	peer_send(fd, &ec, sizeof(ec));
	peer_send(fd, data, size);
}

void peer_event(int fd, uint32_t seq, uint16_t vcpu, uint8_t id,
		const void *data, size_t size)
{
	struct kvmi_event ev = {
		.size = sizeof(ev),
		.vcpu = vcpu,
		.event = id,
		.arch = { .mode = 8, .regs.rip = 0x1000 + seq },
	};

	peer_header(fd, KVMI_EVENT, seq, sizeof(ev) + size);
	peer_send(fd, &ev, sizeof(ev));
	peer_send(fd, data, size);
}

size_t peer_receive(int fd, void *buf, size_t size)
{
	struct kvmi_msg_hdr hdr;

	if (recv(fd, &hdr, sizeof(hdr), MSG_DONTWAIT | MSG_WAITALL) !=
	    (ssize_t)sizeof(hdr))
		return 0;
	if (sizeof(hdr) + hdr.size > size)
		die("the library sent a message that is too long");
	memcpy(buf, &hdr, sizeof(hdr));
	if (hdr.size && recv(fd, (char *)buf + sizeof(hdr), hdr.size,
			     MSG_WAITALL) != hdr.size)
		die("the library sent half a message");
	return sizeof(hdr) + hdr.size;
}
