// SPDX-License-Identifier: GPL-2.0-only
/* The commands that restrict pages: what they accept, what they keep. */
#include "kvmi_pf.h"
#include "kvmi_test_harness.h"

#define SLOT		5
#define SLOT_GPA	0x40000000ull
#define SLOT_GFN	(SLOT_GPA / PAGE)
#define MAX_GFN		BIT_ULL(40)		/* beyond every frame */

KVMI_TEST_SUITE(kvmi_page_access, 1);

struct set {
	struct kvmi_vm_set_page_access req;
	struct kvmi_page_access_entry entry[KVMI_MAX_PAGE_ACCESS_ENTRIES];
};

struct ranges {
	struct kvmi_vm_set_page_access_ranges req;
	struct kvmi_page_access_range range[KVMI_MAX_PAGE_ACCESS_RANGES];
};

struct get {
	struct kvmi_vm_get_page_access req;
	__u64 gpa[KVMI_MAX_PAGE_ACCESS_ADDRESSES];
};

/* The biggest messages there can be. */
static_assert(sizeof(struct set) == KVMI_MAX_MSG_SIZE);
static_assert(sizeof(struct get) == KVMI_MAX_MSG_SIZE);
static_assert(sizeof(struct ranges) <= KVMI_MAX_MSG_SIZE);

static int send_set(struct kvmi_test *t, const struct set *s)
{
	return kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS, s,
			    sizeof(s->req) + s->req.count * sizeof(s->entry[0]), NULL, 0);
}

static int send_ranges(struct kvmi_test *t, const struct ranges *r)
{
	return kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS_RANGES, r,
			    sizeof(r->req) + r->req.count * sizeof(r->range[0]), NULL, 0);
}

static int send_get(struct kvmi_test *t, const struct get *g, __u8 *access)
{
	return kvmi_command(&t->tool, KVMI_VM_GET_PAGE_ACCESS, g,
			    sizeof(g->req) + g->req.count * sizeof(g->gpa[0]), access,
			    g->req.count);
}

static struct kvmi_page_access_entry entry(__u64 gfn, __u8 access)
{
	return (struct kvmi_page_access_entry) { .gpa = gfn * PAGE, .access = access };
}

static struct kvmi_page_access_range range(__u64 gfn, __u64 nr_pages, __u8 access)
{
	return (struct kvmi_page_access_range) {
		.gfn = gfn, .nr_pages = nr_pages, .access = access,
	};
}

static __u8 access_of(struct kvmi_test *t, __u64 gfn)
{
	return get_access(t, gfn * PAGE);
}

/* --- errors ------------------------------------------------------------------------ */

KVMI_TEST(kvmi_page_access, view, guest_spin)
{
	static struct ranges r;
	static struct set s;
	static struct get g;
	__u8 access;

	REQUIRE_PAGE_ACCESS(t);
	s = (struct set) { .req.count = 1, .entry[0] = entry(SLOT_GFN, ACCESS_R) };
	r = (struct ranges) { .req.count = 1, .range[0] = range(SLOT_GFN, 1, ACCESS_R) };
	g = (struct get) { .req.count = 1 };
	for (int view = 1; view <= 0x8000; view *= 2) {
		s.req.view = view;
		r.req.view = view;
		g.req.view = view;
		KVMI_ASSERT_ERR(send_set(t, &s), -KVM_EOPNOTSUPP);
		KVMI_ASSERT_ERR(send_ranges(t, &r), -KVM_EOPNOTSUPP);
		KVMI_ASSERT_ERR(send_get(t, &g, &access), -KVM_EOPNOTSUPP);
	}
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
}

