// SPDX-License-Identifier: GPL-2.0-only
/* What the tool can ask about the interface and about the VM as a whole. */
#include "kvmi_test_harness.h"

/* Of the memory slots added here; above everything the library uses. */
#define SLOT_GPA	0x40000000ull
#define SLOT_GFN	(SLOT_GPA >> 12)

KVMI_TEST_SUITE(kvmi_vm_info, 2);

static int check_command(struct kvmi_test *t, __u16 id)
{
	struct kvmi_vm_check_command req = { .id = id };

	return kvmi_command(&t->tool, KVMI_VM_CHECK_COMMAND, &req, sizeof(req), NULL, 0);
}

static int check_event(struct kvmi_test *t, __u16 id)
{
	struct kvmi_vm_check_event req = { .id = id };

	return kvmi_command(&t->tool, KVMI_VM_CHECK_EVENT, &req, sizeof(req), NULL, 0);
}

/* What the processor says of itself: SVM needs nothing, VMX the monitor trap flag. */
static bool can_step(void)
{
	char *line = NULL;
	size_t size = 0;
	bool can = false;
	FILE *f;

	if (host_cpu_is_amd)
		return true;

	f = fopen("/proc/cpuinfo", "r");
	TEST_ASSERT(f, "/proc/cpuinfo: %s", strerror(errno));
	while (!can && getline(&line, &size, f) > 0)
		can = !strncmp(line, "vmx flags", 9) && strstr(line, " mtf");
	free(line);
	fclose(f);
	return can;
}

KVMI_TEST(kvmi_vm_info, version, guest_spin)
{
	struct kvmi_features want = { .singlestep = can_step(), .descriptor = 1 };
	struct kvmi_get_version_reply r;

	memset(&r, 0xff, sizeof(r));
	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &r, sizeof(r)));
	TEST_ASSERT_EQ(r.version, KVMI_VERSION);
	TEST_ASSERT_EQ(r.padding, 0);
	/* /proc/cpuinfo does not name what VMX needs for these. */
	if (host_cpu_is_intel && !r.features.descriptor)
		want.descriptor = 0;
	/* What of it there is depends on the processor; kvmi_page_access_test knows. */
	want.page_access = r.features.page_access;
	TEST_ASSERT(want.page_access < 16 && (want.page_access & 1 || !want.page_access),
		    "page access features 0x%x", want.page_access);
	TEST_ASSERT(!memcmp(&r.features, &want, sizeof(want)), "unexpected features");
}

static const __u16 commands[] = {
	KVMI_GET_VERSION, KVMI_VM_CHECK_COMMAND, KVMI_VM_CHECK_EVENT, KVMI_VM_GET_INFO,
	KVMI_VCPU_GET_INFO, KVMI_VCPU_PAUSE, KVMI_VM_CONTROL_EVENTS, KVMI_VCPU_CONTROL_EVENTS,
	KVMI_VCPU_CONTROL_CR, KVMI_VCPU_GET_REGISTERS, KVMI_VCPU_SET_REGISTERS,
	KVMI_VCPU_GET_CPUID, KVMI_VM_READ_PHYSICAL, KVMI_VM_WRITE_PHYSICAL,
	KVMI_VM_CONTROL_CMD_RESPONSE, KVMI_VM_GET_MAX_GFN, KVMI_VCPU_TRANSLATE_GVA,
	KVMI_VM_QUERY_PHYSICAL, KVMI_VCPU_CONTROL_MSR, KVMI_VCPU_GET_XSAVE,
	KVMI_VCPU_INJECT_EXCEPTION, KVMI_VCPU_GET_MTRR_TYPE, KVMI_VCPU_GET_XCR,
	KVMI_VCPU_SET_XSAVE, KVMI_VCPU_CONTROL_SINGLESTEP, KVMI_VM_GET_PAGE_ACCESS,
	KVMI_VM_SET_PAGE_ACCESS, KVMI_VM_SET_PAGE_ACCESS_RANGES, KVMI_VM_GET_MAP_TOKEN,
};

KVMI_TEST(kvmi_vm_info, check_command, guest_spin)
{
	bool exists[KVMI_NUM_MESSAGES] = { };
	int vm = t->vm->fd;

	for (int i = 0; i < ARRAY_SIZE(commands); i++)
		exists[commands[i]] = true;
	for (int id = 0; id < KVMI_NUM_MESSAGES; id++)
		KVMI_ASSERT_ERR(check_command(t, id), exists[id] ? 0 : -KVM_EINVAL);
	KVMI_ASSERT_ERR(check_command(t, KVMI_NUM_MESSAGES), -KVM_EINVAL);
	KVMI_ASSERT_ERR(check_command(t, 0xffff), -KVM_EINVAL);

	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_COMMAND, KVMI_VM_GET_INFO, 0), 0);
	KVMI_ASSERT_ERR(check_command(t, KVMI_VM_GET_INFO), -KVM_EPERM);
	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_COMMAND, KVMI_VM_GET_INFO, 1), 0);
	KVMI_ASSERT_OK(check_command(t, KVMI_VM_GET_INFO));
}

KVMI_TEST(kvmi_vm_info, check_event, guest_spin)
{
	int vm = t->vm->fd;

	for (int id = 0; id < KVMI_NUM_EVENTS; id++) {
		KVMI_ASSERT_OK(check_event(t, id));
		TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, id, 0), 0);
		KVMI_ASSERT_ERR(check_event(t, id), -KVM_EPERM);
		TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, id, 1), 0);
	}
	KVMI_ASSERT_ERR(check_event(t, KVMI_NUM_EVENTS), -KVM_EINVAL);
	KVMI_ASSERT_ERR(check_event(t, 0xffff), -KVM_EINVAL);
}

