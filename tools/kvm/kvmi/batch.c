// SPDX-License-Identifier: GPL-2.0-only
/* kvmi batch: several commands over one connection. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define MAX_WORDS 64
#define LINE_MAX_BYTES 65536

/* Not stdio: waiting for a line must not keep a signal from ending the wait. */
struct reader {
	int fd;
	size_t fill;
	size_t used;
	char buf[LINE_MAX_BYTES + 1];
};

/* 1: something was read, 0: the end, -1: a signal or an error. */
static int fill(struct cli *cli, struct reader *in)
{
	struct pollfd fds[] = {
		{ .fd = in->fd, .events = POLLIN },
		{ .fd = cli->signal_fd, .events = POLLIN },
	};
	ssize_t n;

	if (poll(fds, 2, -1) < 0 && errno != EINTR)
		goto error;
	if (fds[1].revents) {
		out_error("batch: interrupted");
		return -1;
	}
	n = read(in->fd, in->buf + in->fill, LINE_MAX_BYTES - in->fill);
	if (n >= 0) {
		in->fill += n;
		return n > 0;
	}
	if (errno == EINTR || errno == EAGAIN)
		return 1;
error:
	out_error("batch: %s", strerror(errno));
	return -1;
}

/* The next line without its end, NULL at the end or after an error. */
static char *next_line(struct cli *cli, struct reader *in, int *r)
{
	char *line, *end;
	int got = 1;

	memmove(in->buf, in->buf + in->used, in->fill - in->used);
	in->fill -= in->used;
	in->used = 0;

	while (!(end = memchr(in->buf, '\n', in->fill)) && got > 0) {
		if (in->fill == LINE_MAX_BYTES) {
			out_error("batch: a line has more than %d bytes",
				  LINE_MAX_BYTES);
			got = -1;
		} else {
			got = fill(cli, in);
		}
	}
	*r = got < 0 ? CLI_FAILED : CLI_OK;
	if (got < 0 || (!end && !in->fill))
		return NULL;

	line = in->buf;
	in->used = end ? (size_t)(end - line) + 1 : in->fill;
	line[end ? (size_t)(end - line) : in->fill] = '\0';
	return line;
}

static int run_line(struct cli *cli, char *line, unsigned int number)
{
	char *words[MAX_WORDS + 1], *save;
	int count = 0, r;

	line[strcspn(line, "#")] = '\0';
	words[count] = strtok_r(line, " \t\r", &save);
	while (words[count] && count < MAX_WORDS)
		words[++count] = strtok_r(NULL, " \t\r", &save);
	if (!count)
		return CLI_OK;
	if (words[count]) {
		out_error("line %u: more than %d words", number, MAX_WORDS);
		return CLI_USAGE;
	}
	if (!strcmp(words[0], "batch")) {
		out_error("line %u: a batch cannot start another", number);
		return CLI_USAGE;
	}
	r = cli_run(cli, count, words);
	if (r)
		out_error("line %u failed; the lines after it were not run",
			  number);
	return r;
}

static int run_lines(struct cli *cli, int fd, const char *mark)
{
	struct reader *in = calloc(1, sizeof(*in));
	unsigned int number = 0;
	char *line;
	int r;

	if (!in) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	in->fd = fd;
	do {
		line = next_line(cli, in, &r);
		if (line)
			r = run_line(cli, line, ++number);
		if (line && mark) {
			puts(mark);
			out_flush();
		}
	} while (line && !r);
	free(in);
	return r;
}

static int run_batch(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "mark", required_argument, NULL, 'm' },
		{ 0 }
	};
	const char *file, *mark = NULL;
	int opt, fd = STDIN_FILENO, r;

	while ((opt = next_option(&command_batch, argc, argv, "", longs)) != -1) {
		if (opt != 'm')
			return CLI_USAGE;
		mark = optarg;
	}
	if (argc - optind != 1)
		return cli_usage(&command_batch);
	file = argv[optind];
	if (strcmp(file, "-")) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			out_error("%s: %s", file, strerror(errno));
			return CLI_FAILED;
		}
	}
	r = cli_connect(cli);
	cli->batch = true;
	if (!r)
		r = run_lines(cli, fd, mark);
	if (fd != STDIN_FILENO)
		close(fd);
	return r;
}

const struct cli_command command_batch = {
	.name = "batch",
	.args = "FILE|- [--mark TEXT]",
	.summary = "run commands from a file over one connection",
	.help =
	"Runs one command per line of FILE, or of the standard input: the words after\n"
	"`listen SOCKET` or `attach --pid PID`, without quoting. # begins a comment. Each\n"
	"line's output is complete before the next line is read, so another program can\n"
	"drive it through a pipe. Stops at the first line that fails, with its status.\n\n"
	"  --mark TEXT      print TEXT on a line of its own after the output of each line\n\n"
	"A consistent look at a VM, for example:\n\n"
	"  pause --keep\n"
	"  regs\n"
	"  read 0x1000 4K\n"
	"  resume\n",
	.run = run_batch,
};
