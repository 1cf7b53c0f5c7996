// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tool's side of the introspection socket: messages, commands, events.
 * Checks are strict, as the tools in use rely on exact sizes and numbers.
 */
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "kvmi_test_util.h"

__u64 kvmi_env(const char *name, __u64 otherwise)
{
	const char *val = getenv(name);

	return val ? strtoull(val, NULL, 0) : otherwise;
}

__u64 kvmi_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

const char *kvmi_err_str(int err)
{
	switch (err) {
	case 0: return "success";
	case -KVM_EPERM: return "-KVM_EPERM";
	case -KVM_ENOENT: return "-KVM_ENOENT";
	case -KVM_E2BIG: return "-KVM_E2BIG";
	case -KVM_EAGAIN: return "-KVM_EAGAIN";
	case -KVM_ENOMEM: return "-KVM_ENOMEM";
	case -KVM_EFAULT: return "-KVM_EFAULT";
	case -KVM_EBUSY: return "-KVM_EBUSY";
	case -KVM_EINVAL: return "-KVM_EINVAL";
	case -KVM_EOPNOTSUPP: return "-KVM_EOPNOTSUPP";
	case -KVM_ENOSYS: return "-KVM_ENOSYS";
	default: return "no KVM error code";
	}
}

void kvmi_tool_init(struct kvmi_tool *tool, int fd)
{
	tool->fd = fd;
	tool->seq = 0;
	tool->nr_events = 0;
}

void kvmi_tool_close(struct kvmi_tool *tool)
{
	if (tool->fd >= 0)
		close(tool->fd);
	kvmi_tool_init(tool, -1);
}

/* Wait until the socket is ready; false once KVM has closed it. */
static void wait_ready(int fd, short events, const char *what)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	__u64 end = kvmi_now_ms() + KVMI_TIMEOUT_MS;
	int r;

	do {
		r = poll(&pfd, 1, KVMI_TIMEOUT_MS);
	} while (r < 0 && errno == EINTR && kvmi_now_ms() < end);
	TEST_ASSERT(r >= 0, "poll() of the tool's socket failed");
	if (!r)
		kvmi_timeout("%s", what);
}

