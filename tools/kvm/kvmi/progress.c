// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"
#include "walk.h"

#define WIDTH 30
#define INTERVAL 0.2

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void progress_begin(struct progress *p, uint64_t total)
{
	*p = (struct progress){ .total = total, .began = now() };
	p->shown = isatty(STDERR_FILENO);
	p->last = p->began;
	progress_show(p, 0);
}

static void draw(const struct progress *p, uint64_t done, double spent)
{
	const double part = p->total ? (double)done / p->total : 1;
	const double rate = spent > 0 ? done / spent : 0;
	char bar[WIDTH + 1], size[16], all[16], speed[16];
	int i;

	for (i = 0; i < WIDTH; i++)
		bar[i] = i < (int)(part * WIDTH) ? '#' : ' ';
	bar[WIDTH] = '\0';
	fprintf(stderr, "\r\033[K%3d%% [%s] %s of %s, %s/s", (int)(part * 100), bar,
		walk_human(done, size), walk_human(p->total, all), walk_human(rate, speed));
	if (rate > 0)
		fprintf(stderr, ", %.0f s left", (p->total - done) / rate);
	fflush(stderr);
}

void progress_show(struct progress *p, uint64_t done)
{
	const double t = now();

	if (!p->shown || (done && done < p->total && t - p->last < INTERVAL))
		return;
	p->last = t;
	draw(p, done, t - p->began);
}

double progress_end(struct progress *p)
{
	if (p->shown) {
		fprintf(stderr, "\r\033[K");
		fflush(stderr);
	}
	return now() - p->began;
}
