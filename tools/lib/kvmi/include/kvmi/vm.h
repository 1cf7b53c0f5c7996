/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_VM_H
#define KVMI_VM_H

#include <linux/kvmi.h>
#include <kvmi/session.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KVMINTRO_PAGE_SIZE 4096

/**
 * kvmintro_get_version - protocol version and what the host offers
 * @version: KVMI_VERSION of the kernel; 1 or more
 * @features: may be NULL. Its members are 0 or 1, except for page_access: a set of
 *	      &enum kvmi_page_access_feature
 */
int kvmintro_get_version(struct kvmintro *k, uint32_t *version,
			 struct kvmi_features *features);

/**
 * kvmintro_check_command - can the command @id be used
 *
 * Return: 0; -EPERM if the VMM did not allow it; -EINVAL if the kernel lacks it.
 */
int kvmintro_check_command(struct kvmintro *k, uint16_t id);

/**
 * kvmintro_check_event - can the event @id be used
 *
 * Return: 0; -EPERM if the VMM did not allow it; -EINVAL if there is none.
 */
int kvmintro_check_event(struct kvmintro *k, uint16_t id);

/** kvmintro_get_vcpu_count - number of vCPUs that exist now */
int kvmintro_get_vcpu_count(struct kvmintro *k, uint32_t *count);

/** kvmintro_get_max_gfn - the frame after the last frame of writable memory */
int kvmintro_get_max_gfn(struct kvmintro *k, uint64_t *gfn);

/**
 * kvmintro_query_physical - the memory slot around a frame
 * @gfn: a guest frame
 * @first_gfn: first frame of its slot
 * @pages: length of the slot
 *
 * Return: 0; -ENOENT if no memory is there; -EINVAL if there can be none.
 */
int kvmintro_query_physical(struct kvmintro *k, uint64_t gfn,
			    uint64_t *first_gfn, uint64_t *pages);

/**
 * kvmintro_next_range - find memory in the guest's physical address space
 * @gpa: where to begin, in bytes
 * @first: receives the first address with memory that is not below @gpa
 * @size: receives how many bytes of memory there are from @first on, in one slot
 *
 * Walks over what kvmintro_query_physical() tells up to kvmintro_get_max_gfn(), so
 * that read-only memory above all other is found only by a search that begins in it.
 * The kernel does not tell where a hole ends. Up to 64 MiB it is asked for each page of
 * a hole; from there on for addresses whose distance is a 16384th of the address,
 * rounded down to a power of 2. A slot in a hole that is smaller and not aligned to that
 * can be missed, while a search that begins in it finds it.
 *
 * Return: 1 with a range; 0 if there is no more memory; or a negative errno.
 */
int kvmintro_next_range(struct kvmintro *k, uint64_t gpa, uint64_t *first,
			uint64_t *size);

/**
 * kvmintro_get_map_token - a token for which memory of the VM can be mapped
 * @token: receives it. Whoever has it can use it, once, within
 *	   KVMI_MAP_TOKEN_SECONDS, for one page in another VM (linux/kvmmem.h) or
 *	   one file on the host (KVMI_MEM_OPEN in linux/kvmi.h).
 *
 * kvmintro_memory_open() in kvmi/memory.h asks for tokens itself.
 *
 * Return: 0; -EAGAIN if KVMI_MAX_MAP_TOKENS wait to be used: some expire soon;
 * -EPERM if the VMM does not allow this command or KVMI_VM_READ_PHYSICAL.
 */
int kvmintro_get_map_token(struct kvmintro *k, struct kvmi_map_mem_token *token);

/**
 * kvmintro_control_vm_event - switch an event of the VM
 * @event: KVMI_VM_EVENT_UNHOOK, KVMI_VM_EVENT_CMD_ERROR, KVMI_VCPU_EVENT_CREATE
 */
int kvmintro_control_vm_event(struct kvmintro *k, uint16_t event, bool enable);

/**
 * kvmintro_read_physical - read guest memory
 * @size: any size; the library makes one command per page of it, and has up to 64
 *	  of them under way
 *
 * kvmi/memory.h has ways that are faster.
 *
 * Return: 0; -ENOENT if a page has no memory, with the pages before it in @buf and
 * what is behind them undefined.
 */
int kvmintro_read_physical(struct kvmintro *k, uint64_t gpa, void *buf,
			   size_t size);

/**
 * kvmintro_write_physical - write guest memory
 * @size: any size; the library makes one command per page of it
 *
 * Return: 0; -ENOENT if a page has no writable memory, with the pages before
 * it written.
 */
int kvmintro_write_physical(struct kvmintro *k, uint64_t gpa, const void *buf,
			    size_t size);

#ifdef __cplusplus
}
#endif
#endif
