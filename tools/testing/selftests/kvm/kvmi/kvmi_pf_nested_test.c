// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restricted pages that a nested guest (L2) touches: frames of its hypervisor, which is
 * the guest, with page tables of the hypervisor's for the nested guest and without.
 */
#include "kvmi_pf.h"
#include "svm_util.h"
#include "vmx.h"
#include "kvmi_test_harness.h"

#define NR_PAGES	4
#define CODE		PAGE			/* in the area */
#define TABLES		(2 * PAGE)		/* two pages, for SVM */
#define NOT_MAPPED	0x50000000ull		/* no memory there */
#define STACK_SIZE	4096
#define PADDD_LEN	4

/* In g->val. */
enum { NESTED, NESTED_PAGING, INSN, OPERAND, SPIN, RESULT, NR_UD };

#define INSNS(INSN) \
INSN(LOAD,	"mov (%%rsi), %%rax")			\
INSN(STORE,	"mov %%rax, (%%rsi)")			\
INSN(ADD,	"addq $1, (%%rsi)")			\
INSN(CALL,	"call *%%rsi")				\
INSN(PADDD,	"paddd (%%rsi), %%xmm0")		\
INSN(FROM_MMIO,	"xchg %%rsi, %%rdi; movsq")

enum {
#define NUMBER(name, text) name,
	INSNS(NUMBER)
};

static struct kvmi_guest *nested_guest;
static __u8 l2_stack[STACK_SIZE] __aligned(16);

/* --- L2 --- */

/* The hypervisor does not keep L2's registers. */
#define EXIT(insn)								\
	asm volatile("lea -128(%%rsp), %%rsp; push %%rbp\n\t"			\
		     insn "\n\t"						\
		     "pop %%rbp; lea 128(%%rsp), %%rsp"				\
		     : : : "memory", "rax", "rbx", "rcx", "rdx", "rsi", "rdi",	\
		     "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")

static noinline void l2_execute(struct kvmi_guest *g)
{
	__u64 rax = 0x4711, si = g->val[OPERAND], di = NOT_MAPPED;

	switch (READ_ONCE(g->val[INSN])) {
#define EXECUTE(name, text)							\
	case name:								\
		asm volatile("lea -128(%%rsp), %%rsp\n\t" text "\n\t"		\
			     "lea 128(%%rsp), %%rsp"				\
			     : "+a"(rax), "+S"(si), "+D"(di) : : "memory", "cc"); \
		break;
	INSNS(EXECUTE)
	}
	g->val[RESULT] = rax;
}

static void l2_code(void)
{
	for (;;) {
		/* On Bochs it would not be interrupted, see kvmi_open_to_interrupts(). */
		if (nested_guest->val[SPIN] && !host_cpu_is_amd)
			asm volatile("sti");
		while (READ_ONCE(nested_guest->val[SPIN]))
			WRITE_ONCE(nested_guest->val[RESULT], nested_guest->val[RESULT] + 1);
		l2_execute(nested_guest);
		if (host_cpu_is_amd)
			EXIT("vmmcall");
		else
			EXIT("vmcall");
	}
}

/* --- the guest --- */

static void svm_init(struct kvmi_guest *g, struct svm_test_data *svm)
{
	generic_svm_setup(svm, l2_code, l2_stack + STACK_SIZE - 8);
	if (g->val[NESTED_PAGING]) {
		svm->vmcb->control.nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
		svm->vmcb->control.nested_cr3 = g->val[NESTED_PAGING];
	}
}

static void svm_run(struct svm_test_data *svm)
{
	run_guest(svm->vmcb, svm->vmcb_gpa);
	GUEST_ASSERT_EQ(svm->vmcb->control.exit_code, SVM_EXIT_VMMCALL);
	svm->vmcb->save.rip += 3;
}

static void vmx_init(struct vmx_pages *vmx)
{
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_code, l2_stack + STACK_SIZE - 8);
}

static void vmx_run(bool first)
{
	GUEST_ASSERT(!(first ? vmlaunch() : vmresume()));
	/* Exits clear it; see kvmi_open_to_interrupts(). */
	asm volatile("sti");
	GUEST_ASSERT_EQ(vmreadz(VM_EXIT_REASON), EXIT_REASON_VMCALL);
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + 3);
}

