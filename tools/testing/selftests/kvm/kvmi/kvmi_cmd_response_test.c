// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM_CONTROL_CMD_RESPONSE. Tools send batches with replies off and take any
 * reply that they did not ask for as the end of the connection: each case ends
 * with a command whose reply must be the very next message.
 */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_cmd_response, 1);

#define CMD_RESPONSE	KVMI_VM_CONTROL_CMD_RESPONSE

static __u32 post_switch(struct kvmi_test *t, __u8 enable, __u8 now)
{
	struct kvmi_vm_control_cmd_response req = { .enable = enable, .now = now };

	return kvmi_post(&t->tool, CMD_RESPONSE, &req, sizeof(req));
}

static void expect_reply(struct kvmi_test *t, __u32 seq)
{
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, CMD_RESPONSE, seq, NULL, 0));
}

static void expect_in_step(struct kvmi_test *t)
{
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	TEST_ASSERT(!t->tool.nr_events, "unexpected event");
}

/* --- which of its own replies are sent --------------------------------------------- */

KVMI_TEST(kvmi_cmd_response, off_after_this_reply, guest_spin)
{
	expect_reply(t, post_switch(t, 0, 0));
	kvmi_post(&t->tool, KVMI_GET_VERSION, NULL, 0);
	expect_reply(t, post_switch(t, 1, 1));
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_response, off_before_this_reply, guest_spin)
{
	post_switch(t, 0, 1);
	kvmi_post(&t->tool, KVMI_GET_VERSION, NULL, 0);
	expect_reply(t, post_switch(t, 1, 1));
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_response, on_after_this_reply, guest_spin)
{
	post_switch(t, 0, 1);
	post_switch(t, 1, 0);
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_response, switching_to_the_same_state, guest_spin)
{
	expect_reply(t, post_switch(t, 1, 0));
	expect_reply(t, post_switch(t, 1, 1));
	post_switch(t, 0, 1);
	post_switch(t, 0, 1);
	post_switch(t, 0, 0);
	expect_reply(t, post_switch(t, 1, 1));
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_response, bad_arguments, guest_spin)
{
	static const struct kvmi_vm_control_cmd_response bad[] = {
		{ .enable = 2 }, { .enable = 255, .now = 1 }, { .now = 2 }, { .now = 255 },
		{ .enable = 1, .now = 1, .flags = 2 }, { .now = 1, .flags = 0x81 },
	};

	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, CMD_RESPONSE, &bad[i], sizeof(bad[i]),
					     NULL, 0), -KVM_EINVAL);
	expect_in_step(t);
	/* While replies are off its own errors are discarded, too. */
	post_switch(t, 0, 1);
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		kvmi_post(&t->tool, CMD_RESPONSE, &bad[i], sizeof(bad[i]));
	expect_reply(t, post_switch(t, 1, 1));
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_response, disallowed, guest_spin)
{
	struct kvmi_vm_control_cmd_response req = { .enable = 0, .now = 1 };

	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, CMD_RESPONSE, 0), 0);
	KVMI_ASSERT_ERR(kvmi_command(&t->tool, CMD_RESPONSE, &req, sizeof(req), NULL, 0),
			-KVM_EPERM);
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_response, hook_switches_on, guest_spin)
{
	post_switch(t, 0, 1);
	kvmi_test_rehook(t);
	expect_in_step(t);
}

/* --- what is discarded ----------------------------------------------------------------- */

KVMI_TEST(kvmi_cmd_response, errors_are_discarded, guest_spin)
{
	struct kvmi_vm_read_physical hole = { .gpa = 1ull << 40, .size = 8 };
	__u8 padding[8] = { [7] = 1 };

	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, KVMI_VM_GET_INFO, 0), 0);
	post_switch(t, 0, 1);
	kvmi_post(&t->tool, 0x1234, NULL, 0);				/* unknown */
	kvmi_post(&t->tool, KVMI_VM_GET_INFO, NULL, 0);			/* not allowed */
	kvmi_post(&t->tool, KVMI_VM_CHECK_EVENT, padding, sizeof(padding));
	kvmi_post(&t->tool, KVMI_VM_READ_PHYSICAL, &hole, sizeof(hole));
	kvmi_vcpu_post(&t->tool, 77, KVMI_VCPU_GET_INFO, NULL, 0);	/* no such vCPU */
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_PAUSE, padding, sizeof(padding));
	expect_reply(t, post_switch(t, 1, 1));
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_response, data_are_discarded, guest_spin)
{
	struct kvmi_vm_read_physical req = { .gpa = 0, .size = 4096 };

	kvmi_run(t, 0);
	post_switch(t, 0, 1);
	for (int i = 0; i < 100; i++)
		kvmi_post(&t->tool, KVMI_VM_READ_PHYSICAL, &req, sizeof(req));
	kvmi_post(&t->tool, KVMI_VM_GET_MAX_GFN, NULL, 0);
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_REGISTERS, NULL, 0);
	expect_reply(t, post_switch(t, 1, 1));
	expect_in_step(t);
	kvmi_expect_no_event(&t->tool, 0);
}

