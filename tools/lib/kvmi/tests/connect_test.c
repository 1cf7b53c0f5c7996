// SPDX-License-Identifier: LGPL-2.1-or-later
/* The handshake with VMMs of every kind, and attaching where there is no VM. */
#include "peer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char path[64];

static void put32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, sizeof(value));
}

/* Connect as a VMM does, and send @size bytes of @hello. */
static int vmm_connect(const uint8_t *hello, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		perror("connect");
		exit(1);
	}
	peer_send(fd, hello, size);
	return fd;
}

/*
 * What KVM answers to the questions with which the library finds out what is
 * allowed; here it becomes allowed only when it is asked for the third time.
 */
static void kernel(int fd, int refusals)
{
	const uint8_t version[16] = { 1 };
	struct kvmi_msg_hdr hdr;
	uint8_t body[64];

	while (recv(fd, &hdr, sizeof(hdr), MSG_WAITALL) == sizeof(hdr)) {
		if (hdr.size && recv(fd, body, hdr.size, MSG_WAITALL) != hdr.size)
			exit(1);
		if (hdr.id == KVMI_GET_VERSION) {
			peer_reply(fd, hdr.id, hdr.seq, 0, version, 16);
			continue;
		}
		if (hdr.id != KVMI_VM_CHECK_COMMAND)
			exit(1);
		if (body[0] == KVMI_VM_GET_INFO && refusals > 0)
			refusals--;
		peer_reply(fd, hdr.id, hdr.seq, refusals ? -KVM_EPERM : 0, NULL, 0);
	}
	exit(0);
}

struct vmm {
	const uint8_t *hello;
	size_t size;
	uint8_t answer[24];
	bool refuse;
	int refusals;
};

static pid_t start_vmm(const struct vmm *v)
{
	pid_t pid = fork();
	uint8_t got[24];
	int fd;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = vmm_connect(v->hello, v->size);
	if (recv(fd, got, sizeof(got), MSG_WAITALL) != sizeof(got))
		exit(1);
	if (memcmp(got, v->answer, sizeof(got)))
		exit(3);
	if (v->refuse)
		exit(0);
	kernel(fd, v->refusals);
	exit(1);
}

static int vmm_status(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void make_hello(uint8_t *hello, uint32_t size)
{
	int64_t start = 1234567890;
	int i;

	put32(hello, size);
	for (i = 0; i < 16; i++)
		hello[4 + i] = 0x10 + i;
	memcpy(hello + 24, &start, 8);
	memset(hello + 32, 'n', 64);
}

static void handshakes(int listen_fd)
{
	static const uint32_t sizes[] = { 32, 40, 96, 104, 65536 };
	static uint8_t hello[65536];
	const struct kvmintro_hello *h;
	size_t i, name;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vmm v = { .hello = hello, .size = sizes[i],
				 .answer = { 24 }, .refusals = 3 };
		struct kvmintro *k = kvmintro_new();
		pid_t pid;
		int r;

		make_hello(hello, sizes[i]);
		pid = start_vmm(&v);
		r = kvmintro_accept(k, listen_fd, NULL);
		h = kvmintro_hello(k);
		name = sizes[i] >= 96 ? 64 : sizes[i] - 32;
		ok(!r && h && h->uuid[0] == 0x10 && h->uuid[15] == 0x1f &&
		   h->start_time == 1234567890 && strlen(h->name) == name,
		   "handshake of %u bytes", sizes[i]);
		ok(!kvmintro_check_command(k, KVMI_VM_GET_INFO),
		   "what the VMM allows late is waited for");
		ok(kvmintro_accept(k, listen_fd, NULL) == -EISCONN, "not twice");
		kvmintro_free(k);
		ok(!vmm_status(pid), "the VMM is content");
	}
}

static void keys(int listen_fd)
{
	/* SHA-1 of "abc", as in FIPS 180. */
	static const uint8_t abc[] = {
		0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
		0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d };
	struct kvmintro_accept_options o = { .size = sizeof(o) };
	uint8_t hello[96] = { 0 }, hash[20];
	struct vmm v = { .hello = hello, .size = 96, .answer = { 24 } };
	struct kvmintro *k = kvmintro_new();
	pid_t pid;

	make_hello(hello, 96);
	kvmintro_hash_key("abc", 3, hash);
	ok(!memcmp(hash, abc, 20), "hash_key");
	memcpy(v.answer + 4, abc, 20);
	o.key_hash = hash;
	pid = start_vmm(&v);
	ok(!kvmintro_accept(k, listen_fd, &o), "accept with a key");
	kvmintro_close(k);
	ok(!kvmintro_hello(k) && !vmm_status(pid), "the VMM got it");

	v.refuse = true;
	pid = start_vmm(&v);
	ok(kvmintro_accept(k, listen_fd, &o) == -ECONNRESET &&
	   strstr(kvmintro_error(k), "key"), "a VMM that refuses");
	vmm_status(pid);
	kvmintro_free(k);
}

