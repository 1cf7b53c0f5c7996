// SPDX-License-Identifier: GPL-2.0-only
/* kvmi: introspect a virtual machine of KVM. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const struct cli_command *const commands[] = {
	&command_info,	    &command_regs,  &command_xsave,  &command_cpuid,
	&command_read,	    &command_write, &command_dump,   &command_strings,
	&command_translate,
	&command_pause,	    &command_resume, &command_trace, &command_watch,
	&command_step,	    &command_break, &command_inject, &command_batch,
};

const struct cli_command *cli_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

void cli_help(FILE *out)
{
	size_t i;

	fprintf(out,
		"kvmi: introspect a virtual machine of KVM\n\n"
		"usage: kvmi [--json] listen SOCKET [OPTIONS] COMMAND [ARGUMENTS]\n"
		"       kvmi [--json] attach --pid PID [OPTIONS] COMMAND [ARGUMENTS]\n"
		"       kvmi resume --pidfile FILE\n"
		"       kvmi help [COMMAND] | --help | --version\n\n"
		"listen waits for QEMU's introspection object on SOCKET: the path of a Unix\n"
		"socket, or vsock:PORT.\n"
		"  --key FILE       the secret that QEMU asks for: all bytes of FILE\n"
		"  --wait SECONDS   give up if QEMU does not connect in time\n"
		"attach takes a VM of the running process PID, which need not know. Needs root.\n"
		"  --vm N           which VM, if the process has several; they count from 0\n"
		"  --force          take the VM even if another tool has it\n"
		"both:\n"
		"  --timeout SECONDS  how long a command waits for the kernel's answer (15)\n"
		"  --json           one JSON document per line; addresses and registers are\n"
		"                   strings, as their values do not fit every JSON reader\n\n"
		"commands:\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name,
			commands[i]->summary);
	fprintf(out, "\nNumbers are decimal or 0x hexadecimal; sizes take K, M or G. Exit status:\n"
		"0 success, 1 failure, 2 wrong usage. `kvmi help COMMAND` tells more.\n");
}

/* Run one command line without the part that says how to connect. */
int cli_run(struct cli *cli, int argc, char **argv)
{
	const struct cli_command *command;

	if (!argc) {
		out_error("a command is missing; see kvmi --help");
		return CLI_USAGE;
	}
	command = cli_find(argv[0]);
	if (!command) {
		out_error("there is no command '%s'; see kvmi --help", argv[0]);
		return CLI_USAGE;
	}
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		cli_command_help(command);
		return out_flush();
	}
	if (cli->how == HOW_NOT && !command->alone) {
		out_error("'%s' needs a VM: kvmi listen SOCKET %s, or kvmi attach --pid PID %s",
			  argv[0], argv[0], argv[0]);
		return CLI_USAGE;
	}
	/* 0 makes getopt_long() forget the line before. */
	optind = 0;
	return command->run(cli, argc, argv);
}

enum { OPT_KEY = 256, OPT_WAIT, OPT_PID, OPT_VM, OPT_FORCE, OPT_TIMEOUT };

static int connect_option(struct cli *cli, int opt)
{
	uint64_t value;
	int r, ms;

	switch (opt) {
	case OPT_KEY:
		cli->key_file = optarg;
		return CLI_OK;
	case OPT_WAIT:
		return parse_seconds("--wait", optarg, &cli->wait);
	case OPT_PID:
		r = parse_limited("--pid", optarg, INT32_MAX, &value);
		cli->attach.pid = value;
		return r;
	case OPT_VM:
		r = parse_limited("--vm", optarg, 65535, &value);
		cli->attach.vm = value;
		return r;
	case OPT_FORCE:
		cli->attach.force = true;
		return CLI_OK;
	case OPT_TIMEOUT:
		r = parse_seconds("--timeout", optarg, &ms);
		kvmintro_set_timeout(cli->k, ms);
		return r;
	default:
		return CLI_USAGE;
	}
}

static int connect_options(struct cli *cli, int argc, char **argv,
			   const struct option *longs)
{
	int opt, r = CLI_OK;

	while (!r && (opt = getopt_long(argc, argv, "+", longs, NULL)) != -1)
		r = connect_option(cli, opt);
	return r;
}

static int do_listen(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "key", required_argument, NULL, OPT_KEY },
		{ "wait", required_argument, NULL, OPT_WAIT },
		{ "timeout", required_argument, NULL, OPT_TIMEOUT },
		{ 0 }
	};
	int r;

	cli->how = HOW_LISTEN;
	optind = 0;
	r = connect_options(cli, argc, argv, longs);
	if (r)
		return r;
	if (optind == argc) {
		out_error("listen needs a SOCKET: a path, or vsock:PORT");
		return CLI_USAGE;
	}
	cli->socket = argv[optind];

	/* Options may stand on both sides of SOCKET. */
	argc -= optind;
	argv += optind;
	optind = 0;
	r = connect_options(cli, argc, argv, longs);
	return r ? r : cli_run(cli, argc - optind, argv + optind);
}

static int do_attach(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, OPT_PID },
		{ "vm", required_argument, NULL, OPT_VM },
		{ "force", no_argument, NULL, OPT_FORCE },
		{ "timeout", required_argument, NULL, OPT_TIMEOUT },
		{ 0 }
	};
	int r;

	cli->how = HOW_ATTACH;
	optind = 0;
	r = connect_options(cli, argc, argv, longs);
	if (r)
		return r;
	if (cli->attach.pid <= 0) {
		out_error("attach needs --pid PID, the process that runs the VM");
		return CLI_USAGE;
	}
	return cli_run(cli, argc - optind, argv + optind);
}

static int do_help(int argc, char **argv)
{
	const struct cli_command *command;

	if (argc < 2) {
		cli_help(stdout);
		return out_flush();
	}
	command = cli_find(argv[1]);
	if (!command) {
		out_error("there is no command '%s'; see kvmi --help", argv[1]);
		return CLI_USAGE;
	}
	cli_command_help(command);
	return out_flush();
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
	if (!argc) {
		cli_help(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[0], "help"))
		return do_help(argc, argv);
	if (!strcmp(argv[0], "listen"))
		return do_listen(cli, argc, argv);
	if (!strcmp(argv[0], "attach"))
		return do_attach(cli, argc, argv);
	return cli_run(cli, argc, argv);
}

static int global_options(struct cli *cli, int argc, char **argv, bool *done)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+jhV", longs, NULL)) != -1) {
		switch (opt) {
		case 'j':
			cli->json = true;
			break;
		case 'h':
			cli_help(stdout);
			*done = true;
			return out_flush();
		case 'V':
			printf("kvmi %s, protocol version %d\n", KVMI_CLI_VERSION,
			       KVMI_VERSION);
			*done = true;
			return out_flush();
		default:
			return CLI_USAGE;
		}
	}
	return CLI_OK;
}

int main(int argc, char **argv)
{
	struct cli cli = {
		.attach = { .size = sizeof(cli.attach), .vm = -1 },
		.listen_fd = -1,
		.signal_fd = -1,
		.wait = -1,
		.k = kvmintro_new(),
	};
	bool done = false;
	int r, end;

	if (!cli.k) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	r = global_options(&cli, argc, argv, &done);
	if (!r && !done)
		r = dispatch(&cli, argc - optind, argv + optind);

	end = cli_disconnect(&cli);
	kvmintro_free(cli.k);
	return r ? r : end;
}
