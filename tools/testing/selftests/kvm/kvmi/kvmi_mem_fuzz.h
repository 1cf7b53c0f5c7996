/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_MEM_FUZZ_H
#define SELFTEST_KVMI_MEM_FUZZ_H

/* What the test of random arguments knows: tokens, files, mappings, and what they show. */

#include "kvmi_mem_peer.h"

#define MEM_PAGES	6
#define OWN		(-1)		/* the other VM sees its own page */
#define NR_TOKENS	KVMI_MAX_MAP_TOKENS
#define NR_FILES	4
#define NR_MAPPINGS	8

/* Token that is none. */
#define NO_TOKEN	(-1)

/* The errors that a call may answer; none: it must succeed. All but one are below 63. */
typedef __u64 errors_t;
#define MAY_FAIL(error)	(1ull << ((error) == EOVERFLOW ? 63 : (error)))

struct mapping {
	__u8 *p;
	__u64 gpa, pages, session;
	int prot;
};

struct fuzz {
	struct kvmi_test *t;
	struct peer peer;
	struct guest_random_state random;
	int device;
	__u64 session;

	/* The first word of each frame of the VM, and of the other VM's own. */
	__u64 word[MEM_PAGES], own_word[PEER_PAGES];
	/* What the other VM sees: a page of the VM, or OWN. */
	int shown[PEER_PAGES];

	/* Tokens that were not used; @got is 0 for none. */
	struct {
		struct kvmi_map_mem_token value;
		__u64 got;
	} token[NR_TOKENS];
	struct {
		int fd;
		bool writable;
	} file[NR_FILES];
	struct mapping mapping[NR_MAPPINGS];

	__u64 shows, maps, opens, refused;
};

static inline __u64 any(struct fuzz *f, __u64 n)
{
	return guest_random_u32(&f->random) % n;
}

static inline void expect_error(struct fuzz *f, const char *call, long r, errors_t errors)
{
	if (r >= 0) {
		TEST_ASSERT(!errors, "%s succeeds, with errors %llx", call, errors);
		return;
	}
	TEST_ASSERT(errors, "%s fails: %ld", call, r);
	TEST_ASSERT((-r < 63 || -r == EOVERFLOW) && errors & MAY_FAIL(-r),
		    "%s: %ld, not one of %llx", call, r, errors);
	f->refused++;
}

static inline void expect_word(struct fuzz *f, const char *who, __u64 val, __u64 expected)
{
	TEST_ASSERT(val == expected, "%s reads %llx instead of %llx", who, val, expected);
}

/* --- addresses --- */

/* Mostly one of @pages pages at @base, or a bit beside them. */
static inline __u64 any_gpa(struct fuzz *f, __u64 base, __u64 pages)
{
	static const __u64 bad[] = {
		1ull << 51, 1ull << 52, ~0ull, ~0ull - 4095, 1ull << 63, 0x7ffffffff000ull,
		0xfe000000ull,
	};
	__u64 gpa = base + any(f, pages) * MEM_PAGE;

	switch (any(f, 16)) {
	case 0:
		return bad[any(f, ARRAY_SIZE(bad))];
	case 1:
		return gpa + any(f, MEM_PAGE);
	case 2:
		return base + (pages + any(f, 4)) * MEM_PAGE;
	default:
		return gpa;
	}
}

/* Which of @pages pages at @base this is, negative for none of them. */
static inline int page_of(__u64 gpa, __u64 base, __u64 pages)
{
	return gpa >= base && gpa < base + pages * MEM_PAGE ? (gpa - base) / MEM_PAGE : -1;
}

static inline volatile __u64 *target_word(struct fuzz *f, int page)
{
	return addr_gpa2hva(f->t->vm, MEM_GPA + page * MEM_PAGE);
}

/* --- tokens --- */

/* From when on it might have expired: before its time, as clocks tick. */
static inline bool token_is_old(struct fuzz *f, int i)
{
	return kvmi_now_ms() - f->token[i].got > 1000 * KVMI_MAP_TOKEN_SECONDS - 100;
}

