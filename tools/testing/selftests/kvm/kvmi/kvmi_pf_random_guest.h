/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_RANDOM_GUEST_H
#define SELFTEST_KVMI_PF_RANDOM_GUEST_H

/*
 * A guest that works in pages that are restricted meanwhile, and stops at what is not as
 * it has to be: an access that was lost or done twice, or led elsewhere.
 */
#include "kvmi_pf_random_ops.h"

/* As there. */
#pragma GCC push_options
#pragma GCC optimize("no-tree-vectorize")

/* --- functions for the code pages; they run anywhere --- */

extern const char random_plain[], random_plain_end[], random_sse[], random_sse_end[];

/*
 * RAX goes in and comes out, RSI and RDI are memory to read and write, R9 the counter
 * that has to move first.
 */
asm(".pushsection .text\n\t"
	"random_plain:\n\t"
	"incq (%r9)\n\t"
	"lea 5(%rax,%rax,2), %rdx\n\t"
	"push %rdx\n\t"
	"xor %rax, %rdx; rol $7, %rdx; imul $0x1234567, %rdx, %rdx\n\t"
	"movsq\n\t"
	"add %rdx, -8(%rdi)\n\t"
	"pop %rax\n\t"
	"jmp 1f\n\t"
	".skip 5, 0xcc\n\t"
	"1: call 2f\n\t"
	"sub %rdx, %rax\n\t"
	"ret\n\t"
	"2: movzwl (%rsi), %edx\n\t"
	"ret\n\t"
	"random_plain_end:\n\t"
	"random_sse:\n\t"
	"incq (%r9)\n\t"
	"movq %rax, %xmm0; movq (%rsi), %xmm1; paddq %xmm1, %xmm0\n\t"
	"movlps %xmm0, (%rdi); pxor %xmm1, %xmm0; movq %xmm0, %rax\n\t"
	"push %rax; sub $1, %rax; addq $7, (%rsp); pop %rdx; xor %rdx, %rax\n\t"
	"ret\n\t"
	"random_sse_end:\n\t"
	".popsection");

/* Where functions are in the code pages: two go across a page's end. */
static const struct { const char *begin, *end; __u64 offset; } random_functions[NR_FUNCTIONS] = {
	{ random_plain, random_plain_end, 0x123 },
	{ random_plain, random_plain_end, PAGE - 0x16 },
	{ random_sse, random_sse_end, 2 * PAGE + 0x345 },
	{ random_sse, random_sse_end, 2 * PAGE - 0x0d },
};

static noinline __attribute__((noclone)) __u64 call_function(__u64 function, __u64 *counter,
							     __u8 *mem, __u64 a)
{
	register __u64 r9 asm("r9") = (__u64)counter;
	__u64 rax = a, si = (__u64)mem + at(a), di = (__u64)mem + at2(a);

	asm volatile("lea -128(%%rsp), %%rsp; call *%[function]; lea 128(%%rsp), %%rsp"
		     : "+a"(rax), "+S"(si), "+D"(di)
		     : [function] "r"(function), "r"(r9)
		     : "rdx", "xmm0", "xmm1", "memory", "cc");
	return rax;
}

static inline void guest_code_page(struct random_guest *g, __u64 a, int nr_functions)
{
	int i = (a >> 5) % nr_functions;
	__u64 elsewhere = 0, ax, mirrored;

	ax = call_function(g->function[i], &g->calls[i], (__u8 *)g->own, a);
	mirrored = call_function((__u64)random_functions[i].begin, &elsewhere,
				 (__u8 *)g->mirror, a);
	GUEST_ASSERT_EQ(ax, mirrored);
}

/* MOV to RAX and RET, in eight places of a page that is the vCPU's own. */
#define PATCHED(n)	(0x100 + 0x1ff * (n))

static inline void guest_changed_code(struct random_guest *g, __u64 a)
{
	__u64 function = g->own + OWN_CODE * PAGE + PATCHED(a & 7), ax;

	*(volatile __u64 *)(function + 2) = a;
	asm volatile("lea -128(%%rsp), %%rsp; call *%1; lea 128(%%rsp), %%rsp"
		     : "=a"(ax) : "r"(function) : "memory");
	GUEST_ASSERT_EQ(ax, a);
}

/* --- the page that both change --- */

