// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM_CONTROL_EVENTS, VCPU_CONTROL_EVENTS, and the events that no instruction of
 * the guest raises: UNHOOK and CREATE.
 */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_event_control, 1);

#define OF_VM	(BIT(KVMI_VM_EVENT_UNHOOK) | BIT(KVMI_VCPU_EVENT_CREATE) | \
		 BIT(KVMI_VM_EVENT_CMD_ERROR))
#define OF_VCPU	(GENMASK(KVMI_NUM_EVENTS - 1, 0) & ~OF_VM)

static const __u16 unknown[] = { KVMI_NUM_EVENTS, 31, 32, 63, 64, 255, 256, 0x8001, 0xffff };

KVMI_TEST(kvmi_event_control, of_the_vm, guest_spin)
{
	int err;

	for (__u16 id = 0; id < KVMI_NUM_EVENTS; id++) {
		err = OF_VM & BIT(id) ? 0 : -KVM_EINVAL;
		for (int i = 0; i < 4; i++)
			KVMI_ASSERT_ERR(kvmi_vm_events(&t->tool, id, i < 2), err);
		KVMI_ASSERT_ERR(kvmi_vm_events(&t->tool, id, 2), -KVM_EINVAL);
		KVMI_ASSERT_ERR(kvmi_vm_events(&t->tool, id, 255), -KVM_EINVAL);
	}
	for (int i = 0; i < ARRAY_SIZE(unknown); i++)
		KVMI_ASSERT_ERR(kvmi_vm_events(&t->tool, unknown[i], 1), -KVM_EINVAL);
}

/* Tools switch on what they may need later and take an error for the end. */
KVMI_TEST(kvmi_event_control, of_a_vcpu, guest_spin)
{
	int err;

	kvmi_run(t, 0);
	for (__u16 id = 0; id < KVMI_NUM_EVENTS; id++) {
		err = OF_VCPU & BIT(id) ? 0 : -KVM_EINVAL;
		for (int i = 0; i < 4; i++)
			KVMI_ASSERT_ERR(kvmi_vcpu_events(&t->tool, 0, id, i < 2), err);
		KVMI_ASSERT_ERR(kvmi_vcpu_events(&t->tool, 0, id, 2), -KVM_EINVAL);
		KVMI_ASSERT_ERR(kvmi_vcpu_events(&t->tool, 0, id, 255), -KVM_EINVAL);
	}
	for (int i = 0; i < ARRAY_SIZE(unknown); i++)
		KVMI_ASSERT_ERR(kvmi_vcpu_events(&t->tool, 0, unknown[i], 1), -KVM_EINVAL);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_event_control, disallowed, guest_spin)
{
	int vm = t->vm->fd;

	kvmi_run(t, 0);
	for (int id = 0; id < KVMI_NUM_EVENTS; id++) {
		TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, id, 0), 0);
		if (OF_VM & BIT(id))
			KVMI_ASSERT_ERR(kvmi_vm_events(&t->tool, id, 1), -KVM_EPERM);
		else
			KVMI_ASSERT_ERR(kvmi_vcpu_events(&t->tool, 0, id, 1), -KVM_EPERM);
		TEST_ASSERT_EQ(kvmi_feature(vm, KVM_INTROSPECTION_EVENT, id, 1), 0);
		if (OF_VM & BIT(id))
			KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, id, 1));
		else
			KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, id, 1));
	}
}

/* --- UNHOOK ------------------------------------------------------------------------------ */

static void expect_unhook(struct kvmi_test *t, __u32 seq)
{
	struct kvmi_event_msg ev;

	kvmi_expect_event(&t->tool, 0, KVMI_VM_EVENT_UNHOOK, &ev);
	TEST_ASSERT_EQ(ev.hdr.seq, seq);
}

KVMI_TEST(kvmi_event_control, unhook, guest_spin)
{
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_UNHOOK, 1));
	kvmi_run(t, 0);
	for (int i = 1; i <= 3; i++) {
		TEST_ASSERT_EQ(kvmi_preunhook(t->vm->fd), 0);
		expect_unhook(t, i);
		/* Nobody waits for an answer; the tool can still work. */
		kvmi_expect_no_event(&t->tool, 0);
		kvmi_expect_running(t, 0);
	}
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_UNHOOK, 0));
	TEST_ASSERT_EQ(kvmi_preunhook(t->vm->fd), -ENOENT);
	kvmi_expect_no_event(&t->tool, 0);
}

