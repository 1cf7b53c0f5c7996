/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PAGE_ACCESS_H
#define SELFTEST_KVMI_PAGE_ACCESS_H

/* The commands that restrict pages, with many elements each. */
#include "kvmi_pf.h"

#define SLOT		5
#define SLOT_GPA	0x40000000ull
#define SLOT_GFN	(SLOT_GPA / PAGE)
#define MAX_GFN		BIT_ULL(40)		/* beyond every frame */

struct set {
	struct kvmi_vm_set_page_access req;
	struct kvmi_page_access_entry entry[KVMI_MAX_PAGE_ACCESS_ENTRIES];
};

struct ranges {
	struct kvmi_vm_set_page_access_ranges req;
	struct kvmi_page_access_range range[KVMI_MAX_PAGE_ACCESS_RANGES];
};

struct get {
	struct kvmi_vm_get_page_access req;
	__u64 gpa[KVMI_MAX_PAGE_ACCESS_ADDRESSES];
};

/* The biggest messages there can be. */
static_assert(sizeof(struct set) == KVMI_MAX_MSG_SIZE);
static_assert(sizeof(struct get) == KVMI_MAX_MSG_SIZE);
static_assert(sizeof(struct ranges) <= KVMI_MAX_MSG_SIZE);

static inline int send_set(struct kvmi_test *t, const struct set *s)
{
	return kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS, s,
			    sizeof(s->req) + s->req.count * sizeof(s->entry[0]), NULL, 0);
}

static inline int send_ranges(struct kvmi_test *t, const struct ranges *r)
{
	return kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS_RANGES, r,
			    sizeof(r->req) + r->req.count * sizeof(r->range[0]), NULL, 0);
}

static inline int send_get(struct kvmi_test *t, const struct get *g, __u8 *access)
{
	return kvmi_command(&t->tool, KVMI_VM_GET_PAGE_ACCESS, g,
			    sizeof(g->req) + g->req.count * sizeof(g->gpa[0]), access,
			    g->req.count);
}

static inline struct kvmi_page_access_entry entry(__u64 gfn, __u8 access)
{
	return (struct kvmi_page_access_entry) { .gpa = gfn * PAGE, .access = access };
}

static inline struct kvmi_page_access_range range(__u64 gfn, __u64 nr_pages, __u8 access)
{
	return (struct kvmi_page_access_range) {
		.gfn = gfn, .nr_pages = nr_pages, .access = access,
	};
}

static inline __u8 access_of(struct kvmi_test *t, __u64 gfn)
{
	return get_access(t, gfn * PAGE);
}

#endif /* SELFTEST_KVMI_PAGE_ACCESS_H */