static inline void guest_both(struct random_guest *g, __u64 a, bool wide)
{
	__u64 *shared = (__u64 *)(g->area + SHARED * PAGE), word = a >> 3 & (NR_WORDS - 1);
	__u64 r = a >> 32, old, lo, hi;
	__u8 taken = 1, done;

	switch (a % (wide ? 6 : 5)) {
	case 0:
		asm volatile("lock addq %1, (%0)" : : "r"(&shared[word]), "r"(r) : "memory", "cc");
		g->added[word] += r;
		break;
	case 1:
		asm volatile("lock xaddq %0, (%1)"
			     : "+r"(r) : "r"(&shared[word]) : "memory", "cc");
		g->added[word] += a >> 32;
		break;
	case 2:
		old = READ_ONCE(shared[word]);
		asm volatile("lock cmpxchgq %[new], (%[m]); setz %[done]"
			     : "+a"(old), [done] "=q"(done)
			     : [m] "r"(&shared[word]), [new] "r"(old + r) : "memory", "cc");
		g->added[word] += done ? r : 0;
		break;
	case 3:
		asm volatile("xchgb %0, (%1)" : "+q"(taken) : "r"(&shared[LOCK]) : "memory");
		if (taken)
			break;
		WRITE_ONCE(shared[LOCKED], READ_ONCE(shared[LOCKED]) + 1);
		g->locked++;
		asm volatile("movb $0, (%0)" : : "r"(&shared[LOCK]) : "memory");
		break;
	case 4:
		asm volatile("addq $1, (%0)"
			     : : "r"(&shared[LOOSE + g->vcpu]) : "memory", "cc");
		g->loose++;
		break;
	case 5:
		lo = READ_ONCE(shared[PAIR]);
		hi = READ_ONCE(shared[PAIR + 1]);
		asm volatile("lock cmpxchg16b (%[m]); setz %[done]"
			     : "+a"(lo), "+d"(hi), [done] "=q"(done)
			     : [m] "r"(&shared[PAIR]), "b"(lo + 1), "c"(hi - 1)
			     : "memory", "cc");
		g->pair += done;
		break;
	}
}

/* --- windows, by page tables that are written here --- */

static inline void flush_window(struct random_guest *g, int i)
{
	asm volatile("invlpg (%0)" : : "r"(g->windows + i * PAGE) : "memory");
}

static inline void guest_swap(struct random_guest *g)
{
	__u64 *e = (__u64 *)g->entries, first = READ_ONCE(e[0]), frame = g->frame[0];

	WRITE_ONCE(e[0], READ_ONCE(e[1]));
	asm volatile("xchgq %0, (%1)" : "+r"(first) : "r"(&e[1]) : "memory");
	flush_window(g, 0);
	flush_window(g, 1);
	g->frame[0] = g->frame[1];
	g->frame[1] = frame;
}

static inline void guest_bits(struct random_guest *g, int i, __u64 *window)
{
	const __u64 both = PTE_ACCESSED_MASK | PTE_DIRTY_MASK;
	__u64 *e = (__u64 *)g->entries + i;

	asm volatile("lock andq %1, (%0)" : : "r"(e), "r"(~both) : "memory", "cc");
	flush_window(g, i);
	GUEST_ASSERT_EQ(READ_ONCE(*e) & both, 0);
	GUEST_ASSERT_EQ(READ_ONCE(*window), g->value[g->frame[i]]);
	GUEST_ASSERT_EQ(READ_ONCE(*e) & both, PTE_ACCESSED_MASK);
	WRITE_ONCE(*window, g->value[g->frame[i]]);
	GUEST_ASSERT_EQ(READ_ONCE(*e) & both, both);
}

static inline void guest_windows(struct random_guest *g, __u64 a)
{
	__u64 *frame, *window, i = a & 1, f = g->frame[i], edge;

	window = (__u64 *)(g->windows + i * PAGE + 0x800);
	frame = (__u64 *)(g->own + (OWN_FRAMES + f) * PAGE + 0x800);
	switch (a >> 1 & 7) {
	case 0:
		guest_swap(g);
		break;
	case 1:
		guest_bits(g, i, window);
		break;
	case 2:
	case 3:
		WRITE_ONCE(*window, a);
		g->value[f] = a;
		GUEST_ASSERT_EQ(READ_ONCE(*frame), a);
		break;
	case 4:
	case 5:
		WRITE_ONCE(*frame, a);
		g->value[f] = a;
		GUEST_ASSERT_EQ(READ_ONCE(*window), a);
		break;
	case 6:
		GUEST_ASSERT_EQ(READ_ONCE(*window), g->value[f]);
		break;
	case 7:
		/* From one frame to the other, in their order of now. */
		edge = *(volatile __u64 *)(g->windows + PAGE - 4);
		GUEST_ASSERT_EQ(edge, FRAME_EDGE(g->frame[0]) |
				(__u64)FRAME_EDGE(g->frame[1]) << 32);
		break;
	}
}

/* --- the rest --- */

static inline void guest_oracle(struct random_guest *g, __u64 a)
{
	__u64 word = a >> 3 & 511, val;

	asm volatile("movq (%1), %0" : "=r"(val) : "r"(g->area + ORACLE * PAGE + 8 * word));
	if (val == ORACLE_TOOL(word))
		g->supplied++;
	else
		GUEST_ASSERT_EQ(val, ORACLE_MEMORY(word));
}

/* Loads from the GDT, which the processor reads. */
static inline void guest_segments(struct random_guest *g, __u64 a)
{
	struct desc_ptr *d = (void *)(g->own + at(a)), *m = (void *)(g->mirror + at(a));

	asm volatile("mov %%ds, %%eax; mov %%eax, %%ds; mov %%eax, %%es" : : : "eax");
	asm volatile("sgdt (%0)" : : "r"(d) : "memory");
	asm volatile("sgdt (%0)" : : "r"(m) : "memory");
	GUEST_ASSERT_EQ(d->address, m->address);
}

