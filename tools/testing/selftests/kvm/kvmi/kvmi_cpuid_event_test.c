// SPDX-License-Identifier: GPL-2.0-only
/* The CPUID event: what the tool hears, and how it answers in KVM's place. */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_cpuid_event, 1);
KVMI_TEST_SUITE(kvmi_cpuid_event_smp, 2);

/* Forms of the instruction, by their index in g->val[0], and how long each is. */
static const __u8 lengths[] = { 2, 3, 3, 4, 15 };

#define FORM(n, prefix)									\
	case n:										\
		asm volatile(KVM_ASM_SAFE(prefix "cpuid")				\
			     : "+a"(eax), "+b"(ebx), "+c"(ecx), "+d"(edx),		\
			       KVM_ASM_SAFE_OUTPUTS(vec, ign)				\
			     : : KVM_ASM_SAFE_CLOBBERS);				\
		break

/* EAX and ECX in g->val[1], [2]; then the exception and the four results. */
static void guest_cpuid(struct kvmi_guest *g)
{
	__u64 eax, ebx, ecx, edx;
	uint64_t ign;
	uint8_t vec;

	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		eax = READ_ONCE(g->val[1]);
		ecx = READ_ONCE(g->val[2]);
		ebx = ~0ull;
		edx = ~0ull;
		vec = 0;
		switch (READ_ONCE(g->val[0])) {
		FORM(0, "");
		FORM(1, ".byte 0x66;");
		FORM(2, ".byte 0x48;");
		FORM(3, ".byte 0xf3, 0x2e;");
		FORM(4, ".fill 13, 1, 0x66;");
		}
		g->val[3] = vec;
		g->val[4] = eax;
		g->val[5] = ebx;
		g->val[6] = ecx;
		g->val[7] = edx;
		guest_done(g, n);
	}
}

static void begin_cpuid(struct kvmi_test *t, int i, int form, __u64 eax, __u64 ecx)
{
	t->guest[i]->val[0] = form;
	t->guest[i]->val[1] = eax;
	t->guest[i]->val[2] = ecx;
	kvmi_step_begin(t, i);
}

static void expect_values(struct kvmi_test *t, int i, __u64 eax, __u64 ebx, __u64 ecx, __u64 edx)
{
	__u64 *v = t->guest[i]->val;

	kvmi_step_end(t, i);
	TEST_ASSERT_EQ(v[3], 0);
	TEST_ASSERT(v[4] == eax && v[5] == ebx && v[6] == ecx && v[7] == edx,
		    "the guest sees %#llx %#llx %#llx %#llx, expected %#llx %#llx %#llx %#llx",
		    v[4], v[5], v[6], v[7], eax, ebx, ecx, edx);
}

/* The leaf that no processor has: the test gives it values. */
#define LEAF	0x40001234

static void set_leaf(struct kvmi_test *t, int i)
{
	struct kvm_vcpu *vcpu = t->vcpu[i];
	struct kvm_cpuid2 *cpuid = vcpu->cpuid;

	vcpu->cpuid = allocate_kvm_cpuid2(cpuid->nent + 1);
	memcpy(vcpu->cpuid->entries, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	vcpu->cpuid->entries[cpuid->nent] = (struct kvm_cpuid_entry2) {
		.function = LEAF, .eax = 0x11, .ebx = 0x22, .ecx = 0x33, .edx = 0x80000044,
	};
	vcpu->cpuid->nent = cpuid->nent + 1;
	free(cpuid);
	vcpu_set_cpuid(vcpu);
}

static void expect_leaf(struct kvmi_test *t, int i)
{
	expect_values(t, i, 0x11, 0x22, 0x33, 0x80000044);
}

static void enable(struct kvmi_test *t, int i)
{
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_CPUID, 1));
}

static void expect_cpuid(struct kvmi_test *t, int i, int form, __u32 eax, __u32 ecx,
			 struct kvmi_event_msg *ev)
{
	const __u8 *insn;

	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_CPUID, ev);
	TEST_ASSERT_EQ(ev->cpuid.function, eax);
	TEST_ASSERT_EQ(ev->cpuid.index, ecx);
	TEST_ASSERT_EQ(ev->cpuid.insn_len, lengths[form]);
	insn = addr_gva2hva(t->vm, ev->ev.arch.regs.rip);
	TEST_ASSERT(!memcmp(insn + lengths[form] - 2, "\x0f\xa2", 2),
		    "RIP and length of the event do not fit the instruction");
}

