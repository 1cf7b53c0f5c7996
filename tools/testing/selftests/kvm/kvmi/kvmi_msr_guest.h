/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_MSR_GUEST_H
#define SELFTEST_KVMI_MSR_GUEST_H

/* A guest that writes model specific registers on demand, and what the host says to it. */

#include "kvmi_test_util.h"

/* What the guest does in one step; by the register's index and value in g->val[1], [2]. */
enum { WRMSR, EMULATED_WRMSR, MANY_WRMSR };

#define MANY	500

static inline uint8_t emulated_wrmsr(__u32 msr, __u64 val)
{
	uint64_t error_code;

	return kvm_asm_safe_ec_fep("wrmsr", error_code, "a"((__u32)val), "d"((__u32)(val >> 32)),
				   "c"(msr));
}

/* Then g->val[3] is the exception, [4] what RDMSR tells: 0 if it faults. */
static inline void guest_msr(struct kvmi_guest *g)
{
	uint64_t val;
	__u8 vec;

	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		vec = 0;
		switch (READ_ONCE(g->val[0])) {
		case WRMSR:
			vec = wrmsr_safe(g->val[1], g->val[2]);
			break;
		case EMULATED_WRMSR:
			vec = emulated_wrmsr(g->val[1], g->val[2]);
			break;
		case MANY_WRMSR:
			for (int i = 0; i < MANY; i++)
				wrmsr(g->val[1], g->val[2]);
			break;
		}
		if (rdmsr_safe(g->val[1], &val))
			val = 0;
		g->val[3] = vec;
		g->val[4] = val;
		guest_done(g, n);
	}
}

static inline void begin_insn(struct kvmi_test *t, int i, __u64 insn, __u32 msr, __u64 val)
{
	t->guest[i]->val[0] = insn;
	t->guest[i]->val[1] = msr;
	t->guest[i]->val[2] = val;
	kvmi_step_begin(t, i);
}

static inline void begin_wrmsr(struct kvmi_test *t, int i, __u32 msr, __u64 val)
{
	begin_insn(t, i, WRMSR, msr, val);
}

static inline void end_wrmsr(struct kvmi_test *t, int i, __u64 vector, __u64 in_it_now)
{
	kvmi_step_end(t, i);
	TEST_ASSERT_EQ(t->guest[i]->val[3], vector);
	TEST_ASSERT_EQ(t->guest[i]->val[4], in_it_now);
}

/* vCPU 0 writes and nobody hears of it. */
static inline void wrmsr_in_silence(struct kvmi_test *t, __u32 msr, __u64 val)
{
	begin_wrmsr(t, 0, msr, val);
	end_wrmsr(t, 0, 0, val);
	kvmi_expect_no_event(&t->tool, 0);
}

static inline int control_msr(struct kvmi_test *t, int i, __u32 msr, __u8 enable)
{
	struct kvmi_vcpu_control_msr req = { .enable = enable, .msr = msr };

	return kvmi_vcpu_command(&t->tool, i, KVMI_VCPU_CONTROL_MSR, &req, sizeof(req), NULL, 0);
}

static inline void select_msr(struct kvmi_test *t, int i, __u32 msr)
{
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_MSR, 1));
	KVMI_ASSERT_OK(control_msr(t, i, msr, 1));
}

static inline __u64 get_msr(struct kvmi_test *t, int i, __u32 msr)
{
	struct {
		struct kvmi_vcpu_get_registers req;
		__u32 idx;
	} req = { .req.nmsrs = 1, .idx = msr };
	struct {
		struct kvmi_vcpu_get_registers_reply r;
		struct kvm_msr_entry entry;
	} reply;

	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, i, KVMI_VCPU_GET_REGISTERS, &req, sizeof(req),
					 &reply, sizeof(reply)));
	return reply.entry.data;
}

/* The VMM writes a register of vCPU 0. */
static inline void vm_msr(struct kvmi_test *t, __u32 msr, __u64 val)
{
	kvmi_worker_stop(&t->worker[0]);
	vcpu_set_msr(t->vcpu[0], msr, val);
	kvmi_run(t, 0);
}

static inline void expect_msr(struct kvmi_test *t, int i, __u32 msr, __u64 old, __u64 new,
			      struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_MSR, ev);
	TEST_ASSERT_EQ(ev->msr.msr, msr);
	TEST_ASSERT_EQ(ev->msr.old_value, old);
	TEST_ASSERT_EQ(ev->msr.new_value, new);
}

#endif /* SELFTEST_KVMI_MSR_GUEST_H */
