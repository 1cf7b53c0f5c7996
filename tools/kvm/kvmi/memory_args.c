// SPDX-License-Identifier: GPL-2.0-only
/* Which memory `read` and `write` are about, and the file beside it. */
#include "cli.h"

int memory_options(const struct cli_command *command, int argc, char **argv,
		   const char *file, struct memory_args *q)
{
	const char shorts[] = { *file, ':', '\0' };
	const struct option longs[] = {
		{ "virtual", no_argument, NULL, 'V' },
		{ "vcpu", required_argument, NULL, 'v' },
		{ file, required_argument, NULL, *file },
		{ q->has_way ? "way" : NULL, required_argument, NULL, 'w' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(command, argc, argv, shorts, longs)) != -1) {
		if (opt == 'V')
			q->virtual = true;
		else if (opt == 'v')
			r = parse_vcpu(optarg, &q->vcpu);
		else if (opt == *file)
			q->file = optarg;
		else if (opt == 'w')
			r = parse_way(optarg, &q->way);
		else
			r = CLI_USAGE;
	}
	return r;
}

int memory_range(const struct memory_args *q, uint64_t size)
{
	if (size - 1 <= ~q->address)
		return CLI_OK;
	out_error("the range goes beyond the last address");
	return CLI_USAGE;
}