static void start(struct kvmi_test *t)
{
	set_leaf(t, 0);
	kvmi_run(t, 0);
	enable(t, 0);
}

/* --- what the guest gets ----------------------------------------------------------------- */

KVMI_TEST(kvmi_cpuid_event, continued, guest_cpuid)
{
	struct kvmi_event_msg ev;

	start(t);
	for (int form = 0; form < ARRAY_SIZE(lengths); form++) {
		for (int i = 0; i < 3; i++) {
			begin_cpuid(t, 0, form, LEAF, i);
			expect_cpuid(t, 0, form, LEAF, i, &ev);
			kvmi_continue(&t->tool, &ev);
			expect_leaf(t, 0);
		}
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* Only the lower halves are the instruction's. */
KVMI_TEST(kvmi_cpuid_event, upper_halves, guest_cpuid)
{
	const __u64 high = 0x5555555500000000;
	struct kvmi_event_msg ev;

	start(t);
	begin_cpuid(t, 0, 0, high | LEAF, high | 7);
	expect_cpuid(t, 0, 0, LEAF, 7, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.regs.rax, high | LEAF);
	kvmi_continue(&t->tool, &ev);
	expect_leaf(t, 0);
}

/* As a tool answers: registers, RIP behind the instruction, RETRY. */
static void answer(struct kvmi_test *t, int i, const struct kvmi_event_msg *ev)
{
	struct kvm_regs regs = ev->ev.arch.regs;

	regs.rax = 0xa;
	regs.rbx = 0xb;
	regs.rcx = 0xc;
	regs.rdx = 0xd;
	regs.rip += ev->cpuid.insn_len;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, i, &regs));
	kvmi_reply(&t->tool, ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
}

KVMI_TEST(kvmi_cpuid_event, answered_by_the_tool, guest_cpuid)
{
	struct kvmi_event_msg ev;

	start(t);
	for (int form = 0; form < ARRAY_SIZE(lengths); form++) {
		begin_cpuid(t, 0, form, LEAF, 1);
		expect_cpuid(t, 0, form, LEAF, 1, &ev);
		answer(t, 0, &ev);
		expect_values(t, 0, 0xa, 0xb, 0xc, 0xd);
		/* Not the same thing twice. */
		begin_cpuid(t, 0, form, LEAF, 1);
		expect_cpuid(t, 0, form, LEAF, 1, &ev);
		kvmi_continue(&t->tool, &ev);
		expect_leaf(t, 0);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* Without a new RIP the instruction executes again, which is another event. */
KVMI_TEST(kvmi_cpuid_event, retried_in_place, guest_cpuid)
{
	struct kvmi_event_msg ev;

	start(t);
	begin_cpuid(t, 0, 0, LEAF, 0);
	for (int i = 1; i <= 5; i++) {
		expect_cpuid(t, 0, 0, LEAF, 0, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
		kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
	}
	expect_cpuid(t, 0, 0, LEAF, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_leaf(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- when there is none ------------------------------------------------------------------ */

static void in_silence(struct kvmi_test *t)
{
	begin_cpuid(t, 0, 0, LEAF, 0);
	expect_leaf(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_cpuid_event, switched_off, guest_cpuid)
{
	struct kvmi_event_msg ev;

	set_leaf(t, 0);
	kvmi_run(t, 0);
	in_silence(t);
	enable(t, 0);
	begin_cpuid(t, 0, 0, LEAF, 0);
	expect_cpuid(t, 0, 0, LEAF, 0, &ev);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CPUID, 0));
	kvmi_continue(&t->tool, &ev);
	expect_leaf(t, 0);
	in_silence(t);
	enable(t, 0);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_CPUID, 0),
		       0);
	in_silence(t);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_CPUID, 1),
		       0);
	kvmi_test_rehook(t);
	/* The vCPU joins the new session when it serves it. */
	kvmi_expect_no_event(&t->tool, 0);
	in_silence(t);
}

/* CPUID faulting is for CPL 1 to 3: there it is #GP, which is not the tool's. */
#define PLATFORM_INFO_CPUID_FAULT	BIT_ULL(31)
#define MISC_FEATURES_CPUID_FAULT	BIT_ULL(0)

static void enable_faulting(struct kvmi_test *t)
{
	vcpu_set_msr(t->vcpu[0], MSR_PLATFORM_INFO, PLATFORM_INFO_CPUID_FAULT);
	vcpu_set_msr(t->vcpu[0], MSR_MISC_FEATURES_ENABLES, MISC_FEATURES_CPUID_FAULT);
}

KVMI_TEST(kvmi_cpuid_event, faulting_in_user_mode, guest_cpuid)
{
	struct kvmi_event_msg ev;

	enable_faulting(t);
	kvmi_user_mode(t, 0);
	start(t);
	for (int i = 0; i < 3; i++) {
		begin_cpuid(t, 0, 0, LEAF, 0);
		kvmi_step_end(t, 0);
		TEST_ASSERT_EQ(t->guest[0]->val[3], GP_VECTOR);
		kvmi_expect_no_event(&t->tool, 0);
	}
	/* And with it off again the guest hears of the leaf, and so does the tool. */
	kvmi_worker_stop(&t->worker[0]);
	vcpu_set_msr(t->vcpu[0], MSR_MISC_FEATURES_ENABLES, 0);
	kvmi_run(t, 0);
	begin_cpuid(t, 0, 0, LEAF, 0);
	expect_cpuid(t, 0, 0, LEAF, 0, &ev);
	TEST_ASSERT_EQ(ev.ev.arch.sregs.cs.dpl, 3);
	kvmi_continue(&t->tool, &ev);
	expect_leaf(t, 0);
}

KVMI_TEST(kvmi_cpuid_event, faulting_in_supervisor_mode, guest_cpuid)
{
	struct kvmi_event_msg ev;

	enable_faulting(t);
	start(t);
	begin_cpuid(t, 0, 0, LEAF, 0);
	expect_cpuid(t, 0, 0, LEAF, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_leaf(t, 0);
}

/* --- other ends -------------------------------------------------------------------------- */

static void at_cpuid(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	start(t);
	begin_cpuid(t, 0, 1, LEAF, 5);
	expect_cpuid(t, 0, 1, LEAF, 5, ev);
}

KVMI_TEST(kvmi_cpuid_event, signal, guest_cpuid)
{
	struct kvmi_event_msg ev;

	at_cpuid(t, &ev);
	for (int i = 0; i < 5; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_continue(&t->tool, &ev);
	expect_leaf(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_cpuid_event, signal_then_answered_by_the_tool, guest_cpuid)
{
	struct kvmi_event_msg ev;

	at_cpuid(t, &ev);
	kvmi_worker_interrupt(&t->worker[0]);
	answer(t, 0, &ev);
	expect_values(t, 0, 0xa, 0xb, 0xc, 0xd);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_cpuid_event, crash, guest_cpuid)
{
	struct kvmi_event_msg ev;

	at_cpuid(t, &ev);
	kvmi_expect_crash(t, 0, &ev);
}

KVMI_TEST(kvmi_cpuid_event, unknown_action, guest_cpuid)
{
	struct kvmi_event_msg ev;

	at_cpuid(t, &ev);
	kvmi_expect_no_action(t, &ev, 3);
	expect_leaf(t, 0);
}

KVMI_TEST(kvmi_cpuid_event, tool_closes, guest_cpuid)
{
	struct kvmi_event_msg ev;

	at_cpuid(t, &ev);
	kvmi_tool_close(&t->tool);
	expect_leaf(t, 0);
}

KVMI_TEST(kvmi_cpuid_event_smp, vcpus_are_independent, guest_cpuid)
{
	struct kvmi_event_msg ev;

	set_leaf(t, 0);
	set_leaf(t, 1);
	kvmi_run_all(t);
	enable(t, 1);
	in_silence(t);
	begin_cpuid(t, 1, 0, LEAF, 0);
	expect_cpuid(t, 1, 0, LEAF, 0, &ev);
	kvmi_expect_running(t, 0);
	in_silence(t);
	answer(t, 1, &ev);
	expect_values(t, 1, 0xa, 0xb, 0xc, 0xd);
}

KVMI_TEST_MAIN()
