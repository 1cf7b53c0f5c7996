// SPDX-License-Identifier: GPL-2.0-only
/*
 * Things that happen at the same time. What is random begins with a seed, which
 * is printed; KVMI_SEED=number repeats a run as far as timing allows.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_race, 2);

static unsigned int seed;

static void new_seed(void)
{
	seed = kvmi_env("KVMI_SEED", getpid() ^ kvmi_now_ms());
	printf("# seed %u\n", seed);
	fflush(stdout);
}

static unsigned int any(unsigned int n)
{
	return rand_r(&seed) % n;
}

/* Leave the CPU to others a random number of times. */
static void linger(unsigned int max)
{
	for (unsigned int n = any(max); n; n--)
		sched_yield();
}

static void expect_all_running(struct kvmi_test *t)
{
	for (int i = 0; i < t->nr_vcpus; i++) {
		kvmi_expect_running(t, i);
		kvmi_expect_running(t, i);
	}
}

/* --- hook and new vCPUs -------------------------------------------------------------- */

enum { VCPUS = 40 };

static void *create_vcpus(void *arg)
{
	struct kvmi_test *t = arg;

	for (int id = 2; id < VCPUS; id++)
		TEST_ASSERT(ioctl(t->vm->fd, KVM_CREATE_VCPU, id) >= 0, "KVM_CREATE_VCPU failed");
	return NULL;
}

/* No vCPU is missed: each can be paused, whenever it was created. */
KVMI_TEST(kvmi_race, hook_while_vcpus_are_created, guest_spin)
{
	struct kvmi_vm_get_info_reply info = { };
	pthread_t thread;

	TEST_ASSERT(!pthread_create(&thread, NULL, create_vcpus, t), "pthread_create() failed");
	while (info.vcpu_count < VCPUS) {
		kvmi_test_rehook(t);
		KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_GET_INFO, NULL, 0, &info,
					    sizeof(info)));
		for (int i = 0; i < info.vcpu_count; i++)
			KVMI_ASSERT_OK(kvmi_pause(&t->tool, i, 0));
	}
	pthread_join(thread, NULL);
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, VCPUS, 0), -KVM_EINVAL);
}

/* --- hook and unhook while vCPUs work -------------------------------------------------- */

static void enable(struct kvmi_tool *tool, int vcpu)
{
	struct kvmi_vcpu_control_events events = { .event_id = KVMI_VCPU_EVENT_CR, .enable = 1 };
	struct kvmi_vcpu_control_cr cr = { .enable = 1, .cr = 3 };

	kvmi_vcpu_post(tool, vcpu, KVMI_VCPU_CONTROL_EVENTS, &events, sizeof(events));
	kvmi_vcpu_post(tool, vcpu, KVMI_VCPU_CONTROL_CR, &cr, sizeof(cr));
}

/* Answer @n events; replies to commands are read and forgotten. */
static bool serve(struct kvmi_tool *tool, int n)
{
	struct kvmi_event_msg ev;
	struct kvmi_msg msg;

	while (n) {
		if (!kvmi_recv(tool, &msg))
			return false;
		if (msg.hdr.id != KVMI_EVENT)
			continue;
		TEST_ASSERT(sizeof(msg.hdr) + msg.hdr.size <= sizeof(ev), "event too long");
		memcpy(&ev, &msg, sizeof(msg.hdr) + msg.hdr.size);
		kvmi_continue(tool, &ev);
		n--;
	}
	return true;
}

KVMI_TEST(kvmi_race, unhook_while_vcpus_raise_events, guest_cr3_writes)
{
	new_seed();
	kvmi_run_all(t);
	for (int round = 0; round < 40; round++) {
		enable(&t->tool, 0);
		enable(&t->tool, 1);
		serve(&t->tool, any(10));
		linger(50);
		TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
		if (any(2))
			linger(50);
		kvmi_tool_close(&t->tool);
		kvmi_tool_init(&t->tool, kvmi_hook(t->vm->fd));
	}
	expect_all_running(t);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_no_event(&t->tool, 1);
}

/* --- the tool is killed ------------------------------------------------------------------- */

static void tool_process(int fd)
{
	struct kvmi_tool tool;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	kvmi_tool_init(&tool, fd);
	for (;;) {
		enable(&tool, 0);
		enable(&tool, 1);
		kvmi_vcpu_post(&tool, any(2), KVMI_VCPU_PAUSE, NULL, 0);
		kvmi_vcpu_post(&tool, any(2), KVMI_VCPU_GET_REGISTERS, NULL, 0);
		serve(&tool, 5 + any(5));
	}
}

