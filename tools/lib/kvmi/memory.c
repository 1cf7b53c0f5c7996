// SPDX-License-Identifier: LGPL-2.1-or-later
/* Guest memory by physical and by virtual address, page by page. */
#include "internal.h"

static int read_part(struct kvmintro *k, uint64_t gpa, void *buf, size_t size)
{
	const struct kvmi_vm_read_physical body = { .gpa = gpa, .size = size };
	int r = COMMAND(k, KVMI_VM_READ_PHYSICAL, BODY(body), .reply = buf,
			.reply_size = size, .reply_min = size);

	if (r == -ENOENT)
		return kvmintro__fail(k, r, "no memory at guest physical address %#llx",
				      (unsigned long long)gpa);
	return r;
}

static int write_part(struct kvmintro *k, uint64_t gpa, void *buf, size_t size)
{
	const struct kvmi_vm_write_physical body = { .gpa = gpa, .size = size };
	int r = COMMAND(k, KVMI_VM_WRITE_PHYSICAL, BODY(body),
			.tail = buf, .tail_size = size);

	if (r == -ENOENT)
		return kvmintro__fail(k, r, "no writable memory at guest physical address %#llx",
				      (unsigned long long)gpa);
	return r;
}

typedef int (*part_fn)(struct kvmintro *k, uint64_t gpa, void *buf, size_t size);

/* @vcpu < 0: @address is physical. */
static int by_page(struct kvmintro *k, int vcpu, uint64_t address, uint8_t *buf,
		   size_t size, part_fn part)
{
	uint64_t gpa = address;
	size_t n;
	int r;

	while (size) {
		n = KVMINTRO_PAGE_SIZE - address % KVMINTRO_PAGE_SIZE;
		if (n > size)
			n = size;
		if (vcpu >= 0) {
			r = kvmintro_translate(k, vcpu, address, &gpa);
			if (r < 0)
				return r;
		}
		r = part(k, gpa, buf, n);
		if (r < 0)
			return r;
		address += n;
		gpa += n;
		buf += n;
		size -= n;
	}
	return 0;
}

int kvmintro_read_physical(struct kvmintro *k, uint64_t gpa, void *buf,
			   size_t size)
{
	return by_page(k, -1, gpa, buf, size, read_part);
}

int kvmintro_write_physical(struct kvmintro *k, uint64_t gpa, const void *buf,
			    size_t size)
{
	return by_page(k, -1, gpa, (uint8_t *)buf, size, write_part);
}

int kvmintro_read_virtual(struct kvmintro *k, uint16_t vcpu, uint64_t gva,
			  void *buf, size_t size)
{
	return by_page(k, vcpu, gva, buf, size, read_part);
}

int kvmintro_write_virtual(struct kvmintro *k, uint16_t vcpu, uint64_t gva,
			   const void *buf, size_t size)
{
	return by_page(k, vcpu, gva, (uint8_t *)buf, size, write_part);
}
