// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_CONTROL_CR and the CR event: what is reported, and what a reply does. */
#include "kvmi_cr_guest.h"
#include "kvmi_test_harness.h"

/* --- one bit, from selecting the register to letting it go ----------------------- */

FIXTURE(kvmi_cr_bit) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_cr_bit) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_cr_bit) { kvmi_test_teardown(&self->t); }

FIXTURE_VARIANT(kvmi_cr_bit) { __u32 cr; __u64 bit; bool needs_xsave; };
#define BIT_CASE(name, reg, mask, ...) \
	FIXTURE_VARIANT_ADD(kvmi_cr_bit, name) { .cr = reg, .bit = mask, ##__VA_ARGS__ }

BIT_CASE(cr0_mp, 0, X86_CR0_MP);
BIT_CASE(cr0_am, 0, X86_CR0_AM);
BIT_CASE(cr3_pwt, 3, X86_CR3_PWT);
BIT_CASE(cr3_pcd, 3, X86_CR3_PCD);
BIT_CASE(cr4_mce, 4, X86_CR4_MCE);
BIT_CASE(cr4_osxsave, 4, X86_CR4_OSXSAVE, .needs_xsave = true);
/* KVM gives these to the guest unless somebody wants to hear of them. */
BIT_CASE(cr0_wp, 0, X86_CR0_WP);
BIT_CASE(cr4_tsd, 4, X86_CR4_TSD);
BIT_CASE(cr4_de, 4, X86_CR4_DE);
BIT_CASE(cr4_pge, 4, X86_CR4_PGE);
BIT_CASE(cr4_pce, 4, X86_CR4_PCE);
BIT_CASE(cr4_osxmmexcpt, 4, X86_CR4_OSXMMEXCPT);

TEST_F_TIMEOUT(kvmi_cr_bit, is_reported, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	__u32 cr = variant->cr;
	struct kvmi_event_msg ev;
	__u64 a, b;

	if (variant->needs_xsave && !kvm_cpu_has(X86_FEATURE_XSAVE))
		SKIP(return, "this processor has no XSAVE");
	kvmi_set_guest(t, 0, guest_writer);
	kvmi_run(t, 0);
	select_cr(t, 0, cr);
	a = get_cr(t, 0, cr);
	b = a ^ variant->bit;

	begin_write(t, 0, cr, b);
	expect_cr(t, 0, cr, a, b, &ev);
	/* Not written before the reply. */
	TEST_ASSERT_EQ(get_cr(t, 0, cr), a);
	kvmi_reply_cr(&t->tool, &ev, b);
	end_write(t, 0, 0, b);

	/* No change, no event. */
	begin_write(t, 0, cr, b);
	end_write(t, 0, 0, b);
	kvmi_expect_no_event(&t->tool, 0);

	/* The tool keeps the old value. */
	begin_write(t, 0, cr, a);
	expect_cr(t, 0, cr, b, a, &ev);
	kvmi_reply_cr(&t->tool, &ev, b);
	end_write(t, 0, 0, b);

	/* The tool writes a value of its own: here, what the guest wanted before. */
	begin_write(t, 0, cr, a);
	expect_cr(t, 0, cr, b, a, &ev);
	kvmi_reply_cr(&t->tool, &ev, a);
	end_write(t, 0, 0, a);

	/* Not selected any more. */
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, cr, 0));
	begin_write(t, 0, cr, b);
	end_write(t, 0, 0, b);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(get_cr(t, 0, cr), b);
}

/* What the guest wrote while nobody looked is the old value of the next write. */
TEST_F_TIMEOUT(kvmi_cr_bit, written_before_watching, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	__u32 cr = variant->cr;
	struct kvmi_event_msg ev;
	__u64 a, b;

	if (variant->needs_xsave && !kvm_cpu_has(X86_FEATURE_XSAVE))
		SKIP(return, "this processor has no XSAVE");
	kvmi_set_guest(t, 0, guest_writer);
	kvmi_run(t, 0);
	a = get_cr(t, 0, cr);
	b = a ^ variant->bit;
	begin_write(t, 0, cr, b);
	end_write(t, 0, 0, b);

	select_cr(t, 0, cr);
	begin_write(t, 0, cr, a);
	expect_cr(t, 0, cr, b, a, &ev);
	kvmi_continue(&t->tool, &ev);
	end_write(t, 0, 0, a);
	TEST_ASSERT_EQ(get_cr(t, 0, cr), a);
}

