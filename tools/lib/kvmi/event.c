// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events: the queue, and their answers. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define REPLY_DATA_MAX 512

_Static_assert(sizeof(struct kvmi_event) == 544, "wire layout");
_Static_assert(sizeof(struct kvm_regs) == 144, "wire layout");
_Static_assert(sizeof(struct kvm_sregs) == 312, "wire layout");

/*
 * The kernel's struct kvmi_event can be shorter or longer than ours: its own
 * size field tells where the event's data begin.
 */
static int parse_event(struct kvmintro_event *event,
		       const struct kvmi_msg_hdr *hdr)
{
	const size_t fixed = offsetof(struct kvmi_event, arch);
	const uint8_t *payload = (const uint8_t *)(hdr + 1);
	struct kvmi_event ev = { 0 };
	size_t size;

	if (hdr->size < fixed)
		return -EPROTO;
	memcpy(&ev, payload, fixed);
	if (ev.size < fixed || ev.size > hdr->size)
		return -EPROTO;

	size = ev.size < sizeof(ev) ? ev.size : sizeof(ev);
	memcpy(&ev, payload, size);

	memset(event, 0, sizeof(*event));
	event->seq = hdr->seq;
	event->vcpu = ev.vcpu;
	event->id = ev.event;
	event->arch = ev.arch;

	size = hdr->size - ev.size;
	if (size > sizeof(event->data))
		size = sizeof(event->data);
	event->data_size = size;
	memcpy(event->data.raw, payload + ev.size, size);
	return 0;
}

int kvmintro__queue_event(struct kvmintro *k, const struct kvmi_msg_hdr *hdr)
{
	struct event_node *node;

	if (k->event_count >= KVMINTRO_EVENTS_MAX)
		return kvmintro__break(k, -EPROTO, "the kernel sent %u events that nobody took",
				       KVMINTRO_EVENTS_MAX);
	node = malloc(sizeof(*node));
	if (!node)
		return kvmintro__break(k, -ENOMEM, "no memory for an event");
	if (parse_event(&node->event, hdr) < 0) {
		free(node);
		return kvmintro__break(k, -EPROTO,
				       "the kernel sent an event of %u bytes that contradicts itself",
				       hdr->size);
	}
	node->next = NULL;
	*k->events_tail = node;
	k->events_tail = &node->next;
	k->event_count++;
	return 0;
}

static void take_event(struct kvmintro *k, struct kvmintro_event *event)
{
	struct event_node *node = k->events;

	*event = node->event;
	k->events = node->next;
	if (!k->events)
		k->events_tail = &k->events;
	k->event_count--;
	free(node);
}

void kvmintro__drop_events(struct kvmintro *k)
{
	struct kvmintro_event event;

	while (k->events)
		take_event(k, &event);
}

size_t kvmintro_pending_events(const struct kvmintro *k)
{
	return k->event_count;
}

int kvmintro_wait_event(struct kvmintro *k, int timeout,
			struct kvmintro_event *event)
{
	int64_t deadline = kvmintro__deadline(timeout);
	int r;

	while (!k->events) {
		r = kvmintro__receive(k, deadline);
		if (r == -ETIMEDOUT)
			return 0;
		if (r < 0)
			return r;
		r = kvmintro__sort(k);
		if (r < 0)
			return r;
		if (!r)
			return kvmintro__break(k, -EPROTO,
					       "the kernel sent a reply (id %u) that nobody asked for",
					       kvmintro__message(k)->id);
	}
	take_event(k, event);
	return 1;
}

bool kvmintro_event_needs_reply(const struct kvmintro_event *event)
{
	return event->id != KVMI_VM_EVENT_UNHOOK &&
	       event->id != KVMI_VM_EVENT_CMD_ERROR;
}

int kvmintro_reply_event(struct kvmintro *k, const struct kvmintro_event *event,
			 uint8_t action, const void *data, size_t size)
{
	struct {
		struct kvmi_msg_hdr hdr;
		struct kvmi_vcpu_hdr vcpu;
		struct kvmi_event_reply reply;
		uint8_t data[REPLY_DATA_MAX];
	} msg = { 0 };
	size_t fixed = offsetof(typeof(msg), data);

	if (k->fd < 0)
		return kvmintro__fail(k, -ENOTCONN, "there is no connection");
	if (!kvmintro_event_needs_reply(event) || size > sizeof(msg.data))
		return kvmintro__fail(k, -EINVAL,
				      "this event takes no answer, or not one of %zu bytes",
				      size);

	msg.hdr.id = KVMI_VCPU_EVENT_REPLY;
	msg.hdr.size = fixed - sizeof(msg.hdr) + size;
	msg.hdr.seq = event->seq;
	msg.vcpu.vcpu = event->vcpu;
	msg.reply.action = action;
	msg.reply.event = event->id;
	if (size)
		memcpy(msg.data, data, size);

	if (k->batching)
		return kvmintro__batch_add(k, &msg, fixed + size);
	return kvmintro__send(k, &msg, fixed + size);
}

static int reply_value(struct kvmintro *k, const struct kvmintro_event *event,
		       uint8_t id, uint64_t value)
{
	if (event->id != id)
		return kvmintro__fail(k, -EINVAL, "not an event with id %u but %u",
				      id, event->id);
	return kvmintro_reply_event(k, event, KVMI_EVENT_ACTION_CONTINUE, &value,
				    sizeof(value));
}

