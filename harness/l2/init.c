// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only program of the guest (L2): process 1 says on the console what a tool
 * outside should find, and goes on saying it, one fact per line:
 *
 *   L2: cpus 2                      L2: ram-end HEX      end of the last RAM
 *   L2: symbol NAME ADDRESS         L2: banner TEXT      /proc/version
 *   L2: page ADDRESS                physical address of the page below
 *   L2: marker TEXT                 what it holds, again after each change
 *   L2: processes N                 that run, each in its own address space
 *   L2: ready
 *   L2: beat N                      twice a second; passes in the page grow
 *
 * And what calls.c, key.c and answer.c say, when the tool asks for it.
 *
 * On every CPU the same number of processes forms a ring and hands on a token,
 * so that each pass is one change of the address space, and there is no other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "l2.h"

#define RING 3

struct page *page;
int cpus;
static long rest_ms = 2;

void say(const char *fmt, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* One write for one line, so that lines of the kernel stay apart. */
	if (write(STDOUT_FILENO, line, n) != n)
		_exit(1);
}

void die(const char *what)
{
	say("L2: failed: %s: %s", what, strerror(errno));
	for (;;)
		pause();
}

void schedule_as(int policy, int priority)
{
	const struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(0, policy, &param) < 0)
		die("sched_setscheduler");
}

/*
 * One CPU, and no preemption among equals: a process that hands on the token
 * runs until it waits, and no other change of the address space happens.
 */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
	schedule_as(SCHED_FIFO, 1);
}

static void set_up(void)
{
	int fd;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	fd = open("/dev/console", O_RDWR);
	if (fd < 0)
		_exit(1);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
}

static void say_symbols(void)
{
	static const char *const wanted[] = {
		"linux_banner", "entry_SYSCALL_64", "init_top_pgt",
		"_text", "_etext", "__start_rodata", "__end_rodata",
	};
	unsigned long long address;
	char line[256], name[128];
	FILE *f = fopen("/proc/kallsyms", "r");
	size_t i, found = 0;

	if (!f)
		die("/proc/kallsyms");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %*c %127s", &address, name) != 2)
			continue;
		for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			if (!strcmp(name, wanted[i])) {
				say("L2: symbol %s %#llx", name, address);
				found++;
			}
		}
	}
	fclose(f);
	if (found != sizeof(wanted) / sizeof(wanted[0]))
		die("a symbol is missing");
}

static void say_banner(void)
{
	char line[400];
	FILE *f = fopen("/proc/version", "r");

	if (!f || !fgets(line, sizeof(line), f))
		die("/proc/version");
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	say("L2: banner %s", line);
}

static FILE *open_iomem(void)
{
	FILE *f = fopen("/proc/iomem", "r");

	if (!f)
		die("/proc/iomem");
	return f;
}

/* The next RAM that /proc/iomem names; its end, 0 behind the last. */
static uint64_t next_ram(FILE *f, uint64_t *first)
{
	unsigned long long start, last;
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "System RAM") &&
		    sscanf(line, "%llx-%llx", &start, &last) == 2) {
			*first = start;
			return last + 1;
		}
	}
	return 0;
}

static void say_memory(void)
{
	uint64_t first, end, last = 0;
	FILE *f = open_iomem();

	while ((end = next_ram(f, &first)))
		last = end;
	fclose(f);
	say("L2: ram-end %#llx", (unsigned long long)last);
}

/* The physical address of a page that begins with @pattern, 0 if none does. */
static uint64_t find_physical(const char *pattern)
{
	uint64_t address, end, found = 0;
	int fd = open("/dev/mem", O_RDONLY);
	char text[MARKER_SIZE];
	FILE *f = open_iomem();

	if (fd < 0)
		die("/dev/mem");
	while (!found && (end = next_ram(f, &address))) {
		if (address < 1 << 20)
			continue;
		for (; !found && address < end; address += 4096) {
			if (pread(fd, text, MARKER_SIZE, address) == MARKER_SIZE &&
			    !memcmp(text, pattern, MARKER_SIZE))
				found = address;
		}
	}
	fclose(f);
	close(fd);
	return found;
}

