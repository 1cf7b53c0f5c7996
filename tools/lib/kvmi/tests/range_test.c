// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where a guest has memory, and many commands at once. */
#include "host.h"

static void ranges(void)
{
	static const struct { uint64_t from, first, size; } rows[] = {
		{ 0, 0, MIB }, { 1, 1, MIB - 1 }, { MIB - 1, MIB - 1, 1 },
		{ MIB, 2 * MIB, 2 * MIB }, { MIB + 1, 2 * MIB, 2 * MIB },
		{ 3 * MIB + 5, 3 * MIB + 5, MIB - 5 }, { 4 * MIB, GIB - MIB, MIB },
		{ GIB - 1, GIB - 1, 1 }, { GIB, GIB, MIB }, { 2 * GIB, 3 * GIB, PAGE },
		{ GUEST_END - 1, GUEST_END - 1, 1 },
	};
	struct kvmintro *k = host_open(false);
	uint64_t first, size;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		first = 0;
		size = 0;
		ok(kvmintro_next_range(k, rows[i].from, &first, &size) == 1 &&
		   first == rows[i].first && size == rows[i].size,
		   "next_range from %#llx", (unsigned long long)rows[i].from);
	}
	ok(!kvmintro_next_range(k, GUEST_END, &first, &size) &&
	   !kvmintro_next_range(k, ~0ULL, &first, &size), "no more memory");
	host.queries = 0;
	kvmintro_next_range(k, 0, &first, &size);
	ok(host.queries == 1, "one question where there is memory");
	host.queries = 0;
	kvmintro_next_range(k, GIB + MIB, &first, &size);
	ok(host.queries > 1 && host.queries < 40000,
	   "%u questions for a hole of 2 GiB", host.queries);
	host.end = GIB;
	ok(!kvmintro_next_range(k, 4 * MIB + GIB, &first, &size) &&
	   kvmintro_next_range(k, 3 * GIB + 1, &first, &size) == 1 && first == 3 * GIB + 1,
	   "memory behind the end, for who begins there");
	host.refuse_query = -KVM_EINVAL;
	ok(!kvmintro_next_range(k, GIB, &first, &size) &&
	   kvmintro_next_range(k, 0, &first, &size) == -EINVAL, "a guest that cannot have it");
	host.refuse_query = -KVM_EPERM;
	ok(kvmintro_next_range(k, 0, &first, &size) == -EPERM &&
	   kvmintro_next_range(k, GIB, &first, &size) == -EPERM, "an error is no end");
	host.refuse = -KVM_EPERM;
	ok(kvmintro_next_range(k, 0, &first, &size) == -EPERM, "what is not allowed");
	host_close(k);
}

static void wrong_slot(void)
{
	const uint64_t end = 0x100, slots[][2] = { { 0x20, 8 }, { 0x10, 0 }, { 0x11, 8 } };
	struct kvmintro *k;
	uint64_t first, size;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		k = peer_open(&fd);
		peer_reply(fd, KVMI_VM_GET_MAX_GFN, 1, 0, &end, 8);
		peer_reply(fd, KVMI_VM_QUERY_PHYSICAL, 2, 0, slots[i], 16);
		ok(kvmintro_next_range(k, 0x10000, &first, &size) == -EPROTO,
		   "a slot that is not around the frame");
		peer_close(k, fd);
	}
}

static void tokens(void)
{
	const uint64_t token[4] = { 1, 2, 3, 0x1122334455667788 };
	struct kvmi_map_mem_token got;
	struct kvmi_msg_hdr hdr[2];
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_GET_MAP_TOKEN, 1, 0, token, 32);
	ok(!kvmintro_get_map_token(k, &got) && !memcmp(&got, token, 32) &&
	   peer_receive(fd, hdr, sizeof(hdr)) == 8 && hdr[0].id == 22 && !hdr[0].size,
	   "get_map_token");
	peer_reply(fd, KVMI_VM_GET_MAP_TOKEN, 2, 0, token, 31);
	ok(kvmintro_get_map_token(k, &got) == -EPROTO, "half a token");
	peer_reply(fd, KVMI_VM_GET_MAP_TOKEN, 3, -KVM_EAGAIN, NULL, 0);
	ok(kvmintro_get_map_token(k, &got) == -EAGAIN &&
	   strstr(kvmintro_error(k), "expire within 3 seconds"), "too many tokens");
	ok(!strcmp(kvmintro_command_name(22), "VM_GET_MAP_TOKEN"), "its name");
	peer_close(k, fd);
}

/* 70 pages: two groups of commands, and each is sent before its first answer. */
static void many(void)
{
	static uint8_t buf[70 * PAGE], msg[8192];
	const uint8_t data[PAGE] = { 1 };
	struct kvmintro *k;
	uint32_t count;
	int fd, i;

	k = peer_open(&fd);
	kvmintro_set_timeout(k, 100);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 1, 0, data, PAGE);
	ok(kvmintro_read_physical(k, 0, buf, sizeof(buf)) == -ETIMEDOUT && buf[0] == 1,
	   "one answer of many");
	for (i = 0; peer_receive(fd, msg, sizeof(msg)); i++)
		;
	ok(i == 64, "64 commands under way");

	/* The answers that come late are nobody's. */
	for (i = 2; i <= 64; i++)
		peer_reply(fd, KVMI_VM_READ_PHYSICAL, i, 0, data, 1);
	peer_reply(fd, KVMI_VM_GET_INFO, 65, 0, "\5\0\0\0", 4);
	ok(!kvmintro_get_vcpu_count(k, &count) && count == 5, "late answers are dropped");

	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 66, 0, data, PAGE);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 67, -KVM_ENOENT, NULL, 0);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 68, -KVM_EPERM, NULL, 0);
	peer_reply(fd, KVMI_VM_GET_INFO, 69, 0, "\6\0\0\0", 4);
	ok(kvmintro_read_physical(k, 0, buf, 3 * PAGE) == -ENOENT &&
	   strstr(kvmintro_error(k), "0x1000"), "the first error counts");
	ok(!kvmintro_get_vcpu_count(k, &count) && count == 6, "and nothing is left over");
	close(fd);
	ok(kvmintro_read_physical(k, 0, buf, 3 * PAGE) == -ECONNRESET &&
	   kvmintro_read_physical(k, 0, buf, 3 * PAGE) == -ENOTCONN, "the end");
	peer_close(k, -1);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	ranges();
	wrong_slot();
	tokens();
	many();
	return done();
}
