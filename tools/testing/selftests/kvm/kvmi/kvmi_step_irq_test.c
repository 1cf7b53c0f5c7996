// SPDX-License-Identifier: GPL-2.0-only
/* A vCPU that is stepped: interrupts of the guest wait, HLT halts. */
#include "apic.h"
#include "kvmi_step.h"
#include "kvmi_test_harness.h"

#define IRQ_VECTOR	0x40

KVMI_TEST_SUITE(kvmi_step_irq, 1);

static void start(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 1));
	kvmi_expect_step(&t->tool, 0, ev);
}

static struct kvmi_guest *guest_of_handler;

static void guest_irq_handler(struct ex_regs *regs)
{
	guest_of_handler->val[1]++;
	x2apic_write_reg(APIC_EOI, 0);
}

static void guest_self_ipi(struct kvmi_guest *g)
{
	x2apic_enable();
	asm volatile("sti");
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		x2apic_write_reg(APIC_ICR, APIC_DEST_SELF | APIC_INT_ASSERT | APIC_DM_FIXED |
				 IRQ_VECTOR);
		guest_done(g, n);
	}
}

static void install_irq_handler(struct kvmi_test *t)
{
	vm_install_exception_handler(t->vm, IRQ_VECTOR, guest_irq_handler);
	guest_of_handler = (void *)t->guest_gva[0];
	sync_global_to_guest(t->vm, guest_of_handler);
}

KVMI_TEST(kvmi_step_irq, interrupts_wait, guest_self_ipi)
{
	__u64 *taken = &t->guest[0]->val[1];
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	install_irq_handler(t);
	start(t, &ev);
	kvmi_step_begin(t, 0);
	for (int i = 0; READ_ONCE(t->guest[0]->done) == 0; i++) {
		TEST_ASSERT(i < 500, "the guest does not come to its interrupt");
		kvmi_next_step(&t->tool, 0, &ev);
	}
	for (int i = 0; i < 30; i++) {
		kvmi_next_step(&t->tool, 0, &ev);
		TEST_ASSERT(ev.ev.arch.regs.rflags & RFLAGS_IF, "RFLAGS.IF is clear");
	}
	TEST_ASSERT_EQ(READ_ONCE(*taken), 0);
	kvmi_end_steps(&t->tool, 0, &ev);
	KVMI_WAIT(READ_ONCE(*taken) == 1, "the interrupt that had to wait does not come");
	kvmi_step_begin(t, 0);
	KVMI_WAIT(READ_ONCE(*taken) == 2, "a later interrupt does not come");
	kvmi_expect_no_event(&t->tool, 0);
}

extern const char after_hlt[];

static void guest_halts(struct kvmi_guest *g)
{
	x2apic_enable();
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		asm volatile("sti; hlt; after_hlt: cli" : : : "memory");
		guest_done(g, n);
	}
}

static void send_irq(struct kvmi_test *t)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = IRQ_VECTOR };

	TEST_ASSERT_EQ(__vm_ioctl(t->vm, KVM_SIGNAL_MSI, &msi), 1);
}

KVMI_TEST(kvmi_step_irq, hlt, guest_halts)
{
	__u64 *taken = &t->guest[0]->val[1];
	struct kvmi_event_msg ev;

	REQUIRE_STEPPING(t);
	install_irq_handler(t);
	start(t, &ev);
	kvmi_step_begin(t, 0);
	for (int i = 0; ev.ev.arch.regs.rip != (__u64)after_hlt; i++) {
		TEST_ASSERT(i < 500, "the guest does not come to HLT");
		kvmi_next_step(&t->tool, 0, &ev);
	}
	/* The step is over, and the vCPU sleeps. */
	kvmi_continue(&t->tool, &ev);
	for (int i = 0; i < 5; i++)
		kvmi_expect_no_event(&t->tool, 0);
	TEST_ASSERT_EQ(READ_ONCE(*taken), 0);
	KVMI_ASSERT_OK(kvmi_control_step(&t->tool, 0, 0));
	send_irq(t);
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(READ_ONCE(*taken), 1);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST_MAIN()
