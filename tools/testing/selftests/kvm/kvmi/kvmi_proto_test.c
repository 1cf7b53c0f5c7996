// SPDX-License-Identifier: GPL-2.0-only
/*
 * What holds for every command: ids, permission, padding, lengths. A command
 * gets these cases by its row in the table. kvmi_stream_test covers what the
 * stream itself may look like, kvmi_event_reply_test event replies.
 */
#include "kvmi_mem.h"

#define MAX_BODY	256

struct row {
	__u16 id;
	bool vcpu;		/* begins with a struct kvmi_vcpu_hdr */
	__u16 size;		/* of the structure after that header */
	__u16 min;		/* a shorter message is -KVM_EINVAL */
	__u16 reply;		/* bytes after the error code */
	__u64 pad;		/* bit n: byte n of the structure is padding */
	bool exact;		/* a longer message is -KVM_EINVAL */
	int err;		/* of the body below */
	__u8 body[MAX_BODY];
};

#define BYTES(from, to)	GENMASK_ULL(to, from)

static const struct row rows[] = {
	{ KVMI_GET_VERSION, .reply = sizeof(struct kvmi_get_version_reply) },
	{ KVMI_VM_CHECK_COMMAND, .size = 8, .pad = BYTES(2, 7), .body = { KVMI_VM_GET_INFO } },
	{ KVMI_VM_CHECK_EVENT, .size = 8, .pad = BYTES(2, 7), .body = { KVMI_VCPU_EVENT_CR } },
	{ KVMI_VM_GET_INFO, .reply = sizeof(struct kvmi_vm_get_info_reply) },
	{ KVMI_VM_GET_MAX_GFN, .reply = sizeof(struct kvmi_vm_get_max_gfn_reply) },
	{ KVMI_VM_QUERY_PHYSICAL, .size = 8, .reply = sizeof(struct kvmi_vm_query_physical_reply),
	  .body = { 1 } },
	{ KVMI_VM_CONTROL_EVENTS, .size = 8, .pad = BYTES(3, 7), .body = { 0, 0, 0 } },
	{ KVMI_VM_CONTROL_CMD_RESPONSE, .size = 8, .pad = BYTES(3, 7), .body = { 1, 1 } },
	{ KVMI_VM_READ_PHYSICAL, .size = 16, .reply = 2, .body = { [1] = 0x10, [8] = 2 } },
	{ KVMI_VM_WRITE_PHYSICAL, .size = 18, .body = { [1] = 0x10, [8] = 2 } },
	/* No pages. What follows the head has tests of its own. */
	{ KVMI_VM_GET_PAGE_ACCESS, .size = 8, .pad = BYTES(4, 7) },
	{ KVMI_VM_SET_PAGE_ACCESS, .size = 8, .pad = BYTES(4, 7) },
	{ KVMI_VM_SET_PAGE_ACCESS_RANGES, .size = 8, .pad = BYTES(4, 7) },
	{ KVMI_VM_GET_MAP_TOKEN, .reply = sizeof(struct kvmi_vm_get_map_token_reply) },
	{ KVMI_VCPU_GET_INFO, true, .reply = sizeof(struct kvmi_vcpu_get_info_reply) },
	{ KVMI_VCPU_PAUSE, true, .size = 8, .pad = BYTES(1, 7), .body = { 1 } },
	{ KVMI_VCPU_CONTROL_EVENTS, true, .size = 8, .pad = BYTES(3, 7),
	  .body = { KVMI_VCPU_EVENT_CR, 0, 1 } },
	{ KVMI_VCPU_CONTROL_CR, true, .size = 8, .pad = BYTES(1, 3), .body = { 0, [4] = 3 } },
	{ KVMI_VCPU_CONTROL_MSR, true, .size = 8, .pad = BYTES(1, 3),
	  .body = { 0, [4] = 0x74, 1 } },
	{ KVMI_VCPU_CONTROL_SINGLESTEP, true, .size = 8, .pad = BYTES(1, 7), .body = { 0 } },
	/* An NMI is no exception. What can be injected has tests of its own. */
	{ KVMI_VCPU_INJECT_EXCEPTION, true, .size = 16, .min = 16, .pad = BYTES(1, 3),
	  .err = -KVM_EINVAL, .body = { 2 } },
	{ KVMI_VCPU_GET_REGISTERS, true, .size = 8, .pad = BYTES(2, 7),
	  .reply = sizeof(struct kvmi_vcpu_get_registers_reply) },
	{ KVMI_VCPU_SET_REGISTERS, true, .size = sizeof(struct kvm_regs),
	  .min = sizeof(struct kvm_regs), .err = -KVM_EOPNOTSUPP },
	{ KVMI_VCPU_GET_CPUID, true, .size = 8, .reply = sizeof(struct kvmi_vcpu_get_cpuid_reply),
	  .body = { 1 } },
	{ KVMI_VCPU_TRANSLATE_GVA, true, .size = 8,
	  .reply = sizeof(struct kvmi_vcpu_translate_gva_reply), .body = { [1] = 0x20 } },
	{ KVMI_VCPU_GET_MTRR_TYPE, true, .size = 8,
	  .reply = sizeof(struct kvmi_vcpu_get_mtrr_type_reply), .body = { [1] = 0x20 } },
	{ KVMI_VCPU_GET_XCR, true, .size = 8, .pad = BYTES(1, 7),
	  .reply = sizeof(struct kvmi_vcpu_get_xcr_reply) },
	{ KVMI_VCPU_GET_XSAVE, true, .reply = sizeof(struct kvmi_vcpu_xsave) },
	/* All zeros: every part of the state is reset. */
	{ KVMI_VCPU_SET_XSAVE, true, .size = sizeof(struct kvmi_vcpu_xsave), .exact = true },
};