/* --- the rest -------------------------------------------------------------------- */

KVMI_TEST_SUITE(kvmi_cr, 1);
KVMI_TEST_SUITE(kvmi_cr_smp, 2);

KVMI_TEST(kvmi_cr, bad_arguments, guest_writer)
{
	static const __u32 bad[] = { 1, 2, 5, 8, 9, 256, 0x10003, 0xffffffff };

	kvmi_run(t, 0);
	for (int i = 0; i < 2 * ARRAY_SIZE(bad); i++)
		KVMI_ASSERT_ERR(kvmi_control_cr(&t->tool, 0, bad[i / 2], i & 1), -KVM_EINVAL);
	KVMI_ASSERT_ERR(kvmi_control_cr(&t->tool, 0, 3, 2), -KVM_EINVAL);
	KVMI_ASSERT_ERR(kvmi_control_cr(&t->tool, 0, 3, 255), -KVM_EINVAL);
	kvmi_expect_no_event(&t->tool, 0);
}

static void expect_silence(struct kvmi_test *t)
{
	__u64 cr3 = get_cr(t, 0, 3), cr4 = get_cr(t, 0, 4);

	begin_write(t, 0, 3, cr3 ^ X86_CR3_PWT);
	end_write(t, 0, 0, cr3 ^ X86_CR3_PWT);
	begin_write(t, 0, 4, cr4 ^ X86_CR4_PGE);
	end_write(t, 0, 0, cr4 ^ X86_CR4_PGE);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Both switches have to be on, in any order. */
KVMI_TEST(kvmi_cr, event_not_enabled, guest_writer)
{
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 4, 1));
	expect_silence(t);
}

KVMI_TEST(kvmi_cr, register_not_selected, guest_writer)
{
	kvmi_run(t, 0);
	select_cr(t, 0, 0);
	expect_silence(t);
}

KVMI_TEST(kvmi_cr, event_switched_off_again, guest_writer)
{
	struct kvmi_event_msg ev;
	__u64 cr3;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	cr3 = get_cr(t, 0, 3);
	begin_write(t, 0, 3, cr3 | X86_CR3_PWT);
	expect_cr(t, 0, 3, cr3, cr3 | X86_CR3_PWT, &ev);
	/* Even while an event of this kind waits for its reply. */
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 0));
	kvmi_continue(&t->tool, &ev);
	end_write(t, 0, 0, cr3 | X86_CR3_PWT);
	expect_silence(t);
}

/* The VMM's word counts at once, whatever the tool had switched on. */
KVMI_TEST(kvmi_cr, event_disallowed_later, guest_writer)
{
	int vm = t->vm->fd;

	kvmi_run(t, 0);
	select_cr(t, 0, 3);
	select_cr(t, 0, 4);
	TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_CR, 0), 0);
	expect_silence(t);
}

KVMI_TEST(kvmi_cr, unhook_resets, guest_writer)
{
	kvmi_run(t, 0);
	select_cr(t, 0, 3);
	select_cr(t, 0, 4);
	kvmi_test_rehook(t);
	expect_silence(t);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	expect_silence(t);
}

