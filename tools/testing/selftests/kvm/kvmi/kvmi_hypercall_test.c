// SPDX-License-Identifier: GPL-2.0-only
/* The HYPERCALL event: which calls are the tool's, and what becomes of the others. */
#include <asm/kvm_para.h>
#include <linux/kvmmem.h>

#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_hypercall, 1);
KVMI_TEST_SUITE(kvmi_hypercall_smp, 2);

/* What the guest does in one step. */
enum { OWN, OTHERS };

/*
 * In g->val: RAX, RDI, RSI, RBX, RCX and which vendor's instruction; then RAX
 * afterwards. The registers that are no arguments have to stay what they were.
 */
static void guest_calls(struct kvmi_guest *g)
{
	__u64 rax, rbx, rcx, rdx, rsi, rdi;

	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		rax = READ_ONCE(g->val[0]);
		rdi = READ_ONCE(g->val[1]);
		rsi = READ_ONCE(g->val[2]);
		rbx = READ_ONCE(g->val[3]);
		rcx = READ_ONCE(g->val[4]);
		rdx = 0xdddd;
		if ((READ_ONCE(g->val[5]) == OWN) == host_cpu_is_amd)
			asm volatile("vmmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx),
				     "+S"(rsi), "+D"(rdi) : : "memory");
		else
			asm volatile("vmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx),
				     "+S"(rsi), "+D"(rdi) : : "memory");
		g->val[6] = rax;
		g->val[7] = rdi == g->val[1] && rsi == g->val[2] && rbx == g->val[3] &&
			    rcx == g->val[4] && rdx == 0xdddd;
		guest_done(g, n);
	}
}

static void begin_call_regs(struct kvmi_test *t, int i, __u64 rax, __u64 rdi, __u64 rsi)
{
	struct kvmi_guest *g = t->guest[i];

	g->val[0] = rax;
	g->val[1] = rdi;
	g->val[2] = rsi;
	g->val[3] = 0xbbbb;
	g->val[4] = 0xcccc;
	g->val[5] = OWN;
	kvmi_step_begin(t, i);
}

static void begin_call(struct kvmi_test *t, int i)
{
	begin_call_regs(t, i, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0);
}

static void end_call(struct kvmi_test *t, int i, __s64 rax)
{
	kvmi_step_end(t, i);
	TEST_ASSERT_EQ((__s64)t->guest[i]->val[6], rax);
	TEST_ASSERT(t->guest[i]->val[7], "the call changed other registers than RAX");
}

/* The call is one that KVM does not know. */
static void expect_unknown(struct kvmi_test *t, __u64 rax, __u64 rdi, __u64 rsi)
{
	begin_call_regs(t, 0, rax, rdi, rsi);
	end_call(t, 0, -KVM_ENOSYS);
	kvmi_expect_no_event(&t->tool, 0);
}

static void enable(struct kvmi_test *t, int i)
{
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_HYPERCALL, 1));
}

static void expect_call(struct kvmi_test *t, int i, struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_HYPERCALL, ev);
	TEST_ASSERT_EQ(ev->ev.arch.regs.rax, KVMI_HYPERCALL);
	TEST_ASSERT(!memcmp(addr_gva2hva(t->vm, ev->ev.arch.regs.rip),
			    host_cpu_is_amd ? "\x0f\x01\xd9" : "\x0f\x01\xc1", 3),
		    "RIP of the event is not at the instruction");
}

/* --- which call is the tool's ------------------------------------------------------------ */

KVMI_TEST(kvmi_hypercall, reported, guest_calls)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	enable(t, 0);
	for (int i = 1; i <= 20; i++) {
		begin_call(t, 0);
		expect_call(t, 0, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
		TEST_ASSERT_EQ(ev.ev.arch.mode, 8);
		/* What the guest has to tell is in its registers. */
		TEST_ASSERT_EQ(ev.ev.arch.regs.rbx, 0xbbbb);
		TEST_ASSERT_EQ(ev.ev.arch.regs.rcx, 0xcccc);
		TEST_ASSERT_EQ(ev.ev.arch.regs.rdx, 0xdddd);
		kvmi_continue(&t->tool, &ev);
		end_call(t, 0, 0);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_hypercall, other_numbers, guest_calls)
{
	const __u64 high = BIT_ULL(32);

	kvmi_run(t, 0);
	enable(t, 0);
	expect_unknown(t, KVMI_HYPERCALL + 1, KVMI_HYPERCALL_EVENT, 0);
	expect_unknown(t, KVM_HC_MEM_MAP - 1, KVMI_HYPERCALL_EVENT, 0);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT + 1, 0);
	expect_unknown(t, KVMI_HYPERCALL, 0, 0);
	expect_unknown(t, KVMI_HYPERCALL, 0, KVMI_HYPERCALL_EVENT);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 1);
	/* All 64 bits count. */
	expect_unknown(t, KVMI_HYPERCALL | high, KVMI_HYPERCALL_EVENT, 0);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT | high, 0);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, high);
}

