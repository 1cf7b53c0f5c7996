/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_H
#define SELFTEST_KVMI_PF_H

/* Restricted pages: the commands, the event, its reply. */
#include "kvmi_test_util.h"

#define PAGE		4096ull

#define ACCESS_R	KVMI_PAGE_ACCESS_R
#define ACCESS_W	KVMI_PAGE_ACCESS_W
#define ACCESS_X	KVMI_PAGE_ACCESS_X
#define ACCESS_RW	(ACCESS_R | ACCESS_W)
#define ACCESS_RX	(ACCESS_R | ACCESS_X)
#define ACCESS_RWX	(ACCESS_RW | ACCESS_X)

static inline __u8 pf_features(struct kvmi_test *t)
{
	struct kvmi_get_version_reply v;

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &v, sizeof(v)));
	return v.features.page_access;
}

static inline int set_access(struct kvmi_test *t, __u64 gpa, __u8 access)
{
	struct {
		struct kvmi_vm_set_page_access req;
		struct kvmi_page_access_entry entry;
	} msg = { .req.count = 1, .entry = { .gpa = gpa, .access = access } };

	return kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS, &msg, sizeof(msg), NULL, 0);
}

static inline int set_access_range(struct kvmi_test *t, __u64 gfn, __u64 nr_pages, __u8 access)
{
	struct {
		struct kvmi_vm_set_page_access_ranges req;
		struct kvmi_page_access_range range;
	} msg = {
		.req.count = 1,
		.range = { .gfn = gfn, .nr_pages = nr_pages, .access = access },
	};

	return kvmi_command(&t->tool, KVMI_VM_SET_PAGE_ACCESS_RANGES, &msg, sizeof(msg), NULL, 0);
}

static inline __u8 get_access(struct kvmi_test *t, __u64 gpa)
{
	struct {
		struct kvmi_vm_get_page_access req;
		__u64 gpa;
	} msg = { .req.count = 1, .gpa = gpa };
	__u8 access;

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_GET_PAGE_ACCESS, &msg, sizeof(msg),
				    &access, sizeof(access)));
	return access;
}

static inline void enable_pf(struct kvmi_test *t, int vcpu)
{
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, vcpu, KVMI_VCPU_EVENT_PF, 1));
}

static inline void expect_pf(struct kvmi_test *t, int vcpu, __u8 access, __u64 gva, __u64 gpa,
			     struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, vcpu, KVMI_VCPU_EVENT_PF, ev);
	TEST_ASSERT(ev->pf.access == access && ev->pf.gva == gva && ev->pf.gpa == gpa,
		    "access %u gva 0x%llx gpa 0x%llx, expected %u 0x%llx 0x%llx",
		    ev->pf.access, ev->pf.gva, ev->pf.gpa, access, gva, gpa);
}

#endif /* SELFTEST_KVMI_PF_H */
