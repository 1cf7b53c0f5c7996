// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tool that reads nothing loses its connection after a few seconds, and the
 * guest goes on. This test has to let these seconds pass.
 */
#include <poll.h>

#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_slow_tool, 1);

static void expect_hangup(struct kvmi_tool *tool)
{
	struct pollfd pfd = { .fd = tool->fd };
	int r;

	do {
		r = poll(&pfd, 1, KVMI_TIMEOUT_MS);
	} while (r < 0 && errno == EINTR);
	TEST_ASSERT(r == 1 && pfd.revents & POLLHUP,
		    "timeout: KVM keeps a connection that takes nothing");
}

KVMI_TEST(kvmi_slow_tool, does_not_read_replies, guest_cr3_steps)
{
	kvmi_run(t, 0);
	kvmi_fill_socket(&t->tool);
	expect_hangup(&t->tool);
	kvmi_expect_running(t, 0);
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
}

/* The vCPU is the one that cannot send: its write takes place in the end. */
KVMI_TEST(kvmi_slow_tool, does_not_read_events, guest_cr3_steps)
{
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	kvmi_fill_socket(&t->tool);
	kvmi_step_begin(t, 0);
	expect_hangup(&t->tool);
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[0], t->vm->pgd | X86_CR3_PWT);
	kvmi_expect_running(t, 0);
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST_MAIN()
