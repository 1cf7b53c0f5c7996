// SPDX-License-Identifier: GPL-2.0-only
/* kvmi watch: ranges that overlap become ranges that do not. */
#include <stdlib.h>

#include "watch.h"

int watch_add(struct watch_list *l, uint64_t first, uint64_t last, uint8_t access)
{
	struct watch_range *p;
	size_t room;

	if (l->count == l->room) {
		room = l->room ? 2 * l->room : 16;
		p = realloc(l->ranges, room * sizeof(*p));
		if (!p) {
			out_error("out of memory");
			return CLI_FAILED;
		}
		l->ranges = p;
		l->room = room;
	}
	l->ranges[l->count++] = (struct watch_range){
		.first = first, .last = last, .access = access
	};
	return CLI_OK;
}

void watch_list_free(struct watch_list *l)
{
	free(l->ranges);
	*l = (struct watch_list){ 0 };
}

/* Where a range begins, or has ended. */
struct edge {
	uint64_t at;
	uint8_t access;
	int step;
};

static int by_place(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* How many ranges with each access are open. */
struct depth {
	int of[3];
};

static void cross(struct depth *d, const struct edge *e)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (e->access & 1 << i)
			d->of[i] += e->step;
	}
}

static uint8_t open_accesses(const struct depth *d)
{
	return (d->of[0] ? KVMI_PAGE_ACCESS_R : 0) | (d->of[1] ? KVMI_PAGE_ACCESS_W : 0) |
	       (d->of[2] ? KVMI_PAGE_ACCESS_X : 0);
}

/* Add [@begin, @end), or make the last range longer. */
static int extend(struct watch_list *to, uint64_t begin, uint64_t end, uint8_t access)
{
	struct watch_range *last = to->count ? &to->ranges[to->count - 1] : NULL;

	if (!access)
		return CLI_OK;
	if (last && last->last == begin - 1 && last->access == access) {
		last->last = end - 1;
		return CLI_OK;
	}
	return watch_add(to, begin, end - 1, access);
}

/* Physical addresses have few bits: what is behind the last one is a number, too. */
int watch_map(const struct watch_list *from, uint64_t unit, struct watch_list *to)
{
	struct edge *edges = calloc(2 * from->count + 1, sizeof(*edges));
	const size_t count = 2 * from->count;
	struct depth depth = { 0 };
	int r = CLI_OK;
	size_t i;

	if (!edges) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	for (i = 0; i < from->count; i++) {
		const struct watch_range *p = &from->ranges[i];

		edges[2 * i] = (struct edge){ p->first - p->first % unit, p->access, 1 };
		edges[2 * i + 1] = (struct edge){
			p->last - p->last % unit + unit, p->access, -1
		};
	}
	qsort(edges, count, sizeof(*edges), by_place);
	for (i = 0; !r && i + 1 < count; i++) {
		cross(&depth, &edges[i]);
		if (edges[i].at != edges[i + 1].at)
			r = extend(to, edges[i].at, edges[i + 1].at, open_accesses(&depth));
	}
	free(edges);
	return r;
}

uint8_t watch_asked(const struct watch_list *l, uint64_t address, uint8_t access)
{
	size_t low = 0, high = l->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (address < l->ranges[middle].first)
			high = middle;
		else if (address > l->ranges[middle].last)
			low = middle + 1;
		else
			return l->ranges[middle].access & access;
	}
	return 0;
}
