// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "cli.h"

static void print_usage(FILE *out, const struct cli_command *command)
{
	fprintf(out, "usage: kvmi %s%s%s%s\n",
		command->alone ? "[listen ... | attach ...] " :
				 "listen ... | attach ... ",
		command->name, *command->args ? " " : "", command->args);
}

void cli_command_help(const struct cli_command *command)
{
	printf("kvmi %s: %s\n\n", command->name, command->summary);
	print_usage(stdout, command);
	printf("\n%s", command->help);
}

int cli_usage(const struct cli_command *command)
{
	print_usage(stderr, command);
	fprintf(stderr, "`kvmi help %s` tells more\n", command->name);
	return CLI_USAGE;
}
