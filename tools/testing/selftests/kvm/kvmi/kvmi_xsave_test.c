// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_GET_XSAVE and VCPU_SET_XSAVE: what the guest's own instructions see of them. */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_xsave, 1);

/* Offsets in the region, as XSAVE lays it out uncompacted. */
#define MXCSR		24
#define XMM(n)		(160 + 16 * (n))
#define XSTATE_BV	512
#define XCOMP_BV	520
#define RESERVED	528
#define HEADER_END	576

/* AVX, and where the upper halves of its registers are. */
#define FEATURE_AVX	KVM_X86_CPU_FEATURE(1, 0, ECX, 28)
#define YMM_OFFSET	KVM_X86_CPU_PROPERTY(0xd, 2, EBX, 0, 31)

#define MXCSR_INIT	0x1f80
#define XMMS		4

/* What the guest loads and stores: registers 0 to 3 and MXCSR; [2] and [3] of YMM. */
static struct vectors {
	__u64 v[XMMS][4];
	__u32 mxcsr;
} guest_in, guest_out;

#define LOAD(n)		"movdqu 32*" #n "(%[in]), %%xmm" #n "\n\t"
#define STORE(n)	"movdqu %%xmm" #n ", 32*" #n "(%[out])\n\t"
#define LOAD_Y(n)	"vmovdqu 32*" #n "(%[in]), %%ymm" #n "\n\t"
#define STORE_Y(n)	"vmovdqu %%ymm" #n ", 32*" #n "(%[out])\n\t"

/*
 * Compiled code may use the registers: from loading to storing them it is one
 * statement. It waits for the host, then does @insn.
 */
#define KEEP_VECTORS(load, store, insn)						\
	asm volatile(load(0) load(1) load(2) load(3)				\
		     "ldmxcsr 128(%[in])\n\t"					\
		     "movq $1, %[done]\n"					\
		     "1: incq %[count]\n\t"					\
		     "pause\n\t"						\
		     "cmpq $1, %[go]\n\t"					\
		     "jb 1b\n\t"						\
		     insn							\
		     store(0) store(1) store(2) store(3)			\
		     "stmxcsr 128(%[out])\n\t"					\
		     : [done] "+m" (g->done), [count] "+m" (g->count)		\
		     : [go] "m" (g->go), [in] "r" (&guest_in), [out] "r" (&guest_out)	\
		     : "memory", "cc", "rax", "xmm0", "xmm1", "xmm2", "xmm3")

static void finish(struct kvmi_guest *g)
{
	guest_done(g, 2);
	guest_spin(g);
}

static void guest_sse(struct kvmi_guest *g)
{
	KEEP_VECTORS(LOAD, STORE, "");
	finish(g);
}

/* With an instruction that sends an event in the middle. */
static void guest_sse_cr3(struct kvmi_guest *g)
{
	KEEP_VECTORS(LOAD, STORE, "mov %%cr3, %%rax; xor $8, %%rax; mov %%rax, %%cr3\n\t");
	finish(g);
}

static void guest_avx(struct kvmi_guest *g)
{
	set_cr4(get_cr4() | X86_CR4_OSXSAVE);
	xsetbv(0, XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM);
	KEEP_VECTORS(LOAD_Y, STORE_Y, "");
	finish(g);
}

static struct vectors *shared(struct kvmi_test *t, struct vectors *v)
{
	return addr_gva2hva(t->vm, (vm_vaddr_t)v);
}

/* Values that no other register and no other seed has. */
static void fill(struct vectors *v, __u64 seed)
{
	for (int i = 0; i < XMMS; i++)
		for (int j = 0; j < 4; j++)
			v->v[i][j] = seed << 32 | i << 8 | (j + 1);
	/* Another rounding mode for each; no exception is unmasked. */
	v->mxcsr = MXCSR_INIT | (seed & 3) << 13;
}

