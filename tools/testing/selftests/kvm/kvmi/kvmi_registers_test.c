// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_GET_REGISTERS, VCPU_SET_REGISTERS, and the registers in events. */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_registers, 1);

#define MAX_MSRS \
	((KVMI_MAX_MSG_SIZE - sizeof(struct kvmi_error_code) - \
	  sizeof(struct kvmi_vcpu_get_registers_reply)) / sizeof(struct kvm_msr_entry))

struct regs_reply {
	struct kvmi_vcpu_get_registers_reply r;
	struct kvm_msr_entry msr[MAX_MSRS];
};

static int get_regs(struct kvmi_test *t, const __u32 *idx, int n, struct regs_reply *reply)
{
	__u8 buf[sizeof(struct kvmi_vcpu_get_registers) + 4 * (MAX_MSRS + 1)];
	struct kvmi_vcpu_get_registers *req = (void *)buf;
	int err;

	*req = (struct kvmi_vcpu_get_registers){ .nmsrs = n };
	memcpy(req->msrs_idx, idx, n * sizeof(*idx));
	err = kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_REGISTERS, req, sizeof(*req) + 4 * n,
				reply, sizeof(reply->r) + n * sizeof(reply->msr[0]));
	if (!err) {
		TEST_ASSERT_EQ(reply->r.padding, 0);
		TEST_ASSERT_EQ(reply->r.msrs.nmsrs, n);
		TEST_ASSERT_EQ(reply->r.msrs.pad, 0);
		for (int i = 0; i < n; i++) {
			TEST_ASSERT_EQ(reply->msr[i].index, idx[i]);
			TEST_ASSERT_EQ(reply->msr[i].reserved, 0);
		}
	}
	return err;
}

/* One instruction for ever: what KVM_GET_REGS says stays true. */
static void guest_loop(struct kvmi_guest *g)
{
	asm volatile("mov $0x1111, %%r12; mov $0x2222, %%r13; movq $1, %0; 1: jmp 1b"
		     : "=m"(g->count) : : "r12", "r13");
}

static void start_loop(struct kvmi_test *t)
{
	kvmi_run(t, 0);
	KVMI_WAIT(READ_ONCE(t->guest[0]->count), "the guest does not start");
}

static void same_sregs(struct kvm_sregs *a, struct kvm_sregs *b)
{
	/* The interrupt bitmap is no register. */
	memset(a->interrupt_bitmap, 0, sizeof(a->interrupt_bitmap));
	memset(b->interrupt_bitmap, 0, sizeof(b->interrupt_bitmap));
	TEST_ASSERT(!memcmp(a, b, sizeof(*a)), "special registers differ");
}

KVMI_TEST(kvmi_registers, get_agrees_with_vmm, guest_loop)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct regs_reply r;

	start_loop(t);
	KVMI_ASSERT_OK(get_regs(t, NULL, 0, &r));
	KVMI_ASSERT_OK(get_regs(t, NULL, 0, &r));
	kvmi_worker_stop(&t->worker[0]);
	vcpu_regs_get(t->vcpu[0], &regs);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	TEST_ASSERT(!memcmp(&regs, &r.r.regs, sizeof(regs)), "general registers differ");
	same_sregs(&sregs, &r.r.sregs);
	TEST_ASSERT_EQ(r.r.mode, 8);
	TEST_ASSERT_EQ(r.r.regs.r12, 0x1111);
	TEST_ASSERT_EQ(r.r.regs.r13, 0x2222);
}

static const struct { __u32 msr; __u64 val; } some_msrs[] = {
	{ MSR_IA32_SYSENTER_CS, 0x10 },
	/* Some processors keep the lower half of these only. */
	{ MSR_IA32_SYSENTER_ESP, 0x80001000 },
	{ MSR_IA32_SYSENTER_EIP, 0x80002000 },
	{ MSR_EFER, 0 },
	{ MSR_STAR, 0x0023001000000000 },
	{ MSR_LSTAR, 0xffffffff80003000 },
	{ MSR_CSTAR, 0xffffffff80004000 },
	{ MSR_IA32_CR_PAT, 0x0007040600070406 },
	{ MSR_KERNEL_GS_BASE, 0xffffffff80005000 },
};

KVMI_TEST(kvmi_registers, msr_list, guest_loop)
{
	__u32 idx[ARRAY_SIZE(some_msrs)];
	struct kvmi_event_msrs *m;
	struct kvmi_event_msg ev;
	struct regs_reply r;
	__u64 val;
	int i;

	for (i = 0; i < ARRAY_SIZE(idx); i++) {
		idx[i] = some_msrs[i].msr;
		if (idx[i] != MSR_EFER)
			vcpu_set_msr(t->vcpu[0], idx[i], some_msrs[i].val);
	}
	start_loop(t);
	KVMI_ASSERT_OK(get_regs(t, idx, ARRAY_SIZE(idx), &r));
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	kvmi_continue(&t->tool, &ev);
	kvmi_worker_stop(&t->worker[0]);

	m = &ev.ev.arch.msrs;
	for (i = 0; i < ARRAY_SIZE(idx); i++) {
		val = idx[i] == MSR_EFER ? vcpu_get_msr(t->vcpu[0], idx[i]) : some_msrs[i].val;
		TEST_ASSERT(r.msr[i].data == val, "MSR %#x: %#llx", idx[i], r.msr[i].data);
		/* The event carries the same ones in the same order. */
		TEST_ASSERT(((__u64 *)m)[i] == val, "MSR %#x in the event: %#llx", idx[i],
			    ((__u64 *)m)[i]);
	}
	TEST_ASSERT(!memcmp(&ev.ev.arch.regs, &r.r.regs, sizeof(r.r.regs)), "registers differ");
	same_sregs(&ev.ev.arch.sregs, &r.r.sregs);
}

