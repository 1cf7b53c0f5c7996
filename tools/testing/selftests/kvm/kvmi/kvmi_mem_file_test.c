// SPDX-License-Identifier: GPL-2.0-only
/* A file that shows a VM's memory: what it shows, to whom, and until when. */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kvmi_mem.h"

KVMI_TEST_SUITE(kvmi_mem_file, 1);

#define PAGES	32

static int open_writable(struct kvmi_test *t)
{
	int file = mem_file(t->vm->fd, KVMI_MEM_WRITABLE);

	TEST_ASSERT(file >= 0, "KVM_INTROSPECTION_MEMORY: %s", strerror(-file));
	return file;
}

KVMI_TEST(kvmi_mem_file, shows_memory, guest_spin)
{
	__u8 *hva = mem_add_slot(t->vm, PAGES, 0), *p;
	int file = open_writable(t);

	for (int i = 0; i < PAGES; i++)
		hva[i * MEM_PAGE + i] = i + 1;

	p = mem_mmap(file, MEM_GPA, PAGES, PROT_READ | PROT_WRITE);
	for (int i = 0; i < PAGES; i++)
		TEST_ASSERT(mem_read(&p[i * MEM_PAGE + i]) == i + 1, "page %d: wrong data", i);

	/* Both ways, on pages that are mapped and on those that were only read. */
	for (int i = 0; i < PAGES; i++) {
		hva[i * MEM_PAGE] = 0x80 + i;
		TEST_ASSERT(mem_read(&p[i * MEM_PAGE]) == 0x80 + i, "page %d: old data", i);
		TEST_ASSERT(mem_write(&p[i * MEM_PAGE], i) == i, "page %d: not written", i);
		TEST_ASSERT(hva[i * MEM_PAGE] == i, "page %d: the VM does not see it", i);
	}
	munmap(p, PAGES * MEM_PAGE);
	close(file);
}

/* The guest sees it, too, and the other way round. */
KVMI_TEST(kvmi_mem_file, guest_sees, guest_spin)
{
	vm_paddr_t gpa = addr_gva2gpa(t->vm, t->guest_gva[0]);
	int file = open_writable(t);
	struct kvmi_guest *g;
	__u64 count;

	g = (void *)(mem_mmap(file, gpa & ~(MEM_PAGE - 1), 1, PROT_READ | PROT_WRITE) +
		     gpa % MEM_PAGE);
	kvmi_run(t, 0);
	count = READ_ONCE(g->count);
	KVMI_WAIT(READ_ONCE(g->count) != count, "the counter to grow");
	/* It starts from what is written here, unless it was about to write what it had read. */
	KVMI_WAIT(READ_ONCE(t->guest[0]->count) > 1ull << 60 ||
		  (WRITE_ONCE(g->count, 1ull << 60), false), "the guest to see a write");
}

KVMI_TEST(kvmi_mem_file, read_only, guest_spin)
{
	__u8 *hva = mem_add_slot(t->vm, 1, 0), *p;
	int file = mem_file(t->vm->fd, 0);

	*hva = 7;
	TEST_ASSERT(file >= 0, "KVM_INTROSPECTION_MEMORY: %s", strerror(-file));
	p = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, MEM_GPA);
	TEST_ASSERT(p == MAP_FAILED && errno == EACCES, "mapped for writing: %s", strerror(errno));
	p = mem_mmap(file, MEM_GPA, 1, PROT_READ);
	TEST_ASSERT(mem_read(p) == 7, "wrong data");
	TEST_ASSERT(mprotect(p, MEM_PAGE, PROT_READ | PROT_WRITE) && errno == EACCES,
		    "made writable: %s", strerror(errno));
	munmap(p, MEM_PAGE);
	close(file);
}

