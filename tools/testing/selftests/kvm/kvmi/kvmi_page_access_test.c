// SPDX-License-Identifier: GPL-2.0-only
/* The commands that restrict pages: each of their errors. */
#include "kvmi_page_access.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_page_access, 1);

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

KVMI_TEST_MAIN()
