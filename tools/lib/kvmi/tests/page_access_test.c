// SPDX-License-Identifier: LGPL-2.1-or-later
/* Restricting pages: what is sent, how it is split, what is refused. */
#include "peer.h"

#define R KVMI_PAGE_ACCESS_R
#define W KVMI_PAGE_ACCESS_W
#define X KVMI_PAGE_ACCESS_X

static uint8_t msg[8192];

/* The next message is @id with @size bytes of @body behind view 0 and @count. */
static int sent(int fd, uint16_t id, uint16_t count, const void *body, size_t size)
{
	const uint16_t head[4] = { 0, count };
	struct kvmi_msg_hdr hdr;
	size_t n = peer_receive(fd, msg, sizeof(msg));

	memcpy(&hdr, msg, sizeof(hdr));
	return n == 16 + size && hdr.id == id && hdr.size == 8 + size &&
	       !memcmp(msg + 8, head, 8) && !memcmp(msg + 16, body, size);
}

/* The last call failed because of @text, and nothing was sent. */
static int refused(struct kvmintro *k, int fd, int r, const char *text)
{
	return r == -EINVAL && strstr(kvmintro_error(k), text) &&
	       !peer_receive(fd, msg, sizeof(msg));
}

static void entries(void)
{
	static struct kvmi_page_access_entry many[KVMI_MAX_PAGE_ACCESS_ENTRIES + 2];
	const struct kvmi_page_access_entry two[] = {
		{ .gpa = 0x1234, .access = R | X }, { .gpa = 0xffffffffff000, .access = 0 },
	};
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS, 1, 0, NULL, 0);
	ok(!kvmintro_set_page_access(k, two, 2) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS, 2, two, 32), "set_page_access");
	ok(!memcmp(msg + 16, "\x34\x12\0\0\0\0\0\0\5\0\0\0\0\0\0\0", 16), "its bytes");
	ok(!kvmintro_set_page_access(k, two, 0) && !peer_receive(fd, msg, sizeof(msg)),
	   "no entries are no command");

	for (i = 0; i < KVMI_MAX_PAGE_ACCESS_ENTRIES + 2; i++)
		many[i] = (struct kvmi_page_access_entry){ .gpa = i << 12, .access = R };
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS, 2, 0, NULL, 0);
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS, 3, 0, NULL, 0);
	ok(!kvmintro_set_page_access(k, many, KVMI_MAX_PAGE_ACCESS_ENTRIES + 2) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS, 511, many, 511 * 16) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS, 2, many + 511, 32),
	   "more entries than a message holds");
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS, 4, -KVM_EOPNOTSUPP, NULL, 0);
	ok(kvmintro_set_page_access(k, many, KVMI_MAX_PAGE_ACCESS_ENTRIES + 2) ==
	   -EOPNOTSUPP && strstr(kvmintro_error(k), "just this access") &&
	   peer_receive(fd, msg, sizeof(msg)) && !peer_receive(fd, msg, sizeof(msg)),
	   "the first message that fails is the last");
	peer_close(k, fd);
}

static void bad_entries(void)
{
	static const struct {
		struct kvmi_page_access_entry entry;
		const char *text;
	} all[] = {
		{ { .access = W }, "entry 1: no page can be written but not read" },
		{ { .access = W | X }, "W needs R" },
		{ { .access = 8 | R }, "0x9 is no access" },
		{ { .gpa = 1ULL << 52 }, "beyond 0x10000000000000" },
		{ { .gpa = ~0ULL }, "beyond" },
		{ { .padding1 = 1 }, "padding" },
		{ { .padding2 = 1 }, "padding" },
		{ { .padding3 = 1 }, "padding" },
	};
	struct kvmi_page_access_entry two[2] = { { .access = R } };
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		two[1] = all[i].entry;
		ok(refused(k, fd, kvmintro_set_page_access(k, two, 2), all[i].text),
		   "a bad entry: %s", all[i].text);
	}
	peer_close(k, fd);
}

static void ranges(void)
{
	static struct kvmi_page_access_range many[2 * KVMI_MAX_PAGE_ACCESS_RANGES + 1];
	const struct kvmi_page_access_range one = {
		.gfn = 0x123, .nr_pages = 0x10000000, .access = R | W
	};
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 1, 0, NULL, 0);
	ok(!kvmintro_set_page_access_ranges(k, &one, 1) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 1,
		"\x23\1\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\3\0\0\0\0\0\0\0", 24),
	   "set_page_access_ranges");
	for (i = 0; i < 2 * KVMI_MAX_PAGE_ACCESS_RANGES + 1; i++)
		many[i] = (struct kvmi_page_access_range){ .gfn = i, .nr_pages = 1 };
	for (i = 2; i < 5; i++)
		peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, i, 0, NULL, 0);
	ok(!kvmintro_set_page_access_ranges(k, many, 681) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 340, many, 340 * 24) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 340, many + 340, 340 * 24) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 1, many + 680, 24),
	   "more ranges than two messages hold");
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 5, -KVM_EINVAL, NULL, 0);
	ok(kvmintro_set_page_access_ranges(k, &one, 1) == -EINVAL &&
	   strstr(kvmintro_error(k), "this guest can have"), "an address of no guest");
	peer_close(k, fd);
}

