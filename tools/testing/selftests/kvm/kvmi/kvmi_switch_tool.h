/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_SWITCH_TOOL_H
#define SELFTEST_KVMI_SWITCH_TOOL_H

/* A tool that switches everything: what there is, commands, their replies. */
#include <sys/socket.h>

#include "kvmi_test_util.h"

#define VCPUS		2
#define THE_VM		VCPUS		/* in the place of a vCPU */
#define MAX_PENDING	10000

struct cond {
	__u8 vcpu;
	__u8 on;			/* from before it is switched on until it is off */
	__u16 id;			/* of the command */
	__u32 arg;			/* event, register, or nothing */
};

/* For a command that is not answered. */
#define NO_REPLY ((struct cond *)-1)

static struct cond conds[VCPUS * 20 + 3];
static int nr_conds;

/* Commands on their way. One vCPU may do much while another one does not run. */
static struct pending {
	__u32 seq;
	__u16 id;
	__u8 vcpu;
	struct cond *off;		/* is off when it is answered */
	__u64 since;
} pending[MAX_PENDING];
static int nr_pending;
static __u64 longest;			/* in ms, of those that were answered */
static __u32 last_answered[VCPUS + 1];

/* --- what can be switched ----------------------------------------------------------------- */

static void add(__u8 vcpu, __u16 id, __u32 arg)
{
	conds[nr_conds++] = (struct cond) { .vcpu = vcpu, .id = id, .arg = arg };
}

static void list_all(bool can_step)
{
	static const __u32 crs[] = { 0, 3, 4 }, msrs[] = { MSR_KERNEL_GS_BASE, MSR_LSTAR };
	int event, i;

	nr_conds = 0;
	for (__u8 vcpu = 0; vcpu < VCPUS; vcpu++) {
		for (event = KVMI_VCPU_EVENT_CR; event < KVMI_NUM_EVENTS; event++) {
			if (event != KVMI_VCPU_EVENT_PF && event != KVMI_VCPU_EVENT_CREATE &&
			    event != KVMI_VM_EVENT_CMD_ERROR)
				add(vcpu, KVMI_VCPU_CONTROL_EVENTS, event);
		}
		for (i = 0; i < ARRAY_SIZE(crs); i++)
			add(vcpu, KVMI_VCPU_CONTROL_CR, crs[i]);
		for (i = 0; i < ARRAY_SIZE(msrs); i++)
			add(vcpu, KVMI_VCPU_CONTROL_MSR, msrs[i]);
		if (can_step)
			add(vcpu, KVMI_VCPU_CONTROL_SINGLESTEP, 0);
	}
	add(THE_VM, KVMI_VM_CONTROL_EVENTS, KVMI_VM_EVENT_UNHOOK);
	add(THE_VM, KVMI_VM_CONTROL_EVENTS, KVMI_VM_EVENT_CMD_ERROR);
	add(THE_VM, KVMI_VM_CONTROL_EVENTS, KVMI_VCPU_EVENT_CREATE);
}

static bool is_on(__u8 vcpu, __u16 id, __u32 arg)
{
	for (int i = 0; i < nr_conds; i++)
		if (conds[i].vcpu == vcpu && conds[i].id == id && conds[i].arg == arg)
			return conds[i].on;
	return false;
}

/* --- messages ------------------------------------------------------------------------------ */

static struct {
	size_t fill, used;
	__u8 buf[64 * 1024];
} out, in;

/* Sent when an answer is waited for. */
static void post(struct kvmi_test *t, __u8 vcpu, __u16 id, const void *req, size_t size,
		 struct cond *off)
{
	struct kvmi_msg_hdr hdr = { .id = id, .size = size, .seq = ++t->tool.seq };
	struct kvmi_vcpu_hdr vcpu_hdr = { .vcpu = vcpu };

	TEST_ASSERT(nr_pending < MAX_PENDING, "vCPU %u does not answer command %u",
		    pending[0].vcpu, pending[0].id);
	TEST_ASSERT(out.fill + sizeof(hdr) + sizeof(vcpu_hdr) + size <= sizeof(out.buf),
		    "too many commands at a time");
	hdr.size += vcpu == THE_VM ? 0 : sizeof(vcpu_hdr);
	memcpy(out.buf + out.fill, &hdr, sizeof(hdr));
	out.fill += sizeof(hdr);
	if (vcpu != THE_VM) {
		memcpy(out.buf + out.fill, &vcpu_hdr, sizeof(vcpu_hdr));
		out.fill += sizeof(vcpu_hdr);
	}
	memcpy(out.buf + out.fill, req, size);
	out.fill += size;
	if (off == NO_REPLY)
		return;
	pending[nr_pending++] = (struct pending) {
		.seq = hdr.seq, .id = id, .vcpu = vcpu, .off = off, .since = kvmi_now_ms(),
	};
}

