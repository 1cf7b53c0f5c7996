// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restricted pages that hold the guest's page tables: the processor looks addresses up
 * and sets bits there without an event, the guest's own accesses are reported.
 */
#include "kvmi_pf_guest.h"
#include "kvmi_test_harness.h"

#define NR_PAGES	6
#define TABLE_GVA	0x7f000000ull

#define LEVELS		4
#define MAX_TABLES	64

KVMI_TEST_SUITE(kvmi_pf_walk, 1);

/* Entry of @gva in the table of @level, 1 being the lowest. */
static __u64 *entry(struct kvmi_test *t, __u64 gva, int level)
{
	__u64 *e, table = t->vm->pgd;

	for (int l = LEVELS; ; l--) {
		e = (__u64 *)addr_gpa2hva(t->vm, table) + ((gva >> (3 + 9 * l)) & 511);
		if (l == level)
			return e;
		TEST_ASSERT(*e & PTE_PRESENT_MASK, "gva 0x%llx is not mapped", gva);
		table = PTE_GET_PA(*e);
	}
}

/* Where the table is that maps @gva with 4 KiB. */
static __u64 last_table(struct kvmi_test *t, __u64 gva)
{
	return PTE_GET_PA(*entry(t, gva, 2));
}

/* Every table below the one at @gpa, itself included. */
static void restrict_tables(struct kvmi_test *t, __u64 gpa, int level, __u8 access)
{
	__u64 *e = addr_gpa2hva(t->vm, gpa);

	KVMI_ASSERT_OK(set_access(t, gpa, access));
	for (int i = 0; i < 512 && level > 1; i++)
		if (e[i] & PTE_PRESENT_MASK && !(e[i] & PTE_LARGE_MASK))
			restrict_tables(t, PTE_GET_PA(e[i]), level - 1, access);
}

static void clear_bits(struct kvmi_test *t, __u64 gva)
{
	for (int l = 1; l <= LEVELS; l++)
		*entry(t, gva, l) &= ~(PTE_ACCESSED_MASK | PTE_DIRTY_MASK);
}

static void expect_bits(struct kvmi_test *t, __u64 gva, bool accessed, bool dirty)
{
	__u64 e = *entry(t, gva, 1);

	TEST_ASSERT(!!(e & PTE_ACCESSED_MASK) == accessed && !!(e & PTE_DIRTY_MASK) == dirty,
		    "entry 0x%llx: accessed %d dirty %d, expected %d %d", e,
		    !!(e & PTE_ACCESSED_MASK), !!(e & PTE_DIRTY_MASK), accessed, dirty);
	for (int l = 2; accessed && l <= LEVELS; l++)
		TEST_ASSERT(*entry(t, gva, l) & PTE_ACCESSED_MASK, "level %d not accessed", l);
}

static struct area start(struct kvmi_test *t)
{
	struct area a = add_area(t, NR_PAGES);

	memset(a.hva, 0x11, NR_PAGES * PAGE);
	virt_map(t->vm, TABLE_GVA, last_table(t, a.gva), 1);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	return a;
}

#define MEMORY	0x1111111111111111ull

static void walks(struct kvmi_test *t, __u8 access)
{
	struct area a = start(t);

	restrict_tables(t, t->vm->pgd, LEVELS, access);
	for (int i = 0; i < 3; i++) {
		clear_bits(t, a.gva);
		run_insn(t, FLUSH, 0, 0);
		expect_bits(t, a.gva, false, false);
		run_insn(t, LOAD, a.gva, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], MEMORY);
		expect_bits(t, a.gva, true, false);
		run_insn(t, STORE, a.gva, 0);
		TEST_ASSERT_EQ(word(&a, 0), INSN_RAX);
		expect_bits(t, a.gva, true, true);
		memset(a.hva, 0x11, PAGE);
	}
	/* At once, and across two pages. */
	clear_bits(t, a.gva + PAGE);
	clear_bits(t, a.gva + 2 * PAGE);
	run_insn(t, FLUSH, 0, 0);
	run_insn(t, ADD, a.gva + 2 * PAGE - 4, 0);
	TEST_ASSERT_EQ(word(&a, 2 * PAGE - 4), MEMORY + 1);
	expect_bits(t, a.gva + PAGE, true, true);
	expect_bits(t, a.gva + 2 * PAGE, true, true);
	TEST_ASSERT_EQ(get_access(t, t->vm->pgd), access);
}

KVMI_TEST(kvmi_pf_walk, tables_that_can_be_read, guest_insns)
{
	REQUIRE_PAGE_ACCESS(t);
	walks(t, ACCESS_R);
}

KVMI_TEST(kvmi_pf_walk, tables_without_access, guest_insns)
{
	REQUIRE_PAGE_ACCESS(t);
	if (!(pf_features(t) & KVMI_PAGE_ACCESS_NONE))
		SKIP_CASE("this processor cannot take away the right to read");
	walks(t, 0);
}

/* A single level. */
KVMI_TEST(kvmi_pf_walk, one_level, guest_insns)
{
	struct area a;
	__u64 table;

	REQUIRE_PAGE_ACCESS(t);
	a = start(t);
	for (int l = 1; l <= LEVELS; l++) {
		table = l == LEVELS ? t->vm->pgd : PTE_GET_PA(*entry(t, a.gva, l + 1));
		KVMI_ASSERT_OK(set_access(t, table, ACCESS_R));
		clear_bits(t, a.gva);
		run_insn(t, FLUSH, 0, 0);
		run_insn(t, LOAD, a.gva + 8 * l, 0);
		expect_bits(t, a.gva, true, false);
		run_insn(t, STORE, a.gva + 8 * l, 0);
		expect_bits(t, a.gva, true, true);
		TEST_ASSERT_EQ(word(&a, 8 * l), INSN_RAX);
		KVMI_ASSERT_OK(set_access(t, table, ACCESS_RWX));
	}
}

