// SPDX-License-Identifier: GPL-2.0-only
/*
 * A static key of L2's kernel, which patches the kernel's own code when it is switched:
 * the one of scheduler statistics. The tool writes to L2's page: 1 to switch it on, 2 to
 * switch it off, 3 to switch it with each beat. L2 says, except with 3:
 *
 *   L2: key N on|off                N counts these lines
 */
#include <fcntl.h>
#include <unistd.h>

#include "l2.h"

enum { KEY_ON = 1, KEY_OFF, KEY_BEATS };

static void set_key(int on)
{
	int fd = open("/proc/sys/kernel/sched_schedstats", O_WRONLY);

	if (fd < 0 || write(fd, on ? "1" : "0", 1) != 1)
		die("/proc/sys/kernel/sched_schedstats");
	close(fd);
}

/* Called by process 1 again and again; @beat: it has said so. */
void switch_key(int beat)
{
	static unsigned int lines;
	static uint64_t last;
	static int on;
	uint64_t key = page->key;

	if (key == KEY_BEATS ? beat : key != last) {
		on = key == KEY_BEATS ? !on : key == KEY_ON;
		set_key(on);
		if (key != KEY_BEATS)
			say("L2: key %u %s", ++lines, on ? "on" : "off");
	}
	last = key;
}
