/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_RANDOM_OPS_H
#define SELFTEST_KVMI_PF_RANDOM_OPS_H

/*
 * What the guest does to memory at @mem, as the random number @a says. Each returns what
 * it has seen, which has to be the same in all memory of the same content. Whatever is
 * written lies in the pages that are mirrored.
 */
#include "kvmi_flags.h"
#include "kvmi_pf_random.h"

/*
 * Where page tables are restricted, any instruction may be emulated. So the compiler must
 * not use SSE for more than copying: KVM's emulator has no more of it.
 */
#pragma GCC push_options
#pragma GCC optimize("no-tree-vectorize")

/* Any offset, quite often at the end of a page. */
static inline __u64 at(__u64 a)
{
	__u64 offset = a >> 16 & (4 * PAGE - 1);

	if (!(a >> 12 & 3))
		offset |= PAGE - 8;
	return offset;
}

static inline __u64 at2(__u64 a)
{
	return at(a * 0x9e3779b97f4a7c15ull);
}

#define OP(name)								\
static noinline __attribute__((noclone)) __u64 op_##name(__u8 *mem, __u64 a)

/* An instruction with the operands %[m] and %[r], and which flags it leaves. */
#define OP_RMW(name, insn, flags)						\
OP(name)									\
{										\
	__u64 r = a, f;								\
										\
	asm volatile("cmp $0x1234, %[r]; " insn "\n\t" GET_FLAGS("%[f]")		\
		     : [r] "+r"(r), [f] "=&r"(f)				\
		     : [m] "r"(mem + at(a)) : "memory", "cc");			\
	return r ^ (f & (flags));						\
}

OP_RMW(load, "movq (%[m]), %[r]", FLAGS)
OP_RMW(load_byte, "movzbl (%[m]), %k[r]", FLAGS)
OP_RMW(load_signed, "movslq (%[m]), %[r]", FLAGS)
OP_RMW(store, "movq %[r], (%[m])", FLAGS)
OP_RMW(store_word, "movw %w[r], (%[m])", FLAGS)
OP_RMW(store_byte, "movb $0x5a, (%[m])", FLAGS)
OP_RMW(add, "addq %[r], (%[m])", FLAGS)
OP_RMW(adc, "adcl %k[r], (%[m])", FLAGS)
OP_RMW(sub, "subq (%[m]), %[r]", FLAGS)
OP_RMW(inc, "incw (%[m])", FLAGS)
OP_RMW(neg, "negq (%[m])", FLAGS)
OP_RMW(xor, "xorl %k[r], (%[m])", FLAGS & ~AF)
OP_RMW(not, "notq (%[m])", FLAGS)
OP_RMW(shift, "shlq $3, (%[m])", CF | ZF)
OP_RMW(rotate, "roll $5, (%[m])", CF)
OP_RMW(xadd, "lock xaddq %[r], (%[m])", FLAGS)
OP_RMW(xchg, "xchgq %[r], (%[m])", FLAGS)
OP_RMW(locked_dec, "lock decl (%[m])", FLAGS)
OP_RMW(locked_or, "lock orq %[r], (%[m])", FLAGS & ~AF)
OP_RMW(locked_bit, "lock btsq $37, (%[m])", CF)
OP_RMW(far_bit, "andl $0x3fff, %k[r]; btcq %[r], (%[m])", CF)
OP_RMW(multiply, "imulq (%[m]), %[r]", CF)
OP_RMW(conditional, "cmovsq (%[m]), %[r]; setc (%[m])", FLAGS)

/* Half of them find what they expect. */
OP(cmpxchg)
{
	__u64 *m = (void *)(mem + at(a)), old = a & BIT(8) ? READ_ONCE(*m) : a, f;

	asm volatile("lock cmpxchgq %[r], (%[m])\n\t" GET_FLAGS("%[f]")
		     : "+a"(old), [f] "=&r"(f) : [r] "r"(a), [m] "r"(m) : "memory", "cc");
	return old ^ (f & FLAGS);
}

OP(cmpxchg8b)
{
	__u64 *m = (void *)(mem + at(a)), old = a & BIT(8) ? READ_ONCE(*m) : a, f;
	__u32 lo = old, hi = old >> 32;

	asm volatile("lock cmpxchg8b (%[m])\n\t" GET_FLAGS("%[f]")
		     : "+a"(lo), "+d"(hi), [f] "=&r"(f)
		     : "b"((__u32)a), "c"((__u32)(a >> 7)), [m] "r"(m) : "memory", "cc");
	return (lo | (__u64)hi << 32) ^ (f & ZF);
}

