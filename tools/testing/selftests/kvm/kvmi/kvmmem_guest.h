/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMMEM_GUEST_H
#define SELFTEST_KVMMEM_GUEST_H

/*
 * What the tests of /dev/kvmmem share. They run in a guest, as its only program or by hand.
 * A line to kvmmem_target on the host, which $target names, brings tokens and shows what
 * became of the other guest's memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <linux/kvmmem.h>

#include "kselftest_harness.h"

/* For C libraries that are older. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PAGE	4096UL
#define TIMEOUT_S	300
#define TIMEOUT_MS	60000
#define PINS_MS		5000

/* --- the line to the host --------------------------------------------------- */

static int line_fd = -1;

static void broken(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	fflush(NULL);
	_exit(1);
}

static void line_open(const char *path)
{
	struct termios raw;

	line_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (line_fd < 0 || tcgetattr(line_fd, &raw))
		broken(path);
	cfmakeraw(&raw);
	if (tcsetattr(line_fd, TCSANOW, &raw))
		broken(path);
}

/* One line there, one line back. */
static void line_ask(char *answer, size_t size, const char *fmt, ...)
{
	struct pollfd pfd = { .fd = line_fd, .events = POLLIN };
	char question[128];
	va_list args;
	size_t n;

	va_start(args, fmt);
	n = vsnprintf(question, sizeof(question), fmt, args);
	va_end(args);
	if (write(line_fd, question, n) != (ssize_t)n)
		broken("write to the host");
	for (n = 0; n < size; n++) {
		if (poll(&pfd, 1, TIMEOUT_MS) != 1 || read(line_fd, answer + n, 1) != 1)
			broken("no answer from the host");
		if (answer[n] == '\n')
			break;
	}
	if (n == size)
		broken("too long an answer from the host");
	answer[n] = 0;
}

static struct kvmi_map_mem_token host_token(void)
{
	struct kvmi_map_mem_token token;
	unsigned long long *t = (unsigned long long *)&token;
	char answer[128];

	line_ask(answer, sizeof(answer), "token\n");
	if (sscanf(answer, "%16llx%16llx%16llx%16llx", t, t + 1, t + 2, t + 3) != 4)
		broken(answer);
	return token;
}

static uint64_t host_value(const char *fmt, ...)
{
	char question[128], answer[128], *end;
	uint64_t value;
	va_list args;

	va_start(args, fmt);
	vsnprintf(question, sizeof(question), fmt, args);
	va_end(args);
	line_ask(answer, sizeof(answer), "%s\n", question);
	value = strtoull(answer, &end, 16);
	if (end == answer || *end)
		broken(answer);
	return value;
}

/* A page of the other guest, and a word in it as the host sees it. */
static uint64_t target_gpa(void) { return host_value("gpa"); }
static uint64_t target_read(void) { return host_value("read"); }
static void target_write(uint64_t value) { host_value("write %llx", (unsigned long long)value); }

/* --- the device -------------------------------------------------------------- */

static int mem_map_token(int fd, const struct kvmi_map_mem_token *token, uint64_t gpa,
			 const volatile void *gva)
{
	struct kvmi_mem_map map = { .token = *token, .gpa = gpa, .gva = (uintptr_t)gva };

	return ioctl(fd, KVM_INTRO_MEM_MAP, &map) ? errno : 0;
}

/* With a token that does not exist: ENOENT if nothing else is wrong. */
static int mem_map_nothing(int fd, uint64_t gpa, const volatile void *gva)
{
	struct kvmi_map_mem_token token;

	memset(&token, 0x5a, sizeof(token));
	return mem_map_token(fd, &token, gpa, gva);
}

static int mem_map(int fd, const volatile void *gva)
{
	struct kvmi_map_mem_token token = host_token();

	return mem_map_token(fd, &token, target_gpa(), gva);
}

static int mem_unmap(int fd, const volatile void *gva)
{
	return ioctl(fd, KVM_INTRO_MEM_UNMAP, gva) ? errno : 0;
}

/* --- this kernel --------------------------------------------------------------- */

static void *some_pages(size_t pages, int prot, int flags)
{
	void *p = mmap(NULL, pages * PAGE, prot, MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		broken("mmap");
	return p;
}

static void *own_pages(size_t pages)
{
	return some_pages(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

static unsigned long number_in(const char *path, const char *name)
{
	char line[256], key[128];
	unsigned long value, found = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		broken(path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%127s %lu", key, &value) == 2 && !strcmp(key, name))
			found = value;
	}
	fclose(f);
	return found;
}

/* Pins of the whole machine, where nobody else pins. */
static long pinned(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);

	/* Each CPU counts for itself, and adds that up only once in a while. */
	if (fd >= 0 && write(fd, "1", 1) != 1)
		broken("/proc/sys/vm/stat_refresh");
	close(fd);
	return number_in("/proc/vmstat", "nr_foll_pin_acquired") -
	       number_in("/proc/vmstat", "nr_foll_pin_released");
}

/* As many as expected, soon: who is not root cannot hasten it. */
static long pinned_soon(long expected)
{
	long now = pinned();

	for (int i = 0; i < PINS_MS && now != expected; i++) {
		usleep(1000);
		now = pinned();
	}
	return now;
}

static unsigned long locked_kb(void) { return number_in("/proc/self/status", "VmLck:"); }

/* Process 1 has nothing but an initramfs. */
static void set_up_machine(void)
{
	int fd;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/tmp", 0755);
	if (mount("dev", "/dev", "devtmpfs", 0, NULL) || mount("proc", "/proc", "proc", 0, NULL) ||
	    mount("tmp", "/tmp", "tmpfs", 0, NULL))
		_exit(1);
	fd = open("/dev/console", O_RDWR);
	if (fd < 0)
		_exit(1);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
}

/*
 * In process 1, goes on in a child; when that ends, says how, and QEMU ends. The line
 * below is the last one on the console.
 */
static void become_child(void)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		return;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		broken("process 1");
	printf("kvmmem: exit %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 255);
	fflush(NULL);
	tcdrain(STDOUT_FILENO);
	reboot(RB_AUTOBOOT);
	_exit(1);
}

#endif /* SELFTEST_KVMMEM_GUEST_H */
