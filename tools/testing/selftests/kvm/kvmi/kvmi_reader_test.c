// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that waits for the reply to its event reads the socket itself. Nothing of
 * that shows to the tool but the time it takes: every message gets where it has to,
 * in its order, whoever reads it.
 */
#include <dirent.h>
#include <sys/socket.h>

#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_reader, 2);

static void control(struct kvmi_test *t, int i)
{
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, i, 3, 1));
}

static char state_of(int tid)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	TEST_ASSERT(f && fgets(line, sizeof(line), f), "cannot read %s", path);
	fclose(f);
	return strrchr(line, ')')[2];
}

static void wait_until_asleep(int tid)
{
	KVMI_WAIT(state_of(tid) == 'S', "the vCPU does not wait");
}

static void begin(struct kvmi_test *t, int i, struct kvmi_event_msg *ev)
{
	kvmi_step_begin(t, i);
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_CR, ev);
}

/*
 * vCPU @i waits for the reply to @ev, and reads. It leaves that to KVM's thread after
 * commands of the VM until there was an event without, so that goes first.
 */
static void begin_reading(struct kvmi_test *t, int i, struct kvmi_event_msg *ev)
{
	begin(t, i, ev);
	kvmi_continue(&t->tool, ev);
	kvmi_step_end(t, i);
	begin(t, i, ev);
	wait_until_asleep(t->worker[i].tid);
}

static void end(struct kvmi_test *t, int i, const struct kvmi_event_msg *ev)
{
	kvmi_step_end(t, i);
	TEST_ASSERT_EQ(t->guest[i]->val[0], ev->cr.new_value);
}

static void start(struct kvmi_test *t)
{
	kvmi_run_all(t);
	for (int i = 0; i < t->nr_vcpus; i++)
		control(t, i);
}

/* --- who reads ------------------------------------------------------------------------ */

