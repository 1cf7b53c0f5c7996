// SPDX-License-Identifier: GPL-2.0-only
/* The DESCRIPTOR event off, at CPL 3 and in guests with UMIP. */
#include "kvmi_desc_guest.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_descriptor_modes, 1);

/* --- when there is none ------------------------------------------------------------------ */

static __u64 exits(struct kvmi_test *t)
{
	t->guest[0]->val[0] = MANY_SGDT;
	return kvmi_exits_of_step(t, 0);
}

static void expect_free(struct kvmi_test *t)
{
	__u64 n = exits(t);

	TEST_ASSERT(n < MANY / 2, "%llu exits in %d instructions", n, MANY);
	kvmi_expect_no_event(&t->tool, 0);
}

/* While on, each instruction is an event; afterwards it costs nothing. */
static void expect_reported(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	begin_insn(t, 0, SGDT, 0, 0);
	expect_desc(t, 0, SGDT, &ev);
	kvmi_continue(&t->tool, &ev);
	end_insn(t, 0, 0);
}

KVMI_TEST(kvmi_descriptor_modes, intercepts_are_taken_back, guest_insns)
{
	NEEDS_FEATURE(t);
	make_descriptors(t);
	kvmi_count_exits(t, 0);
	kvmi_run(t, 0);
	expect_free(t);
	for (int i = 0; i < 3; i++) {
		enable(t, 0, 1);
		expect_reported(t);
		enable(t, 0, 0);
		expect_free(t);
	}
	enable(t, 0, 1);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_DESCRIPTOR,
				    0), 0);
	insn(t, false, SGDT, 0, 0, 0);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_DESCRIPTOR,
				    1), 0);
	/* The vCPU learns of it with its next entry. */
	kvmi_expect_no_event(&t->tool, 0);
	expect_reported(t);
	kvmi_test_rehook(t);
	expect_free(t);
	enable(t, 0, 1);
	expect_reported(t);
	kvmi_tool_close(&t->tool);
	KVMI_WAIT(exits(t) < MANY / 2, "the intercept stays when the tool is gone");
}

/* --- guests that keep these instructions from their users -------------------------------- */

#define CR4_UMIP	BIT_ULL(11)

static void set_umip(struct kvmi_test *t)
{
	struct kvm_sregs sregs;

	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.cr4 |= CR4_UMIP;
	vcpu_sregs_set(t->vcpu[0], &sregs);
}

/* CPL 0 may still use them: reported while on, and KVM's own emulation comes back. */
KVMI_TEST(kvmi_descriptor_modes, umip_in_supervisor_mode, guest_insns)
{
	if (!kvm_cpu_has(X86_FEATURE_UMIP))
		SKIP_CASE("this processor has no UMIP");
	NEEDS_FEATURE(t);
	make_descriptors(t);
	set_umip(t);
	kvmi_run(t, 0);
	for (int i = 0; i < 2; i++) {
		stores(t, false);
		enable(t, 0, 1);
		stores(t, true);
		loads(t, true);
		enable(t, 0, 0);
	}
	stores(t, false);
}

/* At CPL 3 it is #GP, whether the tool hears of the attempt first or not. */
KVMI_TEST(kvmi_descriptor_modes, umip_in_user_mode, guest_insns)
{
	struct kvmi_event_msg ev;

	if (!kvm_cpu_has(X86_FEATURE_UMIP))
		SKIP_CASE("this processor has no UMIP");
	NEEDS_FEATURE(t);
	set_umip(t);
	kvmi_user_mode(t, 0);
	kvmi_run(t, 0);
	for (int on = 0; on < 4; on++) {
		enable(t, 0, on & 1);
		for (int i = SIDT; i <= STR; i++) {
			begin_insn(t, 0, i, 0x5555, 0x6666);
			while (READ_ONCE(t->guest[0]->done) != t->guest[0]->go) {
				/* A command that brings an event into the queue. */
				KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0,
								KVMI_VCPU_EVENT_TRAP, 0));
				if (!t->tool.nr_events)
					continue;
				TEST_ASSERT(on & 1, "an event that is off");
				expect_desc(t, 0, i, &ev);
				kvmi_continue(&t->tool, &ev);
			}
			end_insn(t, 0, GP_VECTOR);
			expect_stored(t, 0x5555, 0x6666);
		}
	}
}

/* Without UMIP users may store them, and loading is #GP before anything else. */
KVMI_TEST(kvmi_descriptor_modes, user_mode, guest_insns)
{
	NEEDS_FEATURE(t);
	make_descriptors(t);
	kvmi_user_mode(t, 0);
	kvmi_run(t, 0);
	enable(t, 0, 1);
	stores(t, true);
	for (int i = LIDT; i <= LTR; i++)
		insn(t, false, i, 0, 0, GP_VECTOR);
}

KVMI_TEST_MAIN()
