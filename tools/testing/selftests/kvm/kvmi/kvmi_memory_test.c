// SPDX-License-Identifier: GPL-2.0-only
/* VM_READ_PHYSICAL and VM_WRITE_PHYSICAL. */
#include "kvmi_test_harness.h"

#define PAGE		4096ull
#define SLOT		5
#define SLOT_GPA	0x40000000ull

KVMI_TEST_SUITE(kvmi_memory, 1);

static int read_gpa(struct kvmi_test *t, __u64 gpa, __u64 size, void *data)
{
	struct kvmi_vm_read_physical req = { .gpa = gpa, .size = size };

	return kvmi_command(&t->tool, KVMI_VM_READ_PHYSICAL, &req, sizeof(req), data, size);
}

/* @sent bytes of data follow, whatever @size says. */
static __u32 post_write(struct kvmi_test *t, __u64 gpa, __u64 size, const void *data, size_t sent)
{
	struct {
		struct kvmi_vm_write_physical req;
		__u8 data[2 * PAGE - 64];
	} msg = { .req = { .gpa = gpa, .size = size } };

	memcpy(&msg.data, data, sent);
	return kvmi_post(&t->tool, KVMI_VM_WRITE_PHYSICAL, &msg, sizeof(msg.req) + sent);
}

static int write_sent(struct kvmi_test *t, __u64 gpa, __u64 size, const void *data, size_t sent)
{
	return kvmi_collect(&t->tool, KVMI_VM_WRITE_PHYSICAL,
			    post_write(t, gpa, size, data, sent), NULL, 0);
}

static int write_gpa(struct kvmi_test *t, __u64 gpa, __u64 size, const void *data)
{
	return write_sent(t, gpa, size, data, size);
}

static __u8 *add_slot(struct kvmi_test *t, __u64 pages, __u32 flags)
{
	__u8 *hva;

	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, SLOT_GPA, SLOT, pages, flags);
	hva = addr_gpa2hva(t->vm, SLOT_GPA);
	for (int i = 0; i < pages * PAGE; i++)
		hva[i] = i * 7 + (i >> 12);
	return hva;
}

static const struct { __u64 offset, size; } ranges[] = {
	{ 0, 1 }, { 0, PAGE }, { 1, PAGE - 1 }, { PAGE - 1, 1 }, { PAGE, PAGE },
	{ PAGE + 8, 16 }, { 3 * PAGE - 3, 3 }, { 123, 777 },
};

KVMI_TEST(kvmi_memory, read, guest_spin)
{
	__u8 *hva = add_slot(t, 3, 0), data[PAGE];

	for (int i = 0; i < ARRAY_SIZE(ranges); i++) {
		memset(data, 0, sizeof(data));
		KVMI_ASSERT_OK(read_gpa(t, SLOT_GPA + ranges[i].offset, ranges[i].size, data));
		TEST_ASSERT(!memcmp(data, hva + ranges[i].offset, ranges[i].size),
			    "range %d: wrong data", i);
	}
}

KVMI_TEST(kvmi_memory, write, guest_spin)
{
	__u8 *hva = add_slot(t, 3, 0), data[PAGE], copy[3 * PAGE];

	for (int i = 0; i < ARRAY_SIZE(ranges); i++) {
		memset(data, 0x80 + i, sizeof(data));
		memcpy(copy, hva, sizeof(copy));
		memcpy(copy + ranges[i].offset, data, ranges[i].size);
		KVMI_ASSERT_OK(write_gpa(t, SLOT_GPA + ranges[i].offset, ranges[i].size, data));
		TEST_ASSERT(!memcmp(copy, hva, sizeof(copy)), "range %d: wrong data", i);
	}
}

