// SPDX-License-Identifier: GPL-2.0-only
/* The played kernel's side of the connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

int fd = -1;
bool quiet, report_errors;
static uint32_t events;

/* A tool that has gone is seen when its next message does not come. */
static void put(const void *data, size_t size)
{
	if (size)
		(void)!send(fd, data, size, MSG_NOSIGNAL);
}

uint32_t event(int vcpu, uint8_t id, const void *data, size_t size)
{
	struct kvmi_msg_hdr hdr = { .id = KVMI_EVENT, .seq = ++events };
	struct kvmi_event ev = { .size = sizeof(ev), .event = id };

	if (vcpu >= 0) {
		ev.vcpu = vcpu;
		ev.arch.mode = 8;
		ev.arch.regs = vcpus[vcpu].regs;
		ev.arch.sregs.cr3 = vcpus[vcpu].cr3_value;
	}
	hdr.size = sizeof(ev) + size;
	put(&hdr, sizeof(hdr));
	put(&ev, sizeof(ev));
	put(data, size);
	return hdr.seq;
}

void reply(const struct kvmi_msg_hdr *req, int err, const void *data, size_t size)
{
	struct kvmi_msg_hdr hdr = { .id = req->id, .seq = req->seq };
	struct kvmi_error_code ec = { .err = err };
	const struct kvmi_vm_event_cmd_error failed = {
		.err = err, .msg_seq = req->seq, .msg_id = req->id
	};

	if (quiet) {
		if (err && report_errors)
			event(-1, KVMI_VM_EVENT_CMD_ERROR, &failed, sizeof(failed));
		return;
	}
	if (err)
		size = 0;
	if (size && req->id == options.short_id)
		size--;
	hdr.size = sizeof(ec) + size;
	put(&hdr, sizeof(hdr));
	put(&ec, sizeof(ec));
	put(data, size);
}

bool receive(struct kvmi_msg_hdr *hdr, uint8_t *payload, size_t max)
{
	memset(payload, 0, max);
	return recv(fd, hdr, sizeof(*hdr), MSG_WAITALL) == sizeof(*hdr) &&
	       hdr->size <= max &&
	       (!hdr->size || recv(fd, payload, hdr->size, MSG_WAITALL) == hdr->size);
}

void handshake(const char *path)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	uint8_t hello[96] = { 96 }, answer[24];
	int64_t start = 1000000000;
	int tries = 2000;

	if (fd >= 0)
		close(fd);
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	/* As QEMU's reconnect: the tool may not listen yet. */
	while (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (!--tries)
			exit(3);
		nanosleep(&pause, NULL);
	}
	memset(hello + 4, 0xab, 16);
	memcpy(hello + 24, &start, 8);
	strcpy((char *)hello + 32, "fake \"vm\"");
	put(hello, sizeof(hello));
	if (recv(fd, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
		exit(3);
	quiet = false;
	report_errors = false;
	events = 0;
}
