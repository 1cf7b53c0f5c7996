// SPDX-License-Identifier: GPL-2.0-only
/* Over all memory of the guest, or a part of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"

#define CHUNK (1024 * 1024u)

const char *walk_human(uint64_t bytes, char text[16])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 16, value < 10 && value != (int)value ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return text;
}

int walk_parse(const char *what, char *text, struct walk_span *span)
{
	char *end = strchr(text, '-'), name[40];
	int r;

	if (end)
		*end++ = '\0';
	snprintf(name, sizeof(name), "%.30sADDR", what);
	r = parse_limited(name, text, KVMINTRO_PHYSICAL_END - 1, &span->first);
	span->end = KVMINTRO_PHYSICAL_END;
	if (r || !end)
		return r;
	snprintf(name, sizeof(name), "%.30sEND", what);
	r = parse_limited(name, end, KVMINTRO_PHYSICAL_END, &span->end);
	if (!r && span->end <= span->first) {
		out_error("%s: %s is not behind %s: it is the address after the last byte",
			  name, end, text);
		r = CLI_USAGE;
	}
	return r;
}

static int add(struct walk *w, uint64_t first, uint64_t size)
{
	struct walk_span *p;

	if (size > w->span.end - first)
		size = w->span.end - first;
	p = realloc(w->ranges, (w->count + 1) * sizeof(*p));
	if (!p) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	w->ranges = p;
	w->ranges[w->count++] = (struct walk_span){ first, first + size };
	w->total += size;
	return CLI_OK;
}

int walk_find(struct cli *cli, struct walk *w)
{
	uint64_t at = w->span.first, first, size;
	int r = CLI_OK, found = 1;

	while (!r && at < w->span.end) {
		found = kvmintro_next_range(cli->k, at, &first, &size);
		if (found <= 0 || first >= w->span.end)
			break;
		r = add(w, first, size);
		at = first + size;
	}
	if (found < 0)
		return out_failed(cli, "memory");
	if (!r && !w->count) {
		out_error("the guest has no memory from 0x%llx on%s",
			  (unsigned long long)w->span.first,
			  w->span.end < KVMINTRO_PHYSICAL_END ? " in this range" : "");
		r = CLI_FAILED;
	}
	return r;
}

/* Leave out the pages that nobody can read. */
static int read_pages(struct cli *cli, struct walk *w, uint64_t at, uint8_t *buf,
		      size_t size, walk_fn each, void *arg)
{
	size_t done, n;
	int r;

	for (done = 0; done < size; done += n) {
		n = KVMINTRO_PAGE_SIZE - (at + done) % KVMINTRO_PAGE_SIZE;
		if (n > size - done)
			n = size - done;
		r = kvmintro_memory_read(cli->memory, at + done, buf, n);
		if (r == -ENOENT)
			w->unreadable++;
		else if (r < 0)
			return out_failed(cli, "memory");
		else if (each(arg, at + done, buf, n))
			return CLI_FAILED;
	}
	return CLI_OK;
}

static int read_chunk(struct cli *cli, struct walk *w, uint64_t at, uint8_t *buf,
		      size_t size, walk_fn each, void *arg)
{
	int r = kvmintro_memory_read(cli->memory, at, buf, size);

	if (!r)
		return each(arg, at, buf, size);
	return r == -ENOENT ? read_pages(cli, w, at, buf, size, each, arg) :
			      out_failed(cli, "memory");
}

static int read_range(struct cli *cli, struct walk *w, const struct walk_span *range,
		      uint8_t *buf, walk_fn each, void *arg)
{
	uint64_t at = range->first;
	size_t n;
	int r = CLI_OK;

	for (; !r && at < range->end; at += n) {
		n = CHUNK - at % CHUNK;
		if (n > range->end - at)
			n = range->end - at;
		/* What is mapped can be read without ever waiting. */
		if (cli_signalled(cli)) {
			out_error("interrupted");
			return CLI_FAILED;
		}
		r = read_chunk(cli, w, at, buf, n, each, arg);
		w->done += n;
	}
	return r;
}

int walk_read(struct cli *cli, struct walk *w, walk_fn each, void *arg)
{
	uint8_t *buf = malloc(CHUNK);
	int r = CLI_OK;
	size_t i;

	if (!buf) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	for (i = 0; !r && i < w->count; i++)
		r = read_range(cli, w, &w->ranges[i], buf, each, arg);
	free(buf);
	return r;
}

void walk_free(struct walk *w)
{
	free(w->ranges);
	w->ranges = NULL;
}
