// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that must not be executed: instructions that KVM's emulator lacks or does not
 * carry out alone, and other modes.
 */
#include "kvmi_pf_code.h"
#include "kvmi_step.h"
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_pf_exec_insn, 1);

static struct kvmi_guest *exec_guest;

static void count_hypercall(struct ex_regs *regs)
{
	exec_guest->val[NR_EXCEPTIONS]++;
	regs->rip += 3;
}

/* --- what KVM's emulator lacks --- */

KVMI_TEST(kvmi_pf_exec_insn, sse, guest_sse_calls)
{
	struct code c = { };
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PF_STEP(t);
	a = add_area(t, NR_PAGES);
	run(t);
	INSN(&c, LOAD_RDX);
	INSN(&c, RDX_TO_XMM0);
	INSN(&c, PADDD);
	INSN(&c, PADDD_MEM);
	INSN(&c, XMM0_TO_RDX);
	INSN(&c, RET);
	prepare(t, &a, &c, 0x80);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	for (int i = 0; i < 3; i++) {
		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0x80, 0, c.nr);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], 3 * 0xabcdef);
	}
	/* The operand, too. */
	KVMI_ASSERT_OK(set_access(t, a.gpa + DATA, 0));
	kvmi_step_begin(t, 0);
	expect_exec(t, &a, 0x80);
	expect_pf(t, 0, ACCESS_R, a.gva + DATA, a.gpa + DATA, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_insns(t, &a, &c, 0x80, 1, 4);
	expect_pf(t, 0, ACCESS_R, host_cpu_is_intel ? a.gva + DATA : ~0ull, a.gpa + DATA, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_insns(t, &a, &c, 0x80, 4, c.nr);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], 3 * 0xabcdef);
}

/* To be executed there, a page has to be readable on most processors. */
KVMI_TEST(kvmi_pf_exec_insn, sse_in_a_page_without_access, guest_sse_calls)
{
	struct code c = { };
	struct area a;

	REQUIRE_PF_STEP(t);
	a = add_area(t, NR_PAGES);
	run(t);
	INSN(&c, LOAD_RDX);
	INSN(&c, RDX_TO_XMM0);
	INSN(&c, PADDD);
	INSN(&c, XMM0_TO_RDX);
	INSN(&c, RET);
	prepare(t, &a, &c, 0x80);
	KVMI_ASSERT_OK(set_access(t, a.gpa, 0));
	for (int i = 0; i < 3; i++) {
		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0x80, 0, c.nr);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], 2 * 0xabcdef);
	}
	TEST_ASSERT_EQ(get_access(t, a.gpa), 0);
}

KVMI_TEST(kvmi_pf_exec_insn, cpuid, guest_calls)
{
	struct code c = { };
	__u64 ax, dx, bx;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	run(t);
	INSN(&c, 0x31, 0xc0);		/* xor %eax, %eax */
	INSN(&c, CPUID);
	INSN(&c, RET);
	prepare(t, &a, &c, 0);
	kvmi_step_begin(t, 0);
	finish(t);
	ax = t->guest[0]->val[OUT_AX];
	dx = t->guest[0]->val[OUT_DX];
	bx = t->guest[0]->val[OUT_BX];
	TEST_ASSERT(ax && bx && dx, "CPUID tells nothing");
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	kvmi_step_begin(t, 0);
	expect_insns(t, &a, &c, 0, 0, c.nr);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], ax);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], dx);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_BX], bx);
}

/* The tool hears of the instruction, too, which the emulator would not tell. */
KVMI_TEST(kvmi_pf_exec_insn, cpuid_event, guest_calls)
{
	struct kvmi_event_msg ev;
	struct code c = { };
	struct area a;

	REQUIRE_PF_STEP(t);
	a = add_area(t, NR_PAGES);
	run(t);
	INSN(&c, CPUID);
	INSN(&c, RET);
	prepare(t, &a, &c, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CPUID, 1));
	for (int i = 0; i < 3; i++) {
		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0, 0, 1);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CPUID, &ev);
		kvmi_continue(&t->tool, &ev);
		expect_insns(t, &a, &c, 0, 1, 2);
		finish(t);
	}
}

