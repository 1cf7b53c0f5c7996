// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events of every shape, their answers, and batches. */
#include "peer.h"

static uint8_t msg[8192];

static const struct kvmi_vcpu_event_cr cr3 = {
	.cr = 3, .old_value = 0x1000, .new_value = 0x2000
};

static void shapes(void)
{
	static uint8_t longer[600] = { 600 & 0xff, 600 >> 8, 1, 0, 1, 0, 0, 0, 4 };
	static uint8_t surplus[200];
	const uint8_t bare[8] = { 8, 0, 5, 0, 10, 0, 0, 0 };
	struct kvmintro_event ev;
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	peer_event(fd, 1, 1, KVMI_VCPU_EVENT_CR, &cr3, sizeof(cr3));
	ok(kvmintro_wait_event(k, 100, &ev) == 1 && ev.id == KVMI_VCPU_EVENT_CR &&
	   ev.vcpu == 1 && ev.data_size == 24 && ev.data.cr.cr == 3 &&
	   ev.data.cr.old_value == 0x1000 && ev.data.cr.new_value == 0x2000 &&
	   ev.arch.mode == 8, "CR event");

	peer_event(fd, 2, 0, KVMI_VCPU_EVENT_CR, &cr3, 16);
	ok(kvmintro_wait_event(k, 100, &ev) == 1 && ev.data_size == 16 &&
	   ev.data.cr.old_value == 0x1000 && !ev.data.cr.new_value,
	   "short event data are filled with zeros");

	memset(surplus, 0xee, sizeof(surplus));
	peer_event(fd, 3, 0, 99, surplus, sizeof(surplus));
	ok(kvmintro_wait_event(k, 100, &ev) == 1 && ev.id == 99 &&
	   ev.data_size == sizeof(ev.data) && ev.data.raw[63] == 0xee,
	   "long data of an unknown event are cut");

	/* A kernel with a longer struct kvmi_event, then one with a short one. */
	peer_header(fd, KVMI_EVENT, 4, sizeof(longer) + sizeof(cr3));
	peer_send(fd, longer, sizeof(longer));
	peer_send(fd, &cr3, sizeof(cr3));
	ok(kvmintro_wait_event(k, 100, &ev) == 1 && ev.arch.mode == 4 &&
	   ev.data.cr.new_value == 0x2000, "a longer struct kvmi_event");
	peer_header(fd, KVMI_EVENT, 5, sizeof(bare));
	peer_send(fd, bare, sizeof(bare));
	ok(kvmintro_wait_event(k, 100, &ev) == 1 && ev.vcpu == 5 && ev.id == 10 &&
	   !ev.arch.mode && !ev.data_size, "the shortest event");
	ok(!kvmintro_wait_event(k, 10, &ev), "no event in time");
	peer_close(k, fd);
}

static void answers(void)
{
	struct kvmintro_event ev = { .seq = 7, .vcpu = 2 };
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	ev.id = KVMI_VCPU_EVENT_PAUSE;
	ok(!kvmintro_continue(k, &ev) && peer_receive(fd, msg, sizeof(msg)) == 24 &&
	   !memcmp(msg, "\0\0\x10\0\7\0\0\0\2\0\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0", 24),
	   "continue: PAUSE");
	ev.id = KVMI_VCPU_EVENT_CR;
	ev.data.cr = cr3;
	ok(!kvmintro_continue(k, &ev) && peer_receive(fd, msg, sizeof(msg)) == 32 &&
	   !memcmp(msg + 16, "\0\1\0\0\0\0\0\0\0\x20\0\0\0\0\0\0", 16),
	   "continue: CR keeps the guest's value");
	ok(!kvmintro_reply_cr(k, &ev, 0x1000) &&
	   peer_receive(fd, msg, sizeof(msg)) == 32 &&
	   !memcmp(msg + 24, "\0\x10\0\0\0\0\0\0", 8), "reply_cr");
	ok(!kvmintro_reply_event(k, &ev, KVMI_EVENT_ACTION_CRASH, NULL, 0) &&
	   peer_receive(fd, msg, sizeof(msg)) == 24 && msg[16] == 2, "crash");

	ev.id = KVMI_VM_EVENT_UNHOOK;
	ok(!kvmintro_event_needs_reply(&ev) && !kvmintro_continue(k, &ev) &&
	   !peer_receive(fd, msg, sizeof(msg)), "UNHOOK is not answered");
	ok(kvmintro_reply_event(k, &ev, 0, NULL, 0) == -EINVAL, "not even by force");
	ev.id = KVMI_VCPU_EVENT_PF;
	ok(kvmintro_reply_event(k, &ev, 0, msg, 513) == -EINVAL, "too much reply data");
	ok(kvmintro_reply_cr(k, &ev, 0) == -EINVAL, "reply_cr to something else");
	peer_close(k, fd);
}