/* Pages that the VMM has not touched yet. */
KVMI_TEST(kvmi_memory, untouched_pages, guest_spin)
{
	__u8 data[PAGE], zero[PAGE] = { };

	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, SLOT_GPA, SLOT, 2, 0);
	KVMI_ASSERT_OK(read_gpa(t, SLOT_GPA, PAGE, data));
	TEST_ASSERT(!memcmp(data, zero, PAGE), "not zero");
	memset(data, 0x5a, PAGE);
	KVMI_ASSERT_OK(write_gpa(t, SLOT_GPA + PAGE, PAGE, data));
	TEST_ASSERT(!memcmp(addr_gpa2hva(t->vm, SLOT_GPA + PAGE), data, PAGE), "not written");
}

KVMI_TEST(kvmi_memory, bad_ranges, guest_spin)
{
	static const struct { __u64 offset, size; } bad[] = {
		{ 0, 0 }, { 5, 0 }, { 0, PAGE + 1 }, { 1, PAGE }, { PAGE - 1, 2 },
		{ 0, 2 * PAGE }, { 0, 1ull << 32 }, { 8, -8ull }, { 0, ~0ull }, { -1ull, 2 },
	};
	__u8 *hva = add_slot(t, 3, 0), copy[3 * PAGE], data[8] = { };

	memcpy(copy, hva, sizeof(copy));
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		KVMI_ASSERT_ERR(read_gpa(t, SLOT_GPA + bad[i].offset, bad[i].size, NULL),
				-KVM_EINVAL);
		KVMI_ASSERT_ERR(write_sent(t, SLOT_GPA + bad[i].offset, bad[i].size, data, 8),
				-KVM_EINVAL);
	}
	TEST_ASSERT(!memcmp(copy, hva, sizeof(copy)), "a refused write wrote");
}

KVMI_TEST(kvmi_memory, fewer_data_than_announced, guest_spin)
{
	__u8 *hva = add_slot(t, 1, 0), copy[PAGE], data[PAGE];

	memset(data, 0xff, sizeof(data));
	memcpy(copy, hva, sizeof(copy));
	KVMI_ASSERT_ERR(write_sent(t, SLOT_GPA, 1, data, 0), -KVM_EINVAL);
	KVMI_ASSERT_ERR(write_sent(t, SLOT_GPA, 16, data, 15), -KVM_EINVAL);
	KVMI_ASSERT_ERR(write_sent(t, SLOT_GPA, PAGE, data, PAGE - 1), -KVM_EINVAL);
	TEST_ASSERT(!memcmp(copy, hva, sizeof(copy)), "a refused write wrote");
	/* More data than announced: the surplus is ignored. */
	KVMI_ASSERT_OK(write_sent(t, SLOT_GPA, 16, data, 32));
	memset(copy, 0xff, 16);
	TEST_ASSERT(!memcmp(copy, hva, sizeof(copy)), "the surplus was written");
}

KVMI_TEST(kvmi_memory, no_memory_there, guest_spin)
{
	static const __u64 holes[] = {
		SLOT_GPA - PAGE, SLOT_GPA + PAGE, SLOT_GPA << 4, BIT_ULL(51), BIT_ULL(52),
		BIT_ULL(63), -PAGE,
	};
	__u8 data[8] = { };

	add_slot(t, 1, 0);
	for (int i = 0; i < ARRAY_SIZE(holes); i++) {
		KVMI_ASSERT_ERR(read_gpa(t, holes[i], 8, data), -KVM_ENOENT);
		KVMI_ASSERT_ERR(write_gpa(t, holes[i], 8, data), -KVM_ENOENT);
	}
	vm_mem_region_delete(t->vm, SLOT);
	KVMI_ASSERT_ERR(read_gpa(t, SLOT_GPA, 8, data), -KVM_ENOENT);
	KVMI_ASSERT_ERR(write_gpa(t, SLOT_GPA, 8, data), -KVM_ENOENT);
}

