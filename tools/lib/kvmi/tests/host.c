// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "host_doors.h"

static const struct part slots[] = {
	{ 0, MIB }, { 2 * MIB, 2 * MIB }, { GIB - MIB, MIB }, { GIB, MIB },
	{ 3 * GIB, PAGE },
};

#define SLOTS (sizeof(slots) / sizeof(slots[0]))

struct host host;
int host_memory = -1;
static int kernel = -1;
static pthread_t thread;
static struct kvmi_map_mem_token last_token;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

void guest_get(uint64_t gpa, void *buf, size_t size)
{
	if (pread(host_memory, buf, size, gpa) != (ssize_t)size)
		die("pread");
}

void guest_put(uint64_t gpa, const void *buf, size_t size)
{
	if (pwrite(host_memory, buf, size, gpa) != (ssize_t)size)
		die("pwrite");
}

static const struct part *find_slot(uint64_t gpa)
{
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		if (gpa - slots[i].gpa < slots[i].size)
			return &slots[i];
	}
	return NULL;
}

bool host_shows(uint64_t gpa)
{
	return find_slot(gpa) && !(host.unmapped && gpa / PAGE == host.unmapped / PAGE);
}

size_t host_slots(uint64_t from, uint64_t size, struct part *parts)
{
	uint64_t begin, end;
	size_t i, n = 0;

	for (i = 0; i < SLOTS; i++) {
		begin = slots[i].gpa > from ? slots[i].gpa : from;
		end = slots[i].gpa + slots[i].size;
		if (end > from + size)
			end = from + size;
		if (begin >= end)
			continue;
		parts[n++] = (struct part){ begin, end - begin };
	}
	return n;
}

bool host_use_token(const struct kvmi_map_mem_token *token)
{
	const bool good = token->token[0] && !memcmp(token, &last_token, sizeof(*token));

	memset(&last_token, 0, sizeof(last_token));
	return good;
}

static void reply(const struct kvmi_msg_hdr *hdr, int err, const void *data, size_t size)
{
	peer_reply(kernel, hdr->id, hdr->seq, err, data, err ? 0 : size);
}

static void give_token(const struct kvmi_msg_hdr *hdr)
{
	if (host.busy) {
		host.busy--;
		return reply(hdr, -KVM_EAGAIN, NULL, 0);
	}
	last_token.token[0] = ++host.tokens;
	last_token.token[3] = ~0ULL;
	reply(hdr, 0, &last_token, sizeof(last_token));
}

static void query(const struct kvmi_msg_hdr *hdr, uint64_t gfn)
{
	const struct part *slot = find_slot(gfn * PAGE);
	struct kvmi_vm_query_physical_reply r = { 0 };

	host.queries++;
	if (host.refuse_query)
		return reply(hdr, host.refuse_query, NULL, 0);
	if (slot) {
		r.gfn = slot->gpa / PAGE;
		r.size = slot->size / PAGE;
	}
	reply(hdr, slot ? 0 : -KVM_ENOENT, &r, sizeof(r));
}

static bool reachable(uint64_t gpa)
{
	return find_slot(gpa) && (!host.unreadable || host_shows(gpa));
}

static void serve(const struct kvmi_msg_hdr *hdr, const uint8_t *body)
{
	const uint64_t end = (host.end ? : GUEST_END) / PAGE;
	uint8_t page[PAGE];
	uint64_t at[2];

	memcpy(at, body, sizeof(at));
	if (host.refuse)
		return reply(hdr, host.refuse, NULL, 0);
	switch (hdr->id) {
	case KVMI_VM_GET_MAX_GFN:
		return reply(hdr, 0, &end, sizeof(end));
	case KVMI_VM_QUERY_PHYSICAL:
		return query(hdr, at[0]);
	case KVMI_VM_GET_MAP_TOKEN:
		return give_token(hdr);
	case KVMI_VM_READ_PHYSICAL:
		host.reads++;
		if (!reachable(at[0]))
			return reply(hdr, -KVM_ENOENT, NULL, 0);
		guest_get(at[0], page, at[1]);
		return reply(hdr, 0, page, at[1]);
	case KVMI_VM_WRITE_PHYSICAL:
		host.writes++;
		if (!reachable(at[0]))
			return reply(hdr, -KVM_ENOENT, NULL, 0);
		guest_put(at[0], body + 16, at[1]);
		return reply(hdr, 0, NULL, 0);
	default:
		return reply(hdr, -KVM_ENOSYS, NULL, 0);
	}
}

static void *run(void *arg)
{
	static uint8_t body[8192];
	struct kvmi_msg_hdr hdr;

	while (recv(kernel, &hdr, sizeof(hdr), MSG_WAITALL) == sizeof(hdr)) {
		if (hdr.size && recv(kernel, body, hdr.size, MSG_WAITALL) != hdr.size)
			die("recv");
		serve(&hdr, body);
	}
	return arg;
}

static void make_memory(void)
{
	uint64_t gpa;
	size_t i;

	host_memory = memfd_create("guest", MFD_CLOEXEC);
	if (host_memory < 0 || ftruncate(host_memory, GUEST_END) < 0)
		die("memfd_create");
	for (i = 0; i < SLOTS; i++) {
		for (gpa = slots[i].gpa; gpa < slots[i].gpa + slots[i].size; gpa += PAGE)
			guest_put(gpa, &gpa, sizeof(gpa));
	}
}

struct kvmintro *host_open(bool vm)
{
	struct kvmintro *k = peer_open(&kernel);

	host = (struct host){ .has_vm = vm };
	make_memory();
	if (vm)
		doors_attach(k);
	if (pthread_create(&thread, NULL, run, NULL))
		die("pthread_create");
	return k;
}

void host_hang_up(struct kvmintro *k)
{
	struct kvmintro_event event;

	shutdown(kernel, SHUT_RDWR);
	while (kvmintro_wait_event(k, 1000, &event) >= 0)
		;
}

void host_close(struct kvmintro *k)
{
	kvmintro_free(k);
	pthread_join(thread, NULL);
	doors_close();
	close(kernel);
	close(host_memory);
}
