/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_HOST_H
#define SELFTEST_KVMI_PF_HOST_H

/*
 * Restricted pages whose memory the host takes away, moves and gives back. Every page has
 * a word that is known at its begin, and a function that returns.
 */
#include "kvmi_host_mm.h"
#include "kvmi_pf_guest.h"

#define SLOT		5
#define SLOT_GPA	0x40000000ull
#define FUNCTION	64			/* in each page */
#define RET_OPCODE	0xc3
#define MAX_PAGES	1024

/* Page n of an area is restricted as n % NR_KINDS says. */
enum { OPEN, NO_WX, NO_W, NO_X, CLOSED, NR_KINDS };

static const __u8 wants[] = { ACCESS_R, ACCESS_X, ACCESS_W };

/* What is to be found in the pages. */
static __u64 known[MAX_PAGES];

static inline struct area add_slot(struct kvmi_test *t, int nr_pages,
				   enum vm_mem_backing_src_type src)
{
	struct area a = { .gva = SLOT_GPA, .gpa = SLOT_GPA, .nr_pages = nr_pages };

	TEST_ASSERT(nr_pages <= MAX_PAGES, "%d pages", nr_pages);
	vm_userspace_mem_region_add(t->vm, src, SLOT_GPA, SLOT, nr_pages, 0);
	virt_map(t->vm, SLOT_GPA, SLOT_GPA, nr_pages);
	a.hva = addr_gpa2hva(t->vm, SLOT_GPA);
	return a;
}

/* A page as the test knows it, at @to, which need not be in the guest. */
static inline void fill_page(void *to, int page, __u64 val)
{
	memset(to, 0, PAGE);
	*(__u64 *)to = val;
	((__u8 *)to)[FUNCTION] = RET_OPCODE;
	known[page] = val;
}

static inline void fill(const struct area *a)
{
	for (int i = 0; i < a->nr_pages; i++)
		fill_page(a->hva + i * PAGE, i, 0x1000 * (i + 1));
}

static inline __u8 kind_access(struct kvmi_test *t, int page)
{
	switch (page % NR_KINDS) {
	case OPEN: return ACCESS_RWX;
	case NO_WX: return ACCESS_R;
	case NO_W: return ACCESS_RX;
	case NO_X: return ACCESS_RW;
	default: return pf_features(t) & KVMI_PAGE_ACCESS_NONE ? 0 : ACCESS_R;
	}
}

static inline void restrict_pages(struct kvmi_test *t, const struct area *a)
{
	for (int i = 0; i < a->nr_pages; i++)
		KVMI_ASSERT_OK(set_access(t, a->gpa + i * PAGE, kind_access(t, i)));
}

/* The guest runs, and the pages of the area are restricted, each in its way. */
static inline void start_kinds(struct kvmi_test *t, const struct area *a)
{
	kvmi_run(t, 0);
	enable_pf(t, 0);
	restrict_pages(t, a);
}

/* The page's frame on the host; it has to be there. */
static inline __u64 frame_of(const struct area *a, int page)
{
	return host_frame(a->hva + page * PAGE);
}

static inline void page_out(const struct area *a, int page)
{
	host_page_out(a->hva + page * PAGE);
}

static inline void page_out_all(const struct area *a)
{
	for (int i = 0; i < a->nr_pages; i++)
		page_out(a, i);
}

static inline __u64 stat_of(struct kvmi_test *t, const char *name)
{
	uint64_t val = ~0ull;

	__vm_get_stat(t->vm, name, &val, 1);
	TEST_ASSERT(val != ~0ull, "the VM has no statistic %s", name);
	return val;
}

/* --- accesses of the guest --- */

static inline __u64 access_at(int page, __u8 want)
{
	return page * PAGE + (want == ACCESS_X ? FUNCTION : 0);
}

static inline void begin_access(struct kvmi_test *t, const struct area *a, int page, __u8 want)
{
	int insn = want == ACCESS_X ? CALL : want == ACCESS_W ? STORE_RCX : LOAD;

	begin_insn(t, insn, a->gva + access_at(page, want), known[page] + 1);
}

/* Memory that the host has put away is not looked at: it would come back. */
static inline void expect_unchanged(const struct area *a, int page)
{
	if (pagemap(a->hva + page * PAGE) & PM_PRESENT)
		TEST_ASSERT_EQ(word(a, page * PAGE), known[page]);
}

/* The event is there, and nothing has happened. */
static inline void expect_asked(struct kvmi_test *t, const struct area *a, int page, __u8 want,
				struct kvmi_event_msg *ev)
{
	__u64 at = access_at(page, want);

	expect_pf(t, 0, want, a->gva + at, a->gpa + at, ev);
	expect_unchanged(a, page);
}

/* The same for an instruction that KVM cannot emulate: SVM tells no virtual address. */
static inline void expect_stepped(struct kvmi_test *t, const struct area *a, int page, __u8 want,
				  struct kvmi_event_msg *ev)
{
	__u64 at = access_at(page, want);

	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PF, ev);
	TEST_ASSERT_EQ(ev->pf.access, want);
	TEST_ASSERT_EQ(ev->pf.gpa, a->gpa + at);
	TEST_ASSERT_EQ(ev->pf.gva, host_cpu_is_amd ? ~0ull : a->gva + at);
	expect_unchanged(a, page);
}

static inline void end_access(struct kvmi_test *t, const struct area *a, int page, __u8 want)
{
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
	if (want == ACCESS_R)
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], known[page]);
	if (want == ACCESS_W)
		known[page]++;
	TEST_ASSERT_EQ(word(a, page * PAGE), known[page]);
}

/* An access that is reported just if @access does not have the right. */
static inline void do_access(struct kvmi_test *t, const struct area *a, int page, __u8 want,
			     __u8 access)
{
	struct kvmi_event_msg ev;

	begin_access(t, a, page, want);
	if (!(access & want)) {
		expect_asked(t, a, page, want, &ev);
		kvmi_continue(&t->tool, &ev);
	}
	end_access(t, a, page, want);
}

/* Each page in each way; the restrictions are what they were. */
static inline void access_all(struct kvmi_test *t, const struct area *a)
{
	for (int i = 0; i < a->nr_pages; i++) {
		__u8 access = kind_access(t, i);

		for (int w = 0; w < ARRAY_SIZE(wants); w++)
			do_access(t, a, i, wants[w], access);
		TEST_ASSERT_EQ(get_access(t, a->gpa + i * PAGE), access);
	}
}

#endif /* SELFTEST_KVMI_PF_HOST_H */
