// SPDX-License-Identifier: GPL-2.0-only
/* The MSR event: what is reported, and what a reply does. */
#include "kvmi_msr_guest.h"
#include "kvmi_test_harness.h"

/* --- one register, from selecting it to letting it go ------------------------------------ */

FIXTURE(kvmi_msr_reg) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_msr_reg) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_msr_reg) { kvmi_test_teardown(&self->t); }

/* Two values that the register can hold; its own one plays no part. */
FIXTURE_VARIANT(kvmi_msr_reg) { __u32 msr; __u64 a, b; };
#define REG_CASE(name, msr_, a_, b_) \
	FIXTURE_VARIANT_ADD(kvmi_msr_reg, name) { .msr = msr_, .a = a_, .b = b_ }

/* KVM lets the guest write these without an exit, on one vendor or both. */
REG_CASE(fs_base, MSR_FS_BASE, 0x1000, 0xffffffff80001000);
REG_CASE(gs_base, MSR_GS_BASE, 0x2000, 0xffffffff80002000);
REG_CASE(kernel_gs_base, MSR_KERNEL_GS_BASE, 0x3000, 0xffffffff80003000);
REG_CASE(sysenter_cs, MSR_IA32_SYSENTER_CS, 0, 0x10);
/* Some processors keep the lower half of these only. */
REG_CASE(sysenter_esp, MSR_IA32_SYSENTER_ESP, 0, 0x80001000);
REG_CASE(sysenter_eip, MSR_IA32_SYSENTER_EIP, 0, 0x80002000);
REG_CASE(star, MSR_STAR, 0, 0x0023001000000000);
REG_CASE(lstar, MSR_LSTAR, 0, 0xffffffff80003000);
REG_CASE(syscall_mask, MSR_SYSCALL_MASK, 0, 0x700);
/* And these never. */
REG_CASE(efer, MSR_EFER, EFER_LME | EFER_LMA | EFER_NX, EFER_LME | EFER_LMA | EFER_NX | EFER_SCE);
REG_CASE(pat, MSR_IA32_CR_PAT, 0x0007040600070406, 0x0007040100070406);
REG_CASE(mtrr_def_type, MSR_MTRRdefType, 0, 0xc06);
REG_CASE(tsc_aux, MSR_TSC_AUX, 1, 2);

TEST_F_TIMEOUT(kvmi_msr_reg, is_reported, KVMI_TEST_TIMEOUT_S)
{
	const __u64 a = variant->a, b = variant->b;
	struct kvmi_test *t = &self->t;
	__u32 msr = variant->msr;
	struct kvmi_event_msg ev;

	if (msr == MSR_TSC_AUX && !kvm_cpu_has(X86_FEATURE_RDTSCP))
		SKIP(return, "this processor has no TSC_AUX");
	vcpu_set_msr(t->vcpu[0], msr, a);
	kvmi_set_guest(t, 0, guest_msr);
	kvmi_run(t, 0);
	select_msr(t, 0, msr);

	begin_wrmsr(t, 0, msr, b);
	expect_msr(t, 0, msr, a, b, &ev);
	/* Not written before the reply. */
	TEST_ASSERT_EQ(get_msr(t, 0, msr), a);
	kvmi_reply_msr(&t->tool, &ev, b);
	end_wrmsr(t, 0, 0, b);

	/* No change, no event. */
	begin_wrmsr(t, 0, msr, b);
	end_wrmsr(t, 0, 0, b);
	kvmi_expect_no_event(&t->tool, 0);

	/* The tool keeps the old value. */
	begin_wrmsr(t, 0, msr, a);
	expect_msr(t, 0, msr, b, a, &ev);
	kvmi_reply_msr(&t->tool, &ev, b);
	end_wrmsr(t, 0, 0, b);

	/* The same again with the guest's value. */
	begin_wrmsr(t, 0, msr, a);
	expect_msr(t, 0, msr, b, a, &ev);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 0, 0, a);

	/* Not selected any more. */
	KVMI_ASSERT_OK(control_msr(t, 0, msr, 0));
	begin_wrmsr(t, 0, msr, b);
	end_wrmsr(t, 0, 0, b);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(get_msr(t, 0, msr), b);
}

