/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_BENCH_PAGES_H
#define SELFTEST_KVMI_BENCH_PAGES_H

/* What restricted pages cost: to restrict them, to touch them, and not to touch them. */
#include "kvmi_bench_events.h"
#include "kvmi_bench_figures.h"
#include "kvmi_pf.h"

#define PAGES_GPA	0x100000000ull
#define PAGES_SLOT	6
#define MANY_PAGES	262144ull	/* 1 GiB; nobody touches most of them */
#define WORK_PAGES	512		/* these are touched */
#define WORK_ROUNDS	200

/* --- an event ------------------------------------------------------------------------- */

static __u64 page_gva;

static void guest_writes_page(struct kvmi_guest *g)
{
	guest_begin(g);
	for (int i = 1; i <= EVENTS; i++)
		WRITE_ONCE(*(__u64 *)page_gva, i);
	guest_halt();
}

static __u64 time_pf_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;
	__u64 gpa, ticks;

	page_gva = vm_vaddr_alloc_page(t->vm);
	sync_global_to_guest(t->vm, page_gva);
	gpa = addr_gva2gpa(t->vm, page_gva);
	KVMI_ASSERT_OK(set_access(t, gpa, ACCESS_RX));
	ticks = time_kind(t, KVMI_VCPU_EVENT_PF, sizeof(ev.pf), NULL, &ev, guest_writes_page);
	KVMI_ASSERT_OK(set_access(t, gpa, ACCESS_RWX));
	return ticks;
}

/* --- restricting pages ------------------------------------------------------------------ */

/* Ticks of a command for @nr_pages that follow each other, and of one that does nothing. */
static __u64 time_set_access(struct kvmi_test *t, __u64 nr_pages)
{
	__u64 v[9], start;

	for (int i = 0; i < ARRAY_SIZE(v); i++) {
		start = rdtsc();
		KVMI_ASSERT_OK(set_access_range(t, PAGES_GPA / PAGE, nr_pages, ACCESS_RX));
		v[i] = rdtsc() - start;
		KVMI_ASSERT_OK(set_access_range(t, PAGES_GPA / PAGE, nr_pages, ACCESS_RWX));
	}
	return median(v, ARRAY_SIZE(v));
}

/* Every other page of @nr: nothing can be put together. Restricts them. */
static long memory_of_pages(struct kvmi_test *t, __u64 nr, __u64 nr_together)
{
	struct memory before = memory(), after;

	for (__u64 i = 0; i < nr / nr_together; i++)
		KVMI_ASSERT_OK(set_access_range(t, PAGES_GPA / PAGE + i * (nr_together + 1),
						nr_together, ACCESS_RX));
	after = memory();
	KVMI_ASSERT_OK(set_access_range(t, PAGES_GPA / PAGE, MANY_PAGES, ACCESS_RWX));
	return grown(before, after) / (long)nr;
}

/* --- a guest that touches no restricted page ----------------------------------------------- */

static void guest_works(struct kvmi_guest *g)
{
	__u64 *page = (void *)PAGES_GPA;

	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		for (int round = 0; round < WORK_ROUNDS; round++)
			for (int i = 0; i < WORK_PAGES; i++)
				page[i * PAGE / sizeof(*page)] += round;
		guest_done(g, n);
	}
}

static __u64 time_work(struct kvmi_test *t)
{
	__u64 v[5], start;

	for (int i = -1; i < (int)ARRAY_SIZE(v); i++) {
		start = rdtsc();
		kvmi_step_begin(t, 0);
		kvmi_step_end(t, 0);
		if (i >= 0)
			v[i] = rdtsc() - start;
	}
	return median(v, ARRAY_SIZE(v));
}

/* In thousandths of the time without a restricted page. */
static __u64 work_beside_a_page(struct kvmi_test *t)
{
	__u64 without, with;

	restart(t, guest_works);
	without = time_work(t);
	KVMI_ASSERT_OK(set_access(t, PAGES_GPA + WORK_PAGES * PAGE, ACCESS_RX));
	with = time_work(t);
	KVMI_ASSERT_OK(set_access(t, PAGES_GPA + WORK_PAGES * PAGE, ACCESS_RWX));
	return with > without ? (with - without) * 1000 / without : 0;
}

static void bench_pages(struct kvmi_test *t, __u64 cr3_event)
{
	static const __u64 nr[] = { 1, 64, 4096, MANY_PAGES };
	char name[40];
	__u64 ticks;

	if (!(pf_features(t) & KVMI_PAGE_ACCESS_RESTRICTED)) {
		printf("# no pf_event: KVM shadows the guest's page tables\n");
		return;
	}
	row("pf_event_roundtrip", "ticks", time_pf_events(t), cr3_event * 3 / 2);

	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, PAGES_GPA, PAGES_SLOT,
				    MANY_PAGES, 0);
	virt_map(t->vm, PAGES_GPA, PAGES_GPA, WORK_PAGES);
	restart(t, guest_halt);
	for (int i = 0; i < ARRAY_SIZE(nr); i++) {
		ticks = time_set_access(t, nr[i]);
		snprintf(name, sizeof(name), "set_page_access_%llu", nr[i]);
		row(name, "ticks/page", ticks / nr[i], nr[i] >= 4096 ? 60 : 0);
	}
	row("memory_per_restricted_page", "bytes", memory_of_pages(t, 65536, 64), 24);
	row("memory_per_lone_page", "bytes", memory_of_pages(t, 16384, 1), 0);
	row("work_beside_a_page", "permille", work_beside_a_page(t), 10);
}

#endif /* SELFTEST_KVMI_BENCH_PAGES_H */