/* KVM's own ones are answered by KVM. */
KVMI_TEST(kvmi_hypercall, known_to_kvm, guest_calls)
{
	kvmi_run(t, 0);
	enable(t, 0);
	begin_call_regs(t, 0, KVM_HC_VAPIC_POLL_IRQ, KVMI_HYPERCALL_EVENT, 0);
	end_call(t, 0, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_hypercall, switched_off, guest_calls)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0);
	enable(t, 0);
	begin_call(t, 0);
	expect_call(t, 0, &ev);
	/* This one is the tool's already. */
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_HYPERCALL, 0));
	kvmi_continue(&t->tool, &ev);
	end_call(t, 0, 0);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0);
}

KVMI_TEST(kvmi_hypercall, event_disallowed_later, guest_calls)
{
	kvmi_run(t, 0);
	enable(t, 0);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT,
				    KVMI_VCPU_EVENT_HYPERCALL, 0), 0);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0);
}

KVMI_TEST(kvmi_hypercall, unhook_resets, guest_calls)
{
	kvmi_run(t, 0);
	enable(t, 0);
	kvmi_test_rehook(t);
	/* The vCPU joins the new session when it serves it. */
	kvmi_expect_no_event(&t->tool, 0);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0);
}

/* --- other modes ------------------------------------------------------------------------- */

/* From CPL 3 as well, where KVM refuses its own ones. */
KVMI_TEST(kvmi_hypercall, user_mode, guest_calls)
{
	struct kvmi_event_msg ev;

	kvmi_user_mode(t, 0);
	kvmi_run(t, 0);
	begin_call(t, 0);
	end_call(t, 0, -KVM_EPERM);
	enable(t, 0);
	for (int i = 0; i < 5; i++) {
		begin_call(t, 0);
		expect_call(t, 0, &ev);
		TEST_ASSERT_EQ(ev.ev.arch.sregs.cs.dpl, 3);
		kvmi_continue(&t->tool, &ev);
		end_call(t, 0, 0);
	}
	begin_call_regs(t, 0, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT + 1, 0);
	end_call(t, 0, -KVM_EPERM);
	kvmi_expect_no_event(&t->tool, 0);
}

/*
 * Outside of 64-bit mode other registers hold the arguments. The call, and a jump
 * to itself after it: the tool looks at the registers there.
 */
static const struct call32 {
	__u32 eax, ebx, ecx, edi, esi;
	bool event;
} calls32[] = {
	{ KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0, 1, 1, true },
	{ KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0, 0, 0, true },
	/* As in 64-bit mode, but it is not. */
	{ KVMI_HYPERCALL, 0, 1, KVMI_HYPERCALL_EVENT, 0, false },
	{ KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 1, KVMI_HYPERCALL_EVENT, 0, false },
	{ KVMI_HYPERCALL + 1, KVMI_HYPERCALL_EVENT, 0, 0, 0, false },
};

KVMI_TEST(kvmi_hypercall, protected_mode, guest_calls)
{
	const char *code = host_cpu_is_amd ? "\x0f\x01\xd9\xeb\xfe" : "\x0f\x01\xc1\xeb\xfe";
	struct kvmi_vcpu_control_events on = {
		.event_id = KVMI_VCPU_EVENT_HYPERCALL, .enable = 1,
	};
	struct kvmi_vcpu_get_registers_reply r;
	struct kvmi_event_msg ev;
	struct kvm_regs regs;
	__u32 seq;

	kvmi_32bit_mode(t, 0, code, 5);
	vcpu_regs_get(t->vcpu[0], &regs);
	for (int i = 0; i < ARRAY_SIZE(calls32); i++) {
		const struct call32 *c = &calls32[i];

		regs.rip = KVMI_CODE32_GPA;
		regs.rax = c->eax;
		regs.rbx = c->ebx;
		regs.rcx = c->ecx;
		regs.rdi = c->edi;
		regs.rsi = c->esi;
		vcpu_regs_set(t->vcpu[0], &regs);
		seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_CONTROL_EVENTS, &on, sizeof(on));
		/* Once it is in, the vCPU serves it before its first instruction. */
		KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
		kvmi_run(t, 0);
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_CONTROL_EVENTS, seq, NULL, 0));
		if (c->event) {
			kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_HYPERCALL, &ev);
			TEST_ASSERT_EQ(ev.ev.arch.mode, 4);
			TEST_ASSERT_EQ(ev.ev.arch.regs.rip, KVMI_CODE32_GPA);
			kvmi_continue(&t->tool, &ev);
		}
		KVMI_WAIT(!kvmi_get_regs(&t->tool, 0, &r) && r.regs.rip != KVMI_CODE32_GPA,
			  "the call does not end");
		TEST_ASSERT_EQ(r.regs.rip, KVMI_CODE32_GPA + 3);
		TEST_ASSERT_EQ((__u32)r.regs.rax, c->event ? 0 : (__u32)-KVM_ENOSYS);
		TEST_ASSERT_EQ(r.regs.rbx, c->ebx);
		TEST_ASSERT_EQ(r.regs.rdi, c->edi);
		kvmi_expect_no_event(&t->tool, 0);
		kvmi_worker_stop(&t->worker[0]);
	}
}

