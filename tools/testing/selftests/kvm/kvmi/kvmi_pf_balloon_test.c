// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restricted pages whose memory the VMM gives back to the host, gets anew or puts elsewhere:
 * balloons, discarded files, frames that the host moves, slots that go.
 */
#include "kvmi_pf_host.h"
#include "kvmi_test_harness.h"

#define MOVED_GPA	(SLOT_GPA + 64 * PAGE)
#define MANY_PAGES	16384

KVMI_TEST_SUITE(kvmi_pf_balloon, 1);

static struct area start_slot(struct kvmi_test *t, int nr_pages, enum vm_mem_backing_src_type src)
{
	struct area a = add_slot(t, nr_pages, src);

	fill(&a);
	start_kinds(t, &a);
	access_all(t, &a);
	return a;
}

static int slot_file(struct kvmi_test *t)
{
	return memslot2region(t->vm, SLOT)->fd;
}

static bool is_present(const struct area *a, int page)
{
	return pagemap(a->hva + page * PAGE) & PM_PRESENT;
}

/* New memory: what the guest had there is gone; its function is put there again. */
static void expect_new(struct kvmi_test *t, const struct area *a)
{
	for (int i = 0; i < a->nr_pages; i++) {
		known[i] = 0;
		do_access(t, a, i, ACCESS_R, kind_access(t, i));
	}
	fill(a);
	access_all(t, a);
}

/* Each page is written first, thus made new by what KVM does for the tool. */
static void expect_new_written(struct kvmi_test *t, const struct area *a)
{
	for (int i = 0; i < a->nr_pages; i++) {
		known[i] = 0;
		do_access(t, a, i, ACCESS_W, kind_access(t, i));
		TEST_ASSERT_EQ(word(a, i * PAGE + FUNCTION), 0);
	}
	fill(a);
	access_all(t, a);
}

#define DISCARD(a, how)								\
	TEST_ASSERT(!madvise((a)->hva, (a)->nr_pages * PAGE, how), #how " failed")

KVMI_TEST(kvmi_pf_balloon, discarded, guest_insns)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	for (int i = 0; i < 3; i++) {
		DISCARD(&a, MADV_DONTNEED);
		expect_new_written(t, &a);
		DISCARD(&a, MADV_DONTNEED);
		expect_new(t, &a);
	}
}

/* The host may take the pages when it likes, but not what is written after that. */
KVMI_TEST(kvmi_pf_balloon, freed, guest_insns)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	for (int i = 0; i < 3; i++) {
		DISCARD(&a, MADV_FREE);
		for (int n = 0; n < NR_KINDS; n++) {
			/* Neither has it taken them yet, nor does it after a write. */
			do_access(t, &a, n, ACCESS_R, kind_access(t, n));
			do_access(t, &a, n, ACCESS_W, kind_access(t, n));
		}
		DISCARD(&a, MADV_PAGEOUT);
		access_all(t, &a);
	}
	DISCARD(&a, MADV_DONTNEED);
	expect_new(t, &a);
}

/* A file that is only unmapped keeps what it has; a hole in it does not. */
KVMI_TEST(kvmi_pf_balloon, shared, guest_insns)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start_slot(t, NR_KINDS, VM_MEM_SRC_SHMEM);
	for (int i = 0; i < 3; i++) {
		DISCARD(&a, MADV_DONTNEED);
		TEST_ASSERT(!is_present(&a, 0), "the page is still there");
		access_all(t, &a);
		TEST_ASSERT(!fallocate(slot_file(t), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				       NR_KINDS * PAGE), "fallocate() failed");
		expect_new(t, &a);
		DISCARD(&a, MADV_REMOVE);
		expect_new_written(t, &a);
	}
}

/* Between event and reply. */
KVMI_TEST(kvmi_pf_balloon, during_the_event, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start_slot(t, NR_KINDS, VM_MEM_SRC_SHMEM);
	for (int i = 0; i < NR_KINDS; i++) {
		if (kind_access(t, i) & ACCESS_W)
			continue;
		begin_access(t, &a, i, ACCESS_W);
		expect_asked(t, &a, i, ACCESS_W, &ev);
		TEST_ASSERT(!fallocate(slot_file(t), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       i * PAGE, PAGE), "fallocate() failed");
		kvmi_continue(&t->tool, &ev);
		end_access(t, &a, i, ACCESS_W);
		TEST_ASSERT_EQ(word(&a, i * PAGE + FUNCTION), 0);
		fill_page(a.hva + i * PAGE, i, 0x123);
	}
	access_all(t, &a);
}

/* --- other frames --- */

#define ANONYMOUS(size)								\
	mmap(NULL, size, PROT_READ | PROT_WRITE,				\
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)

