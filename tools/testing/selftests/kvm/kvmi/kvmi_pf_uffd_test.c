// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restricted pages that the VMM supplies when they are touched, as after a migration,
 * and that it saves before they are written, as for a snapshot. The tool comes first.
 */
#include "kvmi_pf_uffd.h"
#include "kvmi_test_harness.h"

#define SPARE_SLOT	6
#define SPARE_GPA	0x50000000ull

KVMI_TEST_SUITE(kvmi_pf_uffd, 1);

static __u64 fault_flags(__u8 want)
{
	return want == ACCESS_W ? UFFD_PAGEFAULT_FLAG_WRITE : 0;
}

/* An access to a page that is missing; it may have been asked for already. */
static void access_missing(struct kvmi_test *t, int uffd, const struct area *a, int page, __u8 want)
{
	__u8 access = kind_access(t, page);
	struct kvmi_event_msg ev;

	begin_access(t, a, page, want);
	if (!(access & want)) {
		expect_asked(t, a, page, want, &ev);
		expect_no_fault(uffd);
		kvmi_continue(&t->tool, &ev);
	}
	expect_fault(uffd, a, page, fault_flags(want));
	/* The guest waits; the tool does not. */
	kvmi_expect_no_event(&t->tool, -1);
	TEST_ASSERT_EQ(get_access(t, a->gpa + page * PAGE), access);
	supply(uffd, a, page);
	end_access(t, a, page, want);
	expect_no_fault(uffd);
}

KVMI_TEST(kvmi_pf_uffd, missing, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	fill(&a);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	start_kinds(t, &a);
	access_all(t, &a);
	for (int w = 0; w < ARRAY_SIZE(wants); w++) {
		make_missing(&a, 0x4711 + w);
		for (int i = 0; i < NR_KINDS; i++)
			access_missing(t, uffd, &a, i, wants[w]);
		access_all(t, &a);
	}
	close(uffd);
}

/* One that reads and writes: both events, then the page, once. */
KVMI_TEST(kvmi_pf_uffd, missing_read_and_written, guest_insns)
{
	static const int insns[] = { ADD, LOCK_ADD };
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	__u8 access = kind_access(t, CLOSED);
	struct kvmi_event_msg ev;
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	fill(&a);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	start_kinds(t, &a);
	for (int i = 0; i < ARRAY_SIZE(insns); i++) {
		make_missing(&a, 0x100 + i);
		begin_insn(t, insns[i], a.gva + CLOSED * PAGE, 0);
		if (!(access & ACCESS_R)) {
			expect_asked(t, &a, CLOSED, ACCESS_R, &ev);
			expect_no_fault(uffd);
			kvmi_continue(&t->tool, &ev);
			/* What is read is needed now. */
			expect_fault(uffd, &a, CLOSED, 0);
			supply(uffd, &a, CLOSED);
		}
		expect_asked(t, &a, CLOSED, ACCESS_W, &ev);
		expect_no_fault(uffd);
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		known[CLOSED]++;
		do_access(t, &a, CLOSED, ACCESS_R, access);
	}
	close(uffd);
}

/* The reply waits, and with it nothing but the guest. */
KVMI_TEST(kvmi_pf_uffd, reply_waits, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_event_msg ev;
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	fill(&a);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	start_kinds(t, &a);
	make_missing(&a, 0x999);
	begin_access(t, &a, NO_W, ACCESS_W);
	expect_asked(t, &a, NO_W, ACCESS_W, &ev);
	/* Slots change, other restrictions too, and this page is supplied unasked. */
	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, SPARE_GPA, SPARE_SLOT, 1, 0);
	vm_mem_region_delete(t->vm, SPARE_SLOT);
	KVMI_ASSERT_OK(set_access(t, a.gpa + OPEN * PAGE, ACCESS_R));
	KVMI_ASSERT_OK(set_access(t, a.gpa + OPEN * PAGE, ACCESS_RWX));
	expect_no_fault(uffd);
	supply(uffd, &a, NO_W);
	TEST_ASSERT_EQ(word(&a, NO_W * PAGE), known[NO_W]);
	kvmi_continue(&t->tool, &ev);
	end_access(t, &a, NO_W, ACCESS_W);
	expect_no_fault(uffd);
	do_access(t, &a, NO_W, ACCESS_R, ACCESS_RX);
	close(uffd);
}

