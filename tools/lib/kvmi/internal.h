/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMINTRO_INTERNAL_H
#define KVMINTRO_INTERNAL_H

/*
 * io.c moves whole messages, command.c pairs commands with replies, event.c
 * keeps the queue of events. session.c, handshake.c and attach.c make
 * connections; vm.c, vcpu.c, state.c, registers.c, memory.c and page_access.c are the
 * commands. What maps memory is in mapping.h.
 */

#include <errno.h>
#include <stdarg.h>

#include <kvmi/kvmi.h>

#define KVMINTRO_MSG_MAX (sizeof(struct kvmi_msg_hdr) + KVMI_MAX_MSG_SIZE)
#define KVMINTRO_EVENTS_MAX 16384
#define KVMINTRO_MANY 64

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

struct event_node {
	struct event_node *next;
	struct kvmintro_event event;
};

struct kvmintro {
	/* The connection. vmm_fd is a pidfd, vm_fd what HOOK was called on. */
	int fd;
	int vm_fd;
	int vmm_fd;
	int cancel_fd;
	int timeout;
	/* Grows with the end of each connection. */
	unsigned int connection;

	/*
	 * Number of the last command and whether its reply is waited for; replies
	 * to come that nobody waits for; the kernel's replies are switched off.
	 */
	uint32_t seq;
	bool awaiting;
	unsigned int stale;
	bool quiet;

	/* Received bytes: complete and incomplete messages. */
	size_t fill;
	uint8_t rx[KVMINTRO_MSG_MAX];

	struct event_node *events;
	struct event_node **events_tail;
	size_t event_count;

	/* Messages of a batch, behind room for the one that switches replies off. */
	bool batching;
	bool batch_allowed;
	uint8_t batch_flags;
	uint8_t *batch;
	size_t batch_fill;
	size_t batch_size;

	bool has_hello;
	struct kvmintro_hello hello;

	char error[512];
};

/* A command: fixed part, optional variable part, and what is to come back. */
struct command {
	uint16_t id;
	/* The error code is the answer: useless without a reply. */
	bool query;
	bool has_vcpu;
	uint16_t vcpu;
	const void *body;
	size_t body_size;
	const void *tail;
	size_t tail_size;
	/*
	 * Where the data of the reply go; fewer than reply_min are an error, what
	 * is missing to reply_size is zeroed, surplus is dropped.
	 */
	void *reply;
	size_t reply_size;
	size_t reply_min;
};

/* error.c: both return @err, a negative errno. */
int kvmintro__fail(struct kvmintro *k, int err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
int kvmintro__command_failed(struct kvmintro *k, uint16_t id, int32_t code);

/* io.c */
int64_t kvmintro__now(void);
int64_t kvmintro__deadline(int timeout);
int kvmintro__wait(struct kvmintro *k, int fd, short events, int64_t deadline);
int kvmintro__send(struct kvmintro *k, const void *data, size_t size);
int kvmintro__receive(struct kvmintro *k, int64_t deadline);
const struct kvmi_msg_hdr *kvmintro__message(const struct kvmintro *k);
void kvmintro__consume(struct kvmintro *k);
int kvmintro__break(struct kvmintro *k, int err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* command.c */
int kvmintro__command(struct kvmintro *k, const struct command *c);
int kvmintro__many(struct kvmintro *k, const struct command *c, size_t count,
		   int *results);
int kvmintro__await(struct kvmintro *k, const struct command *c);
int kvmintro__sort(struct kvmintro *k);

/*
 * COMMAND(k, id, ...) sends a command and takes its reply: with what of VCPU(),
 * BODY() and REPLY() it has.
 */
#define COMMAND(k, ...) \
	kvmintro__command(k, &(const struct command){ .id = __VA_ARGS__ })
#define VCPU(index) .has_vcpu = true, .vcpu = (index)
#define BODY(object) .body = &(object), .body_size = sizeof(object)
#define REPLY(object) REPLY_FROM(object, sizeof(object))
#define REPLY_FROM(object, min) \
	.reply = &(object), .reply_size = sizeof(object), .reply_min = (min)

/* memory.c: -ENOENT */
int kvmintro__no_memory(struct kvmintro *k, uint64_t gpa);

/* batch.c */
int kvmintro__batch_add(struct kvmintro *k, const void *data, size_t size);

/* event.c */
int kvmintro__queue_event(struct kvmintro *k, const struct kvmi_msg_hdr *hdr);
void kvmintro__drop_events(struct kvmintro *k);

/* session.c, handshake.c */
int kvmintro__must_be_new(struct kvmintro *k);
int kvmintro__disconnect(struct kvmintro *k);

#endif
