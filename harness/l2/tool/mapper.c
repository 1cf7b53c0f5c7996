// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tool in a VM of its own that maps the page of another guest (../init.c), which it
 * introspects. It says what it finds, a fact in each line, for somebody who knows what
 * the other guest says:
 *
 *   marker TEXT        what the mapped page holds
 *   in-step N          so often the page, READ_PHYSICAL and again the page were read,
 *                      and none was behind the one before it
 *   changes N          that were seen in the page alone
 *   read-back TEXT     by READ_PHYSICAL, after TEXT was written to the page
 *   answers N          of the other guest, each to a question in the page
 *   token-again ERROR  of a token that was used
 *   own TEXT           what the page holds when it is no longer mapped
 *   theirs TEXT        what the other guest's page holds, after that was written to
 *   library TEXT       what the page holds that the library maps
 *   after-close TEXT   what a page holds that was mapped when the session ended
 *
 * With "hold" it maps the page, says "held" and its marker, waits until the page is
 * taken away, and says "lost" and what the page holds then.
 *
 * usage: mapper SOCKET ADDRESS [hold]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <kvmi/kvmi.h>
#include <linux/kvmmem.h>

#include "../l2.h"

#define OWN "a page of the tool's own VM"
#define WRITTEN "written through a mapping"
#define QUESTIONS 100
#define ROUNDS 200

/* Long for emulated hardware that has much else to do. */
static const double patience = 60;

static struct kvmintro *k;
static int driver;
/* Where the other guest's page is, in its memory. */
static uint64_t gpa;

static void fail(const char *what, const char *why)
{
	printf("failed: %s: %s\n", what, why);
	exit(1);
}

