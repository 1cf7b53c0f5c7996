// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O instructions and restricted pages: their operand in memory, and the bitmap in the
 * task state segment that permits them. KVM emulates them because of the I/O.
 */
#include "kvmi_pf.h"
#include "kvmi_test_harness.h"

#define PORT		0xe
#define TSS_BITMAP	102		/* where the TSS tells where the bitmap is */
#define BITMAP		0x200
#define NR_PAGES	1
#define OFF		0x20

/* In g->val. */
enum { INSN, MEMORY, COUNT, NR_GP };

#define INSNS(INSN) \
INSN(OUTSB,	"outsb")			\
INSN(REP_OUTSB,	"rep outsb")			\
INSN(INSB,	"insb")				\
INSN(REP_INSB,	"rep insb")			\
INSN(OUT,	KVM_FEP "out %%al, %%dx")

enum {
#define NUMBER(name, text) name,
	INSNS(NUMBER)
};

static struct kvmi_guest *io_guest;

static noinline void guest_execute(struct kvmi_guest *g)
{
	__u64 si = g->val[MEMORY], di = g->val[MEMORY], cx = g->val[COUNT];

	switch (g->val[INSN]) {
#define EXECUTE(name, text)							\
	case name:								\
		asm volatile(text : "+S"(si), "+D"(di), "+c"(cx)		\
			     : "a"(0x77), "d"(PORT) : "memory", "cc");		\
		break;
	INSNS(EXECUTE)
	}
}

static void guest_io(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		guest_execute(g);
		guest_done(g, n);
	}
}

/* --- the host --- */

KVMI_TEST_SUITE(kvmi_pf_io, 1);

static struct area start(struct kvmi_test *t, __u8 access)
{
	struct area a = add_area(t, NR_PAGES);

	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, a.gpa, access));
	return a;
}

static void begin(struct kvmi_test *t, const struct area *a, int insn, int count)
{
	t->guest[0]->val[INSN] = insn;
	t->guest[0]->val[MEMORY] = a->gva + OFF;
	t->guest[0]->val[COUNT] = count;
	kvmi_step_begin(t, 0);
}

static void expect(struct kvmi_test *t, const struct area *a, __u8 access, __u64 offset)
{
	struct kvmi_event_msg ev;

	expect_pf(t, 0, access, a->gva + offset, a->gpa + offset, &ev);
	kvmi_continue(&t->tool, &ev);
}

/* KVM_RUN has returned for the I/O; returns where its data are. */
static __u8 *expect_io(struct kvmi_test *t, int direction, int count)
{
	struct kvm_run *run = t->vcpu[0]->run;

	kvmi_worker_wait_end(&t->worker[0]);
	TEST_ASSERT_EQ(run->exit_reason, KVM_EXIT_IO);
	TEST_ASSERT_EQ(run->io.port, PORT);
	TEST_ASSERT_EQ(run->io.direction, direction);
	TEST_ASSERT_EQ(run->io.count, count);
	return (__u8 *)run + run->io.data_offset;
}

/* The VMM has done it. */
static void go_on(struct kvmi_test *t)
{
	kvmi_run(t, 0);
}

static void finish(struct kvmi_test *t)
{
	kvmi_step_end(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
}

/* What the port gets is read after the tool was asked. */
KVMI_TEST(kvmi_pf_io, output, guest_io)
{
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = start(t, 0);
	a.hva[OFF] = 0x11;
	begin(t, &a, OUTSB, 0);
	expect(t, &a, ACCESS_R, OFF);
	TEST_ASSERT_EQ(*expect_io(t, KVM_EXIT_IO_OUT, 1), 0x11);
	go_on(t);
	finish(t);
}

KVMI_TEST(kvmi_pf_io, rep_output, guest_io)
{
	struct area a;

	REQUIRE_NO_ACCESS(t);
	a = start(t, 0);
	memcpy(a.hva + OFF, "\x21\x22\x23", 3);
	begin(t, &a, REP_OUTSB, 3);
	for (int i = 0; i < 3; i++) {
		expect(t, &a, ACCESS_R, OFF + i);
		TEST_ASSERT_EQ(*expect_io(t, KVM_EXIT_IO_OUT, 1), 0x21 + i);
		go_on(t);
	}
	finish(t);
}

/* The tool is asked before the device is: it cannot take back what it has given. */
KVMI_TEST(kvmi_pf_io, input, guest_io)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start(t, ACCESS_R);
	for (int i = 0; i < 3; i++) {
		begin(t, &a, INSB, 0);
		expect(t, &a, ACCESS_W, OFF);
		*expect_io(t, KVM_EXIT_IO_IN, 1) = 0x31 + i;
		TEST_ASSERT_EQ(a.hva[OFF], i ? 0x30 + i : 0);
		go_on(t);
		finish(t);
		TEST_ASSERT_EQ(a.hva[OFF], 0x31 + i);
	}
}

