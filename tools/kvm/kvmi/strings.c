// SPDX-License-Identifier: GPL-2.0-only
/* kvmi strings: text in the guest's memory. */
#include <stdio.h>
#include <string.h>

#include "walk.h"

/* What is longer is shown in pieces. */
#define LENGTH_MAX 4096

enum { ASCII, UTF16_EVEN, UTF16_ODD, KINDS };

/* Text of one kind that may go on. */
struct run {
	uint64_t first;
	size_t length;
	/* A piece of it was shown: the rest counts, however short. */
	bool split;
	char text[LENGTH_MAX + 1];
};

struct scan {
	struct walk walk;
	int way;
	size_t min;
	bool utf16, json;
	/* The address that is expected next, and the byte before it. */
	uint64_t next;
	uint8_t before;
	struct run runs[KINDS];
};

/* Text files have tabs. */
static bool printable(uint8_t c)
{
	return (c >= ' ' && c <= '~') || c == '\t';
}

static void show(const struct scan *s, int kind)
{
	const struct run *run = &s->runs[kind];
	const char *encoding = kind == ASCII ? "ascii" : "utf-16le";
	struct json_object *o;

	if (!s->json) {
		printf("%016llx %s%.*s\n", (unsigned long long)run->first,
		       !s->utf16 ? "" : kind == ASCII ? "a " : "u ", (int)run->length,
		       run->text);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "address", json_hex(run->first));
	json_object_object_add(o, "encoding", json_object_new_string(encoding));
	json_object_object_add(o, "text",
			       json_object_new_string_len(run->text, (int)run->length));
	out_json(o);
}

static void end_run(struct scan *s, int kind)
{
	struct run *run = &s->runs[kind];

	if (run->length >= s->min || (run->split && run->length))
		show(s, kind);
	run->length = 0;
	run->split = false;
}

static void add(struct scan *s, int kind, uint64_t address, uint8_t c)
{
	struct run *run = &s->runs[kind];

	if (run->length == LENGTH_MAX) {
		show(s, kind);
		run->length = 0;
		run->split = true;
	}
	if (!run->length)
		run->first = address;
	run->text[run->length++] = c;
}

static void end_all(struct scan *s)
{
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		end_run(s, kind);
	s->before = 0;
}

static void scan_byte(struct scan *s, uint64_t address, uint8_t c)
{
	/* The unit that ends here begins at the address before. */
	const int kind = address & 1 ? UTF16_EVEN : UTF16_ODD;

	if (printable(c))
		add(s, ASCII, address, c);
	else if (s->runs[ASCII].length || s->runs[ASCII].split)
		end_run(s, ASCII);
	if (!s->utf16)
		return;
	if (!c && printable(s->before))
		add(s, kind, address - 1, s->before);
	else if (s->runs[kind].length || s->runs[kind].split)
		end_run(s, kind);
	s->before = c;
}

static int take(void *arg, uint64_t address, const uint8_t *data, size_t size)
{
	struct scan *s = arg;
	size_t i;

	/* Behind a hole nothing goes on. */
	if (address != s->next)
		end_all(s);
	for (i = 0; i < size; i++)
		scan_byte(s, address + i, data[i]);
	s->next = address + size;
	return ferror(stdout) ? CLI_FAILED : CLI_OK;
}

static int parse_min(const char *text, size_t *min)
{
	uint64_t value;
	int r = parse_limited("--min", text, LENGTH_MAX, &value);

	*min = value;
	if (!r && !value) {
		out_error("--min: no string has 0 characters");
		r = CLI_USAGE;
	}
	return r;
}

static int parse_args(int argc, char **argv, struct scan *s)
{
	static const struct option longs[] = {
		{ "min", required_argument, NULL, 'n' },
		{ "utf16", no_argument, NULL, 'u' },
		{ "way", required_argument, NULL, 'w' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_strings, argc, argv, "n:", longs)) != -1) {
		if (opt == 'n')
			r = parse_min(optarg, &s->min);
		else if (opt == 'u')
			s->utf16 = true;
		else if (opt == 'w')
			r = parse_way(optarg, &s->way);
		else
			r = CLI_USAGE;
	}
	if (!r && argc - optind > 1)
		r = cli_usage(&command_strings);
	if (!r && optind < argc)
		r = walk_parse("", argv[optind], &s->walk.span);
	return r;
}

static int run_strings(struct cli *cli, int argc, char **argv)
{
	struct scan s = { .walk.span.end = KVMINTRO_PHYSICAL_END, .min = 4,
			  .json = cli->json };
	int r = parse_args(argc, argv, &s);

	if (r)
		return r;
	r = reach_memory(cli, s.way);
	if (!r)
		reach_explain(cli);
	if (!r)
		r = walk_find(cli, &s.walk);
	if (!r)
		r = walk_read(cli, &s.walk, take, &s);
	end_all(&s);
	walk_free(&s.walk);
	if (out_flush())
		return CLI_FAILED;
	return r;
}

const struct cli_command command_strings = {
	.name = "strings",
	.args = "[ADDR[-END]] [--min N] [--utf16] [--way WAY]",
	.summary = "show text in guest memory",
	.help =
	"Prints each sequence of printable ASCII characters in the guest's memory, after the\n"
	"physical address of the first: from ADDR (0) up to, not including, END, or to the end\n"
	"of memory. Sequences go on across pages that follow each other; those of more than\n"
	"4096 characters are shown in pieces.\n\n"
	"  -n, --min N      at least N characters (4)\n"
	"  --utf16          UTF-16, little endian, too, at even and at odd addresses. A letter\n"
	"                   behind the address tells which: a or u\n"
	WAYS_HELP,
	.run = run_strings,
};