KVMI_TEST(kvmi_vm_info, number_of_vcpus, guest_spin)
{
	struct kvmi_vm_get_info_reply r;

	for (int n = 2; n <= 4; n++) {
		memset(&r, 0xff, sizeof(r));
		KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_GET_INFO, NULL, 0, &r, sizeof(r)));
		TEST_ASSERT_EQ(r.vcpu_count, n);
		TEST_ASSERT(!r.padding[0] && !r.padding[1] && !r.padding[2], "padding");
		__vm_vcpu_add(t->vm, n);
	}
}

KVMI_TEST(kvmi_vm_info, tsc_speed, guest_spin)
{
	struct kvmi_vcpu_get_info_reply r;
	int khz = __vcpu_ioctl(t->vcpu[0], KVM_GET_TSC_KHZ, NULL);

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0, &r, sizeof(r)));
	TEST_ASSERT_EQ(r.tsc_speed, khz * 1000ull);
}

static __u64 max_gfn(struct kvmi_test *t)
{
	struct kvmi_vm_get_max_gfn_reply r;

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_GET_MAX_GFN, NULL, 0, &r, sizeof(r)));
	return r.gfn;
}

static int query(struct kvmi_test *t, __u64 gfn, struct kvmi_vm_query_physical_reply *r)
{
	struct kvmi_vm_query_physical req = { .gfn = gfn };

	return kvmi_command(&t->tool, KVMI_VM_QUERY_PHYSICAL, &req, sizeof(req), r, sizeof(*r));
}

static void add_slot(struct kvmi_test *t, __u32 slot, __u64 gfn, __u64 pages, __u32 flags)
{
	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, gfn << 12, slot, pages, flags);
}

KVMI_TEST(kvmi_vm_info, max_gfn_follows_the_slots, guest_spin)
{
	__u64 first = max_gfn(t);

	TEST_ASSERT_EQ(first, memslot2region(t->vm, 0)->region.memory_size >> 12);
	add_slot(t, 5, SLOT_GFN, 3, 0);
	TEST_ASSERT_EQ(max_gfn(t), SLOT_GFN + 3);
	/* A lower one changes nothing. */
	add_slot(t, 6, SLOT_GFN - 16, 8, 0);
	TEST_ASSERT_EQ(max_gfn(t), SLOT_GFN + 3);
	/* What the guest cannot write is no RAM. */
	add_slot(t, 7, SLOT_GFN + 64, 1, KVM_MEM_READONLY);
	TEST_ASSERT_EQ(max_gfn(t), SLOT_GFN + 3);
	vm_mem_region_move(t->vm, 5, (SLOT_GFN + 32) << 12);
	TEST_ASSERT_EQ(max_gfn(t), SLOT_GFN + 35);
	vm_mem_region_delete(t->vm, 5);
	TEST_ASSERT_EQ(max_gfn(t), SLOT_GFN - 8);
	vm_mem_region_delete(t->vm, 6);
	TEST_ASSERT_EQ(max_gfn(t), first);
}

KVMI_TEST(kvmi_vm_info, query_physical, guest_spin)
{
	struct kvmi_vm_query_physical_reply r;

	KVMI_ASSERT_OK(query(t, 0, &r));
	TEST_ASSERT_EQ(r.gfn, 0);
	TEST_ASSERT_EQ(r.size, max_gfn(t));
	add_slot(t, 5, SLOT_GFN, 3, 0);
	for (int i = 0; i < 3; i++) {
		KVMI_ASSERT_OK(query(t, SLOT_GFN + i, &r));
		TEST_ASSERT_EQ(r.gfn, SLOT_GFN);
		TEST_ASSERT_EQ(r.size, 3);
	}
	KVMI_ASSERT_ERR(query(t, SLOT_GFN - 1, &r), -KVM_ENOENT);
	KVMI_ASSERT_ERR(query(t, SLOT_GFN + 3, &r), -KVM_ENOENT);
	vm_mem_region_delete(t->vm, 5);
	KVMI_ASSERT_ERR(query(t, SLOT_GFN, &r), -KVM_ENOENT);
}

KVMI_TEST(kvmi_vm_info, query_read_only_slot, guest_spin)
{
	struct kvmi_vm_query_physical_reply r;

	add_slot(t, 5, SLOT_GFN, 2, KVM_MEM_READONLY);
	KVMI_ASSERT_OK(query(t, SLOT_GFN + 1, &r));
	TEST_ASSERT_EQ(r.gfn, SLOT_GFN);
	TEST_ASSERT_EQ(r.size, 2);
}

KVMI_TEST(kvmi_vm_info, query_out_of_range, guest_spin)
{
	struct kvmi_vm_query_physical_reply r;

	KVMI_ASSERT_ERR(query(t, BIT_ULL(40) - 1, &r), -KVM_ENOENT);
	KVMI_ASSERT_ERR(query(t, BIT_ULL(40), &r), -KVM_EINVAL);
	KVMI_ASSERT_ERR(query(t, BIT_ULL(52), &r), -KVM_EINVAL);
	KVMI_ASSERT_ERR(query(t, ~0ull, &r), -KVM_EINVAL);
}

KVMI_TEST_MAIN()
