// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that runs a guest of its own (L2) while the tool has every event on. What
 * L2 does is no event, and goes where it would go without the tool: to the guest
 * if that wants it, else nowhere.
 */
#include <poll.h>

#include "kvmi_msr_guest.h"
#include "kvmi_nested_guest.h"
#include "kvmi_step.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_nested, 1);

static bool no_nesting(void)
{
	return !kvm_cpu_has(X86_FEATURE_SVM) && !kvm_cpu_has(X86_FEATURE_VMX);
}

#define NEEDS_NESTING() \
	do { if (no_nesting()) SKIP_CASE("nested virtualization is off in KVM"); } while (0)

static void step(struct kvmi_test *t)
{
	kvmi_step_begin(t, 0);
	kvmi_step_end(t, 0);
}

static void start(struct kvmi_test *t, bool l1_intercepts)
{
	vm_vaddr_t nested;

	if (host_cpu_is_amd)
		vcpu_alloc_svm(t->vm, &nested);
	else
		vcpu_alloc_vmx(t->vm, &nested);
	vm_install_exception_handler(t->vm, BP_VECTOR, guest_bp_handler);
	t->guest[0]->val[5] = 0;
	t->guest[0]->val[6] = l1_intercepts;
	t->guest[0]->val[7] = nested;
	kvmi_run(t, 0);
	step(t);
}

static const __u8 all_events[] = {
	KVMI_VCPU_EVENT_CR, KVMI_VCPU_EVENT_MSR, KVMI_VCPU_EVENT_XSETBV,
	KVMI_VCPU_EVENT_BREAKPOINT, KVMI_VCPU_EVENT_HYPERCALL, KVMI_VCPU_EVENT_DESCRIPTOR,
	KVMI_VCPU_EVENT_CPUID,
};

static void all_on(struct kvmi_test *t)
{
	for (int i = 0; i < ARRAY_SIZE(all_events); i++)
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, all_events[i], 1));
	for (int cr = 0; cr <= 4; cr += cr ? 1 : 3)
		KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, cr, 1));
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_KERNEL_GS_BASE, 1));
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_EFER, 1));
}

