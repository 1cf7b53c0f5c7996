/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_BREAKPOINT_GUEST_H
#define SELFTEST_KVMI_BREAKPOINT_GUEST_H

/* A guest that executes breakpoints, and the tool that hears of them. */

#include "kvmi_test_util.h"

/* Forms of the instruction, by their index in g->val[0]. */
enum { INT3, REP_INT3, INT_N_3, NR_FORMS };

static const struct { const char *bytes; __u8 len; } forms[] = {
	[INT3]		= { "\xcc", 1 },
	[REP_INT3]	= { "\xf3\xcc", 2 },
	[INT_N_3]	= { "\xcd\x03", 2 },
};

/* g->val[1]: how often the guest's handler ran, [2]: the last RIP that it saw. */
static inline void guest_bp_handler(struct ex_regs *regs)
{
	/* The form's loop keeps its guest in RBX. */
	struct kvmi_guest *g = (void *)regs->rbx;

	g->val[1]++;
	g->val[2] = regs->rip;
}

static inline void guest_int3(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		switch (READ_ONCE(g->val[0])) {
		case INT3:
			asm volatile(".byte 0xcc" : : "b"(g) : "memory");
			break;
		case REP_INT3:
			asm volatile(".byte 0xf3, 0xcc" : : "b"(g) : "memory");
			break;
		case INT_N_3:
			asm volatile(".byte 0xcd, 0x03" : : "b"(g) : "memory");
			break;
		}
		guest_done(g, n);
	}
}

static inline void start(struct kvmi_test *t)
{
	vm_install_exception_handler(t->vm, BP_VECTOR, guest_bp_handler);
	kvmi_run_all(t);
}

static inline void enable(struct kvmi_test *t, int i)
{
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_BREAKPOINT, 1));
}

static inline void begin(struct kvmi_test *t, int i, int form)
{
	t->guest[i]->val[0] = form;
	kvmi_step_begin(t, i);
}

static inline void expect_breakpoint(struct kvmi_test *t, int i, int form,
				     struct kvmi_event_msg *ev)
{
	__u64 rip;

	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_BREAKPOINT, ev);
	rip = ev->ev.arch.regs.rip;
	TEST_ASSERT_EQ(ev->breakpoint.insn_len, forms[form].len);
	TEST_ASSERT_EQ(ev->breakpoint.gpa, addr_gva2gpa(t->vm, rip));
	TEST_ASSERT(!memcmp(addr_gva2hva(t->vm, rip), forms[form].bytes, forms[form].len),
		    "RIP of the event is not the breakpoint's");
}

/* The guest's handler has run @times, the last time for a breakpoint before @rip. */
static inline void expect_handled(struct kvmi_test *t, int i, __u64 times, __u64 rip)
{
	kvmi_step_end(t, i);
	TEST_ASSERT_EQ(t->guest[i]->val[1], times);
	TEST_ASSERT_EQ(t->guest[i]->val[2], rip);
}

static inline __u64 behind(const struct kvmi_event_msg *ev)
{
	return ev->ev.arch.regs.rip + ev->breakpoint.insn_len;
}

static inline void at_breakpoint(struct kvmi_test *t, int form, struct kvmi_event_msg *ev)
{
	start(t);
	enable(t, 0);
	begin(t, 0, form);
	expect_breakpoint(t, 0, form, ev);
}

/* Straight to the guest; @times is what its handler has seen already. */
static inline void expect_silence(struct kvmi_test *t, int form, __u64 times)
{
	begin(t, 0, form);
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[1], times + 1);
	kvmi_expect_no_event(&t->tool, 0);
}

#endif