/* A VMM that wants the VM back must not have to wait for a vCPU's event. */
KVMI_TEST(kvmi_event_control, unhook_while_a_vcpu_waits, guest_spin)
{
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_UNHOOK, 1));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	TEST_ASSERT_EQ(kvmi_preunhook(t->vm->fd), 0);
	expect_unhook(t, ev.hdr.seq + 1);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_event_control, unhook_resets_the_switch, guest_spin)
{
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_UNHOOK, 1));
	kvmi_test_rehook(t);
	TEST_ASSERT_EQ(kvmi_preunhook(t->vm->fd), -ENOENT);
}

/* --- CREATE -------------------------------------------------------------------------------- */

static void add_vcpu(struct kvmi_test *t)
{
	int i = t->nr_vcpus++;

	t->vcpu[i] = vm_vcpu_add(t->vm, i, guest_spin);
	t->guest_gva[i] = t->guest_gva[0] + i * sizeof(struct kvmi_guest);
	t->guest[i] = t->guest[0] + i;
	kvmi_set_guest(t, i, guest_spin);
}

KVMI_TEST(kvmi_event_control, create, guest_spin)
{
	struct kvmi_vcpu_get_registers_reply r;
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VCPU_EVENT_CREATE, 1));
	kvmi_run(t, 0);
	add_vcpu(t);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_run(t, 1);
	kvmi_expect_event(&t->tool, 1, KVMI_VCPU_EVENT_CREATE, &ev);
	/* It is stopped before its first instruction, and serves commands. */
	TEST_ASSERT_EQ(ev.ev.arch.regs.rip, (vm_vaddr_t)guest_spin);
	KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 1, &r));
	TEST_ASSERT_EQ(r.regs.rip, (vm_vaddr_t)guest_spin);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[1]->count), 0);
	kvmi_expect_running(t, 0);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 1);
	kvmi_expect_no_event(&t->tool, 1);
	/* Once in its life. */
	kvmi_worker_stop(&t->worker[1]);
	kvmi_run(t, 1);
	kvmi_expect_no_event(&t->tool, 1);
}

KVMI_TEST(kvmi_event_control, create_comes_first, guest_spin)
{
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VCPU_EVENT_CREATE, 1));
	add_vcpu(t);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 1, 0));
	kvmi_run(t, 1);
	kvmi_expect_event(&t->tool, 1, KVMI_VCPU_EVENT_CREATE, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_event(&t->tool, 1, KVMI_VCPU_EVENT_PAUSE, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 1);
}

KVMI_TEST(kvmi_event_control, create_not_enabled, guest_spin)
{
	add_vcpu(t);
	/* Neither then nor for a vCPU that is there already. */
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VCPU_EVENT_CREATE, 1));
	kvmi_run_all(t);
	kvmi_expect_running(t, 0);
	kvmi_expect_running(t, 1);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_no_event(&t->tool, 1);
}

KVMI_TEST(kvmi_event_control, create_of_the_last_session, guest_spin)
{
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VCPU_EVENT_CREATE, 1));
	add_vcpu(t);
	kvmi_test_rehook(t);
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VCPU_EVENT_CREATE, 1));
	kvmi_run(t, 1);
	kvmi_expect_running(t, 1);
	kvmi_expect_no_event(&t->tool, 1);
}

KVMI_TEST(kvmi_event_control, create_crash, guest_spin)
{
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VCPU_EVENT_CREATE, 1));
	add_vcpu(t);
	kvmi_run(t, 1);
	kvmi_expect_event(&t->tool, 1, KVMI_VCPU_EVENT_CREATE, &ev);
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_CRASH, NULL, 0);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[1]), KVM_EXIT_SHUTDOWN);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[1]->count), 0);
}

KVMI_TEST(kvmi_event_control, create_interrupted, guest_spin)
{
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VCPU_EVENT_CREATE, 1));
	add_vcpu(t);
	kvmi_run(t, 1);
	kvmi_expect_event(&t->tool, 1, KVMI_VCPU_EVENT_CREATE, &ev);
	kvmi_worker_stop(&t->worker[1]);
	kvmi_run(t, 1);
	kvmi_expect_no_event(&t->tool, 1);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[1]->count), 0);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 1);
}

KVMI_TEST_MAIN()
