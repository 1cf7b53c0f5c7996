// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page fault event: which accesses an instruction is reported with, and what each
 * reply makes of it.
 *
 * Each instruction runs once undisturbed and once with every page restricted that it
 * touches; the outcome has to be the same.
 */
#include "kvmi_pf.h"
#include "kvmi_test_harness.h"

/* Two pages of data each, and a stack. */
#define NR_PAGES	6
#define NR_EVENTS	8

/* In g->val. */
enum { FORM, A, B, STACK, RESULT, FLAGS, X87 };

struct expected {
	__u8 access;
	__u64 offset;		/* from the first page */
};

struct form {
	const char *name;
	__u64 a, b;		/* offsets of operands from the first page */
	struct expected events[NR_EVENTS];
};

#define R(o)	{ ACCESS_R, o }
#define W(o)	{ ACCESS_W, o }

/* Page 0 and 1 are A's, 2 and 3 are B's, 4 is the stack's. */
#define OA	0x0018
#define OB	0x2040
#define END	0x1000
#define OSTACK	0x4800

#define FORMS(FORM) \
FORM(load_8,	OA, 0, "movb (%%rsi), %%al",	{ R(OA) })			\
FORM(load_32,	OA, 0, "movl (%%rsi), %%eax",	{ R(OA) })			\
FORM(load_64,	OA, 0, "movq (%%rsi), %%rax",	{ R(OA) })			\
FORM(load_end,	0xffc, 0, "movl (%%rsi), %%eax", { R(0xffc) })			\
FORM(load_cross, 0xffd, 0, "movq (%%rsi), %%rax", { R(0xffd), R(0x1000) })	\
FORM(movzx,	OA, 0, "movzbl (%%rsi), %%eax",	{ R(OA) })			\
FORM(cmp,	OA, 0, "cmpl $7, (%%rsi)",	{ R(OA) })			\
FORM(test,	OA, 0, "testb $7, (%%rsi)",	{ R(OA) })			\
FORM(store_8,	OA, 0, "movb %%al, (%%rsi)",	{ W(OA) })			\
FORM(store_64,	OA, 0, "movq %%rax, (%%rsi)",	{ W(OA) })			\
FORM(store_imm,	OA, 0, "movl $0x12345678, (%%rsi)", { W(OA) })			\
FORM(store_cross, 0xffd, 0, "movq %%rax, (%%rsi)", { W(0xffd), W(0x1000) })	\
FORM(add,	OA, 0, "addl %%eax, (%%rsi)",	{ R(OA), W(OA) })		\
FORM(inc,	OA, 0, "incq (%%rsi)",		{ R(OA), W(OA) })		\
FORM(adc,	OA, 0, "stc; adcl $0, (%%rsi)",	{ R(OA), W(OA) })		\
FORM(add_cross, 0xffe, 0, "addl %%eax, (%%rsi)",				\
	{ R(0xffe), R(0x1000), W(0xffe), W(0x1000) })				\
FORM(lock_add,	OA, 0, "lock addl %%eax, (%%rsi)", { R(OA), W(OA) })		\
FORM(lock_bts,	OA, 0, "lock btsl $5, (%%rsi)",	{ R(OA), W(OA) })		\
FORM(xchg,	OA, 0, "xchgq %%rax, (%%rsi)",	{ R(OA), W(OA) })		\
FORM(xadd,	OA, 0, "lock xaddl %%eax, (%%rsi)", { R(OA), W(OA) })		\
FORM(cmpxchg,	OA, 0, "lock cmpxchgq %%rdx, (%%rsi)", { R(OA), W(OA) })	\
FORM(cmpxchg8b,	OA, 0, "lock cmpxchg8b (%%rsi)", { R(OA), W(OA) })		\
FORM(movs,	OA, OB, "movsl",		{ R(OA), W(OB) })		\
FORM(movs_cross, 0xffe, 0x2fff, "movsl",					\
	{ R(0xffe), R(0x1000), W(0x2fff), W(0x3000) })				\
FORM(rep_movs,	OA, OB, "mov $3, %%ecx; rep movsb",				\
	{ R(OA), W(OB), R(OA + 1), W(OB + 1), R(OA + 2), W(OB + 2) })		\
FORM(rep_movs_back, OA, OB, "std; mov $2, %%ecx; rep movsq; cld",		\
	{ R(OA), W(OB), R(OA - 8), W(OB - 8) })					\
FORM(rep_overlap, OA, OA + 1, "mov $3, %%ecx; rep movsb",			\
	{ R(OA), W(OA + 1), R(OA + 1), W(OA + 2), R(OA + 2), W(OA + 3) })	\
FORM(stos,	0, OB, "stosq",			{ W(OB) })			\
FORM(rep_stos,	0, 0x2ff0, "mov $3, %%ecx; rep stosq",				\
	{ W(0x2ff0), W(0x2ff8), W(0x3000) })					\
