// SPDX-License-Identifier: GPL-2.0-only
/*
 * The five ioctls and the capability: every error, hooking again, what a hook
 * resets. Who may hook is kvmi_attach_test's matter.
 */
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kvmi_test_harness.h"

#define COMMAND	KVM_INTROSPECTION_COMMAND
#define EVENT	KVM_INTROSPECTION_EVENT

/* These run whatever the module parameter says. */
FIXTURE(kvmi_param) { struct kvm_vm *vm; };

FIXTURE_SETUP(kvmi_param) { self->vm = vm_create_barebones(); }

FIXTURE_TEARDOWN(kvmi_param) { kvm_vm_free(self->vm); }

TEST_F_TIMEOUT(kvmi_param, capability_follows_parameter, KVMI_TEST_TIMEOUT_S)
{
	int want = kvmi_param_on() ? KVMI_VERSION : 0;

	TEST_ASSERT_EQ(kvm_check_cap(KVM_CAP_INTROSPECTION), want);
	TEST_ASSERT_EQ(vm_check_cap(self->vm, KVM_CAP_INTROSPECTION), want);
}

TEST_F_TIMEOUT(kvmi_param, ioctls_follow_parameter, KVMI_TEST_TIMEOUT_S)
{
	int vm = self->vm->fd, sv[2], on = kvmi_param_on();

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	TEST_ASSERT_EQ(kvmi_hook_fd(vm, sv[0]), on ? 0 : -EPERM);
	TEST_ASSERT_EQ(kvmi_feature(vm, COMMAND, -1, 1), on ? 0 : -EPERM);
	TEST_ASSERT_EQ(kvmi_feature(vm, EVENT, -1, 1), on ? 0 : -EPERM);
	TEST_ASSERT_EQ(kvmi_preunhook(vm), on ? -ENOENT : -EPERM);
	TEST_ASSERT_EQ(kvmi_unhook(vm), on ? 0 : -EPERM);
}

FIXTURE(kvmi_ioctl) { struct kvm_vm *vm; int fd; };

FIXTURE_SETUP(kvmi_ioctl)
{
	if (!kvmi_param_on())
		SKIP(return, "kvm.introspection is off");
	self->vm = vm_create_barebones();
	self->fd = self->vm->fd;
}

FIXTURE_TEARDOWN(kvmi_ioctl)
{
	kvmi_unhook(self->fd);
	kvm_vm_free(self->vm);
}

#define CASE(name) TEST_F_TIMEOUT(kvmi_ioctl, name, KVMI_TEST_TIMEOUT_S)

static struct kvmi_tool hook(int vm_fd)
{
	struct kvmi_tool tool;

	kvmi_tool_init(&tool, kvmi_hook(vm_fd));
	return tool;
}

/* A refused hook leaves nothing behind: the next one works. */
static void expect_refused(int vm_fd, int sock)
{
	struct kvmi_tool tool;

	TEST_ASSERT_EQ(kvmi_hook_fd(vm_fd, sock), -EINVAL);
	tool = hook(vm_fd);
	KVMI_ASSERT_OK(kvmi_get_version(&tool));
	kvmi_tool_close(&tool);
	TEST_ASSERT_EQ(kvmi_unhook(vm_fd), 0);
}

CASE(hook_bad_fd)
{
	expect_refused(self->fd, -1);
	expect_refused(self->fd, 999);
}

CASE(hook_not_a_socket)
{
	int p[2];

	TEST_ASSERT(!pipe(p), "pipe() failed");
	expect_refused(self->fd, p[0]);
	expect_refused(self->fd, open("/dev/null", O_RDWR));
	expect_refused(self->fd, self->fd);
}

CASE(hook_unconnected_socket)
{
	expect_refused(self->fd, socket(AF_UNIX, SOCK_STREAM, 0));
}

CASE(hook_listening_socket)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	/* An address of the family alone makes the kernel choose one. */
	TEST_ASSERT(!bind(fd, (void *)&sa, sizeof(sa.sun_family)), "bind() failed");
	TEST_ASSERT(!listen(fd, 1), "listen() failed");
	expect_refused(self->fd, fd);
}

CASE(hook_datagram_socket)
{
	int sv[2];

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), "socketpair() failed");
	expect_refused(self->fd, sv[0]);
}

CASE(hook_seqpacket_socket)
{
	int sv[2];

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), "socketpair() failed");
	expect_refused(self->fd, sv[0]);
}

CASE(hook_padding)
{
	struct kvm_introspection_hook h = { .padding = 1 };
	int sv[2];

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	h.fd = sv[0];
	TEST_ASSERT(ioctl(self->fd, KVM_INTROSPECTION_HOOK, &h) && errno == EINVAL,
		    "padding is accepted");
	h.padding = 0;
	TEST_ASSERT_EQ(ioctl(self->fd, KVM_INTROSPECTION_HOOK, &h), 0);
}

