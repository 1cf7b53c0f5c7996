// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the guest may do with its pages. */
#include "internal.h"

#define GFN_END (KVMINTRO_PHYSICAL_END / KVMINTRO_PAGE_SIZE)

/* All of these commands begin alike. */
#define HEAD sizeof(struct kvmi_vm_set_page_access)

_Static_assert(HEAD == 8 && sizeof(struct kvmi_vm_get_page_access) == HEAD &&
	       sizeof(struct kvmi_vm_set_page_access_ranges) == HEAD,
	       "wire layout");
_Static_assert(sizeof(struct kvmi_page_access_entry) == 16, "wire layout");
_Static_assert(sizeof(struct kvmi_page_access_range) == 24, "wire layout");
_Static_assert(HEAD + KVMI_MAX_PAGE_ACCESS_ENTRIES *
	       sizeof(struct kvmi_page_access_entry) <= KVMI_MAX_MSG_SIZE,
	       "the largest number of entries fits one message");
_Static_assert(HEAD + KVMI_MAX_PAGE_ACCESS_ADDRESSES * sizeof(uint64_t) <=
	       KVMI_MAX_MSG_SIZE, "the largest number of addresses fits one message");
_Static_assert(HEAD + KVMI_MAX_PAGE_ACCESS_RANGES *
	       sizeof(struct kvmi_page_access_range) <= KVMI_MAX_MSG_SIZE,
	       "the largest number of ranges fits one message");

/* @what and @i name the part of the input in question. */
static int check_access(struct kvmintro *k, const char *what, size_t i,
			uint8_t access)
{
	if (access & ~KVMINTRO_PAGE_ACCESS_ALL)
		return kvmintro__fail(k, -EINVAL,
				      "%s %zu: %#x is no access; it is made of R (1), W (2) and X (4)",
				      what, i, access);
	if (access & KVMI_PAGE_ACCESS_W && !(access & KVMI_PAGE_ACCESS_R))
		return kvmintro__fail(k, -EINVAL,
				      "%s %zu: no page can be written but not read: W needs R",
				      what, i);
	return 0;
}

static int check_frames(struct kvmintro *k, const char *what, size_t i,
			uint64_t gfn, uint64_t pages)
{
	if (!pages)
		return kvmintro__fail(k, -EINVAL, "%s %zu: it is empty", what, i);
	if (gfn >= GFN_END || pages > GFN_END - gfn)
		return kvmintro__fail(k, -EINVAL,
				      "%s %zu: it goes beyond %#llx, where physical addresses end",
				      what, i, KVMINTRO_PHYSICAL_END);
	return 0;
}

static int check_padding(struct kvmintro *k, const char *what, size_t i,
			 uint64_t padding)
{
	if (!padding)
		return 0;
	return kvmintro__fail(k, -EINVAL, "%s %zu: its padding is not 0", what, i);
}

/* @count elements of @size bytes, at most @max in each command. */
static int set(struct kvmintro *k, uint16_t id, const void *list, size_t size,
	       size_t count, size_t max)
{
	struct kvmi_vm_set_page_access body = { 0 };
	const uint8_t *p = list;
	int r = 0;

	while (!r && count) {
		body.count = count < max ? count : max;
		r = COMMAND(k, id, BODY(body), .tail = p,
			    .tail_size = body.count * size);
		p += body.count * size;
		count -= body.count;
	}
	return r;
}

int kvmintro_set_page_access(struct kvmintro *k,
			     const struct kvmi_page_access_entry *entries,
			     size_t count)
{
	const struct kvmi_page_access_entry *e;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < count; i++) {
		e = &entries[i];
		r = check_access(k, "entry", i, e->access);
		if (!r)
			r = check_frames(k, "entry", i, e->gpa / KVMINTRO_PAGE_SIZE, 1);
		if (!r)
			r = check_padding(k, "entry", i, e->padding1 | e->padding2 |
					  e->padding3);
	}
	return r ? r : set(k, KVMI_VM_SET_PAGE_ACCESS, entries, sizeof(*e), count,
			   KVMI_MAX_PAGE_ACCESS_ENTRIES);
}