/* A string instruction. What goes backwards must not leave its memory. */
#define OP_STRING(name, insn, flags)						\
OP(name)									\
{										\
	__u64 back = a >> 9 & 1, low = back ? PAGE : 0, f, rax = a;		\
	__u8 *si = mem + (at(a) | low), *di = mem + (at2(a) | low);		\
	__u64 cx = a >> 10 & 1 ? a >> 58 : a >> 61;				\
										\
	if (back)								\
		asm volatile("std");						\
	asm volatile("cmp %[a], %[a]; " insn "\n\t" GET_FLAGS("%[f]") "cld"	\
		     : "+S"(si), "+D"(di), "+c"(cx), "+a"(rax), [f] "=&r"(f)	\
		     : [a] "r"(a) : "memory", "cc");				\
	return (si - mem) ^ (di - mem) << 16 ^ cx << 32 ^ rax ^ (f & (flags));	\
}

OP_STRING(movsb, "rep movsb", FLAGS)
OP_STRING(movsq, "rep movsq", FLAGS)
OP_STRING(stosb, "rep stosb", FLAGS)
OP_STRING(stosl, "rep stosl", FLAGS)
OP_STRING(lodsw, "rep lodsw", FLAGS)
OP_STRING(cmpsb, "repe cmpsb", FLAGS)
OP_STRING(scasb, "repne scasb", FLAGS)
OP_STRING(one_movsq, "movsq", FLAGS)

/* KVM's emulator has MOVUPS; what is copied crosses pages at times. */
OP(movups)
{
	asm volatile("movups (%0), %%xmm0; movups %%xmm0, (%1)"
		     : : "r"(mem + at(a)), "r"(mem + at2(a)) : "xmm0", "memory");
	return 0;
}

OP(jump)
{
	asm volatile("movq $1f, (%0); jmpq *(%0); ud2; 1:"
		     : : "r"(mem + at(a)) : "memory");
	return 0;
}

/* --- on a stack --- */

static inline __u8 *stack_of(__u8 *mem, __u64 a)
{
	return mem + OWN_STACK * PAGE + PAGE + 48 - (a >> 20 & (a & 1 ? 127 : 120));
}

/* RAX is what comes and goes, RSI memory, RDI the top of the stack. */
#define ON_STACK(text, r)							\
	asm volatile("mov %%rsp, %%r12; mov %%rbp, %%r13; mov %%rdi, %%rsp\n\t"	\
		     "cmp %%rdi, %%rdi\n\t" text "\n\t"			\
		     "mov %%r12, %%rsp; mov %%r13, %%rbp"			\
		     : "+a"(r) : "D"(stack_of(mem, a)), "S"(mem + at(a))	\
		     : "r12", "r13", "r14", "memory", "cc")

OP(stack)
{
	__u64 r = a;

	ON_STACK("push %%rax; push $0x12345; pushfq\n\t"
		 "call 1f\n\t"
		 "popfq; popq -24(%%rsp); pop %%rax\n\t"
		 "jmp 2f\n\t"
		 "1: addq $3, 16(%%rsp)\n\t"
		 "pushq 16(%%rsp); popq 8(%%rsi)\n\t"
		 "pushq 8(%%rsp); popfq\n\t"
		 "ret $0\n\t"
		 "2:", r);
	return r;
}

OP(frame)
{
	__u64 r = a;

	ON_STACK("mov %%rax, %%rbp; push %%rax; enter $32, $0\n\t"
		 "mov %%rax, -8(%%rbp); notq -8(%%rbp); addq $1, (%%rsp)\n\t"
		 "mov -8(%%rbp), %%rax; leave", r);
	return r;
}

/* --- what KVM's emulator lacks --- */

OP(sse)
{
	__u64 r = a;

	asm volatile("movq %[r], %%xmm0; paddq (%[m]), %%xmm0; movlps %%xmm0, (%[n])\n\t"
		     "movhps (%[n]), %%xmm0; movups %%xmm0, (%[o]); movq %%xmm0, %[r]"
		     : [r] "+r"(r)
		     : [m] "r"(mem + (at(a) & ~15ull)), [n] "r"(mem + at2(a)),
		       [o] "r"(mem + at2(a >> 3)) : "xmm0", "memory");
	return r;
}

OP(cmpxchg16b)
{
	__u64 *m = (void *)(mem + (at(a) & ~15ull)), lo = a, hi = a;

	if (a & BIT(8)) {
		lo = READ_ONCE(m[0]);
		hi = READ_ONCE(m[1]);
	}
	asm volatile("lock cmpxchg16b (%[m])"
		     : "+a"(lo), "+d"(hi)
		     : "b"(a), "c"(~a), [m] "r"(m) : "memory", "cc");
	return lo ^ hi;
}

/* The frame says how to come back, to where both are the same. */
OP(iret)
{
	__u64 r = a;

	ON_STACK("mov %%ss, %%r14d; push %%r14; push %%r12; pushfq\n\t"
		 "mov %%cs, %%r14d; push %%r14; push $1f; iretq; ud2\n\t"
		 "1: xor %%r12, %%rax; xor %%rsp, %%rax", r);
	return r;
}

#pragma GCC pop_options

#endif /* SELFTEST_KVMI_PF_RANDOM_OPS_H */