static void bad_ranges(void)
{
	static const struct {
		struct kvmi_page_access_range range;
		const char *text;
	} all[] = {
		{ { .nr_pages = 1, .access = W }, "range 1: no page can be written" },
		{ { .nr_pages = 1, .access = 0x80 }, "0x80 is no access" },
		{ { .nr_pages = 0 }, "empty" },
		{ { .gfn = 1ULL << 40, .nr_pages = 1 }, "beyond" },
		{ { .gfn = 1, .nr_pages = 1ULL << 40 }, "beyond" },
		{ { .gfn = ~0ULL, .nr_pages = 2 }, "beyond" },
		{ { .gfn = 2, .nr_pages = ~0ULL }, "beyond" },
		{ { .nr_pages = 1, .padding1 = 1 }, "padding" },
		{ { .nr_pages = 1, .padding2 = 1 }, "padding" },
		{ { .nr_pages = 1, .padding3 = 1 }, "padding" },
	};
	struct kvmi_page_access_range two[2] = { { .nr_pages = 1 } };
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		two[1] = all[i].range;
		ok(refused(k, fd, kvmintro_set_page_access_ranges(k, two, 2),
			   all[i].text), "a bad range %zu: %s", i, all[i].text);
	}
	peer_close(k, fd);
}

static void restricted(void)
{
	static struct kvmintro_range many[KVMI_MAX_PAGE_ACCESS_RANGES + 1];
	const struct kvmintro_range bytes[] = {
		{ .gpa = 0x1fff, .size = 1, .access = R },
		{ .gpa = 0x1fff, .size = 2, .access = R },
		{ .gpa = 0x2000, .size = 0x1000, .access = R | W | X },
		{ .gpa = 0, .size = 1ULL << 52, .access = 0 },
	};
	const struct kvmi_page_access_range pages[] = {
		{ .gfn = 1, .nr_pages = 1, .access = R },
		{ .gfn = 1, .nr_pages = 2, .access = R },
		{ .gfn = 2, .nr_pages = 1, .access = R | W | X },
		{ .gfn = 0, .nr_pages = 1ULL << 40, .access = 0 },
	};
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 1, 0, NULL, 0);
	ok(!kvmintro_restrict(k, bytes, 4) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 4, pages, sizeof(pages)),
	   "restrict: every page that a range touches, in one command");

	for (i = 0; i < KVMI_MAX_PAGE_ACCESS_RANGES + 1; i++)
		many[i] = (struct kvmintro_range){ .gpa = i << 12, .size = 1 };
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 2, 0, NULL, 0);
	peer_reply(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 3, 0, NULL, 0);
	ok(!kvmintro_restrict(k, many, 341) && peer_receive(fd, msg, sizeof(msg)) == 8176 &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 1,
		"\x54\1\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24),
	   "restrict: more ranges than a message holds");
	many[340].access = W;
	ok(refused(k, fd, kvmintro_restrict(k, many, 341), "range 340: no page can"),
	   "restrict: all is checked before the first is sent");
	ok(!kvmintro_restrict(k, many, 0) && !peer_receive(fd, msg, sizeof(msg)),
	   "restrict: nothing");
	peer_close(k, fd);
}

static void bad_restrictions(void)
{
	static const struct {
		struct kvmintro_range range;
		const char *text;
	} all[] = {
		{ { .gpa = 0x1000, .size = 0 }, "range 0: it is empty" },
		{ { .gpa = 1ULL << 52, .size = 1 }, "beyond" },
		{ { .gpa = 1, .size = 1ULL << 52 }, "beyond" },
		{ { .gpa = 0x1000, .size = ~0ULL }, "beyond" },
		{ { .gpa = ~0ULL, .size = 2 }, "beyond" },
		{ { .gpa = 0, .size = 1, .access = W | X }, "W needs R" },
		{ { .gpa = 0, .size = 1, .access = 0x10 }, "0x10 is no access" },
	};
	struct kvmintro *k;
	size_t i;
	int fd;

	k = peer_open(&fd);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ok(refused(k, fd, kvmintro_restrict(k, &all[i].range, 1), all[i].text),
		   "a bad restriction %zu: %s", i, all[i].text);
	peer_close(k, fd);
}

