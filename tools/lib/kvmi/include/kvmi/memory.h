/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_MEMORY_H
#define KVMI_MEMORY_H

#include <linux/kvmi.h>
#include <kvmi/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: the guest's memory as one object
 *
 * A &struct kvmintro_memory reaches the physical memory of the guest in the fastest way
 * that there is, and in the same manner whichever that is. It belongs to the connection
 * with which it was opened and is used by the same thread. When the connection ends,
 * every call with it fails with -ENOTCONN; it has to be closed before its handle is
 * freed.
 *
 * Mapped memory that is gone raises SIGBUS. kvmintro_memory_read() and
 * kvmintro_memory_write() turn that into an error: as long as one of them copies, the
 * library has a handler for SIGBUS, which passes on what is not its own to the one that
 * was there before. SIGBUS must not be blocked in a thread that calls them, and its
 * handler not be changed meanwhile by another.
 */

/** enum kvmintro_memory_way - how memory is reached, in the order of preference */
enum kvmintro_memory_way {
	/** @KVMINTRO_MEMORY_ANY: the first of the others that can be used */
	KVMINTRO_MEMORY_ANY,
	/** @KVMINTRO_MEMORY_VM: mapped by the VM's file, after kvmintro_attach() */
	KVMINTRO_MEMORY_VM,
	/** @KVMINTRO_MEMORY_DEVICE: mapped by a token and /dev/kvmi-mem on the host */
	KVMINTRO_MEMORY_DEVICE,
	/** @KVMINTRO_MEMORY_PROC: mapped by /proc/kvmi-mem-UUID on the host */
	KVMINTRO_MEMORY_PROC,
	/** @KVMINTRO_MEMORY_GUEST: page by page by /dev/kvmmem, from within another VM */
	KVMINTRO_MEMORY_GUEST,
	/** @KVMINTRO_MEMORY_COMMANDS: read and written by commands on the connection */
	KVMINTRO_MEMORY_COMMANDS,
	/** @KVMINTRO_MEMORY_WAYS: how many ways there are */
	KVMINTRO_MEMORY_WAYS
};

/** struct kvmintro_memory_options - for kvmintro_memory_open(); zeros are defaults */
struct kvmintro_memory_options {
	/** @size: sizeof(struct kvmintro_memory_options) */
	size_t size;
	/** @way: one of &enum kvmintro_memory_way */
	int way;
	/** @writable: the memory shall be written, too */
	bool writable;
	/** @uuid: of the VM, 16 bytes, for KVMINTRO_MEMORY_PROC; NULL: what it said itself */
	const uint8_t *uuid;
};

struct kvmintro_memory;

/**
 * kvmintro_memory_open - reach the memory of the guest
 * @options: may be NULL
 * @memory: receives the object
 *
 * Return: 0; -EINVAL if there is no such way; -ENOTCONN without a connection; -ENOMEM.
 * If one way was asked for, also why it cannot be used, among others -EPERM, -EACCES or
 * -ENOENT. KVMINTRO_MEMORY_ANY and KVMINTRO_MEMORY_COMMANDS do not find out here whether
 * the VMM allows to read and write.
 */
int kvmintro_memory_open(struct kvmintro *k,
			 const struct kvmintro_memory_options *options,
			 struct kvmintro_memory **memory);

/** kvmintro_memory_close - unmap everything; NULL is allowed */
void kvmintro_memory_close(struct kvmintro_memory *memory);

/** kvmintro_memory_way - the way that is used, one of &enum kvmintro_memory_way */
int kvmintro_memory_way(const struct kvmintro_memory *memory);

/** kvmintro_memory_way_name - "vm", "device" and so on, NULL if there is no such way */
const char *kvmintro_memory_way_name(int way);

/**
 * kvmintro_memory_refusal - why a way is not used
 *
 * Return: one line, valid as long as @memory; NULL if @way is used or was not tried.
 */
const char *kvmintro_memory_refusal(const struct kvmintro_memory *memory, int way);

/**
 * kvmintro_memory_read - read guest memory
 * @gpa: guest physical address of the first byte
 * @size: any size, across pages and slots
 *
 * What cannot be read in the way that is used is read by KVMI_VM_READ_PHYSICAL.
 *
 * Return: 0; -ENOENT if a page has no memory, with the pages before it in @buf and what
 * is behind them undefined; -EINVAL if the range goes beyond the last address;
 * -ENOTCONN if the connection has ended; -ENOMEM if there is no room to map anything.
 */
int kvmintro_memory_read(struct kvmintro_memory *memory, uint64_t gpa, void *buf,
			 size_t size);

/**
 * kvmintro_memory_write - write guest memory
 *
 * As kvmintro_memory_read(), by KVMI_VM_WRITE_PHYSICAL if need be. Bytes can be written
 * more than once.
 *
 * Return: as kvmintro_memory_read(), with the pages before a hole written; -EACCES if
 * the object was not opened for writing.
 */
int kvmintro_memory_write(struct kvmintro_memory *memory, uint64_t gpa,
			  const void *buf, size_t size);

/**
 * kvmintro_memory_map - have guest memory at an address of one's own
 * @gpa: guest physical address of the first byte
 * @size: number of bytes; what else there is in their pages is mapped, too
 * @writable: possible only if the object was opened for writing
 * @address: receives where the byte at @gpa is
 *
 * What is there is the guest's memory itself: it changes while it is looked at. With
 * the ways vm, device and proc an access where the guest has no memory raises SIGBUS,
 * and so does any when the connection has ended: who uses the address has to be
 * prepared for that, or use kvmintro_memory_read(). With the way guest each page costs a
 * command, a hole is an error here, and once the connection has ended or the guest's
 * memory is moved, the pages hold other bytes, without a signal; so does what is written
 * go elsewhere where the guest's memory may not be written.
 *
 * Child processes do not inherit the mapping.
 *
 * Return: 0; -EOPNOTSUPP with the way commands; -EACCES for @writable; -EINVAL for a
 * range that is empty or too large; -ENOENT with the way guest; -ENOTCONN; -ENOMEM.
 */
int kvmintro_memory_map(struct kvmintro_memory *memory, uint64_t gpa, size_t size,
			bool writable, void **address);

/**
 * kvmintro_memory_unmap - undo kvmintro_memory_map()
 * @address: what it gave. kvmintro_memory_close() undoes all that are left.
 *
 * Return: 0; -EINVAL if nothing was mapped there.
 */
int kvmintro_memory_unmap(struct kvmintro_memory *memory, void *address);

#ifdef __cplusplus
}
#endif
#endif
