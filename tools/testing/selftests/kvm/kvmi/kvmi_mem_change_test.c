// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page changes its place, again and again, while a process and another VM have it
 * mapped. None of them may read what the page was, nor write where it was.
 *
 * The VMM counts in the page before and after each change. Whoever reads it must find at
 * least what had been counted when he began. Both others count as well, in words of their
 * own, which the VMM looks at: none of their writes may be lost. A page that is lost on
 * purpose begins anew, with an odd number of changes meanwhile.
 */
#include <sys/wait.h>

#include "kvmi_mem_peer.h"

KVMI_TEST_SUITE(kvmi_mem_change, 1);

#define ROUNDS		200
#define PATIENCE	20			/* accesses of each in a round */

/* Words of the page. */
enum { VMM_WORD, PROCESS_WORD, PEER_WORD };

struct change {
	struct kvmi_test *t;
	struct peer peer;
	volatile __u64 *hva;
	volatile __u64 *mapped;
	/* Between the threads */
	__u64 counted;
	__u64 lost;		/* how often the page was lost, odd: it is being */
	__u64 process_accesses;
	__u64 peer_accesses;
	bool stop;
};

/* What one of them has written to its word, and of which page. */
struct writer {
	const char *who;
	int word;
	__u64 (*read)(struct change *c, int word);
	void (*write)(struct change *c, int word, __u64 val);
	__u64 wrote;
	__u64 lost;
};

/* One look and one write. What is seen of a page that is lost meanwhile does not count. */
static void check_access(struct change *c, struct writer *w)
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
	w->write(c, w->word, own + 1);
	__sync_synchronize();
	if (READ_ONCE(c->lost) != lost)
		return;

	TEST_ASSERT(seen >= counted, "%s reads %llu after %llu", w->who, seen, counted);
	TEST_ASSERT(own >= w->wrote, "%s reads %llu, it wrote %llu", w->who, own, w->wrote);
	w->wrote = own + 1;
}

static __u64 process_read(struct change *c, int word)
{
	return c->mapped[word];
}

static void process_write(struct change *c, int word, __u64 val)
{
	c->mapped[word] = val;
}

static __u64 guest_read(struct change *c, int word)
{
	return peer_read(&c->peer, PEER_GPA + word * 8);
}

static void guest_write(struct change *c, int word, __u64 val)
{
	peer_write(&c->peer, PEER_GPA + word * 8, val);
}

static void *process_thread(void *arg)
{
	struct writer w = {
		.who = "the process",
		.word = PROCESS_WORD,
		.read = process_read,
		.write = process_write,
	};
	struct change *c = arg;

	while (!READ_ONCE(c->stop)) {
		check_access(c, &w);
		WRITE_ONCE(c->process_accesses, c->process_accesses + 1);
	}
	return NULL;
}

static void *peer_thread(void *arg)
{
	struct writer w = {
		.who = "the other VM",
		.word = PEER_WORD,
		.read = guest_read,
		.write = guest_write,
	};
	struct change *c = arg;

	while (!READ_ONCE(c->stop)) {
		check_access(c, &w);
		WRITE_ONCE(c->peer_accesses, c->peer_accesses + 1);
	}
	return NULL;
}

static void count(struct change *c)
{
	__u64 n = c->counted + 1;

	c->hva[VMM_WORD] = n;
	/* Pairs with the acquire of those who look. */
	smp_store_release(&c->counted, n);
}

