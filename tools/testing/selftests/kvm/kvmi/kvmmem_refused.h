/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of kvmmem_test.c: what the device refuses. No token is needed for it. */

/* What no page of a process is. */
static const uint64_t bad_addresses[] = {
	0x0, 0x1000, 0x7ffffffff000, 0x800000000000, 0x8000000000000000,
	0xffff888000000000, 0xffffffff81000000, 0xfffffffffffff000,
};

KVMMEM_TEST(unknown_ioctl)
{
	static const unsigned long unknown[] = {
		0, ~0U, _IO('i', 1), _IOW('i', 0, long), _IOW('i', 3, long),
		_IOR('i', 1, struct kvmi_mem_map), _IOW('i', 1, uint64_t), _IOW('i', 2, int),
	};

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(-1, ioctl(self->fd, unknown[i], 0));
		EXPECT_EQ(ENOTTY, errno);
	}
}

KVMMEM_TEST(bad_pointer)
{
	char *page = own_pages(2);

	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(bad_addresses); i++) {
		EXPECT_EQ(-1, ioctl(self->fd, KVM_INTRO_MEM_MAP, bad_addresses[i]));
		EXPECT_EQ(EFAULT, errno);
	}
	/* All but its last byte can be read. */
	EXPECT_EQ(-1, ioctl(self->fd, KVM_INTRO_MEM_MAP,
			    page + PAGE + 1 - sizeof(struct kvmi_mem_map)));
	EXPECT_EQ(EFAULT, errno);
}

KVMMEM_TEST(bad_alignment)
{
	char *page = own_pages(1);

	for (int bit = 0; bit < 12; bit++) {
		EXPECT_EQ(EINVAL, mem_map_nothing(self->fd, 0, page + (1 << bit)));
		EXPECT_EQ(EINVAL, mem_map_nothing(self->fd, 1 << bit, page));
	}
	EXPECT_EQ(ENOENT, mem_map_nothing(self->fd, 0, page));
}

KVMMEM_TEST(no_such_token)
{
	struct kvmi_map_mem_token token = {};
	char *page = own_pages(1);

	*page = 'x';
	EXPECT_EQ(ENOENT, mem_map_nothing(self->fd, 0, page));
	EXPECT_EQ(ENOENT, mem_map_token(self->fd, &token, 0, page));
	/* Nothing is mapped then. */
	EXPECT_EQ(ENOENT, mem_unmap(self->fd, page));
	EXPECT_EQ('x', *page);
}

KVMMEM_TEST(not_writable)
{
	char *page = own_pages(2);

	*page = 'x';
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, mem_map_nothing(self->fd, 0, page));
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_NONE));
	EXPECT_EQ(EFAULT, mem_map_nothing(self->fd, 0, page));
	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	EXPECT_EQ(EFAULT, mem_map_nothing(self->fd, 0, page + PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(bad_addresses); i++)
		EXPECT_EQ(EFAULT, mem_map_nothing(self->fd, 0, (void *)bad_addresses[i]));
}

KVMMEM_TEST(shared_memory)
{
	char *page = some_pages(1, PROT_READ | PROT_WRITE, MAP_SHARED);

	EXPECT_EQ(EINVAL, mem_map_nothing(self->fd, 0, page));
	*page = 'x';
	EXPECT_EQ(EINVAL, mem_map_nothing(self->fd, 0, page));
}

