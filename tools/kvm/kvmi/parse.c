// SPDX-License-Identifier: GPL-2.0-only
/* Arguments: strict, because a mistyped address is a write somewhere else. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Returns where the number ends, NULL if there is none. */
static const char *read_number(const char *text, uint64_t *value)
{
	char *end;

	/* strtoull() takes signs, spaces and octal numbers. */
	if (!isdigit((unsigned char)*text))
		return NULL;
	errno = 0;
	*value = strtoull(text, &end, !strncasecmp(text, "0x", 2) ? 16 : 10);
	return errno ? NULL : end;
}

int parse_limited(const char *what, const char *text, uint64_t max,
		  uint64_t *value)
{
	const char *end = read_number(text, value);

	if (!end || *end) {
		out_error("%s: '%s' is no number (decimal or 0x hexadecimal, at most 64 bits)",
			  what, text);
		return CLI_USAGE;
	}
	if (*value > max) {
		out_error("%s: %s is more than %llu", what, text,
			  (unsigned long long)max);
		return CLI_USAGE;
	}
	return CLI_OK;
}

int parse_u64(const char *what, const char *text, uint64_t *value)
{
	return parse_limited(what, text, UINT64_MAX, value);
}

int parse_size(const char *what, const char *text, uint64_t *value)
{
	static const char units[] = "KMG";
	const char *end = read_number(text, value), *unit;

	if (end && *end && !end[1]) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (unit) {
			unsigned int shift = 10 * (unit - units + 1);

			end = *value << shift >> shift == *value ? "" : NULL;
			*value <<= shift;
		}
	}
	if (!end || *end || !*value) {
		out_error("%s: '%s' is no size (a number above 0, optionally with K, M or G)",
			  what, text);
		return CLI_USAGE;
	}
	return CLI_OK;
}

int parse_seconds(const char *what, const char *text, int *ms)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno || end == text || *end || !isfinite(value) || value < 0 ||
	    value * 1000 > INT_MAX) {
		out_error("%s: '%s' is no number of seconds", what, text);
		return CLI_USAGE;
	}
	*ms = (int)(value * 1000);
	return CLI_OK;
}

int parse_vcpu(const char *text, int *vcpu)
{
	uint64_t value = 0;
	int r = parse_limited("--vcpu", text, UINT16_MAX, &value);

	*vcpu = (int)value;
	return r;
}

static int parse_number(const char *at, const char *name, const char *text,
			uint64_t *value)
{
	char what[320];

	snprintf(what, sizeof(what), "%s%s", at, name);
	return parse_u64(what, text, value);
}

int parse_range(const char *at, char *text, uint64_t *first, uint64_t *last)
{
	char *end = strchr(text, '-');
	int r;

	if (end)
		*end++ = '\0';
	r = parse_number(at, "ADDR", text, first);
	*last = *first;
	if (r || !end)
		return r;
	r = parse_number(at, "END", end, last);
	if (!r && *last <= *first) {
		out_error("%sEND: %s is not behind %s: it is the address after the last byte",
			  at, end, text);
		r = CLI_USAGE;
	}
	(*last)--;
	return r;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int parse_hex(const char *text, uint8_t **data, size_t *size)
{
	size_t len = strlen(text), i;
	int high, low;

	*data = malloc(len / 2 + 1);
	if (!*data) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	*size = len / 2;
	for (i = 0; len && len % 2 == 0 && i < len / 2; i++) {
		high = hex_digit(text[2 * i]);
		low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			break;
		(*data)[i] = high << 4 | low;
	}
	if (len && len % 2 == 0 && i == len / 2)
		return CLI_OK;

	out_error("'%s' is no sequence of bytes: two hexadecimal digits each, nothing between",
		  text);
	free(*data);
	*data = NULL;
	return CLI_USAGE;
}

int parse_list(char *list, int (*each)(const char *text, void *arg), void *arg)
{
	char *text, *save;
	int r = CLI_OK;

	for (text = strtok_r(list, ",", &save); text && !r;
	     text = strtok_r(NULL, ",", &save))
		r = each(text, arg);
	return r;
}

int next_option(const struct cli_command *command, int argc, char **argv,
		const char *shorts, const struct option *longs)
{
	int opt = getopt_long(argc, argv, shorts, longs, NULL);

	if (opt == '?')
		cli_usage(command);
	return opt;
}
