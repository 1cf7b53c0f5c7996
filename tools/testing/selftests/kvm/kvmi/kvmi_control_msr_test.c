// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_CONTROL_MSR: which registers can be selected, and how many. */
#include "kvmi_msr_guest.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_control_msr, 1);

KVMI_TEST(kvmi_control_msr, bounds, guest_msr)
{
	static const __u32 good[] = {
		0, 1, 0x6df, 0x6e1, 0x7ff, 0x900, 0x1fff, 0xc0000000, 0xc0001fff,
	};
	static const __u32 bad[] = {
		0x2000, 0x3fff, 0x6e0, 0x800, 0x830, 0x8ff, 0xbfffffff, 0xc0002000, 0xffffffff,
		0x40000000, 0x4b564d00, 0x10000,
	};

	kvmi_run(t, 0);
	for (int on = 1; on >= 0; on--) {
		for (int i = 0; i < ARRAY_SIZE(good); i++) {
			KVMI_ASSERT_OK(control_msr(t, 0, good[i], on));
			KVMI_ASSERT_OK(control_msr(t, 0, good[i], on));
			KVMI_ASSERT_ERR(control_msr(t, 0, good[i], 2), -KVM_EINVAL);
			KVMI_ASSERT_ERR(control_msr(t, 0, good[i], 255), -KVM_EINVAL);
		}
		for (int i = 0; i < ARRAY_SIZE(bad); i++)
			KVMI_ASSERT_ERR(control_msr(t, 0, bad[i], on), -KVM_EINVAL);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_control_msr, limit, guest_msr)
{
	const __u32 first = 0x1000, last = first + KVMI_MAX_MSRS - 1;

	kvmi_run(t, 0);
	for (int round = 0; round < 2; round++) {
		for (__u32 msr = first; msr <= last; msr++)
			KVMI_ASSERT_OK(control_msr(t, 0, msr, 1));
		KVMI_ASSERT_ERR(control_msr(t, 0, last + 1, 1), -KVM_EBUSY);
		KVMI_ASSERT_ERR(control_msr(t, 0, MSR_LSTAR, 1), -KVM_EBUSY);
		/* What is selected is no more than selected. */
		KVMI_ASSERT_OK(control_msr(t, 0, last, 1));
		/* What is not can be let go, which makes no room. */
		KVMI_ASSERT_OK(control_msr(t, 0, last + 1, 0));
		KVMI_ASSERT_ERR(control_msr(t, 0, last + 1, 1), -KVM_EBUSY);
		KVMI_ASSERT_OK(control_msr(t, 0, first + 100, 0));
		KVMI_ASSERT_OK(control_msr(t, 0, last + 1, 1));
		KVMI_ASSERT_ERR(control_msr(t, 0, first + 100, 1), -KVM_EBUSY);
		for (__u32 msr = first; msr <= last + 1; msr++)
			KVMI_ASSERT_OK(control_msr(t, 0, msr, 0));
	}
}

/* A list that is full reports its first and its last register, and what it lost not. */
KVMI_TEST(kvmi_control_msr, full_list, guest_msr)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	select_msr(t, 0, MSR_LSTAR);
	for (__u32 msr = 0x1000; msr < 0x1000 + KVMI_MAX_MSRS - 2; msr++)
		KVMI_ASSERT_OK(control_msr(t, 0, msr, 1));
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_KERNEL_GS_BASE, 1));
	begin_wrmsr(t, 0, MSR_LSTAR, 0x1000);
	expect_msr(t, 0, MSR_LSTAR, 0, 0x1000, &ev);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 0, 0, 0x1000);
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_LSTAR, 0));
	wrmsr_in_silence(t, MSR_LSTAR, 0x2000);
	begin_wrmsr(t, 0, MSR_KERNEL_GS_BASE, 0x1000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0, 0x1000, &ev);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 0, 0, 0x1000);
}

KVMI_TEST_MAIN()
