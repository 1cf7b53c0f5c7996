// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restricted pages that KVM fetches on the side, while the vCPU is halted or, if the guest
 * has asked for that, does something else until it hears that the page is there.
 */
#include "apic.h"
#include "kvmi_pf_host.h"
#include "kvmi_pf_uffd.h"
#include "kvmi_test_harness.h"

#define VECTOR		0x41
#define NR_SWAPPED	20

/* In g->val, behind what guest_execute() has there. */
enum { NOT_PRESENT = RESULT + 1, PRESENT, WANTED };

/* Where KVM tells the guest of pages. */
static struct { __u32 flags, token; __u8 pad[56]; } apf __aligned(64);
static __u64 apf_gpa;
static struct kvmi_guest *guest_of_handler;

/* --- the guest --- */

static void on_page_fault(struct ex_regs *regs)
{
	struct kvmi_guest *g = guest_of_handler;
	__u64 present = g->val[PRESENT];

	GUEST_ASSERT(READ_ONCE(apf.flags) & KVM_PV_REASON_PAGE_NOT_PRESENT);
	WRITE_ONCE(apf.flags, 0);
	g->val[NOT_PRESENT]++;
	asm volatile("sti");
	while (READ_ONCE(g->val[PRESENT]) == present)
		cpu_relax();
	if (host_cpu_is_amd)
		asm volatile("cli");
}

static void on_interrupt(struct ex_regs *regs)
{
	struct kvmi_guest *g = guest_of_handler;
	__u32 token = READ_ONCE(apf.token);

	GUEST_ASSERT(token);
	WRITE_ONCE(apf.token, 0);
	/* The first one is of no page, but of those before this was switched on. */
	if (token != ~0u)
		WRITE_ONCE(g->val[PRESENT], g->val[PRESENT] + 1);
	wrmsr(MSR_KVM_ASYNC_PF_ACK, 1);
	x2apic_write_reg(APIC_EOI, 0);
}

/* With interrupts on, or KVM does not halt the vCPU either. */
static void guest_async(struct kvmi_guest *g)
{
	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	x2apic_enable();
	if (g->val[WANTED]) {
		wrmsr(MSR_KVM_ASYNC_PF_INT, VECTOR);
		wrmsr(MSR_KVM_ASYNC_PF_EN, apf_gpa | KVM_ASYNC_PF_ENABLED |
		      KVM_ASYNC_PF_SEND_ALWAYS | KVM_ASYNC_PF_DELIVERY_AS_INT);
	}
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		asm volatile("sti");
		guest_execute(g);
		if (host_cpu_is_amd)
			asm volatile("cli");
		guest_done(g, n);
	}
}

/* --- the host --- */

FIXTURE(kvmi_pf_async) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_async) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_async)
{
	kvmi_test_teardown(&self->t);
	swap_off();
}

FIXTURE_VARIANT(kvmi_pf_async) { bool wanted; };
FIXTURE_VARIANT_ADD(kvmi_pf_async, halted) { .wanted = false };
FIXTURE_VARIANT_ADD(kvmi_pf_async, told) { .wanted = true };

static struct area prepare(struct kvmi_test *t, int nr_pages, bool wanted)
{
	struct area a = add_slot(t, nr_pages, VM_MEM_SRC_ANONYMOUS);

	vm_install_exception_handler(t->vm, PF_VECTOR, on_page_fault);
	vm_install_exception_handler(t->vm, VECTOR, on_interrupt);
	guest_of_handler = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, guest_of_handler);
	apf_gpa = addr_gva2gpa(t->vm, (vm_vaddr_t)&apf);
	sync_global_to_guest(t->vm, apf_gpa);
	t->guest[0]->val[WANTED] = wanted;
	kvmi_set_guest(t, 0, guest_async);
	fill(&a);
	start_kinds(t, &a);
	return a;
}

/* The page is asked for while the vCPU is not stuck in KVM: it answers its commands. */
static void expect_async(struct kvmi_test *t, int uffd, const struct area *a, int page)
{
	expect_fault(uffd, a, page, UFFD_PAGEFAULT_FLAG_WRITE);
	kvmi_expect_no_event(&t->tool, 0);
}

static void expect_told(struct kvmi_test *t, bool wanted, __u64 times)
{
	TEST_ASSERT_EQ(t->guest[0]->val[NOT_PRESENT], wanted ? times : 0);
	TEST_ASSERT_EQ(t->guest[0]->val[PRESENT], wanted ? times : 0);
}

