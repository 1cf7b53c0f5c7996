/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_MEM_H
#define SELFTEST_KVMI_MEM_H

/* What the tests of mapped memory share: the file that shows a VM's memory. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kvmi_test_harness.h"

#define MEM_PAGE	4096ull
#define MEM_SLOT	5
#define MEM_GPA		0x40000000ull
#define MEM_DEVICE	"/dev/kvmi-mem"

/* The file of the VM @fd, or -errno. */
static inline int mem_file(int fd, __u32 flags)
{
	struct kvm_introspection_memory memory = { .flags = flags };
	int r = ioctl(fd, KVM_INTROSPECTION_MEMORY, &memory);

	return r < 0 ? -errno : r;
}

static inline int mem_token(struct kvmi_tool *tool, struct kvmi_map_mem_token *token)
{
	struct kvmi_vm_get_map_token_reply rpl;
	int r = kvmi_command(tool, KVMI_VM_GET_MAP_TOKEN, NULL, 0, &rpl, sizeof(rpl));

	*token = rpl.token;
	return r;
}

/* The file for @token, or -errno. */
static inline int mem_open(const struct kvmi_map_mem_token *token, __u32 flags)
{
	struct kvmi_mem_open open_args = { .token = *token, .flags = flags };
	int dev = open(MEM_DEVICE, O_RDWR), r;

	TEST_ASSERT(dev >= 0, "%s: %s", MEM_DEVICE, strerror(errno));
	r = ioctl(dev, KVMI_MEM_OPEN, &open_args);
	r = r < 0 ? -errno : r;
	close(dev);
	return r;
}

static inline __u8 *mem_mmap(int file, __u64 gpa, __u64 pages, int prot)
{
	__u8 *p = mmap(NULL, pages * MEM_PAGE, prot, MAP_SHARED, file, gpa);

	TEST_ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

static inline __u8 *mem_add_slot(struct kvm_vm *vm, __u64 pages, __u32 flags)
{
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, MEM_GPA, MEM_SLOT, pages, flags);
	return addr_gpa2hva(vm, MEM_GPA);
}

/* SIGBUS while memory is touched. */
static __thread sigjmp_buf mem_fault;

static inline void mem_on_sigbus(int sig)
{
	siglongjmp(mem_fault, 1);
}

/* Reads, or writes @write if that is not negative. Returns what was read, -1 for SIGBUS. */
static inline int mem_touch(volatile __u8 *p, int write)
{
	struct sigaction sa = { .sa_handler = mem_on_sigbus };
	int r = -1;

	sigaction(SIGBUS, &sa, NULL);
	if (!sigsetjmp(mem_fault, 1)) {
		if (write >= 0)
			*p = write;
		r = *p;
	}
	return r;
}

#define mem_read(p)		mem_touch((p), -1)
#define mem_write(p, v)		mem_touch((p), (v))

#endif /* SELFTEST_KVMI_MEM_H */