KVMI_TEST(kvmi_mem_file, bad_mmap, guest_spin)
{
	int file = open_writable(t);
	__u8 *p;

	p = mmap(NULL, MEM_PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	TEST_ASSERT(p == MAP_FAILED && errno == EINVAL, "mapped privately: %s", strerror(errno));
	p = mmap(NULL, MEM_PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
	TEST_ASSERT(p == MAP_FAILED && errno == EPERM, "mapped as code: %s", strerror(errno));
	p = mmap(NULL, MEM_PAGE, PROT_READ, MAP_SHARED, file, 1ull << 52);
	TEST_ASSERT(p == MAP_FAILED && errno == EINVAL, "mapped the impossible: %s",
		    strerror(errno));
	p = mmap(NULL, 2 * MEM_PAGE, PROT_READ, MAP_SHARED, file, (1ull << 52) - MEM_PAGE);
	TEST_ASSERT(p == MAP_FAILED && errno == EINVAL, "mapped across the end: %s",
		    strerror(errno));
	close(file);
}

KVMI_TEST(kvmi_mem_file, bad_ioctl, guest_spin)
{
	struct kvm_introspection_memory memory = {};

	TEST_ASSERT(mem_file(t->vm->fd, 2) == -EINVAL, "unknown flag");
	memory.padding = 1;
	TEST_ASSERT(ioctl(t->vm->fd, KVM_INTROSPECTION_MEMORY, &memory) < 0 && errno == EINVAL,
		    "padding");
	TEST_ASSERT(ioctl(t->vm->fd, KVM_INTROSPECTION_MEMORY, NULL) < 0 && errno == EFAULT,
		    "bad pointer");
	kvmi_unhook(t->vm->fd);
	TEST_ASSERT(mem_file(t->vm->fd, 0) == -EFAULT, "not hooked");
}

KVMI_TEST(kvmi_mem_file, not_allowed, guest_spin)
{
	kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, KVMI_VM_WRITE_PHYSICAL, 0);
	TEST_ASSERT(mem_file(t->vm->fd, KVMI_MEM_WRITABLE) == -EACCES, "may not write");
	close(mem_file(t->vm->fd, 0));
	kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, KVMI_VM_READ_PHYSICAL, 0);
	TEST_ASSERT(mem_file(t->vm->fd, 0) == -EACCES, "may not read");
}

/* No slot, a slot whose memory is gone, one that may not be written. */
KVMI_TEST(kvmi_mem_file, holes, guest_spin)
{
	__u8 *hva = mem_add_slot(t->vm, 4, KVM_MEM_READONLY), *p;
	int file = open_writable(t);

	p = mem_mmap(file, MEM_GPA, 8, PROT_READ | PROT_WRITE);
	TEST_ASSERT(mem_read(&p[4 * MEM_PAGE]) == -1, "behind the slot");
	*hva = 3;
	TEST_ASSERT(mem_read(p) == 3, "wrong data");
	TEST_ASSERT(mem_write(p, 4) == -1, "in a slot that is read-only");
	TEST_ASSERT(mem_read(p) == 3, "wrong data after a write that failed");
	TEST_ASSERT(!munmap(hva + MEM_PAGE, MEM_PAGE), "munmap: %s", strerror(errno));
	TEST_ASSERT(mem_read(&p[MEM_PAGE]) == -1, "where the VMM has nothing");
	TEST_ASSERT(mem_read(p) == 3, "wrong data beside it");
	/* It is there again. */
	TEST_ASSERT(mmap(hva + MEM_PAGE, MEM_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED, "mmap");
	hva[MEM_PAGE] = 5;
	TEST_ASSERT(mem_read(&p[MEM_PAGE]) == 5, "wrong data where memory came back");
}

KVMI_TEST(kvmi_mem_file, memory_changes, guest_spin)
{
	__u8 *hva = mem_add_slot(t->vm, 2, 0), *p, *other;
	int file = open_writable(t);

	p = mem_mmap(file, MEM_GPA, 2, PROT_READ | PROT_WRITE);
	TEST_ASSERT(mem_write(p, 1) == 1 && *hva == 1, "not written");
	TEST_ASSERT(!madvise(hva, MEM_PAGE, MADV_DONTNEED), "madvise: %s", strerror(errno));
	TEST_ASSERT(mem_read(p) == 0, "a page that is gone was read");
	*hva = 2;
	TEST_ASSERT(mem_read(p) == 2, "the new page was not read");

	/* Another page takes its place. */
	other = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*other = 9;
	TEST_ASSERT(mremap(other, MEM_PAGE, MEM_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hva) == hva,
		    "mremap: %s", strerror(errno));
	TEST_ASSERT(mem_read(p) == 9, "the page that was there before was read");
	TEST_ASSERT(mem_write(p, 10) == 10 && *hva == 10, "written elsewhere");

	vm_mem_region_delete(t->vm, MEM_SLOT);
	TEST_ASSERT(mem_read(p) == -1, "a slot that is gone was read");
}

KVMI_TEST(kvmi_mem_file, ends_with_session, guest_spin)
{
	__u8 *hva = mem_add_slot(t->vm, 1, 0), *p, *new;
	int file = open_writable(t), file2;

	p = mem_mmap(file, MEM_GPA, 1, PROT_READ | PROT_WRITE);
	TEST_ASSERT(mem_write(p, 1) == 1, "not written");
	kvmi_unhook(t->vm->fd);
	TEST_ASSERT(mem_read(p) == -1, "read after the session");
	kvmi_test_rehook(t);
	TEST_ASSERT(mem_read(p) == -1, "read in the next session");
	file2 = open_writable(t);
	new = mem_mmap(file2, MEM_GPA, 1, PROT_READ | PROT_WRITE);
	TEST_ASSERT(mem_read(new) == 1, "not read by a new file");
	*hva = 2;
	/* The tool leaves: the same. */
	kvmi_tool_close(&t->tool);
	KVMI_WAIT(mem_read(new) == -1, "the end of the session");
}

KVMI_TEST(kvmi_mem_file, not_inherited, guest_spin)
{
	__u8 *p;
	int status;
	pid_t pid;

	mem_add_slot(t->vm, 1, 0);
	p = mem_mmap(open_writable(t), MEM_GPA, 1, PROT_READ);
	mem_read(p);
	pid = fork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*(volatile __u8 *)p);
	}
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid");
	TEST_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %x", status);
	TEST_ASSERT(mem_read(p) == 0, "the parent lost it");
}

