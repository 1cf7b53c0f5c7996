// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmi pause: the VM stands still as long as its PAUSE events are not answered.
 * They belong to a connection, so somebody has to hold that connection: this
 * process, a batch, or a process in the background.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "pause.h"

#define EVENT_TIMEOUT 15000

struct request {
	int duration;
	bool keep;
	bool background;
	const char *pidfile;
	struct pause_at at;
};

/* Take the PAUSE event of every vCPU. Others could be left from a CR trace. */
static int collect(struct cli *cli, size_t count)
{
	struct kvmintro_event ev;
	int r;

	while (cli->held_count < count) {
		r = kvmintro_wait_event(cli->k, EVENT_TIMEOUT, &ev);
		if (!r) {
			out_error("pause: %zu of %zu vCPUs went on for %d s; is the VM stopped?",
				  count - cli->held_count, count,
				  EVENT_TIMEOUT / 1000);
			return CLI_FAILED;
		}
		if (r < 0)
			return out_failed(cli, "pause");
		if (ev.id == KVMI_VCPU_EVENT_PAUSE)
			cli->held[cli->held_count++] = ev;
		else if (kvmintro_continue(cli->k, &ev) < 0)
			return out_failed(cli, "pause");
	}
	return CLI_OK;
}

int pause_all(struct cli *cli, const struct kvmintro_event *at)
{
	int count, r;

	count = kvmintro_pause_all(cli->k);
	if (count < 0 || (at && kvmintro_continue(cli->k, at) < 0))
		return out_failed(cli, "pause");
	cli->held = calloc(count ? count : 1, sizeof(*cli->held));
	if (!cli->held) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	r = collect(cli, count);
	/* Some may still come: only the end of the connection releases them. */
	if (r) {
		cli->held_count = 0;
		free(cli->held);
		cli->held = NULL;
	}
	return r;
}

int pause_release(struct cli *cli)
{
	int r = CLI_OK;
	size_t i;

	for (i = 0; !r && i < cli->held_count; i++) {
		if (kvmintro_continue(cli->k, &cli->held[i]) < 0)
			r = out_failed(cli, "resume");
	}
	cli->held_count = 0;
	free(cli->held);
	cli->held = NULL;
	return r;
}

static int report(struct cli *cli)
{
	const struct kvmintro_event *ev;
	struct json_object *o, *list;
	size_t i;

	if (cli->json) {
		o = json_object_new_object();
		list = json_object_new_array();
		json_object_object_add(o, "paused", list);
		for (i = 0; i < cli->held_count; i++) {
			struct json_object *v = json_object_new_object();

			ev = &cli->held[i];
			json_object_object_add(v, "vcpu",
					       json_object_new_int(ev->vcpu));
			json_object_object_add(v, "rip",
					       json_hex(ev->arch.regs.rip));
			json_object_array_add(list, v);
		}
		out_json(o);
		return out_flush();
	}
	printf("paused %zu vCPUs\n", cli->held_count);
	for (i = 0; i < cli->held_count; i++) {
		ev = &cli->held[i];
		printf("  vCPU %u at rip %016llx\n", ev->vcpu, ev->arch.regs.rip);
	}
	return out_flush();
}

/* Does @fd have its end? Input before it does not matter. */
static bool at_end(int fd)
{
	char buf[256];

	return read(fd, buf, sizeof(buf)) <= 0;
}

/*
 * Wait for the end of the time (@ms >= 0), of the input (@input >= 0), for a
 * signal or for the end of the connection.
 */
static int hold(struct cli *cli, int ms, int input)
{
	struct pollfd fds[] = {
		{ .fd = cli->signal_fd, .events = POLLIN },
		{ .fd = kvmintro_fd(cli->k), .events = POLLIN },
		{ .fd = input, .events = POLLIN },
	};
	struct kvmintro_event ev;
	struct timespec now, start;
	int left = ms, r;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		r = poll(fds, 3, left);
		if (r == 0 || fds[0].revents || (fds[2].revents && at_end(input)))
			break;
		if (fds[1].revents) {
			r = kvmintro_wait_event(cli->k, 0, &ev);
			if (r > 0)
				r = kvmintro_continue(cli->k, &ev);
			if (r < 0)
				return out_failed(cli, "pause");
		}
		if (ms >= 0) {
			clock_gettime(CLOCK_MONOTONIC, &now);
			left = ms - (int)((now.tv_sec - start.tv_sec) * 1000 +
					  (now.tv_nsec - start.tv_nsec) / 1000000);
			if (left <= 0)
				break;
		}
	}
	cli_signalled(cli);
	return CLI_OK;
}

