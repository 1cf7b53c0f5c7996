// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands whose replies are suppressed, and batches made of them. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static size_t response_message(struct kvmintro *k, uint8_t *msg, bool enable,
			       bool now)
{
	struct kvmi_msg_hdr hdr = {
		.id = KVMI_VM_CONTROL_CMD_RESPONSE,
		.size = sizeof(struct kvmi_vm_control_cmd_response),
		.seq = ++k->seq,
	};
	struct kvmi_vm_control_cmd_response body = {
		.enable = enable,
		.now = now,
	};

	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr), &body, sizeof(body));
	return sizeof(hdr) + sizeof(body);
}

int kvmintro_control_cmd_response(struct kvmintro *k, bool enable, bool now)
{
	const struct command c = { .id = KVMI_VM_CONTROL_CMD_RESPONSE };
	bool answered = now ? enable : !k->quiet;
	uint8_t msg[64];
	size_t size;
	int r;

	if (k->batching)
		return kvmintro__fail(k, -EALREADY, "a batch switches replies itself");
	if (k->fd < 0)
		return kvmintro__fail(k, -ENOTCONN, "there is no connection");

	size = response_message(k, msg, enable, now);
	r = kvmintro__send(k, msg, size);
	if (r < 0)
		return r;
	if (answered) {
		r = kvmintro__await(k, &c);
		if (r < 0)
			return r;
	}
	k->quiet = !enable;
	return 0;
}

int kvmintro_batch_begin(struct kvmintro *k)
{
	int r;

	if (k->batching || k->quiet)
		return kvmintro__fail(k, -EALREADY, "a batch is open, or replies are off");

	/* If the switch were refused, every command would be answered. */
	r = kvmintro_check_command(k, KVMI_VM_CONTROL_CMD_RESPONSE);
	if (r < 0)
		return r;
	k->batching = true;
	k->batch_fill = 0;
	return 0;
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

int kvmintro_batch_end(struct kvmintro *k)
{
	const struct command c = { .id = KVMI_VM_CONTROL_CMD_RESPONSE };
	uint8_t off[64], on[64];
	size_t size;
	int r;

	if (!k->batching)
		return kvmintro__fail(k, -EINVAL, "no batch is open");
	k->batching = false;
	if (k->fd < 0)
		return kvmintro__fail(k, -ENOTCONN, "there is no connection");
	if (!k->batch_fill)
		return 0;

	size = response_message(k, off, false, true);
	r = kvmintro__send(k, off, size);
	if (r < 0)
		return r;
	r = kvmintro__send(k, k->batch, k->batch_fill);
	if (r < 0)
		return r;
	size = response_message(k, on, true, true);
	r = kvmintro__send(k, on, size);
	if (r < 0)
		return r;
	return kvmintro__await(k, &c);
}

void kvmintro_batch_cancel(struct kvmintro *k)
{
	k->batching = false;
	k->batch_fill = 0;
}