CASE(bad_pointer)
{
	static const unsigned long cmds[] = { KVM_INTROSPECTION_HOOK, COMMAND, EVENT };
	struct kvmi_tool tool;

	TEST_ASSERT(ioctl(self->fd, cmds[0], 8) && errno == EFAULT, "HOOK, not hooked");
	tool = hook(self->fd);
	for (int i = 0; i < ARRAY_SIZE(cmds); i++)
		TEST_ASSERT(ioctl(self->fd, cmds[i], 8) && errno == EFAULT,
			    "ioctl %#lx with a bad pointer", cmds[i]);
	KVMI_ASSERT_OK(kvmi_get_version(&tool));
}

CASE(not_hooked)
{
	for (int again = 0; again < 2; again++) {
		struct kvmi_tool tool;

		TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, -1, 1), -EFAULT);
		TEST_ASSERT_EQ(kvmi_feature(self->fd, EVENT, -1, 1), -EFAULT);
		TEST_ASSERT_EQ(kvmi_preunhook(self->fd), -EFAULT);
		TEST_ASSERT_EQ(kvmi_unhook(self->fd), 0);
		/* The same holds after an unhook. */
		tool = hook(self->fd);
		TEST_ASSERT_EQ(kvmi_unhook(self->fd), 0);
		kvmi_tool_close(&tool);
	}
}

CASE(hooked_already)
{
	struct kvmi_tool tool = hook(self->fd);
	int sv[2];

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	TEST_ASSERT_EQ(kvmi_hook_fd(self->fd, sv[0]), -EEXIST);
	KVMI_ASSERT_OK(kvmi_get_version(&tool));
	/* A tool that is gone does not unhook. */
	kvmi_tool_close(&tool);
	TEST_ASSERT_EQ(kvmi_hook_fd(self->fd, sv[0]), -EEXIST);
	TEST_ASSERT_EQ(kvmi_unhook(self->fd), 0);
	TEST_ASSERT_EQ(kvmi_hook_fd(self->fd, sv[0]), 0);
}

CASE(unhook_closes_the_connection)
{
	struct kvmi_tool tool = hook(self->fd);

	TEST_ASSERT_EQ(kvmi_unhook(self->fd), 0);
	kvmi_expect_closed(&tool);
	TEST_ASSERT_EQ(kvmi_unhook(self->fd), 0);
}

CASE(rehook_many_times)
{
	for (int i = 0; i < 50; i++) {
		struct kvmi_tool tool = hook(self->fd);

		/* Every second time with a command on its way. */
		if (i & 1)
			kvmi_post(&tool, KVMI_GET_VERSION, NULL, 0);
		else
			KVMI_ASSERT_OK(kvmi_get_version(&tool));
		/* The tool may go first or last. */
		if (i & 2)
			kvmi_tool_close(&tool);
		TEST_ASSERT_EQ(kvmi_unhook(self->fd), 0);
		kvmi_tool_close(&tool);
	}
}

CASE(vm_goes_away_hooked)
{
	struct kvmi_tool tool = hook(self->fd);

	kvm_vm_free(self->vm);
	kvmi_expect_closed(&tool);
	self->vm = vm_create_barebones();
	self->fd = self->vm->fd;
}

static int check(struct kvmi_tool *tool, __u16 what, __u16 id)
{
	struct kvmi_vm_check_command req = { .id = id };

	return kvmi_command(tool, what, &req, sizeof(req), NULL, 0);
}

CASE(feature_out_of_range)
{
	static const __s32 bad_cmds[] = { -2, 0, 1, KVMI_NUM_MESSAGES, INT_MAX, INT_MIN };
	static const __s32 bad_events[] = { -2, KVMI_NUM_EVENTS, INT_MAX, INT_MIN };
	struct kvmi_tool tool = hook(self->fd);

	for (int i = 0; i < 2 * ARRAY_SIZE(bad_cmds); i++)
		TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, bad_cmds[i / 2], i & 1), -EINVAL);
	for (int i = 0; i < 2 * ARRAY_SIZE(bad_events); i++)
		TEST_ASSERT_EQ(kvmi_feature(self->fd, EVENT, bad_events[i / 2], i & 1), -EINVAL);
	TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, KVMI_NUM_MESSAGES - 1, 1), 0);
	TEST_ASSERT_EQ(kvmi_feature(self->fd, EVENT, KVMI_NUM_EVENTS - 1, 1), 0);
	kvmi_tool_close(&tool);
}

CASE(allow_is_not_a_bool)
{
	struct kvmi_tool tool = hook(self->fd);
	static const __u32 bad[] = { 2, 3, 1u << 31, ~0u };

	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, KVMI_VM_GET_INFO, bad[i]), -EINVAL);
		TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, -1, bad[i]), -EINVAL);
		TEST_ASSERT_EQ(kvmi_feature(self->fd, EVENT, KVMI_VCPU_EVENT_CR, bad[i]), -EINVAL);
		TEST_ASSERT_EQ(kvmi_feature(self->fd, EVENT, -1, bad[i]), -EINVAL);
	}
	/* None of these changed anything. */
	KVMI_ASSERT_OK(check(&tool, KVMI_VM_CHECK_COMMAND, KVMI_VM_GET_INFO));
	KVMI_ASSERT_OK(check(&tool, KVMI_VM_CHECK_EVENT, KVMI_VCPU_EVENT_CR));
}

