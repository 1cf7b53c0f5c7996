// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a guest's breakpoint instructions. Breakpoint events stand on
 * this, and emulated hardware has got it wrong. Needs no introspection.
 */
#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "processor.h"
#include "ucall_common.h"

struct insn {
	u64 start;
	u64 end;
};

#define INT3		"\xcc"
#define REP_INT3	"\xf3\xcc"
#define INT_N_3		"\xcd\x03"
#define RET		"\xc3"

/* Delivering the first exception also faults in what delivery needs. */
static void guest_code(void (*breakpoint)(void))
{
	breakpoint();
	breakpoint();
	GUEST_DONE();
}

static void guest_bp_handler(struct ex_regs *regs)
{
	GUEST_SYNC(regs->rip);
}

/* Give the guest a function that consists of @code and a return. */
#define load(vcpu, code)	load_bytes(vcpu, code RET, sizeof(code) - 1)

static struct insn load_bytes(struct kvm_vcpu *vcpu, const char *bytes, size_t len)
{
	struct insn insn;

	insn.start = vm_vaddr_alloc_page(vcpu->vm);
	insn.end = insn.start + len;
	memcpy(addr_gva2hva(vcpu->vm, insn.start), bytes, len + 1);
	vcpu_args_set(vcpu, 1, insn.start);
	vm_install_exception_handler(vcpu->vm, BP_VECTOR, guest_bp_handler);
	return insn;
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
static void expect_trap(struct kvm_vcpu *vcpu, struct insn insn)
{
	struct kvm_regs regs;

	vcpu_run(vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_DEBUG);
	TEST_ASSERT_EQ(vcpu->run->debug.arch.exception, BP_VECTOR);
	TEST_ASSERT_EQ(vcpu->run->debug.arch.pc, insn.start);
	vcpu_regs_get(vcpu, &regs);
	TEST_ASSERT_EQ(regs.rip, insn.start);
}

/* The guest's handler sees the breakpoint as executed. */
static void expect_handled(struct kvm_vcpu *vcpu, struct insn insn)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_SYNC);
	TEST_ASSERT_EQ(uc.args[1], insn.end);
}

static void expect_done(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_DONE);
}

static void skip(struct kvm_vcpu *vcpu, struct insn insn)
{
	struct kvm_regs regs;

	vcpu_regs_get(vcpu, &regs);
	regs.rip = insn.end;
	vcpu_regs_set(vcpu, &regs);
}

static void trap_and_skip_twice(struct kvm_vcpu *vcpu, struct insn insn)
{
	trap_int3(vcpu);
	for (int i = 0; i < 2; i++) {
		expect_trap(vcpu, insn);
		skip(vcpu, insn);
	}
	expect_done(vcpu);
}

KVM_ONE_VCPU_TEST_SUITE(int3);

KVM_ONE_VCPU_TEST(int3, guest_handles_it, guest_code)
{
	struct insn insn = load(vcpu, INT3);

	expect_handled(vcpu, insn);
	expect_handled(vcpu, insn);
	expect_done(vcpu);
}

KVM_ONE_VCPU_TEST(int3, trapped_at_its_address, guest_code)
{
	trap_and_skip_twice(vcpu, load(vcpu, INT3));
}

KVM_ONE_VCPU_TEST(int3, trapped_with_prefix, guest_code)
{
	trap_and_skip_twice(vcpu, load(vcpu, REP_INT3));
}

KVM_ONE_VCPU_TEST(int3, trapped_again_when_not_skipped, guest_code)
{
	struct insn insn = load(vcpu, INT3);

	trap_int3(vcpu);
	expect_trap(vcpu, insn);
	expect_trap(vcpu, insn);
}

KVM_ONE_VCPU_TEST(int3, handed_back_to_the_guest, guest_code)
{
	struct insn insn = load(vcpu, INT3);

	for (int i = 0; i < 2; i++) {
		trap_int3(vcpu);
		expect_trap(vcpu, insn);
		set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP |
			  KVM_GUESTDBG_INJECT_BP);
		expect_handled(vcpu, insn);
	}
	expect_done(vcpu);
}

/* INT n is an interrupt whatever its vector is: the #BP intercept is not for it. */
KVM_ONE_VCPU_TEST(int3, int_n_is_not_trapped, guest_code)
{
	struct insn insn = load(vcpu, INT_N_3);

	trap_int3(vcpu);
	expect_handled(vcpu, insn);
	expect_handled(vcpu, insn);
	expect_done(vcpu);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SET_GUEST_DEBUG));
	return test_harness_run(argc, argv);
}
