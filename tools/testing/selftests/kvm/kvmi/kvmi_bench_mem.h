/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_BENCH_MEM_H
#define SELFTEST_KVMI_BENCH_MEM_H

/* What mapped memory costs: to map it, to touch it first, and to read it. */
#include "kvmi_bench_events.h"
#include "kvmi_bench_figures.h"
#include "kvmi_mem_peer.h"

#define MEM_SIZE	(64ull << 20)
#define MEM_PAGES	(MEM_SIZE / MEM_PAGE)
#define MEM_CHUNK	(64ull << 10)
#define MEM_COMMANDS	256			/* enough to know what one costs */

static __u64 time_copy(const __u8 *from)
{
	static __u8 chunk[MEM_CHUNK];
	__u64 v[3], start;

	for (int i = 0; i < ARRAY_SIZE(v); i++) {
		start = rdtsc();
		for (__u64 at = 0; at < MEM_SIZE; at += MEM_CHUNK)
			memcpy(chunk, from + at, MEM_CHUNK);
		v[i] = rdtsc() - start;
	}
	return median(v, ARRAY_SIZE(v));
}

/* Ticks a page of what is not mapped yet. */
static __u64 time_first_touch(volatile __u8 *p, bool write)
{
	__u64 start = rdtsc();

	for (__u64 at = 0; at < MEM_SIZE; at += MEM_PAGE) {
		if (write)
			p[at] = 1;
		else
			(void)p[at];
	}
	return (rdtsc() - start) / MEM_PAGES;
}

/* For as much as is read of the mapping. */
static __u64 time_read_physical(struct kvmi_test *t)
{
	struct kvmi_vm_read_physical req = { .gpa = MEM_GPA, .size = MEM_PAGE };
	__u8 page[MEM_PAGE];
	__u64 start = rdtsc();

	for (int i = 0; i < MEM_COMMANDS; i++, req.gpa += MEM_PAGE)
		KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_READ_PHYSICAL, &req, sizeof(req),
					    page, sizeof(page)));
	return (rdtsc() - start) / MEM_COMMANDS * MEM_PAGES;
}

static __u64 time_mmap(int file)
{
	__u64 start = rdtsc();
	__u8 *p = mem_mmap(file, MEM_GPA, MEM_PAGES, PROT_READ);

	TEST_ASSERT(!munmap(p, MEM_SIZE), "munmap: %s", strerror(errno));
	return rdtsc() - start;
}

static void bench_file(struct kvmi_test *t, const __u8 *own)
{
	int file = mem_file(t->vm->fd, KVMI_MEM_WRITABLE);
	__u64 ticks_own, ticks;
	__u8 *p;

	TEST_ASSERT(file >= 0, "KVM_INTROSPECTION_MEMORY: %s", strerror(-file));
	row("map_unmap_64m", "ticks", time_mmap(file), 0);
	p = mem_mmap(file, MEM_GPA, MEM_PAGES, PROT_READ | PROT_WRITE);
	row("first_read", "ticks/page", time_first_touch(p, false), 0);

	ticks_own = time_copy(own);
	row("copy_own_64m", "ticks", ticks_own, 0);
	ticks = time_copy(p);
	row("copy_mapped_64m", "ticks", ticks, ticks_own * 105 / 100);
	row("copy_by_commands_64m", "ticks", time_read_physical(t), 0);

	munmap(p, MEM_SIZE);
	p = mem_mmap(file, MEM_GPA, MEM_PAGES, PROT_READ | PROT_WRITE);
	row("first_write", "ticks/page", time_first_touch(p, true), 0);
	munmap(p, MEM_SIZE);
	close(file);
}

/* The way to the other VM and back is left out. */
static __u64 time_peer(struct peer *peer, enum peer_op op, __u64 a0, __u64 a1, __u64 a2, __u64 a3,
		       __u64 result)
{
	__u64 start, way;

	start = rdtsc();
	peer_read(peer, PEER_GPA + MEM_PAGE);
	way = rdtsc() - start;
	start = rdtsc();
	TEST_ASSERT_EQ(peer_do(peer, op, a0, a1, a2, a3), result);
	return rdtsc() - start - way;
}

static void bench_peer(struct kvmi_test *t)
{
	struct peer peer;

	peer_create(&peer);
	for (int i = 0; i < 2; i++)
		peer_read(&peer, PEER_GPA + MEM_PAGE);
	KVMI_ASSERT_OK(mem_token(&t->tool, peer.token));
	row("guest_map", "ticks", time_peer(&peer, PEER_HYPERCALL, KVM_HC_MEM_MAP, peer.token_gva,
					    MEM_GPA, PEER_GPA, 0), 0);
	row("guest_first_read", "ticks", time_peer(&peer, PEER_READ, PEER_GPA, 0, 0, 0,
						   *(__u64 *)addr_gpa2hva(t->vm, MEM_GPA)), 0);
	row("guest_unmap", "ticks", time_peer(&peer, PEER_HYPERCALL, KVM_HC_MEM_UNMAP, PEER_GPA,
					      0, 0, 0), 0);
	kvm_vm_free(peer.vm);
}

static void bench_mem(struct kvmi_test *t)
{
	__u8 *hva = mem_add_slot(t->vm, MEM_PAGES, 0);

	memset(hva, 0x5a, MEM_SIZE);
	bench_file(t, hva);
	bench_peer(t);
}

#endif /* SELFTEST_KVMI_BENCH_MEM_H */
