// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CMD_ERROR event, which stands for the reply of a command that failed while
 * replies were off. It is never sent beside a reply, nor to a tool that did not ask.
 */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_cmd_error, 1);

#define CMD_RESPONSE	KVMI_VM_CONTROL_CMD_RESPONSE

static __u32 post_switch(struct kvmi_test *t, __u8 enable, __u8 now, __u8 flags)
{
	struct kvmi_vm_control_cmd_response req = { .enable = enable, .now = now, .flags = flags };

	return kvmi_post(&t->tool, CMD_RESPONSE, &req, sizeof(req));
}

/* Replies off at once; failures are reported. */
static void off(struct kvmi_test *t)
{
	post_switch(t, 0, 1, KVMI_CMD_RESPONSE_ERRORS);
}

/* Replies on. What was sent before is now in the queue: @events and no more. */
static void on(struct kvmi_test *t, int events)
{
	__u32 seq = post_switch(t, 1, 1, 0);

	KVMI_ASSERT_OK(kvmi_collect(&t->tool, CMD_RESPONSE, seq, NULL, 0));
	TEST_ASSERT_EQ(t->tool.nr_events, events);
}

static void expect_error(struct kvmi_test *t, __u16 id, __u32 seq, int err)
{
	struct kvmi_event_msg ev;

	kvmi_expect_event(&t->tool, 0, KVMI_VM_EVENT_CMD_ERROR, &ev);
	TEST_ASSERT(ev.cmd_error.err == err && ev.cmd_error.msg_seq == seq &&
		    ev.cmd_error.msg_id == id,
		    "event of command %u seq %u: %s; expected command %u seq %u: %s",
		    ev.cmd_error.msg_id, ev.cmd_error.msg_seq, kvmi_err_str(ev.cmd_error.err),
		    id, seq, kvmi_err_str(err));
}

static void expect_in_step(struct kvmi_test *t)
{
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	TEST_ASSERT(!t->tool.nr_events, "unexpected event");
}

/* Commands that fail in the receiving thread. */
static __u32 post_unknown(struct kvmi_test *t)
{
	return kvmi_post(&t->tool, 0x1234, NULL, 0);
}

static __u32 post_read_of_a_hole(struct kvmi_test *t)
{
	struct kvmi_vm_read_physical req = { .gpa = 1ull << 40, .size = 8 };

	return kvmi_post(&t->tool, KVMI_VM_READ_PHYSICAL, &req, sizeof(req));
}

/* One that the vCPU finds to be wrong. */
static __u32 post_bad_cr(struct kvmi_test *t)
{
	struct kvmi_vcpu_control_cr req = { .enable = 1, .cr = 77 };

	return kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_CONTROL_CR, &req, sizeof(req));
}

/* --- asked for when switching replies off ------------------------------------------------ */

KVMI_TEST(kvmi_cmd_error, vm_commands, guest_spin)
{
	__u8 padding[8] = { [7] = 1 };
	__u32 seq[4];

	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, KVMI_VM_GET_INFO, 0), 0);
	off(t);
	seq[0] = post_unknown(t);
	seq[1] = kvmi_post(&t->tool, KVMI_VM_GET_INFO, NULL, 0);
	seq[2] = kvmi_post(&t->tool, KVMI_VM_CHECK_EVENT, padding, sizeof(padding));
	seq[3] = post_read_of_a_hole(t);
	on(t, 4);
	expect_error(t, 0x1234, seq[0], -KVM_ENOSYS);
	expect_error(t, KVMI_VM_GET_INFO, seq[1], -KVM_EPERM);
	expect_error(t, KVMI_VM_CHECK_EVENT, seq[2], -KVM_EINVAL);
	expect_error(t, KVMI_VM_READ_PHYSICAL, seq[3], -KVM_ENOENT);
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_error, vcpu_commands, guest_spin)
{
	__u8 padding[8] = { [7] = 1 };
	__u32 seq[3];

	kvmi_run(t, 0);
	off(t);
	seq[0] = kvmi_vcpu_post(&t->tool, 77, KVMI_VCPU_GET_INFO, NULL, 0);
	seq[1] = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_PAUSE, padding, sizeof(padding));
	expect_error(t, KVMI_VCPU_GET_INFO, seq[0], -KVM_EINVAL);
	expect_error(t, KVMI_VCPU_PAUSE, seq[1], -KVM_EINVAL);
	seq[2] = post_bad_cr(t);
	expect_error(t, KVMI_VCPU_CONTROL_CR, seq[2], -KVM_EINVAL);
	on(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Too many wait for the vCPU: the last one is refused, the others are not heard of. */
KVMI_TEST(kvmi_cmd_error, too_many_commands_for_a_vcpu, guest_spin)
{
	__u32 seq;

	off(t);
	for (int i = 0; i < 64; i++)
		kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	expect_error(t, KVMI_VCPU_GET_INFO, seq, -KVM_EBUSY);
	on(t, 0);
	kvmi_run(t, 0);
	/* It has served them all when it enters the guest. */
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_cmd_error, success_is_silent, guest_spin)
{
	struct kvmi_vm_read_physical req = { .gpa = 0x1000, .size = 8 };

	kvmi_run(t, 0);
	off(t);
	kvmi_post(&t->tool, KVMI_GET_VERSION, NULL, 0);
	kvmi_post(&t->tool, KVMI_VM_READ_PHYSICAL, &req, sizeof(req));
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_REGISTERS, NULL, 0);
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	on(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Its numbers are those of the VM's events. */
KVMI_TEST(kvmi_cmd_error, numbers, guest_spin)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	off(t);
	for (__u32 i = 1; i < 20; i += 2) {
		post_unknown(t);
		kvmi_expect_event(&t->tool, 0, KVMI_VM_EVENT_CMD_ERROR, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
		kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_PAUSE, NULL, 0);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i + 1);
		kvmi_continue(&t->tool, &ev);
	}
	on(t, 0);
}

