/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_PF_RANDOM_H
#define SELFTEST_KVMI_PF_RANDOM_H

/* Restrictions at random: where everything is, and what guest and host tell each other. */
#include "kvmi_pf.h"

#define VCPUS		2

/*
 * Pages of the area that is restricted: of each vCPU its own, and some of both. All that
 * a vCPU does to data and stack it does once more to its mirror, which nobody restricts.
 */
enum {
	OWN_DATA = 0,			/* four */
	OWN_STACK = 4,			/* two */
	MIRRORED = 6,
	OWN_CODE = MIRRORED,		/* functions that the guest changes */
	OWN_TRAPS,			/* two: stack of exceptions */
	OWN_FRAMES = OWN_TRAPS + 2,	/* two that its windows show in turn */
	OWN_PAGES = OWN_FRAMES + 2,

	SHARED = VCPUS * OWN_PAGES,	/* words that both vCPUs change */
	CODE,				/* three */
	ORACLE = CODE + 3,		/* what is read there may come from the tool */
	AREA_PAGES,
};

/* Beside it: each vCPU has two windows, and their entries as memory. */
#define WINDOW_GVA	0x7f000000ull
#define ENTRIES_GVA	0x7f800000ull

enum { NR_WORDS = 8, NR_FUNCTIONS = 4, NR_LOGGED = 16 };

/* In the page that both share: words to add to, and what comes behind them. */
enum { LOCK = NR_WORDS, LOCKED, LOOSE, PAIR = LOOSE + VCPUS };

/* In a kind: the operation is over, and is done once more to the mirror. */
#define COMPARING	BIT(8)

struct random_guest {
	/* from the host */
	__u64 state;			/* of its random numbers */
	__u64 area, own, mirror;	/* guest virtual addresses */
	__u64 windows, entries;
	__u64 function[NR_FUNCTIONS];	/* where they are, the plain ones first */
	__u64 nr_kinds;
	__u64 vcpu;

	/* to the host */
	__u64 ops;			/* that are over */
	__u64 kind, arg;		/* of the one under way */
	__u64 added[NR_WORDS];
	__u64 locked, loose, pair;	/* changes that it has made */
	__u64 calls[NR_FUNCTIONS];	/* counted by the functions */
	__u64 supplied;			/* values that were the tool's */
	__u64 traps;
	__u64 frame[2], value[2];	/* in each window, in each frame */
	__u64 log[NR_LOGGED];		/* kinds of the last ones */
};

#define ORACLE_MEMORY(word)	(0x6d656d6f72790000ull + (word))
#define ORACLE_TOOL(word)	(0x746f6f6c00000000ull + (word))
#define FRAME_EDGE(frame)	(0x11111111u * ((frame) + 1))

static struct random_guest random_guests[VCPUS];

/* A generator for each vCPU and one for the tool. */
static inline __u64 next_random(__u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull;
}

#endif /* SELFTEST_KVMI_PF_RANDOM_H */