#define for_each_row(r)	for (const struct row *r = rows; r < rows + ARRAY_SIZE(rows); r++)

/* A message as the tool would build it, to be damaged. */
struct cmd {
	__u16 id;
	size_t size, hdr;
	__u8 data[KVMI_MAX_MSG_SIZE];
};

static void build(struct cmd *c, const struct row *r)
{
	memset(c, 0, sizeof(*c));
	c->id = r->id;
	c->hdr = r->vcpu ? sizeof(struct kvmi_vcpu_hdr) : 0;
	c->size = c->hdr + r->size;
	memcpy(c->data + c->hdr, r->body, r->size < MAX_BODY ? r->size : MAX_BODY);
}

/* Send it and return the reply's error code. */
static int issue(struct kvmi_test *t, const struct cmd *c, size_t reply)
{
	__u8 data[KVMI_XSAVE_SIZE];
	struct kvmi_event_msg ev;
	int err;

	err = kvmi_command(&t->tool, c->id, c->data, c->size, data, reply);
	/* Each pause that succeeds has to be answered, or the vCPU stays. */
	if (c->id == KVMI_VCPU_PAUSE && !err) {
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
		kvmi_continue(&t->tool, &ev);
	}
	/* A token has to be used, or the next ones are refused. */
	if (c->id == KVMI_VM_GET_MAP_TOKEN && !err)
		close(mem_open((void *)data, 0));
	return err;
}

/* What a well-formed command of @r is answered. */
static int expected(struct kvmi_test *t, const struct row *r)
{
	struct kvmi_get_version_reply v;

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &v, sizeof(v)));
	switch (r->id) {
	case KVMI_VCPU_CONTROL_SINGLESTEP:
		return v.features.singlestep ? 0 : -KVM_EOPNOTSUPP;
	case KVMI_VM_GET_PAGE_ACCESS:
	case KVMI_VM_SET_PAGE_ACCESS:
	case KVMI_VM_SET_PAGE_ACCESS_RANGES:
		return v.features.page_access ? 0 : -KVM_EOPNOTSUPP;
	default:
		return r->err;
	}
}

