/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_CODE_H
#define SELFTEST_KVMI_PF_CODE_H

/* Functions that a test puts together and restricts, and a guest that calls them. */
#include "kvmi_pf.h"

#define NR_PAGES	4		/* two of code, two of data */
#define DATA		(2 * PAGE)
#define RAX		0x1234ull

/* In g->val. */
enum { CODE, SI, DI, CX, OUT_AX, OUT_DX, OUT_BX, NR_EXCEPTIONS };

/* --- code that the host puts together --- */

struct code {
	__u8 bytes[64];
	int len, nr, begin[16];
};

static inline void add_insn(struct code *c, const void *bytes, int len)
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

/* --- the guest --- */

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

static inline void guest_calls(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		guest_call(g);
		guest_done(g, n);
	}
}

/* SSE has to be switched on at CPL 0. */
static inline void guest_sse_calls(struct kvmi_guest *g)
{
	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	guest_calls(g);
}

/* --- the host --- */

/* The code begins at @offset of the area; its data are in the third page. */
static inline void prepare(struct kvmi_test *t, struct area *a, const struct code *c, __u64 offset)
{
	__u64 *val = t->guest[0]->val;

	memcpy(a->hva + offset, c->bytes, c->len);
	val[CODE] = a->gva + offset;
	val[SI] = a->gva + DATA;
	val[DI] = a->gva + DATA + 8;
	*(__u64 *)(a->hva + DATA) = 0xabcdef;
}

static inline void expect_exec(struct kvmi_test *t, const struct area *a, __u64 offset)
{
	struct kvmi_event_msg ev;

	expect_pf(t, 0, ACCESS_X, a->gva + offset, a->gpa + offset, &ev);
	kvmi_continue(&t->tool, &ev);
}

/* Instructions @from to @to of the code, which begins at @offset. */
static inline void expect_insns(struct kvmi_test *t, const struct area *a, const struct code *c,
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

static inline void finish(struct kvmi_test *t)
{
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

static inline void run(struct kvmi_test *t)
{
	kvmi_run(t, 0);
	enable_pf(t, 0);
}

static inline struct code simple_function(void)
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

#endif /* SELFTEST_KVMI_PF_CODE_H */
