// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * From within another VM: /dev/kvmmem puts a page of the guest in the place of one of
 * the tool's. When the host takes it away, the tool's own page is there without a sign,
 * and what is written to a page that may only be read is written there, too. So these
 * pages hold random words: none of them may be in what was read, and what was written
 * has to be there afterwards.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <linux/kvmmem.h>

#include "mapping.h"

#define DEVICE "/dev/kvmmem"
#define TOKEN_TRIES_MS 20

/* One of the two halves shows what became of a write to the other. */
#define HALF (KVMINTRO_PAGE_SIZE / 2)
#define WORD sizeof(uint64_t)

/* So many bytes are had whole or not at all. */
#define RANDOM_MAX 256

/* Tokens that nobody uses expire, and make room for others. */
int kvmintro__map_token(struct kvmintro *k, struct kvmi_map_mem_token *token)
{
	const int64_t deadline = kvmintro__now() + (KVMI_MAP_TOKEN_SECONDS + 1) * 1000;
	int r, waited;

	for (;;) {
		r = kvmintro_get_map_token(k, token);
		if (r != -EAGAIN || kvmintro__now() >= deadline)
			return r;
		waited = kvmintro__wait(k, -1, 0, kvmintro__deadline(TOKEN_TRIES_MS));
		if (waited != -ETIMEDOUT)
			return waited;
	}
}

static int map_failed(struct kvmintro_memory *m, uint64_t gpa, int err)
{
	switch (err) {
	case ENOENT:
		return kvmintro__no_memory(m->k, gpa);
	case EOPNOTSUPP:
	case ENOTTY:
		return kvmintro__fail(m->k, -err,
				      DEVICE ": the host does not let this VM map memory");
	default:
		return kvmintro__fail(m->k, -err, DEVICE ": %s", strerror(err));
	}
}

/* @at is a page of one's own that is in use. */
static int put_page(struct kvmintro_memory *m, uint64_t gpa, uint8_t *at)
{
	struct kvmi_mem_map args = { .gpa = gpa, .gva = (uintptr_t)at };
	int r = kvmintro__map_token(m->k, &args.token);

	if (!r && ioctl(m->fd, KVM_INTRO_MEM_MAP, &args) < 0)
		r = map_failed(m, gpa, errno);
	return r;
}

static void remove_page(struct kvmintro_memory *m, uint8_t *at)
{
	ioctl(m->fd, KVM_INTRO_MEM_UNMAP, (unsigned long)(uintptr_t)at);
}

/* Pages that are not shared with anyone, nor part of a huge one. */
static uint8_t *own_pages(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	/* A kernel without huge pages refuses the first. */
	madvise(at, size, MADV_NOHUGEPAGE);
	if (!madvise(at, size, MADV_DONTFORK))
		return at;
	munmap(at, size);
	return NULL;
}

static uint8_t *address_of(const struct kvmintro_memory *m, const struct map_page *page)
{
	return m->area + (page - m->pages) * KVMINTRO_PAGE_SIZE;
}

static void drop(struct kvmintro_memory *m, struct map_page *page)
{
	if (page->gpa != ~0ULL)
		remove_page(m, address_of(m, page));
	*page = (struct map_page){ .gpa = ~0ULL };
}

/* The page that holds @gpa. */
static int find_page(struct kvmintro_memory *m, uint64_t gpa, struct map_page **found)
{
	struct map_page *page = NULL, *each;
	uint8_t *at;
	int r;

	gpa &= ~PAGE_MASK;
	for (each = m->pages; each < m->pages + GUEST_PAGES; each++) {
		if (each->gpa == gpa) {
			each->used = ++m->clock;
			*found = each;
			return 0;
		}
		if (!page || each->used < page->used)
			page = each;
	}
	drop(m, page);
	at = address_of(m, page);
	memcpy(at, m->own, KVMINTRO_PAGE_SIZE);
	r = put_page(m, gpa, at);
	if (r < 0)
		return r;
	*page = (struct map_page){ .gpa = gpa, .used = ++m->clock };
	*found = page;
	return 0;
}

/* Is any word of what was read at @offset one of the tool's own page? */
static bool has_own(const struct kvmintro_memory *m, size_t offset, const uint8_t *data,
		    size_t size)
{
	size_t i;

	for (i = 0; i < size; i += WORD) {
		if (!memcmp(data + i, m->own + offset + i, WORD))
			return true;
	}
	return false;
}

/* Whole words, because a byte of the guest's may well be the same by chance. */
static bool read_page(struct kvmintro_memory *m, const uint8_t *at, size_t offset,
		      void *buf, size_t size)
{
	const size_t begin = offset / WORD * WORD;
	const size_t end = (offset + size + WORD - 1) / WORD * WORD;
	uint8_t data[KVMINTRO_PAGE_SIZE];

	memcpy(data, at + begin, end - begin);
	if (has_own(m, begin, data, end - begin))
		return false;
	memcpy(buf, data + offset - begin, size);
	return true;
}

