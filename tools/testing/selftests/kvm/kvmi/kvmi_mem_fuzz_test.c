// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arguments at random for all that maps a VM's memory: hypercalls of another VM, ioctls
 * of the VM's file and of the device, mmap().
 *
 * The test knows what every call has to answer, and what can be seen afterwards. Each of
 * its frames has a word of its own, so that nobody sees or writes a wrong one.
 *
 * KVMI_SEED=number repeats a run, KVMI_SECONDS=number tells for how long it goes on.
 */
#include "kvmi_mem_fuzz.h"

KVMI_TEST_SUITE(kvmi_mem_fuzz, 1);

/* Bochs needs a minute for a second. */
#define SECONDS		(host_cpu_is_amd ? 5 : 1)

/* --- hypercalls --- */

/* Memory of the other VM that may hold a token, and memory that does not exist. */
static __u64 token_address(struct fuzz *f, const struct kvmi_map_mem_token *value,
			   errors_t *errors)
{
	static const __u64 bad[] = {
		0xdead000000ull, 1ull << 63, ~0ull, ~0ull - 31, 1ull << 47,
		/* Half of it. */
		PEER_GPA + PEER_PAGES * MEM_PAGE - sizeof(*value) / 2,
	};

	*f->peer.token = *value;
	if (any(f, 8))
		return f->peer.token_gva;
	*errors |= MAY_FAIL(KVM_EFAULT);
	return bad[any(f, ARRAY_SIZE(bad))];
}

static bool is_page(__u64 gpa)
{
	return gpa % MEM_PAGE == 0 && gpa < 1ull << 52;
}

static void fuzz_map(struct fuzz *f)
{
	struct kvmi_map_mem_token value;
	errors_t wrong = 0, errors = 0;
	__u64 from, to, address;
	int token, page, own;
	long r;

	token = any_token(f, &value);
	address = token_address(f, &value, &wrong);
	from = any_gpa(f, MEM_GPA, MEM_PAGES);
	to = any_gpa(f, PEER_GPA, PEER_PAGES);
	if (!is_page(from) || !is_page(to))
		wrong |= MAY_FAIL(KVM_EINVAL);

	page = page_of(from, MEM_GPA, MEM_PAGES);
	own = page_of(to, PEER_GPA, PEER_PAGES);
	if (own < 0)
		errors |= MAY_FAIL(KVM_EINVAL);
	else if (f->shown[own] != OWN)
		errors |= MAY_FAIL(KVM_EBUSY);
	if (page < 0)
		errors |= MAY_FAIL(KVM_ENOENT);

	r = peer_hypercall(&f->peer, KVM_HC_MEM_MAP, address, from, to);
	if (wrong) {
		/* Nobody has looked for the token. */
		expect_error(f, "KVM_HC_MEM_MAP", r, wrong);
		return;
	}
	if (token_is_used(f, token, r == -KVM_ENOENT && !(errors & MAY_FAIL(KVM_ENOENT))))
		errors = MAY_FAIL(KVM_ENOENT);
	expect_error(f, "KVM_HC_MEM_MAP", r, errors);
	if (r)
		return;
	f->shown[own] = page;
	f->shows++;
}

static void fuzz_unmap(struct fuzz *f)
{
	__u64 gpa = any_gpa(f, PEER_GPA, PEER_PAGES);
	int own = page_of(gpa, PEER_GPA, PEER_PAGES);
	errors_t errors = 0;

	if (!is_page(gpa))
		errors = MAY_FAIL(KVM_EINVAL);
	else if (own < 0 || f->shown[own] == OWN)
		errors = MAY_FAIL(KVM_ENOENT);
	expect_error(f, "KVM_HC_MEM_UNMAP",
		     peer_hypercall(&f->peer, KVM_HC_MEM_UNMAP, gpa, guest_random_u64(&f->random),
				    guest_random_u64(&f->random)), errors);
	if (!errors)
		f->shown[own] = OWN;
}

static void fuzz_unknown_hypercall(struct fuzz *f)
{
	__u64 nr = KVM_HC_MEM_UNMAP + 1 + any(f, 64);

	TEST_ASSERT_EQ(peer_hypercall(&f->peer, nr, guest_random_u64(&f->random),
				      guest_random_u64(&f->random), f->peer.token_gva),
		       -KVM_ENOSYS);
}

