// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory that a tool in another VM maps page by page. */
#include "host.h"

#include <sys/mman.h>

/* As many as the library keeps. */
#define KEPT 256

static uint8_t buf[2 * MIB], want[2 * MIB];

static struct kvmintro_memory *open_memory(struct kvmintro **k, bool writable)
{
	struct kvmintro_memory_options o = {
		.size = sizeof(o), .way = KVMINTRO_MEMORY_GUEST, .writable = writable
	};
	struct kvmintro_memory *m;

	*k = host_open(false);
	host.has_guest = true;
	if (kvmintro_memory_open(*k, &o, &m)) {
		printf("# %s\n", kvmintro_error(*k));
		exit(1);
	}
	return m;
}

static bool same(struct kvmintro_memory *m, uint64_t gpa, size_t size)
{
	guest_get(gpa, want, size);
	return !kvmintro_memory_read(m, gpa, buf, size) && !memcmp(buf, want, size);
}

static bool put(struct kvmintro_memory *m, uint64_t gpa, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		buf[i] = rand();
	if (kvmintro_memory_write(m, gpa, buf, size))
		return false;
	guest_get(gpa, want, size);
	return !memcmp(buf, want, size);
}

static void copies(void)
{
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, true);

	ok(host_replaced() == 1, "the first page shows whether it works");
	ok(same(m, 5, 9) && host.maps == 1, "a page that is mapped");
	ok(same(m, 0xffe, 0x2004) && host.maps == 4, "three more pages");
	ok(put(m, 0xffe, 0x2004) && put(m, 0x7fe, 4) && put(m, 1, 1) && host.maps == 4,
	   "write them");
	ok(!host.reads && !host.writes, "without commands");
	ok(kvmintro_memory_read(m, MIB - 10, buf, 20) == -ENOENT &&
	   strstr(kvmintro_error(k), "0x100000") && host.reads == 1, "a hole");
	ok(kvmintro_memory_write(m, MIB, buf, 1) == -ENOENT && host.writes == 1,
	   "write into a hole");
	host.unmapped = 0x9000;
	host.reads = 0;
	ok(same(m, 0x8ff0, 0x1020) && host.reads == 1, "a page that only a command can read");
	kvmintro_memory_close(m);
	ok(!kvmintro_memory_open(k, &(struct kvmintro_memory_options){ .size = 24,
				 .way = KVMINTRO_MEMORY_GUEST }, &m) &&
	   kvmintro_memory_write(m, 0, buf, 1) == -EACCES, "read only");
	kvmintro_memory_close(m);
	host_close(k);
}

/* Those that were used last are kept. */
static void cache(void)
{
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, false);
	unsigned int i, maps;

	ok(same(m, 0, KEPT * PAGE) && host.maps == KEPT && !host.unmaps, "as many as are kept");
	ok(same(m, 0, KEPT * PAGE) && host.maps == KEPT, "they are kept");
	ok(same(m, 2 * MIB, 3 * PAGE) && host.maps == KEPT + 3 && host.unmaps == 3 &&
	   host_replaced() == KEPT, "more have to make room");
	for (i = 3, maps = host.maps; i < KEPT; i++)
		same(m, i * PAGE, 1);
	ok(host.maps == maps, "only the oldest have gone");
	ok(same(m, 0, PAGE) && host.maps == maps + 1, "they come again");
	ok(same(m, 0, MIB) && same(m, 2 * MIB, 2 * MIB) && host_replaced() == KEPT,
	   "never more at once");
	kvmintro_memory_close(m);
	host_close(k);
}

/* The host takes pages away without a sign: nothing else may be taken for memory. */
static void taken_away(void)
{
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, true);
	size_t at, bad = 0;

	for (at = 0; at < 2 * PAGE; at += 500) {
		host_take_away();
		bad += !same(m, at, 64);
		host_take_away();
		bad += !put(m, at, 64);
		host_take_away();
		bad += !put(m, at, PAGE + 1);
		host_take_away();
		bad += !same(m, at, 3 * PAGE);
	}
	ok(!bad && !host.reads && !host.writes, "mapped again");
	same(m, 0x7000, PAGE);
	host.tear = true;
	ok(same(m, 0x7000, PAGE) && !host.tear, "in the middle of a read");
	host.tear = true;
	ok(put(m, 0x7000, 1000) && !host.tear && !host.writes, "in the middle of a write");
	/* The write, and what it leaves in the tool's own page. */
	for (at = 0; at < PAGE; at += 500) {
		same(m, 0x6000, PAGE);
		host.read_only = true;
		host.writes = 0;
		bad += !put(m, 0x6000 + at, 64) || !host.writes;
		host.read_only = false;
		host_take_away();
		bad += !same(m, 0x6000, PAGE);
	}
	ok(!bad && !host.reads, "a page that may only be read is written by a command");
	guest_get(0x6000, buf, 8);
	host.read_only = true;
	host.writes = 0;
	ok(!kvmintro_memory_write(m, 0x6000, buf, 8) && !host.writes, "unless it is the same");
	host.read_only = false;
	host_take_away();
	guest_put(0x6000, &at, 8);
	ok(same(m, 0x6000, 8), "which is not taken for memory later");
	same(m, 0x5000, PAGE);
	host_take_away();
	host.error = EOPNOTSUPP;
	ok(same(m, 0x5000, PAGE) && host.reads == 1, "or read by a command");
	host_take_away();
	ok(put(m, 0x5000, 8) && host.writes == 1, "or written by one");
	host.unmapped = 0x5000;
	host.unreadable = true;
	ok(kvmintro_memory_read(m, 0x5000, buf, 8) == -ENOENT, "or not at all");
	host_hang_up(k);
	ok(kvmintro_memory_read(m, 0, buf, 8) == -ENOTCONN, "the end");
	kvmintro_memory_close(m);
	host_close(k);
}

/* An access that the host refuses, for mprotect(): does the address have it? */
static bool can_write(void *at)
{
	int fds[2];
	bool can;

	if (pipe(fds) < 0 || write(fds[1], "x", 1) != 1)
		exit(1);
	can = read(fds[0], at, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return can;
}

static void mappings(void)
{
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, true);
	unsigned int before = host_replaced();
	void *p, *q, *none = buf;
	uint64_t value = 0;

	ok(!kvmintro_memory_map(m, 0x3ffe, PAGE, true, &p) && host_replaced() == before + 2 &&
	   (uintptr_t)p % PAGE == 0xffe && *(uint64_t *)((uint8_t *)p + 2) == 0x4000,
	   "map two pages");
	*(uint64_t *)((uint8_t *)p + 10) = 5;
	guest_get(0x4008, &value, 8);
	ok(value == 5 && can_write(p), "the guest sees the tool's writes");
	ok(!kvmintro_memory_map(m, 0x8000, 1, false, &q) && !can_write(q) &&
	   *(uint64_t *)q == 0x8000, "map for reading");
	before = host_replaced();
	ok(kvmintro_memory_map(m, MIB - 2 * PAGE, 3 * PAGE, false, &none) == -ENOENT && !none &&
	   host_replaced() == before, "a hole leaves nothing behind");
	ok(!kvmintro_memory_unmap(m, p) && host_replaced() == before - 2 &&
	   kvmintro_memory_unmap(m, p) == -EINVAL, "unmap");
	host.unmaps = 0;
	kvmintro_memory_close(m);
	ok(host.unmaps == 1 && !host_replaced(), "close unmaps the rest");
	host_close(k);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	copies();
	cache();
	taken_away();
	mappings();
	return done();
}
