// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands: send them, find their replies among the events. */
#include <string.h>

#include "internal.h"

/*
 * Deal with the first message if it is not for a waiting command: queue an
 * event, drop the reply to a command that is no longer waited for. Returns 1
 * if the message is gone, 0 if it is a reply.
 */
int kvmintro__sort(struct kvmintro *k)
{
	const struct kvmi_msg_hdr *hdr = kvmintro__message(k);
	int r;

	if (hdr->id == KVMI_EVENT) {
		r = kvmintro__queue_event(k, hdr);
		if (r < 0)
			return r;
		kvmintro__consume(k);
		return 1;
	}
	if (k->stale && !(k->awaiting && hdr->seq == k->seq)) {
		k->stale--;
		kvmintro__consume(k);
		return 1;
	}
	return 0;
}

static int take_reply(struct kvmintro *k, const struct command *c)
{
	const struct kvmi_msg_hdr *hdr = kvmintro__message(k);
	struct kvmi_error_code ec;
	size_t size;

	if (hdr->size < sizeof(ec))
		return kvmintro__break(k, -EPROTO,
				       "%s: the kernel's reply has %u bytes and no error code",
				       kvmintro_command_name(c->id), hdr->size);

	memcpy(&ec, hdr + 1, sizeof(ec));
	size = hdr->size - sizeof(ec);
	if (!ec.err) {
		if (size > c->reply_size)
			size = c->reply_size;
		if (size)
			memcpy(c->reply, (const uint8_t *)(hdr + 1) + sizeof(ec),
			       size);
		if (c->reply_size > size)
			memset((uint8_t *)c->reply + size, 0,
			       c->reply_size - size);
	}
	kvmintro__consume(k);

	if (ec.err)
		return kvmintro__command_failed(k, c->id, ec.err);
	if (size < c->reply_min)
		return kvmintro__fail(k, -EPROTO,
				      "%s: the kernel sent %zu bytes of %zu; it may be of another version",
				      kvmintro_command_name(c->id), size,
				      c->reply_min);
	return 0;
}

static int no_reply(struct kvmintro *k, const struct command *c, int err)
{
	if (k->fd < 0)
		return err;
	k->stale++;
	if (err != -ETIMEDOUT)
		return err;
	if (c->has_vcpu)
		return kvmintro__fail(k, err,
				      "%s: no answer from vCPU %u within %d ms; is the VM stopped in its VMM?",
				      kvmintro_command_name(c->id), c->vcpu,
				      k->timeout);
	return kvmintro__fail(k, err, "%s: no answer from the kernel within %d ms",
			      kvmintro_command_name(c->id), k->timeout);
}

/* Wait for the reply to the last command, @c. */
int kvmintro__await(struct kvmintro *k, const struct command *c)
{
	int64_t deadline = kvmintro__deadline(k->timeout);
	const struct kvmi_msg_hdr *hdr;
	int r;

	k->awaiting = true;
	do {
		r = kvmintro__receive(k, deadline);
		if (r < 0)
			r = no_reply(k, c, r);
		else
			r = kvmintro__sort(k);
	} while (r > 0);
	k->awaiting = false;
	if (r < 0)
		return r;

	hdr = kvmintro__message(k);
	if (hdr->id != c->id || hdr->seq != k->seq)
		return kvmintro__break(k, -EPROTO,
				       "the kernel answered command %u number %u, but %u number %u was asked",
				       hdr->id, hdr->seq, c->id, k->seq);
	return take_reply(k, c);
}

static size_t build(struct kvmintro *k, const struct command *c, uint8_t *msg)
{
	struct kvmi_msg_hdr hdr = { .id = c->id };
	size_t at = sizeof(hdr);

	if (c->has_vcpu) {
		struct kvmi_vcpu_hdr vcpu = { .vcpu = c->vcpu };

		memcpy(msg + at, &vcpu, sizeof(vcpu));
		at += sizeof(vcpu);
	}
	if (c->body_size)
		memcpy(msg + at, c->body, c->body_size);
	at += c->body_size;
	if (c->tail_size)
		memcpy(msg + at, c->tail, c->tail_size);
	at += c->tail_size;

	hdr.size = at - sizeof(hdr);
	hdr.seq = ++k->seq;
	memcpy(msg, &hdr, sizeof(hdr));
	return at;
}

static int may_send(struct kvmintro *k, const struct command *c)
{
	if (k->fd < 0)
		return kvmintro__fail(k, -ENOTCONN, "there is no connection");
	if ((k->batching || k->quiet) && (c->query || c->reply_size))
		return kvmintro__fail(k, -EBUSY,
				      "%s has reply data and cannot be used while replies are off",
				      kvmintro_command_name(c->id));
	return 0;
}

/* Callers keep the parts small enough for one message. */
int kvmintro__command(struct kvmintro *k, const struct command *c)
{
	uint8_t msg[KVMINTRO_MSG_MAX];
	size_t size;
	int r = may_send(k, c);

	if (r < 0)
		return r;
	size = build(k, c, msg);
	if (k->batching)
		return kvmintro__batch_add(k, msg, size);
	r = kvmintro__send(k, msg, size);
	if (r < 0 || k->quiet)
		return r;
	return kvmintro__await(k, c);
}

/*
 * Send @count commands of the VM, KVMINTRO_MANY at most, before the first of their
 * replies is waited for. Each has reply data, and together they are small enough for
 * one message. The receiving thread of the kernel answers them in order. @results
 * receives what each would have returned alone. Returns an error if a reply did not
 * come; then no later one is waited for either.
 */
int kvmintro__many(struct kvmintro *k, const struct command *c, size_t count,
		   int *results)
{
	const uint32_t before = k->seq;
	uint8_t msg[KVMINTRO_MSG_MAX];
	size_t size = 0, i;
	int r = may_send(k, c);

	for (i = 0; !r && i < count; i++)
		size += build(k, &c[i], msg + size);
	if (!r)
		r = kvmintro__send(k, msg, size);
	for (i = 0; !r && i < count; i++) {
		k->seq = before + 1 + i;
		results[i] = kvmintro__await(k, &c[i]);
		if (k->fd < 0 || results[i] == -ETIMEDOUT || results[i] == -ECANCELED) {
			r = results[i];
			k->stale += count - i - 1;
		}
	}
	if (!r || k->fd >= 0)
		k->seq = before + count;
	return r;
}
