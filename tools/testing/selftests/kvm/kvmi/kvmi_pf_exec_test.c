// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that must not be executed: one event for each instruction there, which then
 * does what it always does.
 */
#include "kvmi_pf.h"
#include "kvmi_test_harness.h"

#define NR_PAGES	4		/* two of code, two of data */
#define DATA		(2 * PAGE)
#define RAX		0x1234ull

/* In g->val. */
enum { CODE, SI, DI, CX, OUT_AX, OUT_DX, OUT_BX, NR_EXCEPTIONS };

KVMI_TEST_SUITE(kvmi_pf_exec, 1);

/* --- code that the host puts together ------------------------------------------------- */

struct code {
	__u8 bytes[64];
	int len, nr, begin[16];
};

static void add_insn(struct code *c, const void *bytes, int len)
{
	c->begin[c->nr++] = c->len;
	memcpy(c->bytes + c->len, bytes, len);
	c->len += len;
}

#define INSN(c, ...)								\
do {										\
	static const __u8 __bytes[] = { __VA_ARGS__ };				\
										\
	add_insn(c, __bytes, sizeof(__bytes));					\
} while (0)

#define NOP		0x90
#define INC_RAX		0x48, 0xff, 0xc0
#define ADD5_RAX	0x48, 0x83, 0xc0, 0x05
#define MOV64_RDX	0x48, 0xba, 1, 2, 3, 4, 5, 6, 7, 8
#define PUSH_RAX	0x50
#define POP_RDX		0x5a
#define JMP_NEXT	0xeb, 0x00
#define LOAD_RDX	0x48, 0x8b, 0x16	/* mov (%rsi), %rdx */
#define STORE_RAX	0x48, 0x89, 0x07	/* mov %rax, (%rdi) */
#define STORE_AL	0x88, 0x07		/* mov %al, (%rdi) */
#define PADDD		0x66, 0x0f, 0xfe, 0xc0	/* paddd %xmm0, %xmm0 */
#define PADDD_MEM	0x66, 0x0f, 0xfe, 0x06	/* paddd (%rsi), %xmm0 */
#define RDX_TO_XMM0	0x66, 0x48, 0x0f, 0x6e, 0xc2
#define XMM0_TO_RDX	0x66, 0x48, 0x0f, 0x7e, 0xc2
#define CPUID		0x0f, 0xa2
#define INT3		0xcc
#define UD2		0x0f, 0x0b
#define RET		0xc3

/* --- the guest ------------------------------------------------------------------------- */

static struct kvmi_guest *exec_guest;

static noinline void guest_call(struct kvmi_guest *g)
{
	__u64 ax = RAX, dx = 0, bx = 0, si = g->val[SI], di = g->val[DI], cx = g->val[CX];

	asm volatile("call *%[code]"
		     : "+a"(ax), "+d"(dx), "+b"(bx), "+S"(si), "+D"(di), "+c"(cx)
		     : [code] "r"(g->val[CODE]) : "r8", "r9", "xmm0", "memory", "cc");
	g->val[OUT_AX] = ax;
	g->val[OUT_DX] = dx;
	g->val[OUT_BX] = bx;
}

static void guest_calls(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		guest_call(g);
		guest_done(g, n);
	}
}

/* SSE has to be switched on at CPL 0. */
static void guest_sse_calls(struct kvmi_guest *g)
{
	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	guest_calls(g);
}

/* --- the host -------------------------------------------------------------------------- */

/* The code begins at @offset of the area; its data are in the third page. */
static void prepare(struct kvmi_test *t, struct area *a, const struct code *c, __u64 offset)
{
	__u64 *val = t->guest[0]->val;

	memcpy(a->hva + offset, c->bytes, c->len);
	val[CODE] = a->gva + offset;
	val[SI] = a->gva + DATA;
	val[DI] = a->gva + DATA + 8;
	*(__u64 *)(a->hva + DATA) = 0xabcdef;
}

static void expect_exec(struct kvmi_test *t, const struct area *a, __u64 offset)
{
	struct kvmi_event_msg ev;

	expect_pf(t, 0, ACCESS_X, a->gva + offset, a->gpa + offset, &ev);
	kvmi_continue(&t->tool, &ev);
}

/* Instructions @from to @to of the code, which begins at @offset. */
static void expect_insns(struct kvmi_test *t, const struct area *a, const struct code *c,
			 __u64 offset, int from, int to)
{
	struct kvmi_event_msg ev;

	for (int i = from; i < to; i++) {
		__u64 at = offset + c->begin[i];

		expect_pf(t, 0, ACCESS_X, a->gva + at, a->gpa + at, &ev);
		TEST_ASSERT_EQ(ev.ev.arch.regs.rip, a->gva + at);
		kvmi_continue(&t->tool, &ev);
	}
}