/* RBX tells the handler who. */
static void on_trap(struct ex_regs *regs)
{
	((struct random_guest *)regs->rbx)->traps++;
	if (regs->vector == UD_VECTOR)
		regs->rip += 2;
}

static inline void guest_trap(struct random_guest *g, __u64 a)
{
	__u64 sp = g->own + (OWN_TRAPS + 2) * PAGE - (a & 0xff8), traps = g->traps;

	if (a & BIT(12))
		asm volatile("mov %%rsp, %%r12; mov %0, %%rsp; ud2; mov %%r12, %%rsp"
			     : : "r"(sp), "b"(g) : "r12", "memory");
	else
		asm volatile("mov %%rsp, %%r12; mov %0, %%rsp; int3; mov %%r12, %%rsp"
			     : : "r"(sp), "b"(g) : "r12", "memory");
	GUEST_ASSERT_EQ(g->traps, traps + 1);
}

/* --- one after the other --- */

typedef __u64 (*op_fn)(__u8 *mem, __u64 a);

/*
 * Those with a REP prefix come first. Those behind PLAIN are not emulated: they need a
 * processor that can stop after an instruction.
 */
static const op_fn random_ops[] = {
	op_movsb, op_movsq, op_stosb, op_stosl, op_lodsw, op_cmpsb, op_scasb,
	op_load, op_load_byte, op_load_signed, op_store, op_store_word, op_store_byte,
	op_add, op_adc, op_sub, op_inc, op_neg, op_xor, op_not, op_shift, op_rotate, op_xadd,
	op_xchg, op_locked_dec, op_locked_or, op_locked_bit, op_far_bit, op_multiply,
	op_conditional, op_cmpxchg, op_cmpxchg8b, op_one_movsq, op_movups, op_jump, op_stack,
	op_frame,
	op_sse, op_cmpxchg16b, op_iret,
};

#define REPEATED	7

#define PLAIN		(ARRAY_SIZE(random_ops) - 3)

enum { BOTH = 100, WINDOWS, CODE_PAGE, CHANGED_CODE, ORACLE_PAGE, SEGMENTS, TRAP };

static inline void guest_compare(struct random_guest *g, __u64 offset)
{
	for (int i = 0; i < 2; i++, offset += 8) {
		__u64 own = *(__u64 *)(g->own + offset), mirror = *(__u64 *)(g->mirror + offset);

		__GUEST_ASSERT(own == mirror,
			       "kind %lu of 0x%lx, offset 0x%lx: 0x%lx, in the mirror 0x%lx",
			       (unsigned long)g->kind, (unsigned long)g->arg,
			       (unsigned long)offset, (unsigned long)own, (unsigned long)mirror);
	}
}

static inline void guest_mirrored(struct random_guest *g, __u64 a)
{
	op_fn op = random_ops[g->kind];
	__u64 own, mirror;

	own = op((__u8 *)g->own, a);
	WRITE_ONCE(g->kind, g->kind | COMPARING);
	mirror = op((__u8 *)g->mirror, a);
	__GUEST_ASSERT(own == mirror, "kind %lu of 0x%lx: 0x%lx, in the mirror 0x%lx",
		       (unsigned long)g->kind, (unsigned long)a, (unsigned long)own,
		       (unsigned long)mirror);
	/* Of what it may have touched, the rest is up to the host. */
	guest_compare(g, at(a) & ~7ull);
	guest_compare(g, at2(a) & ~7ull);
}

static inline void guest_op(struct random_guest *g)
{
	__u64 a = next_random(&g->state), kind = a % 64, all = g->nr_kinds > PLAIN;

	a = next_random(&g->state);
	if (kind >= 40)
		kind = BOTH + kind % (all ? 7 : 6);
	else
		kind %= g->nr_kinds;
	g->arg = a;
	WRITE_ONCE(g->kind, kind);
	switch (kind) {
	case BOTH:
		guest_both(g, a, all);
		break;
	case WINDOWS:
		guest_windows(g, a);
		break;
	case CODE_PAGE:
		guest_code_page(g, a, all ? NR_FUNCTIONS : NR_FUNCTIONS / 2);
		break;
	case CHANGED_CODE:
		guest_changed_code(g, a);
		break;
	case ORACLE_PAGE:
		guest_oracle(g, a);
		break;
	case SEGMENTS:
		guest_segments(g, a);
		break;
	case TRAP:
		guest_trap(g, a);
		break;
	default:
		guest_mirrored(g, a);
	}
	g->log[g->ops % NR_LOGGED] = kind;
	WRITE_ONCE(g->ops, g->ops + 1);
}

/* Works while go is even, and waits while it is odd. */
static void guest_random(struct kvmi_guest *shared)
{
	struct random_guest *g = (void *)shared->val[0];

	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	for (;;) {
		/* What the host has prepared is there. */
		__u64 n = smp_load_acquire(&shared->go);

		if (n & 1) {
			guest_done(shared, n);
			guest_wait(shared, n + 1);
		} else {
			guest_op(g);
		}
	}
}

#pragma GCC pop_options

#endif /* SELFTEST_KVMI_PF_RANDOM_GUEST_H */