#define COPIED	4096		/* pages; long enough to die meanwhile */

/* Lets the kernel copy the memory, which it has mapped nothing of, to a pipe that has room. */
static void copy_in_a_call(int file, int out, __u32 *begun)
{
	__u8 *p = mem_mmap(file, MEM_GPA, COPIED, PROT_READ);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	WRITE_ONCE(*begun, 1);
	_exit(write(out, p, COPIED * MEM_PAGE) != COPIED * MEM_PAGE);
}

static void die_in_a_copy(int file, __u32 *begun)
{
	int out[2], status;
	pid_t pid;

	TEST_ASSERT(!pipe(out) && fcntl(out[1], F_SETPIPE_SZ, COPIED * MEM_PAGE) > 0,
		    "a pipe: %s", strerror(errno));
	WRITE_ONCE(*begun, 0);
	pid = fork();
	if (!pid)
		copy_in_a_call(file, out[1], begun);
	KVMI_WAIT(READ_ONCE(*begun), "the process to begin");
	kill(pid, SIGKILL);
	KVMI_WAIT(waitpid(pid, &status, WNOHANG) == pid, "the process to die");
	close(out[0]);
	close(out[1]);
}

/* The kernel takes what it cannot copy for an error, and does not try it for ever. */
KVMI_TEST(kvmi_mem_file, killed_in_a_copy, guest_spin)
{
	__u32 *begun = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	int file;

	TEST_ASSERT(begun != MAP_FAILED, "mmap: %s", strerror(errno));
	memset(mem_add_slot(t->vm, COPIED, 0), 1, COPIED * MEM_PAGE);
	file = open_writable(t);
	for (int i = 0; i < 20; i++)
		die_in_a_copy(file, begun);
}

static void get_dirty(struct kvmi_test *t, unsigned long *log)
{
	kvm_vm_get_dirty_log(t->vm, MEM_SLOT, log);
}

/* What is written by a process counts as dirty, each time. */
KVMI_TEST(kvmi_mem_file, dirty_log, guest_spin)
{
	unsigned long log[1];
	__u8 *hva = mem_add_slot(t->vm, 8, KVM_MEM_LOG_DIRTY_PAGES), *p;

	p = mem_mmap(open_writable(t), MEM_GPA, 8, PROT_READ | PROT_WRITE);
	memset(hva, 1, 8 * MEM_PAGE);
	for (int i = 0; i < 8; i++)
		mem_read(&p[i * MEM_PAGE]);
	get_dirty(t, log);
	TEST_ASSERT(!log[0], "dirty without a write: %lx", log[0]);
	mem_write(&p[3 * MEM_PAGE], 5);
	get_dirty(t, log);
	TEST_ASSERT(log[0] == 1 << 3, "dirty: %lx", log[0]);
	get_dirty(t, log);
	TEST_ASSERT(!log[0], "still dirty: %lx", log[0]);
	mem_write(&p[3 * MEM_PAGE], 6);
	mem_write(&p[4 * MEM_PAGE], 6);
	/* The page goes away meanwhile. */
	TEST_ASSERT(!madvise(hva + 4 * MEM_PAGE, MEM_PAGE, MADV_DONTNEED), "madvise");
	get_dirty(t, log);
	TEST_ASSERT(log[0] == 3 << 3, "dirty: %lx", log[0]);
	mem_write(&p[5 * MEM_PAGE], 7);
	kvmi_unhook(t->vm->fd);
	get_dirty(t, log);
	TEST_ASSERT(log[0] == 1 << 5, "dirty: %lx", log[0]);
}

