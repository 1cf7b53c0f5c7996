/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_TEST_PEER_H
#define KVMI_TEST_PEER_H

/*
 * The kernel's side of a connection, for tests without a kernel. Answers are
 * put into the socket before the library asks, with the number it will use: its
 * first command is number 1.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kvmi/kvmi.h>

/* One TAP line per check. */
#define ok(condition, ...) check(!!(condition), #condition, __VA_ARGS__)
void check(int passed, const char *condition, const char *name, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints the plan; returns the exit status. */
int done(void);

/* A connected handle, and the kernel's end of its socket. */
struct kvmintro *peer_open(int *fd);
void peer_close(struct kvmintro *k, int fd);

void peer_send(int fd, const void *data, size_t size);
void peer_header(int fd, uint16_t id, uint32_t seq, uint16_t size);
void peer_reply(int fd, uint16_t id, uint32_t seq, int32_t err,
		const void *data, size_t size);
void peer_event(int fd, uint32_t seq, uint16_t vcpu, uint8_t id,
		const void *data, size_t size);

/* What the library sent: one message; its size with header, 0 if none. */
size_t peer_receive(int fd, void *buf, size_t size);

#endif
