// SPDX-License-Identifier: LGPL-2.1-or-later
/* The PF event and its answers. */
#include "peer.h"

static uint8_t msg[8192];

/* The last call failed because of @text, and nothing was sent. */
static int refused(struct kvmintro *k, int fd, int r, const char *text)
{
	return r == -EINVAL && strstr(kvmintro_error(k), text) &&
	       !peer_receive(fd, msg, sizeof(msg));
}

static void answers(void)
{
	static const uint8_t data[KVMI_MAX_CTX_DATA] = { 1, 2, 3, [255] = 9 };
	struct kvmintro_event ev = { .seq = 7, .vcpu = 2, .id = KVMI_VCPU_EVENT_PF };
	struct kvmintro_pf_reply reply = { .size = sizeof(reply) };
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	ok(!kvmintro_reply_pf(k, &ev, KVMI_EVENT_ACTION_CONTINUE, NULL) &&
	   peer_receive(fd, msg, sizeof(msg)) == 24 && !msg[16] && msg[17] == 6,
	   "reply_pf: continue");
	ok(!kvmintro_reply_pf(k, &ev, KVMI_EVENT_ACTION_RETRY, &reply) &&
	   peer_receive(fd, msg, sizeof(msg)) == 24 && msg[16] == 1, "reply_pf: retry");
	ok(!kvmintro_reply_pf(k, &ev, KVMI_EVENT_ACTION_CRASH, NULL) &&
	   peer_receive(fd, msg, sizeof(msg)) == 24 && msg[16] == 2, "reply_pf: crash");
	ok(!kvmintro_retry(k, &ev) && peer_receive(fd, msg, sizeof(msg)) == 24 &&
	   msg[16] == 1, "retry");
	ok(!kvmintro_continue(k, &ev) && peer_receive(fd, msg, sizeof(msg)) == 24 &&
	   !msg[16], "continue");

	reply.rep_complete = true;
	reply.ctx_addr = 0x1111;
	ok(!kvmintro_reply_pf(k, &ev, 0, &reply) && peer_receive(fd, msg, sizeof(msg)) == 40 &&
	   !memcmp(msg + 24, "\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0", 16), "rep_complete");
	reply = (struct kvmintro_pf_reply){
		.size = sizeof(reply), .ctx_addr = 0xfffffffffffffffd,
		.ctx_data = data, .ctx_size = 3,
	};
	ok(!kvmintro_reply_pf(k, &ev, 0, &reply) && peer_receive(fd, msg, sizeof(msg)) == 43 &&
	   !memcmp(msg + 24, "\xfd\xff\xff\xff\xff\xff\xff\xff\3\0\0\0\0\0\0\0\1\2\3", 19),
	   "data, up to the last address");
	reply.ctx_addr = 0;
	reply.ctx_size = KVMI_MAX_CTX_DATA;
	ok(!kvmintro_reply_pf(k, &ev, 0, &reply) && peer_receive(fd, msg, sizeof(msg)) == 296 &&
	   !msg[32] && msg[33] == 1 && msg[295] == 9, "the largest data");
	reply.size = offsetof(struct kvmintro_pf_reply, ctx_addr);
	ok(!kvmintro_reply_pf(k, &ev, 0, &reply) && peer_receive(fd, msg, sizeof(msg)) == 24,
	   "members behind size do not count");
	peer_close(k, fd);
}

static void bad_answers(void)
{
	static const uint8_t data[KVMI_MAX_CTX_DATA + 1];
	const struct kvmintro_pf_reply rep = { .size = sizeof(rep), .rep_complete = true };
	struct kvmintro_event ev = { .seq = 7, .id = KVMI_VCPU_EVENT_PF };
	struct kvmintro_pf_reply reply = {
		.size = sizeof(reply), .ctx_data = data, .ctx_size = sizeof(data)
	};
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	ok(refused(k, fd, kvmintro_reply_pf(k, &ev, 0, &reply), "257 bytes"), "too much data");
	reply.ctx_size = 4;
	reply.ctx_addr = 0xfffffffffffffffd;
	ok(refused(k, fd, kvmintro_reply_pf(k, &ev, 0, &reply), "last address"),
	   "data beyond the last address");
	ok(refused(k, fd, kvmintro_reply_pf(k, &ev, KVMI_EVENT_ACTION_RETRY, &reply),
		   "only an access that continues"), "data for a retry");
	ok(refused(k, fd, kvmintro_reply_pf(k, &ev, KVMI_EVENT_ACTION_CRASH, &rep),
		   "only an access that continues"), "rep_complete for a crash");
	ok(refused(k, fd, kvmintro_reply_pf(k, &ev, 3, NULL), "no action 3"), "no such action");
	reply.ctx_data = NULL;
	ok(refused(k, fd, kvmintro_reply_pf(k, &ev, 0, &reply), "no data"), "a size alone");
	ev.id = KVMI_VCPU_EVENT_CR;
	ok(refused(k, fd, kvmintro_reply_pf(k, &ev, 0, NULL), "not an event with id 6 but 1"),
	   "reply_pf to something else");
	peer_close(k, fd);
}

static void event(void)
{
	const struct kvmi_vcpu_event_pf pf = {
		.gva = 0xffff800000001010, .gpa = 0x1010, .access = KVMI_PAGE_ACCESS_W
	};
	struct kvmintro_event ev;
	struct kvmintro *k;
	int fd;

	k = peer_open(&fd);
	peer_event(fd, 1, 1, KVMI_VCPU_EVENT_PF, &pf, 24);
	ok(kvmintro_wait_event(k, 100, &ev) == 1 && ev.id == KVMI_VCPU_EVENT_PF &&
	   ev.vcpu == 1 && ev.data.pf.gva == pf.gva && ev.data.pf.gpa == pf.gpa &&
	   ev.data.pf.access == pf.access && kvmintro_event_needs_reply(&ev), "the event");
	peer_event(fd, 2, 0, KVMI_VCPU_EVENT_PF, "\1\0\0\0\0\0\0\0\2", 9);
	ok(kvmintro_wait_event(k, 100, &ev) == 1 && ev.data.pf.gva == 1 &&
	   ev.data.pf.gpa == 2 && !ev.data.pf.access, "a short one");
	peer_close(k, fd);
}

int main(void)
{
	event();
	answers();
	bad_answers();
	return done();
}
