// SPDX-License-Identifier: GPL-2.0-only
/* Names of the exceptions. */
#include <string.h>
#include <strings.h>

#include "cli.h"

static const char *const names[] = {
	[0] = "de", [1] = "db", [3] = "bp", [4] = "of", [5] = "br", [6] = "ud",
	[7] = "nm", [8] = "df", [10] = "ts", [11] = "np", [12] = "ss", [13] = "gp",
	[14] = "pf", [16] = "mf", [17] = "ac", [18] = "mc", [19] = "xm", [20] = "ve",
	[21] = "cp", [28] = "hv", [29] = "vc", [30] = "sx",
};

const char *exception_name(uint8_t vector)
{
	return vector < ARRAY_SIZE(names) ? names[vector] : NULL;
}

bool exception_has_code(uint8_t vector)
{
	switch (vector) {
	case 8:
	case 10 ... 14:
	case 17:
	case 21:
	case 29:
	case 30:
		return true;
	default:
		return false;
	}
}

int parse_vector(const char *text, uint8_t *vector)
{
	const char *name = *text == '#' ? text + 1 : text;
	uint64_t number;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i] && !strcasecmp(name, names[i])) {
			*vector = i;
			return CLI_OK;
		}
	}
	if (*text < '0' || *text > '9') {
		out_error("there is no exception '%s'; use #pf, gp and so on, or a number",
			  text);
		return CLI_USAGE;
	}
	r = parse_limited("VECTOR", text, 31, &number);
	if (!r && number == 2) {
		out_error("vector 2 is the NMI, which is no exception");
		r = CLI_USAGE;
	}
	*vector = number;
	return r;
}
