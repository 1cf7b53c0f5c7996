/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMINTRO_MAPPING_H
#define KVMINTRO_MAPPING_H

/*
 * mapping.c is the object that reaches memory, map_file.c the ways with a file that
 * shows it, map_guest.c the way from another VM, guard.c copies what may be gone.
 */

#include "internal.h"

#define PAGE_MASK (KVMINTRO_PAGE_SIZE - 1ULL)

/*
 * What a file shows is mapped in windows: few system calls, and no need for ranges. They
 * get smaller where a process may not have that much address space.
 */
#define WINDOW_SIZE 0x40000000ULL
#define WINDOW_SIZE_MIN 0x10000ULL
#define WINDOWS 8

struct map_window {
	uint64_t gpa;
	uint64_t size;
	uint64_t used;
	uint8_t *at;
};

/* A page of the guest's in place of one of the tool's; gpa is ~0 for none. */
struct map_page {
	uint64_t gpa;
	uint64_t used;
};

#define GUEST_PAGES 256

/* What kvmintro_memory_map() has given. */
struct map_range {
	struct map_range *next;
	uint8_t *at;
	size_t size;
	void *address;
};

struct map_ops {
	/* 0, or an error and no resources. */
	int (*open)(struct kvmintro_memory *m);
	/*
	 * Copy what can be copied of @size bytes, one at least, in a range that ends
	 * before the last address: how many from the first on, or an error. 0: the first
	 * page has to be done by a command.
	 */
	ssize_t (*copy)(struct kvmintro_memory *m, uint64_t gpa, void *buf, size_t size,
			bool write);
	/* Whole pages; NULL and an error if not. */
	int (*map)(struct kvmintro_memory *m, uint64_t gpa, size_t size, bool writable,
		   uint8_t **at);
	void (*unmap)(struct kvmintro_memory *m, uint8_t *at, size_t size);
	void (*close)(struct kvmintro_memory *m);
};

struct kvmintro_memory {
	struct kvmintro *k;
	/* Of the handle's connections, the one that this belongs to. */
	unsigned int connection;
	int way;
	const struct map_ops *ops;
	bool writable;
	bool has_uuid;
	uint8_t uuid[16];

	/* The file that shows memory, or /dev/kvmmem. */
	int fd;
	/* Counts uses: what was not used for longest makes room. */
	uint64_t clock;
	uint64_t window_size;
	struct map_window windows[WINDOWS];

	/* GUEST_PAGES pages at @area, and what each holds where it is the tool's own. */
	struct map_page *pages;
	uint8_t *area;
	uint8_t own[KVMINTRO_PAGE_SIZE];

	struct map_range *ranges;
	char refusals[KVMINTRO_MEMORY_WAYS][256];
};

extern const struct map_ops kvmintro__map_vm, kvmintro__map_device,
	kvmintro__map_proc, kvmintro__map_guest;

/* A token; waits for one to be free. */
int kvmintro__map_token(struct kvmintro *k, struct kvmi_map_mem_token *token);

/* guard.c */
size_t kvmintro__guard_copy(void *to, const void *from, size_t size, const void *mapped);

#endif