static void finish(struct kvmi_test *t)
{
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

static void run(struct kvmi_test *t)
{
	kvmi_run(t, 0);
	enable_pf(t, 0);
}

static struct code simple_function(void)
{
	struct code c = { };

	INSN(&c, NOP);
	INSN(&c, INC_RAX);
	INSN(&c, ADD5_RAX);
	INSN(&c, PUSH_RAX);
	INSN(&c, POP_RDX);
	INSN(&c, JMP_NEXT);
	INSN(&c, STORE_RAX);
	INSN(&c, LOAD_RDX);
	INSN(&c, RET);
	return c;
}

static void run_simple_function(struct kvmi_test *t, __u8 access)
{
	struct code c = simple_function();
	struct area a = add_area(t, NR_PAGES);

	run(t);
	prepare(t, &a, &c, 0x123);
	KVMI_ASSERT_OK(set_access(t, a.gpa, access));
	for (int i = 0; i < 3; i++) {
		*(__u64 *)(a.hva + DATA + 8) = 0;
		kvmi_step_begin(t, 0);
		expect_insns(t, &a, &c, 0x123, 0, c.nr);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 6);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], 0xabcdef);
		TEST_ASSERT_EQ(*(__u64 *)(a.hva + DATA + 8), RAX + 6);
	}
	/* Without the event, and without the restriction. */
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_PF, 0));
	kvmi_step_begin(t, 0);
	finish(t);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
	kvmi_step_begin(t, 0);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 6);
}

KVMI_TEST(kvmi_pf_exec, each_instruction, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	run_simple_function(t, ACCESS_RW);
}

KVMI_TEST(kvmi_pf_exec, each_instruction_of_a_page_without_access, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	if (!(pf_features(t) & KVMI_PAGE_ACCESS_NONE))
		SKIP_CASE("this processor cannot take away the right to read");
	run_simple_function(t, 0);
}

/* RIP of the event, when the tool goes elsewhere. */
KVMI_TEST(kvmi_pf_exec, tool_skips_instructions, guest_calls)
{
	struct code c = simple_function();
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	run(t);
	prepare(t, &a, &c, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	kvmi_step_begin(t, 0);
	for (int i = 0; i < 3; i++) {
		expect_pf(t, 0, ACCESS_X, a.gva, a.gpa, &ev);
		retry_pf(t, &ev);
	}
	expect_pf(t, 0, ACCESS_X, a.gva, a.gpa, &ev);
	ev.ev.arch.regs.rip = a.gva + c.begin[c.nr - 1];
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &ev.ev.arch.regs));
	retry_pf(t, &ev);
	expect_exec(t, &a, c.begin[c.nr - 1]);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX);
}

/* --- across two pages ---------------------------------------------------------------------- */

FIXTURE(kvmi_pf_cross) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_cross) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_cross) { kvmi_test_teardown(&self->t); }
FIXTURE_VARIANT(kvmi_pf_cross) { bool first, second; };
FIXTURE_VARIANT_ADD(kvmi_pf_cross, first) { .first = true };
FIXTURE_VARIANT_ADD(kvmi_pf_cross, second) { .second = true };
FIXTURE_VARIANT_ADD(kvmi_pf_cross, both) { .first = true, .second = true };

static void cross(struct kvmi_test *t, const struct code *c, int before, bool first, bool second)
{
	struct area a = add_area(t, NR_PAGES);
	__u64 offset = PAGE - c->begin[1] - before;

	run(t);
	prepare(t, &a, c, offset);
	KVMI_ASSERT_OK(set_access(t, a.gpa, first ? ACCESS_RW : ACCESS_RWX));
	KVMI_ASSERT_OK(set_access(t, a.gpa + PAGE, second ? ACCESS_RW : ACCESS_RWX));
	for (int i = 0; i < 3; i++) {
		kvmi_step_begin(t, 0);
		if (first)
			expect_insns(t, &a, c, offset, 0, 2);
		if (second) {
			expect_exec(t, &a, PAGE);
			expect_insns(t, &a, c, offset, 2, c->nr);
		}
		finish(t);
	}
}

TEST_F_TIMEOUT(kvmi_pf_cross, emulated, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct code c = { };

	REQUIRE_PAGE_ACCESS(t);
	kvmi_set_guest(t, 0, guest_calls);
	INSN(&c, INC_RAX);
	INSN(&c, MOV64_RDX);
	INSN(&c, RET);
	cross(t, &c, 3, variant->first, variant->second);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 1);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], 0x0807060504030201ull);
}

TEST_F_TIMEOUT(kvmi_pf_cross, not_emulated, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct code c = { };

	REQUIRE_PF_STEP(t);
	kvmi_set_guest(t, 0, guest_sse_calls);
	INSN(&c, INC_RAX);
	INSN(&c, PADDD_MEM);
	INSN(&c, RET);
	cross(t, &c, 2, variant->first, variant->second);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + 1);
}

/* --- code that writes -------------------------------------------------------------------------- */

