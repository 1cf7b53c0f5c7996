// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls that L2 counts, for a tool that does the same by a breakpoint. When the
 * tool writes the physical address of the system call entry to L2's page, L2 says:
 *
 *   L2: quiet                       nobody makes a system call any more
 *   L2: calls N N WRONG             on each CPU, for three seconds from when the tool
 *                                   has set its breakpoint there; wrong results
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "l2.h"

/* Processes that count system calls, one on each CPU. */
static struct calls {
	volatile int quiet, go, done, gone;
	volatile unsigned long made[MAX_CPUS], wrong[MAX_CPUS];
} *calls;

static const long calls_ms = 3000;

void set_up_calls(void)
{
	calls = map_shared(-1, 0, PROT_READ | PROT_WRITE, MAP_ANONYMOUS);
}

/* How far the TSC counts in @ms. */
static uint64_t ticks_in(long ms)
{
	const struct timespec rest = { .tv_nsec = 50000000 };
	double start = now();
	uint64_t tsc = __rdtsc();

	nanosleep(&rest, NULL);
	return (__rdtsc() - tsc) * (ms / 1000.0) / (now() - start);
}

static void report_calls(void)
{
	unsigned long wrong = 0;
	char made[100] = "";
	int cpu, n = 0;

	for (cpu = 0; cpu < cpus; cpu++) {
		n += snprintf(made + n, sizeof(made) - n, "%lu ", calls->made[cpu]);
		wrong += calls->wrong[cpu];
	}
	calls->quiet = 0;
	calls->go = 0;
	calls->done = 0;
	calls->gone = 0;
	say("L2: calls %s%lu", made, wrong);
	page->entry = 0;
}

#define INT3 0xcc

/*
 * Make system calls for a while, with a breakpoint of the tool where each begins, and
 * count them. No other is made from before the breakpoint is set until it is gone:
 * that is seen in the code, and time in the TSC. Called by the process of each CPU that
 * has the token, so that all others wait.
 */
void count_calls(int cpu)
{
	int fd = open("/dev/mem", O_RDONLY);
	const volatile uint8_t *code;
	uint64_t ticks, start;
	pid_t parent;

	if (fd < 0)
		die("/dev/mem");
	code = map_shared(fd, page->entry & ~4095ull, PROT_READ, 0);
	code += page->entry & 4095;
	close(fd);
	ticks = ticks_in(calls_ms);
	parent = getppid();
	calls->made[cpu] = 0;
	calls->wrong[cpu] = 0;
	/* The guest's kernel has work to do meanwhile. */
	schedule_as(SCHED_OTHER, 0);

	__sync_fetch_and_add(&calls->quiet, 1);
	if (!cpu) {
		while (calls->quiet < cpus)
			;
		say("L2: quiet");
		calls->go = 1;
	}
	while (!calls->go || *code != INT3)
		;
	start = __rdtsc();
	while (__rdtsc() - start < ticks) {
		if (syscall(SYS_getppid) != parent)
			calls->wrong[cpu]++;
		calls->made[cpu]++;
	}
	__sync_fetch_and_add(&calls->done, 1);
	while (calls->done < cpus || *code == INT3)
		;
	__sync_fetch_and_add(&calls->gone, 1);
	while (!cpu && calls->gone < cpus)
		;

	schedule_as(SCHED_FIFO, 1);
	munmap((void *)((uintptr_t)code & ~4095ul), 4096);
	if (!cpu)
		report_calls();
	/* One count is over before another one begins. */
	while (page->entry)
		sched_yield();
}
