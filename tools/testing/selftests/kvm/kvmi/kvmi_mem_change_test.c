// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page changes its place, again and again, while a process and another VM have it
 * mapped. None of them may read what the page was, nor write where it was.
 */
#include <sys/wait.h>

#include "kvmi_host_mm.h"
#include "kvmi_mem_change.h"

FIXTURE(kvmi_mem_change) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_mem_change) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_mem_change)
{
	ksm_off();
	kvmi_test_teardown(&self->t);
	swap_off();
}

#define ROUNDS		200
#define SLOW_ROUNDS	(host_cpu_is_amd ? 50 : 5)

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
	change(t, ROUNDS, discard);
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
	change(t, ROUNDS, share);
}

/* On its way out it is used, and comes back at once; or it is on the device. */
static void swap(struct change *c, int round)
{
	if (round & 1) {
		push_out((void *)c->hva);
		return;
	}
	pthread_rwlock_wrlock(&c->use);
	host_page_out((void *)c->hva);
	pthread_rwlock_unlock(&c->use);
	/* The VMM is not the first one to want it. */
	let_use(c);
}

KVMI_TEST(kvmi_mem_change, swapped_out, guest_spin)
{
	REQUIRE_SWAP();
	change(t, SLOW_ROUNDS, swap);
}

/* The page becomes the same as another one, while it is only read. Then it is written. */
static void merge(struct change *c, int round)
{
	static void *twin;

	if (!round) {
		twin = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
		TEST_ASSERT(twin != MAP_FAILED, "mmap: %s", strerror(errno));
		ksm_on(twin, MEM_PAGE);
		ksm_on((void *)c->hva, MEM_PAGE);
	}
	set_read_only(c, true);
	memcpy(twin, (void *)c->hva, MEM_PAGE);
	KVMI_WAIT(host_frame(twin) == host_frame((void *)c->hva),
		  "the host does not merge the pages");
	let_use(c);
	TEST_ASSERT_EQ(host_frame(twin), host_frame((void *)c->hva));
	set_read_only(c, false);
	let_use(c);
	TEST_ASSERT(host_frame(twin) != host_frame((void *)c->hva), "the twin was written");
}

KVMI_TEST(kvmi_mem_change, merged, guest_spin)
{
	REQUIRE_KSM();
	change(t, SLOW_ROUNDS, merge);
}

static void migrate(struct change *c, int round)
{
	/* Who is about to map it has a reference for that long. */
	KVMI_WAIT(host_migrate((void *)c->hva), "the page does not move");
}

KVMI_TEST(kvmi_mem_change, migrated, guest_spin)
{
	if (madvise(NULL, 0, MADV_SOFT_OFFLINE))
		SKIP_CASE("the kernel does not take frames out of use");
	change(t, SLOW_ROUNDS, migrate);
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
