// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exceptions and interrupts whose delivery touches restricted pages. The processor does
 * that by itself and tells of one access at a time: one event for each page and kind of
 * access, and the handler runs once. KVM lacks IRETQ: what that touches needs a step.
 */
#include "kvmi_pf_delivery.h"
#include "kvmi_test_harness.h"

/* Where the stack of CPL 0 is in it. */
#define TSS_RSP0	4

/* --- the host --- */

FIXTURE(kvmi_pf_delivery) { struct kvmi_test t; };
FIXTURE_SETUP(kvmi_pf_delivery) { kvmi_test_setup(&self->t, 1); }
FIXTURE_TEARDOWN(kvmi_pf_delivery) { kvmi_test_teardown(&self->t); }
FIXTURE_VARIANT(kvmi_pf_delivery) { enum kind kind; };
FIXTURE_VARIANT_ADD(kvmi_pf_delivery, undefined_opcode) { .kind = UD };
FIXTURE_VARIANT_ADD(kvmi_pf_delivery, page_fault) { .kind = PF };
FIXTURE_VARIANT_ADD(kvmi_pf_delivery, software_interrupt) { .kind = INT };
FIXTURE_VARIANT_ADD(kvmi_pf_delivery, breakpoint) { .kind = BP };
FIXTURE_VARIANT_ADD(kvmi_pf_delivery, interrupt) { .kind = IRQ };

struct seen {
	int nr;
	struct kvmi_event_msg ev[MAX_EVENTS];
};

static struct area prepare(struct kvmi_test *t, enum kind kind)
{
	struct area a = add_area(t, NR_PAGES);

	write_handler(a.hva + HANDLER, kind,
		      t->guest_gva[0] + offsetof(struct kvmi_guest, val[HANDLED]));
	set_gate(t, vectors[kind], a.gva + HANDLER);
	t->guest[0]->val[KIND] = kind;
	t->guest[0]->val[SP] = a.gva + STACK + 0x800;
	kvmi_set_guest(t, 0, guest_raise);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	return a;
}

static void show(const struct seen *seen)
{
	for (int i = 0; i < seen->nr; i++)
		printf("# rip 0x%llx access %u gva 0x%llx gpa 0x%llx\n",
		       seen->ev[i].ev.arch.regs.rip, seen->ev[i].pf.access, seen->ev[i].pf.gva,
		       seen->ev[i].pf.gpa);
}

static void answer(struct kvmi_test *t, struct seen *seen)
{
	struct kvmi_event_msg ev;

	while (t->tool.nr_events) {
		if (seen->nr == MAX_EVENTS)
			show(seen);
		TEST_ASSERT(seen->nr < MAX_EVENTS, "too many events");
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PF, &ev);
		seen->ev[seen->nr++] = ev;
		kvmi_continue(&t->tool, &ev);
	}
}

static bool is_done(struct kvmi_test *t, struct seen *seen)
{
	struct kvmi_vcpu_get_info_reply info;
	/* Before the vCPU is asked, which tells of its last event first. */
	bool done = smp_load_acquire(&t->guest[0]->done) == t->guest[0]->go;

	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0, &info,
					 sizeof(info)));
	answer(t, seen);
	return done;
}

/* One step of the guest, in which the handler runs once. */
static void collect(struct kvmi_test *t, struct seen *seen)
{
	__u64 before = t->guest[0]->val[HANDLED];

	seen->nr = 0;
	kvmi_step_begin(t, 0);
	KVMI_WAIT(is_done(t, seen), "the guest does not finish its step");
	TEST_ASSERT_EQ(t->guest[0]->val[HANDLED], before + 1);
}

/* Where the guest is when the event is delivered. */
static __u64 rip_of(enum kind kind, const struct kvmi_event_msg *ev)
{
	switch (kind) {
	case UD: return (__u64)at_ud;
	case PF: return (__u64)at_pf;
	case INT: return (__u64)at_int;
	case BP: return (__u64)at_bp;
	default: return ev->ev.arch.regs.rip;
	}
}

#define EXPECT_SEEN(seen, n)							\
do {										\
	if ((seen)->nr != (n))							\
		show(seen);							\
	TEST_ASSERT_EQ((seen)->nr, n);						\
} while (0)

