// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restricted pages where the host puts small pages together and takes large ones apart:
 * no large page covers a restricted one, and all others have theirs.
 */
#include "kvmi_pf_host.h"
#include "kvmi_test_harness.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define LARGE		512			/* pages */
#define RESTRICTED	(LARGE + 7)		/* in the second large page */

KVMI_TEST_SUITE(kvmi_pf_thp, 1);

static void *half(const struct area *a, int nr)
{
	return a->hva + nr * LARGE * PAGE;
}

/* Two times 2 MiB of small pages, which the host puts together only when it is told to. */
static struct area add_small_pages(struct kvmi_test *t)
{
	struct area a = add_slot(t, 2 * LARGE, VM_MEM_SRC_ANONYMOUS_THP);

	TEST_ASSERT(mmap(a.hva, 2 * LARGE * PAGE, PROT_READ | PROT_WRITE,
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == a.hva, "mmap() failed");
	fill(&a);
	return a;
}

/* The host may have to wait for somebody who uses one of the pages. */
static bool try_collapse(const struct area *a, int nr)
{
	int r = madvise(half(a, nr), LARGE * PAGE, MADV_COLLAPSE);

	TEST_ASSERT(!r || errno == EAGAIN || errno == EBUSY, "MADV_COLLAPSE failed");
	return !r;
}

static void collapse(const struct area *a, int nr)
{
	KVMI_WAIT(try_collapse(a, nr), "the host makes no large page");
	TEST_ASSERT(!(frame_of(a, nr * LARGE) % LARGE), "no large page");
}

/* The guest writes at both ends of both halves, and has the restricted page in each way. */
static void touch(struct kvmi_test *t, const struct area *a, __u8 access)
{
	static const int pages[] = {
		0, LARGE - 1, LARGE, RESTRICTED - 1, RESTRICTED + 1, 2 * LARGE - 1,
	};

	for (int i = 0; i < ARRAY_SIZE(pages); i++)
		do_access(t, a, pages[i], ACCESS_W, ACCESS_RWX);
	for (int w = 0; w < ARRAY_SIZE(wants); w++)
		do_access(t, a, RESTRICTED, wants[w], access);
}

static void expect_large(struct kvmi_test *t, __u64 before, int nr)
{
	TEST_ASSERT_EQ(stat_of(t, "pages_2m") - before, nr);
}

#define REQUIRE_THP()								\
do {										\
	if (!thp_configured())							\
		SKIP(return, "the kernel has no transparent huge pages");	\
} while (0)

/* Beside the restricted page and over it. */
KVMI_TEST(kvmi_pf_thp, collapse, guest_insns)
{
	static const __u8 kinds[] = { ACCESS_R, ACCESS_RX, ACCESS_RW };
	struct area a;
	__u64 before;

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_THP();
	a = add_small_pages(t);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	touch(t, &a, ACCESS_RWX);
	before = stat_of(t, "pages_2m");
	for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
		KVMI_ASSERT_OK(set_access(t, a.gpa + RESTRICTED * PAGE, kinds[i]));
		touch(t, &a, kinds[i]);
		expect_large(t, before, i ? 1 : 0);
		collapse(&a, 0);
		touch(t, &a, kinds[i]);
		expect_large(t, before, 1);
		collapse(&a, 1);
		touch(t, &a, kinds[i]);
		expect_large(t, before, 1);
		/* Again without the restriction. */
		KVMI_ASSERT_OK(set_access(t, a.gpa + RESTRICTED * PAGE, ACCESS_RWX));
		touch(t, &a, ACCESS_RWX);
		expect_large(t, before, 2);
	}
}

/* While an event waits for its reply. */
KVMI_TEST(kvmi_pf_thp, collapse_during_the_event, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_THP();
	a = add_small_pages(t);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa + RESTRICTED * PAGE, ACCESS_R));
	for (int w = 0; w < ARRAY_SIZE(wants); w++) {
		if (ACCESS_R & wants[w])
			continue;
		begin_access(t, &a, RESTRICTED, wants[w]);
		expect_asked(t, &a, RESTRICTED, wants[w], &ev);
		collapse(&a, 1);
		kvmi_continue(&t->tool, &ev);
		end_access(t, &a, RESTRICTED, wants[w]);
	}
	touch(t, &a, ACCESS_R);
}

