// SPDX-License-Identifier: LGPL-2.1-or-later
/* Framing, timeouts, the end of a connection, and a kernel that misbehaves. */
#include "peer.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

static const struct kvmi_vm_get_info_reply two = { .vcpu_count = 2 };

static void fragments(void)
{
	struct kvmintro_event ev;
	struct kvmintro *k;
	uint32_t count = 0;
	uint8_t msg[] = { KVMI_VM_GET_INFO, 0, 24, 0, 1, 0, 0, 0, 0, 0, 0, 0 };
	int fd;

	/* A reply in two halves: the first one does not make an answer. */
	k = peer_open(&fd);
	kvmintro_set_timeout(k, 50);
	peer_send(fd, msg, sizeof(msg));
	ok(kvmintro_get_vcpu_count(k, &count) == -ETIMEDOUT, "half a reply");
	peer_send(fd, "\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	peer_reply(fd, KVMI_VM_GET_INFO, 2, 0, &two, sizeof(two));
	ok(!kvmintro_get_vcpu_count(k, &count) && count == 2,
	   "a late reply is dropped, its successor taken");
	ok(kvmintro_wait_event(k, 0, &ev) == 0, "nothing is left");
	peer_close(k, fd);
}

static void interleaved(void)
{
	struct kvmintro_event ev;
	struct kvmintro *k;
	uint32_t count;
	int fd, i, good = 0;

	k = peer_open(&fd);
	for (i = 1; i <= 100; i++)
		peer_event(fd, i, i % 2, KVMI_VCPU_EVENT_PAUSE, NULL, 0);
	peer_reply(fd, KVMI_VM_GET_INFO, 1, 0, &two, sizeof(two));
	peer_event(fd, 101, 1, KVMI_VCPU_EVENT_PAUSE, NULL, 0);

	ok(!kvmintro_get_vcpu_count(k, &count) && count == 2,
	   "events between request and reply");
	ok(kvmintro_pending_events(k) == 100, "they are kept");
	for (i = 1; i <= 101; i++) {
		if (kvmintro_wait_event(k, 100, &ev) == 1 && (int)ev.seq == i &&
		    ev.vcpu == i % 2 && ev.id == KVMI_VCPU_EVENT_PAUSE &&
		    ev.arch.regs.rip == 0x1000u + i)
			good++;
	}
	ok(good == 101, "they come in order, with their registers");
	ok(!kvmintro_pending_events(k), "and only once");
	peer_close(k, fd);
}

static void timeouts(void)
{
	struct kvmintro_event ev;
	struct kvmintro *k;
	uint32_t count = 0;
	uint64_t hz;
	int fd;

	k = peer_open(&fd);
	kvmintro_set_timeout(k, 30);
	ok(kvmintro_get_tsc_speed(k, 7, &hz) == -ETIMEDOUT, "no reply");
	ok(strstr(kvmintro_error(k), "vCPU 7"), "the message names the vCPU");
	ok(kvmintro_get_vcpu_count(k, &count) == -ETIMEDOUT, "nor here");
	hz = 1;
	peer_reply(fd, KVMI_VCPU_GET_INFO, 1, 0, &hz, sizeof(hz));
	ok(!kvmintro_wait_event(k, 20, &ev), "late: dropped while waiting for events");
	peer_reply(fd, KVMI_VM_GET_INFO, 2, -KVM_EPERM, NULL, 0);
	peer_reply(fd, KVMI_VM_GET_INFO, 3, 0, &two, sizeof(two));
	ok(!kvmintro_get_vcpu_count(k, &count) && count == 2,
	   "late: dropped while waiting for another reply");
	peer_reply(fd, KVMI_VM_GET_INFO, 1, 0, &two, sizeof(two));
	ok(kvmintro_wait_event(k, 20, &ev) == -EPROTO,
	   "but only as often as something timed out");
	peer_close(k, fd);
}

static void cancelled(void)
{
	struct kvmintro_event ev;
	struct kvmintro *k;
	uint32_t count = 0;
	int fd, cancel = eventfd(1, EFD_CLOEXEC);

	k = peer_open(&fd);
	kvmintro_set_cancel_fd(k, cancel);
	ok(kvmintro_wait_event(k, -1, &ev) == -ECANCELED, "waiting for an event ends");
	ok(kvmintro_get_vcpu_count(k, &count) == -ECANCELED, "a command ends");
	peer_reply(fd, KVMI_VM_GET_INFO, 1, 0, &two, sizeof(two));
	peer_reply(fd, KVMI_VM_GET_INFO, 2, 0, &two, sizeof(two));
	ok(!kvmintro_get_vcpu_count(k, &count) && count == 2,
	   "an answer that is there is taken all the same");
	close(cancel);
	peer_close(k, fd);
}

static void closed(void)
{
	struct kvmintro_event ev;
	struct kvmintro *k;
	uint32_t count;
	int fd;

	k = peer_open(&fd);
	peer_event(fd, 1, 0, KVMI_VCPU_EVENT_PAUSE, NULL, 0);
	ok(kvmintro_pending_events(k) == 0, "not read yet");
	close(fd);
	ok(kvmintro_get_vcpu_count(k, &count) == -ECONNRESET, "closed");
	ok(*kvmintro_error(k), "with a message");
	ok(kvmintro_get_vcpu_count(k, &count) == -ENOTCONN, "stays closed");
	ok(kvmintro_fd(k) == -1, "no descriptor");
	ev.id = KVMI_VCPU_EVENT_PAUSE;
	ok(kvmintro_continue(k, &ev) == -ENOTCONN, "nothing to answer to");
	peer_close(k, -1);

	/* In the middle of a message. */
	k = peer_open(&fd);
	peer_header(fd, KVMI_EVENT, 1, 544);
	close(fd);
	ok(kvmintro_wait_event(k, 1000, &ev) == -ECONNRESET, "closed inside an event");
	peer_close(k, -1);
}

/* Each row is what the kernel sends while a reply to VM_GET_INFO is due. */
static const struct {
	const char *name;
	uint16_t id, size;
	uint32_t seq;
	uint8_t data[16];
	int expected;
} malformed[] = {
	{ "wrong sequence number", KVMI_VM_GET_INFO, 8, 2, { 0 }, -EPROTO },
	{ "wrong id", KVMI_GET_VERSION, 8, 1, { 0 }, -EPROTO },
	{ "an id that is no reply", KVMI_VCPU_EVENT_REPLY, 8, 1, { 0 }, -EPROTO },
	{ "no error code", KVMI_VM_GET_INFO, 0, 1, { 0 }, -EPROTO },
	{ "half an error code", KVMI_VM_GET_INFO, 4, 1, { 0 }, -EPROTO },
	{ "too large", KVMI_VM_GET_INFO, 8185, 1, { 0 }, -EPROTO },
	{ "largest size field", KVMI_EVENT, 65535, 1, { 0 }, -EPROTO },
	{ "empty event", KVMI_EVENT, 0, 1, { 0 }, -EPROTO },
	{ "event shorter than its head", KVMI_EVENT, 7, 1, { 7 }, -EPROTO },
	{ "event that counts itself too long", KVMI_EVENT, 8, 1, { 9 }, -EPROTO },
	{ "event that counts itself too short", KVMI_EVENT, 8, 1, { 7 }, -EPROTO },
};

static void hostile(void)
{
	struct kvmintro *k;
	uint32_t count;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		k = peer_open(&fd);
		peer_header(fd, malformed[i].id, malformed[i].seq,
			    malformed[i].size);
		peer_send(fd, malformed[i].data,
			  malformed[i].size < 16 ? malformed[i].size : 0);
		ok(kvmintro_get_vcpu_count(k, &count) == malformed[i].expected &&
		   kvmintro_get_vcpu_count(k, &count) == -ENOTCONN,
		   "malformed: %s", malformed[i].name);
		peer_close(k, fd);
	}
}

