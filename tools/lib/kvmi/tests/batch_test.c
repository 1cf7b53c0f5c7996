// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands whose replies are suppressed. */
#include "peer.h"

static uint8_t msg[8192];

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

	ok(!kvmintro_batch_begin(k) && !kvmintro_batch_end(k) &&
	   !peer_receive(fd, msg, sizeof(msg)),
	   "an empty batch sends nothing, nor asks again");
	peer_close(k, fd);

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_CHECK_COMMAND, 1, -KVM_EPERM, NULL, 0);
	ok(kvmintro_batch_begin(k) == -EPERM, "a VMM that does not allow it");
	peer_close(k, fd);
}

static void not_waiting(void)
{
	const struct kvmi_vm_event_cmd_error error = {
		.err = -KVM_EINVAL, .msg_seq = 3, .msg_id = KVMI_VCPU_CONTROL_CR
	};
	struct kvmintro_event ev;
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 1, -KVM_EPERM, NULL, 0);
	ok(kvmintro_batch_errors(k, true) == -EPERM &&
	   next_is(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 1, 1), "errors are not allowed");
	peer_reply(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 2, 0, NULL, 0);
	ok(!kvmintro_batch_errors(k, true) &&
	   next_is(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 2, 1) && msg[9] == 1 &&
	   msg[10] == KVMI_CMD_RESPONSE_ERRORS, "errors are asked for");

	peer_reply(fd, KVMI_VM_CHECK_COMMAND, 3, 0, NULL, 0);
	ok(!kvmintro_batch_begin(k) && kvmintro_batch_errors(k, false) == -EALREADY &&
	   next_is(fd, KVMI_VM_CHECK_COMMAND, 3, 27), "not in a batch");
	ok(!kvmintro_control_cr(k, 0, 9, true) && !kvmintro_batch_send(k),
	   "a batch that is not waited for");
	ok(next_is(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 5, 0) && msg[9] == 1 &&
	   msg[10] == KVMI_CMD_RESPONSE_ERRORS, "replies off, errors reported");
	ok(next_is(fd, KVMI_VCPU_CONTROL_CR, 4, 0) &&
	   next_is(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 6, 1) && msg[9] == 0,
	   "replies on, after that");
	peer_event(fd, 1, 0, KVMI_VM_EVENT_CMD_ERROR, &error, sizeof(error));
	ok(kvmintro_wait_event(k, 100, &ev) == 1 &&
	   kvmintro_event_error(k, &ev) == -EINVAL, "the failure arrives");
	ok(kvmintro_batch_send(k) == -EINVAL, "an end without begin");
	ok(!kvmintro_batch_errors(k, false) && !peer_receive(fd, msg, sizeof(msg)),
	   "switching the reports off needs no command");
	peer_close(k, fd);
}

static void quiet(void)
{
	struct kvmintro *k;
	uint32_t count;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 1, 0, NULL, 0);
	ok(!kvmintro_control_cmd_response(k, false, false, 0), "off, with an answer");
	ok(!kvmintro_control_cr(k, 0, 3, true), "a command returns at once");
	ok(kvmintro_get_vcpu_count(k, &count) == -EBUSY, "a question is refused");
	ok(kvmintro_batch_begin(k) == -EALREADY, "and so is a batch");
	peer_reply(fd, KVMI_VM_CONTROL_CMD_RESPONSE, 3, 0, NULL, 0);
	ok(!kvmintro_control_cmd_response(k, true, true, 0), "on, with an answer");
	peer_reply(fd, KVMI_VCPU_CONTROL_CR, 4, -KVM_EINVAL, NULL, 0);
	ok(kvmintro_control_cr(k, 0, 9, true) == -EINVAL, "answers are waited for again");
	ok(!kvmintro_control_cmd_response(k, false, true, 0), "off, without an answer");
	ok(!kvmintro_control_cmd_response(k, true, false, 0), "on, without an answer");
	peer_close(k, fd);
}

int main(void)
{
	batches();
	not_waiting();
	quiet();
	return done();
}
