/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_FLAGS_H
#define SELFTEST_KVMI_FLAGS_H

/* The arithmetic flags, for code that looks at what an instruction makes of them. */

#include <linux/bits.h>

#define CF	BIT(0)
#define PF	BIT(2)
#define AF	BIT(4)
#define ZF	BIT(6)
#define SF	BIT(7)
#define OF	BIT(11)
#define FLAGS	(CF | PF | AF | ZF | SF | OF)

/* Behind what the compiler keeps below its stack pointer. */
#define GET_FLAGS(reg)								\
	"lea -128(%%rsp), %%rsp; pushfq; pop " reg "; lea 128(%%rsp), %%rsp\n\t"

#endif /* SELFTEST_KVMI_FLAGS_H */
