// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

void out_error(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("kvmi: error: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

int out_failed(struct cli *cli, const char *doing)
{
	out_error("%s: %s", doing, kvmintro_error(cli->k));
	return CLI_FAILED;
}

int out_flush(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return CLI_OK;
	/* Say it once: nothing more will get through. */
	if (errno != EPIPE)
		fprintf(stderr, "kvmi: error: cannot write the output: %s\n",
			strerror(errno));
	return CLI_FAILED;
}

int out_json(struct json_object *doc)
{
	puts(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(doc);
	return ferror(stdout) ? CLI_FAILED : CLI_OK;
}

struct json_object *json_hex(uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	return json_object_new_string(text);
}

struct json_object *json_bytes(const void *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	struct json_object *s;
	char *text = malloc(2 * size + 1);
	size_t i;

	if (!text)
		return NULL;
	for (i = 0; i < size; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 15];
	}
	s = json_object_new_string_len(text, (int)(2 * size));
	free(text);
	return s;
}

void out_dump(uint64_t address, const uint8_t *data, size_t size)
{
	uint64_t line = address & ~15ULL;
	size_t at = 0, i;

	while (at < size) {
		size_t first = address + at - line;
		size_t end = size - at < 16 - first ? first + size - at : 16;

		printf("%016llx ", (unsigned long long)line);
		for (i = 0; i < 16; i++) {
			if (i >= first && i < end)
				printf(" %02x", data[at + i - first]);
			else
				printf("   ");
			if (i == 7)
				putchar(' ');
		}
		printf("  |");
		for (i = 0; i < end; i++) {
			uint8_t c = i < first ? ' ' : data[at + i - first];

			putchar(i < first || isprint(c) ? c : '.');
		}
		printf("|\n");
		at += end - first;
		line += 16;
	}
}