KVMI_TEST(kvmi_page_access, padding_of_the_message, guest_spin)
{
	static struct ranges r;
	static struct set s;
	static struct get g;
	__u8 access;

	REQUIRE_PAGE_ACCESS(t);
	s = (struct set) { .req.count = 1, .entry[0] = entry(SLOT_GFN, ACCESS_R) };
	r = (struct ranges) { .req.count = 1, .range[0] = range(SLOT_GFN, 1, ACCESS_R) };
	g = (struct get) { .req.count = 1 };
	for (int i = 0; i < 4; i++) {
		s.req.padding = 1u << 8 * i;
		r.req.padding = 1u << 8 * i;
		g.req.padding = 1u << 8 * i;
		KVMI_ASSERT_ERR(send_set(t, &s), -KVM_EINVAL);
		KVMI_ASSERT_ERR(send_ranges(t, &r), -KVM_EINVAL);
		KVMI_ASSERT_ERR(send_get(t, &g, &access), -KVM_EINVAL);
	}
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
}

/* The bytes after the access, and the access itself. */
KVMI_TEST(kvmi_page_access, padding_and_bits_of_an_element, guest_spin)
{
	static struct ranges r;
	static struct set s;

	REQUIRE_PAGE_ACCESS(t);
	for (int i = 1; i < 8; i++) {
		s = (struct set) { .req.count = 1, .entry[0] = entry(SLOT_GFN, ACCESS_R) };
		r = (struct ranges) { .req.count = 1, .range[0] = range(SLOT_GFN, 1, ACCESS_R) };
		(&s.entry[0].access)[i] = 0x80;
		(&r.range[0].access)[i] = 1;
		KVMI_ASSERT_ERR(send_set(t, &s), -KVM_EINVAL);
		KVMI_ASSERT_ERR(send_ranges(t, &r), -KVM_EINVAL);
	}
	for (int access = 8; access < 256; access++) {
		KVMI_ASSERT_ERR(set_access(t, SLOT_GPA, access), -KVM_EINVAL);
		KVMI_ASSERT_ERR(set_access_range(t, SLOT_GFN, 1, access), -KVM_EINVAL);
	}
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
}

/* What can be granted is what the features say. */
KVMI_TEST(kvmi_page_access, kinds_of_access, guest_spin)
{
	__u8 features = pf_features(t);
	int want[8] = { };

	REQUIRE_PAGE_ACCESS(t);
	want[ACCESS_W] = -KVM_EINVAL;
	want[ACCESS_W | ACCESS_X] = -KVM_EINVAL;
	if (!(features & KVMI_PAGE_ACCESS_NONE))
		want[0] = -KVM_EOPNOTSUPP;
	if (!(features & KVMI_PAGE_ACCESS_EXEC_ONLY))
		want[ACCESS_X] = -KVM_EOPNOTSUPP;
	/* Nobody has an NPT entry that can be executed but not read. */
	if (host_cpu_is_amd)
		TEST_ASSERT_EQ(features & KVMI_PAGE_ACCESS_EXEC_ONLY, 0);

	for (int access = 0; access < 8; access++) {
		KVMI_ASSERT_OK(set_access(t, SLOT_GPA, ACCESS_R));
		KVMI_ASSERT_OK(set_access(t, SLOT_GPA + PAGE, ACCESS_R));
		KVMI_ASSERT_ERR(set_access(t, SLOT_GPA, access), want[access]);
		KVMI_ASSERT_ERR(set_access_range(t, SLOT_GFN + 1, 1, access), want[access]);
		TEST_ASSERT_EQ(access_of(t, SLOT_GFN), want[access] ? ACCESS_R : access);
		TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 1), want[access] ? ACCESS_R : access);
	}
}