/* --- ioctls --- */

static void *bad_pointer(struct fuzz *f)
{
	static const __u64 bad[] = { 0, 8, 1ull << 47, 1ull << 63, ~0ull, ~0ull - 15 };

	return (void *)bad[any(f, ARRAY_SIZE(bad))];
}

static __u32 any_flags(struct fuzz *f)
{
	__u32 flags = any(f, 2) ? KVMI_MEM_WRITABLE : 0;

	return any(f, 8) ? flags : flags ^ 1u << any(f, 32);
}

static void fuzz_memory_ioctl(struct fuzz *f)
{
	struct kvm_introspection_memory memory = {
		.flags = any_flags(f),
		.padding = any(f, 8) ? 0 : guest_random_u32(&f->random),
	};
	bool bad = !any(f, 8);
	errors_t errors = 0;
	int r;

	if (bad)
		errors = MAY_FAIL(EFAULT);
	else if (memory.flags & ~KVMI_MEM_WRITABLE || memory.padding)
		errors = MAY_FAIL(EINVAL);
	r = ioctl(f->t->vm->fd, KVM_INTROSPECTION_MEMORY, bad ? bad_pointer(f) : &memory);
	r = r < 0 ? -errno : r;
	expect_error(f, "KVM_INTROSPECTION_MEMORY", r, errors);
	if (r >= 0)
		keep_file(f, r, memory.flags & KVMI_MEM_WRITABLE);
}

static void fuzz_device(struct fuzz *f)
{
	struct kvmi_mem_open args = {
		.flags = any_flags(f),
		.padding = any(f, 8) ? 0 : guest_random_u32(&f->random),
	};
	int token = any_token(f, &args.token), r;
	unsigned int cmd = KVMI_MEM_OPEN;
	errors_t wrong = 0, errors = 0;
	bool bad = !any(f, 8);

	if (!any(f, 8))
		cmd ^= 1u << any(f, 32);
	if (cmd != KVMI_MEM_OPEN)
		wrong = MAY_FAIL(ENOTTY);
	else if (bad)
		wrong = MAY_FAIL(EFAULT);
	else if (args.flags & ~KVMI_MEM_WRITABLE || args.padding)
		wrong = MAY_FAIL(EINVAL);
	r = ioctl(f->device, cmd, bad ? bad_pointer(f) : &args);
	r = r < 0 ? -errno : r;
	if (!wrong && token_is_used(f, token, r == -ENOENT))
		errors = MAY_FAIL(ENOENT);
	expect_error(f, "KVMI_MEM_OPEN", r, wrong ?: errors);
	if (r >= 0)
		keep_file(f, r, args.flags & KVMI_MEM_WRITABLE);
}

/* --- mmap() --- */

static void fuzz_mmap(struct fuzz *f)
{
	static const int prots[] = {
		PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE, PROT_EXEC, PROT_READ | PROT_EXEC,
	};
	int prot = prots[any(f, ARRAY_SIZE(prots))], i = any(f, NR_FILES);
	__u64 pages = 1 + any(f, any(f, 8) ? MEM_PAGES : 1 << 16);
	__u64 gpa = any_gpa(f, MEM_GPA - 2 * MEM_PAGE, MEM_PAGES + 2);
	bool shared = any(f, 8);
	errors_t errors = 0;
	void *p;

	if (f->file[i].fd < 0)
		return;
	if (gpa % MEM_PAGE || !shared || gpa / MEM_PAGE + pages > 1ull << 40)
		errors |= MAY_FAIL(EINVAL);
	/* It ends where offsets do. */
	if (gpa > ~0ull - pages * MEM_PAGE)
		errors |= MAY_FAIL(EOVERFLOW);
	if (shared && prot & PROT_WRITE && !f->file[i].writable)
		errors |= MAY_FAIL(EACCES);
	if (prot & PROT_EXEC)
		errors |= MAY_FAIL(EPERM);
	p = mmap(NULL, pages * MEM_PAGE, prot, shared ? MAP_SHARED : MAP_PRIVATE,
		 f->file[i].fd, gpa);
	expect_error(f, "mmap()", p == MAP_FAILED ? -errno : 0, errors);
	if (p != MAP_FAILED)
		keep_mapping(f, p, gpa, pages, prot);
}