static void unasked(void)
{
	struct kvmintro_event ev;
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_GET_INFO, 1, 0, &two, sizeof(two));
	ok(kvmintro_wait_event(k, 1000, &ev) == -EPROTO, "a reply to nothing");
	peer_close(k, fd);
}

static void largest(void)
{
	static uint8_t page[KVMI_MAX_MSG_SIZE - 8], got[4096];
	struct kvmintro *k;
	int fd;

	memset(page, 0x5a, sizeof(page));
	k = peer_open(&fd);
	peer_reply(fd, KVMI_VM_READ_PHYSICAL, 1, 0, page, sizeof(page));
	peer_event(fd, 1, 0, KVMI_VCPU_EVENT_PAUSE, NULL, 0);
	ok(!kvmintro_read_physical(k, 0x1000, got, sizeof(got)) &&
	   !memcmp(got, page, sizeof(got)), "the largest reply; surplus is dropped");
	ok(kvmintro_wait_event(k, 100, &(struct kvmintro_event){ 0 }) == 1,
	   "the stream is still in step");
	peer_close(k, fd);
}

/* A kernel that sends events, and does not read before they are taken. */
static void *busy_kernel(void *arg)
{
	static uint8_t drop[65536];
	int fd = *(int *)arg, i;
	ssize_t n;

	for (i = 1; i <= 3000; i++)
		peer_event(fd, i, 0, KVMI_VCPU_EVENT_PAUSE, NULL, 0);
	while ((n = read(fd, drop, sizeof(drop))) > 0)
		;
	return NULL;
}

static void both_full(void)
{
	struct kvmintro_event ev = { .seq = 1, .id = KVMI_VCPU_EVENT_PAUSE };
	uint8_t data[512] = { 0 };
	struct kvmintro *k;
	pthread_t thread;
	int fd, i, r = 0;

	k = peer_open(&fd);
	pthread_create(&thread, NULL, busy_kernel, &fd);
	for (i = 0; !r && i < 4000; i++)
		r = kvmintro_reply_event(k, &ev, 0, data, sizeof(data));
	ok(!r, "a send takes events in while the kernel does not read");
	for (i = 0; kvmintro_wait_event(k, 1000, &ev) == 1 && i < 2999; i++)
		;
	ok(i == 2999 && ev.seq == 3000, "no event is lost");
	kvmintro_close(k);
	pthread_join(thread, NULL);
	peer_close(k, fd);
}

static void never_reads(void)
{
	struct kvmintro_event ev = { .seq = 1, .id = KVMI_VCPU_EVENT_PAUSE };
	uint8_t data[512] = { 0 };
	struct kvmintro *k;
	int fd, i, r = 0;

	k = peer_open(&fd);
	kvmintro_set_timeout(k, 50);
	for (i = 0; !r && i < 10000; i++)
		r = kvmintro_reply_event(k, &ev, 0, data, sizeof(data));
	ok(r == -ETIMEDOUT && kvmintro_fd(k) == -1, "a kernel that never reads");
	peer_close(k, fd);
}

int main(void)
{
	fragments();
	interleaved();
	timeouts();
	cancelled();
	closed();
	hostile();
	unasked();
	largest();
	both_full();
	never_reads();
	return done();
}
