/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI__LINUX_KVMMEM_H
#define _UAPI__LINUX_KVMMEM_H

/**
 * DOC: Mapping another guest's memory
 *
 * A tool that runs in a virtual machine can map memory of the one that it introspects,
 * on the same host. It asks for a token on the introspection socket
 * (KVMI_VM_GET_MAP_TOKEN in linux/kvmi.h) and gives it to the driver of /dev/kvmmem in
 * its own kernel, with a page of its own. The driver asks the host to put the other
 * guest's page in the place of this one. What the processor reads and writes there
 * from then on is memory of the other guest. Devices and the VMM still see the page
 * that was there before, and so does the guest when the mapping has ended or the other
 * guest's page is gone.
 */

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/kvmi.h>

/*
 * Hypercalls, at privilege level 0 only.
 *
 * KVM_HC_MEM_MAP puts a page of another guest in the place of a page of one's own.
 * a0: guest virtual address of a &struct kvmi_map_mem_token, which is used up even if
 *     the call fails later
 * a1: guest physical address of the page in the other guest
 * a2: guest physical address of the page to be replaced
 *
 * KVM_HC_MEM_UNMAP undoes that.
 * a0: guest physical address of the page that was replaced
 *
 * Both return 0 or
 * -KVM_ENOSYS: the host has no such hypercall, or kvm.introspection is off.
 * -KVM_EPERM: not at privilege level 0.
 * -KVM_EINVAL: an address is not the begin of a page or not possible; a2 is no memory
 *	of this guest that it may write; a guest wants to map itself.
 * -KVM_EFAULT: the token cannot be read.
 * -KVM_ENOENT: there is no such token; the other guest has no memory at a1, or none that
 *	the VMM could read; nothing is mapped at a0 (KVM_HC_MEM_UNMAP).
 * -KVM_EBUSY: a2 is replaced already.
 * -KVM_EOPNOTSUPP: this guest has no nested paging or its memory is protected.
 * -KVM_ENOMEM: not enough memory.
 */
#define KVM_HC_MEM_MAP		32
#define KVM_HC_MEM_UNMAP	33

/**
 * struct kvmi_mem_map - KVM_INTRO_MEM_MAP
 * @token: from KVMI_VM_GET_MAP_TOKEN
 * @gpa: guest physical address in the other guest, the begin of a page
 * @gva: address of a page of the caller's, to show the other guest's
 *
 * The page at @gva must be private anonymous memory, writable, and not be shared with
 * another process. It is pinned until it is unmapped, and counts as locked memory
 * (RLIMIT_MEMLOCK). What is mapped is undone when the file is closed, and when the
 * process that opened it ends or executes another program. A child process gets a copy
 * of what the page shows.
 *
 * Errors: EFAULT for a bad pointer or if the caller cannot write at @gva, EINVAL for an
 * address that is not the begin of a page, or for a page at @gva that is shared,
 * file-backed or part of a huge page, EBUSY if @gva is mapped already, ENOENT if the
 * token or the page does not exist, EOPNOTSUPP if the host refuses this guest, EPERM if
 * another process opened the file, ENODEV when the machine goes down, EIO if the host
 * fails otherwise, ENOMEM.
 */
struct kvmi_mem_map {
	struct kvmi_map_mem_token token;
	__u64 gpa;
	__u64 gva;
};

/*
 * ioctls of /dev/kvmmem. KVM_INTRO_MEM_UNMAP takes the @gva of what is mapped as its
 * argument; ENOENT if nothing is.
 */
#define KVM_INTRO_MEM_MAP	_IOW('i', 0x01, struct kvmi_mem_map)
#define KVM_INTRO_MEM_UNMAP	_IOW('i', 0x02, unsigned long)

#endif /* _UAPI__LINUX_KVMMEM_H */