/* --- accesses --- */

static void fuzz_touch(struct fuzz *f)
{
	struct mapping *m = &f->mapping[any(f, NR_MAPPINGS)];
	__u64 offset = any(f, m->pages), val = guest_random_u64(&f->random) | 1;
	int page = page_of(m->gpa + offset * MEM_PAGE, MEM_GPA, MEM_PAGES);
	bool gone = page < 0 || m->session != f->session;
	volatile __u64 *p = (void *)(m->p + offset * MEM_PAGE);

	if (!m->p || !(m->prot & PROT_READ))
		return;
	if (mem_read((volatile __u8 *)p) == -1 || gone) {
		TEST_ASSERT(gone, "page %d cannot be read", page);
		TEST_ASSERT(mem_read((volatile __u8 *)p) == -1, "no page, and it can be read");
		return;
	}
	expect_word(f, "a process", *p, f->word[page]);
	if (m->prot & PROT_WRITE && any(f, 2)) {
		*p = val;
		f->word[page] = val;
		expect_word(f, "the VMM", *target_word(f, page), val);
	}
}

static void fuzz_peer_touch(struct fuzz *f)
{
	__u64 own = any(f, PEER_PAGES), gpa = PEER_GPA + own * MEM_PAGE;
	__u64 val = guest_random_u64(&f->random) | 1;
	__u64 *word = f->shown[own] == OWN ? &f->own_word[own] : &f->word[f->shown[own]];

	expect_word(f, "the other VM", peer_read(&f->peer, gpa), *word);
	if (any(f, 2)) {
		peer_write(&f->peer, gpa, val);
		*word = val;
		expect_word(f, "the VMM", f->shown[own] == OWN ?
			    *(__u64 *)(f->peer.hva + own * MEM_PAGE) :
			    *target_word(f, f->shown[own]), val);
	}
}

/* --- what happens to the VM --- */

static void fuzz_discard(struct fuzz *f)
{
	int page = any(f, MEM_PAGES);

	TEST_ASSERT(!madvise((void *)target_word(f, page), MEM_PAGE, MADV_DONTNEED),
		    "madvise: %s", strerror(errno));
	f->word[page] = 0;
}

static void fuzz_slot(struct fuzz *f)
{
	if (any(f, 4))
		return;
	vm_mem_region_delete(f->t->vm, MEM_SLOT);
	forget_shown(f);
	add_target(f);
}

static void fuzz_session(struct fuzz *f)
{
	if (any(f, 4))
		return;
	kvmi_test_rehook(f->t);
	f->session++;
	forget_shown(f);
	memset(f->token, 0, sizeof(f->token));
	for (int i = 0; i < NR_FILES; i++)
		close_file(f, i);
}

static void (*const calls[])(struct fuzz *f) = {
	fuzz_map, fuzz_map, fuzz_map, fuzz_map, fuzz_map, fuzz_unmap, fuzz_unmap,
	fuzz_unknown_hypercall, fuzz_memory_ioctl, fuzz_memory_ioctl, fuzz_device, fuzz_device,
	fuzz_device, fuzz_mmap, fuzz_mmap, fuzz_mmap, fuzz_touch, fuzz_touch, fuzz_touch,
	fuzz_peer_touch, fuzz_peer_touch, fuzz_peer_touch, get_token, get_token, get_token,
	get_token, fuzz_discard, fuzz_slot, fuzz_session,
};

TEST_F_TIMEOUT(kvmi_mem_fuzz, arguments, 3600)
{
	static struct fuzz f;
	__u64 end, n = 0;

	fuzz_setup(&f, &self->t);
	end = kvmi_now_ms() + 1000 * kvmi_env("KVMI_SECONDS", SECONDS);
	do {
		calls[any(&f, ARRAY_SIZE(calls))](&f);
		n++;
	} while (kvmi_now_ms() < end || !f.shows || !f.maps || !f.opens);

	for (int i = 0; i < MEM_PAGES; i++)
		expect_word(&f, "the VMM", *target_word(&f, i), f.word[i]);
	printf("# %llu calls: hypercalls that map %llu, files %llu, mmap() %llu, refused %llu\n",
	       n, f.shows, f.opens, f.maps, f.refused);
	fuzz_teardown(&f);
}

KVMI_TEST_MAIN()