/* The page of a file is refused, one's own copy of it is not. */
KVMMEM_TEST(page_of_a_file)
{
	int fd = open("/tmp/kvmmem", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *shared, *private, byte;

	ASSERT_LE(0, fd);
	ASSERT_EQ(1, pwrite(fd, "f", 1, PAGE - 1));
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(MAP_FAILED, private);
	EXPECT_EQ(EINVAL, mem_map_nothing(self->fd, 0, shared));
	EXPECT_EQ('f', private[PAGE - 1]);
	EXPECT_EQ(ENOENT, mem_map_nothing(self->fd, 0, private));
	private[PAGE - 1] = 'p';
	EXPECT_EQ(1, pread(fd, &byte, 1, PAGE - 1));
	EXPECT_EQ('f', byte);
	close(fd);
	unlink("/tmp/kvmmem");
}

KVMMEM_TEST(huge_page)
{
	const size_t huge = 2 << 20;
	char *area = own_pages(2 * huge / PAGE);

	area = (char *)(((uintptr_t)area + huge - 1) & -huge);
	memset(area, 'x', huge);
	if (madvise(area, huge, MADV_HUGEPAGE) || madvise(area, huge, MADV_COLLAPSE))
		SKIP(return, "no huge pages here: %s", strerror(errno));
	EXPECT_EQ(EINVAL, mem_map_nothing(self->fd, 0, area));
	EXPECT_EQ(EINVAL, mem_map_nothing(self->fd, 0, area + huge - PAGE));
}

/* They would be in many places: the caller gets a page for himself first. */
KVMMEM_TEST(zero_page_and_fork)
{
	char *page = own_pages(3);
	int status;
	pid_t pid;

	EXPECT_EQ(0, page[0]);
	EXPECT_EQ(0, page[PAGE]);
	page[2 * PAGE] = 'x';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(ENOENT, mem_map_nothing(self->fd, 0, page));
	EXPECT_EQ(ENOENT, mem_map_nothing(self->fd, 0, page + 2 * PAGE));
	EXPECT_EQ(0, page[PAGE]);
	EXPECT_EQ('x', page[2 * PAGE]);
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
}

KVMMEM_TEST(not_mapped)
{
	char *page = own_pages(1);

	EXPECT_EQ(ENOENT, mem_unmap(self->fd, page));
	EXPECT_EQ(ENOENT, mem_unmap(self->fd, page + 1));
	for (size_t i = 0; i < ARRAY_SIZE(bad_addresses); i++)
		EXPECT_EQ(ENOENT, mem_unmap(self->fd, (void *)bad_addresses[i]));
	EXPECT_EQ(ENOENT, mem_unmap(self->fd, (void *)~0UL));
}

/* In another process, the addresses are others. */
KVMMEM_TEST(other_process)
{
	char *page = own_pages(1);
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(mem_map_nothing(self->fd, 0, page) == EPERM &&
		      mem_unmap(self->fd, page) == EPERM ? 0 : 1);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(ENOENT, mem_map_nothing(self->fd, 0, page));
}

/* Pages count as locked memory, and no longer when they could not be mapped. */
KVMMEM_TEST(memlock_limit)
{
	struct rlimit limit = {};
	char *page = own_pages(1);

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	EXPECT_EQ(ENOENT, mem_map_nothing(self->fd, 0, page));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(ENOMEM, mem_map_nothing(self->fd, 0, page));
}

KVMMEM_TEST(memlock_returned)
{
	struct rlimit limit = { .rlim_cur = PAGE, .rlim_max = PAGE };
	char *page = own_pages(1);

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(ENOENT, mem_map_nothing(self->fd, 0, page));
		EXPECT_EQ(EFAULT, mem_map_nothing(self->fd, 0, NULL));
		EXPECT_EQ(0, locked_kb());
	}
}

/* A program of 32 bits, as far as the system call is concerned. */
static int ioctl_32(int fd, uint32_t cmd, uint32_t arg)
{
	int ret;

	asm volatile("int $0x80" : "=a"(ret)
		     : "a"(54), "b"(fd), "c"(cmd), "d"(arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return -ret;
}

KVMMEM_TEST(compat)
{
	struct kvmi_mem_map *map = some_pages(2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_32BIT);
	uint32_t arg = (uintptr_t)map;

	map->gva = arg + PAGE;
	EXPECT_EQ(ENOENT, ioctl_32(self->fd, KVM_INTRO_MEM_MAP, arg));
	map->gpa = 1;
	EXPECT_EQ(EINVAL, ioctl_32(self->fd, KVM_INTRO_MEM_MAP, arg));
	EXPECT_EQ(ENOENT, ioctl_32(self->fd, _IOW('i', 2, uint32_t), arg));
	EXPECT_EQ(ENOTTY, ioctl_32(self->fd, _IOW('i', 3, uint32_t), arg));
}
