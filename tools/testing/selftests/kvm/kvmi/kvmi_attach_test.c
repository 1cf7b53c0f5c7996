// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may hook: beside the VMM itself a process that holds the VM's file and
 * has CAP_SYS_PTRACE. Its other ioctls fail as for any foreign process.
 */
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kvmi_test_harness.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open	434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd	438
#endif

/* The VMM: a VM with a running vCPU, not hooked. */
FIXTURE(kvmi_attach) { struct kvmi_test t; };

FIXTURE_SETUP(kvmi_attach)
{
	kvmi_test_setup(&self->t, 1);
	TEST_ASSERT_EQ(kvmi_unhook(self->t.vm->fd), 0);
	kvmi_tool_close(&self->t.tool);
	kvmi_run(&self->t, 0);
}

FIXTURE_TEARDOWN(kvmi_attach) { kvmi_test_teardown(&self->t); }

#define CASE(name) TEST_F_TIMEOUT(kvmi_attach, name, KVMI_TEST_TIMEOUT_S)

static void set_ptrace_cap(bool on)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	TEST_ASSERT(!syscall(SYS_capget, &hdr, data), "capget() failed");
	if (on)
		data[0].effective |= BIT(CAP_SYS_PTRACE);
	else
		data[0].effective &= ~BIT(CAP_SYS_PTRACE);
	TEST_ASSERT(!syscall(SYS_capset, &hdr, data), "capset() failed");
}

/* Run @body in a process of its own, which fails the test by its exit status. */
static void in_other_process(struct kvmi_test *t, void (*body)(int vm_fd))
{
	int status, fd = t->vm->fd;
	pid_t pid = fork();

	TEST_ASSERT(pid >= 0, "fork() failed");
	if (!pid) {
		body(fd);
		_exit(0);
	}
	TEST_ASSERT_EQ(waitpid(pid, &status, 0), pid);
	TEST_ASSERT(WIFEXITED(status) && !WEXITSTATUS(status),
		    "the other process ended with status %#x", status);
	/* Whatever it left behind: the guest goes on. */
	kvmi_expect_running(t, 0);
}

static void use_it(int vm_fd)
{
	struct kvmi_vcpu_get_registers_reply regs;
	struct kvmi_event_msg ev;
	struct kvmi_tool tool;

	kvmi_tool_init(&tool, kvmi_hook(vm_fd));
	KVMI_ASSERT_OK(kvmi_get_version(&tool));
	KVMI_ASSERT_OK(kvmi_get_regs(&tool, 0, &regs));
	KVMI_ASSERT_OK(kvmi_pause(&tool, 0, 1));
	kvmi_expect_event(&tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	kvmi_continue(&tool, &ev);
	TEST_ASSERT_EQ(kvmi_preunhook(vm_fd), -ENOENT);
	TEST_ASSERT_EQ(kvmi_unhook(vm_fd), 0);
	kvmi_expect_closed(&tool);
}

static void hook_and_die(int vm_fd)
{
	struct kvmi_event_msg ev;
	struct kvmi_tool tool;

	kvmi_tool_init(&tool, kvmi_hook(vm_fd));
	KVMI_ASSERT_OK(kvmi_pause(&tool, 0, 1));
	kvmi_expect_event(&tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
}

static void expect_all_refused(int vm_fd)
{
	int sv[2];

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	TEST_ASSERT_EQ(kvmi_hook_fd(vm_fd, sv[0]), -EIO);
	TEST_ASSERT_EQ(kvmi_feature(vm_fd, KVM_INTROSPECTION_COMMAND, -1, 1), -EIO);
	TEST_ASSERT_EQ(kvmi_feature(vm_fd, KVM_INTROSPECTION_EVENT, -1, 1), -EIO);
	TEST_ASSERT_EQ(kvmi_preunhook(vm_fd), -EIO);
	TEST_ASSERT_EQ(kvmi_unhook(vm_fd), -EIO);
}

static void without_capability(int vm_fd)
{
	set_ptrace_cap(false);
	expect_all_refused(vm_fd);
	/* It is the effective set that counts. */
	set_ptrace_cap(true);
	use_it(vm_fd);
}

static void other_ioctls(int vm_fd)
{
	static const unsigned long cmds[] = {
		KVM_CREATE_VCPU, KVM_CHECK_EXTENSION, KVM_GET_STATS_FD, KVM_SET_TSS_ADDR,
		/* Neighbours of the five numbers. */
		_IO(KVMIO, 0xf9), _IO(KVMIO, 0xfa), _IO(KVMIO, 0xfc), _IO(KVMIO, 0xfd),
		_IO(KVMIO, 0xff),
	};

	for (int hooked = 0; hooked < 2; hooked++) {
		for (int i = 0; i < ARRAY_SIZE(cmds); i++)
			TEST_ASSERT(ioctl(vm_fd, cmds[i], 0) == -1 && errno == EIO,
				    "ioctl %#lx from a foreign process, hooked %d", cmds[i],
				    hooked);
		if (!hooked)
			kvmi_hook(vm_fd);
	}
	TEST_ASSERT_EQ(kvmi_unhook(vm_fd), 0);
}

CASE(inherited_file)
{
	in_other_process(&self->t, use_it);
	in_other_process(&self->t, use_it);
}

CASE(without_capability)
{
	in_other_process(&self->t, without_capability);
}

CASE(other_ioctls_fail)
{
	in_other_process(&self->t, other_ioctls);
}

/* Hooked from outside, the VM stays so until somebody unhooks it. */
CASE(other_process_dies)
{
	struct kvmi_test *t = &self->t;
	int sv[2];

	in_other_process(t, hook_and_die);
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	TEST_ASSERT_EQ(kvmi_hook_fd(t->vm->fd, sv[0]), -EEXIST);
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
}

/* As a tool attaches to any VMM: nothing inherited, found by its number. */
static void by_pidfd(int vm_fd)
{
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0), fd;

	TEST_ASSERT(pidfd >= 0, "pidfd_open() failed");
	close(vm_fd);
	fd = syscall(SYS_pidfd_getfd, pidfd, vm_fd, 0);
	TEST_ASSERT(fd >= 0, "pidfd_getfd() failed");
	use_it(fd);
}

CASE(file_by_pidfd)
{
	in_other_process(&self->t, by_pidfd);
}

static int pass_sv[2];

static void by_scm_rights(int vm_fd)
{
	char buf[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	int fd;

	close(vm_fd);
	TEST_ASSERT_EQ(recvmsg(pass_sv[1], &msg, 0), 1);
	TEST_ASSERT(CMSG_FIRSTHDR(&msg), "no file came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	use_it(fd);
}

/* As a VMM that knows its tool hands it over. */
CASE(file_by_scm_rights)
{
	char buf[CMSG_SPACE(sizeof(int))] = { }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, pass_sv), "socketpair() failed");
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &self->t.vm->fd, sizeof(int));
	TEST_ASSERT_EQ(sendmsg(pass_sv[0], &msg, 0), 1);
	in_other_process(&self->t, by_scm_rights);
}

KVMI_TEST_MAIN()