void *map_shared(int fd, off_t offset, int prot, int flags)
{
	void *p = mmap(NULL, 4096, prot, MAP_SHARED | flags, fd, offset);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/*
 * A page that stays where it is, because it is locked and nothing migrates. It
 * is found in memory by what it holds; twice, to be sure that it is the page
 * itself that was found.
 */
static void make_page(void)
{
	uint64_t address, again;
	struct timespec ts;

	page = map_shared(-1, 0, PROT_READ | PROT_WRITE,
			  MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(page->marker, MARKER_SIZE, "%p %ld.%ld", (void *)page,
		 (long)ts.tv_sec, ts.tv_nsec);
	address = find_physical(page->marker);
	snprintf(page->marker, MARKER_SIZE, "written by the guest itself");
	/* What is left of the longer text makes this one unique, too. */
	again = find_physical(page->marker);
	if (!address || address != again)
		die("the page was not found in /dev/mem");
	memset(page->marker + strlen(page->marker), 0,
	       MARKER_SIZE - strlen(page->marker));
	say("L2: page %#llx", (unsigned long long)address);
	say("L2: marker %s", page->marker);
}

static void hand_on(int in, int out)
{
	char token;

	if (read(in, &token, 1) != 1 || write(out, &token, 1) != 1)
		die("token");
}

/*
 * A turn of the process that counts: one round of the ring is RING passes. It
 * rests while it holds the token, when all others wait.
 */
static void lead(int cpu, int in, int out)
{
	/* Slow enough that the guest is mostly idle, as guests are. */
	const struct timespec rest = { .tv_nsec = rest_ms * 1000000 };
	char token;

	if (read(in, &token, 1) != 1)
		die("token");
	nanosleep(&rest, NULL);
	if (page->entry)
		count_calls(cpu);
	page->passes[cpu] += RING;
	if (write(out, &token, 1) != 1)
		die("token");
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void report(char *seen, double *next)
{
	static unsigned int beat;
	int beats = now() >= *next;

	if (memcmp(seen, page->marker, MARKER_SIZE)) {
		memcpy(seen, page->marker, MARKER_SIZE);
		say("L2: marker %.*s", MARKER_SIZE, seen);
	}
	if (beats) {
		say("L2: beat %u", ++beat);
		*next = now() + 0.5;
	}
	switch_key(beats);
	answer(beats);
}

/* Start the processes of @cpu's ring; process 1 leads the first. */
static void start_ring(int cpu, int *in, int *out)
{
	int pipes[RING][2], i;

	for (i = 0; i < RING; i++) {
		if (pipe(pipes[i]) < 0)
			die("pipe");
	}
	for (i = cpu ? 0 : 1; i < RING; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		pin(cpu);
		for (;;) {
			if (i)
				hand_on(pipes[i][0], pipes[(i + 1) % RING][1]);
			else
				lead(cpu, pipes[0][0], pipes[1][1]);
		}
	}
	*in = pipes[0][0];
	*out = pipes[1][1];
	if (write(pipes[0][1], "t", 1) != 1)
		die("token");
}

int main(void)
{
	char seen[MARKER_SIZE];
	int cpu, in, out, unused;
	double next;

	set_up();
	/* The kernel passes on parameters that it does not know. */
	if (getenv("rest_ms"))
		rest_ms = strtol(getenv("rest_ms"), NULL, 10);
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (cpus > MAX_CPUS)
		cpus = MAX_CPUS;
	say("L2: cpus %d", cpus);
	say_memory();
	say_symbols();
	say_banner();
	make_page();
	set_up_calls();
	memcpy(seen, page->marker, MARKER_SIZE);

	start_ring(0, &in, &out);
	for (cpu = 1; cpu < cpus; cpu++)
		start_ring(cpu, &unused, &unused);
	pin(0);
	say("L2: processes %d", cpus * RING);
	say("L2: ready");

	next = now();
	for (;;) {
		lead(0, in, out);
		report(seen, &next);
	}
}