KVMI_TEST_SUITE(kvmi_msr, 1);
KVMI_TEST_SUITE(kvmi_msr_smp, 2);

/* --- when there is an event -------------------------------------------------------------- */

/* Both switches have to be on, in any order. */
KVMI_TEST(kvmi_msr, event_not_enabled, guest_msr)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_KERNEL_GS_BASE, 1));
	wrmsr_in_silence(t, MSR_KERNEL_GS_BASE, 0x1000);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_MSR, 1));
	begin_wrmsr(t, 0, MSR_KERNEL_GS_BASE, 0x2000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0x1000, 0x2000, &ev);
	/* Even while an event of this kind waits for its reply. */
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_MSR, 0));
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 0, 0, 0x2000);
	wrmsr_in_silence(t, MSR_KERNEL_GS_BASE, 0x3000);
}

KVMI_TEST(kvmi_msr, register_not_selected, guest_msr)
{
	kvmi_run(t, 0);
	select_msr(t, 0, MSR_LSTAR);
	wrmsr_in_silence(t, MSR_KERNEL_GS_BASE, 0x1000);
	wrmsr_in_silence(t, MSR_IA32_SYSENTER_EIP, 0x1000);
	/* Its neighbours in the bitmap. */
	wrmsr_in_silence(t, MSR_STAR, 0x0023001000000000);
	wrmsr_in_silence(t, MSR_CSTAR, 0x1000);
	wrmsr_in_silence(t, MSR_SYSCALL_MASK, 0x100);
}

KVMI_TEST(kvmi_msr, event_disallowed_later, guest_msr)
{
	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_MSR, 0), 0);
	wrmsr_in_silence(t, MSR_KERNEL_GS_BASE, 0x1000);
}

/* Neither a register that does not exist nor one that only reads. */
KVMI_TEST(kvmi_msr, no_such_register, guest_msr)
{
	static const __u32 msrs[] = { 0x1fff, 0x1ff0, 0xc0001fff, 0xc0000000 };

	kvmi_run(t, 0);
	for (int i = 0; i < ARRAY_SIZE(msrs); i++) {
		select_msr(t, 0, msrs[i]);
		begin_wrmsr(t, 0, msrs[i], 1);
		end_wrmsr(t, 0, GP_VECTOR, 0);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

/* The guest's own mistake stays its own. */
KVMI_TEST(kvmi_msr, guest_writes_invalid_value, guest_msr)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	select_msr(t, 0, MSR_IA32_CR_PAT);
	vm_msr(t, MSR_IA32_CR_PAT, 0x0007040600070406);
	begin_wrmsr(t, 0, MSR_IA32_CR_PAT, 0x0202020202020202);
	expect_msr(t, 0, MSR_IA32_CR_PAT, 0x0007040600070406, 0x0202020202020202, &ev);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 0, GP_VECTOR, 0x0007040600070406);
	/* Until the tool puts it right. */
	begin_wrmsr(t, 0, MSR_IA32_CR_PAT, 0x0202020202020202);
	expect_msr(t, 0, MSR_IA32_CR_PAT, 0x0007040600070406, 0x0202020202020202, &ev);
	kvmi_reply_msr(&t->tool, &ev, 0x0606060606060606);
	end_wrmsr(t, 0, 0, 0x0606060606060606);
}

/* A value that the register cannot hold is the guest's #GP; it keeps its value. */
static void invalid_new_val(struct kvmi_test *t, __u32 msr, __u64 valid, __u64 invalid)
{
	struct kvmi_event_msg ev;
	__u64 old;

	kvmi_run(t, 0);
	select_msr(t, 0, msr);
	old = get_msr(t, 0, msr);
	begin_wrmsr(t, 0, msr, valid);
	expect_msr(t, 0, msr, old, valid, &ev);
	kvmi_reply_msr(&t->tool, &ev, invalid);
	end_wrmsr(t, 0, GP_VECTOR, old);
}

KVMI_TEST(kvmi_msr, invalid_reply_address, guest_msr)
{
	invalid_new_val(t, MSR_KERNEL_GS_BASE, 0x1000, BIT_ULL(60));
}

KVMI_TEST(kvmi_msr, invalid_reply_reserved_bit, guest_msr)
{
	invalid_new_val(t, MSR_EFER, EFER_LME | EFER_LMA, BIT_ULL(40));
}