/* Error codes and replies are all given by the receiving thread: no vCPU runs. */
KVMI_TEST_SUITE(kvmi_proto, 1);

KVMI_TEST(kvmi_proto, unknown_id, guest_spin)
{
	static const __u16 high[] = { 128, 129, 255, 256, 0x7fff, 0x8000, 0xffff };
	bool known[KVMI_NUM_MESSAGES] = { [KVMI_VCPU_EVENT_REPLY] = true };
	__u8 junk[16];

	memset(junk, 0xff, sizeof(junk));
	for_each_row(r)
		known[r->id] = true;
	for (int id = 1; id < KVMI_NUM_MESSAGES; id++) {
		if (known[id])
			continue;
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, id, NULL, 0, NULL, 0), -KVM_ENOSYS);
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, id, junk, sizeof(junk), NULL, 0),
				-KVM_ENOSYS);
	}
	for (int i = 0; i < ARRAY_SIZE(high); i++)
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, high[i], junk, i, NULL, 0), -KVM_ENOSYS);
}

/* An id that is unknown stays unknown when nothing is allowed. */
KVMI_TEST(kvmi_proto, unknown_id_disallowed, guest_spin)
{
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, -1, 0), 0);
	KVMI_ASSERT_ERR(kvmi_command(&t->tool, 100, NULL, 0, NULL, 0), -KVM_ENOSYS);
	KVMI_ASSERT_ERR(kvmi_command(&t->tool, KVMI_EVENT, NULL, 0, NULL, 0), -KVM_ENOSYS);
}

KVMI_TEST(kvmi_proto, disallowed, guest_spin)
{
	struct cmd c;

	for_each_row(r) {
		if (r->id <= KVMI_VM_CHECK_EVENT)
			continue;
		TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, r->id, 0), 0);
		build(&c, r);
		KVMI_ASSERT_ERR(issue(t, &c, r->reply), -KVM_EPERM);
		/* Permission comes before every check of the content. */
		memset(c.data, 0xff, c.size);
		KVMI_ASSERT_ERR(issue(t, &c, r->reply), -KVM_EPERM);
		c.size = 0;
		KVMI_ASSERT_ERR(issue(t, &c, r->reply), -KVM_EPERM);
		TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, r->id, 1), 0);
	}
}

KVMI_TEST(kvmi_proto, padding, guest_spin)
{
	struct cmd c;

	for_each_row(r) {
		for (int i = 0; i < 64 && i < r->size; i++) {
			if (!(r->pad & BIT_ULL(i)))
				continue;
			build(&c, r);
			c.data[c.hdr + i] = i & 1 ? 1 : 0x80;
			TEST_ASSERT(issue(t, &c, r->reply) == -KVM_EINVAL,
				    "command %u: padding byte %d is accepted", r->id, i);
		}
	}
}

KVMI_TEST(kvmi_proto, vcpu_header_padding, guest_spin)
{
	struct cmd c;

	for_each_row(r) {
		for (int i = sizeof(__u16); r->vcpu && i < sizeof(struct kvmi_vcpu_hdr); i++) {
			build(&c, r);
			c.data[i] = i & 1 ? 1 : 0x80;
			TEST_ASSERT(issue(t, &c, r->reply) == -KVM_EINVAL,
				    "command %u: vCPU header byte %d is accepted", r->id, i);
		}
	}
}

KVMI_TEST(kvmi_proto, no_such_vcpu, guest_spin)
{
	static const __u16 bad[] = { 1, 2, 99, 255, 256, 0x8000, 0xffff };
	struct cmd c;

	for_each_row(r) {
		for (int i = 0; r->vcpu && i < ARRAY_SIZE(bad); i++) {
			build(&c, r);
			memcpy(c.data, &bad[i], sizeof(bad[i]));
			TEST_ASSERT(issue(t, &c, r->reply) == -KVM_EINVAL,
				    "command %u: vCPU %u is accepted", r->id, bad[i]);
		}
	}
}

