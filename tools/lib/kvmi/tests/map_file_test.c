// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory that a file shows: across borders, holes, and memory that goes away. */
#include "host.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static uint8_t buf[3 * MIB], want[3 * MIB];

static struct kvmintro_memory *open_memory(struct kvmintro **k, int way)
{
	struct kvmintro_memory_options o = { .size = sizeof(o), .way = way, .writable = true };
	struct kvmintro_memory *m;

	*k = host_open(true);
	if (kvmintro_memory_open(*k, &o, &m)) {
		printf("# %s\n", kvmintro_error(*k));
		exit(1);
	}
	return m;
}

/* A part of the guest's memory is what is read. */
static bool same(struct kvmintro_memory *m, uint64_t gpa, size_t size)
{
	guest_get(gpa, want, size);
	memset(buf, 0xee, sizeof(buf));
	return !kvmintro_memory_read(m, gpa, buf, size) && !memcmp(buf, want, size) &&
	       buf[size] == 0xee;
}

static bool put(struct kvmintro_memory *m, uint64_t gpa, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		buf[i] = i * 7 + gpa;
	if (kvmintro_memory_write(m, gpa, buf, size))
		return false;
	guest_get(gpa, want, size);
	return !memcmp(buf, want, size);
}

static void copies(int way)
{
	static const struct { uint64_t gpa; size_t size; } rows[] = {
		{ 0, 1 }, { 0xfff, 2 }, { 0x1001, 4096 }, { 0, MIB }, { 2 * MIB, 2 * MIB },
		/* Two slots and two windows. */
		{ GIB - MIB, 2 * MIB }, { GIB - 3, 7 }, { GIB - 5000, 9000 }, { 3 * GIB, PAGE },
	};
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, way);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ok(same(m, rows[i].gpa, rows[i].size), "read %zu bytes at %#llx", rows[i].size,
		   (unsigned long long)rows[i].gpa);
		ok(put(m, rows[i].gpa, rows[i].size) && same(m, rows[i].gpa, rows[i].size),
		   "write them");
	}
	ok(!kvmintro_memory_read(m, ~0ULL, buf, 0), "nothing");
	ok(kvmintro_memory_read(m, ~0ULL, buf, 2) == -EINVAL, "beyond the last address");
	kvmintro_memory_close(m);
	host_close(k);
}

static void holes(int way)
{
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, way);
	size_t i;

	ok(kvmintro_memory_read(m, MIB, buf, 1) == -ENOENT &&
	   strstr(kvmintro_error(k), "0x100000"), "a hole is named");
	guest_get(MIB - 5000, want, 5000);
	ok(kvmintro_memory_read(m, MIB - 5000, buf, 2 * MIB) == -ENOENT &&
	   strstr(kvmintro_error(k), "0x100000") && !memcmp(buf, want, 5000),
	   "what is before a hole is read");
	ok(kvmintro_memory_read(m, MIB - 1, buf, MIB + 2) == -ENOENT, "memory on both sides");
	ok(kvmintro_memory_read(m, 2 * MIB - 1, buf, 2) == -ENOENT &&
	   strstr(kvmintro_error(k), "0x1fffff"), "memory behind it");
	ok(kvmintro_memory_read(m, 2 * GIB, buf, 3 * MIB) == -ENOENT, "a hole alone");
	ok(kvmintro_memory_read(m, 1ULL << 60, buf, 8) == -ENOENT, "far away");
	memset(buf, 7, 8192);
	ok(kvmintro_memory_write(m, MIB - 4096, buf, 8192) == -ENOENT, "write into a hole");
	guest_get(MIB - 4096, want, 4096);
	ok(!memcmp(buf, want, 4096), "what is before it is written");

	/* In a slot, but not to be had by the file. */
	host.unmapped = 3 * MIB;
	kvmintro_memory_close(m);
	kvmintro_memory_open(k, &(struct kvmintro_memory_options){ .size = 24, .way = way,
			     .writable = true }, &m);
	host.reads = 0;
	ok(same(m, 3 * MIB - 10000, 20000) && host.reads == (way == KVMINTRO_MEMORY_COMMANDS ?
							     6 : 1),
	   "a page that only a command can read: %u", host.reads);
	ok(put(m, 3 * MIB - 10000, 20000), "and write");
	host.unreadable = true;
	guest_get(3 * MIB - 10000, want, 10000);
	ok(kvmintro_memory_read(m, 3 * MIB - 10000, buf, 20000) == -ENOENT &&
	   strstr(kvmintro_error(k), "0x300000") && !memcmp(buf, want, 10000),
	   "a page that nobody can read");
	ok(same(m, 3 * MIB + PAGE, PAGE), "the one behind it");
	for (i = 0; i < 12; i++)
		kvmintro_memory_read(m, i * GIB, buf, 1);
	ok(same(m, 0, 100) && same(m, GIB, 100), "more windows than are kept");
	kvmintro_memory_close(m);
	host_close(k);
}

