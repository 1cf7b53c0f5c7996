/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of kvmmem_test.c: what a mapped page shows, and how that ends. */

#define NEEDS_TARGET()							\
do {									\
	if (line_fd < 0)						\
		SKIP(return, "no line to the host, which has the tokens");	\
} while (0)

#define OWN	0x6e776f6e776f6e77ULL

static volatile uint64_t *own_word(void)
{
	volatile uint64_t *word = own_pages(1);

	*word = OWN;
	return word;
}

KVMMEM_TEST(shows_the_other_guest)
{
	volatile uint64_t *word = own_word();

	NEEDS_TARGET();
	target_write(0x1111);
	ASSERT_EQ(0, mem_map(self->fd, word));
	EXPECT_EQ(0x1111, *word);
	target_write(0x2222);
	EXPECT_EQ(0x2222, *word);
	*word = 0x3333;
	EXPECT_EQ(0x3333, target_read());
	EXPECT_EQ(4, locked_kb());

	EXPECT_EQ(0, mem_unmap(self->fd, word));
	EXPECT_EQ(OWN, *word);
	*word = 0x4444;
	EXPECT_EQ(0x3333, target_read());
	EXPECT_EQ(ENOENT, mem_unmap(self->fd, word));
	EXPECT_EQ(0, locked_kb());
}

/* The kernel of this guest sees the same, which reads and writes for the process. */
KVMMEM_TEST(system_calls_see_it)
{
	volatile uint64_t *word = own_word();
	uint64_t value = 0x6666;
	int pipe_fd[2];

	NEEDS_TARGET();
	ASSERT_EQ(0, pipe(pipe_fd));
	target_write(0x5555);
	ASSERT_EQ(0, mem_map(self->fd, word));
	ASSERT_EQ(sizeof(value), write(pipe_fd[1], (void *)word, sizeof(value)));
	ASSERT_EQ(sizeof(value), read(pipe_fd[0], &value, sizeof(value)));
	EXPECT_EQ(0x5555, value);
	value = 0x6666;
	ASSERT_EQ(sizeof(value), write(pipe_fd[1], &value, sizeof(value)));
	ASSERT_EQ(sizeof(value), read(pipe_fd[0], (void *)word, sizeof(value)));
	EXPECT_EQ(0x6666, target_read());
}

KVMMEM_TEST(mapped_twice)
{
	volatile uint64_t *word = own_word();
	int second = open("/dev/kvmmem", O_RDWR);

	NEEDS_TARGET();
	ASSERT_LE(0, second);
	ASSERT_EQ(0, mem_map(self->fd, word));
	EXPECT_EQ(EBUSY, mem_map(self->fd, word));
	/* The host knows better than this file. */
	EXPECT_EQ(EBUSY, mem_map(second, word));
	EXPECT_EQ(ENOENT, mem_unmap(second, word));
	EXPECT_EQ(0, mem_unmap(self->fd, word));
	EXPECT_EQ(0, mem_map(second, word));
	close(second);
	EXPECT_EQ(OWN, *word);
}

KVMMEM_TEST(token_used_once)
{
	volatile uint64_t *word = own_word(), *other = own_word();
	struct kvmi_map_mem_token token;
	uint64_t gpa;

	NEEDS_TARGET();
	token = host_token();
	gpa = target_gpa();
	/* What the driver refuses does not use it up. */
	EXPECT_EQ(EINVAL, mem_map_token(self->fd, &token, gpa + 1, word));
	EXPECT_EQ(EFAULT, mem_map_token(self->fd, &token, gpa, NULL));
	EXPECT_EQ(0, mem_map_token(self->fd, &token, gpa, word));
	EXPECT_EQ(ENOENT, mem_map_token(self->fd, &token, gpa, other));
	EXPECT_EQ(OWN, *other);
}

/* No memory of the other guest is there. */
KVMMEM_TEST(hole_of_the_target)
{
	volatile uint64_t *word = own_word();
	struct kvmi_map_mem_token token;

	NEEDS_TARGET();
	token = host_token();
	EXPECT_EQ(ENOENT, mem_map_token(self->fd, &token, 1ULL << 35, word));
	EXPECT_EQ(OWN, *word);
	EXPECT_EQ(ENOENT, mem_unmap(self->fd, word));
}

KVMMEM_TEST(close_undoes)
{
	volatile uint64_t *word = own_word(), *other = own_word();
	long before = pinned();
	int fd = open("/dev/kvmmem", O_RDWR), dupped = dup(fd);

	NEEDS_TARGET();
	target_write(0x7777);
	ASSERT_EQ(0, mem_map(fd, word));
	ASSERT_EQ(0, mem_map(fd, other));
	EXPECT_EQ(before + 2, pinned_soon(before + 2));
	close(fd);
	EXPECT_EQ(0x7777, *word);
	EXPECT_EQ(0x7777, *other);
	close(dupped);
	EXPECT_EQ(OWN, *word);
	EXPECT_EQ(OWN, *other);
	EXPECT_EQ(before, pinned_soon(before));
	EXPECT_EQ(0, locked_kb());
}