/*
 * What is there already is not written: if it went to the tool's own page, that would
 * hold a word that is not its own, and nothing would tell.
 */
static bool write_page(struct kvmintro_memory *m, uint8_t *at, size_t offset,
		       const void *buf, size_t size)
{
	const size_t other = offset < HALF ? HALF : 0;
	uint8_t word[WORD];

	if (!memcmp(at + offset, buf, size))
		return true;
	memcpy(at + offset, buf, size);
	__asm__ volatile("" ::: "memory");
	return read_page(m, at, other, word, WORD) && !memcmp(at + offset, buf, size) &&
	       read_page(m, at, other, word, WORD);
}

static ssize_t guest_copy(struct kvmintro_memory *m, uint64_t gpa, void *buf, size_t size,
			  bool write)
{
	const size_t offset = gpa & PAGE_MASK;
	const size_t end = write && offset < HALF ? HALF : KVMINTRO_PAGE_SIZE;
	struct map_page *page;
	uint8_t *at;
	int tries, r;

	if (size > end - offset)
		size = end - offset;
	for (tries = 0; tries < 2; tries++) {
		r = find_page(m, gpa, &page);
		if (m->k->fd < 0 || r == -ECANCELED || r == -ETIMEDOUT)
			return r;
		if (r < 0)
			return 0;
		at = address_of(m, page);
		if (write ? write_page(m, at, offset, buf, size) :
			    read_page(m, at, offset, buf, size))
			return size;
		drop(m, page);
	}
	return 0;
}

static int guest_map(struct kvmintro_memory *m, uint64_t gpa, size_t size, bool writable,
		     uint8_t **at)
{
	size_t i;
	int r = 0;

	*at = own_pages(size);
	if (!*at)
		return kvmintro__fail(m->k, -ENOMEM, "no memory for %#zx bytes", size);
	for (i = 0; !r && i < size; i += KVMINTRO_PAGE_SIZE) {
		/* The page must exist before it can be replaced. */
		(*at)[i] = 0;
		r = put_page(m, gpa + i, *at + i);
	}
	if (!r && !writable && mprotect(*at, size, PROT_READ) < 0)
		r = kvmintro__fail(m->k, -errno, "mprotect: %s", strerror(errno));
	if (!r)
		return 0;
	while (i) {
		i -= KVMINTRO_PAGE_SIZE;
		remove_page(m, *at + i);
	}
	munmap(*at, size);
	*at = NULL;
	return r;
}

static void guest_unmap(struct kvmintro_memory *m, uint8_t *at, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += KVMINTRO_PAGE_SIZE)
		remove_page(m, at + i);
	munmap(at, size);
}

/* Closing the device undoes what is mapped. */
static void guest_close(struct kvmintro_memory *m)
{
	close(m->fd);
	if (m->area)
		munmap(m->area, GUEST_PAGES * KVMINTRO_PAGE_SIZE);
	free(m->pages);
}

static int prepare(struct kvmintro_memory *m)
{
	uint64_t first = 0, size;
	struct map_page *page;
	size_t i;
	int r;

	m->area = own_pages(GUEST_PAGES * KVMINTRO_PAGE_SIZE);
	m->pages = calloc(GUEST_PAGES, sizeof(*m->pages));
	if (!m->area || !m->pages)
		return kvmintro__fail(m->k, -ENOMEM, DEVICE ": no memory for pages");
	for (i = 0; i < sizeof(m->own); i += RANDOM_MAX) {
		if (getrandom(m->own + i, RANDOM_MAX, 0) != RANDOM_MAX)
			return kvmintro__fail(m->k, -EIO, DEVICE ": no random bytes");
	}
	for (i = 0; i < GUEST_PAGES; i++)
		m->pages[i].gpa = ~0ULL;
	/* Whether the host takes part shows with the first page only: that has to be one. */
	if (kvmintro_next_range(m->k, 0, &first, &size) <= 0)
		first = 0;
	r = find_page(m, first, &page);
	if (r == -ENOENT)
		return kvmintro__fail(m->k, r,
				      DEVICE ": the host of this VM does not have the guest");
	return r;
}

static int guest_open(struct kvmintro_memory *m)
{
	int r;

	m->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (m->fd < 0)
		return kvmintro__fail(m->k, -errno, DEVICE ": %s", strerror(errno));
	r = prepare(m);
	if (r < 0)
		guest_close(m);
	return r;
}

const struct map_ops kvmintro__map_guest = {
	.open = guest_open,
	.copy = guest_copy,
	.map = guest_map,
	.unmap = guest_unmap,
	.close = guest_close,
};