static void start(struct kvmi_test *t)
{
	fill(shared(t, &guest_in), 1);
	kvmi_run(t, 0);
	KVMI_WAIT(READ_ONCE(t->guest[0]->done) == 1, "the guest does not load its registers");
}

/* Let the guest store its registers. */
static struct vectors *end(struct kvmi_test *t)
{
	WRITE_ONCE(t->guest[0]->go, 1);
	KVMI_WAIT(READ_ONCE(t->guest[0]->done) == 2, "the guest does not store its registers");
	return shared(t, &guest_out);
}

static void get(struct kvmi_test *t, struct kvmi_vcpu_xsave *x)
{
	memset(x, 0x5a, sizeof(*x));
	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_XSAVE, NULL, 0, x, sizeof(*x)));
}

static int set_size(struct kvmi_test *t, const void *x, size_t size)
{
	return kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_SET_XSAVE, x, size, NULL, 0);
}

static int set(struct kvmi_test *t, const struct kvmi_vcpu_xsave *x)
{
	return set_size(t, x, sizeof(*x));
}

static __u64 *field(struct kvmi_vcpu_xsave *x, int offset)
{
	return (__u64 *)&x->region[offset];
}

static void to_region(struct kvmi_vcpu_xsave *x, const struct vectors *v)
{
	for (int i = 0; i < XMMS; i++)
		memcpy(&x->region[XMM(i)], v->v[i], 16);
	memcpy(&x->region[MXCSR], &v->mxcsr, sizeof(v->mxcsr));
	*field(x, XSTATE_BV) |= XFEATURE_MASK_SSE;
}

static void expect_region(struct kvmi_vcpu_xsave *x, __u64 seed)
{
	struct vectors v;

	fill(&v, seed);
	for (int i = 0; i < XMMS; i++)
		TEST_ASSERT(!memcmp(&x->region[XMM(i)], v.v[i], 16), "xmm%d is %#llx", i,
			    *field(x, XMM(i)));
	TEST_ASSERT_EQ((__u32)*field(x, MXCSR), v.mxcsr);
	TEST_ASSERT(*field(x, XSTATE_BV) & XFEATURE_MASK_SSE, "XSTATE_BV has no SSE");
	TEST_ASSERT_EQ(*field(x, XCOMP_BV), 0);
	for (int i = RESERVED; i < HEADER_END; i++)
		TEST_ASSERT_EQ(x->region[i], 0);
}

static void expect_sse(const struct vectors *seen, __u64 seed)
{
	struct vectors v;

	fill(&v, seed);
	for (int i = 0; i < XMMS; i++)
		TEST_ASSERT(!memcmp(seen->v[i], v.v[i], 16), "the guest sees xmm%d %#llx", i,
			    seen->v[i][0]);
	TEST_ASSERT_EQ(seen->mxcsr, v.mxcsr);
}

static void expect_reset(const struct vectors *seen)
{
	for (int i = 0; i < XMMS; i++)
		TEST_ASSERT(!seen->v[i][0] && !seen->v[i][1], "the guest sees xmm%d %#llx", i,
			    seen->v[i][0]);
	TEST_ASSERT_EQ(seen->mxcsr, MXCSR_INIT);
}

/* --- the registers ----------------------------------------------------------------------- */

KVMI_TEST(kvmi_xsave, get_agrees_with_guest_and_vmm, guest_sse)
{
	struct kvmi_vcpu_xsave x, vmm;

	start(t);
	for (int i = 0; i < 3; i++) {
		get(t, &x);
		expect_region(&x, 1);
	}
	kvmi_worker_stop(&t->worker[0]);
	vcpu_xsave_get(t->vcpu[0], (struct kvm_xsave *)&vmm);
	TEST_ASSERT(!memcmp(&x, &vmm, sizeof(x)), "KVM_GET_XSAVE tells something else");
	/* Looking at it changed nothing. */
	kvmi_run(t, 0);
	expect_sse(end(t), 1);
}

