/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_SWAP_H
#define SELFTEST_KVMI_PF_SWAP_H

/*
 * Swap on a loop device over memory: reading it takes its time, as with a disk, so that
 * KVM can find a page on its way. What was written stays in the swap cache; page_out()
 * gets it out of there.
 */
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>

#include "kvmi_pf_host.h"

#define SWAP_PAGES	4096

struct swap_header {
	char boot[1024];
	__u32 version, last_page, nr_badpages;
	char unused[PAGE - 1024 - 12 - 10];
	char magic[10];
};

static_assert(sizeof(struct swap_header) == PAGE);

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

	TEST_ASSERT(file >= 0 && !ftruncate(file, SWAP_PAGES * PAGE), "memfd_create() failed");
	TEST_ASSERT(pwrite(file, &header, PAGE, 0) == PAGE, "pwrite() failed");
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
		TEST_ASSERT(!madvise(hva, PAGE, MADV_PAGEOUT), "MADV_PAGEOUT failed");
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
	TEST_ASSERT(!mincore(hva, PAGE, &cached), "mincore() failed");
	if (!(cached & 1))
		return true;
	READ_ONCE(*(__u64 *)hva);
	return false;
}

static inline void page_out(const struct area *a, int page)
{
	KVMI_WAIT(try_page_out(a->hva + page * PAGE), "the page does not get out of memory");
}

static inline void page_out_all(const struct area *a)
{
	for (int i = 0; i < a->nr_pages; i++)
		page_out(a, i);
}

#define REQUIRE_SWAP()								\
do {										\
	if (!swap_on())								\
		SKIP(return, "the kernel has no loop devices");			\
} while (0)

#endif /* SELFTEST_KVMI_PF_SWAP_H */