KVMI_TEST(kvmi_race, tool_killed_anywhere, guest_cr3_writes)
{
	int status, fd;
	pid_t pid;

	new_seed();
	kvmi_run_all(t);
	for (int round = 0; round < 20; round++) {
		fd = t->tool.fd;
		pid = fork();
		TEST_ASSERT(pid >= 0, "fork() failed");
		if (!pid)
			tool_process(fd);
		kvmi_tool_close(&t->tool);
		linger(3000);
		kill(pid, SIGKILL);
		KVMI_WAIT(waitpid(pid, &status, WNOHANG) == pid, "the tool does not die");
		TEST_ASSERT(WIFSIGNALED(status), "the tool ended by itself: %#x", status);
		expect_all_running(t);
		kvmi_test_rehook(t);
	}
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_expect_no_event(&t->tool, 1);
}

/* --- everything at once -------------------------------------------------------------------- */

static struct {
	struct kvmi_test *t;
	bool stop;
} vmm;

/* What a VMM does to a VM that runs. */
static void *vmm_works(void *arg)
{
	struct kvmi_test *t = vmm.t;

	while (!READ_ONCE(vmm.stop)) {
		kvmi_worker_kick(&t->worker[0]);
		sched_yield();
		kvmi_worker_kick(&t->worker[1]);
		vm_userspace_mem_region_add(t->vm, VM_MEM_SRC_ANONYMOUS, 0x40000000, 5, 1, 0);
		vm_mem_region_delete(t->vm, 5);
	}
	return NULL;
}

/* Events of both vCPUs, pauses, signals and memory slots: none is lost or doubled. */
KVMI_TEST(kvmi_race, events_and_the_vmm, guest_cr3_writes)
{
	struct kvmi_event_msg ev, pause[2];
	int pauses = 0, crs = 0;
	pthread_t thread;
	__u64 old[2];

	new_seed();
	kvmi_run_all(t);
	expect_all_running(t);
	/* Both stand still, so that the first events' old values are known. */
	for (int i = 0; i < 2; i++) {
		KVMI_ASSERT_OK(kvmi_pause(&t->tool, i, 1));
		kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_PAUSE, &pause[i]);
		old[i] = pause[i].ev.arch.sregs.cr3;
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_CR, 1));
		KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, i, 3, 1));
	}
	for (int i = 0; i < 2; i++)
		kvmi_continue(&t->tool, &pause[i]);
	vmm.t = t;
	TEST_ASSERT(!pthread_create(&thread, NULL, vmm_works, NULL), "pthread_create() failed");
	while (crs < 300) {
		if (!any(8)) {
			KVMI_ASSERT_OK(kvmi_pause(&t->tool, any(2), any(2)));
			pauses++;
		}
		kvmi_next_event(&t->tool, &ev);
		TEST_ASSERT(ev.ev.vcpu < 2, "event of vCPU %u", ev.ev.vcpu);
		if (ev.ev.event == KVMI_VCPU_EVENT_PAUSE) {
			pauses--;
		} else {
			/* Each write once, and none left out. */
			TEST_ASSERT_EQ(ev.cr.old_value, old[ev.ev.vcpu]);
			TEST_ASSERT_EQ(ev.cr.new_value, old[ev.ev.vcpu] ^ X86_CR3_PWT);
			old[ev.ev.vcpu] = ev.cr.new_value;
			crs++;
		}
		kvmi_continue(&t->tool, &ev);
	}
	WRITE_ONCE(vmm.stop, true);
	pthread_join(thread, NULL);
	while (pauses) {
		kvmi_next_event(&t->tool, &ev);
		pauses -= ev.ev.event == KVMI_VCPU_EVENT_PAUSE;
		kvmi_continue(&t->tool, &ev);
	}
	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	expect_all_running(t);
}

/* The ioctls from two threads; each result has to be one that is possible. */
static void *any_ioctl(void *arg)
{
	struct kvmi_test *t = vmm.t;
	int sv[2], r;

	for (int i = 0; i < 200; i++) {
		switch (i * 7 % 5) {
		case 0:
			TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair()");
			r = kvmi_hook_fd(t->vm->fd, sv[0]);
			TEST_ASSERT(!r || r == -EEXIST, "HOOK: %d", r);
			close(sv[0]);
			close(sv[1]);
			break;
		case 1:
			r = kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, -1, i & 1);
			TEST_ASSERT(!r || r == -EFAULT, "COMMAND: %d", r);
			break;
		case 2:
			r = kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, -1, i & 1);
			TEST_ASSERT(!r || r == -EFAULT, "EVENT: %d", r);
			break;
		case 3:
			r = kvmi_preunhook(t->vm->fd);
			TEST_ASSERT(r == -ENOENT || r == -EFAULT, "PREUNHOOK: %d", r);
			break;
		case 4:
			TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
			break;
		}
	}
	return NULL;
}

KVMI_TEST(kvmi_race, ioctls_from_two_threads, guest_spin)
{
	pthread_t thread[2];

	kvmi_run_all(t);
	vmm.t = t;
	for (int i = 0; i < 2; i++)
		TEST_ASSERT(!pthread_create(&thread[i], NULL, any_ioctl, NULL), "pthread_create()");
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	kvmi_test_rehook(t);
	expect_all_running(t);
}

KVMI_TEST_MAIN()