static bool has_message(struct kvmi_test *t)
{
	struct pollfd pfd = { .fd = t->tool.fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

/* One turn of L2, and what came of it. */
static struct seen l2_turn(struct kvmi_test *t)
{
	struct seen *s = addr_gva2hva(t->vm, (vm_vaddr_t)&seen);

	s->nr_exits = 0;
	s->breakpoints = 0;
	kvmi_step_begin(t, 0);
	KVMI_WAIT(READ_ONCE(t->guest[0]->done) == t->guest[0]->go || has_message(t),
		  "L2 does not end its turn");
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_step_end(t, 0);
	return *s;
}

static void compare(const struct seen *want, const struct seen *is, const char *when)
{
	for (int i = 0; i < want->nr_exits && i < MAX_EXITS; i++)
		TEST_ASSERT(is->exits[i] == want->exits[i], "%s: exit %d of L2 is %#llx, was %#llx",
			    when, i, is->exits[i], want->exits[i]);
	TEST_ASSERT(is->nr_exits == want->nr_exits, "%s: %llu exits of L2, were %llu", when,
		    is->nr_exits, want->nr_exits);
	TEST_ASSERT(is->breakpoints == want->breakpoints, "%s: L2 handled %llu breakpoints", when,
		    is->breakpoints);
	TEST_ASSERT(is->gdt_base == want->gdt_base && is->gdt_limit == want->gdt_limit &&
		    is->ldt == want->ldt && is->vendor == want->vendor,
		    "%s: L2 reads other values", when);
	TEST_ASSERT(is->msr == want->msr + 1, "%s: L2's WRMSR", when);
}

static void undisturbed(struct kvmi_test *t, bool l1_intercepts)
{
	struct seen first, s;
	__u64 toggled;

	start(t, l1_intercepts);
	first = l2_turn(t);
	TEST_ASSERT_EQ(first.exits[first.nr_exits - 1],
		       host_cpu_is_amd ? SVM_EXIT_VMMCALL : EXIT_REASON_VMCALL);
	TEST_ASSERT_EQ(first.breakpoints, !l1_intercepts);
	toggled = l1_intercepts ? 0 : X86_CR3_PWT;
	for (int i = 0; i < 5; i++) {
		if (i < 2)
			all_on(t);
		else if (i == 2)
			kvmi_test_rehook(t);
		s = l2_turn(t);
		compare(&first, &s, i < 2 ? "with events on" : "after unhooking");
		TEST_ASSERT_EQ(s.cr3, first.cr3 ^ toggled);
		first = s;
	}
}

KVMI_TEST(kvmi_nested, l2_is_undisturbed, guest_l1)
{
	NEEDS_NESTING();
	undisturbed(t, false);
}

/* What the guest wants of its guest it gets, though the tool wants the same. */
KVMI_TEST(kvmi_nested, l1_gets_its_exits, guest_l1)
{
	NEEDS_NESTING();
	undisturbed(t, true);
}

/* And the guest's own instructions are reported before and after L2 ran. */
static void expect_and_continue(struct kvmi_test *t, __u8 id)
{
	struct kvmi_event_msg ev;

	kvmi_expect_event(&t->tool, 0, id, &ev);
	kvmi_continue(&t->tool, &ev);
}

KVMI_TEST(kvmi_nested, l1_is_reported, guest_l1)
{
	NEEDS_NESTING();
	start(t, false);
	all_on(t);
	for (int i = 0; i < 3; i++) {
		t->guest[0]->val[5] = 0;
		l2_turn(t);
		t->guest[0]->val[5] = 1;
		kvmi_step_begin(t, 0);
		expect_and_continue(t, KVMI_VCPU_EVENT_CPUID);
		expect_and_continue(t, KVMI_VCPU_EVENT_MSR);
		expect_and_continue(t, KVMI_VCPU_EVENT_DESCRIPTOR);
		expect_and_continue(t, KVMI_VCPU_EVENT_DESCRIPTOR);
		expect_and_continue(t, KVMI_VCPU_EVENT_CR);
		expect_and_continue(t, KVMI_VCPU_EVENT_HYPERCALL);
		kvmi_step_end(t, 0);
	}
}

/* --- what the tool cannot do to L2 -------------------------------------------------------- */

static int inject_ud(struct kvmi_test *t)
{
	struct kvmi_vcpu_inject_exception ud = { .nr = UD_VECTOR };

	return kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_INJECT_EXCEPTION, &ud, sizeof(ud),
				 NULL, 0);
}

static void guest_ud_handler(struct ex_regs *regs)
{
	seen.breakpoints += 100;
}

KVMI_TEST(kvmi_nested, no_exception_for_l2, guest_l1)
{
	struct seen *s = addr_gva2hva(t->vm, (vm_vaddr_t)&seen);
	struct kvmi_event_msg ev;
	__u64 spins;

	NEEDS_NESTING();
	vm_install_exception_handler(t->vm, UD_VECTOR, guest_ud_handler);
	start(t, false);
	WRITE_ONCE(s->spinning, 1);
	kvmi_step_begin(t, 0);
	KVMI_WAIT(READ_ONCE(s->spins), "L2 does not run");
	for (int i = 0; i < 5; i++) {
		KVMI_ASSERT_ERR(inject_ud(t), -KVM_EOPNOTSUPP);
		spins = READ_ONCE(s->spins);
		KVMI_WAIT(READ_ONCE(s->spins) > spins, "L2 does not go on");
	}
	WRITE_ONCE(s->spinning, 0);
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	/* Its own breakpoint is all that it got. */
	TEST_ASSERT_EQ(s->breakpoints, 1);

	KVMI_ASSERT_OK(inject_ud(t));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_TRAP, &ev);
	TEST_ASSERT_EQ(ev.trap.vector, UD_VECTOR);
	kvmi_continue(&t->tool, &ev);
	KVMI_WAIT(READ_ONCE(s->breakpoints) == 101, "the guest does not get the exception");
}

/* A step into L2 ends there, and says so; L2 is not stepped. */
KVMI_TEST(kvmi_nested, step_into_l2, guest_l1)
{
	struct kvmi_event_msg ev;
	struct seen first, s;
	int steps = 0;

	NEEDS_NESTING();
	REQUIRE_STEPPING(t);
	start(t, false);
	first = l2_turn(t);
	for (int turn = 0; turn < 3; turn++) {
		struct seen *in_guest = addr_gva2hva(t->vm, (vm_vaddr_t)&seen);

		in_guest->nr_exits = 0;
		in_guest->breakpoints = 0;
		KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
		kvmi_step_begin(t, 0);
		do {
			kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_SINGLESTEP, &ev);
			TEST_ASSERT(steps++ < 10000, "no step leads into L2");
			if (!ev.singlestep.failed)
				kvmi_continue(&t->tool, &ev);
		} while (!ev.singlestep.failed);
		TEST_ASSERT_EQ(in_guest->nr_exits, 0);
		/* The next one is the guest's, after L2. */
		kvmi_continue(&t->tool, &ev);
		kvmi_expect_step(&t->tool, 0, &ev);
		kvmi_end_steps(&t->tool, 0, &ev);
		kvmi_step_end(t, 0);
		kvmi_expect_no_event(&t->tool, 0);
		s = *in_guest;
		compare(&first, &s, "after steps");
		first = s;
	}
}

KVMI_TEST_MAIN()