/* The frame, and what the handler itself writes. */
TEST_F_TIMEOUT(kvmi_pf_delivery, stack, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	enum kind kind = variant->kind;
	static struct seen seen;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = prepare(t, kind);
	collect(t, &seen);
	EXPECT_SEEN(&seen, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa + STACK, ACCESS_RX));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, kind == UD || kind == PF ? 3 : 2);
		TEST_ASSERT_EQ(seen.ev[0].ev.arch.regs.rip, rip_of(kind, &seen.ev[0]));
		for (int n = 0; n < seen.nr; n++) {
			TEST_ASSERT_EQ(seen.ev[n].pf.access, ACCESS_W);
			TEST_ASSERT_EQ(seen.ev[n].pf.gpa / PAGE, (a.gpa + STACK) / PAGE);
		}
	}
}

/* Without any access: the handler's reads, too, IRETQ among them. */
TEST_F_TIMEOUT(kvmi_pf_delivery, stack_without_access, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	static struct seen seen;
	struct area a;
	int reads;

	REQUIRE_PF_STEP(t);
	a = prepare(t, variant->kind);
	KVMI_ASSERT_OK(set_access(t, a.gpa + STACK, 0));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		reads = 0;
		for (int n = 0; n < seen.nr; n++) {
			reads += seen.ev[n].pf.access == ACCESS_R;
			TEST_ASSERT_EQ(seen.ev[n].pf.gpa / PAGE, (a.gpa + STACK) / PAGE);
		}
		/* ADDQ if it is there, POP and IRETQ. */
		if (reads != (variant->kind == UD || variant->kind == PF ? 3 : 2))
			show(&seen);
		TEST_ASSERT_EQ(reads, variant->kind == UD || variant->kind == PF ? 3 : 2);
		TEST_ASSERT_EQ(seen.nr - reads, variant->kind == UD || variant->kind == PF ? 3 : 2);
	}
}

/* The gate, which is read once for each delivery. */
TEST_F_TIMEOUT(kvmi_pf_delivery, idt, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	static struct seen seen;
	__u64 idt;

	REQUIRE_NO_ACCESS(t);
	prepare(t, variant->kind);
	idt = addr_gva2gpa(t->vm, t->vm->arch.idt);
	KVMI_ASSERT_OK(set_access(t, idt, 0));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, 1);
		TEST_ASSERT_EQ(seen.ev[0].pf.access, ACCESS_R);
		TEST_ASSERT_EQ(seen.ev[0].pf.gpa & ~15ull, idt + 16 * vectors[variant->kind]);
		TEST_ASSERT_EQ(seen.ev[0].ev.arch.regs.rip, rip_of(variant->kind, &seen.ev[0]));
	}
}

/* Descriptors: by the delivery, and by IRETQ. */
TEST_F_TIMEOUT(kvmi_pf_delivery, gdt, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	static struct seen seen;
	__u64 gdt;

	REQUIRE_PF_STEP(t);
	prepare(t, variant->kind);
	gdt = addr_gva2gpa(t->vm, t->vm->arch.gdt);
	KVMI_ASSERT_OK(set_access(t, gdt, 0));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, 2);
		for (int n = 0; n < 2; n++) {
			TEST_ASSERT_EQ(seen.ev[n].pf.access, ACCESS_R);
			TEST_ASSERT_EQ(seen.ev[n].pf.gpa / PAGE, gdt / PAGE);
		}
	}
}

/* Nothing of it is needed without a change of privilege. */
TEST_F_TIMEOUT(kvmi_pf_delivery, tss, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	static struct seen seen;

	REQUIRE_NO_ACCESS(t);
	prepare(t, variant->kind);
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, t->vm->arch.tss), 0));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, 0);
	}
}

/* Each instruction of the handler. */
TEST_F_TIMEOUT(kvmi_pf_delivery, handler, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	static struct seen seen;
	struct area a;

	REQUIRE_PF_STEP(t);
	a = prepare(t, variant->kind);
	KVMI_ASSERT_OK(set_access(t, a.gpa + HANDLER, ACCESS_RW));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, nr_handler_insns(variant->kind));
		for (int n = 0; n < seen.nr; n++) {
			TEST_ASSERT_EQ(seen.ev[n].pf.access, ACCESS_X);
			TEST_ASSERT_EQ(seen.ev[n].pf.gva, seen.ev[n].ev.arch.regs.rip);
			TEST_ASSERT_EQ(seen.ev[n].pf.gpa / PAGE, (a.gpa + HANDLER) / PAGE);
		}
	}
}