/* The VMM took the pages away from under the slot. */
KVMI_TEST(kvmi_memory, slot_without_mapping, guest_spin)
{
	__u8 *hva = add_slot(t, 1, 0), data[8] = { };

	TEST_ASSERT(!mprotect(hva, PAGE, PROT_NONE), "mprotect() failed");
	KVMI_ASSERT_ERR(read_gpa(t, SLOT_GPA, 8, data), -KVM_ENOENT);
	KVMI_ASSERT_ERR(write_gpa(t, SLOT_GPA, 8, data), -KVM_ENOENT);
	TEST_ASSERT(!mprotect(hva, PAGE, PROT_READ), "mprotect() failed");
	KVMI_ASSERT_OK(read_gpa(t, SLOT_GPA, 8, data));
	KVMI_ASSERT_ERR(write_gpa(t, SLOT_GPA, 8, data), -KVM_ENOENT);
	TEST_ASSERT(!mprotect(hva, PAGE, PROT_READ | PROT_WRITE), "mprotect() failed");
	KVMI_ASSERT_OK(write_gpa(t, SLOT_GPA, 8, data));
}

/* The VMM can write there, but the guest cannot: neither can the tool. */
KVMI_TEST(kvmi_memory, read_only_slot, guest_spin)
{
	__u8 *hva = add_slot(t, 1, KVM_MEM_READONLY), copy[PAGE], data[PAGE];

	memcpy(copy, hva, sizeof(copy));
	KVMI_ASSERT_OK(read_gpa(t, SLOT_GPA, PAGE, data));
	TEST_ASSERT(!memcmp(copy, data, sizeof(copy)), "wrong data");
	memset(data, 0xff, sizeof(data));
	KVMI_ASSERT_ERR(write_gpa(t, SLOT_GPA, PAGE, data), -KVM_ENOENT);
	TEST_ASSERT(!memcmp(copy, hva, sizeof(copy)), "a refused write wrote");
}

static void guest_watch(struct kvmi_guest *g)
{
	while (!READ_ONCE(g->val[0]))
		cpu_relax();
	WRITE_ONCE(g->val[1], READ_ONCE(g->val[0]) + 1);
	guest_spin(g);
}

/* Each sees what the other wrote, while the guest runs. */
KVMI_TEST(kvmi_memory, guest_and_tool, guest_watch)
{
	__u64 gpa = addr_gva2gpa(t->vm, t->guest_gva[0]), val = 41;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(write_gpa(t, gpa + offsetof(struct kvmi_guest, val[0]), 8, &val));
	kvmi_expect_running(t, 0);
	KVMI_ASSERT_OK(read_gpa(t, gpa + offsetof(struct kvmi_guest, val[1]), 8, &val));
	TEST_ASSERT_EQ(val, 42);
}

/* --- dirty logging: a write by the tool must reach a migration's target ----------- */

KVMI_TEST(kvmi_memory, dirty_bitmap, guest_spin)
{
	__u64 bitmap[1] = { }, val = 1;

	add_slot(t, 8, KVM_MEM_LOG_DIRTY_PAGES);
	kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
	KVMI_ASSERT_OK(read_gpa(t, SLOT_GPA, 8, &val));
	kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
	TEST_ASSERT_EQ(bitmap[0], 0);
	KVMI_ASSERT_OK(write_gpa(t, SLOT_GPA + 2 * PAGE, 8, &val));
	KVMI_ASSERT_OK(write_gpa(t, SLOT_GPA + 6 * PAGE - 8, 8, &val));
	kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
	TEST_ASSERT_EQ(bitmap[0], BIT_ULL(2) | BIT_ULL(5));
	/* A refused write marks nothing. */
	KVMI_ASSERT_ERR(write_sent(t, SLOT_GPA + 7 * PAGE, 16, &val, 8), -KVM_EINVAL);
	kvm_vm_get_dirty_log(t->vm, SLOT, bitmap);
	TEST_ASSERT_EQ(bitmap[0], 0);
}

#define RING		1024

FIXTURE(kvmi_dirty_ring) { struct kvmi_test t; };

FIXTURE_SETUP(kvmi_dirty_ring)
{
	struct kvmi_test *t = &self->t;

	if (!kvm_has_cap(KVM_CAP_DIRTY_LOG_RING))
		SKIP(return, "this kernel has no dirty ring");
	memset(t, 0, sizeof(*t));
	t->vm = __vm_create(VM_SHAPE_DEFAULT, 1, 0);
	vm_enable_dirty_ring(t->vm, RING * sizeof(struct kvm_dirty_gfn));
	t->vcpu[0] = vm_vcpu_add(t->vm, 0, guest_spin);
	kvmi_test_attach(t, 1);
}

