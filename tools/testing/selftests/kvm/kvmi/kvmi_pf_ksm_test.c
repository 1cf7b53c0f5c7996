// SPDX-License-Identifier: GPL-2.0-only
/* Restricted pages that the host keeps once, as their contents are the same. */
#include "kvmi_pf_host.h"
#include "kvmi_test_harness.h"

#define TWICE		(2 * NR_KINDS)		/* a partner for each page */

FIXTURE(kvmi_pf_ksm) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_ksm) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_ksm)
{
	ksm_off();
	kvmi_test_teardown(&self->t);
}

static bool are_merged(const struct area *a)
{
	for (int i = 1; i < a->nr_pages; i++)
		if (frame_of(a, i) != frame_of(a, 0))
			return false;
	return true;
}

/* Same contents in all pages, and one frame behind them. */
static void merge(struct kvmi_test *t, const struct area *a, __u64 val)
{
	for (int i = 0; i < a->nr_pages; i++)
		fill_page(a->hva + i * PAGE, i, val);
	KVMI_WAIT(read_number(KSM "pages_sharing") >= a->nr_pages - 1 && are_merged(a),
		  "the host does not merge the pages");
}

/* The page has a frame of its own, the others have theirs together. */
static void expect_apart(const struct area *a, int page)
{
	int first = page ? 0 : 1;

	for (int i = 0; i < a->nr_pages; i++)
		TEST_ASSERT((frame_of(a, i) == frame_of(a, first)) == (i != page),
			    "page %d after a write to page %d", i, page);
	for (int i = 0; i < a->nr_pages; i++)
		TEST_ASSERT_EQ(word(a, i * PAGE), known[i]);
}

/* A write that is reported is not done, and parts the page when the tool lets it happen. */
KVMI_TEST(kvmi_pf_ksm, written, guest_insns)
{
	struct area a = add_slot(t, TWICE, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_KSM();
	fill(&a);
	start_kinds(t, &a);
	access_all(t, &a);
	ksm_on(a.hva, a.nr_pages * PAGE);
	for (int i = 0; i < NR_KINDS; i++) {
		__u8 access = kind_access(t, i);

		merge(t, &a, 0x4700 + i);
		/* Reading and executing part nothing. */
		for (int n = 0; n < NR_KINDS; n++) {
			do_access(t, &a, n, ACCESS_R, kind_access(t, n));
			do_access(t, &a, n, ACCESS_X, kind_access(t, n));
		}
		TEST_ASSERT(are_merged(&a), "reading has parted the pages");
		begin_access(t, &a, i, ACCESS_W);
		if (!(access & ACCESS_W)) {
			expect_asked(t, &a, i, ACCESS_W, &ev);
			TEST_ASSERT(are_merged(&a), "the page was written before the reply");
			kvmi_continue(&t->tool, &ev);
		}
		end_access(t, &a, i, ACCESS_W);
		expect_apart(&a, i);
		/* The guest sees the frame that was written, and may still do as before. */
		for (int w = 0; w < ARRAY_SIZE(wants); w++)
			do_access(t, &a, i, wants[w], access);
		do_access(t, &a, i + NR_KINDS, ACCESS_R, kind_access(t, i));
	}
	access_all(t, &a);
}

/* The right to write comes back while the pages are merged, and goes again. */
KVMI_TEST(kvmi_pf_ksm, written_after_the_restriction, guest_insns)
{
	struct area a = add_slot(t, TWICE, VM_MEM_SRC_ANONYMOUS);

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_KSM();
	fill(&a);
	start_kinds(t, &a);
	ksm_on(a.hva, a.nr_pages * PAGE);
	merge(t, &a, 0x5500);
	for (int i = 0; i < NR_KINDS; i++)
		do_access(t, &a, i, ACCESS_R, kind_access(t, i));
	KVMI_ASSERT_OK(set_access(t, a.gpa + NO_W * PAGE, ACCESS_RWX));
	do_access(t, &a, NO_W, ACCESS_R, ACCESS_RWX);
	TEST_ASSERT(are_merged(&a), "the end of the restriction has parted the pages");
	do_access(t, &a, NO_W, ACCESS_W, ACCESS_RWX);
	expect_apart(&a, NO_W);
	do_access(t, &a, NO_W, ACCESS_R, ACCESS_RWX);
	KVMI_ASSERT_OK(set_access(t, a.gpa + NO_W * PAGE, ACCESS_RX));
	access_all(t, &a);
}

/* Instructions that look at the page first, and one that the processor executes. */
KVMI_TEST(kvmi_pf_ksm, read_and_written, guest_insns)
{
	static const int insns[] = { ADD, LOCK_ADD, MOVLPS };
	struct area a = add_slot(t, TWICE, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_KSM();
	fill(&a);
	start_kinds(t, &a);
	ksm_on(a.hva, a.nr_pages * PAGE);
	for (int i = 0; i < (can_step(t) ? 3 : 2); i++) {
		merge(t, &a, 0x6600 + i);
		begin_insn(t, insns[i], a.gva + NO_W * PAGE, 0);
		if (insns[i] == MOVLPS)
			expect_stepped(t, &a, NO_W, ACCESS_W, &ev);
		else
			expect_asked(t, &a, NO_W, ACCESS_W, &ev);
		TEST_ASSERT(are_merged(&a), "the page was written before the reply");
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		known[NO_W] = insns[i] == MOVLPS ? INSN_RAX : known[NO_W] + 1;
		expect_apart(&a, NO_W);
		do_access(t, &a, NO_W, ACCESS_W, ACCESS_RX);
	}
}

KVMI_TEST_MAIN()
