// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that exits all the time on the first CPU, while the second CPU loads
 * FPU state all the time. Emulated hardware has mixed up what it knows of the
 * first CPU's guest mode and what the second one does: the guest ended in a
 * triple fault, or the host hung. Needs no introspection.
 */
#include <pthread.h>
#include <sched.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "processor.h"
#include "ucall_common.h"

/*
 * A second or two on an idle machine, and no more than some on a busy one: QEMU
 * without the repair seldom survives the first round.
 */
#define EXITS		10000		/* in one round */
#define ROUNDS		20
#define ENOUGH_S	6
/* Bochs has one thread for all CPUs, so that nothing can race there. */
#define EXITS_INTEL	2000

static bool stop;

static void guest_code(u64 exits)
{
	u32 eax, ebx, ecx, edx;
	u64 done;

	for (;;) {
		for (done = 0; done < exits; done++)
			cpuid(0, &eax, &ebx, &ecx, &edx);
		GUEST_SYNC(done);
	}
}

static void pin_self(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(set), &set), "CPU %d: errno %d", cpu, errno);
}

static void *load_fpu_state(void *unused)
{
	u8 state[512] __aligned(16);

	pin_self(1);
	asm volatile("fxsave %0" : "=m"(state));
	while (!READ_ONCE(stop)) {
		for (int i = 0; i < 1000; i++)
			asm volatile("fxrstor %0" : : "m"(state));
	}
	return NULL;
}

static void expect_all_exits(struct kvm_vcpu *vcpu, u64 exits)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_SYNC);
	TEST_ASSERT_EQ(uc.args[1], exits);
}

KVM_ONE_VCPU_TEST_SUITE(fpu_race);

KVM_ONE_VCPU_TEST(fpu_race, exits_while_the_other_cpu_loads_fpu_state, guest_code)
{
	u64 exits = host_cpu_is_intel ? EXITS_INTEL : EXITS;
	int rounds = host_cpu_is_intel ? 1 : ROUNDS;
	time_t end = time(NULL) + ENOUGH_S;
	pthread_t thread;

	pin_self(0);
	vcpu_args_set(vcpu, 1, exits);
	TEST_ASSERT(!pthread_create(&thread, NULL, load_fpu_state, NULL), "no thread");
	do {
		expect_all_exits(vcpu, exits);
	} while (--rounds && time(NULL) < end);
	WRITE_ONCE(stop, true);
	pthread_join(thread, NULL);
}

int main(int argc, char *argv[])
{
	__TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	return test_harness_run(argc, argv);
}