FORM(rep_none,	OA, OB, "xor %%ecx, %%ecx; rep movsb", { })			\
FORM(lods,	OA, 0, "lodsl",			{ R(OA) })			\
FORM(scas,	0, OB, "scasb",			{ R(OB) })			\
FORM(cmps,	OA, OB, "cmpsb",		{ R(OA), R(OB) })		\
FORM(push,	OA, 0, "push %%rax; pop %%rdx",	{ W(OSTACK - 8), R(OSTACK - 8) }) \
FORM(push_mem,	OA, 0, "push (%%rsi); pop %%rdx",				\
	{ R(OA), W(OSTACK - 8), R(OSTACK - 8) })				\
FORM(pop_mem,	OA, 0, "push %%rax; pop (%%rsi)",				\
	{ W(OSTACK - 8), R(OSTACK - 8), W(OA) })				\
FORM(pushf,	OA, 0, "pushf; popf",		{ W(OSTACK - 8), R(OSTACK - 8) }) \
FORM(call,	OA, 0, "call 1f; jmp 2f; 1: ret; 2:",				\
	{ W(OSTACK - 8), R(OSTACK - 8) })					\
FORM(leave,	OA, 0, "mov %%rsp, %%rbp; leave; sub $8, %%rsp", { R(OSTACK) })	\
FORM(jmp_mem,	OA, 0, "lea 1f(%%rip), %%rax; mov %%rax, (%%rsi); jmp *(%%rsi); 1:", \
	{ W(OA), R(OA) })							\
FORM(sgdt,	OA, 0, "sgdt (%%rsi)",		{ W(OA) })			\
FORM(setcc,	OA, 0, "cmp %%eax, %%eax; sete (%%rsi)", { W(OA) })		\
FORM(movnti,	OA, 0, "movnti %%eax, (%%rsi)",	{ W(OA) })			\
FORM(movdqu_load, OA, 0, "movdqu (%%rsi), %%xmm0; movq %%xmm0, %%rax", { R(OA) }) \
FORM(movdqu_store, OA, 0, "movq %%rax, %%xmm0; movdqu %%xmm0, (%%rsi)", { W(OA) })

/* What KVM's emulator lacks in 64-bit code. */
#define STEP_FORMS(FORM) \
FORM(paddd,	0x200, 0, "movq %%rax, %%xmm0; paddd (%%rsi), %%xmm0; movq %%xmm0, %%rax", \
	{ R(0x200) })								\
FORM(paddd_end,	0xff0, 0, "movq %%rax, %%xmm0; paddd (%%rsi), %%xmm0; movq %%xmm0, %%rax", \
	{ R(0xff0) })								\
FORM(lddqu_cross, 0xff8, 0, "lddqu (%%rsi), %%xmm0; movq %%xmm0, %%rax",	\
	{ R(0xff8), R(0x1000) })						\
FORM(movlps,	OA, 0, "movq %%rax, %%xmm0; movlps %%xmm0, (%%rsi)", { W(OA) })	\
FORM(fxsave,	0x100, 0, "fxsave (%%rsi)",	{ W(0x100) })			\
FORM(fxsave_cross, 0xf80, 0, "fxsave (%%rsi)",	{ W(0xf80), W(0x1000) })	\
FORM(fld,	OA, 0, "fldl (%%rsi); fistpll %[x87]; mov %[x87], %%rax", { R(OA) }) \
FORM(fst,	OA, 0, "fld1; fstpl (%%rsi)",	{ W(OA) })			\
FORM(crc32,	OA, 0, "crc32q (%%rsi), %%rax",	{ R(OA) })			\
FORM(popcnt,	OA, 0, "popcntq (%%rsi), %%rax", { R(OA) })			\
FORM(pextr,	OA, 0, "movq %%rax, %%xmm0; pextrd $0, %%xmm0, (%%rsi)", { W(OA) })

#define LIST(form, oa, ob, insn, ...) { .name = #form, .a = oa, .b = ob, .events = __VA_ARGS__ },
static const struct form forms[] = { FORMS(LIST) STEP_FORMS(LIST) };

enum {
#define NUMBER(form, ...) NR_##form,
	FORMS(NUMBER)
	NR_EMULATED,
	NR_BEFORE_STEPPED = NR_EMULATED - 1,
	STEP_FORMS(NUMBER)
};

