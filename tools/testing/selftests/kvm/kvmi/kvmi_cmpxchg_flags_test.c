// SPDX-License-Identifier: GPL-2.0-only
/*
 * CMPXCHG8B and CMPXCHG16B change ZF and no other flag. Emulated hardware has made
 * flags of what the instruction before had compared, among them those that are no
 * result: a guest was stopped by TF, and might have lost IF. Needs neither KVM nor
 * introspection.
 */
#include "kselftest_harness.h"
#include "kvm_util.h"
#include "kvmi_flags.h"
#include "processor.h"

/*
 * POPF leaves the flags as a whole. Then they are the difference of two registers, whose
 * second one would show, if it was taken for flags. It has no TF and no IF.
 */
static const u64 subtrahends[] = {
	0, CF, PF, AF, ZF, SF, OF, CF | OF, SF | ZF, FLAGS, ~0ull & ~(BIT(8) | BIT(9)),
};

/* @insn with an operand that is equal or not, and the flags that it leaves. */
#define CMPXCHG(name, insn)							\
static u64 name(u64 minuend, u64 subtrahend, bool equal)			\
{										\
	u64 m[2] __aligned(16) = { }, a = equal ? 0 : 1, d = 0, flags;		\
										\
	asm volatile("lea -128(%%rsp), %%rsp; pushfq; popfq\n\t"		\
		     "lea 128(%%rsp), %%rsp\n\t"				\
		     "cmp %[sub], %[min]; " insn " (%[m])\n\t"			\
		     GET_FLAGS("%[flags]")					\
		     : "+a"(a), "+d"(d), [flags] "=&r"(flags)			\
		     : [min] "r"(minuend), [sub] "r"(subtrahend), [m] "r"(m),	\
		       "b"(0ull), "c"(0ull) : "memory", "cc");			\
	return flags & FLAGS;							\
}

CMPXCHG(do_cmpxchg8b, "cmpxchg8b")
CMPXCHG(do_locked_cmpxchg8b, "lock cmpxchg8b")
CMPXCHG(do_cmpxchg16b, "cmpxchg16b")
CMPXCHG(do_locked_cmpxchg16b, "lock cmpxchg16b")

/* The same without the instruction. */
static u64 compare(u64 minuend, u64 subtrahend)
{
	u64 flags;

	asm volatile("cmp %[sub], %[min]\n\t" GET_FLAGS("%[flags]")
		     : [flags] "=r"(flags) : [min] "r"(minuend), [sub] "r"(subtrahend)
		     : "memory", "cc");
	return flags & FLAGS;
}

static void check(u64 (*insn)(u64 minuend, u64 subtrahend, bool equal))
{
	u64 minuend, seen, expected;

	for (int i = 0; i < ARRAY_SIZE(subtrahends); i++) {
		for (int n = 0; n < 4; n++) {
			minuend = subtrahends[i] + n / 2 * 3;
			expected = compare(minuend, subtrahends[i]) & ~ZF;
			expected |= n & 1 ? ZF : 0;
			seen = insn(minuend, subtrahends[i], n & 1);
			TEST_ASSERT(seen == expected,
				    "0x%lx minus 0x%lx: flags 0x%lx instead of 0x%lx", minuend,
				    subtrahends[i], seen, expected);
		}
	}
}

TEST(cmpxchg8b) { check(do_cmpxchg8b); }
TEST(locked_cmpxchg8b) { check(do_locked_cmpxchg8b); }
TEST(cmpxchg16b) { check(do_cmpxchg16b); }
TEST(locked_cmpxchg16b) { check(do_locked_cmpxchg16b); }

TEST_HARNESS_MAIN