/* The instruction behind changes: what it adds. */
KVMI_TEST(kvmi_pf_exec, self_modifying, guest_calls)
{
	struct code c = { };
	struct kvmi_event_msg ev;
	struct area a;
	__u64 at;

	REQUIRE_PAGE_ACCESS(t);
	a = add_area(t, NR_PAGES);
	run(t);
	INSN(&c, STORE_AL);
	INSN(&c, ADD5_RAX);
	INSN(&c, RET);
	prepare(t, &a, &c, 0x40);
	at = 0x40 + c.begin[1] + 3;
	t->guest[0]->val[DI] = a.gva + at;
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RX));
	for (int i = 0; i < 2; i++) {
		a.hva[at] = 5;
		kvmi_step_begin(t, 0);
		expect_pf(t, 0, ACCESS_W, a.gva + at, a.gpa + at, &ev);
		kvmi_continue(&t->tool, &ev);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + (RAX & 0xff));
	}
	/* The same where nothing but reading is left. */
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
	a.hva[at] = 5;
	kvmi_step_begin(t, 0);
	expect_exec(t, &a, 0x40);
	expect_pf(t, 0, ACCESS_W, a.gva + at, a.gpa + at, &ev);
	kvmi_continue(&t->tool, &ev);
	expect_insns(t, &a, &c, 0x40, 1, c.nr);
	finish(t);
	TEST_ASSERT_EQ(t->guest[0]->val[OUT_AX], RAX + (RAX & 0xff));
}

/*
 * An operand in another page, as far from its begin as the instruction: what the
 * processor tells about the fetch is not about the operand.
 */
static void same_offset(struct kvmi_test *t, bool reported, bool operand)
{
	struct area a = add_area(t, NR_PAGES);
	__u8 before[PAGE];
	struct code c = { };

	run(t);
	if (!reported)
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_PF, 0));
	INSN(&c, STORE_RAX);
	INSN(&c, LOAD_RDX);
	INSN(&c, RET);
	prepare(t, &a, &c, 0x48);
	t->guest[0]->val[DI] = a.gva + DATA + 0x48;
	t->guest[0]->val[SI] = a.gva + DATA + 0x48 + c.begin[1];
	*(__u64 *)(a.hva + DATA + 0x48 + c.begin[1]) = 0;
	memcpy(before, a.hva, PAGE);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RW));
	if (operand)
		KVMI_ASSERT_OK(set_access(t, a.gpa + DATA, ACCESS_R));
	for (int i = 0; i < 3; i++) {
		memset(a.hva + DATA, 0, PAGE);
		kvmi_step_begin(t, 0);
		if (reported) {
			expect_exec(t, &a, 0x48);
			if (operand) {
				struct kvmi_event_msg ev;

				expect_pf(t, 0, ACCESS_W, a.gva + DATA + 0x48,
					  a.gpa + DATA + 0x48, &ev);
				kvmi_continue(&t->tool, &ev);
			}
			expect_insns(t, &a, &c, 0x48, 1, c.nr);
		}
		finish(t);
		TEST_ASSERT(!memcmp(before, a.hva, PAGE), "the code has changed");
		TEST_ASSERT_EQ(*(__u64 *)(a.hva + DATA + 0x48), RAX);
		TEST_ASSERT_EQ(t->guest[0]->val[OUT_DX], RAX >> 24);
	}
}

KVMI_TEST(kvmi_pf_exec, operand_at_the_same_offset, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	same_offset(t, true, false);
}

KVMI_TEST(kvmi_pf_exec, operand_at_the_same_offset_silently, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	same_offset(t, false, false);
}

KVMI_TEST(kvmi_pf_exec, restricted_operand_at_the_same_offset, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	same_offset(t, true, true);
}

KVMI_TEST(kvmi_pf_exec, restricted_operand_at_the_same_offset_silently, guest_calls)
{
	REQUIRE_PAGE_ACCESS(t);
	same_offset(t, false, true);
}

/* --- what KVM's emulator lacks --------------------------------------------------------------------- */

KVMI_TEST(kvmi_pf_exec, sse, guest_sse_calls)
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
KVMI_TEST(kvmi_pf_exec, sse_in_a_page_without_access, guest_sse_calls)
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

KVMI_TEST(kvmi_pf_exec, cpuid, guest_calls)
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

/* A call that KVM does not know, and one that it does. */
KVMI_TEST(kvmi_pf_exec, hypercall, guest_calls)
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

KVMI_TEST(kvmi_pf_exec, exceptions, guest_calls)
{
	REQUIRE_PF_STEP(t);
	exceptions(t, false);
}

KVMI_TEST(kvmi_pf_exec, breakpoint_event, guest_calls)
{
	REQUIRE_PF_STEP(t);
	exceptions(t, true);
}

/* --- other modes ------------------------------------------------------------------------------------ */

KVMI_TEST(kvmi_pf_exec, user_mode, guest_calls)
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
KVMI_TEST(kvmi_pf_exec, code_32, guest_calls)
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
