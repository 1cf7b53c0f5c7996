// SPDX-License-Identifier: GPL-2.0-only
/* The commands that restrict pages: what is applied, and for how long it is kept. */
#include "kvmi_page_access.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_page_access_kept, 1);

/* --- what is applied --- */

/* Everything that is sound, whatever stands between. */
KVMI_TEST(kvmi_page_access_kept, first_error_is_returned, guest_spin)
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
KVMI_TEST(kvmi_page_access_kept, first_of_two_errors, guest_spin)
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
KVMI_TEST(kvmi_page_access_kept, full_messages, guest_spin)
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
KVMI_TEST(kvmi_page_access_kept, overlap, guest_spin)
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

/* --- how long it is kept --- */

KVMI_TEST(kvmi_page_access_kept, ends_with_the_session, guest_spin)
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
KVMI_TEST(kvmi_page_access_kept, outlives_the_slot, guest_writes)
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
KVMI_TEST(kvmi_page_access_kept, takes_effect, guest_writes)
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

/* Writes without an exit in between. */
static void guest_increments(struct kvmi_guest *g)
{
	__u64 *counter = (__u64 *)g->val[0];

	for (;;)
		WRITE_ONCE(*counter, *counter + 1);
}

/* When the command is answered, no processor has an older right in its TLB. */
KVMI_TEST(kvmi_page_access_kept, no_write_after_the_answer, guest_increments)
{
	struct area a = add_area(t, 1);
	__u64 *counter = (__u64 *)a.hva, count;
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	t->guest[0]->val[0] = a.gva;
	kvmi_run(t, 0);
	enable_pf(t, 0);
	for (int i = 0; i < 100; i++) {
		count = READ_ONCE(*counter);
		KVMI_WAIT(READ_ONCE(*counter) > count, "the guest does not write");
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RX));
		count = READ_ONCE(*counter);
		expect_pf(t, 0, ACCESS_W, a.gva, a.gpa, &ev);
		TEST_ASSERT_EQ(READ_ONCE(*counter), count);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
		retry_pf(t, &ev);
	}
}

KVMI_TEST_MAIN()
