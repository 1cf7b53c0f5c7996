// SPDX-License-Identifier: GPL-2.0-only
/* Two vCPUs that touch the same restricted pages, and restrictions that come and go. */
#include <time.h>

/* A debug kernel on a busy machine takes that for 40,000 events. */
#define KVMI_TEST_TIMEOUT_S	700

#include "kvmi_pf.h"
#include "kvmi_test_harness.h"

/* The emulators differ in speed. */
#define ACCESSES	(host_cpu_is_amd ? 10000 : 1000)
#define STEPPED		2000
#define ROUNDS		(host_cpu_is_amd ? 3000 : 300)

#define NR_PAGES	8		/* four for each vCPU */
#define WORDS		(4 * PAGE / 8)

/* In g->val. */
enum { MEM, TIMES, SHARED, ITERATIONS };

KVMI_TEST_SUITE(kvmi_pf_smp, 2);

/* --- each access is reported once --- */

static void guest_add(struct kvmi_guest *g)
{
	guest_wait(g, 1);
	for (__u64 n = 0; n < g->val[TIMES]; n++) {
		asm volatile("addq $1, (%0)" : : "r"(g->val[MEM]) : "memory");
		asm volatile("lock addq $1, (%0)" : : "r"(g->val[SHARED]) : "memory");
	}
	guest_done(g, 1);
	guest_spin(g);
}

static void guest_add_sse(struct kvmi_guest *g)
{
	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	guest_wait(g, 1);
	for (__u64 n = 1; n <= g->val[TIMES]; n++) {
		asm volatile("movq %0, %%xmm0; movlps %%xmm0, (%1)"
			     : : "r"(n), "r"(g->val[MEM]) : "xmm0", "memory");
		asm volatile("lock addq $1, (%0)" : : "r"(g->val[SHARED]) : "memory");
	}
	guest_done(g, 1);
	guest_spin(g);
}

/* All in one page: a word for each vCPU, and one for both. */
static struct area start_both(struct kvmi_test *t, int times)
{
	struct area a = add_area(t, 1);

	memset(a.hva, 0, PAGE);
	for (int i = 0; i < 2; i++) {
		t->guest[i]->val[MEM] = a.gva + 16 * i;
		t->guest[i]->val[SHARED] = a.gva + 64;
		t->guest[i]->val[TIMES] = times;
	}
	kvmi_run_all(t);
	for (int i = 0; i < 2; i++)
		enable_pf(t, i);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
	for (int i = 0; i < 2; i++)
		kvmi_step_begin(t, i);
	return a;
}

static void each_once(struct kvmi_test *t, int times)
{
	struct area a = start_both(t, times);
	int own[2] = { }, shared[2] = { };
	struct kvmi_event_msg ev;
	__u64 want;

	for (int n = 0; n < 4 * times; n++) {
		kvmi_next_event(&t->tool, &ev);
		TEST_ASSERT_EQ(ev.ev.event, KVMI_VCPU_EVENT_PF);
		TEST_ASSERT_EQ(ev.pf.access, ACCESS_W);
		want = own[ev.ev.vcpu] > shared[ev.ev.vcpu] ? 64 : 16 * ev.ev.vcpu;
		TEST_ASSERT_EQ(ev.pf.gpa, a.gpa + want);
		++*(want == 64 ? &shared[ev.ev.vcpu] : &own[ev.ev.vcpu]);
		kvmi_continue(&t->tool, &ev);
	}
	for (int i = 0; i < 2; i++) {
		kvmi_step_end(t, i);
		kvmi_expect_no_event(&t->tool, i);
		TEST_ASSERT_EQ(own[i], times);
		TEST_ASSERT_EQ(shared[i], times);
		TEST_ASSERT_EQ(*(__u64 *)(a.hva + 16 * i), times);
	}
	TEST_ASSERT_EQ(*(__u64 *)(a.hva + 64), 2 * times);
}

KVMI_TEST(kvmi_pf_smp, emulated, guest_add)
{
	REQUIRE_PAGE_ACCESS(t);
	each_once(t, ACCESSES);
}

/* What a vCPU opens for its instruction is open for no other vCPU. */
KVMI_TEST(kvmi_pf_smp, not_emulated, guest_add_sse)
{
	REQUIRE_PF_STEP(t);
	each_once(t, STEPPED);
}

/* Nobody is told; what happens is the same. */
KVMI_TEST(kvmi_pf_smp, silent, guest_add)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start_both(t, 0);
	for (int i = 0; i < 2; i++)
		kvmi_step_end(t, i);
	kvmi_test_rehook(t);
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
	for (int i = 0; i < 2; i++) {
		kvmi_worker_stop(&t->worker[i]);
		kvmi_set_guest(t, i, guest_add);
		t->guest[i]->val[TIMES] = ACCESSES;
		t->guest[i]->go = 0;
		t->guest[i]->done = 0;
		kvmi_step_begin(t, i);
	}
	kvmi_run_all(t);
	for (int i = 0; i < 2; i++)
		kvmi_step_end(t, i);
	TEST_ASSERT_EQ(*(__u64 *)a.hva, ACCESSES);
	TEST_ASSERT_EQ(*(__u64 *)(a.hva + 16), ACCESSES);
	TEST_ASSERT_EQ(*(__u64 *)(a.hva + 64), 2 * ACCESSES);
}

/* --- restrictions at random --- */

static inline __u64 mix(__u64 n)
{
	n = (n ^ n >> 31) * 0x9e3779b97f4a7c15ull;
	return n ^ n >> 29;
}

