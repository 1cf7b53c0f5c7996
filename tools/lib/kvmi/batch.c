// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands whose replies are suppressed, and batches made of them. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define SWITCH_SIZE (sizeof(struct kvmi_msg_hdr) + \
		     sizeof(struct kvmi_vm_control_cmd_response))

static void make_switch(struct kvmintro *k, uint8_t *msg, bool enable, bool now,
			uint8_t flags)
{
	struct kvmi_msg_hdr hdr = {
		.id = KVMI_VM_CONTROL_CMD_RESPONSE,
		.size = sizeof(struct kvmi_vm_control_cmd_response),
		.seq = ++k->seq,
	};
	struct kvmi_vm_control_cmd_response body = {
		.enable = enable,
		.now = now,
		.flags = flags,
	};

	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr), &body, sizeof(body));
}

static int await_switch(struct kvmintro *k)
{
	const struct command c = { .id = KVMI_VM_CONTROL_CMD_RESPONSE };

	return kvmintro__await(k, &c);
}

int kvmintro_control_cmd_response(struct kvmintro *k, bool enable, bool now,
				  uint8_t flags)
{
	bool answered = now ? enable : !k->quiet;
	uint8_t msg[SWITCH_SIZE];
	int r;

	if (k->batching)
		return kvmintro__fail(k, -EALREADY, "a batch switches replies itself");
	if (k->fd < 0)
		return kvmintro__fail(k, -ENOTCONN, "there is no connection");

	make_switch(k, msg, enable, now, flags);
	r = kvmintro__send(k, msg, sizeof(msg));
	if (!r && answered)
		r = await_switch(k);
	if (!r)
		k->quiet = !enable;
	return r;
}

int kvmintro_batch_errors(struct kvmintro *k, bool report)
{
	int r;

	if (k->batching || k->quiet)
		return kvmintro__fail(k, -EALREADY, "a batch is open, or replies are off");
	if (report) {
		/* Replies are on: nothing but the flag is tried. */
		r = kvmintro_control_cmd_response(k, true, true,
						  KVMI_CMD_RESPONSE_ERRORS);
		if (r < 0)
			return r;
	}
	k->batch_flags = report ? KVMI_CMD_RESPONSE_ERRORS : 0;
	return 0;
}

/*
 * If the switch were refused, every command would be answered. What the VMM
 * allowed is not asked for again.
 */
static int may_switch(struct kvmintro *k)
{
	int r = 0;

	if (!k->batch_allowed)
		r = kvmintro_check_command(k, KVMI_VM_CONTROL_CMD_RESPONSE);
	k->batch_allowed = !r;
	return r;
}

int kvmintro_batch_begin(struct kvmintro *k)
{
	static const uint8_t room[SWITCH_SIZE];
	int r;

	if (k->batching || k->quiet)
		return kvmintro__fail(k, -EALREADY, "a batch is open, or replies are off");
	r = may_switch(k);
	if (r < 0)
		return r;
	k->batch_fill = 0;
	r = kvmintro__batch_add(k, room, sizeof(room));
	k->batching = !r;
	return r;
}

int kvmintro__batch_add(struct kvmintro *k, const void *data, size_t size)
{
	size_t room = k->batch_size ? k->batch_size : 4096;
	uint8_t *p;

	while (room - k->batch_fill < size)
		room *= 2;
	if (room != k->batch_size) {
		p = realloc(k->batch, room);
		if (!p)
			return kvmintro__fail(k, -ENOMEM, "no memory for the batch");
		k->batch = p;
		k->batch_size = room;
	}
	memcpy(k->batch + k->batch_fill, data, size);
	k->batch_fill += size;
	return 0;
}

/* The switch back is answered if it takes effect before its own answer. */
static int finish(struct kvmintro *k, bool answered)
{
	uint8_t on[SWITCH_SIZE];
	int r;

	if (!k->batching)
		return kvmintro__fail(k, -EINVAL, "no batch is open");
	k->batching = false;
	if (k->fd < 0)
		return kvmintro__fail(k, -ENOTCONN, "there is no connection");
	if (k->batch_fill == SWITCH_SIZE)
		return 0;

	make_switch(k, k->batch, false, true, k->batch_flags);
	make_switch(k, on, true, answered, 0);
	r = kvmintro__batch_add(k, on, sizeof(on));
	if (r < 0)
		return r;
	return kvmintro__send(k, k->batch, k->batch_fill);
}

int kvmintro_batch_end(struct kvmintro *k)
{
	int r = finish(k, true);

	return r || k->batch_fill == SWITCH_SIZE ? r : await_switch(k);
}

int kvmintro_batch_send(struct kvmintro *k)
{
	return finish(k, false);
}

void kvmintro_batch_cancel(struct kvmintro *k)
{
	k->batching = false;
	k->batch_fill = 0;
}