static void bad_vmms(int listen_fd)
{
	static const struct { uint32_t size, sent; int close, r; } rows[] = {
		{ 31, 96, 0, -EPROTO },
		{ 0, 96, 0, -EPROTO },
		{ 65537, 96, 0, -EPROTO },
		{ 0xffffffff, 96, 0, -EPROTO },
		{ 96, 0, 0, -ETIMEDOUT },
		{ 96, 3, 0, -ETIMEDOUT },
		{ 96, 95, 0, -ETIMEDOUT },
		{ 96, 95, 1, -ECONNRESET },
		{ 200, 199, 1, -ECONNRESET },
		{ 96, 0, 1, -ECONNRESET },
		{ 96, 96, 0, -ETIMEDOUT },
	};
	struct kvmintro_accept_options o = {
		.size = sizeof(o), .accept_timeout = 1000, .handshake_timeout = 50
	};
	struct kvmintro *k = kvmintro_new();
	uint8_t hello[200] = { 0 };
	size_t i;
	int fd, r;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_hello(hello, rows[i].size);
		fd = vmm_connect(hello, rows[i].sent);
		if (rows[i].close)
			close(fd);
		r = kvmintro_accept(k, listen_fd, &o);
		ok(r == rows[i].r && kvmintro_fd(k) == -1 && *kvmintro_error(k),
		   "hello of %u bytes, %u sent%s", rows[i].size, rows[i].sent,
		   rows[i].close ? ", closed" : "");
		if (!rows[i].close)
			close(fd);
	}
	o.accept_timeout = 10;
	ok(kvmintro_accept(k, listen_fd, &o) == -ETIMEDOUT, "nobody comes");
	kvmintro_free(k);
}

static void listening(void)
{
	struct kvmintro *k = kvmintro_new();
	char long_path[200];
	int fd, other;

	fd = kvmintro_listen(k, path);
	ok(fd >= 0, "listen");
	ok(kvmintro_listen(k, path) == -EADDRINUSE, "somebody listens there");
	/* A process that dies leaves the path behind. */
	close(fd);
	fd = kvmintro_listen(k, path);
	ok(fd >= 0, "a dead socket is taken over");
	kvmintro_unlisten(fd);
	ok(access(path, F_OK) < 0, "unlisten removes the path");

	other = open(path, O_CREAT | O_WRONLY, 0600);
	ok(kvmintro_listen(k, path) == -EEXIST && !access(path, F_OK),
	   "a file is not removed");
	close(other);
	unlink(path);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	ok(kvmintro_listen(k, long_path) == -ENAMETOOLONG, "a path that is too long");
	ok(kvmintro_listen(k, "/nonexistent/socket") == -ENOENT, "no such directory");
	ok(kvmintro_listen(k, "vsock:x") == -EINVAL &&
	   kvmintro_listen(k, "vsock:-1") == -EINVAL &&
	   kvmintro_listen(k, "vsock:") == -EINVAL, "no port");
	kvmintro_free(k);
}

static void attaching(void)
{
	struct kvmintro_attach_options o = { .size = sizeof(o), .vm = -1 };
	struct kvmintro *k = kvmintro_new();
	pid_t pid = fork();

	if (!pid) {
		pause();
		exit(0);
	}
	o.pid = pid;
	ok(kvmintro_attach(k, &o) == -ENODEV && strstr(kvmintro_error(k), "no VM"),
	   "a process without VM");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(kvmintro_attach(k, &o) == -ESRCH && strstr(kvmintro_error(k), "no process"),
	   "no such process");
	ok(kvmintro_fd(k) == -1 && !kvmintro_close(k), "nothing is left open");
	kvmintro_free(k);
}

int main(void)
{
	char dir[40];
	struct kvmintro *k = kvmintro_new();
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(dir, sizeof(dir), "%.20s/kvmintro-XXXXXX",
		 getenv("TMPDIR") ? : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	listening();

	fd = kvmintro_listen(k, path);
	if (fd < 0)
		return 1;
	handshakes(fd);
	keys(fd);
	bad_vmms(fd);
	kvmintro_unlisten(fd);
	kvmintro_free(k);
	attaching();
	rmdir(dir);
	return done();
}