static void on_ud(struct ex_regs *regs)
{
	nested_guest->val[NR_UD]++;
	regs->rip += PADDD_LEN;
}

/* L2 executes one instruction in each step but the first. */
static void guest_l1(struct kvmi_guest *g)
{
	/* For SSE, in L2, too. */
	set_cr4(get_cr4() | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	guest_wait(g, 1);
	if (host_cpu_is_amd)
		svm_init(g, (void *)g->val[NESTED]);
	else
		vmx_init((void *)g->val[NESTED]);
	guest_done(g, 1);
	for (__u64 n = 2; ; n++) {
		guest_wait(g, n);
		if (host_cpu_is_amd)
			svm_run((void *)g->val[NESTED]);
		else
			vmx_run(n == 2);
		guest_done(g, n);
	}
}

/* --- the host --- */

FIXTURE(kvmi_pf_nested) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_nested) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_nested) { kvmi_test_teardown(&self->t); }
FIXTURE_VARIANT(kvmi_pf_nested) { bool paging; };
FIXTURE_VARIANT_ADD(kvmi_pf_nested, own_page_tables) { .paging = true };
FIXTURE_VARIANT_ADD(kvmi_pf_nested, no_page_tables) { .paging = false };

#define NEEDS_NESTING()								\
do {										\
	if (!kvm_cpu_has(X86_FEATURE_SVM) && !kvm_cpu_has(X86_FEATURE_VMX))	\
		SKIP(return, "nested virtualization is off in KVM");		\
} while (0)

/* Nested page tables that map 512 GiB one to one. */
static __u64 svm_tables(const struct area *a)
{
	__u64 *pml4 = (void *)(a->hva + TABLES), *pdpt = pml4 + 512;

	pml4[0] = (a->gpa + TABLES + PAGE) | PTE_PRESENT_MASK | PTE_WRITABLE_MASK |
		  PTE_USER_MASK;
	for (__u64 i = 0; i < 512; i++)
		pdpt[i] = i << 30 | PTE_PRESENT_MASK | PTE_WRITABLE_MASK | PTE_USER_MASK |
			  PTE_LARGE_MASK;
	return a->gpa + TABLES;
}

static struct area start(struct kvmi_test *t, bool paging)
{
	struct area a = add_area(t, NR_PAGES);
	__u64 *val = t->guest[0]->val;
	struct vmx_pages *vmx;
	vm_vaddr_t nested;

	a.hva[CODE] = 0xc3;		/* ret */
	vm_install_exception_handler(t->vm, UD_VECTOR, on_ud);
	nested_guest = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, nested_guest);
	virt_map(t->vm, NOT_MAPPED, NOT_MAPPED, 1);
	val[NESTED_PAGING] = 0;
	val[SPIN] = 0;
	if (host_cpu_is_amd) {
		vcpu_alloc_svm(t->vm, &nested);
		if (paging)
			val[NESTED_PAGING] = svm_tables(&a);
	} else {
		vmx = vcpu_alloc_vmx(t->vm, &nested);
		if (paging) {
			prepare_eptp(vmx, t->vm, 0);
			nested_map_memslot(vmx, t->vm, 0);
			nested_map(vmx, t->vm, NOT_MAPPED, NOT_MAPPED, PAGE);
		}
	}
	val[NESTED] = nested;
	kvmi_set_guest(t, 0, guest_l1);
	kvmi_run(t, 0);
	kvmi_step_begin(t, 0);
	kvmi_step_end(t, 0);
	return a;
}

static void begin(struct kvmi_test *t, int insn, __u64 operand)
{
	t->guest[0]->val[INSN] = insn;
	t->guest[0]->val[OPERAND] = operand;
	kvmi_step_begin(t, 0);
}

