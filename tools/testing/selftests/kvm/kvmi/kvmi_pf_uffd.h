/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_UFFD_H
#define SELFTEST_KVMI_PF_UFFD_H

/* Pages that the VMM supplies when they are touched, or hears of before they are written. */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "kvmi_pf_host.h"

/* What the VMM supplies, as it does not lie in the guest's memory. */
static __u8 contents[16 * PAGE] __aligned(PAGE);

/* @mode is one of UFFDIO_REGISTER_MODE_*. */
static inline int uffd_open(const struct area *a, __u64 mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (__u64)a->hva, a->nr_pages * PAGE }, .mode = mode,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	TEST_ASSERT(fd >= 0, "userfaultfd() failed");
	if (mode & UFFDIO_REGISTER_MODE_WP)
		api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	TEST_ASSERT(!ioctl(fd, UFFDIO_API, &api), "UFFDIO_API failed");
	TEST_ASSERT(!ioctl(fd, UFFDIO_REGISTER, &reg), "UFFDIO_REGISTER failed");
	return fd;
}

/* The pages are gone, and known to be supplied with @val and so on. */
static inline void make_missing(const struct area *a, __u64 val)
{
	TEST_ASSERT(!madvise(a->hva, a->nr_pages * PAGE, MADV_DONTNEED), "MADV_DONTNEED failed");
	for (int i = 0; i < a->nr_pages; i++)
		fill_page(contents + i * PAGE, i, val + 0x1000 * i);
}

static inline bool has_fault(int uffd, int ms)
{
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1;
}

static inline void expect_no_fault(int uffd)
{
	TEST_ASSERT(!has_fault(uffd, 0), "the page is asked for before the tool has answered");
}

/* @flags is UFFD_PAGEFAULT_FLAG_*. What KVM fetches on the side it fetches to be written. */
static inline void expect_fault(int uffd, const struct area *a, int page, __u64 flags)
{
	struct uffd_msg msg;
	__u64 seen;

	TEST_ASSERT(has_fault(uffd, KVMI_TIMEOUT_MS), "timeout: the VMM is not asked for a page");
	TEST_ASSERT(read(uffd, &msg, sizeof(msg)) == sizeof(msg), "read() of userfaultfd failed");
	TEST_ASSERT_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
	TEST_ASSERT_EQ(msg.arg.pagefault.address & ~(PAGE - 1), (__u64)a->hva + page * PAGE);
	seen = msg.arg.pagefault.flags;
	if (!flags)
		seen &= ~UFFD_PAGEFAULT_FLAG_WRITE;
	TEST_ASSERT_EQ(seen, flags);
	/* One thread that waits. */
	TEST_ASSERT(!has_fault(uffd, 0), "the VMM is asked twice");
}

static inline void supply(int uffd, const struct area *a, int page)
{
	struct uffdio_copy copy = {
		.dst = (__u64)a->hva + page * PAGE,
		.src = (__u64)contents + page * PAGE,
		.len = PAGE,
	};

	TEST_ASSERT(!ioctl(uffd, UFFDIO_COPY, &copy), "UFFDIO_COPY failed");
}

static inline void write_protect(int uffd, const struct area *a, int page, int nr, bool protect)
{
	struct uffdio_writeprotect wp = {
		.range = { (__u64)a->hva + page * PAGE, nr * PAGE },
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	TEST_ASSERT(!ioctl(uffd, UFFDIO_WRITEPROTECT, &wp), "UFFDIO_WRITEPROTECT failed");
}

#endif /* SELFTEST_KVMI_PF_UFFD_H */