KVMI_TEST(kvmi_page_access, frames, guest_spin)
{
	static const struct { __u64 gfn, nr; int err; } bad[] = {
		{ SLOT_GFN, 0, -KVM_EINVAL }, { 0, 0, -KVM_EINVAL }, { ~0ull, 0, -KVM_EINVAL },
		{ MAX_GFN, 1, -KVM_EINVAL }, { MAX_GFN - 1, 2, -KVM_EINVAL },
		{ 0, MAX_GFN + 1, -KVM_EINVAL }, { 1, MAX_GFN, -KVM_EINVAL },
		{ SLOT_GFN, ~0ull, -KVM_EINVAL }, { SLOT_GFN, -SLOT_GFN, -KVM_EINVAL },
		{ SLOT_GFN, -SLOT_GFN + 1, -KVM_EINVAL }, { ~0ull, 1, -KVM_EINVAL },
		{ ~0ull, 2, -KVM_EINVAL }, { BIT_ULL(63), 1, -KVM_EINVAL },
		{ BIT_ULL(63), BIT_ULL(63), -KVM_EINVAL }, { 2, ~0ull, -KVM_EINVAL },
	};
	__u64 gpas[] = { MAX_GFN * PAGE, BIT_ULL(63), ~0ull };
	__u8 access;

	REQUIRE_PAGE_ACCESS(t);
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		KVMI_ASSERT_ERR(set_access_range(t, bad[i].gfn, bad[i].nr, ACCESS_R), bad[i].err);
	for (int i = 0; i < ARRAY_SIZE(gpas); i++) {
		struct {
			struct kvmi_vm_get_page_access req;
			__u64 gpa[2];
		} get = { .req.count = 2, .gpa = { 0, gpas[i] } };

		KVMI_ASSERT_ERR(set_access(t, gpas[i], ACCESS_R), -KVM_EINVAL);
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, KVMI_VM_GET_PAGE_ACCESS, &get,
					     sizeof(get), &access, 2), -KVM_EINVAL);
	}
	TEST_ASSERT_EQ(access_of(t, 0), ACCESS_RWX);
	TEST_ASSERT_EQ(access_of(t, 1), ACCESS_RWX);
	TEST_ASSERT_EQ(access_of(t, 2), ACCESS_RWX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
	TEST_ASSERT_EQ(access_of(t, MAX_GFN - 1), ACCESS_RWX);

	/* The last frame, and all of them. */
	KVMI_ASSERT_OK(set_access_range(t, MAX_GFN - 1, 1, ACCESS_R));
	TEST_ASSERT_EQ(access_of(t, MAX_GFN - 1), ACCESS_R);
	TEST_ASSERT_EQ(access_of(t, MAX_GFN - 2), ACCESS_RWX);
	KVMI_ASSERT_OK(set_access(t, MAX_GFN * PAGE - 1, ACCESS_RX));
	TEST_ASSERT_EQ(access_of(t, MAX_GFN - 1), ACCESS_RX);
	KVMI_ASSERT_OK(set_access_range(t, 0, MAX_GFN, ACCESS_RW));
	TEST_ASSERT_EQ(access_of(t, 0), ACCESS_RW);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RW);
	TEST_ASSERT_EQ(access_of(t, MAX_GFN - 1), ACCESS_RW);
	KVMI_ASSERT_OK(set_access_range(t, 0, MAX_GFN, ACCESS_RWX));
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
}

