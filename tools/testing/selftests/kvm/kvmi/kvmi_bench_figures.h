/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_BENCH_FIGURES_H
#define SELFTEST_KVMI_BENCH_FIGURES_H

/* Figures: what is printed, and memory that is in use. */
#include "kvmi_test_util.h"

static void row(const char *name, const char *unit, __u64 value, __u64 limit)
{
	if (limit)
		printf("%s %s %llu %llu\n", name, unit, value, limit);
	else
		printf("%s %s %llu -\n", name, unit, value);
	fflush(stdout);
}

struct memory {
	long slab, percpu, stacks, vmalloc;
};

/* In KiB. Large kmalloc()s count as slab; pages that nobody counts are not seen. */
static struct memory memory(void)
{
	struct memory m = { -1, -1, -1, -1 };
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];

	TEST_ASSERT(f, "fopen(/proc/meminfo) failed");
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "Slab: %ld", &m.slab);
		sscanf(line, "Percpu: %ld", &m.percpu);
		sscanf(line, "KernelStack: %ld", &m.stacks);
		sscanf(line, "VmallocUsed: %ld", &m.vmalloc);
	}
	fclose(f);
	TEST_ASSERT(m.slab >= 0 && m.percpu >= 0 && m.stacks >= 0 && m.vmalloc >= 0,
		    "/proc/meminfo lacks a line");
	return m;
}

/* Growth in bytes. Where stacks are in vmalloc space they count there, too. */
static long grown(struct memory a, struct memory b)
{
	long stacks = b.stacks - a.stacks, vmalloc = b.vmalloc - a.vmalloc;
	long kib = b.slab - a.slab + b.percpu - a.percpu;

	kib += vmalloc >= stacks ? vmalloc : vmalloc + stacks;
	return kib * 1024;
}

#endif /* SELFTEST_KVMI_BENCH_FIGURES_H */
