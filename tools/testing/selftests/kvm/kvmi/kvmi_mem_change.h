/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_MEM_CHANGE_H
#define SELFTEST_KVMI_MEM_CHANGE_H

/*
 * A page that a process and another VM use all the time, while the VMM changes it.
 *
 * The VMM counts in the page before and after each change. Whoever reads it must find at
 * least what had been counted when he began. Both others count as well, in words of their
 * own, which the VMM looks at: none of their writes may be lost. A page that is lost on
 * purpose begins anew, with an odd number of changes meanwhile.
 */
#include <pthread.h>

#include "kvmi_mem_peer.h"

#define PATIENCE	20			/* accesses of each in a round */

/* Words of the page. */
enum { VMM_WORD, PROCESS_WORD, PEER_WORD };

struct change {
	struct kvmi_test *t;
	struct peer peer;
	volatile __u64 *hva;
	volatile __u64 *mapped;
	/* Held by who looks at the page and changes it, to be kept from there. */
	pthread_rwlock_t use;
	bool read_only;		/* under @use */
	/* Between the threads */
	__u64 counted;
	__u64 lost;		/* how often the page was lost, odd: it is being */
	__u64 process_accesses;
	__u64 peer_accesses;
	bool stop;
};

/* What one of them has written to its word, and of which page. */
struct writer {
	struct change *c;
	const char *who;
	int word;
	__u64 (*read)(struct change *c, int word);
	void (*write)(struct change *c, int word, __u64 val);
	__u64 *accesses;
	__u64 wrote;
	__u64 lost;
};

/* One look and one write. What is seen of a page that is lost meanwhile does not count. */
static inline void check_access(struct change *c, struct writer *w)
{
	__u64 lost = READ_ONCE(c->lost), counted, seen, own;

	/* Pairs with the release in count(): the page has what was counted. */
	counted = smp_load_acquire(&c->counted);
	if (lost & 1)
		return;
	if (lost != w->lost)
		w->wrote = 0;
	w->lost = lost;

	seen = w->read(c, VMM_WORD);
	own = w->read(c, w->word);
	if (!c->read_only)
		w->write(c, w->word, own + 1);
	__sync_synchronize();
	if (READ_ONCE(c->lost) != lost)
		return;

	TEST_ASSERT(seen >= counted, "%s reads %llu after %llu", w->who, seen, counted);
	TEST_ASSERT(own >= w->wrote, "%s reads %llu, it wrote %llu", w->who, own, w->wrote);
	w->wrote = own + !c->read_only;
}

static inline void use_page(struct change *c, struct writer *w)
{
	pthread_rwlock_rdlock(&c->use);
	check_access(c, w);
	pthread_rwlock_unlock(&c->use);
}

static inline __u64 process_read(struct change *c, int word)
{
	return c->mapped[word];
}

static inline void process_write(struct change *c, int word, __u64 val)
{
	c->mapped[word] = val;
}

static inline __u64 guest_read(struct change *c, int word)
{
	return peer_read(&c->peer, PEER_GPA + word * 8);
}

static inline void guest_write(struct change *c, int word, __u64 val)
{
	peer_write(&c->peer, PEER_GPA + word * 8, val);
}

static inline void *writer_thread(void *arg)
{
	struct writer *w = arg;
	struct change *c = w->c;

	while (!READ_ONCE(c->stop)) {
		use_page(c, w);
		WRITE_ONCE(*w->accesses, *w->accesses + 1);
	}
	return NULL;
}

static inline void count(struct change *c)
{
	__u64 n = c->counted + 1;

	c->hva[VMM_WORD] = n;
	/* Pairs with the acquire of those who look. */
	smp_store_release(&c->counted, n);
}

/* Those who wait to change something come first. */
static inline void init_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static inline void change_setup(struct change *c, struct kvmi_test *t)
{
	int file = mem_file(t->vm->fd, KVMI_MEM_WRITABLE);

	c->t = t;
	init_lock(&c->use);
	c->hva = (__u64 *)mem_add_slot(t->vm, 1, 0);
	peer_create(&c->peer);
	TEST_ASSERT_EQ(peer_map_new(&c->peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT(file >= 0, "KVM_INTROSPECTION_MEMORY: %s", strerror(-file));
	c->mapped = (__u64 *)mem_mmap(file, MEM_GPA, 1, PROT_READ | PROT_WRITE);
	close(file);
}

/* Both others have used the page, from the begin of an access to its end. */
static inline void let_use(struct change *c)
{
	__u64 process = READ_ONCE(c->process_accesses), peer = READ_ONCE(c->peer_accesses);

	KVMI_WAIT(READ_ONCE(c->process_accesses) > process + 1 &&
		  READ_ONCE(c->peer_accesses) > peer + 1, "nobody uses the page");
}

static inline void set_read_only(struct change *c, bool read_only)
{
	pthread_rwlock_wrlock(&c->use);
	c->read_only = read_only;
	pthread_rwlock_unlock(&c->use);
}

/* Changes the page by @step, with everybody at it, and counts. */
static inline void change(struct kvmi_test *t, int rounds,
			  void (*step)(struct change *c, int round))
{
	struct change c = {};
	struct writer process = {
		.c = &c, .who = "the process", .word = PROCESS_WORD,
		.read = process_read, .write = process_write,
		.accesses = &c.process_accesses,
	};
	struct writer peer = {
		.c = &c, .who = "the other VM", .word = PEER_WORD,
		.read = guest_read, .write = guest_write,
		.accesses = &c.peer_accesses,
	};
	pthread_t threads[2];

	change_setup(&c, t);
	pthread_create(&threads[0], NULL, writer_thread, &process);
	pthread_create(&threads[1], NULL, writer_thread, &peer);

	for (int i = 0; i < rounds; i++) {
		count(&c);
		step(&c, i);
		count(&c);
		let_use(&c);
	}

	WRITE_ONCE(c.stop, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	/* What they wrote last is what the VMM has. */
	TEST_ASSERT_EQ(c.hva[PROCESS_WORD], c.mapped[PROCESS_WORD]);
	TEST_ASSERT_EQ(c.hva[PEER_WORD], guest_read(&c, PEER_WORD));
	kvm_vm_free(c.peer.vm);
}

#endif /* SELFTEST_KVMI_MEM_CHANGE_H */