/* One delivery touches them all. */
TEST_F_TIMEOUT(kvmi_pf_delivery, idt_gdt_and_stack, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	static struct seen seen;
	struct area a;

	REQUIRE_PF_STEP(t);
	a = prepare(t, variant->kind);
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, t->vm->arch.gdt), 0));
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, t->vm->arch.idt), 0));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, 3);
	}
	KVMI_ASSERT_OK(set_access(t, a.gpa + STACK, ACCESS_R));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, variant->kind == UD || variant->kind == PF ? 6 : 5);
	}
	KVMI_ASSERT_OK(set_access(t, a.gpa + HANDLER, 0));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, (variant->kind == UD || variant->kind == PF ? 6 : 5) +
			    nr_handler_insns(variant->kind));
	}
}

/* All of it at once, and nobody listens. */
TEST_F_TIMEOUT(kvmi_pf_delivery, everything_silently, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	static struct seen seen;
	struct area a;

	REQUIRE_PF_STEP(t);
	a = prepare(t, variant->kind);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_PF, 0));
	KVMI_ASSERT_OK(set_access(t, a.gpa + HANDLER, 0));
	KVMI_ASSERT_OK(set_access(t, a.gpa + STACK, 0));
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, t->vm->arch.gdt), 0));
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, t->vm->arch.idt), 0));
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, t->vm->arch.tss), 0));
	for (int i = 0; i < 3; i++) {
		collect(t, &seen);
		EXPECT_SEEN(&seen, 0);
	}
}

/* The delivery is retried, and something interrupts the wait. */
TEST_F_TIMEOUT(kvmi_pf_delivery, retry_and_signals, KVMI_TEST_TIMEOUT_S)
{
	struct kvmi_test *t = &self->t;
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = prepare(t, variant->kind);
	KVMI_ASSERT_OK(set_access(t, a.gpa + STACK, ACCESS_R));
	kvmi_step_begin(t, 0);
	for (int i = 0; i < 3; i++) {
		kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PF, &ev);
		TEST_ASSERT_EQ(ev.pf.access, ACCESS_W);
		TEST_ASSERT_EQ(ev.pf.gpa / PAGE, (a.gpa + STACK) / PAGE);
		TEST_ASSERT_EQ(ev.ev.arch.regs.rip, rip_of(variant->kind, &ev));
		kvmi_worker_interrupt(&t->worker[0]);
		if (i == 2)
			KVMI_ASSERT_OK(set_access(t, a.gpa + STACK, ACCESS_RWX));
		retry_pf(t, &ev);
	}
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[HANDLED], 1);
}

/* --- at CPL 3, from where the task state segment tells the handler's stack --- */

static void guest_user(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		raise_it(g);
		guest_done(g, n);
	}
}

KVMI_TEST_SUITE(kvmi_pf_change_of_privilege, 1);

KVMI_TEST(kvmi_pf_change_of_privilege, tss, guest_user)
{
	static struct seen seen;
	struct area a;
	__u64 tss;

	REQUIRE_NO_ACCESS(t);
	tss = addr_gva2gpa(t->vm, t->vm->arch.tss);
	a = add_area(t, NR_PAGES);
	write_handler(a.hva + HANDLER, UD,
		      t->guest_gva[0] + offsetof(struct kvmi_guest, val[HANDLED]));
	set_gate(t, UD_VECTOR, a.gva + HANDLER);
	t->guest[0]->val[KIND] = UD;
	t->guest[0]->val[SP] = a.gva + STACK + 0x800;
	kvmi_user_mode(t, 0);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	for (int i = 0; i < 3; i++) {
		KVMI_ASSERT_OK(set_access(t, tss, 0));
		collect(t, &seen);
		EXPECT_SEEN(&seen, 1);
		TEST_ASSERT_EQ(seen.ev[0].pf.access, ACCESS_R);
		TEST_ASSERT_EQ(seen.ev[0].pf.gpa, tss + TSS_RSP0);
		TEST_ASSERT_EQ(seen.ev[0].ev.arch.regs.rip, (__u64)at_ud);
		/* It is not written. */
		KVMI_ASSERT_OK(set_access(t, tss, ACCESS_R));
		collect(t, &seen);
		EXPECT_SEEN(&seen, 0);
	}
}

KVMI_TEST_MAIN()
