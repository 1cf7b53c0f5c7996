/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_CR_GUEST_H
#define SELFTEST_KVMI_CR_GUEST_H

/* A guest that writes control registers on demand, and what the host says to it. */

#include "kvmi_test_util.h"

/* What the guest does in one step, beside writing CR0, CR3 and CR4. */
enum { LMSW = 100, LMSW_FROM_MEMORY, TS_AND_CLTS };

/* In g->val: the register, the value; then the exception and what is in it now. */
static void guest_writer(struct kvmi_guest *g)
{
	__u64 val;
	__u8 vec;

	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		val = READ_ONCE(g->val[1]);
		vec = 0;
		switch (READ_ONCE(g->val[0])) {
		case 0:
			vec = kvm_asm_safe("mov %%rax, %%cr0", "a"(val));
			break;
		case 3:
			vec = kvm_asm_safe("mov %%rax, %%cr3", "a"(val));
			break;
		case 4:
			vec = kvm_asm_safe("mov %%rax, %%cr4", "a"(val));
			break;
		case LMSW:
			asm volatile("lmsw %w0" : : "a"(val) : "memory");
			break;
		case LMSW_FROM_MEMORY:
			asm volatile("lmsw %0" : : "m"(*(__u16 *)&g->val[1]) : "memory");
			break;
		case TS_AND_CLTS:
			asm volatile("mov %0, %%cr0; clts" : : "a"(val) : "memory");
			break;
		}
		g->val[2] = vec;
		g->val[3] = g->val[0] == 3 ? get_cr3() : g->val[0] == 4 ? get_cr4() : get_cr0();
		guest_done(g, n);
	}
}

static void begin_write(struct kvmi_test *t, int i, __u64 reg, __u64 val)
{
	t->guest[i]->val[0] = reg;
	t->guest[i]->val[1] = val;
	kvmi_step_begin(t, i);
}

static void end_write(struct kvmi_test *t, int i, __u64 vector, __u64 in_it_now)
{
	kvmi_step_end(t, i);
	TEST_ASSERT_EQ(t->guest[i]->val[2], vector);
	TEST_ASSERT_EQ(t->guest[i]->val[3], in_it_now);
}

static __u64 cr_of(const struct kvm_sregs *s, __u32 cr)
{
	return cr == 0 ? s->cr0 : cr == 3 ? s->cr3 : s->cr4;
}

static __u64 get_cr(struct kvmi_test *t, int i, __u32 cr)
{
	struct kvmi_vcpu_get_registers_reply r;

	KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, i, &r));
	return cr_of(&r.sregs, cr);
}

static void select_cr(struct kvmi_test *t, int i, __u32 cr)
{
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, i, cr, 1));
}

static void expect_cr(struct kvmi_test *t, int i, __u32 cr, __u64 old, __u64 new,
		      struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_CR, ev);
	TEST_ASSERT_EQ(ev->cr.cr, cr);
	TEST_ASSERT_EQ(ev->cr.old_value, old);
	TEST_ASSERT_EQ(ev->cr.new_value, new);
	TEST_ASSERT_EQ(cr_of(&ev->ev.arch.sregs, cr), old);
}

#endif /* SELFTEST_KVMI_CR_GUEST_H */