static inline void get_token(struct fuzz *f)
{
	struct kvmi_map_mem_token value;
	int i, r;

	for (i = 0; i < NR_TOKENS && f->token[i].got; i++)
		;
	r = mem_token(&f->t->tool, &value);
	if (i == NR_TOKENS && r) {
		TEST_ASSERT_EQ(r, -KVM_EAGAIN);
		f->refused++;
		return;
	}
	TEST_ASSERT_EQ(r, 0);
	if (i == NR_TOKENS) {
		/* One has expired, and it was the first one. */
		for (int j = i = 0; j < NR_TOKENS; j++)
			if (f->token[j].got < f->token[i].got)
				i = j;
		TEST_ASSERT(token_is_old(f, i), "there are too many tokens");
	}
	f->token[i].value = value;
	f->token[i].got = kvmi_now_ms();
}

/* A token that can be used, or a value that is none: NO_TOKEN. */
static inline int any_token(struct fuzz *f, struct kvmi_map_mem_token *value)
{
	int i = any(f, NR_TOKENS);

	if (!f->token[i].got || !any(f, 8)) {
		for (int n = 0; n < ARRAY_SIZE(value->token); n++)
			value->token[n] = any(f, 2) ? guest_random_u64(&f->random) : 0;
		return NO_TOKEN;
	}
	*value = f->token[i].value;
	if (any(f, 8))
		return i;
	value->token[any(f, ARRAY_SIZE(value->token))] ^= 1ull << any(f, 64);
	return NO_TOKEN;
}

/* A call has taken it. True if there was none, or @missed because it has expired. */
static inline bool token_is_used(struct fuzz *f, int i, bool missed)
{
	bool old;

	if (i == NO_TOKEN)
		return true;
	old = token_is_old(f, i);
	f->token[i].got = 0;
	TEST_ASSERT(!missed || old, "a token was not found");
	return missed;
}

/* --- files and mappings --- */

static inline void close_file(struct fuzz *f, int i)
{
	if (f->file[i].fd >= 0)
		close(f->file[i].fd);
	f->file[i].fd = -1;
}

static inline void keep_file(struct fuzz *f, int fd, bool writable)
{
	int i = any(f, NR_FILES);

	close_file(f, i);
	f->file[i].fd = fd;
	f->file[i].writable = writable;
	f->opens++;
}

static inline void drop_mapping(struct mapping *m)
{
	if (m->p)
		TEST_ASSERT(!munmap(m->p, m->pages * MEM_PAGE), "munmap: %s", strerror(errno));
	m->p = NULL;
}

/* Files end with their session, so that it is that of now. */
static inline void keep_mapping(struct fuzz *f, void *p, __u64 gpa, __u64 pages, int prot)
{
	struct mapping *m = &f->mapping[any(f, NR_MAPPINGS)];

	drop_mapping(m);
	*m = (struct mapping){ .p = p, .gpa = gpa, .pages = pages, .prot = prot,
			       .session = f->session };
	f->maps++;
}

/* --- the VM --- */

static inline void forget_shown(struct fuzz *f)
{
	for (int i = 0; i < PEER_PAGES; i++)
		f->shown[i] = OWN;
}

static inline void add_target(struct fuzz *f)
{
	mem_add_slot(f->t->vm, MEM_PAGES, 0);
	for (int i = 0; i < MEM_PAGES; i++) {
		f->word[i] = guest_random_u64(&f->random) | 1;
		*target_word(f, i) = f->word[i];
	}
}

static inline void fuzz_setup(struct fuzz *f, struct kvmi_test *t)
{
	__u32 number = kvmi_env("KVMI_SEED", kvmi_now_ms() ^ getpid() << 16);

	printf("# KVMI_SEED=0x%x\n", number);
	fflush(stdout);
	f->t = t;
	f->random = new_guest_random_state(number);
	f->device = open(MEM_DEVICE, O_RDWR);
	TEST_ASSERT(f->device >= 0, "%s: %s", MEM_DEVICE, strerror(errno));
	for (int i = 0; i < NR_FILES; i++)
		f->file[i].fd = -1;
	for (int i = 0; i < NR_MAPPINGS; i++)
		f->mapping[i].pages = 1;
	peer_create(&f->peer);
	forget_shown(f);
	add_target(f);
}

static inline void fuzz_teardown(struct fuzz *f)
{
	for (int i = 0; i < NR_FILES; i++)
		close_file(f, i);
	for (int i = 0; i < NR_MAPPINGS; i++)
		drop_mapping(&f->mapping[i]);
	close(f->device);
	kvm_vm_free(f->peer.vm);
}

#endif /* SELFTEST_KVMI_MEM_FUZZ_H */
