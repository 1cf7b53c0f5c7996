// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_TRANSLATE_GVA: the vCPU's own page tables, as they are now. */
#include "kvmi_test_harness.h"

#define NOT_MAPPED	(~0ull)
#define PAGE		4096ull
/* Addresses that the library leaves free. */
#define GVA_4K		0x100000000ull
#define GVA_2M		0x200000000ull
#define GPA_2M		0x40000000ull

KVMI_TEST_SUITE(kvmi_translate, 1);

static __u64 translate(struct kvmi_test *t, __u64 gva)
{
	struct kvmi_vcpu_translate_gva req = { .gva = gva };
	struct kvmi_vcpu_translate_gva_reply r;

	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_TRANSLATE_GVA, &req, sizeof(req),
					 &r, sizeof(r)));
	return r.gpa;
}

KVMI_TEST(kvmi_translate, mapped, guest_spin)
{
	const __u64 gvas[] = {
		(vm_vaddr_t)guest_spin, t->guest_gva[0], t->vm->arch.gdt, t->vm->arch.idt + 0x123,
	};

	kvmi_run(t, 0);
	for (int i = 0; i < ARRAY_SIZE(gvas); i++)
		TEST_ASSERT_EQ(translate(t, gvas[i]), addr_gva2gpa(t->vm, gvas[i]));
}

KVMI_TEST(kvmi_translate, not_mapped, guest_spin)
{
	static const __u64 gvas[] = {
		0, GVA_4K, 0x00007ffffffff000, 0xffff800000000000, NOT_MAPPED - 1, NOT_MAPPED,
	};

	kvmi_run(t, 0);
	for (int i = 0; i < ARRAY_SIZE(gvas); i++)
		TEST_ASSERT_EQ(translate(t, gvas[i]), NOT_MAPPED);
	/* The walk injects nothing. */
	kvmi_expect_running(t, 0);
}

/* Such an address has no translation; its low bits must not be taken for one. */
KVMI_TEST(kvmi_translate, not_canonical, guest_spin)
{
	__u64 gva = (vm_vaddr_t)guest_spin;

	kvmi_run(t, 0);
	TEST_ASSERT_EQ(translate(t, gva | BIT_ULL(50)), NOT_MAPPED);
	TEST_ASSERT_EQ(translate(t, gva | BIT_ULL(63)), NOT_MAPPED);
	TEST_ASSERT_EQ(translate(t, gva), addr_gva2gpa(t->vm, gva));
}

KVMI_TEST(kvmi_translate, changes_with_the_tables, guest_spin)
{
	__u64 gpa = vm_phy_page_alloc(t->vm, 0x10000, 0);
	uint64_t *e;

	virt_pg_map(t->vm, GVA_4K, gpa);
	e = vm_get_page_table_entry(t->vm, GVA_4K);
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(translate(t, GVA_4K + 0xabc), gpa + 0xabc);
	TEST_ASSERT_EQ(translate(t, GVA_4K + PAGE - 1), gpa + PAGE - 1);
	TEST_ASSERT_EQ(translate(t, GVA_4K + PAGE), NOT_MAPPED);
	/* What a supervisor's read may do: a user's page, one that is read-only or data. */
	WRITE_ONCE(*e, (*e & ~BIT_ULL(1)) | BIT_ULL(2) | BIT_ULL(63));
	TEST_ASSERT_EQ(translate(t, GVA_4K), gpa);
	WRITE_ONCE(*e, *e & ~BIT_ULL(0));
	TEST_ASSERT_EQ(translate(t, GVA_4K), NOT_MAPPED);
	/* A physical address need not have memory. */
	WRITE_ONCE(*e, (1ull << 36) | 3);
	TEST_ASSERT_EQ(translate(t, GVA_4K + 5), (1ull << 36) + 5);
}

KVMI_TEST(kvmi_translate, large_page, guest_spin)
{
	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, GPA_2M, 5, 512, 0);
	__virt_pg_map(t->vm, GVA_2M, GPA_2M, PG_LEVEL_2M);
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(translate(t, GVA_2M), GPA_2M);
	TEST_ASSERT_EQ(translate(t, GVA_2M + 0x123456), GPA_2M + 0x123456);
	TEST_ASSERT_EQ(translate(t, GVA_2M + 0x1fffff), GPA_2M + 0x1fffff);
	TEST_ASSERT_EQ(translate(t, GVA_2M + 0x200000), NOT_MAPPED);
}

/* CR3 is the vCPU's: a second root that maps the lower half once more above. */
KVMI_TEST(kvmi_translate, current_cr3, guest_spin)
{
	const __u64 high = 0xffff800000000000, gva = (vm_vaddr_t)guest_spin;
	__u64 root = vm_phy_page_alloc(t->vm, 0x10000, 0), *table;
	struct kvm_sregs sregs;

	table = addr_gpa2hva(t->vm, root);
	memcpy(table, addr_gpa2hva(t->vm, t->vm->pgd), PAGE);
	table[256] = table[0];
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(translate(t, high + gva), NOT_MAPPED);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.cr3 = root;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(translate(t, high + gva), addr_gva2gpa(t->vm, gva));
}

/* Tables that lead nowhere. */
KVMI_TEST(kvmi_translate, tables_without_memory, guest_spin)
{
	__u64 root = vm_phy_page_alloc(t->vm, 0x10000, 0), *table;
	struct kvm_sregs sregs;

	table = addr_gpa2hva(t->vm, root);
	memcpy(table, addr_gpa2hva(t->vm, t->vm->pgd), PAGE);
	table[256] = (1ull << 36) | 3;
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.cr3 = root;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(translate(t, 0xffff800000000000), NOT_MAPPED);
	kvmi_expect_running(t, 0);
}

/* Without paging an address is its own translation; the guest only has to stand still. */
KVMI_TEST(kvmi_translate, paging_off, guest_spin)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	memcpy(addr_gpa2hva(t->vm, 0x1000), "\xeb\xfe", 2);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.efer = 0;
	sregs.cr4 = 0;
	sregs.cr0 = X86_CR0_NE | X86_CR0_ET | X86_CR0_PE;
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	vcpu_regs_get(t->vcpu[0], &regs);
	regs.rip = 0x1000;
	vcpu_regs_set(t->vcpu[0], &regs);
	kvmi_run(t, 0);
	TEST_ASSERT_EQ(translate(t, 0x1234), 0x1234);
	TEST_ASSERT_EQ(translate(t, 0xfee00000), 0xfee00000);
}

KVMI_TEST_MAIN()
