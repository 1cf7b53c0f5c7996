/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_CLI_H
#define KVMI_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <json-c/json.h>
#include <kvmi/kvmi.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* What every function that can fail returns, and the exit status. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

enum cli_how { HOW_NOT, HOW_LISTEN, HOW_ATTACH };

struct cli {
	bool json;
	/* Commands come from a file: they share one connection. */
	bool batch;

	/*
	 * How to connect. Nothing is connected before a command's own arguments
	 * are known to be good.
	 */
	enum cli_how how;
	const char *socket;
	const char *key_file;
	int wait;
	struct kvmintro_attach_options attach;

	struct kvmintro *k;
	bool connected;
	/* The guest's memory, if a command has needed it, and the way asked for. */
	struct kvmintro_memory *memory;
	int memory_way;
	int listen_fd;
	/* SIGINT, SIGTERM, SIGHUP as a descriptor. */
	int signal_fd;

	/* PAUSE events that are not answered yet. */
	struct kvmintro_event *held;
	size_t held_count;
};

struct cli_command {
	const char *name;
	const char *args;
	const char *summary;
	const char *help;
	int (*run)(struct cli *cli, int argc, char **argv);
	/* Works without a VM, too. */
	bool alone;
};

extern const struct cli_command command_info, command_regs, command_read,
	command_write, command_translate, command_xsave, command_cpuid,
	command_pause, command_resume, command_trace, command_watch,
	command_step, command_break, command_inject, command_batch, command_dump,
	command_strings;

/* main.c */
const struct cli_command *cli_find(const char *name);
int cli_run(struct cli *cli, int argc, char **argv);

/* help.c */
void cli_help(FILE *out);
void cli_command_help(const struct cli_command *command);
int cli_usage(const struct cli_command *command);

/* connect.c */
int cli_connect(struct cli *cli);
int cli_disconnect(struct cli *cli);
/* After the connection was lost. 0 or -errno; nothing is said. */
int cli_reconnect(struct cli *cli, int timeout);
bool cli_signalled(struct cli *cli);

/* parse.c: on failure they say why and return CLI_USAGE. */
int parse_u64(const char *what, const char *text, uint64_t *value);
int parse_limited(const char *what, const char *text, uint64_t max,
		  uint64_t *value);
int parse_size(const char *what, const char *text, uint64_t *value);
int parse_seconds(const char *what, const char *text, int *ms);
int parse_vcpu(const char *text, int *vcpu);
/*
 * ADDR is one byte, ADDR-END ends before END. @text is taken apart; @at stands before
 * what is said about it.
 */
int parse_range(const char *at, char *text, uint64_t *first, uint64_t *last);
int parse_hex(const char *text, uint8_t **data, size_t *size);
/* A list that is separated by commas: @each takes one entry. */
int parse_list(char *list, int (*each)(const char *text, void *arg), void *arg);
/* The next option of a command, -1 at the end; '?' was reported. */
int next_option(const struct cli_command *command, int argc, char **argv,
		const char *shorts, const struct option *longs);

/* memory_args.c */
struct memory_args {
	uint64_t address;
	bool virtual;
	int vcpu;
	const char *file;
	/* See --way: not for all commands. */
	bool has_way;
	int way;
};

/* @file is the option that names a file: its first letter is its short form. */
int memory_options(const struct cli_command *command, int argc, char **argv,
		   const char *file, struct memory_args *q);
int memory_range(const struct memory_args *q, uint64_t size);

/* reach.c: how memory is reached. */
#define WAYS_HELP \
	"  --way WAY        vm: mapped, after attach; device: mapped, by /dev/kvmi-mem;\n" \
	"                   proc: mapped, by /proc/kvmi-mem-UUID; guest: mapped, from within\n" \
	"                   another VM; commands: page by page over the connection; any: the\n" \
	"                   first of these that can be used (any)\n"
int parse_way(const char *text, int *way);
/* Connect if need be, and open cli->memory. */
int reach_memory(struct cli *cli, int way);
void reach_close(struct cli *cli);
/* Say on stderr why nothing could be mapped, if that is so. */
void reach_explain(const struct cli *cli);

/* out.c */
void out_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Report the last failure of the library; CLI_FAILED. */
int out_failed(struct cli *cli, const char *doing);
/* Print a document as one line and release it; CLI_OK or CLI_FAILED. */
int out_json(struct json_object *doc);
int out_flush(void);
struct json_object *json_hex(uint64_t value);
struct json_object *json_bytes(const void *data, size_t size);
/* Hex dump of what lies at @address; lines begin at multiples of 16. */
void out_dump(uint64_t address, const uint8_t *data, size_t size);

/* exceptions.c: a vector by its name or number, and its name, NULL for others. */
int parse_vector(const char *text, uint8_t *vector);
const char *exception_name(uint8_t vector);
bool exception_has_code(uint8_t vector);

/* pause.c */
int pause_release(struct cli *cli);

#endif