/* An access that is allowed; those that are not are reported before and after. */
TEST_F_TIMEOUT(kvmi_pf_async, allowed, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct area a;
	__u64 times = 0;
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	a = prepare(t, NR_KINDS, variant->wanted);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	for (int w = 0; w < ARRAY_SIZE(wants); w++) {
		make_missing(&a, 0x100 * (w + 1));
		for (int i = 0; i < NR_KINDS; i++) {
			if (!(kind_access(t, i) & wants[w])) {
				supply(uffd, &a, i);
				continue;
			}
			begin_access(t, &a, i, wants[w]);
			expect_async(t, uffd, &a, i);
			supply(uffd, &a, i);
			end_access(t, &a, i, wants[w]);
			expect_told(t, variant->wanted, ++times);
		}
		access_all(t, &a);
	}
	close(uffd);
}

/* The page was open when it was asked for, and is not when it is there. */
TEST_F_TIMEOUT(kvmi_pf_async, restricted_meanwhile, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct kvmi_event_msg ev;
	struct area a;
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	a = prepare(t, 1, variant->wanted);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	for (int n = 0; n < 5; n++) {
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
		make_missing(&a, 0x333);
		begin_access(t, &a, 0, ACCESS_W);
		expect_async(t, uffd, &a, 0);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
		supply(uffd, &a, 0);
		expect_asked(t, &a, 0, ACCESS_W, &ev);
		kvmi_continue(&t->tool, &ev);
		end_access(t, &a, 0, ACCESS_W);
		do_access(t, &a, 0, ACCESS_X, ACCESS_R);
		expect_told(t, variant->wanted, n + 1);
	}
	close(uffd);
}

/* What is reported is executed when the page is there: nothing else happens before. */
TEST_F_TIMEOUT(kvmi_pf_async, reported, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct kvmi_event_msg ev;
	struct area a;
	int uffd;

	REQUIRE_PAGE_ACCESS(t);
	a = prepare(t, NR_KINDS, variant->wanted);
	uffd = uffd_open(&a, UFFDIO_REGISTER_MODE_MISSING);
	for (int n = 0; n < (can_step(t) ? 4 : 2); n++) {
		bool stepped = n & 2;

		make_missing(&a, 0x222);
		if (stepped) {
			begin_insn(t, MOVLPS, a.gva + NO_W * PAGE, 0);
			expect_stepped(t, &a, NO_W, ACCESS_W, &ev);
		} else {
			begin_access(t, &a, NO_W, ACCESS_W);
			expect_asked(t, &a, NO_W, ACCESS_W, &ev);
		}
		expect_no_fault(uffd);
		kvmi_continue(&t->tool, &ev);
		expect_fault(uffd, &a, NO_W, UFFD_PAGEFAULT_FLAG_WRITE);
		supply(uffd, &a, NO_W);
		if (stepped) {
			end_insn(t);
			kvmi_expect_no_event(&t->tool, 0);
			TEST_ASSERT_EQ(word(&a, NO_W * PAGE), INSN_RAX);
			known[NO_W] = INSN_RAX;
		} else {
			end_access(t, &a, NO_W, ACCESS_W);
		}
		do_access(t, &a, NO_W, ACCESS_W, ACCESS_RX);
		expect_told(t, variant->wanted, 0);
	}
	close(uffd);
}

static void access_swapped(struct kvmi_test *t, struct area *a)
{
	page_out_all(a);
	for (int i = 0; i < NR_SWAPPED; i++) {
		__u8 access = kind_access(t, i);

		for (int w = 0; w < ARRAY_SIZE(wants); w++)
			if (access & wants[w])
				do_access(t, a, i, wants[w], access);
	}
}

/*
 * From a swap device. How many of the pages take long enough is a matter of luck, and on
 * the debug kernel it may be none.
 */
TEST_F_TIMEOUT(kvmi_pf_async, swapped, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	int rounds = 0;
	struct area a;
	__u64 *val;

	REQUIRE_PAGE_ACCESS(t);
	REQUIRE_SWAP();
	a = prepare(t, NR_SWAPPED, variant->wanted);
	val = t->guest[0]->val;
	do
		access_swapped(t, &a);
	while (variant->wanted && !val[PRESENT] && ++rounds < 50);
	TEST_ASSERT_EQ(val[NOT_PRESENT], val[PRESENT]);
	printf("# the guest was told of %llu pages\n", val[PRESENT]);
	TEST_ASSERT(!variant->wanted == !val[PRESENT], "no page took long enough");
	access_all(t, &a);
}

KVMI_TEST_MAIN()