FIXTURE_TEARDOWN(kvmi_dirty_ring) { kvmi_test_teardown(&self->t); }

TEST_F_TIMEOUT(kvmi_dirty_ring, write_is_recorded, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct kvm_dirty_gfn *ring = vcpu_map_dirty_ring(t->vcpu[0]);
	__u64 val = 0x1234, *hva;
	bool seen = false;
	__u32 seq;

	hva = (__u64 *)add_slot(t, 8, KVM_MEM_LOG_DIRTY_PAGES);
	/* Done by the vCPU, which has the ring. */
	seq = post_write(t, SLOT_GPA + 3 * PAGE, 8, &val, 8);
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VM_WRITE_PHYSICAL, seq, NULL, 0));
	TEST_ASSERT_EQ(hva[3 * PAGE / 8], val);
	kvmi_worker_stop(&t->worker[0]);
	for (int i = 0; i < RING && ring[i].flags & KVM_DIRTY_GFN_F_DIRTY; i++)
		seen |= ring[i].slot == SLOT && ring[i].offset == 3;
	TEST_ASSERT(seen, "the write is not in the dirty ring");
}

/* A write that could not be recorded must not happen. */
TEST_F_TIMEOUT(kvmi_dirty_ring, ring_is_full, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct kvm_dirty_gfn *ring = vcpu_map_dirty_ring(t->vcpu[0]);
	__u64 *hva = (__u64 *)add_slot(t, RING + 1, KVM_MEM_LOG_DIRTY_PAGES);
	__u64 val = 0x1234;
	int n, r = 0;

	kvmi_run(t, 0);
	for (n = 0; n <= RING && !r; n++)
		r = write_gpa(t, SLOT_GPA + n * PAGE, 8, &val);
	KVMI_ASSERT_ERR(r, -KVM_EAGAIN);
	TEST_ASSERT(n > 2, "the ring takes %d writes", n - 1);
	TEST_ASSERT_EQ(hva[(n - 2) * PAGE / 8], val);
	TEST_ASSERT(hva[(n - 1) * PAGE / 8] != val, "a refused write wrote");

	/* The VMM collects what is there, and the tool can go on. */
	for (int i = 0; i < RING; i++)
		if (READ_ONCE(ring[i].flags) & KVM_DIRTY_GFN_F_DIRTY)
			WRITE_ONCE(ring[i].flags, KVM_DIRTY_GFN_F_RESET);
	TEST_ASSERT(kvm_vm_reset_dirty_ring(t->vm) >= n - 1, "KVM_RESET_DIRTY_RINGS");
	KVMI_ASSERT_OK(write_gpa(t, SLOT_GPA + (n - 1) * PAGE, 8, &val));
	TEST_ASSERT_EQ(hva[(n - 1) * PAGE / 8], val);
}

/* Errors do not need a vCPU that runs, or are given when it does. */
TEST_F_TIMEOUT(kvmi_dirty_ring, refused_writes, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	__u64 val = 0;

	add_slot(t, 1, KVM_MEM_READONLY);
	kvmi_run(t, 0);
	KVMI_ASSERT_ERR(write_gpa(t, SLOT_GPA, 8, &val), -KVM_ENOENT);
	KVMI_ASSERT_ERR(write_gpa(t, SLOT_GPA << 1, 8, &val), -KVM_ENOENT);
	KVMI_ASSERT_ERR(write_sent(t, SLOT_GPA, 0, &val, 8), -KVM_EINVAL);
	KVMI_ASSERT_ERR(write_sent(t, SLOT_GPA, 16, &val, 8), -KVM_EINVAL);
	KVMI_ASSERT_OK(read_gpa(t, SLOT_GPA, 8, &val));
}

KVMI_TEST_MAIN()
