// SPDX-License-Identifier: GPL-2.0-only
/*
 * While a vCPU waits for the reply to an event: signals, the VMM's own work,
 * commands, and the end of the connection.
 */
#include <sys/socket.h>

#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_wait, 1);

/* Let the guest write CR3; it then waits for the reply to @ev. */
static void begin(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_step_begin(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, ev);
}

static void start(struct kvmi_test *t)
{
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
}

static void start_and_begin(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	start(t);
	begin(t, ev);
}

/* The step is over and the guest has written @cr3. */
static void expect_written(struct kvmi_test *t, __u64 cr3)
{
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[0], cr3);
}

KVMI_TEST(kvmi_wait, signal, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	for (int i = 0; i < 10; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		/* Served by the vCPU, which waits again: no second event. */
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_continue(&t->tool, &ev);
	expect_written(t, ev.cr.new_value);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_wait, signal_during_pause, guest_spin)
{
	struct kvmi_event_msg ev;
	__u64 count;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	count = READ_ONCE(t->guest[0]->count);
	for (int i = 0; i < 10; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->count), count);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* The tool's value counts although the instruction executes a second time. */
KVMI_TEST(kvmi_wait, signal_then_blocked_write, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_worker_interrupt(&t->worker[0]);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_reply_cr(&t->tool, &ev, ev.cr.old_value);
	expect_written(t, ev.cr.old_value);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_wait, signal_then_set_registers, guest_cr3_steps)
{
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	start_and_begin(t, &ev);
	kvmi_worker_interrupt(&t->worker[0]);
	regs = ev.ev.arch.regs;
	regs.rip = (vm_vaddr_t)guest_spin;
	regs.rdi = t->guest_gva[0];
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_worker_interrupt(&t->worker[0]);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->done), 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* Signal and reply come together, in either order. */
KVMI_TEST(kvmi_wait, signal_races_with_reply, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start(t);
	for (int i = 1; i <= 100; i++) {
		begin(t, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
		if (i & 1)
			kvmi_worker_kick(&t->worker[0]);
		kvmi_continue(&t->tool, &ev);
		if (!(i & 1))
			kvmi_worker_kick(&t->worker[0]);
		expect_written(t, ev.cr.new_value);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* The vCPU is in userspace when the reply comes. */
KVMI_TEST(kvmi_wait, reply_to_a_vcpu_in_userspace, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	kvmi_continue(&t->tool, &ev);
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	expect_written(t, ev.cr.new_value);
	kvmi_expect_no_event(&t->tool, 0);
}

/* KVM_RUN with immediate_exit neither enters the guest nor serves the tool. */
KVMI_TEST(kvmi_wait, immediate_exit, guest_cr3_steps)
{
	struct kvm_run *run = t->vcpu[0]->run;
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	for (int i = 0; i < 4; i++) {
		run->immediate_exit = 1;
		TEST_ASSERT(__vcpu_run(t->vcpu[0]) == -1 && errno == EINTR,
			    "KVM_RUN with immediate_exit");
		run->immediate_exit = 0;
		kvmi_expect_no_event(&t->tool, -1);
		if (i == 2)
			kvmi_continue(&t->tool, &ev);
	}
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->done), 0);
	kvmi_run(t, 0);
	expect_written(t, ev.cr.new_value);
	kvmi_expect_no_event(&t->tool, 0);
}

/* The VMM moves RIP away: the reply must not be taken for a later write. */
KVMI_TEST(kvmi_wait, instruction_does_not_execute_again, guest_cr3_steps)
{
	struct kvmi_event_msg ev, other;
	struct kvm_regs regs, at_cr3;

	start_and_begin(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_regs_get(t->vcpu[0], &at_cr3);
	TEST_ASSERT_EQ(at_cr3.rip, ev.ev.arch.regs.rip);
	regs = at_cr3;
	regs.rip = (vm_vaddr_t)guest_spin;
	regs.rdi = t->guest_gva[0];
	vcpu_regs_set(t->vcpu[0], &regs);
	kvmi_reply_cr(&t->tool, &ev, ev.cr.old_value);
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	kvmi_expect_no_event(&t->tool, 0);

	/* Another value at the same place is another event. */
	kvmi_worker_stop(&t->worker[0]);
	at_cr3.rax |= X86_CR3_PCD;
	vcpu_regs_set(t->vcpu[0], &at_cr3);
	kvmi_run(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &other);
	TEST_ASSERT_EQ(other.hdr.seq, ev.hdr.seq + 1);
	TEST_ASSERT_EQ(other.cr.new_value, ev.cr.new_value | X86_CR3_PCD);
	kvmi_continue(&t->tool, &other);
	expect_written(t, other.cr.new_value);
}

static void change_slots(void *arg)
{
	struct kvmi_test *t = arg;

	for (int i = 0; i < 3; i++) {
		vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, 0x40000000, 5, 4, 0);
		vm_mem_region_delete(t->vm, 5);
	}
}

/* They need every reader of the slots to leave: a waiting vCPU must be none. */
KVMI_TEST(kvmi_wait, memory_slots_change, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_must_return(change_slots, t, "a change of memory slots while a vCPU waits");
	kvmi_continue(&t->tool, &ev);
	expect_written(t, ev.cr.new_value);

	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	kvmi_must_return(change_slots, t, "a change of memory slots while a vCPU is paused");
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_wait, commands_are_served, guest_cr3_steps)
{
	struct kvmi_vcpu_translate_gva gva = { (vm_vaddr_t)guest_spin };
	struct kvmi_vcpu_translate_gva_reply gpa;
	struct kvmi_vcpu_get_registers_reply r;
	struct kvmi_event_msg ev, pause;

	start_and_begin(t, &ev);
	for (int i = 0; i < 20; i++) {
		KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, &r));
		TEST_ASSERT_EQ(r.regs.rip, ev.ev.arch.regs.rip);
		KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_TRANSLATE_GVA, &gva,
						 sizeof(gva), &gpa, sizeof(gpa)));
		TEST_ASSERT_EQ(gpa.gpa, addr_gva2gpa(t->vm, gva.gva));
		KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	}
	/* A pause has to wait for its turn. */
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &pause);
	kvmi_continue(&t->tool, &pause);
	expect_written(t, ev.cr.new_value);
}

