/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_GUEST_H
#define SELFTEST_KVMI_PF_GUEST_H

/*
 * A guest that executes one of some instructions in each step, at addresses that the
 * host knows.
 */
#include "kvmi_pf.h"

/* In g->val. */
enum { INSN, RSI, RDI, RCX, RESULT };

#define INSN_RAX	0x1122334455667788ull
#define INSN_BYTE	0x88

/* RSI has the operand; RDI is the second one or, for REP, the destination. */
#define INSNS(INSN) \
INSN(ADD,	"addq $1, (%%rsi)")			\
INSN(ADD_PAGE,	"addq $4096, (%%rsi)")			\
INSN(ADD_RAX,	"addq (%%rsi), %%rax")			\
INSN(LOCK_ADD,	"lock addq $1, (%%rsi)")		\
INSN(LOAD,	"movq (%%rsi), %%rax")			\
INSN(STORE,	"movq %%rax, (%%rsi)")			\
INSN(STORE_RCX,	"movq %%rcx, (%%rsi)")			\
INSN(CALL,	"sub $128, %%rsp\n\tcall *%%rsi\n\tadd $128, %%rsp") \
INSN(SGDT,	"sgdt (%%rsi)")				\
INSN(PUSH,	"mov %%rsp, %%rdx\n\tmov %%rdi, %%rsp\n\tpushq (%%rsi)\n\t"	\
		"mov %%rsp, %%rax\n\tmov %%rdx, %%rsp")	\
INSN(TWO_STORES, "movq %%rax, (%%rsi)\n\tmovq %%rax, 8(%%rsi)") \
INSN(CMP,	"cmpq $5, (%%rsi)\n\tsete %%al\n\tmovzbl %%al, %%eax") \
INSN(XCHG_CROSS, "xchgl %%eax, (%%rsi)\n\tmovl %%eax, %%eax") \
INSN(CMPXCHG,	"mov $5, %%eax\n\tlock cmpxchgq %%rsi, (%%rsi)") \
INSN(CMPXCHG16B, "xor %%eax, %%eax\n\txor %%edx, %%edx\n\tmov $7, %%ebx\n\txor %%ecx, %%ecx\n\t" \
		"lock cmpxchg16b (%%rsi)")		\
INSN(MOVSQ,	"movsq")				\
INSN(MOVSQ_BACK, "movsq")				\
INSN(REP_STOSB,	"rep stosb")				\
INSN(REP_MOVSB,	"rep movsb")				\
INSN(REP_STOSB_STORE, "rep stosb\n\tmovb %%al, (%%rdi)")	\
INSN(FLUSH,	"mov %%cr3, %%rax\n\tmov %%rax, %%cr3")	\
INSN(PADDD,	"movq %%rax, %%xmm0\n\tpaddd (%%rsi), %%xmm0\n\tmovq %%xmm0, %%rax") \
INSN(MOVLPS,	"movq %%rax, %%xmm0\n\tmovlps %%xmm0, (%%rsi)")

enum {
#define INSN_NUMBER(name, text) name,
	INSNS(INSN_NUMBER)
	NR_INSNS
};

/* Where the guest has them. */
#define INSN_LABELS(name, text) \
extern const char insn_##name[], insn_##name##_end[];
INSNS(INSN_LABELS)
#define INSN_BEGIN(name, text) [name] = insn_##name,
static const char *const insn_begin[NR_INSNS] = { INSNS(INSN_BEGIN) };
#define INSN_END(name, text) [name] = insn_##name##_end,
static const char *const insn_end[NR_INSNS] = { INSNS(INSN_END) };

/* Neither inlined nor cloned, for each label must be there once. */
static noinline __attribute__((noclone)) void guest_execute(struct kvmi_guest *g)
{
	__u64 rax = INSN_RAX, si = g->val[RSI], di = g->val[RDI], cx = g->val[RCX];

	switch (g->val[INSN]) {
#define INSN_EXECUTE(name, text)						\
	case name:								\
		asm volatile(".globl insn_" #name "\n\t"			\
			     "insn_" #name ": " text "\n\t"			\
			     ".globl insn_" #name "_end\n\t"			\
			     "insn_" #name "_end: nop"				\
			     : "+a"(rax), "+S"(si), "+D"(di), "+c"(cx)		\
			     : : "rbx", "rdx", "xmm0", "memory", "cc");			\
		break;
	INSNS(INSN_EXECUTE)
	}
	g->val[RESULT] = rax;
}

static inline void guest_insns(struct kvmi_guest *g)
{
	/* For SSE. */
	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		guest_execute(g);
		guest_done(g, n);
	}
}

/* --- the host --- */

static inline __u64 word(const struct area *a, __u64 offset)
{
	__u64 val;

	memcpy(&val, a->hva + offset, sizeof(val));
	return val;
}

/* Zeroed pages with this access, a guest that runs, and the event switched on. */
static inline void start_restricted(struct kvmi_test *t, struct area *a, __u8 access)
{
	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access_range(t, a->gpa / PAGE, a->nr_pages, access));
}

/* @n is in RCX. STOS writes at @gva, MOVS reads there and writes three pages from there. */
static inline void begin_insn(struct kvmi_test *t, int insn, __u64 gva, __u64 n)
{
	__u64 *val = t->guest[0]->val;

	val[INSN] = insn;
	val[RSI] = gva;
	val[RDI] = gva + 3 * PAGE;
	if (insn == REP_STOSB || insn == REP_STOSB_STORE)
		val[RDI] = gva;
	else if (insn == MOVSQ_BACK)
		val[RDI] = gva - 3 * PAGE;
	val[RCX] = n;
	kvmi_step_begin(t, 0);
}

static inline void end_insn(struct kvmi_test *t)
{
	kvmi_step_end(t, 0);
}

/* Without an event. */
static inline void run_insn(struct kvmi_test *t, int insn, __u64 gva, __u64 n)
{
	begin_insn(t, insn, gva, n);
	end_insn(t);
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- an ADD in the first page, which may be read, waits for its reply --- */

static inline void wait_for_the_event(struct kvmi_test *t, struct area *a,
				      struct kvmi_event_msg *ev)
{
	start_restricted(t, a, ACCESS_R);
	begin_insn(t, ADD, a->gva + 8, 0);
	expect_pf(t, 0, ACCESS_W, a->gva + 8, a->gpa + 8, ev);
}

static inline void expect_released(struct kvmi_test *t, struct area *a)
{
	end_insn(t);
	TEST_ASSERT_EQ(word(a, 8), 1);
	begin_insn(t, ADD, a->gva + 8, 0);
	end_insn(t);
	TEST_ASSERT_EQ(word(a, 8), 2);
	kvmi_test_rehook(t);
	enable_pf(t, 0);
	TEST_ASSERT_EQ(get_access(t, a->gpa), ACCESS_RWX);
	run_insn(t, ADD, a->gva + 8, 0);
	TEST_ASSERT_EQ(word(a, 8), 3);
}

#endif /* SELFTEST_KVMI_PF_GUEST_H */