static void put_at(void *from, void *to)
{
	TEST_ASSERT(mremap(from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to,
		    "mremap() failed");
}

/*
 * Gives the area the lowest of many frames. Compaction moves pages from the lower end of
 * memory to its upper end.
 */
static void take_low_frames(const struct area *a)
{
	static __u64 entries[MANY_PAGES];
	__u8 *pages = ANONYMOUS(MANY_PAGES * PAGE);

	TEST_ASSERT(pages != MAP_FAILED, "mmap() failed");
	read_pagemap(pages, entries, MANY_PAGES);
	for (int i = 0; i < a->nr_pages; i++) {
		int low = 0;

		for (int n = 1; n < MANY_PAGES; n++)
			if ((entries[n] & PM_FRAME) < (entries[low] & PM_FRAME))
				low = n;
		memcpy(pages + low * PAGE, a->hva + i * PAGE, PAGE);
		put_at(pages + low * PAGE, a->hva + i * PAGE);
		/* It is taken. */
		entries[low] = PM_FRAME;
	}
	munmap(pages, MANY_PAGES * PAGE);
}

/* The host moves what is at the lower end of memory, unless it is used at the moment. */
static bool move_frames(struct kvmi_test *t, const struct area *a)
{
	__u64 frames[NR_KINDS];

	take_low_frames(a);
	access_all(t, a);
	for (int i = 0; i < NR_KINDS; i++)
		frames[i] = frame_of(a, i);
	write_file("/proc/sys/vm/compact_memory", "1");
	for (int i = 0; i < NR_KINDS; i++)
		if (frame_of(a, i) == frames[i])
			return false;
	return true;
}

/*
 * The host puts the pages into other frames, of which KVM has to hear: the guest has used
 * those before.
 */
KVMI_TEST(kvmi_pf_balloon, moved_frames, guest_insns)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	for (int i = 0; i < 2; i++) {
		KVMI_WAIT(move_frames(t, &a), "the host does not move the pages");
		access_all(t, &a);
	}
}

/* The VMM swaps two pages: memory moves, the restriction of the frame does not. */
KVMI_TEST(kvmi_pf_balloon, moved_pages, guest_insns)
{
	__u8 *spare = ANONYMOUS(PAGE);
	struct area a;
	__u64 val;

	REQUIRE_PAGE_ACCESS(t);
	TEST_ASSERT(spare != MAP_FAILED, "mmap() failed");
	a = start_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	for (int i = 0; i < NR_KINDS; i++) {
		int with = (i + 1) % NR_KINDS;
		__u8 *one = a.hva + i * PAGE, *other = a.hva + with * PAGE;

		put_at(one, spare);
		put_at(other, one);
		put_at(spare, other);
		val = known[i];
		known[i] = known[with];
		known[with] = val;
		access_all(t, &a);
	}
}

/* --- slots --- */

/* The slot goes between event and reply: what the tool lets happen is the VMM's. */
KVMI_TEST(kvmi_pf_balloon, deleted_during_the_event, guest_insns)
{
	struct kvm_run *run = t->vcpu[0]->run;
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	begin_access(t, &a, NO_W, ACCESS_W);
	expect_asked(t, &a, NO_W, ACCESS_W, &ev);
	vm_mem_region_delete(t->vm, SLOT);
	kvmi_continue(&t->tool, &ev);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_MMIO);
	TEST_ASSERT_EQ(run->mmio.phys_addr, a.gpa + NO_W * PAGE);
	TEST_ASSERT_EQ(*(__u64 *)run->mmio.data, known[NO_W] + 1);
	/* Another one in its place: the instruction is over, and the page is restricted. */
	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, SLOT_GPA, SLOT, NR_KINDS, 0);
	a.hva = addr_gpa2hva(t->vm, SLOT_GPA);
	fill(&a);
	kvmi_run(t, 0);
	end_insn(t);
	access_all(t, &a);
}

/* It moves there and back between event and reply; its frames elsewhere are others. */
KVMI_TEST(kvmi_pf_balloon, moved_during_the_event, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a, moved;

	REQUIRE_PAGE_ACCESS(t);
	a = start_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	moved = a;
	moved.gva = MOVED_GPA;
	moved.gpa = MOVED_GPA;
	virt_map(t->vm, MOVED_GPA, MOVED_GPA, NR_KINDS);
	for (int i = 0; i < 3; i++) {
		begin_access(t, &a, NO_W, ACCESS_W);
		expect_asked(t, &a, NO_W, ACCESS_W, &ev);
		vm_mem_region_move(t->vm, SLOT, MOVED_GPA);
		vm_mem_region_move(t->vm, SLOT, SLOT_GPA);
		kvmi_continue(&t->tool, &ev);
		end_access(t, &a, NO_W, ACCESS_W);

		vm_mem_region_move(t->vm, SLOT, MOVED_GPA);
		for (int n = 0; n < NR_KINDS; n++)
			do_access(t, &moved, n, ACCESS_W, ACCESS_RWX);
		restrict_pages(t, &moved);
		access_all(t, &moved);
		KVMI_ASSERT_OK(set_access_range(t, MOVED_GPA / PAGE, NR_KINDS, ACCESS_RWX));
		vm_mem_region_move(t->vm, SLOT, SLOT_GPA);
		access_all(t, &a);
	}
}

KVMI_TEST_MAIN()
