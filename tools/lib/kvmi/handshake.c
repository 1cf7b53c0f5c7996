// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A VMM connects, says which VM it has, and is shown that the tool knows the
 * key. Then it hands the socket to KVM. Each side's structure starts with its
 * size, so that both can grow.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <nettle/sha1.h>

#include "internal.h"

#define HELLO_MIN 32
#define HELLO_MAX (64 * 1024)
#define HANDSHAKE_TIMEOUT 10000
#define SETTLE_TIMEOUT 500

struct wire_hello {
	uint32_t struct_size;
	uint8_t uuid[16];
	uint32_t padding;
	int64_t start_time;
	char name[64];
};

struct wire_answer {
	uint32_t struct_size;
	uint8_t key_hash[KVMINTRO_HASH_SIZE];
};

_Static_assert(sizeof(struct wire_hello) == 96, "wire layout");
_Static_assert(sizeof(struct wire_answer) == 24, "wire layout");
_Static_assert(SHA1_DIGEST_SIZE == KVMINTRO_HASH_SIZE, "wire layout");

void kvmintro_hash_key(const void *key, size_t size,
		       uint8_t hash[KVMINTRO_HASH_SIZE])
{
	struct sha1_ctx ctx;

	sha1_init(&ctx);
	sha1_update(&ctx, size, key);
	sha1_digest(&ctx, KVMINTRO_HASH_SIZE, hash);
}

/*
 * Exactly @size bytes: KVM's first message may follow, and is not for here.
 * The connection may come from anyone, so every byte is waited for in time.
 */
static int read_exactly(struct kvmintro *k, void *buf, size_t size,
			int64_t deadline)
{
	uint8_t *p = buf;
	ssize_t n;
	int r;

	while (size) {
		n = recv(k->fd, p, size, MSG_DONTWAIT);
		if (n > 0) {
			p += n;
			size -= n;
			continue;
		}
		if (!n || (errno != EAGAIN && errno != EINTR))
			return kvmintro__break(k, -ECONNRESET,
					       "the VMM closed the connection during the handshake");
		r = kvmintro__wait(k, k->fd, POLLIN, deadline);
		if (r == -ETIMEDOUT)
			return kvmintro__break(k, r,
					       "what connected does not introduce itself; is it QEMU with an introspection object?");
		if (r < 0)
			return r;
	}
	return 0;
}

static int drop_exactly(struct kvmintro *k, size_t size, int64_t deadline)
{
	uint8_t buf[1024];
	size_t n;
	int r;

	for (; size; size -= n) {
		n = size < sizeof(buf) ? size : sizeof(buf);
		r = read_exactly(k, buf, n, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

static int receive_hello(struct kvmintro *k, int64_t deadline)
{
	struct wire_hello hello = { 0 };
	size_t size;
	int r;

	r = read_exactly(k, &hello.struct_size, sizeof(hello.struct_size),
			 deadline);
	if (r < 0)
		return r;
	if (hello.struct_size < HELLO_MIN || hello.struct_size > HELLO_MAX)
		return kvmintro__break(k, -EPROTO,
				       "what connected announces %u bytes, not %d to %d; it is no VMM with introspection",
				       hello.struct_size, HELLO_MIN, HELLO_MAX);

	size = hello.struct_size < sizeof(hello) ? hello.struct_size :
						   sizeof(hello);
	r = read_exactly(k, hello.uuid, size - sizeof(hello.struct_size),
			 deadline);
	if (!r)
		r = drop_exactly(k, hello.struct_size - size, deadline);
	if (r < 0)
		return r;

	memset(&k->hello, 0, sizeof(k->hello));
	memcpy(k->hello.uuid, hello.uuid, sizeof(k->hello.uuid));
	memcpy(k->hello.name, hello.name, sizeof(hello.name));
	k->hello.start_time = hello.start_time;
	k->has_hello = true;
	return 0;
}

/* The VMM allows commands after KVM has the socket: see what is allowed. */
static unsigned int count_allowed(struct kvmintro *k)
{
	unsigned int id, count = 0;

	for (id = KVMI_VM_GET_INFO; k->fd >= 0 && id < KVMI_NUM_MESSAGES; id++)
		count += kvmintro_command_name(id) &&
			 !kvmintro_check_command(k, id);
	return count;
}

/*
 * Wait until KVM answers, and until what the VMM allows no longer grows: a tool
 * that is faster than its VMM would be refused.
 */
static int settle(struct kvmintro *k)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	unsigned int count = 0, before;
	int64_t deadline;
	uint32_t version;
	int r;

	r = kvmintro_get_version(k, &version, NULL);
	if (r == -ECONNRESET)
		return kvmintro__fail(k, r,
				      "the VMM refused this tool: a wrong key, or a kernel without introspection; see the VMM's messages");
	if (r < 0)
		return r;

	deadline = kvmintro__deadline(SETTLE_TIMEOUT);
	do {
		before = count;
		count = count_allowed(k);
		if (!count || count != before)
			nanosleep(&pause, NULL);
	} while (k->fd >= 0 && (!count || count != before) &&
		 kvmintro__now() < deadline);
	return k->fd >= 0 ? 0 : -ECONNRESET;
}

static int handshake(struct kvmintro *k, const uint8_t *key_hash, int timeout)
{
	struct wire_answer answer = { .struct_size = sizeof(answer) };
	int r;

	r = receive_hello(k, kvmintro__deadline(timeout));
	if (r < 0)
		return r;
	if (key_hash)
		memcpy(answer.key_hash, key_hash, sizeof(answer.key_hash));
	r = kvmintro__send(k, &answer, sizeof(answer));
	if (r < 0)
		return r;
	return settle(k);
}

int kvmintro_accept(struct kvmintro *k, int listen_fd,
		    const struct kvmintro_accept_options *options)
{
	struct kvmintro_accept_options o = { 0 };
	int timeout, r;

	if (options)
		memcpy(&o, options, options->size < sizeof(o) ? options->size :
								sizeof(o));
	r = kvmintro__must_be_new(k);
	if (r < 0)
		return r;

	r = kvmintro__wait(k, listen_fd, POLLIN,
			   kvmintro__deadline(o.accept_timeout ? : -1));
	if (r == -ETIMEDOUT)
		return kvmintro__fail(k, r, "no VMM connected in time");
	if (r < 0)
		return r;
	k->fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (k->fd < 0)
		return kvmintro__fail(k, -errno, "accept: %s", strerror(errno));

	timeout = k->timeout;
	k->timeout = o.handshake_timeout ? : HANDSHAKE_TIMEOUT;
	r = handshake(k, o.key_hash, k->timeout);
	k->timeout = timeout;
	if (r < 0) {
		if (k->fd >= 0)
			close(k->fd);
		k->fd = -1;
	}
	return r;
}