KVMI_TEST(kvmi_mem_file, tokens, guest_spin)
{
	struct kvmi_map_mem_token token, other[KVMI_MAX_MAP_TOKENS];
	__u8 *hva = mem_add_slot(t->vm, 1, 0), *p;
	int file;

	KVMI_ASSERT_OK(mem_token(&t->tool, &token));
	file = mem_open(&token, KVMI_MEM_WRITABLE);
	TEST_ASSERT(file >= 0, "KVMI_MEM_OPEN: %s", strerror(-file));
	p = mem_mmap(file, MEM_GPA, 1, PROT_READ | PROT_WRITE);
	TEST_ASSERT(mem_write(p, 3) == 3 && *hva == 3, "not written");

	TEST_ASSERT(mem_open(&token, 0) == -ENOENT, "used twice");
	KVMI_ASSERT_OK(mem_token(&t->tool, &token));
	token.token[2] ^= 1ull << 40;
	TEST_ASSERT(mem_open(&token, 0) == -ENOENT, "one bit is wrong");
	token.token[2] ^= 1ull << 40;
	TEST_ASSERT(mem_open(&token, 2) == -EINVAL, "unknown flag");
	file = mem_open(&token, 0);
	TEST_ASSERT(file >= 0, "KVMI_MEM_OPEN: %s", strerror(-file));

	for (int i = 0; i < KVMI_MAX_MAP_TOKENS; i++)
		KVMI_ASSERT_OK(mem_token(&t->tool, &other[i]));
	KVMI_ASSERT_ERR(mem_token(&t->tool, &token), -KVM_EAGAIN);
	file = mem_open(&other[5], 0);
	TEST_ASSERT(file >= 0, "KVMI_MEM_OPEN: %s", strerror(-file));
	KVMI_ASSERT_OK(mem_token(&t->tool, &token));

	kvmi_unhook(t->vm->fd);
	TEST_ASSERT(mem_open(&token, 0) == -ENOENT, "used after the session");
	TEST_ASSERT(mem_open(&other[0], 0) == -ENOENT, "used after the session");
}

KVMI_TEST(kvmi_mem_file, tokens_not_allowed, guest_spin)
{
	struct kvmi_map_mem_token token;

	kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, KVMI_VM_WRITE_PHYSICAL, 0);
	KVMI_ASSERT_OK(mem_token(&t->tool, &token));
	TEST_ASSERT(mem_open(&token, KVMI_MEM_WRITABLE) == -EACCES, "may not write");
	kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, KVMI_VM_READ_PHYSICAL, 0);
	KVMI_ASSERT_ERR(mem_token(&t->tool, &token), -KVM_EPERM);
}

/* A token gets old: it can be used no more, and makes room. */
KVMI_TEST(kvmi_mem_file, tokens_expire, guest_spin)
{
	struct kvmi_map_mem_token token, other;

	KVMI_ASSERT_OK(mem_token(&t->tool, &token));
	for (int i = 1; i < KVMI_MAX_MAP_TOKENS; i++)
		KVMI_ASSERT_OK(mem_token(&t->tool, &other));
	KVMI_WAIT(!mem_token(&t->tool, &other), "a token to expire");
	TEST_ASSERT(mem_open(&token, 0) == -ENOENT, "used when it was too old");
}

/* By the UUID that kvmi_hook_fd() gives. */
#define PROC_FILE	"/proc/kvmi-mem-6B766D69-0000-0000-0000-000000000000"

KVMI_TEST(kvmi_mem_file, proc, guest_spin)
{
	__u8 *hva = mem_add_slot(t->vm, 1, 0), *p;
	int file;

	file = open(PROC_FILE, O_RDWR);
	TEST_ASSERT(file >= 0, "%s: %s", PROC_FILE, strerror(errno));
	p = mem_mmap(file, MEM_GPA, 1, PROT_READ | PROT_WRITE);
	TEST_ASSERT(mem_write(p, 3) == 3 && *hva == 3, "not written");

	kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, KVMI_VM_WRITE_PHYSICAL, 0);
	TEST_ASSERT(open(PROC_FILE, O_RDWR) < 0 && errno == EACCES, "may not write: %s",
		    strerror(errno));
	close(open(PROC_FILE, O_RDONLY));

	kvmi_unhook(t->vm->fd);
	TEST_ASSERT(mem_read(p) == -1, "read after the session");
	TEST_ASSERT(mmap(NULL, MEM_PAGE, PROT_READ, MAP_SHARED, file, MEM_GPA) == MAP_FAILED,
		    "mapped after the session");
	TEST_ASSERT(open(PROC_FILE, O_RDONLY) < 0 && errno == ENOENT, "opened after the session");
	munmap(p, MEM_PAGE);
	close(file);
}

KVMI_TEST_MAIN()
