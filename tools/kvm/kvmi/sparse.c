// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "sparse.h"
#include "walk.h"

/* The unit of a hole, as file systems have it. */
#define BLOCK 4096

int sparse_check(const struct sparse *f)
{
	struct stat st;

	if (stat(f->path, &st) < 0)
		return CLI_OK;
	if (!S_ISREG(st.st_mode)) {
		out_error("%s: this is no regular file", f->path);
		return CLI_FAILED;
	}
	if (!f->force) {
		out_error("%s: the file exists; --force replaces it", f->path);
		return CLI_FAILED;
	}
	return CLI_OK;
}

static int failed(const struct sparse *f, int err)
{
	char text[16];

	switch (err) {
	case ENOSPC:
	case EDQUOT:
		out_error("%s: no space is left after %s; nothing was kept", f->path,
			  walk_human(f->written, text));
		break;
	case EFBIG:
		out_error("%s: the file system or a limit forbids files of this size; see --range",
			  f->path);
		break;
	default:
		out_error("%s: %s", f->path, strerror(err));
	}
	return CLI_FAILED;
}

/* Is what was opened and locked still what the name means? */
static bool is_named(const struct sparse *f)
{
	struct stat opened, named;

	return !fstat(f->fd, &opened) && !stat(f->partial, &named) &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* The guest's secrets are in it: it is for its owner alone. */
int sparse_open(struct sparse *f)
{
	int fd;

	f->fd = -1;
	/* Too large a file is an error like others. */
	signal(SIGXFSZ, SIG_IGN);
	if (asprintf(&f->partial, "%s.partial", f->path) < 0) {
		f->partial = NULL;
		return failed(f, ENOMEM);
	}
	fd = open(f->partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failed(f, errno);
	f->fd = fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_named(f)) {
		out_error("%s: another dump is being written", f->partial);
		f->fd = -1;
		close(fd);
		return CLI_FAILED;
	}
	return ftruncate(fd, 0) < 0 || fchmod(fd, 0600) < 0 ? failed(f, errno) : CLI_OK;
}

static bool is_zero(const uint8_t *data, size_t size)
{
	return !data[0] && !memcmp(data, data + 1, size - 1);
}

static int put(struct sparse *f, uint64_t offset, const uint8_t *data, size_t size)
{
	ssize_t n;

	while (size) {
		n = pwrite(f->fd, data, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(f, errno);
		f->written += n;
		offset += n;
		data += n;
		size -= n;
	}
	return CLI_OK;
}

/* Blocks that have something follow each other in one write. */
int sparse_write(struct sparse *f, uint64_t offset, const uint8_t *data, size_t size)
{
	size_t at, n, begin = 0;
	bool hole = true, zero;
	int r = CLI_OK;

	for (at = 0; !r && at < size; at += n) {
		n = BLOCK - (offset + at) % BLOCK;
		if (n > size - at)
			n = size - at;
		zero = is_zero(data + at, n);
		if (!hole && zero)
			r = put(f, offset + begin, data + begin, at - begin);
		if (hole && !zero)
			begin = at;
		hole = zero;
	}
	return r || hole ? r : put(f, offset + begin, data + begin, size - begin);
}

static int give_name(const struct sparse *f)
{
	if (f->force)
		return rename(f->partial, f->path);
	if (!renameat2(AT_FDCWD, f->partial, AT_FDCWD, f->path, RENAME_NOREPLACE))
		return 0;
	/* Not every file system can do that. */
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return link(f->partial, f->path) ? : unlink(f->partial);
}

int sparse_finish(struct sparse *f, uint64_t size)
{
	/* Some file systems tell of a full device only when a file is closed. */
	if (ftruncate(f->fd, size) < 0 || close(dup(f->fd)) < 0 || give_name(f) < 0)
		return failed(f, errno);
	close(f->fd);
	f->fd = -1;
	return CLI_OK;
}

void sparse_close(struct sparse *f)
{
	if (f->partial && f->fd >= 0) {
		unlink(f->partial);
		close(f->fd);
	}
	free(f->partial);
	f->partial = NULL;
}