/* A call that KVM does not know, and one that it does. */
KVMI_TEST(kvmi_pf_exec_insn, hypercall, guest_calls)
{
	static const __u8 vmcall[] = { 0x0f, 0x01, 0xc1 }, vmmcall[] = { 0x0f, 0x01, 0xd9 };
	struct code c = { };
	struct area a;

	REQUIRE_PF_STEP(t);
	a = add_area(t, NR_PAGES);
	run(t);
	add_insn(&c, host_cpu_is_intel ? vmcall : vmmcall, 3);
	INSN(&c, 0x48, 0x89, 0xc2);	/* mov %rax, %rdx */
	INSN(&c, 0xb8, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0);
	add_insn(&c, host_cpu_is_intel ? vmcall : vmmcall, 3);
	INSN(&c, RET);
	prepare(t, &a, &c, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	for (int i = 0; i < 2; i++) {
		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0, 0, c.nr);
		finish(t);
		TEST_ASSERT_EQ((__s64)t->guest[0]->val[OUT_DX], -KVM_ENOSYS);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], 0);
	}
}

/* KVM writes its own vendor's hypercall over the other's: a write to the code. */
KVMI_TEST(kvmi_pf_exec_insn, hypercall_is_replaced, guest_calls)
{
	static const __u8 vmcall[] = { 0x0f, 0x01, 0xc1 }, vmmcall[] = { 0x0f, 0x01, 0xd9 };
	const __u8 *ours = host_cpu_is_intel ? vmcall : vmmcall;
	const __u8 *theirs = host_cpu_is_intel ? vmmcall : vmcall;
	struct kvmi_event_msg ev;
	struct code c = { };
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	run(t);
	add_insn(&c, theirs, 3);
	INSN(&c, RET);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RX));
	for (int i = 0; i < 3; i++) {
		prepare(t, &a, &c, 0x10);
		kvmi_step_begin(t, 0);
		for (int n = 0; n <= i; n++) {
			expect_pf(t, 0, ACCESS_W, a.gva + 0x10, a.gpa + 0x10, &ev);
			TEST_ASSERT(!memcmp(a.hva + 0x10, theirs, 3), "written too early");
			if (n < i)
				retry_pf(t, &ev);
			else
				kvmi_continue(&t->tool, &ev);
		}
		finish(t);
		TEST_ASSERT_EQ((__s64)t->guest[0]->val[OUT_AX], -KVM_ENOSYS);
		TEST_ASSERT(!memcmp(a.hva + 0x10, ours, 3), "the hypercall was not replaced");
		/* Once is enough. */
		kvmi_step_begin(t, 0);
		finish(t);
	}
}

/* Unless the VMM has switched that off. */
KVMI_TEST(kvmi_pf_exec_insn, hypercall_is_not_replaced, guest_calls)
{
	static const __u8 vmcall[] = { 0x0f, 0x01, 0xc1 }, vmmcall[] = { 0x0f, 0x01, 0xd9 };
	struct code c = { };
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	vm_enable_cap(t->vm, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_FIX_HYPERCALL_INSN);
	vm_install_exception_handler(t->vm, UD_VECTOR, count_hypercall);
	exec_guest = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, exec_guest);
	a = add_area(t, NR_PAGES);
	run(t);
	add_insn(&c, host_cpu_is_intel ? vmmcall : vmcall, 3);
	INSN(&c, RET);
	prepare(t, &a, &c, 0x10);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RX));
	for (int i = 1; i <= 3; i++) {
		kvmi_step_begin(t, 0);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[NR_EXCEPTIONS], i);
	}
}

static void count_exception(struct ex_regs *regs)
{
	exec_guest->val[NR_EXCEPTIONS]++;
	if (regs->vector == UD_VECTOR)
		regs->rip += 2;
}

static void exceptions(struct kvmi_test *t, bool events)
{
	struct code c = { };
	struct kvmi_event_msg ev;
	struct area a;

	vm_install_exception_handler(t->vm, UD_VECTOR, count_exception);
	vm_install_exception_handler(t->vm, BP_VECTOR, count_exception);
	exec_guest = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, exec_guest);
	a = add_area(t, NR_PAGES);
	run(t);
	if (events)
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, 1));
	INSN(&c, INT3);
	INSN(&c, UD2);
	INSN(&c, INC_RAX);
	INSN(&c, RET);
	prepare(t, &a, &c, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	for (int i = 1; i <= 3; i++) {
		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0, 0, 1);
		if (events) {
			kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_BREAKPOINT, &ev);
			TEST_ASSERT_EQ(ev.breakpoint.gpa, a.gpa);
			TEST_ASSERT_EQ(ev.ev.arch.regs.rip, a.gva);
			kvmi_continue(&t->tool, &ev);
		}
		expect_insns(t, &a, &c, 0, 1, c.nr);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[NR_EXCEPTIONS], 2 * i);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 1);
	}
}