/* A message with fewer elements than it says does nothing. */
KVMI_TEST(kvmi_page_access, fewer_elements_than_announced, guest_spin)
{
	static struct ranges r;
	static struct set s;
	static struct get g;
	__u8 access[2];

	REQUIRE_PAGE_ACCESS(t);
	s = (struct set) {
		.req.count = 2,
		.entry = { entry(SLOT_GFN, ACCESS_R), entry(SLOT_GFN + 1, ACCESS_R) },
	};
	r = (struct ranges) {
		.req.count = 2,
		.range = { range(SLOT_GFN, 1, ACCESS_R), range(SLOT_GFN + 1, 1, ACCESS_R) },
	};
	g = (struct get) { .req.count = 2 };

	for (size_t size = 4; size < sizeof(s.req) + 2 * sizeof(s.entry[0]); size++)
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS, &s, size,
					     NULL, 0), -KVM_EINVAL);
	for (size_t size = 4; size < sizeof(r.req) + 2 * sizeof(r.range[0]); size++)
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS_RANGES, &r, size,
					     NULL, 0), -KVM_EINVAL);
	for (size_t size = 4; size < sizeof(g.req) + 2 * sizeof(g.gpa[0]); size++)
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, KVMI_VM_GET_PAGE_ACCESS, &g, size,
					     access, 2), -KVM_EINVAL);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);

	/* As many as possible, and more than that. */
	for (int count = KVMI_MAX_PAGE_ACCESS_ENTRIES + 1; count <= 0xffff; count += 0x1fff) {
		s.req.count = count;
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS, &s, sizeof(s),
					     NULL, 0), -KVM_EINVAL);
		r.req.count = count;
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS_RANGES, &r,
					     sizeof(r), NULL, 0), -KVM_EINVAL);
		g.req.count = count + KVMI_MAX_PAGE_ACCESS_ADDRESSES -
			      KVMI_MAX_PAGE_ACCESS_ENTRIES;
		if (g.req.count > KVMI_MAX_PAGE_ACCESS_ADDRESSES)
			KVMI_ASSERT_ERR(kvmi_command(&t->tool, KVMI_VM_GET_PAGE_ACCESS, &g,
						     sizeof(g), access, 2), -KVM_EINVAL);
	}
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
}

/* What follows the elements, and messages without any. */
KVMI_TEST(kvmi_page_access, no_elements, guest_spin)
{
	static struct ranges r;
	static struct set s;
	static struct get g;

	REQUIRE_PAGE_ACCESS(t);
	s = (struct set) { .entry[0] = entry(SLOT_GFN, ACCESS_R) };
	r = (struct ranges) { .range[0] = range(SLOT_GFN, 1, ACCESS_R) };
	for (size_t size = 8; size <= sizeof(s); size += 16)
		KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS, &s, size,
					    NULL, 0));
	for (size_t size = 8; size <= sizeof(r); size += 24)
		KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS_RANGES, &r, size,
					    NULL, 0));
	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_GET_PAGE_ACCESS, &g, 8, NULL, 0));
	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_GET_PAGE_ACCESS, &g, sizeof(g), NULL, 0));
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
}

KVMI_TEST(kvmi_page_access, not_allowed, guest_spin)
{
	static const __u16 ids[] = {
		KVMI_VM_SET_PAGE_ACCESS, KVMI_VM_GET_PAGE_ACCESS, KVMI_VM_SET_PAGE_ACCESS_RANGES,
	};
	static struct set s;

	for (int i = 0; i < ARRAY_SIZE(ids); i++) {
		TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, ids[i], 0), 0);
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, ids[i], &s, 8, NULL, 0), -KVM_EPERM);
		TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, ids[i], 1), 0);
	}
}

/* Without nested paging there is nothing, and the features say so. */
KVMI_TEST(kvmi_page_access, agrees_with_features, guest_spin)
{
	bool can = pf_features(t) & KVMI_PAGE_ACCESS_RESTRICTED;
	int want = can ? 0 : -KVM_EOPNOTSUPP;
	static struct get g;
	__u8 access;

	if (!can)
		TEST_ASSERT_EQ(pf_features(t), 0);
	g.req.count = 1;
	KVMI_ASSERT_ERR(set_access(t, SLOT_GPA, ACCESS_R), want);
	KVMI_ASSERT_ERR(set_access(t, SLOT_GPA, ACCESS_RWX), want);
	KVMI_ASSERT_ERR(set_access_range(t, SLOT_GFN, 1, ACCESS_R), want);
	KVMI_ASSERT_ERR(send_get(t, &g, &access), want);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	kvmi_expect_running(t, 0);
}

/* --- what is applied ------------------------------------------------------------------ */