/* How often KVM's thread for this process's VM has gone to sleep. */
static long receiver_sleeps(void)
{
	char path[300], line[128], want[32];
	struct dirent *d;
	long n = -1;
	DIR *proc;
	FILE *f;

	snprintf(want, sizeof(want), "Name:\tkvmi-%d\n", getpid());
	proc = opendir("/proc");
	TEST_ASSERT(proc, "opendir(/proc) failed");
	while (n < 0 && (d = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/status", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(line, sizeof(line), f) && !strcmp(line, want))
			while (n < 0 && fgets(line, sizeof(line), f))
				sscanf(line, "voluntary_ctxt_switches: %ld", &n);
		fclose(f);
	}
	closedir(proc);
	TEST_ASSERT(n >= 0, "no thread is called kvmi-%d", getpid());
	return n;
}

KVMI_TEST(kvmi_reader, events_do_without_the_receiver, guest_cr3_steps)
{
	struct kvmi_event_msg ev;
	long before;

	start(t);
	begin_reading(t, 0, &ev);
	before = receiver_sleeps();
	for (int i = 0; i < 100; i++) {
		kvmi_continue(&t->tool, &ev);
		end(t, 0, &ev);
		begin(t, 0, &ev);
		wait_until_asleep(t->worker[0].tid);
	}
	TEST_ASSERT(receiver_sleeps() - before < 10, "it woke %ld times for 100 events",
		    receiver_sleeps() - before);
}

/* --- messages of every kind -------------------------------------------------------------- */

struct batch {
	__u8 data[4096];
	size_t size;
};

static void add(struct batch *b, __u16 id, __u32 seq, const void *body, size_t size)
{
	struct kvmi_msg_hdr hdr = { .id = id, .size = size, .seq = seq };

	memcpy(b->data + b->size, &hdr, sizeof(hdr));
	memcpy(b->data + b->size + sizeof(hdr), body, size);
	b->size += sizeof(hdr) + size;
}

static void add_vcpu(struct batch *b, __u16 id, __u32 seq, __u16 vcpu)
{
	struct kvmi_vcpu_hdr hdr = { .vcpu = vcpu };

	add(b, id, seq, &hdr, sizeof(hdr));
}

static void add_reply(struct batch *b, const struct kvmi_event_msg *ev)
{
	struct {
		struct kvmi_vcpu_hdr hdr;
		struct kvmi_event_reply reply;
		struct kvmi_vcpu_event_cr_reply cr;
	} msg = {
		.hdr.vcpu = ev->ev.vcpu,
		.reply.event = ev->ev.event,
		.cr.new_val = ev->cr.new_value,
	};

	add(b, KVMI_VCPU_EVENT_REPLY, ev->hdr.seq, &msg, sizeof(msg));
}

/* In two parts, the first of @cut bytes. */
static void send_batch(struct kvmi_test *t, const struct batch *b, size_t cut)
{
	TEST_ASSERT(kvmi_write(&t->tool, b->data, cut), "closed");
	/* Time for who reads to find the first. */
	for (int i = 0; i < 20; i++)
		sched_yield();
	TEST_ASSERT(kvmi_write(&t->tool, b->data + cut, b->size - cut), "closed");
}

/* @n answers without error, each to another of the commands numbered from @first. */
static void collect(struct kvmi_test *t, __u32 first, int n)
{
	__u32 last[3] = { }, seen = 0, i;
	struct kvmi_error_code ec;
	struct kvmi_msg msg;

	while (seen != (1u << n) - 1) {
		TEST_ASSERT(kvmi_recv_reply(&t->tool, &msg), "closed");
		i = msg.hdr.seq - first;
		TEST_ASSERT(i < n && !(seen & 1u << i), "a reply to command %u", i);
		seen |= 1u << i;
		memcpy(&ec, msg.data, sizeof(ec));
		TEST_ASSERT(!ec.err, "command %u: error %d", i, ec.err);
		/* In order for each of the three that they are for. */
		TEST_ASSERT(msg.hdr.seq > last[i % 3], "reply %u after %u", i, last[i % 3] - first);
		last[i % 3] = msg.hdr.seq;
	}
}

/* For this vCPU, for the VM, for the other vCPU; then the reply. Cut in two anywhere. */
KVMI_TEST(kvmi_reader, commands_for_everybody, guest_cr3_steps)
{
	enum { N = 9 };
	struct kvmi_event_msg ev;
	__u32 seq = 1000;

	start(t);
	for (size_t cut = 1, size = 2; cut < size; cut += 5, seq += N) {
		struct batch b = { };

		begin_reading(t, 0, &ev);
		for (int i = 0; i < N; i++)
			if (i % 3 == 1)
				add(&b, KVMI_VM_GET_INFO, seq + i, NULL, 0);
			else
				add_vcpu(&b, KVMI_VCPU_GET_INFO, seq + i, i % 3 / 2);
		add_reply(&b, &ev);
		size = b.size;
		send_batch(t, &b, cut);
		collect(t, seq, N);
		end(t, 0, &ev);
	}
}

/* Registers are set with the event, and not any more after its reply. */
KVMI_TEST(kvmi_reader, commands_beside_the_reply, guest_cr3_steps)
{
	struct {
		struct kvmi_vcpu_hdr hdr;
		struct kvm_regs regs;
	} req = { };
	struct kvmi_event_msg ev;

	start(t);
	for (__u32 i = 0; i < 40; i++) {
		struct batch b = { };

		begin_reading(t, 0, &ev);
		req.regs = ev.ev.arch.regs;
		add(&b, KVMI_VCPU_SET_REGISTERS, 1000 + i, &req, sizeof(req));
		add_reply(&b, &ev);
		add(&b, KVMI_VCPU_SET_REGISTERS, 2000 + i, &req, sizeof(req));
		send_batch(t, &b, i * b.size / 40);
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_SET_REGISTERS, 1000 + i, NULL, 0));
		KVMI_ASSERT_ERR(kvmi_collect(&t->tool, KVMI_VCPU_SET_REGISTERS, 2000 + i,
					     NULL, 0), -KVM_EOPNOTSUPP);
		end(t, 0, &ev);
	}
}

/* Errors are answered whoever reads. */
KVMI_TEST(kvmi_reader, refused_commands, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start(t);
	for (int i = 0; i < 10; i++) {
		begin_reading(t, 0, &ev);
		KVMI_ASSERT_ERR(kvmi_command(&t->tool, 0x7777, NULL, 0, NULL, 0), -KVM_ENOSYS);
		KVMI_ASSERT_ERR(kvmi_vcpu_command(&t->tool, 2, KVMI_VCPU_GET_INFO, NULL, 0,
						  NULL, 0), -KVM_EINVAL);
		KVMI_ASSERT_ERR(kvmi_pause(&t->tool, 0, 2), -KVM_EINVAL);
		kvmi_continue(&t->tool, &ev);
		end(t, 0, &ev);
	}
}

/* --- signals --------------------------------------------------------------------------------- */