KVMI_TEST(kvmi_registers, same_msr_many_times, guest_loop)
{
	__u32 idx[MAX_MSRS + 1];
	struct regs_reply r;

	for (int i = 0; i < ARRAY_SIZE(idx); i++)
		idx[i] = i & 1 ? MSR_EFER : MSR_LSTAR;
	vcpu_set_msr(t->vcpu[0], MSR_LSTAR, 0x123456);
	start_loop(t);
	/* The largest reply that fits, and one entry more. */
	KVMI_ASSERT_OK(get_regs(t, idx, MAX_MSRS, &r));
	TEST_ASSERT_EQ(r.msr[0].data, 0x123456);
	TEST_ASSERT_EQ(r.msr[MAX_MSRS - 1].data,
		       (MAX_MSRS - 1) & 1 ? r.r.sregs.efer : 0x123456);
	KVMI_ASSERT_ERR(get_regs(t, idx, MAX_MSRS + 1, &r), -KVM_EINVAL);
	KVMI_ASSERT_OK(get_regs(t, idx, 1, &r));
}

KVMI_TEST(kvmi_registers, no_such_msr, guest_loop)
{
	__u32 bad[] = { 0xffffffff }, mixed[] = { MSR_EFER, 0xffffffff, MSR_EFER };
	struct regs_reply r;

	start_loop(t);
	KVMI_ASSERT_ERR(get_regs(t, bad, 1, &r), -KVM_EINVAL);
	KVMI_ASSERT_ERR(get_regs(t, mixed, 3, &r), -KVM_EINVAL);
	KVMI_ASSERT_OK(get_regs(t, mixed, 1, &r));
}

KVMI_TEST(kvmi_registers, list_shorter_than_announced, guest_loop)
{
	struct {
		struct kvmi_vcpu_get_registers req;
		__u32 idx[2];
	} req = { .idx = { MSR_EFER, MSR_EFER } };
	static const __u16 counts[] = { 3, 4, 481, 482, 0xffff };

	start_loop(t);
	for (int i = 0; i < ARRAY_SIZE(counts); i++) {
		req.req.nmsrs = counts[i];
		KVMI_ASSERT_ERR(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_REGISTERS, &req,
						  sizeof(req), NULL, 0), -KVM_EINVAL);
	}
	/* Half an index is none. */
	req.req.nmsrs = 2;
	KVMI_ASSERT_ERR(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_REGISTERS, &req,
					  sizeof(req) - 1, NULL, 0), -KVM_EINVAL);
}

/* The library leaves the page at 0x1000 alone; jmp means the same in every mode. */
static void run_in_mode(struct kvmi_test *t, __u32 mode)
{
	vm_paddr_t gpa = 0x1000;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct regs_reply r;

	memcpy(addr_gpa2hva(t->vm, gpa), "\xeb\xfe", 2);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.efer = 0;
	sregs.cr4 = 0;
	sregs.cr0 = X86_CR0_NE | X86_CR0_ET | (mode == 4 ? X86_CR0_PE : 0);
	sregs.cs.l = 0;
	sregs.cs.db = mode == 4;
	if (mode == 2) {
		struct kvm_segment *segs[] = {
			&sregs.cs, &sregs.ds, &sregs.es, &sregs.fs, &sregs.gs, &sregs.ss,
		};

		for (int i = 0; i < ARRAY_SIZE(segs); i++) {
			*segs[i] = (struct kvm_segment) {
				.limit = 0xffff, .type = 3, .present = 1, .s = 1,
			};
		}
	}
	vcpu_sregs_set(t->vcpu[0], &sregs);
	vcpu_regs_get(t->vcpu[0], &regs);
	regs.rip = gpa;
	vcpu_regs_set(t->vcpu[0], &regs);
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(get_regs(t, NULL, 0, &r));
	TEST_ASSERT_EQ(r.r.mode, mode);
	TEST_ASSERT_EQ(r.r.regs.rip, gpa);
}

KVMI_TEST(kvmi_registers, real_mode, guest_loop)
{
	run_in_mode(t, 2);
}

KVMI_TEST(kvmi_registers, protected_mode, guest_loop)
{
	run_in_mode(t, 4);
}

/* --- SET_REGISTERS ----------------------------------------------------------- */

static void begin_pause(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 0));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, ev);
}

