// SPDX-License-Identifier: GPL-2.0-only
/* kvmi resume: end a pause that a batch or a process in the background holds. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"

#define EXIT_TIMEOUT 30000

static int say_resumed(struct cli *cli)
{
	struct json_object *o;

	if (cli->json) {
		o = json_object_new_object();
		json_object_object_add(o, "resumed", json_object_new_boolean(true));
		out_json(o);
	} else {
		printf("resumed\n");
	}
	return out_flush();
}

/* The process of @path. Whoever holds the file's lock is the pause. */
static pid_t read_pidfile(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t pid = -1;

	if (fd < 0) {
		out_error("%s: %s; nothing is paused with this file", path,
			  strerror(errno));
		return -1;
	}
	if (!flock(fd, LOCK_SH | LOCK_NB))
		out_error("%s: who held the pause is gone, so the VM runs; remove the file",
			  path);
	else if (read(fd, text, sizeof(text) - 1) <= 0 || atoi(text) <= 1)
		out_error("%s: no process id in it", path);
	else
		pid = atoi(text);
	close(fd);
	return pid;
}

static int end_process(const char *path, pid_t pid)
{
	struct pollfd p = { .events = POLLIN };
	int r = CLI_FAILED;

	p.fd = syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0 || syscall(SYS_pidfd_send_signal, p.fd, SIGTERM, NULL, 0) < 0)
		out_error("process %d of %s: %s", pid, path, strerror(errno));
	else if (poll(&p, 1, EXIT_TIMEOUT) != 1)
		out_error("process %d of %s does not end; kill it to let the VM run",
			  pid, path);
	else
		r = CLI_OK;
	if (p.fd >= 0)
		close(p.fd);
	return r;
}

static int run_resume(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "pidfile", required_argument, NULL, 'p' },
		{ 0 }
	};
	const char *path = NULL;
	pid_t pid;
	int opt, r;

	while ((opt = next_option(&command_resume, argc, argv, "", longs)) != -1) {
		if (opt != 'p')
			return CLI_USAGE;
		path = optarg;
	}
	if (optind != argc || (!path && !cli->batch))
		return cli_usage(&command_resume);
	if (path) {
		pid = read_pidfile(path);
		r = pid < 0 ? CLI_FAILED : end_process(path, pid);
	} else if (!cli->held_count) {
		out_error("resume: this batch has paused nothing");
		r = CLI_FAILED;
	} else {
		r = pause_release(cli);
	}
	return r ? r : say_resumed(cli);
}

const struct cli_command command_resume = {
	.name = "resume",
	.args = "[--pidfile FILE]",
	.summary = "end a pause",
	.help =
	"Lets the vCPUs run again.\n\n"
	"  --pidfile FILE   ends `kvmi pause --background --pidfile FILE`, and returns when\n"
	"                   that process has ended; needs neither listen nor attach\n\n"
	"In a batch, without option, it ends the pause of a line `pause --keep`. Any other\n"
	"pause ends with the process that holds it.\n",
	.run = run_resume,
	.alone = true,
};