static void must(int r, const char *what)
{
	if (r < 0)
		fail(what, kvmintro_error(k));
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Let others run, and be no part of an endless wait that began at @start. */
static void rest(double start, const char *what)
{
	const struct timespec ts = { .tv_nsec = 1000000 };

	if (seconds() - start > patience)
		fail(what, "waited in vain");
	nanosleep(&ts, NULL);
}

static void start_session(const char *address)
{
	const struct kvmintro_accept_options options = {
		.size = sizeof(options),
		.accept_timeout = patience * 1000,
	};
	int fd;

	k = kvmintro_new();
	if (!k)
		fail("kvmintro_new", "no memory");
	fd = kvmintro_listen(k, address);
	must(fd, "listen");
	must(kvmintro_accept(k, fd, &options), "accept");
	kvmintro_unlisten(fd);
}

static struct page *own_page(void)
{
	struct page *p = mmap(NULL, KVMINTRO_PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap", strerror(errno));
	strcpy(p->marker, OWN);
	return p;
}

static struct kvmi_map_mem_token get_token(void)
{
	struct kvmi_map_mem_token token;

	must(kvmintro_get_map_token(k, &token), "token");
	return token;
}

static int map(struct page *p, const struct kvmi_map_mem_token *token)
{
	const struct kvmi_mem_map args = {
		.token = *token, .gpa = gpa, .gva = (uintptr_t)p,
	};

	return ioctl(driver, KVM_INTRO_MEM_MAP, &args);
}

static void must_map(struct page *p, const struct kvmi_map_mem_token *token)
{
	if (map(p, token) < 0)
		fail("KVM_INTRO_MEM_MAP", strerror(errno));
}

/* What a page holds that others write to, and may not end. */
static const char *text_of(const volatile struct page *p)
{
	static char text[MARKER_SIZE + 1];
	size_t i;

	for (i = 0; i < MARKER_SIZE; i++)
		text[i] = p->marker[i];
	return text;
}

static const char *text_in_memory(void)
{
	static struct page copy;

	must(kvmintro_read_physical(k, gpa, copy.marker, MARKER_SIZE), "READ_PHYSICAL");
	return text_of(&copy);
}

/* The counter grows all the time: whoever reads it later must not get less. */
static void read_both_ways(const struct page *p)
{
	uint64_t before, between, after;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		before = p->passes[0];
		must(kvmintro_read_physical(k, gpa + offsetof(struct page, passes),
					    &between, sizeof(between)), "READ_PHYSICAL");
		after = p->passes[0];
		if (before > between || between > after)
			break;
	}
	printf("in-step %d\n", i);
}

static void watch_changes(const struct page *p)
{
	double start = seconds();
	uint64_t last = p->passes[0];
	int changes = 0;

	while (changes < ROUNDS) {
		rest(start, "changes in the page");
		changes += p->passes[0] != last;
		last = p->passes[0];
	}
	printf("changes %d\n", changes);
}

static void write_text(struct page *p)
{
	char text[MARKER_SIZE] = WRITTEN;

	memcpy(p->marker, text, MARKER_SIZE);
	printf("read-back %s\n", text_in_memory());
}

static void ask_and_hear(struct page *p)
{
	uint64_t question;

	for (question = 1; question <= QUESTIONS; question++) {
		double start = seconds();

		p->asked = question;
		while (p->answered != question)
			rest(start, "an answer of the other guest");
	}
	printf("answers %d\n", QUESTIONS);
}

static void use_again(const struct kvmi_map_mem_token *token)
{
	struct page *other = own_page();
	int r = map(other, token);

	printf("token-again %s\n", r < 0 ? strerrorname_np(errno) : "is accepted");
	if (strcmp(other->marker, OWN))
		fail("the page of the refused token", text_of(other));
	munmap(other, KVMINTRO_PAGE_SIZE);
}

static void unmap(struct page *p)
{
	if (ioctl(driver, KVM_INTRO_MEM_UNMAP, (unsigned long)p) < 0)
		fail("KVM_INTRO_MEM_UNMAP", strerror(errno));
	printf("own %s\n", text_of(p));
	strcpy(p->marker, "no longer mapped");
	printf("theirs %s\n", text_in_memory());
	strcpy(p->marker, OWN);
}

/* The library maps in the same way, for programs that need not know how. */
static void map_by_library(void)
{
	const struct kvmintro_memory_options options = {
		.size = sizeof(options), .way = KVMINTRO_MEMORY_GUEST,
	};
	struct kvmintro_memory *memory;
	void *p;

	must(kvmintro_memory_open(k, &options, &memory), "kvmintro_memory_open");
	must(kvmintro_memory_map(memory, gpa, KVMINTRO_PAGE_SIZE, false, &p),
	     "kvmintro_memory_map");
	printf("library %s\n", text_of(p));
	kvmintro_memory_close(memory);
}

static void await_own(const struct page *p)
{
	double start = seconds();

	while (strcmp(text_of(p), OWN))
		rest(start, "the end of a mapping");
}

static void hold(struct page *p)
{
	printf("held %s\n", text_of(p));
	await_own(p);
	printf("lost %s\n", text_of(p));
}

int main(int argc, char **argv)
{
	struct kvmi_map_mem_token token;
	struct page *p;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3 || argc > 4)
		fail("usage", "mapper SOCKET ADDRESS [hold]");
	gpa = strtoull(argv[2], NULL, 0);
	driver = open("/dev/kvmmem", O_RDWR | O_CLOEXEC);
	if (driver < 0)
		fail("/dev/kvmmem", strerror(errno));
	start_session(argv[1]);
	p = own_page();
	token = get_token();
	must_map(p, &token);
	if (argc == 4) {
		hold(p);
		return 0;
	}

	printf("marker %s\n", text_of(p));
	read_both_ways(p);
	watch_changes(p);
	write_text(p);
	ask_and_hear(p);
	use_again(&token);
	unmap(p);
	map_by_library();

	token = get_token();
	must_map(p, &token);
	if (strcmp(text_of(p), WRITTEN))
		fail("mapped again, the page holds", text_of(p));
	must(kvmintro_close(k), "close");
	await_own(p);
	printf("after-close %s\n", text_of(p));
	return 0;
}
