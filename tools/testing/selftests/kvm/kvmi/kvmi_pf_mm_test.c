// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restricted pages while the VMM manages memory: dirty logging, other pages behind the
 * same frame, large pages, slots that cannot be written.
 */
#include <sys/mman.h>

#include "kvmi_pf_guest.h"
#include "kvmi_test_harness.h"

#define SLOT		5
#define SLOT_GPA	0x40000000ull
#define NR_PAGES	8
#define RESTRICTED	3			/* the page of the slot that is */
#define RING		1024

KVMI_TEST_SUITE(kvmi_pf_mm, 1);

/* A slot that is mapped one to one. */
static struct area add_slot(struct kvmi_test *t, int nr_pages, __u32 flags)
{
	struct area a = { .gva = SLOT_GPA, .gpa = SLOT_GPA, .nr_pages = nr_pages };

	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, SLOT_GPA, SLOT, nr_pages, flags);
	virt_map(t->vm, SLOT_GPA, SLOT_GPA, nr_pages);
	a.hva = addr_gpa2hva(t->vm, SLOT_GPA);
	return a;
}

/* The guest runs, and one page of the slot is restricted. */
static void start(struct kvmi_test *t, const struct area *a, __u8 access)
{
	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a->gpa + RESTRICTED * PAGE, access));
}

/*
 * One store to the restricted page, which is reported, and one beside it. At the begin of
 * pages, as Bochs logs the whole address, and KVM complains of the rest.
 */