static void endings(int way)
{
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, way);

	ok(same(m, 0, 100), "memory, before the end");
	host_hang_up(k);
	ok(kvmintro_memory_read(m, 0, buf, 1) == -ENOTCONN &&
	   kvmintro_memory_write(m, 0, buf, 1) == -ENOTCONN &&
	   kvmintro_memory_map(m, 0, 1, false, (void **)want) == -ENOTCONN, "after it");
	kvmintro_close(k);
	/* The handle has another guest by now. */
	kvmintro_use_fd(k, dup(0));
	ok(kvmintro_memory_read(m, 0, buf, 1) == -ENOTCONN &&
	   strstr(kvmintro_error(k), "has ended"), "a new connection needs a new object");
	kvmintro_memory_close(m);
	host_close(k);
}

/* There is address space for so much only: it is mapped all the same. */
static void little_room(void)
{
	static const uint64_t rooms[] = { 2 * GIB, GIB + MIB, GIB, GIB - 1, 3 * MIB, 0x10000 };
	struct kvmintro_memory *m;
	struct kvmintro *k;
	size_t i;

	for (i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		m = open_memory(&k, KVMINTRO_MEMORY_VM);
		host.room = rooms[i];
		ok(same(m, 0, MIB) && same(m, 2 * MIB, 2 * MIB) && same(m, GIB - MIB, 2 * MIB) &&
		   put(m, GIB - 9000, 18000) && same(m, 3 * GIB, PAGE) && same(m, 0, 8) &&
		   !host.reads && !host.writes, "room for %#llx bytes",
		   (unsigned long long)rooms[i]);
		kvmintro_memory_close(m);
		host_close(k);
	}
	m = open_memory(&k, KVMINTRO_MEMORY_VM);
	host.room = PAGE;
	ok(kvmintro_memory_read(m, 0, buf, 8) == -ENOMEM && !host.reads &&
	   strstr(kvmintro_error(k), "no room to map memory"), "no room: %s", kvmintro_error(k));
	host.room = 0;
	ok(same(m, GIB, MIB) && !host.reads, "room again");
	kvmintro_memory_close(m);
	host_close(k);
}

static void mappings(void)
{
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, KVMINTRO_MEMORY_VM);
	uint64_t *p, *q, value = 5;
	void *none = buf;

	ok(!kvmintro_memory_map(m, 2 * MIB, 2 * MIB, true, (void **)&p) && *p == 2 * MIB &&
	   p[512] == 2 * MIB + PAGE, "map");
	guest_put(2 * MIB + 8, &value, 8);
	ok(p[1] == 5, "the guest's writes are seen");
	p[2] = 6;
	guest_get(2 * MIB + 16, &value, 8);
	ok(value == 6, "it sees the tool's");
	ok(!kvmintro_memory_map(m, GIB - 8, 16, false, (void **)&q) &&
	   (uintptr_t)q % PAGE == PAGE - 8 && q[1] == GIB, "map across a border");
	ok(kvmintro_memory_unmap(m, p + 1) == -EINVAL && !kvmintro_memory_unmap(m, q) &&
	   !kvmintro_memory_unmap(m, p) && kvmintro_memory_unmap(m, p) == -EINVAL, "unmap");
	ok(kvmintro_memory_map(m, 0, 0, false, &none) == -EINVAL && !none &&
	   kvmintro_memory_map(m, 0, SIZE_MAX, false, &none) == -EINVAL &&
	   kvmintro_memory_map(m, ~0ULL, 2, false, &none) == -EINVAL, "no such range");
	kvmintro_memory_close(m);
	kvmintro_memory_open(k, NULL, &m);
	ok(kvmintro_memory_map(m, 0, 1, true, &none) == -EACCES, "read only");
	kvmintro_memory_close(m);
	kvmintro_memory_open(k, &(struct kvmintro_memory_options){ .size = 24,
			     .way = KVMINTRO_MEMORY_COMMANDS }, &m);
	ok(kvmintro_memory_map(m, 0, 1, false, &none) == -EOPNOTSUPP && !none,
	   "commands do not map");
	kvmintro_memory_close(m);
	host_close(k);
}

