// SPDX-License-Identifier: GPL-2.0-only
/* What can be observed: the VM's statistics and the tracepoints. */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_stats, 1);

static __u64 stat_of(struct kvmi_test *t, const char *name)
{
	uint64_t val = ~0ull;

	__vm_get_stat(t->vm, name, &val, 1);
	TEST_ASSERT(val != ~0ull, "the VM has no statistic %s", name);
	return val;
}

static void expect_stats(struct kvmi_test *t, __u64 commands, __u64 events, __u64 replies)
{
	TEST_ASSERT_EQ(stat_of(t, "kvmi_commands"), commands);
	TEST_ASSERT_EQ(stat_of(t, "kvmi_events"), events);
	TEST_ASSERT_EQ(stat_of(t, "kvmi_event_replies"), replies);
}

static void pause_once(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_stats, counters, guest_spin)
{
	expect_stats(t, 0, 0, 0);
	kvmi_run(t, 0);
	for (int i = 1; i <= 5; i++) {
		KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
		expect_stats(t, i, 0, 0);
	}
	for (int i = 1; i <= 5; i++) {
		/* The pause and the one that shows that no event is left. */
		pause_once(t);
		expect_stats(t, 5 + 2 * i, i, i);
	}
	/* The counters are the VM's, not a session's. */
	kvmi_test_rehook(t);
	expect_stats(t, 16, 5, 5);
}

KVMI_TEST(kvmi_stats, event_without_reply, guest_spin)
{
	KVMI_ASSERT_OK(kvmi_vm_events(&t->tool, KVMI_VM_EVENT_UNHOOK, 1));
	TEST_ASSERT_EQ(kvmi_preunhook(t->vm->fd), 0);
	expect_stats(t, 1, 1, 0);
}

#define TRACING "/sys/kernel/tracing"
#define INSTANCE TRACING "/instances/kvmi_test"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	TEST_ASSERT(fd >= 0, "open(%s) failed", path);
	TEST_ASSERT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int count_lines(const char *path, const char *a, const char *b)
{
	FILE *f = fopen(path, "r");
	char line[512];
	int n = 0;

	TEST_ASSERT(f, "fopen(%s) failed", path);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, a) && strstr(line, b);
	fclose(f);
	return n;
}

KVMI_TEST(kvmi_stats, tracepoints, guest_spin)
{
	/* In a mount namespace of its own, so that nothing stays mounted. */
	if (access(TRACING "/events", F_OK)) {
		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("tracefs", TRACING, "tracefs", 0, NULL))
			SKIP_CASE("no tracefs: %s", strerror(errno));
	}
	TEST_ASSERT(!access(TRACING "/events/kvmi/kvmi_command", F_OK), "no kvmi tracepoints");
	rmdir(INSTANCE);
	TEST_ASSERT(!mkdir(INSTANCE, 0700), "mkdir(%s) failed", INSTANCE);
	write_file(INSTANCE "/events/kvmi/enable", "1");

	kvmi_run(t, 0);
	for (int i = 0; i < 3; i++)
		pause_once(t);
	KVMI_ASSERT_ERR(kvmi_pause(&t->tool, 0, 2), -KVM_EINVAL);

	write_file(INSTANCE "/events/kvmi/enable", "0");
	/* Three pauses and what follows each, then the one that is refused. */
	TEST_ASSERT_EQ(count_lines(INSTANCE "/trace", "kvmi_command: ", ""), 7);
	TEST_ASSERT_EQ(count_lines(INSTANCE "/trace", "kvmi_command: ", " err -22"), 1);
	TEST_ASSERT_EQ(count_lines(INSTANCE "/trace", "kvmi_event: ", "seq"), 3);
	TEST_ASSERT_EQ(count_lines(INSTANCE "/trace", "kvmi_event_reply: ", "seq"), 3);
	TEST_ASSERT(!rmdir(INSTANCE), "rmdir(%s) failed", INSTANCE);
}

KVMI_TEST_MAIN()