/* KVM turns the other vendor's instruction into its own one, which then is executed. */
KVMI_TEST(kvmi_hypercall, instruction_of_the_other_vendor, guest_calls)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	enable(t, 0);
	for (int i = 0; i < 3; i++) {
		t->guest[0]->val[0] = KVMI_HYPERCALL;
		t->guest[0]->val[1] = KVMI_HYPERCALL_EVENT;
		t->guest[0]->val[2] = 0;
		t->guest[0]->val[5] = OTHERS;
		kvmi_step_begin(t, 0);
		expect_call(t, 0, &ev);
		kvmi_continue(&t->tool, &ev);
		end_call(t, 0, 0);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- together with the VMM's share of the hypercalls ------------------------------------- */

KVMI_TEST(kvmi_hypercall, exit_to_the_vmm, guest_calls)
{
	struct kvm_run *run = t->vcpu[0]->run;
	struct kvmi_event_msg ev;

	vm_enable_cap(t->vm, KVM_CAP_EXIT_HYPERCALL, BIT_ULL(KVM_HC_MAP_GPA_RANGE));
	kvmi_run(t, 0);
	enable(t, 0);
	for (int i = 1; i <= 3; i++) {
		/* RBX, RCX and RDX are its arguments: address, pages, attributes. */
		t->guest[0]->val[3] = i * 0x1000;
		t->guest[0]->val[0] = KVM_HC_MAP_GPA_RANGE;
		t->guest[0]->val[1] = KVMI_HYPERCALL_EVENT;
		t->guest[0]->val[2] = 0;
		t->guest[0]->val[4] = i;
		t->guest[0]->val[5] = OWN;
		kvmi_step_begin(t, 0);
		TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_HYPERCALL);
		TEST_ASSERT_EQ(run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
		TEST_ASSERT_EQ(run->hypercall.args[0], i * 0x1000);
		TEST_ASSERT_EQ(run->hypercall.args[1], i);
		run->hypercall.ret = 0x40 + i;
		kvmi_run(t, 0);
		end_call(t, 0, 0x40 + i);
		kvmi_expect_no_event(&t->tool, 0);
		begin_call(t, 0);
		expect_call(t, 0, &ev);
		kvmi_continue(&t->tool, &ev);
		end_call(t, 0, 0);
	}
}

/* --- other ends -------------------------------------------------------------------------- */

static void at_call(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_run(t, 0);
	enable(t, 0);
	begin_call(t, 0);
	expect_call(t, 0, ev);
}

KVMI_TEST(kvmi_hypercall, signal, guest_calls)
{
	struct kvmi_event_msg ev;

	at_call(t, &ev);
	for (int i = 0; i < 5; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_continue(&t->tool, &ev);
	end_call(t, 0, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* The tool answers the call: what it sets counts, but RIP goes on behind the call. */
KVMI_TEST(kvmi_hypercall, registers_set_by_the_tool, guest_calls)
{
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	at_call(t, &ev);
	regs = ev.ev.arch.regs;
	regs.rax = 0x1234;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_continue(&t->tool, &ev);
	end_call(t, 0, 0x1234);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_hypercall, crash, guest_calls)
{
	struct kvmi_event_msg ev;

	at_call(t, &ev);
	kvmi_expect_crash(t, 0, &ev);
}

KVMI_TEST(kvmi_hypercall, no_retry, guest_calls)
{
	struct kvmi_event_msg ev;

	at_call(t, &ev);
	kvmi_expect_no_action(t, &ev, KVMI_EVENT_ACTION_RETRY);
	end_call(t, 0, -KVM_ENOSYS);
}

/* With nobody to hear it, the call is one that KVM does not know. */
KVMI_TEST(kvmi_hypercall, tool_closes, guest_calls)
{
	struct kvmi_event_msg ev;

	at_call(t, &ev);
	kvmi_tool_close(&t->tool);
	end_call(t, 0, -KVM_ENOSYS);
}

KVMI_TEST(kvmi_hypercall_smp, vcpus_are_independent, guest_calls)
{
	struct kvmi_event_msg ev;

	kvmi_run_all(t);
	enable(t, 1);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0);
	begin_call(t, 1);
	expect_call(t, 1, &ev);
	kvmi_expect_running(t, 0);
	expect_unknown(t, KVMI_HYPERCALL, KVMI_HYPERCALL_EVENT, 0);
	kvmi_continue(&t->tool, &ev);
	end_call(t, 1, 0);
}

KVMI_TEST_MAIN()