/* A vCPU command follows the state in which it was received, not done. */
KVMI_TEST(kvmi_cmd_response, vcpu_commands_remember, guest_spin)
{
	struct kvmi_vcpu_get_info_reply info;
	__u32 answered[3];

	answered[0] = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	post_switch(t, 0, 1);
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_CONTROL_CR, NULL, 0);
	expect_reply(t, post_switch(t, 1, 1));
	answered[1] = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	expect_reply(t, post_switch(t, 0, 0));
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	expect_reply(t, post_switch(t, 1, 1));
	answered[2] = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	expect_in_step(t);
	kvmi_run(t, 0);
	for (int i = 0; i < 3; i++)
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_GET_INFO, answered[i], &info,
					    sizeof(info)));
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_cmd_response, events_are_sent, guest_cr3_steps)
{
	struct kvmi_vcpu_control_events events = { .event_id = KVMI_VCPU_EVENT_CR, .enable = 1 };
	struct kvmi_vcpu_control_cr cr = { .enable = 1, .cr = 3 };
	struct kvmi_vcpu_pause pause = { .wait = 1 };
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	post_switch(t, 0, 1);
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_CONTROL_EVENTS, &events, sizeof(events));
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_CONTROL_CR, &cr, sizeof(cr));
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_PAUSE, &pause, sizeof(pause));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	kvmi_continue(&t->tool, &ev);
	for (int i = 0; i < 5; i++) {
		kvmi_step_begin(t, 0);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &ev);
		kvmi_continue(&t->tool, &ev);
		kvmi_step_end(t, 0);
	}
	expect_reply(t, post_switch(t, 1, 1));
	expect_in_step(t);
}

/* --- the batches that tools send, each in one write --------------------------------------- */

struct batch {
	size_t size;
	__u8 buf[8192];
};

static void add(struct batch *b, __u16 id, __u32 seq, const void *data, size_t size)
{
	struct kvmi_msg_hdr hdr = { .id = id, .size = size, .seq = seq };

	memcpy(b->buf + b->size, &hdr, sizeof(hdr));
	memcpy(b->buf + b->size + sizeof(hdr), data, size);
	b->size += sizeof(hdr) + size;
}

static void add_switch(struct batch *b, __u32 seq, __u8 enable, __u8 now)
{
	struct kvmi_vm_control_cmd_response req = { .enable = enable, .now = now };

	add(b, CMD_RESPONSE, seq, &req, sizeof(req));
}

KVMI_TEST(kvmi_cmd_response, batch_of_commands, guest_spin)
{
	struct {
		struct kvmi_vm_write_physical req;
		__u64 val;
	} write = { .req = { .gpa = 0x1000, .size = 8 } };
	struct {
		struct kvmi_vcpu_hdr hdr;
		struct kvmi_vcpu_control_events req;
	} events = { .req = { .event_id = KVMI_VCPU_EVENT_CR, .enable = 1 } };

	kvmi_run(t, 0);
	for (__u32 round = 1; round <= 50; round++) {
		struct batch b = { };

		write.val = round;
		add_switch(&b, round * 100, 0, 1);
		add(&b, KVMI_VM_WRITE_PHYSICAL, round * 100 + 1, &write, sizeof(write));
		add(&b, KVMI_VCPU_CONTROL_EVENTS, round * 100 + 2, &events, sizeof(events));
		add_switch(&b, round * 100 + 3, 1, 1);
		TEST_ASSERT(kvmi_write(&t->tool, b.buf, b.size), "closed");
		expect_reply(t, round * 100 + 3);
		TEST_ASSERT_EQ(*(__u64 *)addr_gpa2hva(t->vm, 0x1000), round);
		kvmi_expect_no_event(&t->tool, 0);
	}
}

KVMI_TEST(kvmi_cmd_response, batch_with_event_reply, guest_cr3_steps)
{
	struct {
		struct kvmi_vcpu_hdr hdr;
		struct kvmi_vcpu_set_registers req;
	} regs = { };
	struct {
		struct kvmi_vcpu_hdr hdr;
		struct kvmi_event_reply reply;
		struct kvmi_vcpu_event_cr_reply cr;
	} reply = { .reply = { .event = KVMI_VCPU_EVENT_CR } };
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	for (__u32 round = 1; round <= 50; round++) {
		struct batch b = { };

		kvmi_step_begin(t, 0);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &ev);
		regs.req.regs = ev.ev.arch.regs;
		reply.cr.new_val = ev.cr.new_value;
		add_switch(&b, round * 100, 0, 1);
		add(&b, KVMI_VCPU_SET_REGISTERS, round * 100 + 1, &regs, sizeof(regs));
		add(&b, KVMI_VCPU_EVENT_REPLY, ev.hdr.seq, &reply, sizeof(reply));
		add_switch(&b, round * 100 + 2, 1, 0);
		TEST_ASSERT(kvmi_write(&t->tool, b.buf, b.size), "closed");
		kvmi_step_end(t, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[0], ev.cr.new_value);
		expect_in_step(t);
	}
}

/* As tools stop a VM: the vCPUs' pauses in one batch. */
KVMI_TEST(kvmi_cmd_response, batch_of_pauses, guest_spin)
{
	struct {
		struct kvmi_vcpu_hdr hdr;
		struct kvmi_vcpu_pause req;
	} pause = { .req = { .wait = 1 } };
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	for (__u32 round = 1; round <= 20; round++) {
		struct batch b = { };

		add_switch(&b, round * 100, 0, 1);
		add(&b, KVMI_VCPU_PAUSE, round * 100 + 1, &pause, sizeof(pause));
		add_switch(&b, round * 100 + 2, 1, 1);
		TEST_ASSERT(kvmi_write(&t->tool, b.buf, b.size), "closed");
		expect_reply(t, round * 100 + 2);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_expect_running(t, 0);
}

KVMI_TEST_MAIN()
