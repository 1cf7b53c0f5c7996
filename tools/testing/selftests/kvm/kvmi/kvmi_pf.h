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

/* As the first statement of a case. */
#define REQUIRE_PAGE_ACCESS(t)							\
do {										\
	if (!(pf_features(t) & KVMI_PAGE_ACCESS_RESTRICTED))			\
		SKIP(return, "KVM shadows the guest's page tables");		\
} while (0)

/* What is read is reported. */
#define REQUIRE_NO_ACCESS(t)							\
do {										\
	REQUIRE_PAGE_ACCESS(t);							\
	if (!(pf_features(t) & KVMI_PAGE_ACCESS_NONE))				\
		SKIP(return, "this processor cannot take away the right to read");	\
} while (0)

static inline bool can_step(struct kvmi_test *t)
{
	struct kvmi_get_version_reply v;

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &v, sizeof(v)));
	return v.features.singlestep;
}

/* What is executed by the processor in pages of its own. */
#define REQUIRE_PF_STEP(t)							\
do {										\
	REQUIRE_PAGE_ACCESS(t);							\
	if (!can_step(t))							\
		SKIP(return, "this processor cannot stop after an instruction");	\
} while (0)

/* Guest pages that follow each other, virtually and physically. */
struct area {
	__u64 gva, gpa;
	__u8 *hva;
	int nr_pages;
};

static inline struct area add_area(struct kvmi_test *t, int nr_pages)
{
	struct area a = { .nr_pages = nr_pages };

	a.gva = vm_vaddr_alloc(t->vm, nr_pages * PAGE, KVM_UTIL_MIN_VADDR);
	a.gpa = addr_gva2gpa(t->vm, a.gva);
	a.hva = addr_gva2hva(t->vm, a.gva);
	TEST_ASSERT(addr_gva2gpa(t->vm, a.gva + (nr_pages - 1) * PAGE) ==
		    a.gpa + (nr_pages - 1) * PAGE, "the pages do not follow each other");
	return a;
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

static inline void reply_pf(struct kvmi_test *t, const struct kvmi_event_msg *ev, __u8 action,
			    const struct kvmi_vcpu_event_pf_reply *reply)
{
	kvmi_reply(&t->tool, ev, action, reply, sizeof(*reply));
}

static inline void retry_pf(struct kvmi_test *t, const struct kvmi_event_msg *ev)
{
	kvmi_reply(&t->tool, ev, KVMI_EVENT_ACTION_RETRY, NULL, 0);
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
