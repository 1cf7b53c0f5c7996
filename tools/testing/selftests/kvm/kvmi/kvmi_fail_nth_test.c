// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of an operation fails once: the operation fails cleanly or
 * does without, and works the next time. Needs CONFIG_FAILSLAB.
 */
#include <dirent.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "kvmi_test_harness.h"

#define DEBUGFS "/sys/kernel/debug"

/* Why fault injection is not available, or NULL. Undone with the mount namespace. */
static const char *prepare_faults(void)
{
	static const struct { const char *path, *value; } settings[] = {
		/* Otherwise only allocations that must not sleep fail. */
		{ DEBUGFS "/failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N" },
		/* A stack trace for each would hide real ones. */
		{ DEBUGFS "/failslab/verbose", "0" },
		{ DEBUGFS "/fail_page_alloc/verbose", "0" },
		{ DEBUGFS "/fail_usercopy/verbose", "0" },
	};
	bool failslab = false;
	int fd;

	if (access("/proc/self/fail-nth", F_OK))
		return "this kernel has no fault injection (CONFIG_FAULT_INJECTION)";
	if (access(DEBUGFS "/failslab", F_OK) &&
	    (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	     mount("debugfs", DEBUGFS, "debugfs", 0, NULL)))
		return "no debugfs";
	for (int i = 0; i < ARRAY_SIZE(settings); i++) {
		fd = open(settings[i].path, O_WRONLY);
		if (fd < 0)
			continue;
		if (write(fd, settings[i].value, 1) == 1 && !i)
			failslab = true;
		close(fd);
	}
	return failslab ? NULL : "this kernel has no failslab (CONFIG_FAILSLAB)";
}

static int open_fault(int tid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", tid);
	fd = open(path, O_RDWR);
	TEST_ASSERT(fd >= 0, "open(%s) failed", path);
	return fd;
}

/* The @n-th allocation or copy of the file's task fails; 0: none does. */
static void set_fault(int fd, int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n), r;

	/* This copy may be what fails, if one is still to fail. */
	do {
		r = pwrite(fd, text, len, 0);
	} while (r < 0 && errno == EFAULT);
	TEST_ASSERT_EQ(r, len);
}

/* What is left of the countdown, 0 if something has failed. */
static int fault_left(int fd)
{
	char text[16] = { };

	if (pread(fd, text, sizeof(text) - 1, 0) < 0) {
		TEST_ASSERT(errno == EFAULT, "reading fail-nth failed");
		return 1;
	}
	return atoi(text);
}

static int own_fault;

/* Run @op with its n-th allocation failing. Returns false if it has fewer. */
static bool try_nth(struct kvmi_test *t, int n, int (*op)(struct kvmi_test *), int *result)
{
	int left;

	set_fault(own_fault, n);
	*result = op(t);
	left = fault_left(own_fault);
	set_fault(own_fault, 0);
	TEST_ASSERT(!*result || (!left && (*result == -ENOMEM || *result == -EFAULT)),
		    "number %d fails: %s", n, strerror(-*result));
	return !left;
}

FIXTURE(kvmi_fail_nth) { struct kvmi_test t; };

FIXTURE_SETUP(kvmi_fail_nth)
{
	const char *reason = prepare_faults();

	if (reason)
		SKIP(return, "%s", reason);
	own_fault = open_fault(gettid());
	kvmi_test_setup(&self->t, 2);
}

FIXTURE_TEARDOWN(kvmi_fail_nth) { kvmi_test_teardown(&self->t); }

#define CASE(name) TEST_F_TIMEOUT(kvmi_fail_nth, name, KVMI_TEST_TIMEOUT_S)

static int sv[2];

static int hook(struct kvmi_test *t)
{
	return kvmi_hook_fd(t->vm->fd, sv[0]);
}

/* Also shows that the hook is whole. */
static void unhook(struct kvmi_test *t)
{
	struct kvmi_tool tool;

	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, -1, 1), 0);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, -1, 1), 0);
	kvmi_tool_init(&tool, sv[1]);
	KVMI_ASSERT_OK(kvmi_get_version(&tool));
	for (int i = 0; i < 2; i++)
		KVMI_ASSERT_OK(kvmi_pause(&tool, i, 0));
	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	close(sv[0]);
	close(sv[1]);
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
}

/* A VM that was never hooked: everything has to be made. */
CASE(first_hook)
{
	struct kvmi_test *t = &self->t;
	struct kvm_vm *hooked = t->vm;
	int r, n, failed = 0;
	bool hit = true;

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	for (n = 1; hit; n++) {
		t->vm = vm_create_barebones();
		__vm_vcpu_add(t->vm, 0);
		__vm_vcpu_add(t->vm, 1);
		hit = try_nth(t, n, hook, &r);
		if (r) {
			failed++;
			TEST_ASSERT_EQ(hook(t), 0);
		}
		unhook(t);
		kvm_vm_free(t->vm);
	}
	t->vm = hooked;
	/* The argument, the VM's state and two buffers, two of each vCPU's, a thread. */
	TEST_ASSERT(failed >= 8, "only %d of %d faults made it fail", failed, n - 1);
}

CASE(hook_again)
{
	struct kvmi_test *t = &self->t;
	int r, n, failed = 0;
	bool hit = true;

	TEST_ASSERT_EQ(kvmi_unhook(t->vm->fd), 0);
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	for (n = 1; hit; n++) {
		hit = try_nth(t, n, hook, &r);
		if (r) {
			failed++;
			TEST_ASSERT_EQ(hook(t), 0);
		}
		unhook(t);
	}
	TEST_ASSERT(failed >= 2, "only %d of %d faults made it fail", failed, n - 1);
}

