/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef L2_H
#define L2_H

#include <stdint.h>
#include <sys/types.h>

#define MAX_CPUS 4
#define MARKER_SIZE 64

/* What the tool reads and writes. */
struct page {
	char marker[MARKER_SIZE];
	volatile uint64_t passes[MAX_CPUS];
	volatile uint64_t entry;
	volatile uint64_t key;
	volatile uint64_t asked, answered;
};

extern struct page *page;
extern int cpus;

/* init.c */
void say(const char *fmt, ...);
void die(const char *what);
double now(void);
void schedule_as(int policy, int priority);
void *map_shared(int fd, off_t offset, int prot, int flags);

/* calls.c */
void set_up_calls(void);
/* Called by the process of @cpu that has the token, when page->entry is set. */
void count_calls(int cpu);

/* key.c */
void switch_key(int beat);

/* answer.c */
void answer(int beat);

#endif /* L2_H */