static noinline void guest_execute(struct kvmi_guest *g)
{
	__u64 result = 0x1122334455667788, flags = 0, rdx = 5, rsp;
	__u64 si = g->val[A], di = g->val[B], n = g->val[FORM];

#define EXECUTE(form, oa, ob, insn, ...)						\
	if (n == NR_##form)							\
		asm volatile("mov %%rsp, %[rsp]; mov %[stack], %%rsp\n\t"	\
			     insn "\n\t"					\
			     "mov %[rsp], %%rsp; pushf; pop %[flags]"		\
			     : "+a"(result), "+d"(rdx), "+S"(si), "+D"(di),	\
			       [rsp] "=&r"(rsp), [flags] "=&r"(flags),		\
			       [x87] "+m"(g->val[X87])				\
			     : [stack] "r"(g->val[STACK])			\
			     : "rcx", "rbx", "rbp", "r8", "r9", "xmm0", "memory", "cc");

	FORMS(EXECUTE)
	STEP_FORMS(EXECUTE)
	g->val[RESULT] = result ^ rdx ^ si ^ di;
	g->val[FLAGS] = flags;
}

static void guest_forms(struct kvmi_guest *g)
{
	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		guest_execute(g);
		guest_done(g, n);
	}
}

struct pages {
	__u64 gva, gpa;
	__u8 *hva;
};

static struct pages add_pages(struct kvmi_test *t)
{
	struct pages p;

	p.gva = vm_vaddr_alloc(t->vm, NR_PAGES * PAGE, KVM_UTIL_MIN_VADDR);
	p.gpa = addr_gva2gpa(t->vm, p.gva);
	p.hva = addr_gva2hva(t->vm, p.gva);
	TEST_ASSERT(addr_gva2gpa(t->vm, p.gva + (NR_PAGES - 1) * PAGE) ==
		    p.gpa + (NR_PAGES - 1) * PAGE, "the pages do not follow each other");
	return p;
}

struct outcome {
	__u64 result, flags;
	__u8 memory[NR_PAGES * PAGE];
};

static void prepare(struct kvmi_test *t, const struct pages *p, int n)
{
	struct kvmi_guest *g = t->guest[0];

	for (int i = 0; i < NR_PAGES * PAGE; i++)
		p->hva[i] = i * 13 + (i >> 8);
	memset(p->hva + 0x100, 0, 512);
	g->val[FORM] = n;
	g->val[A] = p->gva + forms[n].a;
	g->val[B] = p->gva + forms[n].b;
	g->val[STACK] = p->gva + OSTACK;
}

static void finish(struct kvmi_test *t, const struct pages *p, struct outcome *out)
{
	kvmi_step_end(t, 0);
	out->result = t->guest[0]->val[RESULT];
	out->flags = t->guest[0]->val[FLAGS];
	memcpy(out->memory, p->hva, sizeof(out->memory));
}

FIXTURE(kvmi_pf_form) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_form) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_form) { kvmi_test_teardown(&self->t); }
FIXTURE_VARIANT(kvmi_pf_form) { int n; };
#define VARIANT(form, ...) FIXTURE_VARIANT_ADD(kvmi_pf_form, form) { .n = NR_##form };
FORMS(VARIANT)
STEP_FORMS(VARIANT)

/* SVM does not tell the virtual address of what it could not do. */
static void expect_form_pf(struct kvmi_test *t, const struct pages *p, bool emulated,
			   const struct expected *e, struct kvmi_event_msg *ev)
{
	__u64 gva = emulated || host_cpu_is_intel ? p->gva + e->offset : ~0ull;

	expect_pf(t, 0, e->access, gva, p->gpa + e->offset, ev);
}

TEST_F_TIMEOUT(kvmi_pf_form, is_reported, KVMI_TEST_TIMEOUT_S)
{
	static struct outcome free, watched;
	const struct form *form = &forms[variant->n];
	bool emulated = variant->n < NR_EMULATED;
	struct kvmi_test *t = &self->t;
	struct pages p = add_pages(t);
	struct kvmi_get_version_reply v;
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &v, sizeof(v)));
	if (!(v.features.page_access & KVMI_PAGE_ACCESS_NONE))
		SKIP(return, "this processor cannot take away the right to read");
	if (!emulated && !v.features.singlestep)
		SKIP(return, "this processor cannot stop after an instruction");
	kvmi_set_guest(t, 0, guest_forms);
	prepare(t, &p, variant->n);
	kvmi_run(t, 0);
	kvmi_step_begin(t, 0);
	finish(t, &p, &free);

	prepare(t, &p, variant->n);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access_range(t, p.gpa / PAGE, NR_PAGES, 0));
	kvmi_step_begin(t, 0);
	for (const struct expected *e = form->events; e->access; e++) {
		expect_form_pf(t, &p, emulated, e, &ev);
		kvmi_continue(&t->tool, &ev);
	}
	finish(t, &p, &watched);
	kvmi_expect_no_event(&t->tool, 0);

	TEST_ASSERT_EQ(watched.result, free.result);
	TEST_ASSERT_EQ(watched.flags, free.flags);
	for (int i = 0; i < sizeof(free.memory); i++)
		TEST_ASSERT(watched.memory[i] == free.memory[i], "byte 0x%x: 0x%x, expected 0x%x",
			    i, watched.memory[i], free.memory[i]);
}

KVMI_TEST_MAIN()