static sigjmp_buf out;
static volatile sig_atomic_t hits;

static void on_bus(int sig)
{
	(void)sig;
	hits++;
	siglongjmp(out, 1);
}

/* Copies a hole and what is around it until told to stop. */
static void *copy_on(void *arg)
{
	static uint8_t other[2 * PAGE];
	volatile bool *stop = ((void **)arg)[1];
	struct kvmintro_memory *m = ((void **)arg)[0];
	intptr_t bad = 0;

	while (!*stop)
		bad += kvmintro_memory_read(m, MIB - PAGE, other, sizeof(other)) != -ENOENT;
	return (void *)bad;
}

/* Memory where there was none: what happened goes on. */
static void mend(int sig, siginfo_t *info, void *context)
{
	void *page = (void *)((uintptr_t)info->si_addr / PAGE * PAGE);

	(void)sig;
	(void)context;
	hits++;
	if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != page)
		_exit(1);
}

/* What is copied to is the program's, and its handler knows what to do. */
static void own_buffer(void)
{
	const int empty = memfd_create("empty", 0);
	uint8_t *bad = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, empty, 0);
	struct sigaction action = { .sa_sigaction = mend, .sa_flags = SA_SIGINFO };
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, KVMINTRO_MEMORY_VM);

	hits = 0;
	sigaction(SIGBUS, &action, NULL);
	guest_get(2 * MIB, want, 2 * PAGE);
	ok(!kvmintro_memory_read(m, 2 * MIB, bad, 2 * PAGE) && hits == 2 &&
	   !memcmp(bad, want, 2 * PAGE), "a fault of the program's own buffer");
	ok(kvmintro_memory_read(m, MIB, bad, 1) == -ENOENT && hits == 2, "and one of ours");
	signal(SIGBUS, SIG_DFL);
	munmap(bad, 2 * PAGE);
	close(empty);
	kvmintro_memory_close(m);
	host_close(k);
}

/* SIGBUS of the program itself, while another thread copies. */
static void signals(void)
{
	const int empty = memfd_create("empty", 0);
	volatile char *bad = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, empty, 0);
	struct sigaction action = { .sa_handler = on_bus }, now;
	struct kvmintro *k;
	struct kvmintro_memory *m = open_memory(&k, KVMINTRO_MEMORY_VM);
	volatile bool stop = false;
	void *arg[] = { m, (void *)&stop }, *failed = arg;
	volatile int i;
	pthread_t thread;

	sigaction(SIGBUS, &action, NULL);
	ok(kvmintro_memory_read(m, MIB, buf, 1) == -ENOENT && !hits, "ours alone");
	sigaction(SIGBUS, NULL, &now);
	ok(now.sa_handler == on_bus, "the handler before is back");
	pthread_create(&thread, NULL, copy_on, arg);
	for (i = 0; i < 5000; i++) {
		if (!sigsetjmp(out, 1))
			(void)*bad;
	}
	stop = true;
	pthread_join(thread, &failed);
	ok(hits == 5000 && !failed, "the program's own reach it");
	sigaction(SIGBUS, NULL, &now);
	ok(now.sa_handler == on_bus, "and it is still there");
	signal(SIGBUS, SIG_DFL);
	munmap((void *)bad, PAGE);
	close(empty);
	kvmintro_memory_close(m);
	host_close(k);
}

int main(void)
{
	static const int ways[] = { KVMINTRO_MEMORY_VM, KVMINTRO_MEMORY_COMMANDS };
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < 2; i++) {
		printf("# %s\n", kvmintro_memory_way_name(ways[i]));
		copies(ways[i]);
		holes(ways[i]);
		endings(ways[i]);
	}
	little_room();
	mappings();
	signals();
	own_buffer();
	return done();
}