static void change_setup(struct change *c, struct kvmi_test *t)
{
	int file = mem_file(t->vm->fd, KVMI_MEM_WRITABLE);

	c->t = t;
	c->hva = (__u64 *)mem_add_slot(t->vm, 1, 0);
	peer_create(&c->peer);
	TEST_ASSERT_EQ(peer_map_new(&c->peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT(file >= 0, "KVM_INTROSPECTION_MEMORY: %s", strerror(-file));
	c->mapped = (__u64 *)mem_mmap(file, MEM_GPA, 1, PROT_READ | PROT_WRITE);
	close(file);
}

/* Changes the page by @step, with everybody at it, and counts. */
static void change(struct kvmi_test *t, void (*step)(struct change *c, int round))
{
	struct change c = {};
	__u64 process, peer;
	pthread_t threads[2];

	change_setup(&c, t);
	pthread_create(&threads[0], NULL, process_thread, &c);
	pthread_create(&threads[1], NULL, peer_thread, &c);

	for (int i = 0; i < ROUNDS; i++) {
		process = READ_ONCE(c.process_accesses);
		peer = READ_ONCE(c.peer_accesses);
		count(&c);
		step(&c, i);
		count(&c);
		KVMI_WAIT(READ_ONCE(c.process_accesses) != process &&
			  READ_ONCE(c.peer_accesses) != peer, "everybody to use the page");
	}

	WRITE_ONCE(c.stop, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	/* What they wrote last is what the VMM has. */
	TEST_ASSERT_EQ(c.hva[PROCESS_WORD], c.mapped[PROCESS_WORD]);
	TEST_ASSERT_EQ(c.hva[PEER_WORD], guest_read(&c, PEER_WORD));
	kvm_vm_free(c.peer.vm);
}

static void begin_loss(struct change *c)
{
	WRITE_ONCE(c->lost, c->lost + 1);
	__sync_synchronize();
}

static void end_loss(struct change *c)
{
	/* It begins anew where the count is. */
	c->hva[VMM_WORD] = c->counted;
	__sync_synchronize();
	WRITE_ONCE(c->lost, c->lost + 1);
}

static void discard(struct change *c, int round)
{
	begin_loss(c);
	TEST_ASSERT(!madvise((void *)c->hva, MEM_PAGE, MADV_DONTNEED), "madvise: %s",
		    strerror(errno));
	end_loss(c);
}

KVMI_TEST(kvmi_mem_change, discarded, guest_spin)
{
	change(t, discard);
}

/* A child has the page as well: the next write, by whomever, makes a copy. */
static void share(struct change *c, int round)
{
	int fds[2], status;
	char byte;
	pid_t pid;

	TEST_ASSERT(!pipe(fds), "pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		close(fds[1]);
		/* Until the parent has written. */
		_exit(read(fds[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(fds[0]);
	for (int i = 0; i < PATIENCE; i++)
		count(c);
	close(fds[1]);
	TEST_ASSERT(waitpid(pid, &status, 0) == pid && !status, "status %x", status);
}

KVMI_TEST(kvmi_mem_change, shared_with_child, guest_spin)
{
	change(t, share);
}

static void protect(struct change *c, int round)
{
	TEST_ASSERT(!mprotect((void *)c->hva, MEM_PAGE, PROT_READ), "mprotect: %s",
		    strerror(errno));
	TEST_ASSERT(!mprotect((void *)c->hva, MEM_PAGE, PROT_READ | PROT_WRITE), "mprotect: %s",
		    strerror(errno));
}

/* It is only looked at: nobody can write meanwhile, and whoever tries gets SIGBUS. */
static void *reader_thread(void *arg)
{
	struct change *c = arg;
	__u64 counted;

	while (!READ_ONCE(c->stop)) {
		/* Pairs with the release in count(). */
		counted = smp_load_acquire(&c->counted);
		TEST_ASSERT(c->mapped[VMM_WORD] >= counted, "the process reads an old page");
		WRITE_ONCE(c->process_accesses, c->process_accesses + 1);
	}
	return NULL;
}

KVMI_TEST(kvmi_mem_change, protected, guest_spin)
{
	struct change c = {};
	pthread_t thread;

	change_setup(&c, t);
	pthread_create(&thread, NULL, reader_thread, &c);
	for (int i = 0; i < ROUNDS; i++) {
		count(&c);
		protect(&c, i);
		count(&c);
	}
	KVMI_WAIT(READ_ONCE(c.process_accesses) > PATIENCE, "the process to use the page");
	WRITE_ONCE(c.stop, true);
	pthread_join(thread, NULL);
	kvm_vm_free(c.peer.vm);
}

/* The session ends and begins while the page is used: it is there or it is not. */
static void *toucher_thread(void *arg)
{
	struct change *c = arg;

	while (!READ_ONCE(c->stop)) {
		mem_touch((volatile __u8 *)&c->mapped[PROCESS_WORD], c->process_accesses & 0x7f);
		WRITE_ONCE(c->process_accesses, c->process_accesses + 1);
	}
	return NULL;
}

KVMI_TEST(kvmi_mem_change, session_ends, guest_spin)
{
	for (int i = 0; i < PATIENCE; i++) {
		struct change c = {};
		pthread_t thread;

		c.t = t;
		c.hva = i ? addr_gpa2hva(t->vm, MEM_GPA) : (void *)mem_add_slot(t->vm, 1, 0);
		c.mapped = (__u64 *)mem_mmap(mem_file(t->vm->fd, KVMI_MEM_WRITABLE), MEM_GPA, 1,
					     PROT_READ | PROT_WRITE);
		pthread_create(&thread, NULL, toucher_thread, &c);
		KVMI_WAIT(READ_ONCE(c.process_accesses) > PATIENCE, "the page to be used");
		kvmi_unhook(t->vm->fd);
		/* What is read from here on is not the VM's. */
		TEST_ASSERT(mem_read((volatile __u8 *)c.mapped) == -1, "it is still there");
		WRITE_ONCE(c.stop, true);
		pthread_join(thread, NULL);
		kvmi_test_rehook(t);
	}
}

KVMI_TEST_MAIN()
