// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stream that carries the messages: how they may be cut and joined, what
 * ends the connection, and that nothing else ends with it.
 */
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_stream, 1);

/* The guest goes on, and the VM can be hooked again. */
static void expect_only_the_connection_ends(struct kvmi_test *t)
{
	kvmi_expect_closed(&t->tool);
	kvmi_expect_running(t, 0);
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_stream, byte_by_byte, guest_spin)
{
	struct {
		struct kvmi_msg_hdr hdr;
		struct kvmi_vm_read_physical req;
	} msg = { .hdr = { KVMI_VM_READ_PHYSICAL, sizeof(msg.req), 1 }, .req = { 0, 8 } };
	__u8 data[8];

	for (int i = 0; i < sizeof(msg); i++)
		TEST_ASSERT(kvmi_write(&t->tool, (__u8 *)&msg + i, 1), "closed at byte %d", i);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VM_READ_PHYSICAL, 1, data, sizeof(data)));
}

/* Cut in two at every place. */
KVMI_TEST(kvmi_stream, split_in_two, guest_spin)
{
	struct {
		struct kvmi_msg_hdr hdr;
		struct kvmi_vm_read_physical req;
	} msg = { .hdr = { KVMI_VM_READ_PHYSICAL, sizeof(msg.req), 0 }, .req = { 0, 8 } };
	__u8 data[8];

	for (int i = 1; i < sizeof(msg); i++) {
		msg.hdr.seq = i;
		TEST_ASSERT(kvmi_write(&t->tool, &msg, i), "closed");
		TEST_ASSERT(kvmi_write(&t->tool, (__u8 *)&msg + i, sizeof(msg) - i), "closed");
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VM_READ_PHYSICAL, i, data,
					    sizeof(data)));
	}
}

/* Commands of the VM are answered in the order in which they were sent. */
KVMI_TEST(kvmi_stream, many_in_one_write, guest_spin)
{
	enum { N = 500 };
	struct kvmi_msg_hdr msgs[N];
	struct kvmi_get_version_reply version;
	struct kvmi_vm_get_info_reply info;
	__u32 seq;

	for (seq = 0; seq < N; seq++)
		msgs[seq] = (struct kvmi_msg_hdr) {
			.id = seq & 1 ? KVMI_VM_GET_INFO : KVMI_GET_VERSION,
			.seq = seq,
		};
	TEST_ASSERT(kvmi_write(&t->tool, msgs, sizeof(msgs)), "closed");
	for (seq = 0; seq < N; seq++)
		if (seq & 1)
			KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VM_GET_INFO, seq, &info,
						    sizeof(info)));
		else
			KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_GET_VERSION, seq, &version,
						    sizeof(version)));
}

KVMI_TEST(kvmi_stream, largest_message, guest_spin)
{
	struct kvmi_get_version_reply version;
	__u8 data[KVMI_MAX_MSG_SIZE];

	memset(data, 0xff, sizeof(data));
	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, data, sizeof(data),
				    &version, sizeof(version)));
	KVMI_ASSERT_ERR(kvmi_command(&t->tool, 0xffff, data, sizeof(data), NULL, 0), -KVM_ENOSYS);
}

static void oversized(struct kvmi_test *t, __u16 id, __u16 size)
{
	struct kvmi_msg_hdr hdr = { .id = id, .size = size, .seq = 1 };

	kvmi_run(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT(kvmi_write(&t->tool, &hdr, sizeof(hdr)), "closed");
	/* The header decides: no byte of the payload needs to come. */
	expect_only_the_connection_ends(t);
}

KVMI_TEST(kvmi_stream, one_byte_too_long, guest_spin)
{
	oversized(t, KVMI_GET_VERSION, KVMI_MAX_MSG_SIZE + 1);
}

KVMI_TEST(kvmi_stream, far_too_long, guest_spin)
{
	oversized(t, KVMI_GET_VERSION, 0xffff);
}

KVMI_TEST(kvmi_stream, too_long_with_unknown_id, guest_spin)
{
	oversized(t, 0x7777, KVMI_MAX_MSG_SIZE + 1);
}

KVMI_TEST(kvmi_stream, too_long_event_reply, guest_spin)
{
	oversized(t, KVMI_VCPU_EVENT_REPLY, KVMI_MAX_MSG_SIZE + 1);
}

/* What came before the broken message is answered. */
KVMI_TEST(kvmi_stream, too_long_after_good_one, guest_spin)
{
	struct kvmi_msg_hdr msgs[] = {
		{ .id = KVMI_GET_VERSION, .seq = 1 },
		{ .id = KVMI_GET_VERSION, .size = 0xffff, .seq = 2 },
	};
	struct kvmi_get_version_reply version;

	kvmi_run(t, 0);
	TEST_ASSERT(kvmi_write(&t->tool, msgs, sizeof(msgs)), "closed");
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_GET_VERSION, 1, &version, sizeof(version)));
	expect_only_the_connection_ends(t);
}

static void closed_after(struct kvmi_test *t, size_t size)
{
	struct {
		struct kvmi_msg_hdr hdr;
		struct kvmi_vcpu_hdr vcpu;
		struct kvmi_vcpu_pause req;
	} msg = { .hdr = { KVMI_VCPU_PAUSE, sizeof(msg) - sizeof(msg.hdr), 1 } };

	kvmi_run(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT(kvmi_write(&t->tool, &msg, size), "closed");
	TEST_ASSERT(!shutdown(t->tool.fd, SHUT_WR), "shutdown() failed");
	/* Half a message is no message: no pause. */
	expect_only_the_connection_ends(t);
}

KVMI_TEST(kvmi_stream, closed_between_messages, guest_spin)
{
	closed_after(t, 0);
}

KVMI_TEST(kvmi_stream, closed_inside_header, guest_spin)
{
	closed_after(t, 3);
}

KVMI_TEST(kvmi_stream, closed_after_header, guest_spin)
{
	closed_after(t, sizeof(struct kvmi_msg_hdr));
}

KVMI_TEST(kvmi_stream, closed_inside_payload, guest_spin)
{
	closed_after(t, sizeof(struct kvmi_msg_hdr) + 9);
}

/* A tool that sends and leaves: its commands end nowhere, nobody is hurt. */
KVMI_TEST(kvmi_stream, closed_with_commands_on_their_way, guest_spin)
{
	kvmi_run(t, 0);
	for (int i = 0; i < 20; i++)
		kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	kvmi_tool_close(&t->tool);
	kvmi_expect_running(t, 0);
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_stream, works_over_vsock, guest_spin)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = VMADDR_PORT_ANY,
	};
	socklen_t len = sizeof(sa);
	int l, vmm, fd;

	l = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (l < 0 || bind(l, (void *)&sa, sizeof(sa)))
		SKIP_CASE("no vsock loopback: %s (VSOCKETS_LOOPBACK)", strerror(errno));
	TEST_ASSERT(!getsockname(l, (void *)&sa, &len) && !listen(l, 1), "listen() failed");
	vmm = socket(AF_VSOCK, SOCK_STREAM, 0);
	TEST_ASSERT(!connect(vmm, (void *)&sa, sizeof(sa)), "connect() over vsock failed");
	fd = accept(l, NULL, NULL);
	TEST_ASSERT(fd >= 0, "accept() over vsock failed");

	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	kvmi_tool_close(&t->tool);
	TEST_ASSERT_EQ(kvmi_hook_fd(t->vm->fd, vmm), 0);
	close(vmm);
	kvmi_tool_init(&t->tool, fd);
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	kvmi_expect_closed(&t->tool);
}

KVMI_TEST_MAIN()