/* With now=0 the command itself is still answered, and what follows is reported. */
KVMI_TEST(kvmi_cmd_error, off_after_the_reply, guest_spin)
{
	__u32 seq = post_switch(t, 0, 0, KVMI_CMD_RESPONSE_ERRORS);

	KVMI_ASSERT_OK(kvmi_collect(&t->tool, CMD_RESPONSE, seq, NULL, 0));
	seq = post_unknown(t);
	expect_error(t, 0x1234, seq, -KVM_ENOSYS);
	on(t, 0);
	expect_in_step(t);
}

/* Replies off twice: the last word counts. */
KVMI_TEST(kvmi_cmd_error, switched_again, guest_spin)
{
	__u32 seq;

	off(t);
	post_switch(t, 0, 1, 0);
	post_unknown(t);
	off(t);
	seq = post_unknown(t);
	on(t, 1);
	expect_error(t, 0x1234, seq, -KVM_ENOSYS);

	/* It was for that time only. */
	post_switch(t, 0, 1, 0);
	post_unknown(t);
	on(t, 0);
	expect_in_step(t);
}

/* A vCPU command follows the state in which it was received. */
KVMI_TEST(kvmi_cmd_error, vcpu_commands_remember, guest_spin)
{
	__u32 seq[5];

	seq[0] = post_bad_cr(t);			/* to be answered */
	off(t);
	seq[1] = post_bad_cr(t);			/* to be reported */
	post_switch(t, 0, 1, 0);
	post_bad_cr(t);					/* neither */
	on(t, 0);
	seq[2] = post_bad_cr(t);			/* to be answered */
	kvmi_run(t, 0);
	KVMI_ASSERT_ERR(kvmi_collect(&t->tool, KVMI_VCPU_CONTROL_CR, seq[0], NULL, 0), -KVM_EINVAL);
	KVMI_ASSERT_ERR(kvmi_collect(&t->tool, KVMI_VCPU_CONTROL_CR, seq[2], NULL, 0), -KVM_EINVAL);
	TEST_ASSERT_EQ(t->tool.nr_events, 1);
	expect_error(t, KVMI_VCPU_CONTROL_CR, seq[1], -KVM_EINVAL);
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- switched on like any event ---------------------------------------------------------- */

KVMI_TEST(kvmi_cmd_error, event_switched_on, guest_spin)
{
	__u32 seq[2];

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_CMD_ERROR, 1));
	post_switch(t, 0, 1, 0);
	seq[0] = post_unknown(t);
	expect_error(t, 0x1234, seq[0], -KVM_ENOSYS);
	seq[1] = post_bad_cr(t);
	expect_error(t, KVMI_VCPU_CONTROL_CR, seq[1], -KVM_EINVAL);
	on(t, 0);
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_CMD_ERROR, 0));
	post_switch(t, 0, 1, 0);
	post_unknown(t);
	post_bad_cr(t);
	on(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Asked for twice is not reported twice. */
KVMI_TEST(kvmi_cmd_error, asked_for_both_ways, guest_spin)
{
	__u32 seq;

	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_CMD_ERROR, 1));
	off(t);
	seq = post_unknown(t);
	on(t, 1);
	expect_error(t, 0x1234, seq, -KVM_ENOSYS);
	expect_in_step(t);
}

