// SPDX-License-Identifier: GPL-2.0-only
/* kvmi watch: its arguments, and files with ranges. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch.h"

/* Each page at a virtual address has to be asked for. */
#define VIRTUAL_PAGES_MAX 262144u

/* Where an argument stands: empty, or "FILE:LINE: ". */
struct place {
	char text[300];
};

static int parse_access(const struct place *at, const char *text, uint8_t *access)
{
	static const char letters[] = "rwx";
	const char *p, *letter;

	*access = 0;
	for (p = text; *p; p++) {
		letter = strchr(letters, *p);
		if (!letter || *access & 1 << (letter - letters))
			break;
		*access |= 1 << (letter - letters);
	}
	if (*p || !*access) {
		out_error("%s'%s' is no access: it takes letters of rwx, each once",
			  at->text, text);
		return CLI_USAGE;
	}
	/* Who cannot read a page cannot write it. */
	if (*access & KVMI_PAGE_ACCESS_R)
		*access |= KVMI_PAGE_ACCESS_W;
	return CLI_OK;
}

/* Numbers begin with a digit. */
static bool is_range(const char *word)
{
	return isdigit((unsigned char)*word);
}

/* One range and, unless @letters is NULL, its accesses. */
static int add(struct watch *w, const struct place *at, char *text, const char *letters)
{
	struct watch_range range = { 0 };
	int r = parse_range(at->text, text, &range.first, &range.last);

	if (!r && letters)
		r = parse_access(at, letters, &range.access);
	if (!r && !w->virtual && range.last >= KVMINTRO_PHYSICAL_END) {
		out_error("%s0x%llx is no physical address; see --virtual", at->text,
			  (unsigned long long)range.last);
		r = CLI_USAGE;
	}
	return r ? r : watch_add(&w->asked, range.first, range.last, range.access);
}

static int add_line(struct watch *w, const struct place *at, char *line)
{
	char *save, *range, *letters;

	line[strcspn(line, "#")] = '\0';
	range = strtok_r(line, " \t\r\n", &save);
	if (!range)
		return CLI_OK;
	letters = strtok_r(NULL, " \t\r\n", &save);
	if (letters && strtok_r(NULL, " \t\r\n", &save)) {
		out_error("%sa line is ADDR[-END] and letters of rwx", at->text);
		return CLI_USAGE;
	}
	return add(w, at, range, letters);
}

static int add_file(struct watch *w)
{
	FILE *in = fopen(w->file, "re");
	unsigned int number = 0;
	char *line = NULL;
	struct place at;
	size_t room = 0;
	int r = CLI_OK;

	errno = in ? 0 : errno;
	while (in && !r && getline(&line, &room, in) >= 0) {
		snprintf(at.text, sizeof(at.text), "%.255s:%u: ", w->file, ++number);
		r = add_line(w, &at, line);
	}
	if (!r && (!in || ferror(in))) {
		out_error("%s: %s", w->file, strerror(errno));
		r = CLI_FAILED;
	}
	free(line);
	if (in)
		fclose(in);
	return r;
}

static int add_words(struct watch *w, char **words, int count)
{
	static const struct place here;
	bool letters;
	int i, r = CLI_OK;

	for (i = 0; !r && i < count; i += 1 + letters) {
		if (!is_range(words[i])) {
			out_error("ADDR: '%s' is no address", words[i]);
			return CLI_USAGE;
		}
		letters = i + 1 < count && !is_range(words[i + 1]);
		r = add(w, &here, words[i], letters ? words[i + 1] : NULL);
	}
	return r;
}

static int check_virtual(const struct watch *w)
{
	uint64_t pages = 0;
	size_t i;

	for (i = 0; i < w->asked.count && pages <= VIRTUAL_PAGES_MAX; i++)
		pages += w->asked.ranges[i].last / KVMINTRO_PAGE_SIZE -
			 w->asked.ranges[i].first / KVMINTRO_PAGE_SIZE + 1;
	if (!w->virtual || pages <= VIRTUAL_PAGES_MAX)
		return CLI_OK;
	out_error("--virtual: that is more than %u pages", VIRTUAL_PAGES_MAX);
	return CLI_USAGE;
}

static int take_option(struct watch *w, int opt)
{
	int r;

	switch (opt) {
	case 'V':
		w->virtual = true;
		return CLI_OK;
	case 'R':
		w->f.resume = true;
		return CLI_OK;
	case 'r':
		if (w->file) {
			out_error("--ranges: one file is possible, not more");
			return CLI_USAGE;
		}
		w->file = optarg;
		return CLI_OK;
	case 'S':
		return parse_seconds("--seconds", optarg, &w->f.duration);
	case 'n':
		r = follow_option(&w->f, opt);
		if (!r && !w->f.count) {
			out_error("--count: 0 events are none");
			r = CLI_USAGE;
		}
		return r;
	default:
		return follow_option(&w->f, opt);
	}
}

int watch_args(int argc, char **argv, struct watch *w)
{
	static const struct option longs[] = {
		{ "virtual", no_argument, NULL, 'V' },
		{ "ranges", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 'S' },
		{ "resume", no_argument, NULL, 'R' },
		FOLLOW_OPTIONS,
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_watch, argc, argv, "", longs)) != -1)
		r = take_option(w, opt);
	if (!r && !w->file && optind == argc)
		r = cli_usage(&command_watch);
	if (!r)
		r = add_words(w, argv + optind, argc - optind);
	if (!r && w->file)
		r = add_file(w);
	if (!r && !w->asked.count) {
		out_error("--ranges: %s has no ranges", w->file);
		r = CLI_USAGE;
	}
	return r ? r : check_virtual(w);
}