KVMI_TEST(kvmi_pf_exec_insn, exceptions, guest_calls)
{
	REQUIRE_PF_STEP(t);
	exceptions(t, false);
}

KVMI_TEST(kvmi_pf_exec_insn, breakpoint_event, guest_calls)
{
	REQUIRE_PF_STEP(t);
	exceptions(t, true);
}

/* A stepped instruction is decoded before it executes: nobody is asked for that. */
KVMI_TEST(kvmi_pf_exec_insn, stepped, guest_calls)
{
	struct kvmi_event_msg ev;
	struct code c = { };
	struct area a;

	REQUIRE_PF_STEP(t);
	a = add_area(t, NR_PAGES);
	run(t);
	INSN(&c, INC_RAX);
	INSN(&c, RET);
	prepare(t, &a, &c, 0x80);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	kvmi_step_begin(t, 0);
	expect_pf(t, 0, ACCESS_X, a.gva + 0x80, a.gpa + 0x80, &ev);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	for (int i = 0; i < 3; i++) {
		retry_pf(t, &ev);
		expect_pf(t, 0, ACCESS_X, a.gva + 0x80, a.gpa + 0x80, &ev);
	}
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_step(&t->tool, 0, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rip, a.gva + 0x80 + c.begin[1]);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 0));
	kvmi_continue(&t->tool, &ev);
	expect_insns(t, &a, &c, 0x80, 1, c.nr);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 1);
}

/* --- other modes --- */

KVMI_TEST(kvmi_pf_exec_insn, user_mode, guest_calls)
{
	struct code c = simple_function();
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	kvmi_user_mode(t, 0);
	run(t);
	prepare(t, &a, &c, 0x123);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	KVMI_ASSERT_OK(set_access(t, a.gpa + DATA, ACCESS_R));
	for (int i = 0; i < 2; i++) {
		struct kvmi_event_msg ev;

		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0x123, 0, 7);
		expect_pf(t, 0, ACCESS_W, a.gva + DATA + 8, a.gpa + DATA + 8, &ev);
		TEST_ASSERT_EQ(ev.ev.arch.sregs.cs.dpl, 3);
		kvmi_continue(&t->tool, &ev);
		expect_insns(t, &a, &c, 0x123, 7, c.nr);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], 0xabcdef);
	}
}

/* Without paging: both addresses are the same. */
KVMI_TEST(kvmi_pf_exec_insn, code_32, guest_calls)
{
	const __u64 data = 0x3010;
	struct code c = { };
	struct kvmi_event_msg ev;

	REQUIRE_PAGE_ACCESS(t);
	INSN(&c, 0xb8, 1, 2, 3, 4);		/* mov $0x04030201, %eax */
	INSN(&c, 0xa3, 0x10, 0x30, 0, 0);	/* mov %eax, 0x3010 */
	INSN(&c, 0x40);				/* inc %eax */
	INSN(&c, 0x01, 0x05, 0x10, 0x30, 0, 0);	/* add %eax, 0x3010 */
	INSN(&c, 0xe6, 0x80);			/* out %al, $0x80 */
	kvmi_32bit_mode(t, 0, c.bytes, c.len);
	KVMI_ASSERT_OK(set_access(t, KVMI_CODE32_GPA, ACCESS_RW));
	KVMI_ASSERT_OK(set_access(t, data, ACCESS_R));
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	kvmi_run(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	enable_pf(t, 0);
	kvmi_continue(&t->tool, &ev);
	for (int i = 0; i < c.nr; i++) {
		__u64 at = KVMI_CODE32_GPA + c.begin[i];

		expect_pf(t, 0, ACCESS_X, at, at, &ev);
		TEST_ASSERT_EQ(ev.ev.arch.mode, 4);
		kvmi_continue(&t->tool, &ev);
		if (i == 1 || i == 3) {
			expect_pf(t, 0, ACCESS_W, data, data, &ev);
			kvmi_continue(&t->tool, &ev);
		}
	}
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), 0);
	TEST_ASSERT_EQ(*(__u32 *)addr_gpa2hva(t->vm, data), 0x04030201 + 0x04030202);
}

KVMI_TEST_MAIN()
