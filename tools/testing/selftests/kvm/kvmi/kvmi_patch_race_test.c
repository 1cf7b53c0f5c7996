// SPDX-License-Identifier: GPL-2.0-only
/*
 * One CPU changes an instruction, by way of INT3, while another one executes it. When
 * that CPU has confirmed each step, it must not meet the INT3 any more. Emulated hardware
 * has kept it for ever, which ended guests that patch their own code. Needs neither KVM
 * nor introspection.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "kselftest_harness.h"
#include "kvm_util.h"
#include "processor.h"

#define INT3		0xcc
#define RET		0xc3

/* Some seconds on an idle machine; QEMU without the repair fails in the first of them. */
#define PATCHES		20000
#define ENOUGH_S	6
/* Bochs has one thread for all CPUs, so that nothing can race there. */
#define PATCHES_INTEL	200

/* Two instructions of two bytes that do nothing: JMP to the next one, and NOP. */
static const u8 insns[2][2] = { { 0xeb, 0x00 }, { 0x66, 0x90 } };

/* The same page twice: the code that is executed, and where it is written. */
static u8 *code, *alias;
/* Each step that is asked for is confirmed by the CPU that executes the code. */
static u64 asked, confirmed;
static u64 expected, unexpected;
static bool patching, stop;

static void pin_self(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(set), &set), "CPU %d: errno %d", cpu, errno);
}

static void take_int3(int signal, siginfo_t *info, void *context)
{
	greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	TEST_ASSERT_EQ(*rip, (greg_t)(code + 1));
	if (READ_ONCE(patching))
		expected++;
	else
		unexpected++;
	*rip = (greg_t)(code + sizeof(insns[0]));
}

static void *execute(void *unused)
{
	u32 eax, ebx, ecx, edx;

	pin_self(1);
	while (!READ_ONCE(stop)) {
		((void (*)(void))code)();
		if (READ_ONCE(asked) == confirmed)
			continue;
		/* CPUID serializes: what is executed now is what is in memory. */
		cpuid(0, &eax, &ebx, &ecx, &edx);
		WRITE_ONCE(confirmed, READ_ONCE(asked));
	}
	return NULL;
}

static void write_code(int at, u8 byte)
{
	WRITE_ONCE(alias[at], byte);
	WRITE_ONCE(asked, asked + 1);
	while (READ_ONCE(confirmed) != asked)
		;
}

static void patch(const u8 *insn)
{
	WRITE_ONCE(patching, true);
	write_code(0, INT3);
	write_code(1, insn[1]);
	write_code(0, insn[0]);
	WRITE_ONCE(patching, false);
	/* Executed once more at least, with another byte of the page written. */
	write_code(sizeof(insns[0]) + 1, insn[0]);
}

TEST(patch_race)
{
	const struct sigaction action = { .sa_sigaction = take_int3, .sa_flags = SA_SIGINFO };
	int patches = host_cpu_is_intel ? PATCHES_INTEL : PATCHES;
	time_t end = time(NULL) + ENOUGH_S;
	int fd = memfd_create("code", 0), done;
	pthread_t thread;

	ASSERT_EQ(ftruncate(fd, getpagesize()), 0);
	alias = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	code = mmap(NULL, getpagesize(), PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	ASSERT_NE(alias, MAP_FAILED);
	ASSERT_NE(code, MAP_FAILED);
	memcpy(alias, insns[0], sizeof(insns[0]));
	alias[sizeof(insns[0])] = RET;
	ASSERT_EQ(sigaction(SIGTRAP, &action, NULL), 0);
	pin_self(0);
	ASSERT_EQ(pthread_create(&thread, NULL, execute, NULL), 0);

	for (done = 0; done < patches && time(NULL) < end && !READ_ONCE(unexpected); done++)
		patch(insns[(done + 1) % 2]);
	WRITE_ONCE(stop, true);
	pthread_join(thread, NULL);
	TH_LOG("%d patches, %lu times INT3 meanwhile", done, (unsigned long)expected);
	EXPECT_EQ(unexpected, 0);
	EXPECT_GT(expected, 0);
}

int main(int argc, char *argv[])
{
	__TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	return test_harness_run(argc, argv);
}