KVMI_TEST(kvmi_xsave, set_is_seen_by_the_guest, guest_sse)
{
	struct kvmi_vcpu_xsave x, y;
	struct vectors v;

	start(t);
	get(t, &x);
	for (__u64 seed = 2; seed < 6; seed++) {
		fill(&v, seed);
		to_region(&x, &v);
		KVMI_ASSERT_OK(set(t, &x));
		get(t, &y);
		TEST_ASSERT(!memcmp(&x, &y, sizeof(x)), "what was set is not what is there");
	}
	expect_sse(end(t), 5);
}

KVMI_TEST(kvmi_xsave, set_what_get_returned, guest_sse)
{
	struct kvmi_vcpu_xsave x;

	start(t);
	get(t, &x);
	KVMI_ASSERT_OK(set(t, &x));
	expect_sse(end(t), 1);
}

/* The VMM's own ioctl sees it, too. */
KVMI_TEST(kvmi_xsave, set_is_seen_by_the_vmm, guest_sse)
{
	struct kvmi_vcpu_xsave x, vmm;
	struct vectors v;

	start(t);
	get(t, &x);
	fill(&v, 7);
	to_region(&x, &v);
	KVMI_ASSERT_OK(set(t, &x));
	kvmi_worker_stop(&t->worker[0]);
	vcpu_xsave_get(t->vcpu[0], (struct kvm_xsave *)&vmm);
	expect_region(&vmm, 7);
}

/*
 * In the middle of KVM_RUN the processor may hold the guest's registers: neither is
 * what the tool reads stale nor does what it writes get lost.
 */
KVMI_TEST(kvmi_xsave, while_an_event_waits, guest_sse_cr3)
{
	struct kvmi_event_msg ev;
	struct kvmi_vcpu_xsave x;
	struct vectors v;

	start(t);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	WRITE_ONCE(t->guest[0]->go, 1);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, &ev);
	for (__u64 seed = 1; seed < 4; seed++) {
		get(t, &x);
		expect_region(&x, seed);
		fill(&v, seed + 1);
		to_region(&x, &v);
		KVMI_ASSERT_OK(set(t, &x));
		/* A signal takes the vCPU through userspace. */
		if (seed == 2)
			kvmi_worker_interrupt(&t->worker[0]);
	}
	kvmi_continue(&t->tool, &ev);
	expect_sse(end(t), 4);
}

KVMI_TEST(kvmi_xsave, upper_halves, guest_avx)
{
	const int ymm = kvm_cpu_property(YMM_OFFSET);
	struct kvmi_vcpu_xsave x;
	struct vectors v, *seen;

	if (!kvm_cpu_has(FEATURE_AVX))
		SKIP_CASE("this processor has no AVX");
	start(t);
	get(t, &x);
	fill(&v, 1);
	TEST_ASSERT(*field(&x, XSTATE_BV) & XFEATURE_MASK_YMM, "XSTATE_BV has no AVX");
	for (int i = 0; i < XMMS; i++)
		TEST_ASSERT(!memcmp(&x.region[ymm + 16 * i], &v.v[i][2], 16), "ymm%d", i);
	fill(&v, 2);
	to_region(&x, &v);
	for (int i = 0; i < XMMS; i++)
		memcpy(&x.region[ymm + 16 * i], &v.v[i][2], 16);
	KVMI_ASSERT_OK(set(t, &x));
	seen = end(t);
	expect_sse(seen, 2);
	for (int i = 0; i < XMMS; i++)
		TEST_ASSERT(!memcmp(seen->v[i], v.v[i], 32), "the guest sees ymm%d %#llx", i,
			    seen->v[i][2]);
}

