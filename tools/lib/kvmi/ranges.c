// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where a guest has memory. */
#include "internal.h"

/* How far a search looks ahead, as a part of the address. */
#define STEP_PART 16384

/* The distance of the frames that are asked for in a hole: a power of 2. */
static uint64_t step(uint64_t gfn)
{
	const uint64_t part = gfn / STEP_PART;

	return part ? 1ULL << (63 - __builtin_clzll(part)) : 1;
}

/* Frames behind *@gfn to ask for; it becomes the last. How many there are. */
static size_t choose(uint64_t *gfn, uint64_t end, uint64_t *gfns)
{
	uint64_t next;
	size_t n;

	for (n = 0; n < KVMINTRO_MANY; n++) {
		next = (*gfn / step(*gfn) + 1) * step(*gfn);
		if (next >= end)
			break;
		*gfn = gfns[n] = next;
	}
	return n;
}

/* 1 and the slot around the first of the frames that has one, 0 if none has. */
static int query(struct kvmintro *k, const uint64_t *gfns, size_t count,
		 struct kvmi_vm_query_physical_reply *slot)
{
	struct kvmi_vm_query_physical_reply replies[KVMINTRO_MANY];
	struct command commands[KVMINTRO_MANY] = { 0 };
	int results[KVMINTRO_MANY], r;
	size_t i;

	for (i = 0; i < count; i++)
		commands[i] = (struct command){
			.id = KVMI_VM_QUERY_PHYSICAL, BODY(gfns[i]), REPLY(replies[i]),
		};
	r = kvmintro__many(k, commands, count, results);
	for (i = 0; !r && i < count; i++) {
		if (results[i] && results[i] != -ENOENT)
			return results[i];
		if (!results[i]) {
			*slot = replies[i];
			if (gfns[i] - slot->gfn < slot->size)
				return 1;
			return kvmintro__fail(k, -EPROTO,
					      "the kernel tells of another slot than was asked for");
		}
	}
	return r;
}

int kvmintro_next_range(struct kvmintro *k, uint64_t gpa, uint64_t *first,
			uint64_t *size)
{
	struct kvmi_vm_query_physical_reply slot;
	uint64_t gfns[KVMINTRO_MANY], end, from;
	uint64_t gfn = gpa / KVMINTRO_PAGE_SIZE;
	size_t n;
	int r;

	if (gpa >= KVMINTRO_PHYSICAL_END)
		return 0;
	r = kvmintro_get_max_gfn(k, &end);
	if (r < 0)
		return r;
	/* Mostly there is memory: one question is enough. */
	r = query(k, &gfn, 1, &slot);
	/* Not every guest can have memory everywhere. */
	if (r == -EINVAL && gfn >= end)
		return 0;
	while (!r && (n = choose(&gfn, end, gfns)))
		r = query(k, gfns, n, &slot);
	if (r <= 0)
		return r;
	from = slot.gfn * KVMINTRO_PAGE_SIZE;
	*first = from < gpa ? gpa : from;
	*size = slot.size * KVMINTRO_PAGE_SIZE - (*first - from);
	return 1;
}
