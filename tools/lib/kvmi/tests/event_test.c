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

/* Read one message and check its id, number and, if >= 0, its first byte. */
static int next_is(int fd, uint16_t id, uint32_t seq, int first)
{
	struct kvmi_msg_hdr hdr;

	if (!peer_receive(fd, msg, sizeof(msg)))
		return 0;
	memcpy(&hdr, msg, sizeof(hdr));
	return hdr.id == id && hdr.seq == seq &&
	       (first < 0 || msg[sizeof(hdr)] == first);
}

static void batches(void)
{
	struct kvmintro_event ev = { .seq = 9, .id = KVMI_VCPU_EVENT_PAUSE };
	struct kvmintro *k;
	uint32_t count;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_CHECK_COMMAND, 1, 0, NULL, 0);
	ok(!kvmintro_batch_begin(k) && next_is(fd, KVMI_VM_CHECK_COMMAND, 1, 27),
	   "a batch begins with the question whether it can");
	ok(kvmintro_batch_begin(k) == -EALREADY, "not twice");
	ok(!kvmintro_control_cr(k, 0, 3, true) && !kvmintro_pause_vcpu(k, 1, false) &&
	   !kvmintro_continue(k, &ev) && !kvmintro_write_physical(k, 0, "ab", 2),
	   "commands are taken");
	ok(!peer_receive(fd, msg, sizeof(msg)), "nothing is sent");
	ok(kvmintro_get_vcpu_count(k, &count) == -EBUSY &&
	   kvmintro_check_event(k, 1) == -EBUSY, "questions are refused");

	peer_reply(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 6, 0, NULL, 0);
	ok(!kvmintro_batch_end(k), "the end is answered");
	ok(next_is(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 5, 0) && msg[9] == 1,
	   "replies off, at once");
	ok(next_is(fd, KVMI_VCPU_CONTROL_CR, 2, 0) &&
	   next_is(fd, KVMI_VCPU_PAUSE, 3, 1) &&
	   next_is(fd, KVMI_VCPU_EVENT_REPLY, 9, 0) &&
	   next_is(fd, KVMI_VM_WRITE_PHYSICAL, 4, 0), "the commands in order");
	ok(next_is(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 6, 1) && msg[9] == 1,
	   "replies on, at once");
	ok(kvmintro_batch_end(k) == -EINVAL, "an end without begin");

	peer_reply(fd, KVMI_VM_CHECK_COMMAND, 7, 0, NULL, 0);
	ok(!kvmintro_batch_begin(k) && !kvmintro_batch_end(k) &&
	   next_is(fd, KVMI_VM_CHECK_COMMAND, 7, 27) &&
	   !peer_receive(fd, msg, sizeof(msg)), "an empty batch sends nothing");
	peer_reply(fd, KVMI_VM_CHECK_COMMAND, 8, -KVM_EPERM, NULL, 0);
	ok(kvmintro_batch_begin(k) == -EPERM, "a VMM that does not allow it");
	peer_close(k, fd);
}

static void quiet(void)
{
	struct kvmintro *k;
	uint32_t count;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 1, 0, NULL, 0);
	ok(!kvmintro_control_cmd_response(k, false, false), "off, with an answer");
	ok(!kvmintro_control_cr(k, 0, 3, true), "a command returns at once");
	ok(kvmintro_get_vcpu_count(k, &count) == -EBUSY, "a question is refused");
	ok(kvmintro_batch_begin(k) == -EALREADY, "and so is a batch");
	peer_reply(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 3, 0, NULL, 0);
	ok(!kvmintro_control_cmd_response(k, true, true), "on, with an answer");
	peer_reply(fd, KVMI_VCPU_CONTROL_CR, 4, -KVM_EINVAL, NULL, 0);
	ok(kvmintro_control_cr(k, 0, 9, true) == -EINVAL, "answers are waited for again");
	ok(!kvmintro_control_cmd_response(k, false, true), "off, without an answer");
	ok(!kvmintro_control_cmd_response(k, true, false), "on, without an answer");
	peer_close(k, fd);
}

int main(void)
{
	shapes();
	answers();
	batches();
	quiet();
	return done();
}