int kvmintro_reply_cr(struct kvmintro *k, const struct kvmintro_event *event,
		      uint64_t value)
{
	_Static_assert(sizeof(struct kvmi_vcpu_event_cr_reply) == sizeof(value),
		       "wire layout");
	return reply_value(k, event, KVMI_VCPU_EVENT_CR, value);
}

int kvmintro_reply_msr(struct kvmintro *k, const struct kvmintro_event *event,
		       uint64_t value)
{
	_Static_assert(sizeof(struct kvmi_vcpu_event_msr_reply) == sizeof(value),
		       "wire layout");
	return reply_value(k, event, KVMI_VCPU_EVENT_MSR, value);
}

static int check_pf(struct kvmintro *k, const struct kvmintro_event *event,
		    uint8_t action, const struct kvmintro_pf_reply *reply)
{
	if (event->id != KVMI_VCPU_EVENT_PF)
		return kvmintro__fail(k, -EINVAL, "not an event with id %u but %u",
				      KVMI_VCPU_EVENT_PF, event->id);
	if (action > KVMI_EVENT_ACTION_CRASH)
		return kvmintro__fail(k, -EINVAL, "there is no action %u", action);
	if (action != KVMI_EVENT_ACTION_CONTINUE && (reply->ctx_size || reply->rep_complete))
		return kvmintro__fail(k, -EINVAL,
				      "only an access that continues can be given data or rep_complete");
	if (reply->ctx_size > KVMI_MAX_CTX_DATA)
		return kvmintro__fail(k, -EINVAL,
				      "%zu bytes of data, not more than %d are possible",
				      reply->ctx_size, KVMI_MAX_CTX_DATA);
	if (reply->ctx_size && !reply->ctx_data)
		return kvmintro__fail(k, -EINVAL, "there are no data, but a size of %zu bytes",
				      reply->ctx_size);
	if (reply->ctx_size && reply->ctx_size - 1 > ~reply->ctx_addr)
		return kvmintro__fail(k, -EINVAL, "the data go beyond the last address");
	return 0;
}

int kvmintro_reply_pf(struct kvmintro *k, const struct kvmintro_event *event,
		      uint8_t action, const struct kvmintro_pf_reply *reply)
{
	struct kvmi_vcpu_event_pf_reply data = { 0 };
	struct kvmintro_pf_reply r = { 0 };
	int err;

	_Static_assert(sizeof(data) == 16 + KVMI_MAX_CTX_DATA &&
		       sizeof(data) <= REPLY_DATA_MAX, "wire layout");
	if (reply)
		memcpy(&r, reply, reply->size < sizeof(r) ? reply->size : sizeof(r));
	err = check_pf(k, event, action, &r);
	if (err < 0)
		return err;
	if (!r.ctx_size && !r.rep_complete)
		return kvmintro_reply_event(k, event, action, NULL, 0);

	data.ctx_addr = r.ctx_size ? r.ctx_addr : 0;
	data.ctx_size = r.ctx_size;
	data.rep_complete = r.rep_complete;
	if (r.ctx_size)
		memcpy(data.ctx_data, r.ctx_data, r.ctx_size);
	/* The kernel reads zeros behind what is sent. */
	return kvmintro_reply_event(k, event, action, &data,
				    offsetof(typeof(data), ctx_data) + r.ctx_size);
}

int kvmintro_retry(struct kvmintro *k, const struct kvmintro_event *event)
{
	switch (event->id) {
	case KVMI_VCPU_EVENT_BREAKPOINT:
	case KVMI_VCPU_EVENT_PF:
	case KVMI_VCPU_EVENT_DESCRIPTOR:
	case KVMI_VCPU_EVENT_CPUID:
		return kvmintro_reply_event(k, event, KVMI_EVENT_ACTION_RETRY,
					    NULL, 0);
	default:
		return kvmintro__fail(k, -EINVAL, "the event with id %u cannot be retried",
				      event->id);
	}
}

int kvmintro_continue(struct kvmintro *k, const struct kvmintro_event *event)
{
	switch (event->id) {
	case KVMI_VM_EVENT_UNHOOK:
	case KVMI_VM_EVENT_CMD_ERROR:
		return 0;
	case KVMI_VCPU_EVENT_CR:
		return kvmintro_reply_cr(k, event, event->data.cr.new_value);
	case KVMI_VCPU_EVENT_MSR:
		return kvmintro_reply_msr(k, event, event->data.msr.new_value);
	default:
		return kvmintro_reply_event(k, event, KVMI_EVENT_ACTION_CONTINUE,
					    NULL, 0);
	}
}

int kvmintro_event_error(struct kvmintro *k, const struct kvmintro_event *event)
{
	const struct kvmi_vm_event_cmd_error *e = &event->data.cmd_error;

	if (event->id != KVMI_VM_EVENT_CMD_ERROR || e->err >= 0)
		return kvmintro__fail(k, -EINVAL, "the event with id %u tells of no error",
				      event->id);
	return kvmintro__command_failed(k, e->msg_id, e->err);
}