KVMI_TEST(kvmi_msr, short_reply_is_zero_extended, guest_msr)
{
	const __u64 val = 0xffffffff80001000;
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	select_msr(t, 0, MSR_LSTAR);
	begin_wrmsr(t, 0, MSR_LSTAR, val);
	expect_msr(t, 0, MSR_LSTAR, 0, val, &ev);
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_CONTINUE, &ev.msr.new_value, 4);
	end_wrmsr(t, 0, 0, 0x80001000);
}

KVMI_TEST(kvmi_msr, every_write_is_reported, guest_msr)
{
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	for (__u64 i = 1; i <= 200; i++) {
		begin_wrmsr(t, 0, MSR_KERNEL_GS_BASE, i);
		expect_msr(t, 0, MSR_KERNEL_GS_BASE, i - 1, i, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
		kvmi_continue(&t->tool, &ev);
		end_wrmsr(t, 0, 0, i);
	}
}

/* The VMM's own writes are none of the guest's. */
KVMI_TEST(kvmi_msr, vmm_writes, guest_msr)
{
	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	vm_msr(t, MSR_KERNEL_GS_BASE, 0x5000);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(get_msr(t, 0, MSR_KERNEL_GS_BASE), 0x5000);
}

/* WRMSR below CPL 0 is #GP before all else. */
KVMI_TEST(kvmi_msr, user_mode, guest_msr)
{
	kvmi_user_mode(t, 0);
	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	begin_wrmsr(t, 0, MSR_KERNEL_GS_BASE, 0x1000);
	end_wrmsr(t, 0, GP_VECTOR, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(get_msr(t, 0, MSR_KERNEL_GS_BASE), 0);
}

KVMI_TEST(kvmi_msr, emulated_instruction, guest_msr)
{
	int was = kvmi_force_emulation(1);
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	begin_insn(t, 0, EMULATED_WRMSR, MSR_KERNEL_GS_BASE, 0x1000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0, 0x1000, &ev);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 0, 0, 0x1000);
	begin_insn(t, 0, EMULATED_WRMSR, MSR_KERNEL_GS_BASE, 0x1000);
	end_wrmsr(t, 0, 0, 0x1000);
	begin_insn(t, 0, EMULATED_WRMSR, MSR_KERNEL_GS_BASE, 0x2000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0x1000, 0x2000, &ev);
	kvmi_reply_msr(&t->tool, &ev, 0x3000);
	end_wrmsr(t, 0, 0, 0x3000);
	begin_insn(t, 0, EMULATED_WRMSR, MSR_KERNEL_GS_BASE, 0x2000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0x3000, 0x2000, &ev);
	kvmi_reply_msr(&t->tool, &ev, BIT_ULL(60));
	end_wrmsr(t, 0, GP_VECTOR, 0x3000);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_force_emulation(was);
}

/* The emulator cannot wait twice: after a signal the guest's value is in, reply or not. */
KVMI_TEST(kvmi_msr, emulated_instruction_and_signal, guest_msr)
{
	int was = kvmi_force_emulation(1);
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	begin_insn(t, 0, EMULATED_WRMSR, MSR_KERNEL_GS_BASE, 0x1000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0, 0x1000, &ev);
	kvmi_worker_interrupt(&t->worker[0]);
	TEST_ASSERT_EQ(get_msr(t, 0, MSR_KERNEL_GS_BASE), 0x1000);
	/* The vCPU waits for it all the same. */
	TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->done), 0);
	kvmi_reply_msr(&t->tool, &ev, 0x2000);
	end_wrmsr(t, 0, 0, 0x1000);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_force_emulation(was);
}

/* Nor is the reply kept for the next time: the VMM puts the guest back where it was. */
KVMI_TEST(kvmi_msr, emulated_instruction_signal_and_again, guest_msr)
{
	int was = kvmi_force_emulation(1);
	struct kvmi_event_msg ev;

	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	begin_insn(t, 0, EMULATED_WRMSR, MSR_KERNEL_GS_BASE, 0x1000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0, 0x1000, &ev);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_set_msr(t->vcpu[0], MSR_KERNEL_GS_BASE, 0);
	vcpu_regs_set(t->vcpu[0], &ev.ev.arch.regs);
	kvmi_run(t, 0);
	kvmi_reply_msr(&t->tool, &ev, 0x2000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0, 0x1000, &ev);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 0, 0, 0x1000);
	kvmi_force_emulation(was);
}

