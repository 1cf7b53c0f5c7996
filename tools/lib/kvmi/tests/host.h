/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_TEST_HOST_H
#define KVMI_TEST_HOST_H

/*
 * A host with a guest whose memory is a file, for tests of the ways to reach it: a
 * thread answers commands, and open(), close(), ioctl(), memcpy(), mmap() and munmap() of
 * the library come here (--wrap) for the devices that such a host has. Memory that a file
 * cannot show is memory of an empty file: it raises SIGBUS, too.
 */

#include "peer.h"

#define PAGE 4096u
#define MIB 0x100000ULL
#define GIB 0x40000000ULL

/*
 * The guest's slots: 0 to 1 MiB, 2 to 4 MiB, 1 GiB - 1 MiB to 1 GiB + 1 MiB in two, and
 * one page at 3 GiB. Each page begins with its own address; bytes that follow are 0.
 */
#define GUEST_END (3 * GIB + PAGE)

struct host {
	/* What the host has. An error is that of the door, 0 lets it work. */
	bool has_vm, has_device, has_proc, has_guest;
	int error;
	/* What is said of where memory ends, unless 0. */
	uint64_t end;
	/* Commands, or questions where memory is, are refused with this code. */
	int refuse, refuse_query;
	/* So many tokens are in use by others. */
	int busy;
	/* A page that is in a slot, but that nothing shows; what commands say of it. */
	uint64_t unmapped;
	bool unreadable;
	/* /dev/kvmmem lets pages be read only: what is written goes to the tool's own. */
	bool read_only;
	/* It takes all away in the middle of the next copy. */
	bool tear;
	/* So many bytes of files that show memory can be mapped at a time; 0: any number. */
	uint64_t room;
	/* What was done. */
	unsigned int tokens, reads, writes, queries, maps, unmaps;
	uint32_t flags;
};

extern struct host host;

/* A connection, with all members of host zeroed; with @vm as after attaching. */
struct kvmintro *host_open(bool vm);
void host_close(struct kvmintro *k);
/* The kernel ends the connection. */
void host_hang_up(struct kvmintro *k);

/* Guest memory as the guest sees it. */
void guest_get(uint64_t gpa, void *buf, size_t size);
void guest_put(uint64_t gpa, const void *buf, size_t size);

/* Every page that /dev/kvmmem replaced is the tool's own again. */
void host_take_away(void);
/* How many are replaced. */
unsigned int host_replaced(void);

#endif
