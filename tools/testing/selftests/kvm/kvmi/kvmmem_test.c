// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/kvmmem, which maps memory of another guest: what it refuses, what it shows, how it
 * ends, and arguments at random ($seed, $rounds). Without a line to the host ($target) no
 * token can be had, and what needs one is skipped. With $absent, there must be no device.
 */
#include "kvmmem_guest.h"

FIXTURE(kvmmem) {
	int fd;
	long pinned;
};

FIXTURE_SETUP(kvmmem)
{
	self->pinned = pinned();
	self->fd = open("/dev/kvmmem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

/* Whatever a test has left, nothing stays. */
FIXTURE_TEARDOWN(kvmmem)
{
	close(self->fd);
	EXPECT_EQ(0, locked_kb());
	EXPECT_EQ(self->pinned, pinned_soon(self->pinned));
}

#define KVMMEM_TEST(name)	TEST_F_TIMEOUT(kvmmem, name, TIMEOUT_S)

#include "kvmmem_refused.h"
#include "kvmmem_mapped.h"
#include "kvmmem_random.h"

static int absent(void)
{
	int fd = open("/dev/kvmmem", O_RDWR);

	printf("TAP version 13\n1..1\n%s 1 no device where the host cannot do it: %s\n",
	       fd < 0 && errno == ENOENT ? "ok" : "not ok", strerror(errno));
	return fd < 0 && errno == ENOENT ? 0 : 1;
}

int main(int argc, char **argv)
{
	char byte;

	/* Another program, for a test of exec. */
	if (argc == 2 && !strcmp(argv[1], "--wait"))
		return read(STDIN_FILENO, &byte, 1);
	if (getpid() == 1) {
		set_up_machine();
		become_child();
	}
	if (getenv("absent"))
		return absent();
	if (!getenv("target") && access("/dev/kvmmem", F_OK))
		ksft_exit_skip("no /dev/kvmmem: not in a guest, or its host cannot do it\n");
	if (getenv("target"))
		line_open(getenv("target"));
	return test_harness_run(argc, argv);
}