/* --- other ends -------------------------------------------------------------------------- */

static void at_wrmsr(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	begin_wrmsr(t, 0, MSR_KERNEL_GS_BASE, 0x1000);
	expect_msr(t, 0, MSR_KERNEL_GS_BASE, 0, 0x1000, ev);
	TEST_ASSERT(!memcmp(addr_gva2hva(t->vm, ev->ev.arch.regs.rip), "\x0f\x30", 2),
		    "RIP of the event is not at the instruction");
}

KVMI_TEST(kvmi_msr, signal, guest_msr)
{
	struct kvmi_event_msg ev;

	at_wrmsr(t, &ev);
	for (int i = 0; i < 5; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_reply_msr(&t->tool, &ev, 0x2000);
	end_wrmsr(t, 0, 0, 0x2000);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_msr, crash, guest_msr)
{
	struct kvmi_event_msg ev;

	at_wrmsr(t, &ev);
	kvmi_expect_crash(t, 0, &ev);
	TEST_ASSERT_EQ(vcpu_get_msr(t->vcpu[0], MSR_KERNEL_GS_BASE), 0);
}

KVMI_TEST(kvmi_msr, no_retry, guest_msr)
{
	struct kvmi_event_msg ev;

	at_wrmsr(t, &ev);
	kvmi_expect_no_action(t, &ev, KVMI_EVENT_ACTION_RETRY);
	end_wrmsr(t, 0, 0, 0x1000);
}

KVMI_TEST(kvmi_msr, tool_closes, guest_msr)
{
	struct kvmi_event_msg ev;

	at_wrmsr(t, &ev);
	kvmi_tool_close(&t->tool);
	end_wrmsr(t, 0, 0, 0x1000);
}

KVMI_TEST(kvmi_msr, unhook_resets, guest_msr)
{
	kvmi_run(t, 0);
	select_msr(t, 0, MSR_KERNEL_GS_BASE);
	kvmi_test_rehook(t);
	wrmsr_in_silence(t, MSR_KERNEL_GS_BASE, 0x1000);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_MSR, 1));
	wrmsr_in_silence(t, MSR_KERNEL_GS_BASE, 0x2000);
	/* The list is a new one as well. */
	for (__u32 msr = 0x1000; msr < 0x1000 + KVMI_MAX_MSRS; msr++)
		KVMI_ASSERT_OK(control_msr(t, 0, msr, 1));
}

KVMI_TEST(kvmi_msr_smp, vcpus_are_independent, guest_msr)
{
	struct kvmi_event_msg ev;

	kvmi_run_all(t);
	select_msr(t, 0, MSR_LSTAR);
	select_msr(t, 1, MSR_KERNEL_GS_BASE);
	wrmsr_in_silence(t, MSR_KERNEL_GS_BASE, 0x1000);
	begin_wrmsr(t, 1, MSR_LSTAR, 0x1000);
	end_wrmsr(t, 1, 0, 0x1000);
	kvmi_expect_no_event(&t->tool, 1);
	begin_wrmsr(t, 1, MSR_KERNEL_GS_BASE, 0x2000);
	expect_msr(t, 1, MSR_KERNEL_GS_BASE, 0, 0x2000, &ev);
	kvmi_expect_running(t, 0);
	wrmsr_in_silence(t, MSR_KERNEL_GS_BASE, 0x3000);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 1, 0, 0x2000);
	/* Letting go on one vCPU leaves the other its event. */
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_KERNEL_GS_BASE, 1));
	KVMI_ASSERT_OK(control_msr(t, 0, MSR_KERNEL_GS_BASE, 0));
	begin_wrmsr(t, 1, MSR_KERNEL_GS_BASE, 0x4000);
	expect_msr(t, 1, MSR_KERNEL_GS_BASE, 0x2000, 0x4000, &ev);
	kvmi_continue(&t->tool, &ev);
	end_wrmsr(t, 1, 0, 0x4000);
}

KVMI_TEST_MAIN()