/* The host takes the large page apart, and puts it together again. */
KVMI_TEST(kvmi_pf_thp, split, guest_insns)
{
	struct area a;
	__u64 before;

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_THP();
	a = add_small_pages(t);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	before = stat_of(t, "pages_2m");
	for (int i = 0; i < 2; i++) {
		collapse(&a, 0);
		collapse(&a, 1);
		touch(t, &a, ACCESS_RWX);
		expect_large(t, before, 2);
		KVMI_ASSERT_OK(set_access(t, a.gpa + RESTRICTED * PAGE, ACCESS_R));
		touch(t, &a, ACCESS_R);
		expect_large(t, before, 1);
		for (int n = 0; n < 2; n++) {
			int page = n * LARGE + 5;

			TEST_ASSERT(!madvise(a.hva + page * PAGE, PAGE, MADV_DONTNEED),
				    "MADV_DONTNEED failed");
			fill_page(a.hva + page * PAGE, page, 0x100);
		}
		touch(t, &a, ACCESS_R);
		expect_large(t, before, 0);
		KVMI_ASSERT_OK(set_access(t, a.gpa + RESTRICTED * PAGE, ACCESS_RWX));
		touch(t, &a, ACCESS_RWX);
		expect_large(t, before, 0);
	}
}

/*
 * Dirty logging splits the translations, from its begin or as it is cleared, and at its end
 * large ones come back: all but over the restricted page.
 */
static void log_large_pages(struct kvmi_test *t, __u64 manual)
{
	static __u64 bitmap[2 * LARGE / 64];
	struct area a;
	__u64 before;

	if (manual)
		vm_enable_cap(t->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, manual);
	a = add_small_pages(t);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	before = stat_of(t, "pages_2m");
	collapse(&a, 0);
	collapse(&a, 1);
	touch(t, &a, ACCESS_RWX);
	KVMI_ASSERT_OK(set_access(t, a.gpa + RESTRICTED * PAGE, ACCESS_R));
	for (int i = 0; i < 2; i++) {
		touch(t, &a, ACCESS_R);
		expect_large(t, before, 1);
		vm_mem_region_set_flags(t->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES);
		touch(t, &a, ACCESS_R);
		for (int n = 0; n < 2; n++) {
			kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
			TEST_ASSERT(bitmap[RESTRICTED / 64] & BIT_ULL(RESTRICTED % 64),
				    "the restricted page is not in the log");
			if (manual)
				kvm_vm_clear_dirty_log(t->vm, SLOT, bitmap, 0, 2 * LARGE);
			kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
			for (int w = 0; w < ARRAY_SIZE(bitmap); w++)
				TEST_ASSERT_EQ(bitmap[w], 0);
			touch(t, &a, ACCESS_R);
		}
		expect_large(t, before, 0);
		vm_mem_region_set_flags(t->vm, SLOT, 0);
	}
	touch(t, &a, ACCESS_R);
	expect_large(t, before, 1);
	KVMI_ASSERT_OK(set_access(t, a.gpa + RESTRICTED * PAGE, ACCESS_RWX));
	touch(t, &a, ACCESS_RWX);
	expect_large(t, before, 2);
}

KVMI_TEST(kvmi_pf_thp, dirty_log, guest_insns)
{
	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_THP();
	log_large_pages(t, 0);
}

KVMI_TEST(kvmi_pf_thp, dirty_log_cleared, guest_insns)
{
	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_THP();
	log_large_pages(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
}

KVMI_TEST(kvmi_pf_thp, dirty_log_initially_set, guest_insns)
{
	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_THP();
	log_large_pages(t, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
}

KVMI_TEST_MAIN()