/* The lock tells whether the process in the background is still there. */
static int open_pidfile(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0) {
		out_error("%s: %s", path, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		out_error("%s: another pause holds this file; `kvmi resume --pidfile %s` ends it",
			  path, path);
		close(fd);
		return -1;
	}
	return fd;
}

static void detach_from_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
}

static int to_background(struct cli *cli, const struct request *q, int fd)
{
	char text[32];
	int n, r;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		out_error("fork: %s", strerror(errno));
		return CLI_FAILED;
	}
	if (pid) {
		n = snprintf(text, sizeof(text), "%d\n", pid);
		if (ftruncate(fd, 0) < 0 || pwrite(fd, text, n, 0) != n)
			out_error("%s: %s; process %d holds the pause",
				  q->pidfile, strerror(errno), pid);
		/* The connection is the child's now: leave it alone. */
		_exit(CLI_OK);
	}
	detach_from_terminal();
	r = hold(cli, q->duration, -1);
	if (!r)
		r = pause_release(cli);
	cli_disconnect(cli);
	unlink(q->pidfile);
	_exit(r);
}

static int parse_args(struct cli *cli, int argc, char **argv, struct request *q)
{
	static const struct option longs[] = {
		{ "for", required_argument, NULL, 'f' },
		{ "keep", no_argument, NULL, 'k' },
		{ "background", no_argument, NULL, 'b' },
		{ "pidfile", required_argument, NULL, 'p' },
		{ "cr", required_argument, NULL, 'c' },
		{ "rip", required_argument, NULL, 'r' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_pause, argc, argv, "", longs)) != -1) {
		if (opt == 'f')
			r = parse_seconds("--for", optarg, &q->duration);
		else if (opt == 'k')
			q->keep = true;
		else if (opt == 'b')
			q->background = true;
		else if (opt == 'p')
			q->pidfile = optarg;
		else if (opt == 'c' || opt == 'r')
			r = pause_at_option(&q->at, opt);
		else
			r = CLI_USAGE;
	}
	if (!r)
		r = pause_at_check(&q->at);
	if (r)
		return r;
	if (optind != argc || q->background != !!q->pidfile)
		return cli_usage(&command_pause);
	if (cli->batch ? q->background : q->keep) {
		out_error(cli->batch ? "--background cannot be used in a batch" :
				       "--keep can be used in a batch only");
		return CLI_USAGE;
	}
	if (cli->batch && !q->keep && q->duration < 0) {
		out_error("in a batch pause needs --keep or --for SECONDS");
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int pause_and_hold(struct cli *cli, const struct request *q)
{
	int fd = -1, r;

	if (cli->held_count) {
		out_error("the VM is paused");
		return CLI_FAILED;
	}
	if (q->pidfile) {
		fd = open_pidfile(q->pidfile);
		if (fd < 0)
			return CLI_FAILED;
	}
	r = q->at.choice.crs ? pause_at(cli, &q->at) : pause_all(cli, NULL);
	if (!r)
		r = report(cli);
	if (!r && q->background)
		r = to_background(cli, q, fd);
	else if (!r && !q->keep)
		r = hold(cli, q->duration, q->duration < 0 ? STDIN_FILENO : -1);
	if (!r && !q->keep)
		r = pause_release(cli);
	if (fd >= 0) {
		unlink(q->pidfile);
		close(fd);
	}
	return r;
}

static int run_pause(struct cli *cli, int argc, char **argv)
{
	struct request q = { .duration = -1 };
	int r = parse_args(cli, argc, argv, &q);

	if (!r)
		r = cli_connect(cli);
	return r ? r : pause_and_hold(cli, &q);
}

const struct cli_command command_pause = {
	.name = "pause",
	.args = "[--cr LIST [--rip ADDR[-END]]] [--for SECONDS]\n"
		"            [--background --pidfile FILE] [--keep]",
	.summary = "stop all vCPUs, at once or where the guest has come to a place",
	.help =
	"Stops all vCPUs, says where they stand, and holds them until ^C or the end of the\n"
	"standard input. Then the VM runs on. It also runs on when this process dies: the\n"
	"pause belongs to its connection.\n\n"
	"  --cr LIST        not at once, but when a vCPU has written a control register, of\n"
	"                   these among 0, 3 and 4, with a value that changed it; the write is\n"
	"                   printed as by trace\n"
	"  --rip ADDR[-END] and by an instruction at ADDR, or from ADDR up to, not including,\n"
	"                   END; addresses are those in RIP\n"
	"  --for SECONDS    hold them so long, whatever the standard input does\n"
	"  --background     return when all stand still, and hold them in the background;\n"
	"                   `kvmi resume --pidfile FILE` ends it\n"
	"  --pidfile FILE   where the process in the background is found\n"
	"  --keep           in a batch: go on with the next line; `resume` or the batch's\n"
	"                   end ends it\n",
	.run = run_pause,
};