/* --- vCPUs that are created while the VM is hooked ----------------------------------- */

static int vcpu_fd;

static int create_vcpu(struct kvmi_test *t)
{
	vcpu_fd = ioctl(t->vm->fd, KVM_CREATE_VCPU, t->nr_vcpus);
	return vcpu_fd < 0 ? -errno : 0;
}

/* The new vCPU is known. */
static void use_vcpu(struct kvmi_test *t)
{
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, t->nr_vcpus, 0));
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, t->nr_vcpus + 1, 0), -KVM_EINVAL);
	t->nr_vcpus++;
	close(vcpu_fd);
}

/*
 * From the last allocation backwards: the file of the vCPU, its place in the VM,
 * and what introspection needs. KVM warns about some that come before these.
 */
CASE(create_vcpu)
{
	struct kvmi_test *t = &self->t;
	int real_vcpus = t->nr_vcpus, failed = 0, n, r;
	const int many = 100000;

	set_fault(own_fault, many);
	r = create_vcpu(t);
	n = many - fault_left(own_fault);
	set_fault(own_fault, 0);
	TEST_ASSERT_EQ(r, 0);
	use_vcpu(t);
	for (; n && failed < 4; n--) {
		try_nth(t, n, create_vcpu, &r);
		if (r) {
			failed++;
			TEST_ASSERT_EQ(create_vcpu(t), 0);
		}
		use_vcpu(t);
	}
	TEST_ASSERT_EQ(failed, 4);
	t->nr_vcpus = real_vcpus;
}

/* --- KVM's thread for the tool, and a vCPU that raises events ------------------------- */

/* The receiving thread is named after this process. */
static int receiver(void)
{
	char path[64], comm[32], want[32];
	struct dirent *d;
	int found = 0;
	DIR *proc;
	FILE *f;

	snprintf(want, sizeof(want), "kvmi-%d\n", getpid());
	proc = opendir("/proc");
	while ((d = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%.20s/comm", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) && !strcmp(comm, want))
			found = atoi(d->d_name);
		fclose(f);
	}
	closedir(proc);
	TEST_ASSERT(found, "no thread is called %s", want);
	return found;
}

/* Either an answer or the end of the connection, never silence. */
static bool answered(struct kvmi_tool *tool, __u32 seq)
{
	struct kvmi_error_code ec;
	struct kvmi_msg msg;

	if (!kvmi_recv_reply(tool, &msg))
		return false;
	TEST_ASSERT_EQ(msg.hdr.seq, seq);
	memcpy(&ec, msg.data, sizeof(ec));
	/* A page that cannot be made present is not there. */
	TEST_ASSERT(!ec.err || ec.err == -KVM_ENOMEM || ec.err == -KVM_ENOENT,
		    "error code %d (%s)", ec.err, kvmi_err_str(ec.err));
	return true;
}

CASE(commands)
{
	static const struct { __u16 id; __u64 body[3]; } cmds[] = {
		{ KVMI_GET_VERSION }, { KVMI_VM_GET_INFO }, { KVMI_VCPU_GET_INFO },
		{ KVMI_VCPU_GET_REGISTERS }, { KVMI_VM_READ_PHYSICAL, { 0x1000, 8 } },
		{ KVMI_VM_WRITE_PHYSICAL, { 0x1000, 8 } },
	};
	struct kvmi_test *t = &self->t;
	int fault = open_fault(receiver()), hit = 0, left, n;
	__u32 seq;

	kvmi_run_all(t);
	for (int i = 0; i < ARRAY_SIZE(cmds); i++) {
		for (n = 1, left = 0; !left; n++) {
			set_fault(fault, n);
			seq = kvmi_post(&t->tool, cmds[i].id, cmds[i].body, sizeof(cmds[i].body));
			if (answered(&t->tool, seq)) {
				left = fault_left(fault);
				set_fault(fault, 0);
				hit += !left;
				KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
				continue;
			}
			hit++;
			close(fault);
			kvmi_expect_running(t, 0);
			kvmi_test_rehook(t);
			fault = open_fault(receiver());
		}
	}
	close(fault);
	/* Each reply takes one at least. */
	TEST_ASSERT(hit >= ARRAY_SIZE(cmds), "only %d faults", hit);
}

/* The vCPU cannot send its event: the guest goes on without the tool. */
CASE(event)
{
	struct kvmi_test *t = &self->t;
	struct kvmi_event_msg ev;
	struct kvmi_msg msg;
	int fault, n, lost = 0;
	bool hit = true;

	kvmi_set_guest(t, 0, guest_cr3_steps);
	kvmi_run(t, 0);
	for (n = 1; hit; n++) {
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
		KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
		fault = open_fault(t->worker[0].tid);
		set_fault(fault, n);
		kvmi_step_begin(t, 0);
		if (kvmi_recv(&t->tool, &msg)) {
			hit = !fault_left(fault);
			set_fault(fault, 0);
			memcpy(&ev, &msg, sizeof(msg.hdr) + msg.hdr.size);
			kvmi_continue(&t->tool, &ev);
		} else {
			lost++;
		}
		kvmi_step_end(t, 0);
		close(fault);
		kvmi_test_rehook(t);
	}
	TEST_ASSERT(lost, "none of %d faults hit the event", n - 1);
}

KVMI_TEST_MAIN()