/* What the message does not hold is zero, and what the header leaves out is reset. */
KVMI_TEST(kvmi_xsave, shorter_message_resets_the_rest, guest_avx)
{
	struct kvmi_vcpu_xsave x;
	struct vectors v, *seen;

	if (!kvm_cpu_has(FEATURE_AVX))
		SKIP_CASE("this processor has no AVX");
	start(t);
	get(t, &x);
	fill(&v, 3);
	to_region(&x, &v);
	*field(&x, XSTATE_BV) = XFEATURE_MASK_FP | XFEATURE_MASK_SSE;
	KVMI_ASSERT_OK(set_size(t, &x, HEADER_END));
	seen = end(t);
	expect_sse(seen, 3);
	for (int i = 0; i < XMMS; i++)
		TEST_ASSERT(!seen->v[i][2] && !seen->v[i][3], "the upper half of ymm%d stays", i);
}

/* Cut before the header: it names no part, so that all of them are reset. */
KVMI_TEST(kvmi_xsave, header_left_out, guest_sse)
{
	static const size_t sizes[] = { 0, 1, 23, 24, 160, 511, 512 };
	struct kvmi_vcpu_xsave x;
	struct vectors v;

	start(t);
	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		get(t, &x);
		fill(&v, 2);
		to_region(&x, &v);
		KVMI_ASSERT_OK(set(t, &x));
		KVMI_ASSERT_OK(set_size(t, &x, sizes[i]));
		get(t, &x);
		TEST_ASSERT(!*field(&x, XMM(0)) && !*field(&x, XMM(3)), "%zu bytes", sizes[i]);
	}
	expect_reset(end(t));
}

/* --- errors; none of them may have changed anything -------------------------------------- */

KVMI_TEST(kvmi_xsave, too_long, guest_sse)
{
	__u8 buf[sizeof(struct kvmi_vcpu_xsave) + 1000] = { };
	struct kvmi_vcpu_xsave x;
	struct vectors v;

	start(t);
	get(t, &x);
	fill(&v, 2);
	to_region(&x, &v);
	memcpy(buf, &x, sizeof(x));
	KVMI_ASSERT_ERR(set_size(t, buf, sizeof(x) + 1), -KVM_EINVAL);
	KVMI_ASSERT_ERR(set_size(t, buf, sizeof(x) + 8), -KVM_EINVAL);
	KVMI_ASSERT_ERR(set_size(t, buf, sizeof(buf)), -KVM_EINVAL);
	expect_sse(end(t), 1);
}

static void expect_refused(struct kvmi_test *t, int offset, __u64 bits)
{
	struct kvmi_vcpu_xsave x;
	struct vectors v;

	get(t, &x);
	fill(&v, 2);
	to_region(&x, &v);
	*field(&x, offset) |= bits;
	TEST_ASSERT(set(t, &x) == -KVM_EINVAL, "bits %#llx at %d are accepted", bits, offset);
	get(t, &x);
	expect_region(&x, 1);
}

KVMI_TEST(kvmi_xsave, bad_header, guest_sse)
{
	__u64 has = kvm_cpu_supported_xcr0();

	if (!kvm_cpu_has(X86_FEATURE_XSAVE))
		SKIP_CASE("this processor has no XSAVE");
	start(t);
	for (int bit = 2; bit < 64; bit++)
		if (!(has & BIT_ULL(bit)))
			expect_refused(t, XSTATE_BV, BIT_ULL(bit));
	/* The compacted form. */
	expect_refused(t, XCOMP_BV, BIT_ULL(63) | 3);
	expect_refused(t, XCOMP_BV, 1);
	for (int offset = RESERVED; offset < HEADER_END; offset += 8)
		expect_refused(t, offset, BIT_ULL(offset % 61));
	expect_sse(end(t), 1);
}

KVMI_TEST(kvmi_xsave, reserved_bits_of_mxcsr, guest_sse)
{
	start(t);
	/* Bit 17 is one that AMD's processors have. */
	expect_refused(t, MXCSR, BIT_ULL(16));
	for (int bit = 18; bit < 32; bit++)
		expect_refused(t, MXCSR, BIT_ULL(bit));
	expect_sse(end(t), 1);
}

KVMI_TEST_MAIN()