KVMI_TEST(kvmi_registers, set_outside_an_event, guest_loop)
{
	struct regs_reply r;

	start_loop(t);
	KVMI_ASSERT_OK(get_regs(t, NULL, 0, &r));
	KVMI_ASSERT_ERR(kvmi_set_regs(&t->tool, 0, &r.r.regs), -KVM_EOPNOTSUPP);
}

KVMI_TEST(kvmi_registers, set_too_short, guest_loop)
{
	struct kvmi_event_msg ev;

	start_loop(t);
	begin_pause(t, &ev);
	KVMI_ASSERT_ERR(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_SET_REGISTERS, &ev.ev.arch.regs,
					  sizeof(struct kvm_regs) - 1, NULL, 0), -KVM_EINVAL);
	kvmi_continue(&t->tool, &ev);
}

/* The last of several sets wins; until the reply the vCPU's own values show. */
KVMI_TEST(kvmi_registers, set_takes_effect_with_the_reply, guest_loop)
{
	struct kvm_regs regs, again;
	struct kvmi_event_msg ev;
	struct regs_reply r;

	start_loop(t);
	begin_pause(t, &ev);
	regs = ev.ev.arch.regs;
	regs.r12 = 0xdead;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	regs.r12 = 0x3333;
	regs.rax = 0x4444;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	KVMI_ASSERT_OK(get_regs(t, NULL, 0, &r));
	TEST_ASSERT_EQ(r.r.regs.r12, 0x1111);
	kvmi_continue(&t->tool, &ev);
	KVMI_ASSERT_OK(get_regs(t, NULL, 0, &r));
	TEST_ASSERT(!memcmp(&r.r.regs, &regs, sizeof(regs)), "registers are not those set");

	/* It was for that event only. */
	begin_pause(t, &ev);
	again = ev.ev.arch.regs;
	TEST_ASSERT(!memcmp(&again, &regs, sizeof(regs)), "registers are not those set");
	kvmi_continue(&t->tool, &ev);
	KVMI_ASSERT_ERR(kvmi_set_regs(&t->tool, 0, &regs), -KVM_EOPNOTSUPP);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_regs_get(t->vcpu[0], &again);
	TEST_ASSERT(!memcmp(&again, &regs, sizeof(regs)), "registers are not those set");
}

KVMI_TEST(kvmi_registers, set_rip, guest_loop)
{
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	start_loop(t);
	begin_pause(t, &ev);
	regs = ev.ev.arch.regs;
	regs.rip = (vm_vaddr_t)guest_spin;
	WRITE_ONCE(t->guest[0]->count, 0);
	regs.rdi = t->guest_gva[0];
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
}

/* Unhooked before the reply: the vCPU keeps its own registers. */
KVMI_TEST(kvmi_registers, unhook_drops_a_set, guest_loop)
{
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	start_loop(t);
	begin_pause(t, &ev);
	regs = ev.ev.arch.regs;
	regs.r12 = 0x5555;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_test_rehook(t);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_regs_get(t->vcpu[0], &regs);
	TEST_ASSERT_EQ(regs.r12, 0x1111);
}

/* --- in an event of an instruction -------------------------------------------- */

static void guest_cr3(struct kvmi_guest *g)
{
	__u64 cr3 = get_cr3();

	guest_wait(g, 1);
	set_cr3(cr3 | X86_CR3_PWT);
	g->val[0] = get_cr3();
	g->val[1] = 1;
	guest_done(g, 1);
	guest_spin(g);
}

static void at_cr3(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_CR, 1));
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	kvmi_step_begin(t, 0);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_CR, ev);
	TEST_ASSERT(!memcmp(addr_gva2hva(t->vm, ev->ev.arch.regs.rip), "\x0f\x22\xd8", 3),
		    "RIP of the event is not at the instruction");
}

/* With RIP left alone the instruction is done once, though it changed nothing. */
KVMI_TEST(kvmi_registers, set_in_cr_event_keeps_rip, guest_cr3)
{
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	at_cr3(t, &ev);
	regs = ev.ev.arch.regs;
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_reply_cr(&t->tool, &ev, ev.cr.old_value);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_step_end(t, 0);
	TEST_ASSERT_EQ(t->guest[0]->val[0], t->vm->pgd);
	kvmi_expect_no_event(&t->tool, 0);
}

/* With another RIP the write is done, and execution goes on there. */
KVMI_TEST(kvmi_registers, set_in_cr_event_moves_rip, guest_cr3)
{
	struct kvmi_vcpu_get_registers_reply r;
	struct kvmi_event_msg ev;
	struct kvm_regs regs;

	at_cr3(t, &ev);
	regs = ev.ev.arch.regs;
	regs.rip = (vm_vaddr_t)guest_spin;
	regs.rdi = t->guest_gva[0];
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, 0, &regs));
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_running(t, 0);
	KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, &r));
	TEST_ASSERT_EQ(r.sregs.cr3, t->vm->pgd | X86_CR3_PWT);
	TEST_ASSERT_EQ(t->guest[0]->val[1], 0);
}

KVMI_TEST_MAIN()
