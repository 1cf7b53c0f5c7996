// SPDX-License-Identifier: GPL-2.0-only
/* From the arguments of listen and attach to a connection, and back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli.h"

#define KEY_MAX 65536

/*
 * A tool that is killed leaves an attached VM hooked. So signals become
 * readable: whatever waits ends, and the way out is the usual one.
 */
static int take_signals(struct cli *cli)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	cli->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (cli->signal_fd < 0) {
		out_error("signalfd: %s", strerror(errno));
		return CLI_FAILED;
	}
	kvmintro_set_cancel_fd(cli->k, cli->signal_fd);
	return CLI_OK;
}

/* Has a signal come since the last call? */
bool cli_signalled(struct cli *cli)
{
	struct signalfd_siginfo info;

	return read(cli->signal_fd, &info, sizeof(info)) == sizeof(info);
}

static int read_key(const char *file, uint8_t *hash)
{
	static uint8_t key[KEY_MAX];
	ssize_t n, size = 0;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		out_error("--key: %s: %s", file, strerror(errno));
		return CLI_FAILED;
	}
	while ((n = read(fd, key + size, sizeof(key) - size)) > 0)
		size += n;
	close(fd);
	if (n < 0 || !size || size == sizeof(key)) {
		out_error("--key: %s: %s", file, n < 0 ? strerror(errno) :
			  !size ? "the file is empty" : "the file is too large for a key");
		return CLI_FAILED;
	}
	kvmintro_hash_key(key, size, hash);
	memset(key, 0, sizeof(key));
	return CLI_OK;
}

static int connect_listen(struct cli *cli)
{
	struct kvmintro_accept_options options = {
		.size = sizeof(options),
		.accept_timeout = cli->wait,
	};
	uint8_t hash[KVMINTRO_HASH_SIZE];

	if (cli->key_file) {
		if (read_key(cli->key_file, hash))
			return CLI_FAILED;
		options.key_hash = hash;
	}
	cli->listen_fd = kvmintro_listen(cli->k, cli->socket);
	if (cli->listen_fd < 0)
		return out_failed(cli, "listen");

	fprintf(stderr, "kvmi: waiting for QEMU on %s\n", cli->socket);
	if (kvmintro_accept(cli->k, cli->listen_fd, &options) < 0)
		return out_failed(cli, "listen");
	return CLI_OK;
}

int cli_connect(struct cli *cli)
{
	int r;

	if (cli->connected)
		return CLI_OK;
	r = take_signals(cli);
	if (r)
		return r;
	if (cli->how == HOW_LISTEN)
		r = connect_listen(cli);
	else if (kvmintro_attach(cli->k, &cli->attach) < 0)
		r = out_failed(cli, "attach");
	cli->connected = !r;
	return r;
}

int cli_reconnect(struct cli *cli, int timeout)
{
	struct kvmintro_accept_options options = {
		.size = sizeof(options),
		.accept_timeout = timeout,
	};
	uint8_t hash[KVMINTRO_HASH_SIZE];
	int r;

	reach_close(cli);
	kvmintro_close(cli->k);
	if (cli->how == HOW_ATTACH)
		return kvmintro_attach(cli->k, &cli->attach);
	if (cli->key_file) {
		if (read_key(cli->key_file, hash))
			return -EINVAL;
		options.key_hash = hash;
	}
	do {
		r = kvmintro_accept(cli->k, cli->listen_fd, &options);
	} while (r == -ECANCELED && cli_signalled(cli));
	return r;
}

int cli_disconnect(struct cli *cli)
{
	int r = CLI_OK;

	reach_close(cli);
	/* With the connection the kernel has let go of the vCPUs, too. */
	if (cli->held_count && kvmintro_fd(cli->k) >= 0)
		r = pause_release(cli);
	if (cli->connected && kvmintro_close(cli->k) < 0)
		r = out_failed(cli, "detach");
	cli->connected = false;
	if (cli->listen_fd >= 0)
		kvmintro_unlisten(cli->listen_fd);
	cli->listen_fd = -1;
	return r;
}