static void flush(struct kvmi_test *t)
{
	TEST_ASSERT(kvmi_write(&t->tool, out.buf, out.fill), "KVM closed the connection");
	out.fill = 0;
}

/* As many bytes at a time as there are: system calls take long on a debug kernel. */
static void receive(struct kvmi_test *t, struct kvmi_msg *msg)
{
	size_t have;
	ssize_t n;

	flush(t);
	for (;;) {
		have = in.fill - in.used;
		memcpy(&msg->hdr, in.buf + in.used, sizeof(msg->hdr));
		if (have >= sizeof(msg->hdr) && have >= sizeof(msg->hdr) + msg->hdr.size)
			break;
		memmove(in.buf, in.buf + in.used, have);
		in.used = 0;
		in.fill = have;
		n = recv(t->tool.fd, in.buf + in.fill, sizeof(in.buf) - in.fill, 0);
		TEST_ASSERT(n > 0, n ? "timeout: no message from KVM" :
			    "KVM closed the connection");
		in.fill += n;
	}
	TEST_ASSERT(msg->hdr.size <= sizeof(msg->data), "a message of %u bytes", msg->hdr.size);
	memcpy(msg->data, in.buf + in.used + sizeof(msg->hdr), msg->hdr.size);
	in.used += sizeof(msg->hdr) + msg->hdr.size;
}

static void start_messages(struct kvmi_test *t)
{
	struct timeval timeout = { .tv_sec = KVMI_TIMEOUT_MS / 1000 };

	in.fill = 0;
	in.used = 0;
	out.fill = 0;
	TEST_ASSERT(!setsockopt(t->tool.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)),
		    "setsockopt() failed");
}

static void post_switch(struct kvmi_test *t, struct cond *c, __u8 on)
{
	struct cond *off = on ? NULL : c;

	c->on = 1;
	if (c->id == KVMI_VCPU_CONTROL_EVENTS || c->id == KVMI_VM_CONTROL_EVENTS) {
		struct kvmi_vcpu_control_events req = { .event_id = c->arg, .enable = on };

		post(t, c->vcpu, c->id, &req, sizeof(req), off);
	} else if (c->id == KVMI_VCPU_CONTROL_CR) {
		struct kvmi_vcpu_control_cr req = { .cr = c->arg, .enable = on };

		post(t, c->vcpu, c->id, &req, sizeof(req), off);
	} else if (c->id == KVMI_VCPU_CONTROL_MSR) {
		struct kvmi_vcpu_control_msr req = { .msr = c->arg, .enable = on };

		post(t, c->vcpu, c->id, &req, sizeof(req), off);
	} else {
		struct kvmi_vcpu_control_singlestep req = { .enable = on };

		post(t, c->vcpu, c->id, &req, sizeof(req), off);
	}
}

static void take_reply(const struct kvmi_msg *msg)
{
	const struct kvmi_error_code *ec = (const void *)msg->data;
	struct pending *p;
	__u64 ms;

	for (p = pending; p < pending + nr_pending && p->seq != msg->hdr.seq; p++)
		;
	TEST_ASSERT(p < pending + nr_pending && p->id == msg->hdr.id,
		    "a reply to command %u seq %u, which is none", msg->hdr.id, msg->hdr.seq);
	TEST_ASSERT(!ec->err, "command %u: error code %d (%s)", p->id, ec->err,
		    kvmi_err_str(ec->err));
	TEST_ASSERT(p->seq > last_answered[p->vcpu], "replies of vCPU %u are not in order",
		    p->vcpu);
	last_answered[p->vcpu] = p->seq;
	if (p->off)
		p->off->on = 0;
	ms = kvmi_now_ms() - p->since;
	longest = ms > longest ? ms : longest;
	memmove(p, p + 1, (char *)(pending + --nr_pending) - (char *)p);
}

#endif /* SELFTEST_KVMI_SWITCH_TOOL_H */
