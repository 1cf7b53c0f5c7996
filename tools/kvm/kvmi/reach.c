// SPDX-License-Identifier: GPL-2.0-only
/* The way to the guest's memory. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

int parse_way(const char *text, int *way)
{
	for (*way = 0; *way < KVMINTRO_MEMORY_WAYS; ++*way) {
		if (!strcmp(text, kvmintro_memory_way_name(*way)))
			return CLI_OK;
	}
	out_error("--way: there is no way '%s'; choose any, vm, device, proc, guest or commands",
		  text);
	return CLI_USAGE;
}

/* Commands of a batch share it. */
int reach_memory(struct cli *cli, int way)
{
	const struct kvmintro_memory_options options = { .size = sizeof(options), .way = way };
	int r = cli_connect(cli);

	if (r || (cli->memory && cli->memory_way == way))
		return r;
	reach_close(cli);
	if (kvmintro_memory_open(cli->k, &options, &cli->memory) < 0)
		return out_failed(cli, "memory");
	cli->memory_way = way;
	return CLI_OK;
}

void reach_close(struct cli *cli)
{
	kvmintro_memory_close(cli->memory);
	cli->memory = NULL;
}

void reach_explain(const struct cli *cli)
{
	const char *why;
	int way;

	if (cli->memory_way || kvmintro_memory_way(cli->memory) != KVMINTRO_MEMORY_COMMANDS)
		return;
	fprintf(stderr, "kvmi: memory cannot be mapped, which would be faster:\n");
	for (way = 0; way < KVMINTRO_MEMORY_WAYS; way++) {
		why = kvmintro_memory_refusal(cli->memory, way);
		if (why)
			fprintf(stderr, "kvmi:   %s\n", why);
	}
}