KVMI_TEST(kvmi_cr, every_write_is_reported, guest_writer)
{
	struct kvmi_event_msg ev;
	__u64 old, new;

	kvmi_run(t, 0);
	select_cr(t, 0, 3);
	old = get_cr(t, 0, 3);
	for (int i = 1; i <= 200; i++) {
		new = t->vm->pgd | (i & 1 ? X86_CR3_PWT : 0) | (i & 2 ? X86_CR3_PCD : 0);
		begin_write(t, 0, 3, new);
		expect_cr(t, 0, 3, old, new, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
		kvmi_continue(&t->tool, &ev);
		end_write(t, 0, 0, new);
		old = new;
	}
}

/* The VMM's own writes are none of the guest's. */
KVMI_TEST(kvmi_cr, vmm_writes, guest_writer)
{
	struct kvm_sregs sregs;

	kvmi_run(t, 0);
	for (int cr = 0; cr <= 4; cr += cr ? 1 : 3)
		select_cr(t, 0, cr);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.cr0 ^= X86_CR0_WP;
	sregs.cr3 ^= X86_CR3_PWT;
	sregs.cr4 ^= X86_CR4_PGE;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	kvmi_run(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(get_cr(t, 0, 3), sregs.cr3);
	TEST_ASSERT_EQ(get_cr(t, 0, 4), sregs.cr4);
}

/* A value that the register cannot hold is the guest's #GP; it keeps its value. */
static void invalid_new_val(struct kvmi_test *t, __u32 cr, __u64 bit, __u64 invalid)
{
	struct kvmi_event_msg ev;
	__u64 old;

	kvmi_run(t, 0);
	select_cr(t, 0, cr);
	old = get_cr(t, 0, cr);
	begin_write(t, 0, cr, old ^ bit);
	expect_cr(t, 0, cr, old, old ^ bit, &ev);
	kvmi_reply_cr(&t->tool, &ev, old | invalid);
	end_write(t, 0, GP_VECTOR, old);
}

KVMI_TEST(kvmi_cr, invalid_cr0, guest_writer)
{
	invalid_new_val(t, 0, X86_CR0_AM, BIT_ULL(40));
}

KVMI_TEST(kvmi_cr, invalid_cr3, guest_writer)
{
	invalid_new_val(t, 3, X86_CR3_PWT, BIT_ULL(61));
}

KVMI_TEST(kvmi_cr, invalid_cr4, guest_writer)
{
	invalid_new_val(t, 4, X86_CR4_TSD, BIT_ULL(31));
}

/* Of the four bits that LMSW writes, the one that harms nobody. */
static void lmsw(struct kvmi_test *t, int how)
{
	struct kvmi_event_msg ev;
	__u64 old;

	kvmi_run(t, 0);
	select_cr(t, 0, 0);
	old = get_cr(t, 0, 0);
	for (int keep = 1; keep >= 0; keep--) {
		begin_write(t, 0, how, (old ^ X86_CR0_MP) & 0xf);
		expect_cr(t, 0, 0, old, old ^ X86_CR0_MP, &ev);
		kvmi_reply_cr(&t->tool, &ev, keep ? old : ev.cr.new_value);
		end_write(t, 0, 0, keep ? old : ev.cr.new_value);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_cr, lmsw, guest_writer)
{
	lmsw(t, LMSW);
}

KVMI_TEST(kvmi_cr, lmsw_from_memory, guest_writer)
{
	lmsw(t, LMSW_FROM_MEMORY);
}

/* Operating systems toggle TS at each task switch: alone it is not reported. */
KVMI_TEST(kvmi_cr, task_switched_bit_alone, guest_writer)
{
	struct kvmi_event_msg ev;
	__u64 cr0;

	kvmi_run(t, 0);
	select_cr(t, 0, 0);
	cr0 = get_cr(t, 0, 0);
	begin_write(t, 0, TS_AND_CLTS, cr0 | X86_CR0_TS);
	end_write(t, 0, 0, cr0);
	kvmi_expect_no_event(&t->tool, 0);

	/* Together with another bit it is part of the value. */
	begin_write(t, 0, TS_AND_CLTS, (cr0 ^ X86_CR0_WP) | X86_CR0_TS);
	expect_cr(t, 0, 0, cr0, (cr0 ^ X86_CR0_WP) | X86_CR0_TS, &ev);
	kvmi_continue(&t->tool, &ev);
	end_write(t, 0, 0, cr0 ^ X86_CR0_WP);
}

KVMI_TEST(kvmi_cr, keep_translations_bit, guest_writer)
{
	const __u64 noflush = BIT_ULL(63);
	struct kvmi_event_msg ev;
	__u64 cr3, cr4;

	if (!kvm_cpu_has(X86_FEATURE_PCID))
		SKIP_CASE("this processor has no PCID");
	kvmi_run(t, 0);
	cr4 = get_cr(t, 0, 4) | X86_CR4_PCIDE;
	cr3 = get_cr(t, 0, 3);
	begin_write(t, 0, 4, cr4);
	end_write(t, 0, 0, cr4);
	select_cr(t, 0, 3);
	begin_write(t, 0, 3, cr3 | noflush);
	end_write(t, 0, 0, cr3);
	kvmi_expect_no_event(&t->tool, 0);
	begin_write(t, 0, 3, cr3 | 1 | noflush);
	expect_cr(t, 0, 3, cr3, cr3 | 1, &ev);
	kvmi_continue(&t->tool, &ev);
	end_write(t, 0, 0, cr3 | 1);
}

/* The write that changes @bit does not take place. */
static void crash(struct kvmi_test *t, int cr, int how, __u64 bit)
{
	struct kvmi_event_msg ev;
	struct kvm_sregs sregs;
	__u64 old;

	kvmi_run(t, 0);
	select_cr(t, 0, cr);
	old = get_cr(t, 0, cr);
	begin_write(t, 0, how, old ^ bit);
	expect_cr(t, 0, cr, old, old ^ bit, &ev);
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_CRASH, NULL, 0);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_SHUTDOWN);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->done), 0);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	TEST_ASSERT_EQ(cr_of(&sregs, cr), old);
}

