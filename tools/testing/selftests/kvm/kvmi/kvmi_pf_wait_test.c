// SPDX-License-Identifier: GPL-2.0-only
/* While the page fault event waits: signals, commands, the end of the session. */
#include "kvmi_pf_guest.h"
#include "kvmi_test_harness.h"

#define NR_PAGES	6

KVMI_TEST_SUITE(kvmi_pf_wait, 1);

/* --- the end of the session while an event waits --- */

KVMI_TEST(kvmi_pf_wait, tool_dies, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	wait_for_the_event(t, &a, &ev);
	kvmi_tool_close(&t->tool);
	expect_released(t, &a);
}

KVMI_TEST(kvmi_pf_wait, unhook, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	wait_for_the_event(t, &a, &ev);
	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	expect_released(t, &a);
}

/* An XCHG at the end of the first page; the second event waits for its reply. */
static void expect_both_pages(struct kvmi_test *t, const struct area *a,
			      struct kvmi_event_msg *ev)
{
	expect_pf(t, 0, ACCESS_W, a->gva + PAGE - 2, a->gpa + PAGE - 2, ev);
	kvmi_continue(&t->tool, ev);
	expect_pf(t, 0, ACCESS_W, a->gva + PAGE, a->gpa + PAGE, ev);
}

static void begin_both_pages(struct kvmi_test *t, struct area *a, struct kvmi_event_msg *ev)
{
	start_restricted(t, a, ACCESS_R);
	begin_insn(t, XCHG_CROSS, a->gva + PAGE - 2, 0);
	expect_both_pages(t, a, ev);
}

/* Between the two events of one instruction. */
KVMI_TEST(kvmi_pf_wait, unhook_at_the_second_event, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	begin_both_pages(t, &a, &ev);
	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	end_insn(t);
	TEST_ASSERT_EQ(*(__u32 *)(a.hva + PAGE - 2), INSN_RAX & 0xffffffff);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0);
}

/* What one tool has answered for an instruction that is interrupted is nothing to the next. */
KVMI_TEST(kvmi_pf_wait, next_session, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	begin_both_pages(t, &a, &ev);
	kvmi_worker_stop(&t->worker[0]);

	kvmi_test_rehook(t);
	KVMI_ASSERT_OK(set_access_range(t, a.gpa / PAGE, NR_PAGES, ACCESS_R));
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	kvmi_run(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	enable_pf(t, 0);
	kvmi_continue(&t->tool, &ev);
	expect_both_pages(t, &a, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- an instruction that has read from a device begins anew --- */

#define DEVICE		0x90000000ull

static void device_read(struct kvmi_test *t, __u64 val)
{
	struct kvm_run *run = t->vcpu[0]->run;

	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_MMIO);
	TEST_ASSERT_EQ(run->mmio.phys_addr, DEVICE);
	TEST_ASSERT_EQ(run->mmio.is_write, 0);
	memcpy(run->mmio.data, &val, sizeof(val));
	kvmi_run(t, 0);
}

KVMI_TEST(kvmi_pf_wait, push_from_device_and_retry, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	virt_map(t->vm, DEVICE, DEVICE, 1);
	start_restricted(t, &a, ACCESS_R);
	t->guest[0]->val[INSN] = PUSH;
	t->guest[0]->val[RSI] = DEVICE;
	t->guest[0]->val[RDI] = a.gva + 16;
	kvmi_step_begin(t, 0);
	device_read(t, 0x1234);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rsp, a.gva + 16);
	retry_pf(t, &ev);
	device_read(t, 0x5678);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	TEST_ASSERT_EQ(t->guest[0]->val[RESULT], a.gva + 8);
	TEST_ASSERT_EQ(word(&a, 8), 0x5678);
}

/* --- commands and signals while the event waits --- */

KVMI_TEST(kvmi_pf_wait, commands_while_it_waits, guest_insns)
{
	struct kvmi_vcpu_translate_gva translate;
	struct kvmi_vcpu_translate_gva_reply gpa;
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_vcpu_get_registers_reply regs;
	struct kvmi_vm_read_physical read;
	struct kvmi_event_msg ev, pause;
	__u64 val;

	REQUIRE_PAGE_ACCESS(t);
	wait_for_the_event(t, &a, &ev);

	KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, &regs));
	TEST_ASSERT(!memcmp(&regs.regs, &ev.ev.arch.regs, sizeof(regs.regs)), "registers");
	translate.gva = a.gva + 8;
	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_TRANSLATE_GVA, &translate,
					 sizeof(translate), &gpa, sizeof(gpa)));
	TEST_ASSERT_EQ(gpa.gpa, a.gpa + 8);
	read = (struct kvmi_vm_read_physical) { .gpa = a.gpa + 8, .size = 8 };
	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_READ_PHYSICAL, &read, sizeof(read), &val,
				    8));
	TEST_ASSERT_EQ(val, 0);
	/* Looser, tighter, and as before. */
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));

	/* A pause comes after it, with the instruction done. */
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	TEST_ASSERT_EQ(t->tool.nr_events, 0);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &pause);
	TEST_ASSERT_EQ(word(&a, 8), 1);
	TEST_ASSERT_EQ(pause.ev.arch.regs.rip, (__u64)insn_end[ADD]);
	kvmi_continue(&t->tool, &pause);
	end_insn(t);
}