/* The page waits for the VMM: the tool restricts it meanwhile, or the session ends. */
KVMI_TEST(kvmi_pf_uffd, page_waits, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_event_msg ev;
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	fill(&a);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	start_kinds(t, &a);
	make_missing(&a, 0x888);

	/* It is restricted before it is mapped. */
	begin_access(t, &a, OPEN, ACCESS_W);
	expect_fault(uffd, &a, OPEN, UFFD_PAGEFAULT_FLAG_WRITE);
	KVMI_ASSERT_OK(set_access(t, a.gpa + OPEN * PAGE, ACCESS_R));
	supply(uffd, &a, OPEN);
	expect_asked(t, &a, OPEN, ACCESS_W, &ev);
	kvmi_continue(&t->tool, &ev);
	end_access(t, &a, OPEN, ACCESS_W);

	/* What the tool has let happen, happens. */
	begin_access(t, &a, NO_W, ACCESS_W);
	expect_asked(t, &a, NO_W, ACCESS_W, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_fault(uffd, &a, NO_W, UFFD_PAGEFAULT_FLAG_WRITE);
	KVMI_ASSERT_OK(set_access(t, a.gpa + NO_W * PAGE, ACCESS_RWX));
	KVMI_ASSERT_OK(set_access(t, a.gpa + NO_W * PAGE, ACCESS_RX));
	supply(uffd, &a, NO_W);
	end_access(t, &a, NO_W, ACCESS_W);
	do_access(t, &a, NO_W, ACCESS_W, ACCESS_RX);
	close(uffd);
}

/* What the tool itself reads is supplied, too; the guest runs meanwhile. */
KVMI_TEST(kvmi_pf_uffd, tool_reads, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_vm_read_physical req = { .gpa = a.gpa + CLOSED * PAGE, .size = 8 };
	__u64 val;
	__u32 seq;
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	fill(&a);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	start_kinds(t, &a);
	make_missing(&a, 0x777);
	seq = kvmi_post(&t->tool, KVMI_VM_READ_PHYSICAL, &req, sizeof(req));
	expect_fault(uffd, &a, CLOSED, 0);
	supply(uffd, &a, OPEN);
	begin_access(t, &a, OPEN, ACCESS_W);
	end_insn(t);
	supply(uffd, &a, CLOSED);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VM_READ_PHYSICAL, seq, &val, sizeof(val)));
	TEST_ASSERT_EQ(val, known[CLOSED]);
	close(uffd);
}

/* The processor executes the instruction, in pages of its own. */
KVMI_TEST(kvmi_pf_uffd, stepped, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	struct kvmi_event_msg ev;
	int uffd;

	REQUIRE_PF_STEP(t);
	fill(&a);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	start_kinds(t, &a);
	for (int n = 0; n < 3; n++) {
		make_missing(&a, 0x500 + n);
		begin_insn(t, MOVLPS, a.gva + NO_W * PAGE, 0);
		expect_stepped(t, &a, NO_W, ACCESS_W, &ev);
		expect_no_fault(uffd);
		kvmi_continue(&t->tool, &ev);
		expect_fault(uffd, &a, NO_W, UFFD_PAGEFAULT_FLAG_WRITE);
		supply(uffd, &a, NO_W);
		end_insn(t);
		kvmi_expect_no_event(&t->tool, 0);
		TEST_ASSERT_EQ(word(&a, NO_W * PAGE), INSN_RAX);
		known[NO_W] = INSN_RAX;
		do_access(t, &a, NO_W, ACCESS_W, ACCESS_RX);
	}
	close(uffd);
}

/* A snapshot: each page is saved before it changes, and the tool is asked before that. */
KVMI_TEST(kvmi_pf_uffd, snapshot, guest_insns)
{
	struct area a = add_slot(t, NR_KINDS, VM_MEM_SRC_ANONYMOUS);
	__u64 flags = UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP;
	struct kvmi_event_msg ev;
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	fill(&a);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_WP);
	start_kinds(t, &a);
	for (int n = 0; n < 3; n++) {
		access_all(t, &a);
		write_protect(uffd, &a, 0, NR_KINDS, true);
		for (int i = 0; i < NR_KINDS; i++) {
			__u8 access = kind_access(t, i);

			do_access(t, &a, i, ACCESS_R, access);
			do_access(t, &a, i, ACCESS_X, access);
			begin_access(t, &a, i, ACCESS_W);
			if (!(access & ACCESS_W)) {
				expect_asked(t, &a, i, ACCESS_W, &ev);
				expect_no_fault(uffd);
				kvmi_continue(&t->tool, &ev);
			}
			expect_fault(uffd, &a, i, flags);
			TEST_ASSERT_EQ(word(&a, i * PAGE), known[i]);
			write_protect(uffd, &a, i, 1, false);
			end_access(t, &a, i, ACCESS_W);
		}
	}
	close(uffd);
}

KVMI_TEST_MAIN()