/* Everything that is sound, whatever stands between. */
KVMI_TEST(kvmi_page_access, first_error_is_returned, guest_spin)
{
	static struct ranges r;
	static struct set s;

	REQUIRE_PAGE_ACCESS(t);
	s = (struct set) {
		.req.count = 6,
		.entry = {
			entry(SLOT_GFN, ACCESS_R), entry(SLOT_GFN + 1, ACCESS_W),
			entry(SLOT_GFN + 2, ACCESS_R), entry(MAX_GFN, ACCESS_R),
			entry(SLOT_GFN + 4, 0xff), entry(SLOT_GFN + 5, ACCESS_RW),
		},
	};
	KVMI_ASSERT_ERR(send_set(t, &s), -KVM_EINVAL);
	for (int i = 0; i < 6; i++)
		TEST_ASSERT_EQ(access_of(t, SLOT_GFN + i),
			       i == 0 || i == 2 ? ACCESS_R : i == 5 ? ACCESS_RW : ACCESS_RWX);

	r = (struct ranges) {
		.req.count = 5,
		.range = {
			range(SLOT_GFN, 2, ACCESS_RX), range(SLOT_GFN + 2, 0, ACCESS_RX),
			range(SLOT_GFN + 3, 2, ACCESS_RX), range(SLOT_GFN + 5, ~0ull, ACCESS_RX),
			range(SLOT_GFN + 8, 2, ACCESS_R),
		},
	};
	KVMI_ASSERT_ERR(send_ranges(t, &r), -KVM_EINVAL);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 1), ACCESS_RX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 2), ACCESS_R);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 3), ACCESS_RX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 4), ACCESS_RX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 5), ACCESS_RW);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 6), ACCESS_RWX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 8), ACCESS_R);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 9), ACCESS_R);
}

/* Two different errors: the one that comes first, in both orders. */
KVMI_TEST(kvmi_page_access, first_of_two_errors, guest_spin)
{
	static struct set s;

	REQUIRE_PAGE_ACCESS(t);
	if (pf_features(t) & KVMI_PAGE_ACCESS_EXEC_ONLY)
		SKIP_CASE("this processor can do everything");
	s = (struct set) {
		.req.count = 3,
		.entry = {
			entry(SLOT_GFN, ACCESS_R), entry(SLOT_GFN + 1, ACCESS_X),
			entry(SLOT_GFN + 2, ACCESS_W),
		},
	};
	KVMI_ASSERT_ERR(send_set(t, &s), -KVM_EOPNOTSUPP);
	s.entry[0] = entry(SLOT_GFN + 2, ACCESS_W);
	KVMI_ASSERT_ERR(send_set(t, &s), -KVM_EINVAL);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_R);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 1), ACCESS_RWX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 2), ACCESS_RWX);
}

/* As many as a message holds; with gaps, so that they cannot be joined. */
KVMI_TEST(kvmi_page_access, full_messages, guest_spin)
{
	static const __u8 kinds[] = { ACCESS_R, ACCESS_RW, ACCESS_RX };
	static __u8 access[KVMI_MAX_PAGE_ACCESS_ADDRESSES];
	static struct ranges r;
	static struct set s;
	static struct get g;

	REQUIRE_PAGE_ACCESS(t);
	memset(&s, 0, sizeof(s));
	s.req.count = KVMI_MAX_PAGE_ACCESS_ENTRIES;
	for (int i = 0; i < s.req.count; i++)
		s.entry[i] = entry(SLOT_GFN + 2 * i, kinds[i % 3]);
	KVMI_ASSERT_OK(send_set(t, &s));

	memset(&g, 0, sizeof(g));
	g.req.count = KVMI_MAX_PAGE_ACCESS_ADDRESSES;
	for (int i = 0; i < g.req.count; i++)
		g.gpa[i] = SLOT_GPA + i * PAGE + i;
	KVMI_ASSERT_OK(send_get(t, &g, access));
	for (int i = 0; i < g.req.count; i++)
		TEST_ASSERT(access[i] == (i & 1 ? ACCESS_RWX : kinds[i / 2 % 3]),
			    "page %d: access %u", i, access[i]);

	memset(&r, 0, sizeof(r));
	r.req.count = KVMI_MAX_PAGE_ACCESS_RANGES;
	for (int i = 0; i < r.req.count; i++)
		r.range[i] = range(SLOT_GFN + 3 * i, 2, kinds[i % 3]);
	KVMI_ASSERT_OK(set_access_range(t, SLOT_GFN, 3 * r.req.count, ACCESS_RWX));
	KVMI_ASSERT_OK(send_ranges(t, &r));
	KVMI_ASSERT_OK(send_get(t, &g, access));
	for (int i = 0; i < 3 * r.req.count; i++)
		TEST_ASSERT(access[i] == (i % 3 == 2 ? ACCESS_RWX : kinds[i / 3 % 3]),
			    "page %d: access %u", i, access[i]);
}

