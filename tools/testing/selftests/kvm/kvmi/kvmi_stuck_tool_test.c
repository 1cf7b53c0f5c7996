// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tool that sends commands and reads nothing, until KVM can send it no more.
 * What the VMM does meanwhile must not wait for the tool; kvmi_slow_tool_test
 * waits until KVM loses its patience.
 */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_stuck_tool, 1);

static void unhook(void *arg)
{
	struct kvmi_test *t = arg;

	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
}

static void free_vm(void *arg)
{
	struct kvmi_test *t = arg;

	kvm_vm_free(t->vm);
	t->vm = NULL;
}

KVMI_TEST(kvmi_stuck_tool, unhook, guest_spin)
{
	kvmi_run(t, 0);
	kvmi_fill_socket(&t->tool);
	kvmi_expect_running(t, 0);
	kvmi_must_return(unhook, t, "UNHOOK while the tool does not read");
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_stuck_tool, vm_destroyed, guest_spin)
{
	kvmi_run(t, 0);
	kvmi_fill_socket(&t->tool);
	kvmi_worker_stop(&t->worker[0]);
	kvmi_must_return(free_vm, t, "the end of a VM whose tool does not read");
}

KVMI_TEST(kvmi_stuck_tool, tool_closes, guest_spin)
{
	kvmi_run(t, 0);
	kvmi_fill_socket(&t->tool);
	kvmi_tool_close(&t->tool);
	kvmi_expect_running(t, 0);
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
}

/* The tool reads at last: nothing was lost. */
KVMI_TEST(kvmi_stuck_tool, tool_reads_in_time, guest_spin)
{
	struct kvmi_get_version_reply version;
	__u64 start;
	__u32 last;

	last = kvmi_fill_socket(&t->tool);
	start = kvmi_now_ms();
	for (__u32 seq = 1; seq <= last; seq++)
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_GET_VERSION, seq, &version,
					    sizeof(version)));
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	/* As soon as there is room, not when KVM's patience would have ended. */
	TEST_ASSERT(kvmi_now_ms() - start < 4000, "KVM goes on only after %llu ms",
		    kvmi_now_ms() - start);
}

KVMI_TEST_MAIN()
