// SPDX-License-Identifier: GPL-2.0-only
/* The DESCRIPTOR event: instructions that load and store descriptor table registers. */
#include "kvmi_desc_guest.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_descriptor, 1);
KVMI_TEST_SUITE(kvmi_descriptor_smp, 2);

/* --- CONTINUE: as if nobody had been there ----------------------------------------------- */

KVMI_TEST(kvmi_descriptor, stores, guest_insns)
{
	NEEDS_FEATURE(t);
	start(t);
	stores(t, true);
}

KVMI_TEST(kvmi_descriptor, loads, guest_insns)
{
	NEEDS_FEATURE(t);
	start(t);
	loads(t, true);
	stores(t, true);
}

KVMI_TEST(kvmi_descriptor, faults, guest_insns)
{
	NEEDS_FEATURE(t);
	start(t);
	faults(t, true);
}

/* What the cases above compare with is right: the processor itself agrees. */
KVMI_TEST(kvmi_descriptor, undisturbed, guest_insns)
{
	make_descriptors(t);
	kvmi_run(t, 0);
	stores(t, false);
	loads(t, false);
	stores(t, false);
	faults(t, false);
}

/* --- RETRY ------------------------------------------------------------------------------- */

/* R11 of the guest is where its code goes on after a fault, R9 the exception then. */
static void skip(struct kvmi_test *t, const struct kvmi_event_msg *ev)
{
	struct kvm_regs regs = ev->ev.arch.regs;

	regs.rip = regs.r11;
	regs.r9 = 0;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_reply(&t->tool, ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
}

KVMI_TEST(kvmi_descriptor, skipped_by_the_tool, guest_insns)
{
	struct kvmi_event_msg ev;
	struct kvm_sregs s, now;

	NEEDS_FEATURE(t);
	start(t);
	s = sregs_of(t, 0);
	for (int i = 0; i < NR_INSNS; i++) {
		begin_insn(t, 0, i, LDT_SELECTOR, OTHER_GDT);
		expect_desc(t, 0, i, &ev);
		skip(t, &ev);
		end_insn(t, 0, 0);
		/* Neither the operand nor a register has changed. */
		TEST_ASSERT_EQ(t->guest[0]->val[4], LDT_SELECTOR);
		if (i < SLDT_REG)
			TEST_ASSERT_EQ(t->guest[0]->val[5], OTHER_GDT);
		now = sregs_of(t, 0);
		TEST_ASSERT(!memcmp(&s, &now, sizeof(s)), "%s took place", insns[i].name);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* Without a new RIP the instruction executes again, which is another event. */
KVMI_TEST(kvmi_descriptor, retried_in_place, guest_insns)
{
	struct kvmi_event_msg ev;

	NEEDS_FEATURE(t);
	start(t);
	begin_insn(t, 0, SLDT, 0xffff, 0);
	for (int i = 1; i <= 5; i++) {
		expect_desc(t, 0, SLDT, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
		kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
	}
	expect_desc(t, 0, SLDT, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t, 0, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[4], 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- other ends -------------------------------------------------------------------------- */

static void at_lldt(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	start(t);
	begin_insn(t, 0, LLDT, LDT_SELECTOR, 0);
	expect_desc(t, 0, LLDT, ev);
	TEST_ASSERT(!memcmp(addr_gva2hva(t->vm, ev->ev.arch.regs.rip), "\x0f\x00\x10", 3),
		    "RIP of the event is not at the instruction");
}

KVMI_TEST(kvmi_descriptor, signal, guest_insns)
{
	struct kvmi_event_msg ev;

	NEEDS_FEATURE(t);
	at_lldt(t, &ev);
	for (int i = 0; i < 5; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	TEST_ASSERT_EQ(sregs_of(t, 0).ldt.selector, 0);
	kvmi_continue(&t->tool, &ev);
	end_insn(t, 0, 0);
	TEST_ASSERT_EQ(sregs_of(t, 0).ldt.selector, LDT_SELECTOR);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_descriptor, crash, guest_insns)
{
	struct kvmi_event_msg ev;
	struct kvm_sregs sregs;

	NEEDS_FEATURE(t);
	at_lldt(t, &ev);
	kvmi_expect_crash(t, 0, &ev);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	TEST_ASSERT_EQ(sregs.ldt.selector, 0);
}

KVMI_TEST(kvmi_descriptor, unknown_action, guest_insns)
{
	struct kvmi_event_msg ev;

	NEEDS_FEATURE(t);
	at_lldt(t, &ev);
	kvmi_expect_no_action(t, &ev, 3);
	end_insn(t, 0, 0);
}

KVMI_TEST(kvmi_descriptor, tool_closes, guest_insns)
{
	struct kvmi_event_msg ev;

	NEEDS_FEATURE(t);
	at_lldt(t, &ev);
	kvmi_tool_close(&t->tool);
	end_insn(t, 0, 0);
}

KVMI_TEST(kvmi_descriptor_smp, vcpus_are_independent, guest_insns)
{
	struct kvmi_event_msg ev;

	NEEDS_FEATURE(t);
	make_descriptors(t);
	kvmi_run_all(t);
	enable(t, 1, 1);
	insn(t, false, SGDT, 0, 0, 0);
	begin_insn(t, 1, STR_REG, 0, 0);
	expect_desc(t, 1, STR_REG, &ev);
	kvmi_expect_running(t, 0);
	insn(t, false, STR_REG, 0, 0, 0);
	kvmi_continue(&t->tool, &ev);
	end_insn(t, 1, 0);
	TEST_ASSERT_EQ(t->guest[1]->val[4], t->guest[0]->val[4]);
}

KVMI_TEST_MAIN()