static void get(void)
{
	static uint64_t many[KVMI_MAX_PAGE_ACCESS_ADDRESSES + 1];
	static uint8_t reply[KVMI_MAX_PAGE_ACCESS_ADDRESSES], got[1024];
	const uint64_t three[] = { 0x1234, 0, 0xfffffffffffff };
	const uint64_t bad[] = { 0, 1ULL << 52 };
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_GET_PAGE_ACCESS, 1, 0, "\7\0\5", 3);
	ok(!kvmintro_get_page_access(k, three, got, 3) && !memcmp(got, "\7\0\5", 3) &&
	   sent(fd, KVMI_VM_GET_PAGE_ACCESS, 3, three, 24), "get_page_access");
	peer_reply(fd, KVMI_VM_GET_PAGE_ACCESS, 2, 0, "\7\0", 2);
	ok(kvmintro_get_page_access(k, three, got, 3) == -EPROTO, "a reply that is short");
	peer_receive(fd, msg, sizeof(msg));
	ok(refused(k, fd, kvmintro_get_page_access(k, bad, got, 2), "address 1: it goes beyond"),
	   "get_page_access: no such address");

	memset(reply, 7, sizeof(reply));
	peer_reply(fd, KVMI_VM_GET_PAGE_ACCESS, 3, 0, reply, 1022);
	peer_reply(fd, KVMI_VM_GET_PAGE_ACCESS, 4, 0, "\1", 1);
	many[1022] = 0x5000;
	ok(!kvmintro_get_page_access(k, many, got, 1023) && got[1021] == 7 &&
	   got[1022] == 1 && sent(fd, KVMI_VM_GET_PAGE_ACCESS, 1022, many, 8176) &&
	   sent(fd, KVMI_VM_GET_PAGE_ACCESS, 1, many + 1022, 8),
	   "more addresses than a message holds");
	peer_reply(fd, KVMI_VM_GET_PAGE_ACCESS, 5, -KVM_EOPNOTSUPP, NULL, 0);
	ok(kvmintro_get_page_access(k, three, got, 3) == -EOPNOTSUPP &&
	   strstr(kvmintro_error(k), "shadows"), "get_page_access: not here");
	peer_close(k, fd);
}

static void batched(void)
{
	const struct kvmintro_range range = { .gpa = 0x1000, .size = 1, .access = R };
	const struct kvmi_page_access_entry entry = { .gpa = 0x1000, .access = R };
	const uint64_t gpa = 0;
	struct kvmi_msg_hdr hdr;
	struct kvmintro *k;
	uint8_t access;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_CHECK_COMMAND, 1, 0, NULL, 0);
	ok(!kvmintro_batch_begin(k) && peer_receive(fd, msg, sizeof(msg)), "a batch");
	ok(!kvmintro_restrict(k, &range, 1) && !kvmintro_set_page_access(k, &entry, 1) &&
	   !peer_receive(fd, msg, sizeof(msg)), "takes restrictions");
	ok(kvmintro_get_page_access(k, &gpa, &access, 1) == -EBUSY, "but no questions");
	ok(!kvmintro_batch_send(k) && peer_receive(fd, msg, sizeof(msg)) == 16 &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS_RANGES, 1,
		"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 24) &&
	   sent(fd, KVMI_VM_SET_PAGE_ACCESS, 1, &entry, 16) &&
	   peer_receive(fd, msg, sizeof(msg)) == 16, "and sends them");
	memcpy(&hdr, msg, sizeof(hdr));
	ok(hdr.id == KVMI_VM_CONTROL_CMD_RESPONSE, "before replies are on again");
	peer_close(k, fd);
}

static void possible(void)
{
	/* Bit n: an access of n can be left, for each set of features. */
	static const struct { uint8_t page_access, possible; } hosts[] = {
		{ 0, 0 },
		{ KVMI_PAGE_ACCESS_NONE | KVMI_PAGE_ACCESS_EXEC_ONLY, 0 },
		{ KVMI_PAGE_ACCESS_RESTRICTED, 0xaa },
		{ KVMI_PAGE_ACCESS_RESTRICTED | KVMI_PAGE_ACCESS_NONE, 0xab },
		{ KVMI_PAGE_ACCESS_RESTRICTED | KVMI_PAGE_ACCESS_EXEC_ONLY, 0xba },
		{ 0xff, 0xbb },
	};
	struct kvmi_features f = { .singlestep = 1 };
	unsigned int access, got;
	size_t i;

	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		f.page_access = hosts[i].page_access;
		for (access = 0, got = 0; access < 8; access++)
			got |= (unsigned int)kvmintro_page_access_possible(&f, access) << access;
		ok(got == hosts[i].possible && !kvmintro_page_access_possible(&f, 9),
		   "features %#x", hosts[i].page_access);
	}
}

int main(void)
{
	entries();
	bad_entries();
	ranges();
	bad_ranges();
	restricted();
	bad_restrictions();
	get();
	batched();
	possible();
	return done();
}