bool kvmi_write(struct kvmi_tool *tool, const void *buf, size_t size)
{
	ssize_t n;

	while (size) {
		wait_ready(tool->fd, POLLOUT, "KVM takes no more bytes from the tool");
		n = send(tool->fd, buf, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return false;
		TEST_ASSERT(n > 0, "send() on the tool's socket failed");
		buf += n;
		size -= n;
	}
	return true;
}

bool kvmi_send(struct kvmi_tool *tool, __u16 id, __u32 seq, const void *data, size_t size)
{
	struct kvmi_msg msg = { .hdr = { .id = id, .size = size, .seq = seq } };

	TEST_ASSERT(size <= sizeof(msg.data), "a message of %zu bytes is too long", size);
	memcpy(msg.data, data, size);
	return kvmi_write(tool, &msg, sizeof(msg.hdr) + size);
}

static bool read_all(struct kvmi_tool *tool, void *buf, size_t size, bool may_end)
{
	size_t want = size;
	ssize_t n;

	while (size) {
		wait_ready(tool->fd, POLLIN, "no message from KVM");
		n = recv(tool->fd, buf, size, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (!n || (n < 0 && errno == ECONNRESET)) {
			TEST_ASSERT(may_end && size == want,
				    "the connection ended inside a message");
			return false;
		}
		TEST_ASSERT(n > 0, "recv() on the tool's socket failed");
		buf += n;
		size -= n;
	}
	return true;
}

bool kvmi_recv(struct kvmi_tool *tool, struct kvmi_msg *msg)
{
	if (!read_all(tool, &msg->hdr, sizeof(msg->hdr), true))
		return false;
	TEST_ASSERT(msg->hdr.size <= sizeof(msg->data),
		    "KVM sent a message of %u bytes", msg->hdr.size);
	return read_all(tool, msg->data, msg->hdr.size, false);
}

static void queue_event(struct kvmi_tool *tool, const struct kvmi_msg *msg)
{
	TEST_ASSERT(tool->nr_events < KVMI_EVENT_QUEUE, "more events than vCPUs can have sent");
	TEST_ASSERT(msg->hdr.size >= sizeof(struct kvmi_event) &&
		    msg->hdr.size <= sizeof(tool->events[0]) - sizeof(msg->hdr),
		    "an event of %u bytes", msg->hdr.size);
	memcpy(&tool->events[tool->nr_events++], msg, sizeof(msg->hdr) + msg->hdr.size);
}

bool kvmi_recv_reply(struct kvmi_tool *tool, struct kvmi_msg *msg)
{
	while (kvmi_recv(tool, msg)) {
		/* KVMI_EVENT as a command is unknown, and answered with its id. */
		if (msg->hdr.id != KVMI_EVENT || msg->hdr.size == sizeof(struct kvmi_error_code))
			return true;
		queue_event(tool, msg);
	}
	return false;
}

void kvmi_expect_closed(struct kvmi_tool *tool)
{
	struct kvmi_msg msg = { };

	TEST_ASSERT(!kvmi_recv(tool, &msg),
		    "the connection should be closed, but a message came: id %u size %u seq %u",
		    msg.hdr.id, msg.hdr.size, msg.hdr.seq);
}

__u32 kvmi_fill_socket(struct kvmi_tool *tool)
{
	/* A busy host keeps KVM's thread from running for a while; Bochs does not. */
	const __u64 patience_ms = host_cpu_is_amd ? 300 : 10;
	struct kvmi_msg_hdr hdr = { .id = KVMI_GET_VERSION };
	__u64 end = kvmi_now_ms() + patience_ms;
	int unread, seen = -1;
	ssize_t n;

	/* KVM is stuck when it takes no command and sends no reply any more. */
	for (__u32 seq = 1; ; ) {
		hdr.seq = seq;
		n = send(tool->fd, &hdr, sizeof(hdr), MSG_NOSIGNAL | MSG_DONTWAIT);
		TEST_ASSERT(n == sizeof(hdr) || (n < 0 && errno == EAGAIN),
			    "send() of a small message");
		if (n == sizeof(hdr))
			tool->seq = seq++;
		TEST_ASSERT(!ioctl(tool->fd, FIONREAD, &unread), "FIONREAD");
		if (n == sizeof(hdr) || unread != seen)
			end = kvmi_now_ms() + patience_ms;
		if (kvmi_now_ms() > end)
			return tool->seq;
		seen = unread;
		if (n < 0)
			sched_yield();
	}
}

__u32 kvmi_post(struct kvmi_tool *tool, __u16 id, const void *req, size_t size)
{
	TEST_ASSERT(kvmi_send(tool, id, ++tool->seq, req, size),
		    "KVM closed the connection before command %u", id);
	return tool->seq;
}

__u32 kvmi_vcpu_post(struct kvmi_tool *tool, __u16 vcpu, __u16 id, const void *body, size_t size)
{
	struct {
		struct kvmi_vcpu_hdr hdr;
		__u8 body[KVMI_MAX_MSG_SIZE - sizeof(struct kvmi_vcpu_hdr)];
	} req = { .hdr.vcpu = vcpu };

	TEST_ASSERT(size <= sizeof(req.body), "a command of %zu bytes is too long", size);
	memcpy(req.body, body, size);
	return kvmi_post(tool, id, &req, sizeof(req.hdr) + size);
}

int kvmi_collect(struct kvmi_tool *tool, __u16 id, __u32 seq, void *reply, size_t reply_size)
{
	struct kvmi_error_code ec;
	struct kvmi_msg msg;

	TEST_ASSERT(kvmi_recv_reply(tool, &msg),
		    "KVM closed the connection instead of answering command %u", id);
	TEST_ASSERT(msg.hdr.id == id && msg.hdr.seq == seq,
		    "reply to command %u seq %u, expected one to command %u seq %u",
		    msg.hdr.id, msg.hdr.seq, id, seq);
	TEST_ASSERT(msg.hdr.size >= sizeof(ec), "a reply of %u bytes", msg.hdr.size);
	memcpy(&ec, msg.data, sizeof(ec));
	TEST_ASSERT(!ec.padding, "padding after the error code: %#x", ec.padding);
	TEST_ASSERT(msg.hdr.size == sizeof(ec) + (ec.err ? 0 : reply_size),
		    "reply to command %u, error %d: %u bytes, expected %zu", id, ec.err,
		    msg.hdr.size, sizeof(ec) + (ec.err ? 0 : reply_size));
	if (!ec.err && reply_size)
		memcpy(reply, msg.data + sizeof(ec), reply_size);
	return ec.err;
}

int kvmi_command(struct kvmi_tool *tool, __u16 id, const void *req, size_t size,
		 void *reply, size_t reply_size)
{
	return kvmi_collect(tool, id, kvmi_post(tool, id, req, size), reply, reply_size);
}

int kvmi_vcpu_command(struct kvmi_tool *tool, __u16 vcpu, __u16 id, const void *body,
		      size_t size, void *reply, size_t reply_size)
{
	return kvmi_collect(tool, id, kvmi_vcpu_post(tool, vcpu, id, body, size),
			    reply, reply_size);
}

void kvmi_next_event(struct kvmi_tool *tool, struct kvmi_event_msg *ev)
{
	struct kvmi_msg msg;

	if (!tool->nr_events) {
		TEST_ASSERT(kvmi_recv(tool, &msg), "KVM closed the connection, expected an event");
		TEST_ASSERT(msg.hdr.id == KVMI_EVENT, "a reply to command %u, expected an event",
			    msg.hdr.id);
		queue_event(tool, &msg);
	}
	*ev = tool->events[0];
	memmove(tool->events, tool->events + 1, --tool->nr_events * sizeof(*ev));
}

/* An event's own data on the wire: their size, and where padding begins and ends. */
static const struct { __u8 size, pad, pad_end; } event_data[KVMI_NUM_EVENTS] = {
	[KVMI_VCPU_EVENT_CR]		= { 24, 2, 8 },
	[KVMI_VCPU_EVENT_MSR]		= { 24, 4, 8 },
	[KVMI_VCPU_EVENT_XSETBV]	= { 24, 1, 8 },
	[KVMI_VCPU_EVENT_BREAKPOINT]	= { 16, 9, 16 },
	[KVMI_VCPU_EVENT_PF]		= { 24, 17, 24 },
	[KVMI_VCPU_EVENT_TRAP]		= { 16, 2, 4 },
	[KVMI_VCPU_EVENT_DESCRIPTOR]	= { 8, 2, 8 },
	[KVMI_VCPU_EVENT_SINGLESTEP]	= { 8, 1, 8 },
	[KVMI_VM_EVENT_CMD_ERROR]	= { 16, 10, 16 },
	[KVMI_VCPU_EVENT_CPUID]		= { 16, 9, 16 },
};

void kvmi_expect_event(struct kvmi_tool *tool, __u16 vcpu, __u8 id, struct kvmi_event_msg *ev)
{
	bool of_vm = id == KVMI_VM_EVENT_UNHOOK || id == KVMI_VM_EVENT_CMD_ERROR;
	const __u8 *b;

	kvmi_next_event(tool, ev);
	TEST_ASSERT(ev->ev.event == id && ev->ev.vcpu == vcpu,
		    "event %u of vCPU %u, expected event %u of vCPU %u",
		    ev->ev.event, ev->ev.vcpu, id, vcpu);
	TEST_ASSERT_EQ(ev->ev.size, sizeof(ev->ev));
	TEST_ASSERT_EQ(ev->hdr.size, sizeof(ev->ev) + event_data[id].size);
	TEST_ASSERT(!ev->ev.padding[0] && !ev->ev.padding[1] && !ev->ev.padding[2] &&
		    !ev->ev.arch.padding1 && !ev->ev.arch.padding2, "padding in event %u", id);
	TEST_ASSERT_EQ(ev->ev.arch.view, 0);
	if (of_vm) {
		for (b = (void *)&ev->ev.arch; b < (__u8 *)(&ev->ev.arch + 1); b++)
			TEST_ASSERT(!*b, "registers in an event of the VM");
	} else {
		TEST_ASSERT(ev->ev.arch.mode == 2 || ev->ev.arch.mode == 4 ||
			    ev->ev.arch.mode == 8, "mode %u", ev->ev.arch.mode);
	}
	for (int i = event_data[id].pad; i < event_data[id].pad_end; i++)
		TEST_ASSERT(!ev->data[i], "padding in the data of event %u", id);
}

void kvmi_reply(struct kvmi_tool *tool, const struct kvmi_event_msg *ev, __u8 action,
		const void *data, size_t size)
{
	struct {
		struct kvmi_vcpu_hdr hdr;
		struct kvmi_event_reply reply;
		__u8 data[320];
	} msg = {
		.hdr.vcpu = ev->ev.vcpu,
		.reply = { .action = action, .event = ev->ev.event },
	};

	TEST_ASSERT(size <= sizeof(msg.data), "reply data of %zu bytes", size);
	memcpy(msg.data, data, size);
	TEST_ASSERT(kvmi_send(tool, KVMI_VCPU_EVENT_REPLY, ev->hdr.seq, &msg,
			      sizeof(msg.hdr) + sizeof(msg.reply) + size),
		    "KVM closed the connection before the reply to event %u", ev->ev.event);
}

void kvmi_reply_cr(struct kvmi_tool *tool, const struct kvmi_event_msg *ev, __u64 new_val)
{
	struct kvmi_vcpu_event_cr_reply reply = { .new_val = new_val };

	kvmi_reply(tool, ev, KVMI_EVENT_ACTION_CONTINUE, &reply, sizeof(reply));
}

void kvmi_reply_msr(struct kvmi_tool *tool, const struct kvmi_event_msg *ev, __u64 new_val)
{
	struct kvmi_vcpu_event_msr_reply reply = { .new_val = new_val };

	kvmi_reply(tool, ev, KVMI_EVENT_ACTION_CONTINUE, &reply, sizeof(reply));
}

void kvmi_continue(struct kvmi_tool *tool, const struct kvmi_event_msg *ev)
{
	if (ev->ev.event == KVMI_VCPU_EVENT_CR)
		kvmi_reply_cr(tool, ev, ev->cr.new_value);
	else if (ev->ev.event == KVMI_VCPU_EVENT_MSR)
		kvmi_reply_msr(tool, ev, ev->msr.new_value);
	else
		kvmi_reply(tool, ev, KVMI_EVENT_ACTION_CONTINUE, NULL, 0);
}

void kvmi_expect_no_event(struct kvmi_tool *tool, int vcpu)
{
	struct kvmi_vcpu_get_info_reply info;

	/* The vCPU's own reply comes after whatever it sent before. */
	if (vcpu >= 0)
		KVMI_ASSERT_OK(kvmi_vcpu_command(tool, vcpu, KVMI_VCPU_GET_INFO, NULL, 0,
						 &info, sizeof(info)));
	else
		KVMI_ASSERT_OK(kvmi_get_version(tool));
	TEST_ASSERT(!tool->nr_events, "unexpected event %u of vCPU %u",
		    tool->events[0].ev.event, tool->events[0].ev.vcpu);
}

int kvmi_get_version(struct kvmi_tool *tool)
{
	struct kvmi_get_version_reply r;

	return kvmi_command(tool, KVMI_GET_VERSION, NULL, 0, &r, sizeof(r));
}

int kvmi_pause(struct kvmi_tool *tool, __u16 vcpu, __u8 wait)
{
	struct kvmi_vcpu_pause req = { .wait = wait };

	return kvmi_vcpu_command(tool, vcpu, KVMI_VCPU_PAUSE, &req, sizeof(req), NULL, 0);
}

int kvmi_vcpu_events(struct kvmi_tool *tool, __u16 vcpu, __u16 event, __u8 enable)
{
	struct kvmi_vcpu_control_events req = { .event_id = event, .enable = enable };

	return kvmi_vcpu_command(tool, vcpu, KVMI_VCPU_CONTROL_EVENTS, &req, sizeof(req), NULL, 0);
}

int kvmi_vm_events(struct kvmi_tool *tool, __u16 event, __u8 enable)
{
	struct kvmi_vm_control_events req = { .event_id = event, .enable = enable };

	return kvmi_command(tool, KVMI_VM_CONTROL_EVENTS, &req, sizeof(req), NULL, 0);
}

int kvmi_control_cr(struct kvmi_tool *tool, __u16 vcpu, __u32 cr, __u8 enable)
{
	struct kvmi_vcpu_control_cr req = { .enable = enable, .cr = cr };

	return kvmi_vcpu_command(tool, vcpu, KVMI_VCPU_CONTROL_CR, &req, sizeof(req), NULL, 0);
}

int kvmi_get_regs(struct kvmi_tool *tool, __u16 vcpu, struct kvmi_vcpu_get_registers_reply *r)
{
	struct kvmi_vcpu_get_registers req = { .nmsrs = 0 };

	return kvmi_vcpu_command(tool, vcpu, KVMI_VCPU_GET_REGISTERS, &req, sizeof(req),
				 r, sizeof(*r));
}

int kvmi_set_regs(struct kvmi_tool *tool, __u16 vcpu, const struct kvm_regs *regs)
{
	return kvmi_vcpu_command(tool, vcpu, KVMI_VCPU_SET_REGISTERS, regs, sizeof(*regs), NULL, 0);
}
