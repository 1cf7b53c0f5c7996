/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_STEP_H
#define SELFTEST_KVMI_STEP_H

/* What tests of a stepped vCPU say to KVM. */

#include "kvmi_test_util.h"

#define RFLAGS_TF	BIT(8)
#define RFLAGS_IF	BIT(9)
#define RFLAGS_RF	BIT(16)

static inline bool kvmi_can_step(struct kvmi_tool *tool)
{
	struct kvmi_get_version_reply r;

	KVMI_ASSERT_OK(kvmi_command(tool, KVMI_GET_VERSION, NULL, 0, &r, sizeof(r)));
	return r.features.singlestep;
}

/* As the first statement of a case. */
#define REQUIRE_STEPPING(t)							\
do {										\
	if (!kvmi_can_step(&(t)->tool))						\
		SKIP(return, "this processor cannot single-step a guest");	\
} while (0)

static inline __u32 kvmi_post_step(struct kvmi_tool *tool, __u16 vcpu, __u8 enable)
{
	struct kvmi_vcpu_control_singlestep req = { .enable = enable };

	return kvmi_vcpu_post(tool, vcpu, KVMI_VCPU_CONTROL_SINGLESTEP, &req, sizeof(req));
}

static inline int kvmi_collect_step(struct kvmi_tool *tool, __u32 seq)
{
	return kvmi_collect(tool, KVMI_VCPU_CONTROL_SINGLESTEP, seq, NULL, 0);
}

static inline int kvmi_control_step(struct kvmi_tool *tool, __u16 vcpu, __u8 enable)
{
	return kvmi_collect_step(tool, kvmi_post_step(tool, vcpu, enable));
}

/* The guest of these tests does not set TF. */
static inline void kvmi_expect_step(struct kvmi_tool *tool, __u16 vcpu, struct kvmi_event_msg *ev)
{
	kvmi_expect_event(tool, vcpu, KVMI_VCPU_EVENT_SINGLESTEP, ev);
	TEST_ASSERT_EQ(ev->singlestep.failed, 0);
	TEST_ASSERT_EQ(ev->ev.arch.regs.rflags & RFLAGS_TF, 0);
}

/* Let vCPU @vcpu, which waits after a step, take the next one. */
static inline void kvmi_next_step(struct kvmi_tool *tool, __u16 vcpu, struct kvmi_event_msg *ev)
{
	kvmi_continue(tool, ev);
	kvmi_expect_step(tool, vcpu, ev);
}

/* From the event of a step on, the vCPU runs freely. */
static inline void kvmi_end_steps(struct kvmi_tool *tool, __u16 vcpu,
				  const struct kvmi_event_msg *ev)
{
	KVMI_ASSERT_OK(kvmi_control_step(tool, vcpu, 0));
	kvmi_continue(tool, ev);
}

/* Where the guest's own handlers begin (lib/x86_64/handlers.S). */
extern void *idt_handlers[];

/* --- a loop of instructions with known addresses --------------------------------- */

extern const char loop_0[], loop_1[], loop_2[], loop_3[], loop_4[];
asm(".pushsection .text\n"
	"loop_0: nop\n"
	"loop_1: add $1, %rax\n"
	"loop_2: mov %rax, (%rdi)\n"
	"loop_3: lea 1(%rbx), %rbx\n"
	"loop_4: jmp loop_0\n"
	".popsection");

#define LOOP_LEN	5
static const char *const loop_rips[LOOP_LEN] = { loop_0, loop_1, loop_2, loop_3, loop_4 };

static inline int loop_index(const struct kvmi_event_msg *ev)
{
	__u64 rip = ev->ev.arch.regs.rip;

	for (int i = 0; i < LOOP_LEN; i++)
		if (rip == (__u64)loop_rips[i])
			return i;
	TEST_FAIL("RIP %#llx is no instruction of the loop", rip);
	return 0;
}

static inline void guest_loop(struct kvmi_guest *g)
{
	asm volatile("jmp loop_0" : : "D"(&g->count), "a"(0), "b"(0) : "memory");
}

/* The next event is @n instructions of the loop later. */
static inline void kvmi_expect_loop(struct kvmi_tool *tool, __u16 vcpu, struct kvmi_event_msg *ev,
				    int n)
{
	int at = loop_index(ev);

	kvmi_expect_step(tool, vcpu, ev);
	TEST_ASSERT_EQ(loop_index(ev), (at + n) % LOOP_LEN);
}

#endif /* SELFTEST_KVMI_STEP_H */