/* --- the connection ends ---------------------------------------------------------- */

static void expect_free_guest(struct kvmi_test *t, __u64 cr3)
{
	expect_written(t, cr3);
	kvmi_test_rehook(t);
	/* Nothing of the old session is left. */
	kvmi_step_begin(t, 0);
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_running(t, 0);
}

KVMI_TEST(kvmi_wait, tool_closes_before_reading_the_event, guest_cr3_steps)
{
	char byte;

	start(t);
	kvmi_step_begin(t, 0);
	/* It is there, and nobody reads it. */
	TEST_ASSERT_EQ(recv(t->tool.fd, &byte, 1, MSG_PEEK), 1);
	kvmi_tool_close(&t->tool);
	expect_free_guest(t, t->vm->pgd | X86_CR3_PWT);
}

KVMI_TEST(kvmi_wait, tool_closes_instead_of_replying, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_tool_close(&t->tool);
	expect_free_guest(t, ev.cr.new_value);
}

KVMI_TEST(kvmi_wait, tool_closes_inside_the_reply, guest_cr3_steps)
{
	struct kvmi_msg_hdr hdr = { .id = KVMI_VCPU_EVENT_REPLY, .size = 24 };
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	hdr.seq = ev.hdr.seq;
	TEST_ASSERT(kvmi_write(&t->tool, &hdr, sizeof(hdr)), "closed");
	kvmi_tool_close(&t->tool);
	expect_free_guest(t, ev.cr.new_value);
}

/* Whether the reply still counts is open: a blocked write may take place. */
KVMI_TEST(kvmi_wait, tool_closes_after_the_reply, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_tool_close(&t->tool);
	expect_free_guest(t, ev.cr.new_value);
}

KVMI_TEST(kvmi_wait, tool_closes_after_a_command, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	kvmi_tool_close(&t->tool);
	expect_free_guest(t, ev.cr.new_value);
}

KVMI_TEST(kvmi_wait, tool_closes_while_the_vcpu_is_in_userspace, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	kvmi_tool_close(&t->tool);
	kvmi_run(t, 0);
	expect_free_guest(t, ev.cr.new_value);
}

KVMI_TEST(kvmi_wait, unhook, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start(t);
	for (int i = 0; i < 10; i++) {
		begin(t, &ev);
		kvmi_test_rehook(t);
		expect_written(t, ev.cr.new_value);
		kvmi_expect_no_event(&t->tool, 0);
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
		KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	}
}

/* Unhooked and hooked again before the vCPU had a chance to run. */
KVMI_TEST(kvmi_wait, rehook_while_the_vcpu_is_in_userspace, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_worker_stop(&t->worker[0]);
	for (int i = 0; i < 3; i++)
		kvmi_test_rehook(t);
	kvmi_run(t, 0);
	expect_free_guest(t, ev.cr.new_value);
}

/* A reply to the old session's event is a wrong one. */
KVMI_TEST(kvmi_wait, reply_from_the_last_session, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start_and_begin(t, &ev);
	kvmi_test_rehook(t);
	kvmi_reply_cr(&t->tool, &ev, ev.cr.old_value);
	kvmi_expect_closed(&t->tool);
	expect_free_guest(t, ev.cr.new_value);
}

KVMI_TEST_MAIN()