/* --- never ------------------------------------------------------------------------------- */

KVMI_TEST(kvmi_cmd_error, not_beside_a_reply, guest_spin)
{
	__u32 seq;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_CMD_ERROR, 1));
	seq = post_unknown(t);
	KVMI_ASSERT_ERR(kvmi_collect(&t->tool, 0x1234, seq, NULL, 0), -KVM_ENOSYS);
	KVMI_ASSERT_ERR(kvmi_control_cr(&t->tool, 0, 77, 1), -KVM_EINVAL);
	kvmi_expect_no_event(&t->tool, 0);
	/* Not after a time of silence, either. */
	off(t);
	on(t, 0);
	KVMI_ASSERT_ERR(kvmi_control_cr(&t->tool, 0, 77, 1), -KVM_EINVAL);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Tools that exist do not know it. */
KVMI_TEST(kvmi_cmd_error, not_asked_for, guest_spin)
{
	kvmi_run(t, 0);
	post_switch(t, 0, 1, 0);
	post_unknown(t);
	post_read_of_a_hole(t);
	post_bad_cr(t);
	on(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_cmd_error, unhook_resets, guest_spin)
{
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_CMD_ERROR, 1));
	off(t);
	kvmi_test_rehook(t);
	post_switch(t, 0, 1, 0);
	post_unknown(t);
	on(t, 0);
	expect_in_step(t);
}

/* --- permission and arguments ------------------------------------------------------------ */

static int allow(struct kvmi_test *t, __u32 allow)
{
	return kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VM_EVENT_CMD_ERROR, allow);
}

KVMI_TEST(kvmi_cmd_error, event_disallowed, guest_spin)
{
	__u32 seq;

	TEST_ASSERT_EQ(allow(t, 0), 0);
	/* Refused, and nothing is switched: the next command is answered. */
	for (int now = 0; now < 2; now++) {
		seq = post_switch(t, 0, now, KVMI_CMD_RESPONSE_ERRORS);
		KVMI_ASSERT_ERR(kvmi_collect(&t->tool, CMD_RESPONSE, seq, NULL, 0), -KVM_EPERM);
		expect_in_step(t);
	}
	/* Without the flag it is as ever. */
	post_switch(t, 0, 1, 0);
	post_unknown(t);
	/* And refused in silence. */
	off(t);
	post_unknown(t);
	on(t, 0);
	TEST_ASSERT_EQ(allow(t, 1), 0);
	off(t);
	seq = post_unknown(t);
	on(t, 1);
	expect_error(t, 0x1234, seq, -KVM_ENOSYS);
}

/* The VMM's word counts at once. */
KVMI_TEST(kvmi_cmd_error, event_disallowed_later, guest_spin)
{
	__u32 seq;

	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_CMD_ERROR, 1));
	off(t);
	seq = post_unknown(t);
	expect_error(t, 0x1234, seq, -KVM_ENOSYS);
	TEST_ASSERT_EQ(allow(t, 0), 0);
	post_unknown(t);
	on(t, 0);
	expect_in_step(t);
}

KVMI_TEST(kvmi_cmd_error, bad_flags, guest_spin)
{
	static const __u8 bad[] = { 2, 3, 4, 0x80, 0x81, 0xff };
	__u32 seq[ARRAY_SIZE(bad)];

	for (int i = 0; i < ARRAY_SIZE(bad) * 4; i++) {
		__u32 s = post_switch(t, i & 1, i >> 1 & 1, bad[i / 4]);

		KVMI_ASSERT_ERR(kvmi_collect(&t->tool, CMD_RESPONSE, s, NULL, 0), -KVM_EINVAL);
	}
	expect_in_step(t);
	/* While replies are off, this command's failures are reported like any other's. */
	off(t);
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		seq[i] = post_switch(t, 1, 1, bad[i]);
	on(t, ARRAY_SIZE(bad));
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		expect_error(t, CMD_RESPONSE, seq[i], -KVM_EINVAL);
	expect_in_step(t);
}

KVMI_TEST_MAIN()
