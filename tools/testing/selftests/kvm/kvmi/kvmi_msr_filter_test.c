// SPDX-License-Identifier: GPL-2.0-only
/* The MSR event beside the VMM's own filter, and what is left of it afterwards. */
#include "kvmi_msr_guest.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_msr_filter, 1);

#define MSR	MSR_KERNEL_GS_BASE

/* --- a filter of the VMM ----------------------------------------------------------------- */

/* Writes of @msr are the VMM's; 0: the guest may write all. */
static void set_filter(struct kvmi_test *t, __u32 msr)
{
	__u8 denied[8] = { };
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = {
			.flags = KVM_MSR_FILTER_WRITE, .nmsrs = msr ? 1 : 0, .base = msr,
			.bitmap = denied,
		},
	};

	vm_ioctl(t->vm, KVM_X86_SET_MSR_FILTER, &filter);
}

static void expect_vmm_write(struct kvmi_test *t, __u64 val)
{
	struct kvm_run *run = t->vcpu[0]->run;

	begin_wrmsr(t, 0, MSR, val);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_X86_WRMSR);
	TEST_ASSERT_EQ(run->msr.reason, KVM_MSR_EXIT_REASON_FILTER);
	TEST_ASSERT_EQ(run->msr.index, MSR);
	TEST_ASSERT_EQ(run->msr.data, val);
	run->msr.error = 0;
	kvmi_run(t, 0);
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[3], 0);
}

static void expect_tool_write(struct kvmi_test *t, __u64 val)
{
	struct kvmi_event_msg ev;

	begin_wrmsr(t, 0, MSR, val);
	expect_msr(t, 0, MSR, t->guest[0]->val[4], val, &ev);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 0, 0, val);
}

KVMI_TEST(kvmi_msr_filter, goes_to_the_vmm, guest_msr)
{
	vm_enable_cap(t->vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER);
	set_filter(t, MSR);
	kvmi_run(t, 0);
	select_msr(t, 0, MSR);
	for (int i = 0; i < 5; i++) {
		expect_vmm_write(t, 0x1000 + i);
		/* It emulates the register, which therefore stays what it was. */
		TEST_ASSERT_EQ(t->guest[0]->val[4], 0);
	}
}

/* A filter that comes, changes and goes leaves the tool its event and the VMM its exits. */
KVMI_TEST(kvmi_msr_filter, changes_while_selected, guest_msr)
{
	vm_enable_cap(t->vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER);
	kvmi_run(t, 0);
	select_msr(t, 0, MSR);
	expect_tool_write(t, 0x1000);
	for (__u64 round = 1; round <= 3; round++) {
		set_filter(t, MSR_LSTAR);
		expect_tool_write(t, round << 16);
		set_filter(t, MSR);
		expect_vmm_write(t, round << 20);
		set_filter(t, 0);
		expect_tool_write(t, round << 24);
	}
	/* When the tool lets go, the VMM's wish counts still. */
	set_filter(t, MSR);
	KVMI_ASSERT_OK(control_msr(t, 0, MSR, 0));
	expect_vmm_write(t, 0x1000);
	KVMI_ASSERT_OK(control_msr(t, 0, MSR, 1));
	kvmi_test_rehook(t);
	expect_vmm_write(t, 0x2000);
}

/* Without the capability it is the guest's #GP. */
KVMI_TEST(kvmi_msr_filter, denies, guest_msr)
{
	set_filter(t, MSR);
	kvmi_run(t, 0);
	select_msr(t, 0, MSR);
	begin_wrmsr(t, 0, MSR, 0x1000);
	end_wrmsr(t, 0, GP_VECTOR, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Registers that are nobody's: the VMM emulates them, and the event is not for them. */
KVMI_TEST(kvmi_msr_filter, unknown_register_of_the_vmm, guest_msr)
{
	struct kvm_run *run = t->vcpu[0]->run;

	vm_enable_cap(t->vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN);
	kvmi_run(t, 0);
	select_msr(t, 0, 0x1ff0);
	begin_wrmsr(t, 0, 0x1ff0, 0x1234);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_X86_WRMSR);
	TEST_ASSERT_EQ(run->msr.index, 0x1ff0);
	TEST_ASSERT_EQ(run->msr.data, 0x1234);
	TEST_ASSERT(!t->tool.nr_events, "an event of a register that does not exist");
}

/* --- what is left behind ----------------------------------------------------------------- */

static __u64 exits(struct kvmi_test *t, __u32 msr)
{
	t->guest[0]->val[0] = MANY_WRMSR;
	t->guest[0]->val[1] = msr;
	t->guest[0]->val[2] = 0x1000;
	return kvmi_exits_of_step(t, 0);
}

/* Writes that change nothing exit and are not reported; when free, they do not exit. */
static void expect_free(struct kvmi_test *t, __u32 msr)
{
	__u64 n = exits(t, msr);

	TEST_ASSERT(n < MANY / 2, "MSR %#x: %llu exits in %d writes", msr, n, MANY);
}

static void expect_intercepted(struct kvmi_test *t, __u32 msr)
{
	__u64 n = exits(t, msr);

	TEST_ASSERT(n >= MANY, "MSR %#x: %llu exits in %d writes", msr, n, MANY);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_msr_filter, intercepts_are_taken_back, guest_msr)
{
	vcpu_set_msr(t->vcpu[0], MSR, 0x1000);
	kvmi_count_exits(t, 0);
	kvmi_run(t, 0);
	expect_free(t, MSR);

	KVMI_ASSERT_OK(control_msr(t, 0, MSR, 1));
	expect_free(t, MSR);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_MSR, 1));
	expect_intercepted(t, MSR);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_MSR, 0));
	expect_free(t, MSR);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_MSR, 1));
	expect_intercepted(t, MSR);
	KVMI_ASSERT_OK(control_msr(t, 0, MSR, 0));
	expect_free(t, MSR);
	KVMI_ASSERT_OK(control_msr(t, 0, MSR, 1));
	expect_intercepted(t, MSR);

	kvmi_test_rehook(t);
	expect_free(t, MSR);
	select_msr(t, 0, MSR);
	expect_intercepted(t, MSR);
	kvmi_tool_close(&t->tool);
	KVMI_WAIT(exits(t, MSR) < MANY / 2, "the intercept stays when the tool is gone");
}

/* The intercept outlives what makes KVM compute its own ones again. */
KVMI_TEST(kvmi_msr_filter, intercept_outlives_the_filter, guest_msr)
{
	vcpu_set_msr(t->vcpu[0], MSR, 0x1000);
	kvmi_count_exits(t, 0);
	kvmi_run(t, 0);
	select_msr(t, 0, MSR);
	for (int i = 0; i < 3; i++) {
		set_filter(t, i & 1 ? 0 : MSR_LSTAR);
		expect_intercepted(t, MSR);
	}
	/* A wish of the VMM that KVM follows when the tool has let go. */
	set_filter(t, 0);
	KVMI_ASSERT_OK(control_msr(t, 0, MSR, 0));
	expect_free(t, MSR);
}

KVMI_TEST_MAIN()