/* The same on the host, which knows thereby what the guest's memory has to be. */
static noinline void work(__u64 *mem, __u64 n, bool sse)
{
	__u64 r = mix(n), *a = &mem[r % WORDS], *b = &mem[(r >> 20) % (WORDS - 4)];
	void *src = (__u8 *)mem + (r >> 32) % (4 * PAGE - 64), *dst = b;
	__u64 len = r >> 58;

	asm volatile("addq %1, (%0)" : : "r"(a), "r"(r) : "memory", "cc");
	asm volatile("lock xaddq %1, (%0)" : "+r"(b), "+r"(r) : : "memory", "cc");
	*a ^= *b;
	if (len > 24)
		len = 24;
	asm volatile("rep movsb" : "+S"(src), "+D"(dst), "+c"(len) : : "memory");
	if (sse && n % 8 == 0)
		asm volatile("movq (%0), %%xmm0; paddq (%1), %%xmm0; movlps %%xmm0, (%0)"
			     : : "r"(a), "r"((unsigned long)b & ~15ul) : "xmm0", "memory");
}

static bool with_sse;

static void guest_work(struct kvmi_guest *g)
{
	__u64 n;

	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	/* What the host set before. */
	for (n = 0; !smp_load_acquire(&g->go); n++) {
		work((void *)g->val[MEM], n, with_sse);
		WRITE_ONCE(g->count, n);
	}
	g->val[ITERATIONS] = n;
	guest_done(g, 1);
	guest_spin(g);
}

static __u64 random_state;

static __u32 random_below(__u32 n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 33) % n;
}

/* No two events of a vCPU wait, so that answering those that came is enough. */
static void answer_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	while (t->tool.nr_events) {
		kvmi_next_event(&t->tool, &ev);
		TEST_ASSERT_EQ(ev.ev.event, KVMI_VCPU_EVENT_PF);
		kvmi_reply(&t->tool, &ev, random_below(4) ? KVMI_EVENT_ACTION_CONTINUE :
			   KVMI_EVENT_ACTION_RETRY, NULL, 0);
	}
}

static void one_round(struct kvmi_test *t, const struct area *a, const __u64 *tables, int nr_kinds)
{
	static const __u8 kinds[] = { ACCESS_RWX, ACCESS_R, ACCESS_RX, ACCESS_RW, ACCESS_RWX, 0 };
	__u8 access = kinds[random_below(nr_kinds)];
	__u32 page = random_below(NR_PAGES);

	switch (random_below(16)) {
	case 0:
		KVMI_ASSERT_OK(set_access(t, tables[random_below(4)],
					  random_below(2) ? ACCESS_R : ACCESS_RWX));
		break;
	case 1:
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, random_below(2), KVMI_VCPU_EVENT_PF,
						random_below(4) != 0));
		break;
	case 2:
		kvmi_worker_kick(&t->worker[random_below(2)]);
		break;
	default:
		KVMI_ASSERT_OK(set_access_range(t, a->gpa / PAGE + page,
						1 + random_below(NR_PAGES - page), access));
	}
	answer_events(t);
}

/* An event may have been on its way. */
static bool has_ended(struct kvmi_test *t, int i)
{
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	answer_events(t);
	/* What the guest wrote before. */
	return smp_load_acquire(&t->guest[i]->done);
}

static void check_work(const struct area *a, int i, __u64 iterations, bool sse)
{
	static __u64 mem[WORDS] __aligned(4096);
	__u64 *seen = (__u64 *)(a->hva + i * 4 * PAGE);

	memset(mem, 0, sizeof(mem));
	for (__u64 n = 0; n < iterations; n++)
		work(mem, n, sse);
	for (int w = 0; w < WORDS; w++)
		TEST_ASSERT(seen[w] == mem[w], "vCPU %d word 0x%x: 0x%llx, expected 0x%llx", i, w,
			    seen[w], mem[w]);
}

KVMI_TEST(kvmi_pf_smp, random_restrictions, guest_work)
{
	struct area a;
	__u64 tables[4];
	int nr_kinds;

	REQUIRE_PAGE_ACCESS(t);
	random_state = kvmi_env("KVMI_SEED", (__u64)time(NULL) << 20 ^ getpid());
	printf("# KVMI_SEED=0x%llx\n", random_state);
	nr_kinds = pf_features(t) & KVMI_PAGE_ACCESS_NONE ? 6 : 5;
	with_sse = can_step(t);
	sync_global_to_guest(t->vm, with_sse);

	a = add_area(t, NR_PAGES);
	memset(a.hva, 0, NR_PAGES * PAGE);
	tables[0] = t->vm->pgd;
	for (int l = 1; l < 4; l++) {
		__u64 *table = addr_gpa2hva(t->vm, tables[l - 1]);

		tables[l] = PTE_GET_PA(table[a.gva >> (48 - 9 * l) & 511]);
	}
	for (int i = 0; i < 2; i++)
		t->guest[i]->val[MEM] = a.gva + i * 4 * PAGE;
	kvmi_run_all(t);
	for (int i = 0; i < 2; i++)
		enable_pf(t, i);

	for (int n = 0; n < ROUNDS; n++)
		one_round(t, &a, tables, nr_kinds);

	KVMI_ASSERT_OK(set_access_range(t, 0, BIT_ULL(40), ACCESS_RWX));
	answer_events(t);
	for (int i = 0; i < 2; i++) {
		kvmi_step_begin(t, i);
		KVMI_WAIT(has_ended(t, i), "the guest's work does not end");
		printf("# vCPU %d: %llu iterations\n", i, t->guest[i]->val[ITERATIONS]);
		check_work(&a, i, t->guest[i]->val[ITERATIONS], with_sse);
	}
}

KVMI_TEST_MAIN()
