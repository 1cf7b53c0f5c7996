// SPDX-License-Identifier: GPL-2.0-only
/* Restricted pages that the host has swapped out. */
#include "kvmi_pf_host.h"
#include "kvmi_test_harness.h"

FIXTURE(kvmi_pf_swap) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_swap) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_swap)
{
	kvmi_test_teardown(&self->t);
	swap_off();
}

/* The event comes while the page is out, and what the tool lets happen brings it back. */
KVMI_TEST(kvmi_pf_swap, each_access, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_SWAP();
	fill(&a);
	start_kinds(t, &a);
	access_all(t, &a);
	for (int i = 0; i < NR_KINDS; i++) {
		__u8 access = kind_access(t, i);

		for (int w = 0; w < ARRAY_SIZE(wants); w++) {
			page_out_all(&a);
			begin_access(t, &a, i, wants[w]);
			if (!(access & wants[w])) {
				expect_asked(t, &a, i, wants[w], &ev);
				TEST_ASSERT(is_swapped(a.hva + i * PAGE), "page %d came back", i);
				kvmi_continue(&t->tool, &ev);
			}
			end_access(t, &a, i, wants[w]);
			/* The others were not needed. */
			for (int other = 0; other < NR_KINDS; other++)
				TEST_ASSERT(is_swapped(a.hva + other * PAGE) == (other != i),
					    "page %d after an access to page %d", other, i);
		}
		TEST_ASSERT_EQ(get_access(t, a.gpa + i * PAGE), access);
	}
	access_all(t, &a);
}

/* What the guest may do brings the page in; what it may not do is still reported. */
KVMI_TEST(kvmi_pf_swap, read_then_written, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_SWAP();
	fill(&a);
	start_kinds(t, &a);
	for (int n = 0; n < 5; n++) {
		page_out_all(&a);
		access_all(t, &a);
	}
}

/* Restrictions come and go while the page is out. */
KVMI_TEST(kvmi_pf_swap, restricted_outside, guest_insns)
{
	struct area a = add_slot(t, 1, VM_MEM_SRC_ANONYMOUS);

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_SWAP();
	fill(&a);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	for (int n = 0; n < 3; n++) {
		do_access(t, &a, 0, ACCESS_W, ACCESS_RWX);
		page_out_all(&a);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
		do_access(t, &a, 0, ACCESS_W, ACCESS_R);
		do_access(t, &a, 0, ACCESS_X, ACCESS_R);
		page_out_all(&a);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
		do_access(t, &a, 0, ACCESS_X, ACCESS_RWX);
		page_out_all(&a);
	}
}

/* It goes out between event and reply. */
KVMI_TEST(kvmi_pf_swap, during_the_event, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_SWAP();
	fill(&a);
	start_kinds(t, &a);
	for (int i = 0; i < NR_KINDS; i++)
		for (int w = 0; w < ARRAY_SIZE(wants); w++) {
			if (kind_access(t, i) & wants[w])
				continue;
			begin_access(t, &a, i, wants[w]);
			expect_asked(t, &a, i, wants[w], &ev);
			page_out_all(&a);
			retry_pf(t, &ev);
			expect_asked(t, &a, i, wants[w], &ev);
			TEST_ASSERT(is_swapped(a.hva + i * PAGE), "page %d came back", i);
			kvmi_continue(&t->tool, &ev);
			end_access(t, &a, i, wants[w]);
		}
}

/* The processor executes the instruction, in pages of its own. */
KVMI_TEST(kvmi_pf_swap, stepped, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_event_msg ev;

	REQUIRE_PF_STEP(t);
	REQUIRE_SWAP();
	fill(&a);
	start_kinds(t, &a);
	for (int n = 0; n < 5; n++) {
		page_out_all(&a);
		begin_insn(t, MOVLPS, a.gva + NO_W * PAGE, 0);
		expect_stepped(t, &a, NO_W, ACCESS_W, &ev);
		TEST_ASSERT(is_swapped(a.hva + NO_W * PAGE), "the page came back");
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		TEST_ASSERT_EQ(word(&a, NO_W * PAGE), INSN_RAX);
		known[NO_W] = INSN_RAX;
		access_all(t, &a);
	}
}

KVMI_TEST_MAIN()