int kvmintro_set_page_access_ranges(struct kvmintro *k,
				    const struct kvmi_page_access_range *ranges,
				    size_t count)
{
	const struct kvmi_page_access_range *e;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < count; i++) {
		e = &ranges[i];
		r = check_access(k, "range", i, e->access);
		if (!r)
			r = check_frames(k, "range", i, e->gfn, e->nr_pages);
		if (!r)
			r = check_padding(k, "range", i, e->padding1 | e->padding2 |
					  e->padding3);
	}
	return r ? r : set(k, KVMI_VM_SET_PAGE_ACCESS_RANGES, ranges, sizeof(*e),
			   count, KVMI_MAX_PAGE_ACCESS_RANGES);
}

/* The pages of a range that is not empty and does not wrap around. */
static struct kvmi_page_access_range pages_of(const struct kvmintro_range *range)
{
	const uint64_t last = range->gpa + range->size - 1;
	const uint64_t gfn = range->gpa / KVMINTRO_PAGE_SIZE;

	return (struct kvmi_page_access_range){
		.gfn = gfn,
		.nr_pages = last / KVMINTRO_PAGE_SIZE - gfn + 1,
		.access = range->access,
	};
}

static int check_range(struct kvmintro *k, size_t i,
		       const struct kvmintro_range *range)
{
	/* What wraps around is beyond the end, too. */
	const bool wraps = range->size && range->size - 1 > ~range->gpa;
	int r = check_access(k, "range", i, range->access);

	if (r < 0)
		return r;
	return check_frames(k, "range", i, range->gpa / KVMINTRO_PAGE_SIZE,
			    !range->size ? 0 : wraps ? GFN_END + 1 :
			    pages_of(range).nr_pages);
}

int kvmintro_restrict(struct kvmintro *k, const struct kvmintro_range *ranges,
		      size_t count)
{
	struct kvmi_page_access_range some[KVMI_MAX_PAGE_ACCESS_RANGES];
	size_t i, n;
	int r = 0;

	for (i = 0; !r && i < count; i++)
		r = check_range(k, i, &ranges[i]);
	for (i = 0; !r && i < count; i += n) {
		for (n = 0; n < KVMI_MAX_PAGE_ACCESS_RANGES && i + n < count; n++)
			some[n] = pages_of(&ranges[i + n]);
		r = kvmintro_set_page_access_ranges(k, some, n);
	}
	return r;
}

int kvmintro_get_page_access(struct kvmintro *k, const uint64_t *gpa,
			     uint8_t *access, size_t count)
{
	struct kvmi_vm_get_page_access body = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; !r && i < count; i++)
		r = check_frames(k, "address", i, gpa[i] / KVMINTRO_PAGE_SIZE, 1);
	while (!r && count) {
		body.count = count < KVMI_MAX_PAGE_ACCESS_ADDRESSES ?
			     count : KVMI_MAX_PAGE_ACCESS_ADDRESSES;
		r = COMMAND(k, KVMI_VM_GET_PAGE_ACCESS, BODY(body), .tail = gpa,
			    .tail_size = body.count * sizeof(*gpa), .reply = access,
			    .reply_size = body.count, .reply_min = body.count);
		gpa += body.count;
		access += body.count;
		count -= body.count;
	}
	return r;
}

bool kvmintro_page_access_possible(const struct kvmi_features *features,
				   uint8_t access)
{
	const uint8_t can = features->page_access;

	if (!(can & KVMI_PAGE_ACCESS_RESTRICTED) || access & ~KVMINTRO_PAGE_ACCESS_ALL)
		return false;
	if (!access)
		return can & KVMI_PAGE_ACCESS_NONE;
	if (access == KVMI_PAGE_ACCESS_X)
		return can & KVMI_PAGE_ACCESS_EXEC_ONLY;
	/* The others can be had wherever pages can be restricted, but for W alone. */
	return access & KVMI_PAGE_ACCESS_R;
}
