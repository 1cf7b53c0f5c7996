// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMM and tool in processes of their own, killed and stopped by signals. The
 * test watches both and holds no end of the socket that it does not use.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kvmi_test_harness.h"

/* Shared with the VMM, which copies the guest's counters there. */
struct shared {
	__u64 count, cr3_writes;
};

/* The VMM: runs its guest until it is killed. */
static void run_vmm(struct shared *shared, int sock)
{
	struct kvmi_test t = { };

	t.vm = vm_create_with_one_vcpu(&t.vcpu[0], guest_cr3_writes);
	kvmi_test_attach(&t, 1);
	/* Its own session was only to get everything else ready. */
	TEST_ASSERT_EQ(kvmi_unhook(t.vm->fd), 0);
	kvmi_tool_close(&t.tool);
	TEST_ASSERT_EQ(kvmi_hook_fd(t.vm->fd, sock), 0);
	TEST_ASSERT_EQ(kvmi_feature(t.vm->fd, KVM_INTROSPECTION_COMMAND, -1, 1), 0);
	TEST_ASSERT_EQ(kvmi_feature(t.vm->fd, KVM_INTROSPECTION_EVENT, -1, 1), 0);
	close(sock);
	kvmi_set_guest(&t, 0, guest_cr3_writes);
	kvmi_run(&t, 0);
	for (;;) {
		WRITE_ONCE(shared->count, READ_ONCE(t.guest[0]->count));
		WRITE_ONCE(shared->cr3_writes, READ_ONCE(t.guest[0]->done));
		sched_yield();
	}
}

FIXTURE(kvmi_process) { struct shared *shared; pid_t vmm; int sock; };
FIXTURE_SETUP(kvmi_process)
{
	int sv[2];

	self->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(self->shared != MAP_FAILED, "mmap() failed");
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	self->vmm = fork();
	TEST_ASSERT(self->vmm >= 0, "fork() failed");
	if (!self->vmm) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sv[1]);
		run_vmm(self->shared, sv[0]);
	}
	close(sv[0]);
	self->sock = sv[1];
	KVMI_WAIT(READ_ONCE(self->shared->cr3_writes), "the VMM does not start its guest");
}

static void expect_guest_runs(struct shared *s)
{
	__u64 before = READ_ONCE(s->cr3_writes);

	/* Two, as one may have been on its way. */
	KVMI_WAIT(READ_ONCE(s->cr3_writes) >= before + 2, "the guest makes no progress");
}

static void expect_killed(pid_t pid, const char *what)
{
	int status;

	KVMI_WAIT(waitpid(pid, &status, WNOHANG) == pid, what);
	TEST_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: status %#x", what,
		    status);
}

FIXTURE_TEARDOWN(kvmi_process)
{
	if (self->vmm) {
		kill(self->vmm, SIGKILL);
		expect_killed(self->vmm, "the VMM does not die");
	}
}

#define CASE(name) TEST_F_TIMEOUT(kvmi_process, name, KVMI_TEST_TIMEOUT_S)

static void start_events(struct kvmi_tool *tool)
{
	KVMI_ASSERT_OK(kvmi_control_cr(tool, 0, 3, 1));
	KVMI_ASSERT_OK(kvmi_vcpu_events(tool, 0, KVMI_VCPU_EVENT_CR, 1));
}

static void next_write(struct kvmi_tool *tool, struct kvmi_event_msg *ev)
{
	kvmi_expect_event(tool, 0, KVMI_VCPU_EVENT_CR, ev);
}

static void kill_vmm(pid_t *vmm, struct kvmi_tool *tool)
{
	kill(*vmm, SIGKILL);
	expect_killed(*vmm, "the VMM does not die");
	*vmm = 0;
	kvmi_expect_closed(tool);
}

/* --- the VMM ----------------------------------------------------------------------- */

CASE(vmm_killed_while_its_vcpu_waits)
{
	struct kvmi_event_msg ev;
	struct kvmi_tool tool;

	kvmi_tool_init(&tool, self->sock);
	start_events(&tool);
	next_write(&tool, &ev);
	kill_vmm(&self->vmm, &tool);
}