/* One event for what the device gives at once. */
KVMI_TEST(kvmi_pf_io, rep_input, guest_io)
{
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start(t, ACCESS_R);
	begin(t, &a, REP_INSB, 3);
	expect(t, &a, ACCESS_W, OFF);
	memcpy(expect_io(t, KVM_EXIT_IO_IN, 3), "\x41\x42\x43", 3);
	go_on(t);
	finish(t);
	TEST_ASSERT(!memcmp(a.hva + OFF, "\x41\x42\x43", 4), "what was read is not in memory");
}

/* Nothing is asked of the device before the tool lets it. */
KVMI_TEST(kvmi_pf_io, input_is_retried, guest_io)
{
	struct kvmi_event_msg ev;
	struct area a;

	REQUIRE_PAGE_ACCESS(t);
	a = start(t, ACCESS_R);
	begin(t, &a, INSB, 0);
	for (int i = 0; i < 3; i++) {
		expect_pf(t, 0, ACCESS_W, a.gva + OFF, a.gpa + OFF, &ev);
		kvmi_worker_interrupt(&t->worker[0]);
		if (i == 2)
			kvmi_continue(&t->tool, &ev);
		else
			retry_pf(t, &ev);
	}
	*expect_io(t, KVM_EXIT_IO_IN, 1) = 0x51;
	go_on(t);
	finish(t);
	TEST_ASSERT_EQ(a.hva[OFF], 0x51);
}

/* --- the bitmap --- */

static void count_gp(struct ex_regs *regs)
{
	io_guest->val[NR_GP]++;
	regs->rip += 1;
}

static __u64 prepare_bitmap(struct kvmi_test *t)
{
	__u8 *tss = addr_gva2hva(t->vm, t->vm->arch.tss);
	struct kvm_sregs sregs;

	memcpy(tss + TSS_BITMAP, &(__u16){ BITMAP }, 2);
	memset(tss + BITMAP, 0, 0x100);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.tr.limit = 0xfff;
	/* QEMU finds no bitmap in the segment of a task that is busy, as this one is. */
	if (host_cpu_is_amd)
		sregs.tr.type = 9;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	return t->vm->arch.tss;
}

static void expect_bitmap_read(struct kvmi_test *t, __u64 gva, struct kvmi_event_msg *ev)
{
	expect_pf(t, 0, ACCESS_R, gva, addr_gva2gpa(t->vm, gva), ev);
}

KVMI_TEST(kvmi_pf_io, bitmap, guest_io)
{
	int was = kvmi_force_emulation(1);
	struct kvmi_event_msg ev;
	__u64 tss;

	REQUIRE_NO_ACCESS(t);
	io_guest = (void *)t->guest_gva[0];
	vm_install_exception_handler(t->vm, GP_VECTOR, count_gp);
	kvmi_user_mode(t, 0);
	sync_global_to_guest(t->vm, io_guest);
	tss = prepare_bitmap(t);
	kvmi_run(t, 0);
	enable_pf(t, 0);
	KVMI_ASSERT_OK(set_access(t, addr_gva2gpa(t->vm, tss), 0));
	t->guest[0]->val[INSN] = OUT;
	/* The tool wants the instruction again, though it could not raise an exception. */
	for (int i = 0; i < 3; i++) {
		kvmi_step_begin(t, 0);
		expect_bitmap_read(t, tss + TSS_BITMAP, &ev);
		if (i == 1)
			kvmi_worker_interrupt(&t->worker[0]);
		kvmi_continue(&t->tool, &ev);
		expect_bitmap_read(t, tss + BITMAP + PORT / 8, &ev);
		if (i == 2)
			kvmi_worker_interrupt(&t->worker[0]);
		kvmi_continue(&t->tool, &ev);
		expect_io(t, KVM_EXIT_IO_OUT, 1);
		go_on(t);
		finish(t);
		TEST_ASSERT_EQ(t->guest[0]->val[NR_GP], 0);
	}
	kvmi_force_emulation(was);
}

KVMI_TEST_MAIN()