KVMI_TEST(kvmi_cr, crash, guest_writer)
{
	crash(t, 3, 3, X86_CR3_PWT);
}

/* SVM emulates this one. */
KVMI_TEST(kvmi_cr, crash_at_lmsw_from_memory, guest_writer)
{
	crash(t, 0, LMSW_FROM_MEMORY, X86_CR0_MP);
}

KVMI_TEST(kvmi_cr_smp, one_vcpu_only, guest_writer)
{
	struct kvmi_event_msg ev;
	__u64 cr3 = t->vm->pgd;

	kvmi_run_all(t);
	select_cr(t, 1, 3);
	begin_write(t, 0, 3, cr3 | X86_CR3_PWT);
	end_write(t, 0, 0, cr3 | X86_CR3_PWT);
	kvmi_expect_no_event(&t->tool, 0);
	begin_write(t, 1, 3, cr3 | X86_CR3_PWT);
	expect_cr(t, 1, 3, cr3, cr3 | X86_CR3_PWT, &ev);
	kvmi_expect_running(t, 0);
	kvmi_continue(&t->tool, &ev);
	end_write(t, 1, 0, cr3 | X86_CR3_PWT);
}

/* Both wait at once; each reply finds its vCPU. */
KVMI_TEST(kvmi_cr_smp, both_vcpus_wait, guest_writer)
{
	struct kvmi_event_msg ev[2], e;
	__u64 cr3 = t->vm->pgd;

	kvmi_run_all(t);
	select_cr(t, 0, 3);
	select_cr(t, 1, 3);
	begin_write(t, 0, 3, cr3 | X86_CR3_PWT);
	begin_write(t, 1, 3, cr3 | X86_CR3_PCD);
	for (int i = 0; i < 2; i++) {
		kvmi_next_event(&t->tool, &e);
		ev[e.ev.vcpu & 1] = e;
	}
	TEST_ASSERT_EQ(ev[0].cr.new_value, cr3 | X86_CR3_PWT);
	TEST_ASSERT_EQ(ev[1].cr.new_value, cr3 | X86_CR3_PCD);
	kvmi_continue(&t->tool, &ev[1]);
	end_write(t, 1, 0, cr3 | X86_CR3_PCD);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->done), 0);
	kvmi_continue(&t->tool, &ev[0]);
	end_write(t, 0, 0, cr3 | X86_CR3_PWT);
}

KVMI_TEST_MAIN()