/* What comes last counts, also for entries that name a page twice. */
KVMI_TEST(kvmi_page_access, overlap, guest_spin)
{
	static struct ranges r;
	static struct set s;

	REQUIRE_PAGE_ACCESS(t);
	r = (struct ranges) {
		.req.count = 4,
		.range = {
			range(SLOT_GFN, 100, ACCESS_R), range(SLOT_GFN + 10, 10, ACCESS_RX),
			range(SLOT_GFN + 15, 10, ACCESS_RW), range(SLOT_GFN + 50, 5, ACCESS_RWX),
		},
	};
	KVMI_ASSERT_OK(send_ranges(t, &r));
	for (int i = 0; i < 101; i++)
		TEST_ASSERT_EQ(access_of(t, SLOT_GFN + i),
			       i < 10 ? ACCESS_R : i < 15 ? ACCESS_RX : i < 25 ? ACCESS_RW :
			       i < 50 ? ACCESS_R : i < 55 ? ACCESS_RWX : i < 100 ? ACCESS_R :
			       ACCESS_RWX);
	s = (struct set) {
		.req.count = 3,
		.entry = {
			entry(SLOT_GFN, ACCESS_RW), entry(SLOT_GFN + 1, ACCESS_RX),
			entry(SLOT_GFN, ACCESS_RX),
		},
	};
	KVMI_ASSERT_OK(send_set(t, &s));
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 1), ACCESS_RX);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 2), ACCESS_R);
}

/* --- how long it is kept ------------------------------------------------------------------ */

KVMI_TEST(kvmi_page_access, ends_with_the_session, guest_spin)
{
	REQUIRE_PAGE_ACCESS(t);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
	KVMI_ASSERT_OK(set_access(t, SLOT_GPA + 123, ACCESS_RX));
	KVMI_ASSERT_OK(set_access(t, PAGE * (MAX_GFN - 1), ACCESS_R));
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RX);
	kvmi_test_rehook(t);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN), ACCESS_RWX);
	TEST_ASSERT_EQ(access_of(t, MAX_GFN - 1), ACCESS_RWX);
}

/* Step n: write n to the page in val[0]. */
static void guest_writes(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		WRITE_ONCE(*(__u64 *)READ_ONCE(g->val[0]), n);
		guest_done(g, n);
	}
}

static void expect_write(struct kvmi_test *t, __u64 gpa, bool reported)
{
	struct kvmi_event_msg ev;

	kvmi_step_begin(t, 0);
	if (reported) {
		expect_pf(t, 0, ACCESS_W, t->guest[0]->val[0], gpa, &ev);
		kvmi_continue(&t->tool, &ev);
	}
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(*(__u64 *)addr_gpa2hva(t->vm, gpa), t->guest[0]->done);
}

static void map_slot(struct kvmi_test *t, __u64 gpa)
{
	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, gpa, SLOT, 4, 0);
}