static void stores(struct kvmi_test *t, const struct area *a)
{
	__u64 at = RESTRICTED * PAGE;
	struct kvmi_event_msg ev;

	memset(a->hva + RESTRICTED * PAGE, 0, 2 * PAGE);
	begin_insn(t, STORE, a->gva + at, 0);
	expect_pf(t, 0, ACCESS_W, a->gva + at, a->gpa + at, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	run_insn(t, STORE, a->gva + at + PAGE, 0);
	TEST_ASSERT_EQ(word(a, at), INSN_RAX);
	TEST_ASSERT_EQ(word(a, at + PAGE), INSN_RAX);
	TEST_ASSERT_EQ(get_access(t, a->gpa + at), ACCESS_R);
}

#define BOTH	(BIT_ULL(RESTRICTED) | BIT_ULL(RESTRICTED + 1))

/* --- dirty logging --- */

KVMI_TEST(kvmi_pf_mm, dirty_log, guest_insns)
{
	struct area a = add_slot(t, NR_PAGES, 0);
	__u64 bitmap[1] = { };

	REQUIRE_PAGE_ACCESS(t);
	start(t, &a, ACCESS_R);
	for (int i = 0; i < 3; i++) {
		stores(t, &a);
		vm_mem_region_set_flags(t->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES);
		for (int n = 0; n < 2; n++) {
			stores(t, &a);
			kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
			TEST_ASSERT_EQ(bitmap[0], BOTH);
			kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
			TEST_ASSERT_EQ(bitmap[0], 0);
		}
		vm_mem_region_set_flags(t->vm, SLOT, 0);
		stores(t, &a);
	}
}

/* The right to write comes back while pages are logged: the first write is recorded. */
KVMI_TEST(kvmi_pf_mm, dirty_log_after_the_restriction, guest_insns)
{
	struct area a = add_slot(t, NR_PAGES, KVM_MEM_LOG_DIRTY_PAGES);
	__u64 bitmap[1] = { };

	REQUIRE_PAGE_ACCESS(t);
	start(t, &a, ACCESS_R);
	stores(t, &a);
	kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
	KVMI_ASSERT_OK(set_access(t, a.gpa + RESTRICTED * PAGE, ACCESS_RWX));
	kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
	TEST_ASSERT_EQ(bitmap[0], 0);
	run_insn(t, STORE, a.gva + RESTRICTED * PAGE, 0);
	kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
	TEST_ASSERT_EQ(bitmap[0], BIT_ULL(RESTRICTED));
}

/* The VMM has the log cleared by itself, some pages at a time. */
KVMI_TEST(kvmi_pf_mm, manual_protect, guest_insns)
{
	struct area a;
	__u64 bitmap[1] = { };

	REQUIRE_PAGE_ACCESS(t);
	vm_enable_cap(t->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		      KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	/* A clear takes 64 pages, or up to the end of the slot. */
	a = add_slot(t, NR_PAGES, KVM_MEM_LOG_DIRTY_PAGES);
	start(t, &a, ACCESS_R);
	for (int i = 0; i < 3; i++) {
		stores(t, &a);
		for (int n = 0; n < 2; n++) {
			kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
			TEST_ASSERT_EQ(bitmap[0], BOTH);
		}
		kvm_vm_clear_dirty_log(t->vm, SLOT, bitmap, 0, NR_PAGES);
		kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
		TEST_ASSERT_EQ(bitmap[0], 0);
	}
}

FIXTURE(kvmi_pf_ring) { struct kvmi_test t; };

FIXTURE_SETUP(kvmi_pf_ring)
{
	struct kvmi_test *t = &self->t;

	if (!kvm_has_cap(KVM_CAP_DIRTY_LOG_RING))
		SKIP(return, "this kernel has no dirty ring");
	memset(t, 0, sizeof(*t));
	t->vm = __vm_create(VM_SHAPE_DEFAULT, 1, 0);
	vm_enable_dirty_ring(t->vm, RING * sizeof(struct kvm_dirty_gfn));
	t->vcpu[0] = vm_vcpu_add(t->vm, 0, guest_insns);
	kvmi_test_attach(t, 1);
}

FIXTURE_TEARDOWN(kvmi_pf_ring) { kvmi_test_teardown(&self->t); }

static __u64 pages_in_ring(struct kvmi_test *t, struct kvm_dirty_gfn *ring)
{
	__u64 pages = 0;
	int n = 0;

	for (int i = 0; i < RING; i++) {
		if (!(READ_ONCE(ring[i].flags) & KVM_DIRTY_GFN_F_DIRTY))
			continue;
		if (ring[i].slot == SLOT)
			pages |= BIT_ULL(ring[i].offset);
		WRITE_ONCE(ring[i].flags, KVM_DIRTY_GFN_F_RESET);
		n++;
	}
	TEST_ASSERT_EQ(kvm_vm_reset_dirty_ring(t->vm), n);
	return pages;
}

TEST_F_TIMEOUT(kvmi_pf_ring, is_filled, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct kvm_dirty_gfn *ring = vcpu_map_dirty_ring(t->vcpu[0]);
	struct area a = add_slot(t, NR_PAGES, KVM_MEM_LOG_DIRTY_PAGES);

	REQUIRE_PAGE_ACCESS(t);
	kvmi_set_guest(t, 0, guest_insns);
	start(t, &a, ACCESS_R);
	for (int i = 0; i < 3; i++) {
		stores(t, &a);
		TEST_ASSERT_EQ(pages_in_ring(t, ring), BOTH);
	}
}

/* --- other memory behind the frame --- */

KVMI_TEST(kvmi_pf_mm, other_pages, guest_insns)
{
	struct area a = add_slot(t, NR_PAGES, 0);
	void *addr = a.hva;
	size_t size = NR_PAGES * PAGE;

	REQUIRE_PAGE_ACCESS(t);
	start(t, &a, ACCESS_R);
	for (int i = 0; i < 3; i++) {
		stores(t, &a);
		TEST_ASSERT(!madvise(addr, size, MADV_DONTNEED), "MADV_DONTNEED");
		TEST_ASSERT_EQ(word(&a, RESTRICTED * PAGE), 0);
		stores(t, &a);
		TEST_ASSERT(!mprotect(addr, size, PROT_READ), "mprotect() failed");
		run_insn(t, LOAD, a.gva + RESTRICTED * PAGE, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], INSN_RAX);
		TEST_ASSERT(!mprotect(addr, size, PROT_READ | PROT_WRITE), "mprotect() failed");
		stores(t, &a);
		TEST_ASSERT(mmap(addr, size, PROT_READ | PROT_WRITE,
				 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == addr,
			    "mmap() failed");
		run_insn(t, LOAD, a.gva + RESTRICTED * PAGE, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0);
		stores(t, &a);
	}
}

/* Shared memory, where what the guest has mapped is written from outside, too. */
KVMI_TEST(kvmi_pf_mm, page_of_zeros, guest_insns)
{
	struct area a = add_slot(t, NR_PAGES, 0);
	struct kvmi_event_msg ev;
	__u64 at = RESTRICTED * PAGE;

	REQUIRE_PAGE_ACCESS(t);
	start(t, &a, ACCESS_R);
	/* The guest reads first: the host maps its page of zeros, then copies it. */
	for (int i = 0; i < 3; i++) {
		TEST_ASSERT(!madvise(a.hva, NR_PAGES * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
		run_insn(t, LOAD, a.gva + at, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0);
		begin_insn(t, ADD, a.gva + at, 0);
		expect_pf(t, 0, ACCESS_W, a.gva + at, a.gpa + at, &ev);
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		run_insn(t, LOAD, a.gva + at, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 1);
		TEST_ASSERT_EQ(word(&a, at), 1);
	}
}

/* The VMM has it mapped before anybody wants it: as much as the guest may do there. */
KVMI_TEST(kvmi_pf_mm, mapped_ahead, guest_insns)
{
	struct kvm_pre_fault_memory range = { .gpa = SLOT_GPA, .size = NR_PAGES * PAGE };
	struct area a = add_slot(t, NR_PAGES, 0);
	struct kvmi_event_msg ev;

	REQUIRE_NO_ACCESS(t);
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_PRE_FAULT_MEMORY));
	KVMI_ASSERT_OK(set_access_range(t, a.gpa / PAGE, NR_PAGES, 0));
	vcpu_ioctl(t->vcpu[0], KVM_PRE_FAULT_MEMORY, &range);
	TEST_ASSERT_EQ(range.size, 0);
	start(t, &a, 0);
	begin_insn(t, LOAD, a.gva, 0);
	expect_pf(t, 0, ACCESS_R, a.gva, a.gpa, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
}

/* --- large pages --- */

#define LARGE		512

static __u64 stat_of(struct kvmi_test *t, const char *name)
{
	uint64_t val = ~0ull;

	__vm_get_stat(t->vm, name, &val, 1);
	TEST_ASSERT(val != ~0ull, "the VM has no statistic %s", name);
	return val;
}

KVMI_TEST(kvmi_pf_mm, large_pages, guest_insns)
{
	struct area a = { .gva = SLOT_GPA, .gpa = SLOT_GPA, .nr_pages = 2 * LARGE };
	struct kvmi_event_msg ev;
	__u64 before, small;

	REQUIRE_PAGE_ACCESS(t);
	if (!thp_configured())
		SKIP_CASE("the kernel has no transparent huge pages");
	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS_THP, SLOT_GPA, SLOT, 2 * LARGE, 0);
	virt_map(t->vm, SLOT_GPA, SLOT_GPA, 2 * LARGE);
	a.hva = addr_gpa2hva(t->vm, SLOT_GPA);
	memset(a.hva, 1, 2 * LARGE * PAGE);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	before = stat_of(t, "pages_2m");
	run_insn(t, STORE, a.gva, 0);
	run_insn(t, STORE, a.gva + LARGE * PAGE, 0);
	if (stat_of(t, "pages_2m") != before + 2)
		SKIP_CASE("the host has no large page at hand");

	for (int i = 0; i < 3; i++) {
		/* One page of the first 2 MiB. */
		KVMI_ASSERT_OK(set_access(t, a.gpa + 5 * PAGE, ACCESS_R));
		TEST_ASSERT_EQ(stat_of(t, "pages_2m"), before + 1);
		small = stat_of(t, "pages_4k");
		for (int n = 0; n < 5; n++)
			run_insn(t, STORE, a.gva + n * PAGE, 0);
		begin_insn(t, STORE, a.gva + 5 * PAGE, 0);
		expect_pf(t, 0, ACCESS_W, a.gva + 5 * PAGE, a.gpa + 5 * PAGE, &ev);
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		run_insn(t, STORE, a.gva + LARGE * PAGE, 0);
		TEST_ASSERT_EQ(stat_of(t, "pages_2m"), before + 1);
		TEST_ASSERT(stat_of(t, "pages_4k") >= small + 5, "no small pages");

		/* Another one: the first one's end does not bring the large page back. */
		KVMI_ASSERT_OK(set_access(t, a.gpa + 511 * PAGE, ACCESS_RX));
		KVMI_ASSERT_OK(set_access(t, a.gpa + 5 * PAGE, ACCESS_RWX));
		run_insn(t, STORE, a.gva + 5 * PAGE, 0);
		TEST_ASSERT_EQ(stat_of(t, "pages_2m"), before + 1);
		KVMI_ASSERT_OK(set_access(t, a.gpa + 511 * PAGE, ACCESS_RWX));
		run_insn(t, STORE, a.gva + 5 * PAGE, 0);
		TEST_ASSERT_EQ(stat_of(t, "pages_2m"), before + 2);
	}
	/* Of the end of the session, too, though nothing is missing in the small page. */
	KVMI_ASSERT_OK(set_access(t, a.gpa + 5 * PAGE, ACCESS_R));
	run_insn(t, STORE, a.gva, 0);
	TEST_ASSERT_EQ(stat_of(t, "pages_2m"), before + 1);
	kvmi_test_rehook(t);
	enable_pf(t, 0);
	run_insn(t, LOAD, a.gva, 0);
	TEST_ASSERT_EQ(stat_of(t, "pages_2m"), before + 2);
}

/* --- what cannot be written, and what is no memory --- */

static void expect_mmio(struct kvmi_test *t, __u64 gpa, bool write)
{
	struct kvm_run *run = t->vcpu[0]->run;

	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_MMIO);
	TEST_ASSERT_EQ(run->mmio.phys_addr, gpa);
	TEST_ASSERT_EQ(run->mmio.is_write, write);
}

/* The tool lets it happen, and then it is the VMM's. */
KVMI_TEST(kvmi_pf_mm, read_only_slot, guest_insns)
{
	struct area a = add_slot(t, NR_PAGES, KVM_MEM_READONLY);
	struct kvmi_event_msg ev;
	__u64 at = RESTRICTED * PAGE;

	REQUIRE_PAGE_ACCESS(t);
	memset(a.hva, 0x11, NR_PAGES * PAGE);
	start(t, &a, ACCESS_R);
	run_insn(t, LOAD, a.gva + at, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0x1111111111111111ull);
	begin_insn(t, STORE, a.gva + at, 0);
	expect_pf(t, 0, ACCESS_W, a.gva + at, a.gpa + at, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_mmio(t, a.gpa + at, true);
	/* When the VMM has done it, the guest goes on. */
	kvmi_run(t, 0);
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(word(&a, at), 0x1111111111111111ull);
}

/* Without memory there is nothing to restrict. */
KVMI_TEST(kvmi_pf_mm, mmio, guest_insns)
{
	struct area a = { .gva = SLOT_GPA, .gpa = SLOT_GPA, .nr_pages = 1 };

	REQUIRE_PAGE_ACCESS(t);
	virt_map(t->vm, SLOT_GPA, SLOT_GPA, 1);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
	for (int i = 0; i < 3; i++) {
		begin_insn(t, STORE, a.gva + 8, 0);
		expect_mmio(t, a.gpa + 8, true);
		kvmi_run(t, 0);
		end_insn(t);
		kvmi_expect_no_event(&t->tool, 0);
	}
}

/* From restricted memory to what is none, and back. */
KVMI_TEST(kvmi_pf_mm, mmio_and_memory, guest_insns)
{
	struct area a = add_slot(t, NR_PAGES, 0);
	struct kvmi_event_msg ev;
	__u64 at = NR_PAGES * PAGE;

	REQUIRE_PAGE_ACCESS(t);
	virt_map(t->vm, SLOT_GPA + at, SLOT_GPA + at, 1);
	start(t, &a, ACCESS_R);
	KVMI_ASSERT_OK(set_access_range(t, a.gpa / PAGE, NR_PAGES, ACCESS_R));
	/* MOVS from there, three pages before its destination: see begin_insn(). */
	*(__u64 *)(a.hva + (NR_PAGES - 3) * PAGE) = 0x4711;
	begin_insn(t, MOVSQ, a.gva + (NR_PAGES - 3) * PAGE, 0);
	expect_mmio(t, a.gpa + at, true);
	TEST_ASSERT_EQ(*(__u64 *)t->vcpu[0]->run->mmio.data, 0x4711);
	kvmi_run(t, 0);
	end_insn(t);

	/* Backwards: the VMM supplies what is read, then the write is reported, once. */
	begin_insn(t, MOVSQ_BACK, a.gva + at, 0);
	expect_mmio(t, a.gpa + at, false);
	*(__u64 *)t->vcpu[0]->run->mmio.data = 0x1234;
	kvmi_run(t, 0);
	expect_pf(t, 0, ACCESS_W, a.gva + at - 3 * PAGE, a.gpa + at - 3 * PAGE, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(word(&a, at - 3 * PAGE), 0x1234);
}

KVMI_TEST_MAIN()
