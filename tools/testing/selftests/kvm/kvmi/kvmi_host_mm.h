/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_HOST_MM_H
#define SELFTEST_KVMI_HOST_MM_H

/* What the host does to memory of the process: it is swapped out, merged, moved. */

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>

#include "kvmi_test_harness.h"

#define HOST_PAGE	4096ull

/* --- the host's page tables --- */

#define PM_PRESENT	BIT_ULL(63)
#define PM_SWAPPED	BIT_ULL(62)
#define PM_FRAME	(BIT_ULL(55) - 1)

static inline void read_pagemap(const void *hva, __u64 *entries, int nr)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/proc/self/pagemap", O_RDONLY);
	TEST_ASSERT(pread(fd, entries, nr * 8, (__u64)hva / HOST_PAGE * 8) == nr * 8,
		    "/proc/self/pagemap cannot be read");
}

static inline __u64 pagemap(const void *hva)
{
	__u64 entry;

	read_pagemap(hva, &entry, 1);
	return entry;
}

/* Its frame; it has to be there. */
static inline __u64 host_frame(const void *hva)
{
	__u64 entry = pagemap(hva);

	TEST_ASSERT(entry & PM_PRESENT, "the page is not present");
	TEST_ASSERT(entry & PM_FRAME, "/proc/self/pagemap tells no frame");
	return entry & PM_FRAME;
}

/* --- files of the kernel --- */

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	TEST_ASSERT(fd >= 0, "%s cannot be written", path);
	TEST_ASSERT(write(fd, text, strlen(text)) == strlen(text), "write to %s failed", path);
	close(fd);
}

static inline __u64 read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	__u64 val;

	TEST_ASSERT(f && fscanf(f, "%llu", &val) == 1, "%s has no number", path);
	fclose(f);
	return val;
}

/*
 * --- swap ---
 *
 * On a loop device over memory: reading it takes its time, as with a disk, so that KVM
 * can find a page on its way. What was written stays in the swap cache; try_page_out()
 * gets it out of there.
 */

#define SWAP_PAGES	4096

struct swap_header {
	char boot[1024];
	__u32 version, last_page, nr_badpages;
	char unused[HOST_PAGE - 1024 - 12 - 10];
	char magic[10];
};

static_assert(sizeof(struct swap_header) == HOST_PAGE);

static char swap_device[32];

/* With the first number that is free. False if the kernel has none. */
static inline bool make_loop_device(int file)
{
	struct loop_config config = { .fd = file, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR), loop, nr;

	if (control < 0)
		return false;
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	TEST_ASSERT(nr >= 0, "LOOP_CTL_GET_FREE failed");
	close(control);
	snprintf(swap_device, sizeof(swap_device), "/dev/loop%d", nr);
	loop = open(swap_device, O_RDWR);
	TEST_ASSERT(loop >= 0, "%s cannot be opened", swap_device);
	TEST_ASSERT(!ioctl(loop, LOOP_CONFIGURE, &config), "LOOP_CONFIGURE failed");
	TEST_ASSERT(!swapon(swap_device, 0), "swapon() failed");
	/* It ends with swap. */
	close(loop);
	return true;
}

static inline bool swap_on(void)
{
	static struct swap_header header = {
		.version = 1, .last_page = SWAP_PAGES - 1, .magic = "SWAPSPACE2",
	};
	int file = memfd_create("swap", 0);
	bool made;

	TEST_ASSERT(file >= 0 && !ftruncate(file, SWAP_PAGES * HOST_PAGE), "memfd_create() failed");
	TEST_ASSERT(pwrite(file, &header, HOST_PAGE, 0) == HOST_PAGE, "pwrite() failed");
	made = make_loop_device(file);
	close(file);
	/* Just the page that is asked for. */
	if (made)
		write_file("/proc/sys/vm/page-cluster", "0");
	return made;
}

static inline void swap_off(void)
{
	if (swap_device[0])
		TEST_ASSERT(!swapoff(swap_device), "swapoff() failed");
	swap_device[0] = 0;
}

static inline bool is_swapped(const void *hva)
{
	return pagemap(hva) & PM_SWAPPED;
}

/* As far as the swap cache. A page that waits in a list of a CPU can be put away there. */
static inline void push_out(void *hva)
{
	cpu_set_t all, one;

	TEST_ASSERT(!sched_getaffinity(0, sizeof(all), &all), "sched_getaffinity() failed");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		TEST_ASSERT(!sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity() failed");
		TEST_ASSERT(!madvise(hva, HOST_PAGE, MADV_PAGEOUT), "MADV_PAGEOUT failed");
	}
	TEST_ASSERT(!sched_setaffinity(0, sizeof(all), &all), "sched_setaffinity() failed");
}

/*
 * Whether the page is on the device and nowhere else. One that is written and in the
 * cache is looked at, whereupon it is clean memory and can be dropped.
 */
static inline bool try_page_out(void *hva)
{
	unsigned char cached = 0;

	if (!is_swapped(hva))
		push_out(hva);
	if (!is_swapped(hva))
		return false;
	TEST_ASSERT(!mincore(hva, HOST_PAGE, &cached), "mincore() failed");
	if (!(cached & 1))
		return true;
	READ_ONCE(*(__u64 *)hva);
	return false;
}

static inline void host_page_out(void *hva)
{
	KVMI_WAIT(try_page_out(hva), "the page does not get out of memory");
}

#define REQUIRE_SWAP()								\
do {										\
	if (!swap_on())								\
		SKIP(return, "the kernel has no loop devices");			\
} while (0)

/* --- pages of the same contents --- */

#define KSM		"/sys/kernel/mm/ksm/"

/* Without skipping old pages: two that are skipped in turn never meet. */
static inline void ksm_on(void *hva, __u64 size)
{
	if (!access(KSM "smart_scan", W_OK))
		write_file(KSM "smart_scan", "0");
	write_file(KSM "pages_to_scan", "1000");
	write_file(KSM "sleep_millisecs", "1");
	write_file(KSM "run", "1");
	TEST_ASSERT(!madvise(hva, size, MADV_MERGEABLE), "MADV_MERGEABLE failed");
}

/* What is merged stays merged until it is written. */
static inline void ksm_off(void)
{
	if (!access(KSM "run", W_OK))
		write_file(KSM "run", "0");
}

#define REQUIRE_KSM()								\
do {										\
	if (access(KSM "run", W_OK))						\
		SKIP(return, "the kernel does not merge pages");		\
} while (0)

/* --- another frame --- */

/* The C library does not know it. */
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

/* The contents move; the old frame is out of use until the next boot. */
static inline bool host_migrate(void *hva)
{
	__u64 frame = host_frame(hva);

	return !madvise(hva, HOST_PAGE, MADV_SOFT_OFFLINE) && host_frame(hva) != frame;
}

#endif /* SELFTEST_KVMI_HOST_MM_H */
