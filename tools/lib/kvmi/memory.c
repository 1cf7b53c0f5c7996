// SPDX-License-Identifier: LGPL-2.1-or-later
/* Guest memory by physical and by virtual address, page by page. */
#include "internal.h"

static size_t rest_of_page(uint64_t address, size_t size)
{
	const size_t rest = KVMINTRO_PAGE_SIZE - address % KVMINTRO_PAGE_SIZE;

	return rest < size ? rest : size;
}

int kvmintro__no_memory(struct kvmintro *k, uint64_t gpa)
{
	return kvmintro__fail(k, -ENOENT, "no memory at guest physical address %#llx",
			      (unsigned long long)gpa);
}

/* The first of @results that is an error. */
static int first_failed(struct kvmintro *k, const struct kvmi_vm_read_physical *body,
			const int *results, size_t count)
{
	size_t i;

	for (i = 0; i < count && !results[i]; i++)
		;
	if (i == count)
		return 0;
	return results[i] == -ENOENT ? kvmintro__no_memory(k, body[i].gpa) : results[i];
}

/* Many pages are asked for at once: waiting for each would take most of the time. */
static int read_part(struct kvmintro *k, uint64_t gpa, void *buf, size_t size)
{
	struct kvmi_vm_read_physical body[KVMINTRO_MANY];
	struct command commands[KVMINTRO_MANY];
	int results[KVMINTRO_MANY], r = 0;
	uint8_t *p = buf;
	size_t i, n;

	while (!r && size) {
		for (i = 0; i < KVMINTRO_MANY && size; i++, gpa += n, p += n, size -= n) {
			n = rest_of_page(gpa, size);
			body[i] = (struct kvmi_vm_read_physical){ .gpa = gpa, .size = n };
			commands[i] = (struct command){
				.id = KVMI_VM_READ_PHYSICAL, BODY(body[i]),
				.reply = p, .reply_size = n, .reply_min = n,
			};
		}
		r = kvmintro__many(k, commands, i, results);
		if (!r)
			r = first_failed(k, body, results, i);
	}
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
		n = rest_of_page(address, size);
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
	return read_part(k, gpa, buf, size);
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