CASE(trio_stays_allowed)
{
	struct kvmi_tool tool = hook(self->fd);

	for (int id = KVMI_GET_VERSION; id <= KVMI_VM_CHECK_EVENT; id++) {
		TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, id, 0), -EPERM);
		TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, id, 1), 0);
	}
	TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, -1, 0), 0);
	KVMI_ASSERT_OK(kvmi_get_version(&tool));
	for (int id = KVMI_GET_VERSION; id <= KVMI_VM_CHECK_EVENT; id++)
		KVMI_ASSERT_OK(check(&tool, KVMI_VM_CHECK_COMMAND, id));
	KVMI_ASSERT_ERR(check(&tool, KVMI_VM_CHECK_COMMAND, KVMI_VM_GET_INFO), -KVM_EPERM);
	KVMI_ASSERT_OK(check(&tool, KVMI_VM_CHECK_EVENT, KVMI_VCPU_EVENT_CR));
}

CASE(one_feature_at_a_time)
{
	struct kvmi_tool tool = hook(self->fd);

	TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, -1, 0), 0);
	TEST_ASSERT_EQ(kvmi_feature(self->fd, EVENT, -1, 0), 0);
	TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, KVMI_VM_GET_INFO, 1), 0);
	TEST_ASSERT_EQ(kvmi_feature(self->fd, EVENT, KVMI_VCPU_EVENT_CR, 1), 0);
	KVMI_ASSERT_OK(check(&tool, KVMI_VM_CHECK_COMMAND, KVMI_VM_GET_INFO));
	KVMI_ASSERT_ERR(check(&tool, KVMI_VM_CHECK_COMMAND, KVMI_VM_GET_MAX_GFN), -KVM_EPERM);
	KVMI_ASSERT_OK(check(&tool, KVMI_VM_CHECK_EVENT, KVMI_VCPU_EVENT_CR));
	KVMI_ASSERT_ERR(check(&tool, KVMI_VM_CHECK_EVENT, KVMI_VCPU_EVENT_PAUSE), -KVM_EPERM);
	TEST_ASSERT_EQ(kvmi_feature(self->fd, COMMAND, KVMI_VM_GET_INFO, 0), 0);
	TEST_ASSERT_EQ(kvmi_feature(self->fd, EVENT, KVMI_VCPU_EVENT_CR, 0), 0);
	KVMI_ASSERT_ERR(check(&tool, KVMI_VM_CHECK_COMMAND, KVMI_VM_GET_INFO), -KVM_EPERM);
	KVMI_ASSERT_ERR(check(&tool, KVMI_VM_CHECK_EVENT, KVMI_VCPU_EVENT_CR), -KVM_EPERM);
}

CASE(hook_resets_allow_lists)
{
	struct kvmi_tool tool = hook(self->fd);
	int sv[2];

	KVMI_ASSERT_OK(check(&tool, KVMI_VM_CHECK_COMMAND, KVMI_VM_GET_INFO));
	TEST_ASSERT_EQ(kvmi_unhook(self->fd), 0);
	kvmi_tool_close(&tool);
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	TEST_ASSERT_EQ(kvmi_hook_fd(self->fd, sv[0]), 0);
	kvmi_tool_init(&tool, sv[1]);
	KVMI_ASSERT_OK(kvmi_get_version(&tool));
	for (int id = KVMI_VM_CHECK_EVENT + 1; id < KVMI_NUM_MESSAGES; id++)
		TEST_ASSERT(check(&tool, KVMI_VM_CHECK_COMMAND, id),
			    "command %d is allowed without the VMM's word", id);
	for (int id = 0; id < KVMI_NUM_EVENTS; id++)
		KVMI_ASSERT_ERR(check(&tool, KVMI_VM_CHECK_EVENT, id), -KVM_EPERM);
}

CASE(preunhook_not_enabled)
{
	struct kvmi_tool tool = hook(self->fd);

	TEST_ASSERT_EQ(kvmi_preunhook(self->fd), -ENOENT);
	kvmi_expect_no_event(&tool, -1);
}

CASE(preunhook_tool_gone)
{
	struct kvmi_tool tool = hook(self->fd);

	KVMI_ASSERT_OK(kvmi_vm_events(&tool, KVMI_VM_EVENT_UNHOOK, 1));
	kvmi_tool_close(&tool);
	TEST_ASSERT_EQ(kvmi_preunhook(self->fd), -ENOENT);
}

CASE(protected_vm)
{
	struct kvm_vm *vm;
	int sv[2];

	if (!(kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM)))
		SKIP(return, "this kernel has no VM with private memory (KVM_SW_PROTECTED_VM)");
	vm = vm_create_barebones_type(KVM_X86_SW_PROTECTED_VM);
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	TEST_ASSERT_EQ(kvmi_hook_fd(vm->fd, sv[0]), -EOPNOTSUPP);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	if (access("/sys/module/kvm/parameters/introspection", R_OK))
		ksft_exit_skip("this kernel has no VM introspection (CONFIG_KVM_INTROSPECTION)\n");
	return test_harness_run(argc, argv);
}