/* A pause that is asked for before RETRY comes first; then the same event again. */
KVMI_TEST(kvmi_pf_wait, pause_and_retry, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev, pause;

	REQUIRE_PAGE_ACCESS(t);
	wait_for_the_event(t, &a, &ev);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	retry_pf(t, &ev);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &pause);
	TEST_ASSERT_EQ(pause.ev.arch.regs.rip, (__u64)insn_begin[ADD]);
	TEST_ASSERT_EQ(word(&a, 8), 0);
	kvmi_continue(&t->tool, &pause);
	expect_pf(t, 0, ACCESS_W, a.gva + 8, a.gpa + 8, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 8), 1);
}

FIXTURE(kvmi_pf_signal) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_signal) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_signal) { kvmi_test_teardown(&self->t); }
FIXTURE_VARIANT(kvmi_pf_signal) { int first, second; };
FIXTURE_VARIANT_ADD(kvmi_pf_signal, first_event) { .first = 1 };
FIXTURE_VARIANT_ADD(kvmi_pf_signal, second_event) { .second = 1 };
FIXTURE_VARIANT_ADD(kvmi_pf_signal, both_events) { .first = 1, .second = 1 };
FIXTURE_VARIANT_ADD(kvmi_pf_signal, many) { .first = 5, .second = 7 };

/* An ADD across two pages, so that doing it twice shows. */
TEST_F_TIMEOUT(kvmi_pf_signal, no_event_twice, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;
	__u64 at = a.gva + PAGE - 4;

	REQUIRE_PAGE_ACCESS(t);
	kvmi_set_guest(t, 0, guest_insns);
	start_restricted(t, &a, ACCESS_R);
	for (int i = 1; i <= 20; i++) {
		begin_insn(t, ADD, at, 0);
		expect_pf(t, 0, ACCESS_W, at, a.gpa + PAGE - 4, &ev);
		for (int n = 0; n < variant->first; n++)
			kvmi_worker_interrupt(&t->worker[0]);
		kvmi_continue(&t->tool, &ev);
		expect_pf(t, 0, ACCESS_W, a.gva + PAGE, a.gpa + PAGE, &ev);
		for (int n = 0; n < variant->second; n++)
			kvmi_worker_interrupt(&t->worker[0]);
		TEST_ASSERT_EQ(word(&a, PAGE - 4), i - 1);
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		TEST_ASSERT_EQ(word(&a, PAGE - 4), i);
		kvmi_expect_no_event(&t->tool, 0);
	}
}

/* After an interrupted wait, the instruction's next execution is reported again. */
TEST_F_TIMEOUT(kvmi_pf_signal, and_retry, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;
	__u64 at = a.gva + PAGE - 4;

	REQUIRE_PAGE_ACCESS(t);
	kvmi_set_guest(t, 0, guest_insns);
	start_restricted(t, &a, ACCESS_R);
	begin_insn(t, ADD, at, 0);
	for (int i = 0; i < 3; i++) {
		expect_pf(t, 0, ACCESS_W, at, a.gpa + PAGE - 4, &ev);
		for (int n = 0; n < variant->first; n++)
			kvmi_worker_interrupt(&t->worker[0]);
		kvmi_continue(&t->tool, &ev);
		expect_pf(t, 0, ACCESS_W, a.gva + PAGE, a.gpa + PAGE, &ev);
		for (int n = 0; n < variant->second; n++)
			kvmi_worker_interrupt(&t->worker[0]);
		TEST_ASSERT_EQ(word(&a, PAGE - 4), 0);
		if (i < 2)
			retry_pf(t, &ev);
		else
			kvmi_continue(&t->tool, &ev);
	}
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, PAGE - 4), 1);
}

/* Neither is what the tool has answered before that event. */
TEST_F_TIMEOUT(kvmi_pf_signal, behind_another_event, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;
	__u64 at = a.gva + PAGE - 4;

	REQUIRE_PAGE_ACCESS(t);
	kvmi_set_guest(t, 0, guest_insns);
	start_restricted(t, &a, ACCESS_R);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_DESCRIPTOR, 1));
	/* It executes again as a whole if the tool wants that. */
	for (int i = 0; i < 12; i++) {
		if (!(i & 1))
			begin_insn(t, SGDT, at, 0);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_DESCRIPTOR, &ev);
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_continue(&t->tool, &ev);
		expect_pf(t, 0, ACCESS_W, at, a.gpa + PAGE - 4, &ev);
		for (int n = 0; n < variant->first; n++)
			kvmi_worker_interrupt(&t->worker[0]);
		kvmi_continue(&t->tool, &ev);
		expect_pf(t, 0, ACCESS_W, a.gva + PAGE, a.gpa + PAGE, &ev);
		for (int n = 0; n < variant->second; n++)
			kvmi_worker_interrupt(&t->worker[0]);
		if (!(i & 1)) {
			retry_pf(t, &ev);
			continue;
		}
		kvmi_continue(&t->tool, &ev);
		end_insn(t);
		kvmi_expect_no_event(&t->tool, 0);
	}
}

/* The reply is already there when the vCPU comes back from user space. */
KVMI_TEST(kvmi_pf_wait, reply_while_in_user_space, guest_insns)
{
	struct area a = add_area(t, NR_PAGES);
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	wait_for_the_event(t, &a, &ev);
	kvmi_worker_stop(&t->worker[0]);
	kvmi_continue(&t->tool, &ev);
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	TEST_ASSERT_EQ(word(&a, 8), 0);
	kvmi_run(t, 0);
	end_insn(t);
	TEST_ASSERT_EQ(word(&a, 8), 1);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST_MAIN()