/* What the emulator lacks. It reads, so that the page does not get dirty. */
static void sse_walks(struct kvmi_test *t, __u8 access)
{
	struct area a = start(t);

	restrict_tables(t, t->vm->pgd, LEVELS, access);
	for (int i = 0; i < 2; i++) {
		clear_bits(t, a.gva);
		run_insn(t, FLUSH, 0, 0);
		run_insn(t, PADDD, a.gva + 16, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], INSN_RAX + MEMORY);
		expect_bits(t, a.gva, true, false);
		run_insn(t, MOVLPS, a.gva + 16, 0);
		TEST_ASSERT_EQ(word(&a, 16), INSN_RAX);
		expect_bits(t, a.gva, true, true);
		memset(a.hva, 0x11, PAGE);
	}
}

KVMI_TEST(kvmi_pf_walk, sse, guest_insns)
{
	/* Where the processor writes for a reason only, KVM sets the bits for it. */
	if (pf_features(t) & KVMI_PAGE_ACCESS_WALKS_WRITE)
		REQUIRE_PF_STEP(t);
	sse_walks(t, ACCESS_R);
}

KVMI_TEST(kvmi_pf_walk, sse_without_access, guest_insns)
{
	REQUIRE_PF_STEP(t);
	sse_walks(t, 0);
}

/* The operand's page is restricted, too: that is what is reported. */
KVMI_TEST(kvmi_pf_walk, operand_and_table, guest_insns)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start(t);
	restrict_tables(t, t->vm->pgd, LEVELS, ACCESS_R);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
	for (int i = 1; i <= 3; i++) {
		clear_bits(t, a.gva);
		run_insn(t, FLUSH, 0, 0);
		begin_insn(t, ADD, a.gva + 8, 0);
		expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		kvmi_expect_no_event(&t->tool, 0);
		TEST_ASSERT_EQ(word(&a, 8), MEMORY + i);
		expect_bits(t, a.gva, true, true);
	}
}

/* The guest maps another page: the write to its table is reported once. */
static void own_writes(struct kvmi_test *t, __u8 access)
{
	struct kvmi_event_msg ev;
	struct area a = start(t);
	__u64 at = (a.gva >> 12 & 511) * 8, old, new;

	*(__u64 *)(a.hva + PAGE) = 0x2222;
	restrict_tables(t, t->vm->pgd, LEVELS, access);
	run_insn(t, LOAD, a.gva, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], MEMORY);
	old = *entry(t, a.gva, 1);
	new = old + PAGE;

	/* An addition of one page. */
	begin_insn(t, ADD_PAGE, TABLE_GVA + at, 0);
	if (!(access & ACCESS_R)) {
		expect_pf(t, 0, ACCESS_R, TABLE_GVA + at, last_table(t, a.gva) + at, &ev);
		kvmi_continue(&t->tool, &ev);
	}
	expect_pf(t, 0, ACCESS_W, TABLE_GVA + at, last_table(t, a.gva) + at, &ev);
	TEST_ASSERT_EQ(*entry(t, a.gva, 1), old);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(*entry(t, a.gva, 1), new);
	run_insn(t, FLUSH, 0, 0);
	run_insn(t, LOAD, a.gva, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0x2222);
}

KVMI_TEST(kvmi_pf_walk, own_writes, guest_insns)
{
	REQUIRE_PAGE_ACCESS(t);
	own_writes(t, ACCESS_R);
}

KVMI_TEST(kvmi_pf_walk, own_accesses, guest_insns)
{
	REQUIRE_PAGE_ACCESS(t);
	if (!(pf_features(t) & KVMI_PAGE_ACCESS_NONE))
		SKIP_CASE("this processor cannot take away the right to read");
	own_writes(t, 0);
}

/* An address that is not mapped is the guest's own page fault. */
static struct kvmi_guest *walk_guest;

static void on_page_fault(struct ex_regs *regs)
{
	__u64 cr2;

	asm volatile("mov %%cr2, %0" : "=r"(cr2));
	walk_guest->val[6]++;
	walk_guest->val[7] = cr2;
	regs->rip += 3;			/* movq (%rsi), %rax and its like */
}

KVMI_TEST(kvmi_pf_walk, page_fault_of_the_guest, guest_insns)
{
	struct area a;
	__u64 old;

	/* Delivery walks, too. */
	REQUIRE_PF_STEP(t);
	vm_install_exception_handler(t->vm, PF_VECTOR, on_page_fault);
	walk_guest = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, walk_guest);
	a = start(t);
	restrict_tables(t, t->vm->pgd, LEVELS, ACCESS_R);
	old = *entry(t, a.gva, 1);
	for (int i = 1; i <= 3; i++) {
		*entry(t, a.gva, 1) = 0;
		run_insn(t, FLUSH, 0, 0);
		run_insn(t, i & 1 ? LOAD : STORE, a.gva + 8, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[6], i);
		TEST_ASSERT_EQ(t->guest[0]->val[7], a.gva + 8);
		*entry(t, a.gva, 1) = old;
		run_insn(t, LOAD, a.gva, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], MEMORY);
	}
}

KVMI_TEST_MAIN()
