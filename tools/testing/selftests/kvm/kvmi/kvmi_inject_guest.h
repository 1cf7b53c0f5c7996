/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_INJECT_GUEST_H
#define SELFTEST_KVMI_INJECT_GUEST_H

/* A guest that handles injected exceptions, and the tool that injects them. */

#include "kvmi_step.h"
#define CODE		0x1234
#define ADDRESS		0x123456789000ull

/* Vectors whose frame has an error code. */
#define HAVE_CODE	(BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17))

static struct kvmi_guest *guest_of_handler;

/* What it has got: g->val[1] times, [2] vector, [3] RIP, [4] error code, [5] CR2. */
static inline void guest_handler(struct ex_regs *regs)
{
	struct kvmi_guest *g = guest_of_handler;

	g->val[2] = regs->vector;
	g->val[3] = regs->rip;
	g->val[4] = regs->error_code;
	asm volatile("mov %%cr2, %0" : "=r"(g->val[5]));
	WRITE_ONCE(g->val[1], g->val[1] + 1);
}

static inline int inject(struct kvmi_test *t, int i, __u8 nr, __u32 code, __u64 address)
{
	struct kvmi_vcpu_inject_exception req = {
		.nr = nr, .error_code = code, .address = address,
	};

	return kvmi_vcpu_command(&t->tool, i, KVMI_VCPU_INJECT_EXCEPTION, &req, sizeof(req),
				 NULL, 0);
}

static inline void expect_trap(struct kvmi_test *t, int i, __u8 nr, __u32 code, __u64 cr2,
			       struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_TRAP, ev);
	TEST_ASSERT_EQ(ev->trap.lost, 0);
	TEST_ASSERT_EQ(ev->trap.vector, nr);
	TEST_ASSERT_EQ(ev->trap.error_code, code);
	TEST_ASSERT_EQ(ev->trap.cr2, cr2);
}

static inline void expect_handled(struct kvmi_test *t, __u64 times, __u8 nr, __u64 rip, __u32 code,
				  __u64 cr2)
{
	__u64 *v = t->guest[0]->val;

	KVMI_WAIT(READ_ONCE(v[1]) == times, "the guest's handler does not run");
	TEST_ASSERT_EQ(v[2], nr);
	TEST_ASSERT_EQ(v[3], rip);
	TEST_ASSERT_EQ(v[4], code);
	TEST_ASSERT_EQ(v[5], cr2);
}

static inline void install(struct kvmi_test *t)
{
	for (int i = 0; i < 32; i++)
		vm_install_exception_handler(t->vm, i, guest_handler);
	guest_of_handler = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, guest_of_handler);
}

static inline void start(struct kvmi_test *t)
{
	install(t);
	kvmi_run_all(t);
	kvmi_expect_running(t, 0);
}

static inline void pause_vcpu(struct kvmi_test *t, int i, struct kvmi_event_msg *ev)
{
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, i, 1));
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_PAUSE, ev);
}

#endif