CASE(vmm_killed_while_its_vcpu_is_paused)
{
	struct kvmi_event_msg ev;
	struct kvmi_tool tool;

	kvmi_tool_init(&tool, self->sock);
	KVMI_ASSERT_OK(kvmi_pause(&tool, 0, 1));
	kvmi_expect_event(&tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	kill_vmm(&self->vmm, &tool);
}

CASE(vmm_killed_between_events)
{
	struct kvmi_event_msg ev;
	struct kvmi_tool tool;

	kvmi_tool_init(&tool, self->sock);
	start_events(&tool);
	for (int i = 0; i < 20; i++) {
		next_write(&tool, &ev);
		kvmi_continue(&tool, &ev);
	}
	/* The one that comes next may be under way. */
	kill(self->vmm, SIGKILL);
	expect_killed(self->vmm, "the VMM does not die");
	self->vmm = 0;
	while (kvmi_recv(&tool, &(struct kvmi_msg){ }))
		;
}

/* A debugger or a shell stops the VMM; the event is there once. */
CASE(vmm_stopped_while_its_vcpu_waits)
{
	struct kvmi_vcpu_get_info_reply info;
	struct kvmi_event_msg ev, next;
	struct kvmi_tool tool;
	int status;
	__u32 seq;

	kvmi_tool_init(&tool, self->sock);
	start_events(&tool);
	next_write(&tool, &ev);
	for (int i = 0; i < 5; i++) {
		kill(self->vmm, SIGSTOP);
		KVMI_WAIT(waitpid(self->vmm, &status, WNOHANG | WUNTRACED) == self->vmm,
			  "the VMM does not stop while its vCPU waits");
		TEST_ASSERT(WIFSTOPPED(status), "status %#x", status);
		/* Commands of the VM need no vCPU, the vCPU's wait for it. */
		KVMI_ASSERT_OK(kvmi_get_version(&tool));
		seq = kvmi_vcpu_post(&tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
		kill(self->vmm, SIGCONT);
		KVMI_ASSERT_OK(kvmi_collect(&tool, KVMI_VCPU_GET_INFO, seq, &info, sizeof(info)));
		TEST_ASSERT(!tool.nr_events, "a second event after SIGSTOP and SIGCONT");
	}
	kvmi_continue(&tool, &ev);
	next_write(&tool, &next);
	TEST_ASSERT_EQ(next.hdr.seq, ev.hdr.seq + 1);
	TEST_ASSERT_EQ(next.cr.old_value, ev.cr.new_value);
}

/* --- the tool ------------------------------------------------------------------------ */

static void after_hook(struct kvmi_tool *tool)
{
}

static void with_replies_unread(struct kvmi_tool *tool)
{
	for (int i = 0; i < 10; i++) {
		kvmi_post(tool, KVMI_GET_VERSION, NULL, 0);
		kvmi_vcpu_post(tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	}
}

static void inside_a_command(struct kvmi_tool *tool)
{
	struct kvmi_msg_hdr hdr = { .id = KVMI_VCPU_PAUSE, .size = 16 };

	kvmi_write(tool, &hdr, sizeof(hdr));
}

static void with_event_unread(struct kvmi_tool *tool)
{
	char byte;

	start_events(tool);
	recv(tool->fd, &byte, 1, MSG_PEEK);
}

static void with_event_unanswered(struct kvmi_tool *tool)
{
	struct kvmi_event_msg ev;

	start_events(tool);
	next_write(tool, &ev);
}

static void inside_a_reply(struct kvmi_tool *tool)
{
	struct kvmi_msg_hdr hdr = { .id = KVMI_VCPU_EVENT_REPLY, .size = 24 };
	struct kvmi_event_msg ev;

	start_events(tool);
	next_write(tool, &ev);
	hdr.seq = ev.hdr.seq;
	kvmi_write(tool, &hdr, sizeof(hdr));
}

static void after_a_reply(struct kvmi_tool *tool)
{
	struct kvmi_event_msg ev;

	start_events(tool);
	next_write(tool, &ev);
	kvmi_continue(tool, &ev);
}

static void with_the_guest_paused(struct kvmi_tool *tool)
{
	struct kvmi_event_msg ev;

	for (int i = 0; i < 5; i++)
		KVMI_ASSERT_OK(kvmi_pause(tool, 0, 1));
	kvmi_expect_event(tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
}

static void tool_killed(int sock, struct shared *shared, void (*state)(struct kvmi_tool *))
{
	pid_t pid = fork();

	TEST_ASSERT(pid >= 0, "fork() failed");
	if (!pid) {
		struct kvmi_tool tool;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		kvmi_tool_init(&tool, sock);
		state(&tool);
		kill(getpid(), SIGKILL);
	}
	close(sock);
	expect_killed(pid, "the tool does not get where it should be killed");
	expect_guest_runs(shared);
}

#define KILLED(state) CASE(tool_killed_##state) { tool_killed(self->sock, self->shared, state); }

KILLED(after_hook)
KILLED(with_replies_unread)
KILLED(inside_a_command)
KILLED(with_event_unread)
KILLED(with_event_unanswered)
KILLED(inside_a_reply)
KILLED(after_a_reply)
KILLED(with_the_guest_paused)

KVMI_TEST_MAIN()