/* The rest need a vCPU that answers. */
KVMI_TEST(kvmi_proto, full_length, guest_spin)
{
	struct cmd c;

	kvmi_run(t, 0);
	for_each_row(r) {
		build(&c, r);
		TEST_ASSERT(issue(t, &c, r->reply) == expected(t, r), "command %u", r->id);
	}
	kvmi_expect_running(t, 0);
}

/* Every length from 0; a short message means the same as one with zeros. */
KVMI_TEST(kvmi_proto, short_message, guest_spin)
{
	struct kvmi_vm_control_cmd_response on = { .enable = 1, .now = 1 };
	struct cmd c;
	int cut, full;
	size_t n;

	kvmi_run(t, 0);
	for_each_row(r) {
		build(&c, r);
		/* Not each of the 4096 sizes of an extended state. */
		for (n = 0; n < c.hdr + r->size; n += n < 256 ? 1 : 255) {
			build(&c, r);
			memset(c.data + n, 0, sizeof(c.data) - n);
			c.size = n;
			cut = issue(t, &c, r->reply);
			/* A lone command that switches replies off is answered. */
			if (r->id == KVMI_VM_CONTROL_CMD_RESPONSE)
				KVMI_ASSERT_OK(kvmi_command(&t->tool, r->id, &on, sizeof(on),
							    NULL, 0));
			if (r->min || r->id == KVMI_VM_WRITE_PHYSICAL) {
				TEST_ASSERT(cut == -KVM_EINVAL, "command %u of %zu bytes: %d",
					    r->id, n, cut);
				continue;
			}
			c.size = c.hdr + r->size;
			full = issue(t, &c, r->reply);
			if (r->id == KVMI_VM_CONTROL_CMD_RESPONSE)
				KVMI_ASSERT_OK(kvmi_command(&t->tool, r->id, &on, sizeof(on),
							    NULL, 0));
			TEST_ASSERT(cut == full, "command %u of %zu bytes: %d, with zeros: %d",
				    r->id, n, cut, full);
		}
	}
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_proto, surplus_is_ignored, guest_spin)
{
	static const size_t more[] = { 1, 7, 8, 64, 1000 };
	struct cmd c;
	int err;

	kvmi_run(t, 0);
	for_each_row(r) {
		for (int i = 0; i <= ARRAY_SIZE(more); i++) {
			build(&c, r);
			memset(c.data + c.size, 0xff, sizeof(c.data) - c.size);
			c.size = i < ARRAY_SIZE(more) ? c.size + more[i] : sizeof(c.data);
			err = r->exact ? -KVM_EINVAL : expected(t, r);
			TEST_ASSERT(issue(t, &c, r->reply) == err,
				    "command %u with surplus, %zu bytes", r->id, c.size);
		}
	}
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_proto, sequence_number_is_repeated, guest_spin)
{
	static const __u32 seqs[] = { 0, 1, 0xffffffff, 0x80000000, 7, 7 };
	struct kvmi_get_version_reply v;

	for (int i = 0; i < ARRAY_SIZE(seqs); i++) {
		t->tool.seq = seqs[i] - 1;
		KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &v, sizeof(v)));
	}
}

/* 64 commands may wait for one vCPU, which does not run; then it is -KVM_EBUSY. */
KVMI_TEST(kvmi_proto, too_many_commands_for_a_vcpu, guest_spin)
{
	struct kvmi_vcpu_get_info_reply info;
	__u32 first = t->tool.seq + 1, seq;

	for (int i = 0; i < 64; i++)
		kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	KVMI_ASSERT_ERR(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0, NULL, 0),
			-KVM_EBUSY);
	/* Other commands are not affected, and all 64 are answered in order. */
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	for (seq = first; seq < first + 64; seq++)
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_GET_INFO, seq, &info,
					    sizeof(info)));
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST_MAIN()
