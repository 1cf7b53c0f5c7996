// SPDX-License-Identifier: GPL-2.0-only
/* Restricted pages that a guest touches in system management mode and in real mode. */
#include "apic.h"
#include "kvmi_pf.h"
#include "kvmi_test_harness.h"

#define PORT		0xe

KVMI_TEST_SUITE(kvmi_pf_modes, 1);

/* A physical address, which is what the guest uses without paging. */
static void expect(struct kvmi_test *t, __u8 access, __u64 gpa)
{
	struct kvmi_event_msg ev;

	expect_pf(t, 0, access, gpa, gpa, &ev);
	kvmi_continue(&t->tool, &ev);
}

/* --- system management mode --- */

#define SMRAM		0x1000000ull
#define SMRAM_PAGES	16
/* Slots of the address space that is seen in this mode. */
#define SMM_SLOT(n)	((1 << 16) | (n))
#define SMI_HANDLER	(SMRAM + 0x8000)
#define SMM_STATE	(SMRAM + 0xf000)

/* mov $at, %ebx; addl $1, (%ebx); rsm in 16-bit code: where each begins. */
static const __u8 smi_handler[] = {
	0x66, 0xbb, 0, 0, 0, 0, 0x67, 0x66, 0x83, 0x03, 0x01, 0x0f, 0xaa,
};

static const int smi_insns[] = { 0, 6, 11 };

static void guest_smi(struct kvmi_guest *g)
{
	x2apic_enable();
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		x2apic_write_reg(APIC_ICR, APIC_DEST_SELF | APIC_INT_ASSERT | APIC_DM_SMI);
		guest_done(g, n);
	}
}

static struct area prepare_smm(struct kvmi_test *t)
{
	struct area a = add_area(t, 1);
	__u32 at = a.gpa;

	vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, SMRAM, SMM_SLOT(1),
				    SMRAM_PAGES, 0);
	vm_set_user_memory_region(t->vm, SMM_SLOT(2), 0, a.gpa, PAGE, a.hva);
	memcpy(addr_gpa2hva(t->vm, SMI_HANDLER), smi_handler, sizeof(smi_handler));
	memcpy(addr_gpa2hva(t->vm, SMI_HANDLER) + 2, &at, sizeof(at));
	vcpu_set_msr(t->vcpu[0], MSR_IA32_SMBASE, SMRAM);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	return a;
}

static void smi(struct kvmi_test *t, const struct area *a, __u32 sum)
{
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(*(__u32 *)a->hva, sum);
}

KVMI_TEST(kvmi_pf_modes, smm_data, guest_smi)
{
	struct area a;

	REQUIRE_NO_ACCESS(t);
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X86_SMM));
	a = prepare_smm(t);
	for (int i = 1; i <= 3; i++) {
		KVMI_ASSERT_OK(set_access(t, a.gpa, i == 2 ? ACCESS_R : 0));
		kvmi_step_begin(t, 0);
		if (i != 2)
			expect(t, ACCESS_R, a.gpa);
		expect(t, ACCESS_W, a.gpa);
		smi(t, &a, i);
	}
	/* Mapped there by now: the right has to go there, too, and comes back. */
	KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
	for (int i = 4; i <= 6; i += 2) {
		kvmi_step_begin(t, 0);
		smi(t, &a, i);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_R));
		kvmi_step_begin(t, 0);
		expect(t, ACCESS_W, a.gpa);
		smi(t, &a, i + 1);
		KVMI_ASSERT_OK(set_access(t, a.gpa, ACCESS_RWX));
	}
}

KVMI_TEST(kvmi_pf_modes, smm_code, guest_smi)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X86_SMM));
	a = prepare_smm(t);
	KVMI_ASSERT_OK(set_access(t, SMI_HANDLER, ACCESS_RW));
	for (int i = 1; i <= 3; i++) {
		kvmi_step_begin(t, 0);
		for (int n = 0; n < ARRAY_SIZE(smi_insns); n++)
			expect(t, ACCESS_X, SMI_HANDLER + smi_insns[n]);
		smi(t, &a, i);
	}
}

/* What KVM saves and loads is not the guest's access. */
KVMI_TEST(kvmi_pf_modes, smm_state, guest_smi)
{
	struct area a;

	REQUIRE_NO_ACCESS(t);
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X86_SMM));
	a = prepare_smm(t);
	KVMI_ASSERT_OK(set_access(t, SMM_STATE, 0));
	for (int i = 1; i <= 3; i++) {
		kvmi_step_begin(t, 0);
		smi(t, &a, i);
	}
}

/* --- real mode --- */

#define VECTOR		0x21
#define IVT_ENTRY	(4 * VECTOR)
#define HANDLER		(KVMI_CODE32_GPA + 0x100)
#define STACK_TOP	(KVMI_CODE32_GPA + 0x800)

/* A prefix makes KVM emulate INT, which reads the vector's address and uses the stack. */
static const __u8 real_code[] = { 0x0f, 0x0b, 'k', 'v', 'm', 0xcd, VECTOR };
/* out %al, $PORT */
static const __u8 real_handler[] = { 0xe6, PORT };

static void set_real_mode(struct kvmi_test *t)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	kvmi_32bit_mode(t, 0, real_code, sizeof(real_code));
	memcpy(addr_gpa2hva(t->vm, HANDLER), real_handler, sizeof(real_handler));
	*(__u32 *)addr_gpa2hva(t->vm, IVT_ENTRY) = HANDLER;
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.cr0 &= ~X86_CR0_PE;
	sregs.cs.db = 0;
	sregs.cs.selector = 0;
	sregs.idt.base = 0;
	sregs.idt.limit = 0x3ff;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	vcpu_regs_get(t->vcpu[0], &regs);
	regs.rsp = STACK_TOP;
	vcpu_regs_set(t->vcpu[0], &regs);
}

/* Before the first instruction. */
static void run_with_pf(struct kvmi_test *t)
{
	struct kvmi_vcpu_control_events req = { .event_id = KVMI_VCPU_EVENT_PF, .enable = 1 };
	__u32 seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_CONTROL_EVENTS, &req, sizeof(req));

	/* Commands are taken in their order: it is there by now. */
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_CONTROL_EVENTS, seq, NULL, 0));
}

KVMI_TEST(kvmi_pf_modes, real_mode_interrupt, guest_spin)
{
	int was = kvmi_force_emulation(1);
	struct kvm_regs regs;

	REQUIRE_NO_ACCESS(t);
	set_real_mode(t);
	KVMI_ASSERT_OK(set_access(t, 0, 0));
	KVMI_ASSERT_OK(set_access(t, KVMI_CODE32_GPA, ACCESS_RX));
	run_with_pf(t);
	for (int i = 1; i <= 3; i++)
		expect(t, ACCESS_W, STACK_TOP - 2 * i);
	expect(t, ACCESS_R, IVT_ENTRY + 2);
	expect(t, ACCESS_R, IVT_ENTRY);
	kvmi_worker_wait_end(&t->worker[0]);
	TEST_ASSERT_EQ(t->vcpu[0]->run->exit_reason, KVM_EXIT_IO);
	vcpu_regs_get(t->vcpu[0], &regs);
	TEST_ASSERT_EQ(regs.rsp, STACK_TOP - 6);
	kvmi_force_emulation(was);
}

KVMI_TEST_MAIN()
