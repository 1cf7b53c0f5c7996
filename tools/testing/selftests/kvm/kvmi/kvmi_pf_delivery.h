/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_DELIVERY_H
#define SELFTEST_KVMI_PF_DELIVERY_H

/* A guest that gets into handlers in each way, on a stack of its own. */
#include "apic.h"
#include "kvmi_pf.h"

#define VECTOR		0x41
#define UNMAPPED	0x6000000000ull
#define NR_PAGES	3
#define STACK		PAGE			/* in the area: a page of stack */
#define HANDLER		(2 * PAGE)		/* and one of code */
#define MAX_EVENTS	64

enum kind { UD, PF, INT, BP, IRQ, NR_KINDS };

/* In g->val. */
enum { KIND, SP, HANDLED };

static const int vectors[NR_KINDS] = {
	[UD] = UD_VECTOR, [PF] = PF_VECTOR, [INT] = VECTOR, [BP] = BP_VECTOR, [IRQ] = VECTOR,
};

/* Where the guest is then. */
extern const char at_ud[], at_pf[], at_int[], at_bp[];

#define ON_STACK(insn)								\
	asm volatile("mov %%rsp, %%r15; mov %[sp], %%rsp\n\t" insn "\n\t"	\
		     "mov %%r15, %%rsp"						\
		     : : [sp] "r"(g->val[SP]), "S"(UNMAPPED)			\
		     : "rax", "r15", "memory", "cc")

static noinline __attribute__((noclone)) void raise_it(struct kvmi_guest *g)
{
	switch (g->val[KIND]) {
	case UD:
		ON_STACK(".globl at_ud; at_ud: ud2");
		break;
	case PF:
		ON_STACK(".globl at_pf; at_pf: mov (%%rsi), %%eax");
		break;
	case INT:
		ON_STACK(".globl at_int; at_int: int $0x41");
		break;
	case BP:
		ON_STACK(".globl at_bp; at_bp: int3");
		break;
	case IRQ:
		asm volatile("cli");
		x2apic_write_reg(APIC_ICR, APIC_DEST_SELF | APIC_INT_ASSERT | APIC_DM_FIXED |
				 VECTOR);
		ON_STACK("sti; nop; nop; cli");
		x2apic_write_reg(APIC_EOI, 0);
		if (host_cpu_is_intel)
			asm volatile("sti");
		break;
	}
}

static inline void guest_raise(struct kvmi_guest *g)
{
	x2apic_enable();
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		raise_it(g);
		guest_done(g, n);
	}
}

/* --- handlers, which count and go behind the instruction --- */

static inline __u64 put(__u8 **code, const void *bytes, int len)
{
	memcpy(*code, bytes, len);
	*code += len;
	return len;
}

#define PUT(...)								\
do {										\
	const __u8 __bytes[] = { __VA_ARGS__ };					\
										\
	put(&code, __bytes, sizeof(__bytes));					\
} while (0)

static inline void write_handler(__u8 *code, enum kind kind, __u64 counter)
{
	if (kind == PF)
		PUT(0x48, 0x83, 0xc4, 0x08);			/* add $8, %rsp */
	if (kind == PF || kind == UD)
		PUT(0x48, 0x83, 0x04, 0x24, 0x02);		/* addq $2, (%rsp) */
	PUT(0x50);						/* push %rax */
	PUT(0x48, 0xb8);					/* mov $counter, %rax */
	put(&code, &counter, sizeof(counter));
	PUT(0x48, 0xff, 0x00);					/* incq (%rax) */
	PUT(0x58);						/* pop %rax */
	PUT(0x48, 0xcf);					/* iretq */
}

static inline int nr_handler_insns(enum kind kind)
{
	return 5 + (kind == PF) + (kind == PF || kind == UD);
}

static inline void set_gate(struct kvmi_test *t, int vector, __u64 addr)
{
	__u64 *gate = addr_gva2hva(t->vm, t->vm->arch.idt + 16 * vector);

	/* The segment, and that it is an interrupt gate, stay. */
	gate[0] = (gate[0] & 0x0000ffffffff0000ull) | (addr & 0xffff) |
		  (addr >> 16 & 0xffff) << 48;
	gate[1] = addr >> 32;
}

#endif /* SELFTEST_KVMI_PF_DELIVERY_H */
