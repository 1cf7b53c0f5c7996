// SPDX-License-Identifier: GPL-2.0-only
/*
 * Questions of a tool that has L2's page before it: whatever number it writes to @asked
 * L2 writes to @answered at once. With the next beat L2 says:
 *
 *   L2: answers N LAST              how many so far, and the last one
 */
#include "l2.h"

/* Called by process 1 again and again; @beat: it has said so. */
void answer(int beat)
{
	static unsigned int count, said;
	uint64_t asked = page->asked;

	if (page->answered != asked) {
		page->answered = asked;
		count++;
	}
	if (beat && said != count) {
		say("L2: answers %u %llu", count, (unsigned long long)page->answered);
		said = count;
	}
}
