// SPDX-License-Identifier: GPL-2.0-only
/* The played pages: what may be done with them, and what the vCPUs try. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "fake.h"

#define R KVMI_PAGE_ACCESS_R
#define W KVMI_PAGE_ACCESS_W
#define X KVMI_PAGE_ACCESS_X

static uint8_t may[MEMORY / 4096];

/* What each vCPU does, over and over. */
static const struct kvmi_vcpu_event_pf accesses[] = {
	{ .gva = LINEAR + 0x2010, .gpa = 0x2010, .access = W },
	{ .gva = LINEAR + 0x2018, .gpa = 0x2018, .access = R },
	{ .gva = LINEAR + 0x2fff, .gpa = 0x2fff, .access = W },
	{ .gva = LINEAR + 0x3000, .gpa = 0x3000, .access = X },
	{ .gva = ~0ULL, .gpa = 0x3ffc, .access = R },
};

void pages_init(void)
{
	memset(may, R | W | X, sizeof(may));
}

bool pages_free(void)
{
	size_t i;

	for (i = 0; i < sizeof(may); i++) {
		if (may[i] != (R | W | X))
			return false;
	}
	return true;
}

uint8_t pages_features(void)
{
	return (KVMI_PAGE_ACCESS_RESTRICTED | KVMI_PAGE_ACCESS_NONE |
		KVMI_PAGE_ACCESS_EXEC_ONLY) & ~options.lacks;
}

static int restrict_range(const struct kvmi_page_access_range *range)
{
	const uint8_t access = range->access, can = pages_features();
	uint64_t gfn;

	if (range->gfn >> 40 || access & ~(R | W | X) || (access & W && !(access & R)))
		return -KVM_EINVAL;
	if ((!access && !(can & KVMI_PAGE_ACCESS_NONE)) ||
	    (access == X && !(can & KVMI_PAGE_ACCESS_EXEC_ONLY)))
		return -KVM_EOPNOTSUPP;
	for (gfn = range->gfn; gfn < sizeof(may) && gfn - range->gfn < range->nr_pages; gfn++)
		may[gfn] = access;
	return 0;
}

/* While it waits for its answer. */
static void signal_tool(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		kill(peer.pid, SIGTERM);
	nanosleep(&pause, NULL);
}

/* Every range that is sound is applied. */
int pages_restrict(const uint8_t *payload, size_t size)
{
	struct kvmi_vm_set_page_access_ranges head;
	struct kvmi_page_access_range range;
	int first = 0, r;
	size_t i;

	if (options.signal)
		signal_tool();
	memcpy(&head, payload, sizeof(head));
	if (options.deny)
		return -KVM_EPERM;
	if (head.view)
		return -KVM_EOPNOTSUPP;
	if (head.padding || head.count > KVMI_MAX_PAGE_ACCESS_RANGES ||
	    size < sizeof(head) + head.count * sizeof(range))
		return -KVM_EINVAL;
	for (i = 0; i < head.count; i++) {
		memcpy(&range, payload + sizeof(head) + i * sizeof(range), sizeof(range));
		r = restrict_range(&range);
		first = first ? first : r;
	}
	return first;
}

bool pages_touch(int vcpu)
{
	const size_t count = sizeof(accesses) / sizeof(accesses[0]);
	static unsigned int turn[VCPUS];
	const struct kvmi_vcpu_event_pf *a;
	size_t n;

	if (!vcpus[vcpu].on[KVMI_VCPU_EVENT_PF])
		return false;
	for (n = 0; n < count; n++) {
		a = &accesses[turn[vcpu]++ % count];
		if (may[a->gpa / 4096] & a->access)
			continue;
		guest_stop_for(vcpu, KVMI_VCPU_EVENT_PF, a, sizeof(*a));
		return true;
	}
	return false;
}

void pages_query(const struct kvmi_msg_hdr *req, uint64_t gfn)
{
	static const struct kvmi_vm_query_physical_reply slots[] = {
		{ 0, MEMORY / 4096 }, { 0, 6 }, { 10, 6 },
	};
	const size_t i = options.holes ? 1 + (gfn >= 10) : 0;

	reply(req, gfn >> 40 ? -KVM_EINVAL : gfn - slots[i].gfn < slots[i].size ? 0 : -KVM_ENOENT,
	      &slots[i], sizeof(slots[i]));
}

void pages_read(const struct kvmi_msg_hdr *req, uint64_t gpa, uint64_t size)
{
	const bool none = options.holes && ((gpa >= 0x6000 && gpa < 0xa000) || gpa >> 12 == 12);

	if (options.signal)
		signal_tool();
	if (gpa >= MEMORY || size > MEMORY - gpa || none)
		return reply(req, -KVM_ENOENT, NULL, 0);
	reply(req, 0, memory + gpa, size);
}