static void finish(struct kvmi_test *t)
{
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

static void expect(struct kvmi_test *t, const struct area *a, __u8 access, __u64 offset)
{
	struct kvmi_event_msg ev;

	expect_pf(t, 0, access, a->gva + offset, a->gpa + offset, &ev);
	kvmi_continue(&t->tool, &ev);
}

TEST_F_TIMEOUT(kvmi_pf_nested, reads_and_writes, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	NEEDS_NESTING();
	a = start(t, variant->paging);
	/* L2 has them mapped by now. */
	begin(t, STORE, a.gva);
	finish(t);
	enable_pf(t, 0);
	for (int i = 0; i < 3; i++) {
		*(__u64 *)a.hva = 0x1000 + i;
		KVMI_ASSERT_OK(set_access(t, a.gpa, 0));
		begin(t, LOAD, a.gva);
		expect(t, &a, ACCESS_R, 0);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[RESULT], 0x1000 + i);
		begin(t, ADD, a.gva);
		expect(t, &a, ACCESS_R, 0);
		expect(t, &a, ACCESS_W, 0);
		finish(t);
		TEST_ASSERT_EQ(*(__u64 *)a.hva, 0x1001 + i);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
		begin(t, LOAD, a.gva);
		finish(t);
		begin(t, STORE, a.gva);
		expect(t, &a, ACCESS_W, 0);
		finish(t);
		TEST_ASSERT_EQ(*(__u64 *)a.hva, 0x4711);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
		begin(t, ADD, a.gva);
		finish(t);
	}
}

TEST_F_TIMEOUT(kvmi_pf_nested, fetches, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	NEEDS_NESTING();
	a = start(t, variant->paging);
	enable_pf(t, 0);
	for (int i = 0; i < 3; i++) {
		KVMI_ASSERT_OK(set_access(t, a.gpa + CODE, ACCESS_RW));
		begin(t, CALL, a.gva + CODE);
		expect(t, &a, ACCESS_X, CODE);
		finish(t);
		KVMI_ASSERT_OK(set_access(t, a.gpa + CODE, ACCESS_RWX));
		begin(t, CALL, a.gva + CODE);
		finish(t);
	}
}

/* What the VMM gives goes to memory. */
static void from_mmio(struct kvmi_test *t, const struct area *a)
{
	struct kvm_run *run = t->vcpu[0]->run;

	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[0]), KVM_EXIT_MMIO);
	TEST_ASSERT_EQ(run->mmio.phys_addr, NOT_MAPPED);
	TEST_ASSERT_EQ(run->mmio.is_write, 0);
	*(__u64 *)run->mmio.data = 0x1234;
	kvmi_run(t, 0);
	expect(t, a, ACCESS_W, 0);
	finish(t);
	TEST_ASSERT_EQ(*(__u64 *)a->hva, 0x1234);
}

/* What KVM cannot emulate is not executed, and L2 gets what KVM gives it then. */
TEST_F_TIMEOUT(kvmi_pf_nested, not_emulated, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	__u64 *val = t->guest[0]->val;
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	NEEDS_NESTING();
	a = start(t, variant->paging);
	enable_pf(t, 0);
	for (int i = 0; i < 3; i++) {
		begin(t, PADDD, a.gva);
		finish(t);
		TEST_ASSERT_EQ(val[NR_UD], i);
		KVMI_ASSERT_OK(set_access(t, a.gpa, 0));
		begin(t, PADDD, a.gva);
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PF, &ev);
		TEST_ASSERT_EQ(ev.pf.access, ACCESS_R);
		TEST_ASSERT_EQ(ev.pf.gpa, a.gpa);
		kvmi_continue(&t->tool, &ev);
		finish(t);
		TEST_ASSERT_EQ(val[NR_UD], i + 1);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
	}
}

/* KVM emulates for L2, too, and did not stop at a restricted page before. */
TEST_F_TIMEOUT(kvmi_pf_nested, emulated_for_another_reason, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	NEEDS_NESTING();
	a = start(t, variant->paging);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, 0));
	begin(t, FROM_MMIO, a.gva);
	from_mmio(t, &a);
}

/* The tool begins to listen while L2 runs. */
TEST_F_TIMEOUT(kvmi_pf_nested, switched_on_in_l2, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	__u64 *val = t->guest[0]->val, result;
	struct area a;

	REQUIRE_NO_ACCESS(t);
	NEEDS_NESTING();
	a = start(t, variant->paging);
	WRITE_ONCE(val[SPIN], 1);
	begin(t, FROM_MMIO, a.gva);
	result = READ_ONCE(val[RESULT]);
	KVMI_WAIT(READ_ONCE(val[RESULT]) != result, "L2 does not run");
	KVMI_ASSERT_OK(set_access(t, a.gpa, 0));
	enable_pf(t, 0);
	WRITE_ONCE(val[SPIN], 0);
	from_mmio(t, &a);
}

KVMI_TEST_MAIN()
