/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of kvmmem_test.c: arguments at random, by several threads. */

#define THREADS	3
#define AREA	16

struct chaos {
	int fd;
	unsigned int seed;
	int rounds;
	char *area;		/* AREA pages of every kind */
	unsigned long seen[256];
};

static uint64_t random_address(struct chaos *c)
{
	uint64_t address = (uintptr_t)c->area + rand_r(&c->seed) % AREA * PAGE;

	switch (rand_r(&c->seed) % 8) {
	case 0:
		return bad_addresses[rand_r(&c->seed) % ARRAY_SIZE(bad_addresses)];
	case 1:
		return (uint64_t)rand_r(&c->seed) << 33 ^ (uint64_t)rand_r(&c->seed) << 12;
	case 2:
		return address + rand_r(&c->seed) % PAGE;
	default:
		return address;
	}
}

static int random_call(struct chaos *c)
{
	struct kvmi_mem_map map;

	for (size_t i = 0; i < sizeof(map); i++)
		((char *)&map)[i] = rand_r(&c->seed);
	map.gpa = random_address(c);
	map.gva = random_address(c);
	switch (rand_r(&c->seed) % 8) {
	case 0:
		return ioctl(c->fd, rand_r(&c->seed), rand_r(&c->seed));
	case 1:
		return ioctl(c->fd, KVM_INTRO_MEM_MAP, random_address(c));
	case 2:
	case 3:
		return ioctl(c->fd, KVM_INTRO_MEM_UNMAP, random_address(c));
	default:
		return ioctl(c->fd, KVM_INTRO_MEM_MAP, &map);
	}
}

static void *make_chaos(void *arg)
{
	struct chaos *c = arg;

	for (int i = 0; i < c->rounds; i++) {
		/* No such token exists: nothing can succeed. */
		errno = random_call(c) ? errno : 0;
		c->seen[errno & 255]++;
	}
	return NULL;
}

/* Pages of each kind that a process can have. */
static char *mixed_area(void)
{
	char *area = own_pages(AREA);

	memset(area, 'x', AREA / 2 * PAGE);
	mprotect(area, PAGE, PROT_READ);
	munmap(area + PAGE, PAGE);
	mmap(area + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return area;
}

KVMMEM_TEST(random_arguments)
{
	const unsigned int seed = getenv("seed") ? strtoul(getenv("seed"), NULL, 0) : getpid();
	const int rounds = getenv("rounds") ? atoi(getenv("rounds")) : 2000;
	static const int expected[] = { ENOENT, EINVAL, EFAULT, ENOTTY, ENOMEM };
	struct chaos chaos[THREADS] = {};
	pthread_t threads[THREADS];
	char *area = mixed_area();

	TH_LOG("seed=%u rounds=%d", seed, rounds);
	for (int i = 0; i < THREADS; i++) {
		chaos[i] = (struct chaos){ .fd = self->fd, .seed = seed + i, .rounds = rounds,
					   .area = area };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, make_chaos, &chaos[i]));
	}
	for (int i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	for (int i = 0; i < THREADS; i++) {
		for (size_t e = 0; e < ARRAY_SIZE(expected); e++)
			chaos[i].seen[expected[e]] = 0;
		for (int e = 0; e < 256; e++) {
			EXPECT_EQ(0, chaos[i].seen[e])
				TH_LOG("errno %d", e);
		}
	}
	for (int i = 3; i < AREA / 2; i++)
		EXPECT_EQ('x', area[i * PAGE]);
}