/* Half a reply, a signal, the rest: for the vCPU in its wait, or for KVM's thread. */
KVMI_TEST(kvmi_reader, signal_inside_the_reply, guest_cr3_steps)
{
	struct kvmi_event_msg ev;

	start(t);
	for (size_t cut = 1, size = 2; cut < size; cut++) {
		struct batch b = { };

		begin_reading(t, 0, &ev);
		add_reply(&b, &ev);
		size = b.size;
		TEST_ASSERT(kvmi_write(&t->tool, b.data, cut), "closed");
		if (cut & 1) {
			kvmi_worker_interrupt(&t->worker[0]);
			wait_until_asleep(t->worker[0].tid);
		} else {
			kvmi_worker_stop(&t->worker[0]);
		}
		TEST_ASSERT(kvmi_write(&t->tool, b.data + cut, size - cut), "closed");
		if (!(cut & 1)) {
			KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
			kvmi_run(t, 0);
		}
		end(t, 0, &ev);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

static struct {
	int fd;
	bool stop;
} flood;

/* Commands without end for the other vCPU, which answers none of them. */
static void *send_without_end(void *arg)
{
	struct {
		struct kvmi_msg_hdr hdr;
		struct kvmi_vcpu_hdr vcpu;
	} msgs[64];

	for (int i = 0; i < ARRAY_SIZE(msgs); i++) {
		msgs[i].hdr = (struct kvmi_msg_hdr){ KVMI_VCPU_GET_INFO, sizeof(msgs[i].vcpu), i };
		msgs[i].vcpu = (struct kvmi_vcpu_hdr){ .vcpu = 1 };
	}
	while (!READ_ONCE(flood.stop))
		TEST_ASSERT_EQ(send(flood.fd, msgs, sizeof(msgs), MSG_NOSIGNAL),
			       (ssize_t)sizeof(msgs));
	return NULL;
}

KVMI_TEST(kvmi_reader, signals_while_commands_pour_in, guest_cr3_steps)
{
	struct kvmi_vm_control_cmd_response off = { .now = 1 };
	struct kvmi_event_msg ev;
	pthread_t thread;

	start(t);
	begin_reading(t, 0, &ev);
	kvmi_post(&t->tool, KVMI_VM_CONTROL_CMD_RESPONSE, &off, sizeof(off));
	kvmi_continue(&t->tool, &ev);
	end(t, 0, &ev);
	begin(t, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	end(t, 0, &ev);
	begin(t, 0, &ev);

	flood.fd = t->tool.fd;
	TEST_ASSERT(!pthread_create(&thread, NULL, send_without_end, NULL), "pthread_create()");
	for (int i = 0; i < 20; i++)
		kvmi_worker_interrupt(&t->worker[0]);
	WRITE_ONCE(flood.stop, true);
	pthread_join(thread, NULL);
	kvmi_continue(&t->tool, &ev);
	end(t, 0, &ev);
}

/* --- two vCPUs -------------------- */

/* Both wait; the replies come in either order, one by one or together. */
KVMI_TEST(kvmi_reader, replies_in_any_order, guest_cr3_steps)
{
	struct kvmi_event_msg ev[2];

	start(t);
	for (int i = 0; i < 40; i++) {
		int first = i & 1, reply = i >> 1 & 1;
		struct batch b = { };

		begin_reading(t, first, &ev[first]);
		begin(t, !first, &ev[!first]);
		wait_until_asleep(t->worker[!first].tid);
		if (i & 4) {
			kvmi_continue(&t->tool, &ev[reply]);
			end(t, reply, &ev[reply]);
			kvmi_continue(&t->tool, &ev[!reply]);
		} else {
			add_reply(&b, &ev[reply]);
			add_reply(&b, &ev[!reply]);
			TEST_ASSERT(kvmi_write(&t->tool, b.data, b.size), "closed");
			end(t, reply, &ev[reply]);
		}
		end(t, !reply, &ev[!reply]);
	}
}

/* --- the connection ends -------------------- */

/* Of both vCPUs one reads. Half of the time there is half a message. */
KVMI_TEST(kvmi_reader, tool_and_vmm_go, guest_cr3_steps)
{
	struct kvmi_event_msg ev[2];
	struct kvmi_msg_hdr hdr;
	__u8 bad[24];

	kvmi_run_all(t);
	for (int round = 0; round < 24; round++) {
		for (int i = 0; i < 2; i++)
			control(t, i);
		begin_reading(t, 0, &ev[0]);
		begin(t, 1, &ev[1]);
		hdr = (struct kvmi_msg_hdr){ KVMI_VCPU_EVENT_REPLY, 24, ev[0].hdr.seq };
		if (round & 1)
			TEST_ASSERT(kvmi_write(&t->tool, &hdr, sizeof(hdr)), "closed");
		switch (round / 2 % 3) {
		case 0:
			kvmi_tool_close(&t->tool);
			break;
		case 1:
			TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
			kvmi_expect_closed(&t->tool);
			break;
		case 2:
			/* A message that is too large, or a reply that is wrong. */
			memset(bad, 0xff, sizeof(bad));
			TEST_ASSERT(kvmi_write(&t->tool, bad, sizeof(bad)), "closed");
			kvmi_expect_closed(&t->tool);
			break;
		}
		for (int i = 0; i < 2; i++)
			end(t, i, &ev[i]);
		kvmi_test_rehook(t);
	}
}

KVMI_TEST_MAIN()