/* The data of each event arrive in the member of its name. */
static void data(void)
{
	static const struct {
		uint8_t id;
		size_t size;
		const char *bytes;
	} all[] = {
		{ KVMI_VCPU_EVENT_MSR, 24,
		  "\x82\0\0\xc0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\x80" },
		{ KVMI_VCPU_EVENT_XSETBV, 24,
		  "\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0" },
		{ KVMI_VCPU_EVENT_BREAKPOINT, 16,
		  "\x34\x12\0\0\0\0\0\0\2\0\0\0\0\0\0\0" },
		{ KVMI_VCPU_EVENT_TRAP, 16,
		  "\x0e\0\0\0\4\0\0\0\0\x10\0\0\0\0\0\0" },
		{ KVMI_VCPU_EVENT_DESCRIPTOR, 8, "\3\1\0\0\0\0\0\0" },
		{ KVMI_VCPU_EVENT_SINGLESTEP, 8, "\1\0\0\0\0\0\0\0" },
		{ KVMI_VCPU_EVENT_CPUID, 16, "\7\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0" },
		{ KVMI_VM_EVENT_CMD_ERROR, 16,
		  "\xf0\xff\xff\xff\5\0\0\0\x13\0\0\0\0\0\0\0" },
	};
	struct kvmintro_event ev[8];
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		peer_event(fd, i + 1, 1, all[i].id, all[i].bytes, all[i].size);
		ok(kvmintro_wait_event(k, 100, &ev[i]) == 1 && ev[i].id == all[i].id &&
		   ev[i].data_size == all[i].size, "event %u", all[i].id);
	}
	ok(ev[0].data.msr.msr == 0xc0000082 && ev[0].data.msr.old_value == 1 &&
	   ev[0].data.msr.new_value == 0x8000000000000002, "MSR");
	ok(!ev[1].data.xsetbv.xcr && ev[1].data.xsetbv.old_value == 3 &&
	   ev[1].data.xsetbv.new_value == 7, "XSETBV");
	ok(ev[2].data.breakpoint.gpa == 0x1234 && ev[2].data.breakpoint.insn_len == 2,
	   "BREAKPOINT");
	ok(ev[3].data.trap.vector == 14 && ev[3].data.trap.error_code == 4 &&
	   ev[3].data.trap.cr2 == 0x1000, "TRAP");
	ok(ev[4].data.descriptor.descriptor == KVMI_DESC_LDTR &&
	   ev[4].data.descriptor.write, "DESCRIPTOR");
	ok(ev[5].data.singlestep.failed, "SINGLESTEP");
	ok(ev[6].data.cpuid.function == 7 && ev[6].data.cpuid.index == 1 &&
	   ev[6].data.cpuid.insn_len == 2, "CPUID");
	ok(ev[7].data.cmd_error.err == -KVM_EBUSY && ev[7].data.cmd_error.msg_seq == 5 &&
	   ev[7].data.cmd_error.msg_id == KVMI_VCPU_INJECT_EXCEPTION, "CMD_ERROR");
	ok(kvmintro_event_error(k, &ev[7]) == -EBUSY &&
	   strstr(kvmintro_error(k), "VCPU_INJECT_EXCEPTION"), "CMD_ERROR as errno");
	ev[7].data.cmd_error.msg_id = 9999;
	ok(kvmintro_event_error(k, &ev[7]) == -EBUSY, "the error of an unknown command");
	ev[7].data.cmd_error.err = 0;
	ok(kvmintro_event_error(k, &ev[7]) == -EINVAL &&
	   kvmintro_event_error(k, &ev[0]) == -EINVAL, "what is no error");
	ok(!kvmintro_event_needs_reply(&ev[7]) && !kvmintro_continue(k, &ev[7]) &&
	   !peer_receive(fd, msg, sizeof(msg)), "CMD_ERROR is not answered");
	peer_close(k, fd);
}

static void more_answers(void)
{
	static const uint8_t retried[] = {
		KVMI_VCPU_EVENT_BREAKPOINT, KVMI_VCPU_EVENT_DESCRIPTOR,
		KVMI_VCPU_EVENT_CPUID,
	};
	struct kvmintro_event ev = { .seq = 7, .vcpu = 2, .id = KVMI_VCPU_EVENT_MSR };
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	ev.data.msr.new_value = 0x2000;
	ok(!kvmintro_continue(k, &ev) && peer_receive(fd, msg, sizeof(msg)) == 32 &&
	   !memcmp(msg + 16, "\0\2\0\0\0\0\0\0\0\x20\0\0\0\0\0\0", 16),
	   "continue: MSR keeps the guest's value");
	ok(!kvmintro_reply_msr(k, &ev, 0x1000) &&
	   peer_receive(fd, msg, sizeof(msg)) == 32 &&
	   !memcmp(msg + 24, "\0\x10\0\0\0\0\0\0", 8), "reply_msr");
	ok(kvmintro_retry(k, &ev) == -EINVAL && !peer_receive(fd, msg, sizeof(msg)),
	   "an MSR event has no retry");
	for (i = 0; i < sizeof(retried); i++) {
		ev.id = retried[i];
		ok(!kvmintro_retry(k, &ev) && peer_receive(fd, msg, sizeof(msg)) == 24 &&
		   msg[16] == KVMI_EVENT_ACTION_RETRY && msg[17] == ev.id,
		   "retry: event %u", ev.id);
		ok(!kvmintro_continue(k, &ev) && peer_receive(fd, msg, sizeof(msg)) == 24 &&
		   !msg[16], "continue: event %u", ev.id);
	}
	ok(kvmintro_reply_msr(k, &ev, 0) == -EINVAL, "reply_msr to something else");
	peer_close(k, fd);
}

int main(void)
{
	shapes();
	answers();
	data();
	more_answers();
	return done();
}
