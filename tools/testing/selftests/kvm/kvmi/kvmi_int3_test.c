// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a guest's breakpoint instructions. Breakpoint events stand on
 * this, and emulated hardware has got it wrong. Needs no introspection.
 */
#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "processor.h"
#include "ucall_common.h"

/* In functions of their own: the compiler must not duplicate the labels. */
asm(".pushsection .text\n"
    "run_int3:	int3:		.byte 0xcc;		int3_end:	ret\n"
    "run_long_int3:	long_int3:	.byte 0xf3, 0xcc;	long_int3_end:	ret\n"
    "run_int_n:	int_n:		.byte 0xcd, 0x03;	int_n_end:	ret\n"
    ".popsection");

void run_int3(void);
void run_long_int3(void);
void run_int_n(void);
extern char int3, int3_end, long_int3, long_int3_end, int_n, int_n_end;

static void guest_int3(void)
{
	/* Delivering the first one also faults in what delivery needs. */
	run_int3();
	run_int3();
	GUEST_DONE();
}

static void guest_long_int3(void)
{
	run_long_int3();
	GUEST_DONE();
}

static void guest_int_n(void)
{
	run_int_n();
	GUEST_DONE();
}

static void guest_bp_handler(struct ex_regs *regs)
{
	GUEST_SYNC(regs->rip);
}

static uint64_t rip(struct kvm_vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_regs_get(vcpu, &regs);
	return regs.rip;
}

static void set_debug(struct kvm_vcpu *vcpu, uint32_t control)
{
	struct kvm_guest_debug debug = { .control = control };

	vcpu_guest_debug_set(vcpu, &debug);
}

static void trap_int3(struct kvm_vcpu *vcpu)
{
	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
}

/* The VMM sees the breakpoint, and the guest has not executed it. */
static void expect_trap(struct kvm_vcpu *vcpu, char *insn)
{
	vcpu_run(vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_DEBUG);
	TEST_ASSERT_EQ(vcpu->run->debug.arch.exception, BP_VECTOR);
	TEST_ASSERT_EQ(vcpu->run->debug.arch.pc, (uint64_t)insn);
	TEST_ASSERT_EQ(rip(vcpu), (uint64_t)insn);
}

/* The guest's handler sees the breakpoint as executed. */
static void expect_handled(struct kvm_vcpu *vcpu, char *next)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_SYNC);
	TEST_ASSERT_EQ(uc.args[1], (uint64_t)next);
}

static void expect_done(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_DONE);
}

static void skip(struct kvm_vcpu *vcpu, char *next)
{
	struct kvm_regs regs;

	vcpu_regs_get(vcpu, &regs);
	regs.rip = (uint64_t)next;
	vcpu_regs_set(vcpu, &regs);
}

KVM_ONE_VCPU_TEST_SUITE(int3);

KVM_ONE_VCPU_TEST(int3, guest_handles_it, guest_int3)
{
	vm_install_exception_handler(vcpu->vm, BP_VECTOR, guest_bp_handler);
	expect_handled(vcpu, &int3_end);
	expect_handled(vcpu, &int3_end);
	expect_done(vcpu);
}

KVM_ONE_VCPU_TEST(int3, trapped_at_its_address, guest_int3)
{
	trap_int3(vcpu);
	expect_trap(vcpu, &int3);
	skip(vcpu, &int3_end);
	expect_trap(vcpu, &int3);
	skip(vcpu, &int3_end);
	expect_done(vcpu);
}

KVM_ONE_VCPU_TEST(int3, trapped_again_when_not_skipped, guest_int3)
{
	trap_int3(vcpu);
	expect_trap(vcpu, &int3);
	expect_trap(vcpu, &int3);
}

KVM_ONE_VCPU_TEST(int3, trapped_with_prefix, guest_long_int3)
{
	trap_int3(vcpu);
	expect_trap(vcpu, &long_int3);
	skip(vcpu, &long_int3_end);
	expect_done(vcpu);
}

KVM_ONE_VCPU_TEST(int3, handed_back_to_the_guest, guest_int3)
{
	vm_install_exception_handler(vcpu->vm, BP_VECTOR, guest_bp_handler);
	for (int i = 0; i < 2; i++) {
		trap_int3(vcpu);
		expect_trap(vcpu, &int3);
		set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP |
			  KVM_GUESTDBG_INJECT_BP);
		expect_handled(vcpu, &int3_end);
	}
	expect_done(vcpu);
}

/* INT n is an interrupt whatever its vector is: the #BP intercept is not for it. */
KVM_ONE_VCPU_TEST(int3, int_n_is_not_trapped, guest_int_n)
{
	vm_install_exception_handler(vcpu->vm, BP_VECTOR, guest_bp_handler);
	trap_int3(vcpu);
	expect_handled(vcpu, &int_n_end);
	expect_done(vcpu);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SET_GUEST_DEBUG));
	return test_harness_run(argc, argv);
}