/* A process that maps, leaves the file to a child, and ends or becomes another program. */
static void leave_file_behind(int ready, int hold, bool exec)
{
	volatile uint64_t *word = own_word();
	char byte = 'r';

	if (mem_map(open("/dev/kvmmem", O_RDWR), word))
		_exit(1);
	/* The child stays until the test closes its end. */
	if (!fork())
		_exit(read(hold, &byte, 1));
	if (write(ready, &byte, 1) != 1)
		_exit(1);
	if (exec) {
		dup2(hold, STDIN_FILENO);
		execl("/proc/self/exe", "kvmmem_test", "--wait", NULL);
		_exit(1);
	}
	_exit(0);
}

static void ends_with_process(struct __test_metadata *_metadata, bool exec)
{
	long before = pinned();
	int ready[2], hold[2], status;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(hold));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(hold[1]);
		leave_file_behind(ready[1], hold[0], exec);
	}
	close(hold[0]);
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	/* Its child still has the file. */
	EXPECT_EQ(before, pinned_soon(before));
	close(hold[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

KVMMEM_TEST(exit_undoes)
{
	NEEDS_TARGET();
	ends_with_process(_metadata, false);
}

KVMMEM_TEST(exec_undoes)
{
	NEEDS_TARGET();
	ends_with_process(_metadata, true);
}

KVMMEM_TEST(killed_undoes)
{
	volatile uint64_t *word = own_word();
	int ready[2], status;
	char byte;
	pid_t pid;

	NEEDS_TARGET();
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (mem_map(open("/dev/kvmmem", O_RDWR), word))
			_exit(1);
		byte = write(ready[1], "r", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(self->pinned + 1, pinned_soon(self->pinned + 1));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(self->pinned, pinned_soon(self->pinned));
	EXPECT_EQ(OWN, *word);
}

/* The page is in the driver's hands, whatever the process does with its address. */
KVMMEM_TEST(moved_and_gone)
{
	volatile uint64_t *word = own_word(), *moved;

	NEEDS_TARGET();
	target_write(0x8888);
	ASSERT_EQ(0, mem_map(self->fd, word));
	moved = mremap((void *)word, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, own_pages(1));
	ASSERT_NE(MAP_FAILED, (void *)moved);
	EXPECT_EQ(0x8888, *moved);
	EXPECT_EQ(EBUSY, mem_map(self->fd, moved));
	ASSERT_EQ(0, munmap((void *)moved, PAGE));
	EXPECT_EQ(self->pinned + 1, pinned_soon(self->pinned + 1));
	EXPECT_EQ(0, mem_unmap(self->fd, word));
	EXPECT_EQ(self->pinned, pinned_soon(self->pinned));
}

/* A child gets a copy, and with it no way to the other guest. */
KVMMEM_TEST(fork_copies)
{
	volatile uint64_t *word = own_word();
	int status;
	pid_t pid;

	NEEDS_TARGET();
	target_write(0x9999);
	ASSERT_EQ(0, mem_map(self->fd, word));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		status = *word != 0x9999;
		*word = 0xaaaa;
		_exit(status);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0x9999, target_read());
	EXPECT_EQ(0x9999, *word);
}

/* The host takes it away when the other guest's session ends. */
KVMMEM_TEST(session_ends)
{
	volatile uint64_t *word = own_word();

	NEEDS_TARGET();
	target_write(0xbbbb);
	ASSERT_EQ(0, mem_map(self->fd, word));
	EXPECT_EQ(0xbbbb, *word);
	host_value("rehook");
	EXPECT_EQ(OWN, *word);
	EXPECT_EQ(0, mem_unmap(self->fd, word));
	EXPECT_EQ(ENOENT, mem_unmap(self->fd, word));
	/* And the next one gives it again. */
	EXPECT_EQ(0, mem_map(self->fd, word));
	EXPECT_EQ(0xbbbb, *word);
}

/* The zero page is everybody's: not it is replaced. */
KVMMEM_TEST(zero_page_stays)
{
	volatile uint64_t *word = own_pages(2), *other = word + PAGE / sizeof(*word);

	NEEDS_TARGET();
	target_write(0xcccc);
	EXPECT_EQ(0, *word);
	EXPECT_EQ(0, *other);
	ASSERT_EQ(0, mem_map(self->fd, word));
	EXPECT_EQ(0xcccc, *word);
	EXPECT_EQ(0, *other);
}