/* The memory ends, the restriction of the frame does not. */
KVMI_TEST(kvmi_page_access, outlives_the_slot, guest_writes)
{
	REQUIRE_PAGE_ACCESS(t);
	/* Before there is memory. */
	KVMI_ASSERT_OK(set_access(t, SLOT_GPA + PAGE, ACCESS_R));
	map_slot(t, SLOT_GPA);
	virt_map(t->vm, SLOT_GPA, SLOT_GPA, 4);
	t->guest[0]->val[0] = SLOT_GPA + PAGE;
	kvmi_run(t, 0);
	enable_pf(t, 0);
	expect_write(t, SLOT_GPA + PAGE, true);

	/* Gone and made anew. */
	vm_mem_region_delete(t->vm, SLOT);
	TEST_ASSERT_EQ(access_of(t, SLOT_GFN + 1), ACCESS_R);
	map_slot(t, SLOT_GPA);
	expect_write(t, SLOT_GPA + PAGE, true);
	t->guest[0]->val[0] = SLOT_GPA;
	expect_write(t, SLOT_GPA, false);

	/* Moved by one page: the frame is what counts, not the memory. */
	vm_mem_region_move(t->vm, SLOT, SLOT_GPA + PAGE);
	t->guest[0]->val[0] = SLOT_GPA + PAGE;
	expect_write(t, SLOT_GPA + PAGE, true);
	t->guest[0]->val[0] = SLOT_GPA + 2 * PAGE;
	expect_write(t, SLOT_GPA + 2 * PAGE, false);

	KVMI_ASSERT_OK(set_access(t, SLOT_GPA + PAGE, ACCESS_RWX));
	t->guest[0]->val[0] = SLOT_GPA + PAGE;
	expect_write(t, SLOT_GPA + PAGE, false);
}

/* Each command takes effect at once, on a guest that has the page mapped. */
KVMI_TEST(kvmi_page_access, takes_effect, guest_writes)
{
	static struct ranges r;
	struct area a = add_area(t, 3);

	REQUIRE_PAGE_ACCESS(t);
	t->guest[0]->val[0] = a.gva + PAGE;
	kvmi_run(t, 0);
	enable_pf(t, 0);
	for (int i = 0; i < 3; i++) {
		expect_write(t, a.gpa + PAGE, false);
		KVMI_ASSERT_OK(set_access(t, a.gpa + PAGE, ACCESS_RX));
		expect_write(t, a.gpa + PAGE, true);
		KVMI_ASSERT_OK(set_access(t, a.gpa + PAGE, ACCESS_RW));
		expect_write(t, a.gpa + PAGE, false);
		KVMI_ASSERT_OK(set_access_range(t, a.gpa / PAGE, 3, ACCESS_R));
		expect_write(t, a.gpa + PAGE, true);
		/* With another range around it in the same message. */
		r = (struct ranges) {
			.req.count = 2,
			.range = {
				range(a.gpa / PAGE, 3, ACCESS_R),
				range(a.gpa / PAGE + 1, 1, ACCESS_RWX),
			},
		};
		KVMI_ASSERT_OK(send_ranges(t, &r));
	}
	kvmi_test_rehook(t);
	enable_pf(t, 0);
	expect_write(t, a.gpa + PAGE, false);
	/* What the tool does itself is not restricted. */
	KVMI_ASSERT_OK(set_access(t, a.gpa + PAGE, ACCESS_R));
	{
		struct {
			struct kvmi_vm_write_physical req;
			__u64 val;
		} msg = { .req = { .gpa = a.gpa + PAGE, .size = 8 }, .val = 4711 };

		KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_WRITE_PHYSICAL, &msg, sizeof(msg),
					    NULL, 0));
		TEST_ASSERT_EQ(*(__u64 *)(a.hva + PAGE), 4711);
	}
}

KVMI_TEST_MAIN()
