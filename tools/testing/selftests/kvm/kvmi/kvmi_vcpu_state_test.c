// SPDX-License-Identifier: GPL-2.0-only
/* vCPU commands in every state of a vCPU, and that serving them changes nothing. */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_vcpu_state, 1);
KVMI_TEST_SUITE(kvmi_vcpu_state_smp, 2);

/* One of each kind of work: switches, registers, tables, model specific registers. */
static void all_commands(struct kvmi_test *t, int i)
{
	struct kvmi_vcpu_get_info_reply info;
	struct kvmi_vcpu_get_registers_reply regs;
	struct kvmi_vcpu_get_cpuid cpuid = { .function = 0 };
	struct kvmi_vcpu_get_cpuid_reply leaf;
	struct kvmi_vcpu_translate_gva gva = { .gva = t->guest_gva[i] };
	struct kvmi_vcpu_translate_gva_reply gpa;
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, i, KVMI_VCPU_GET_INFO, NULL, 0, &info,
					 sizeof(info)));
	KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, i, &regs));
	KVMI_ASSERT_ERR(kvmi_set_regs(&t->tool, i, &regs.regs), -KVM_EOPNOTSUPP);
	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, i, KVMI_VCPU_GET_CPUID, &cpuid, sizeof(cpuid),
					 &leaf, sizeof(leaf)));
	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, i, KVMI_VCPU_TRANSLATE_GVA, &gva, sizeof(gva),
					 &gpa, sizeof(gpa)));
	for (int on = 1; on >= 0; on--) {
		KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, i, KVMI_VCPU_EVENT_CR, on));
		for (int cr = 0; cr <= 4; cr += cr ? 1 : 3)
			KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, i, cr, on));
	}
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, i, 1));
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_PAUSE, &ev);
	KVMI_ASSERT_OK(kvmi_set_regs(&t->tool, i, &ev.ev.arch.regs));
	kvmi_continue(&t->tool, &ev);
	kvmi_expect_no_event(&t->tool, i);
}

static __u32 mp_state(struct kvm_vcpu *vcpu)
{
	struct kvm_mp_state state;

	vcpu_mp_state_get(vcpu, &state);
	return state.mp_state;
}

KVMI_TEST(kvmi_vcpu_state, running, guest_spin)
{
	kvmi_run(t, 0);
	for (int i = 0; i < 10; i++) {
		all_commands(t, 0);
		kvmi_expect_running(t, 0);
	}
}

/* --- halted ---------------------------------------------------------------------------- */

static void guest_halts(struct kvmi_guest *g)
{
	for (;;) {
		/* Nothing but an NMI ends this HLT. */
		asm volatile("cli; hlt" : : : "memory");
		WRITE_ONCE(g->count, g->count + 1);
	}
}

static void guest_nmi_handler(struct ex_regs *regs)
{
}

static void wait_halted(struct kvmi_test *t, struct kvmi_vcpu_get_registers_reply *r)
{
	__u8 *code;

	/* RIP is behind the HLT, where it stays. */
	for (__u64 end = kvmi_now_ms() + KVMI_TIMEOUT_MS;;) {
		KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, r));
		code = addr_gva2hva(t->vm, r->regs.rip - 1);
		if (*code == 0xf4)
			return;
		TEST_ASSERT(kvmi_now_ms() < end, "timeout: the guest does not halt");
	}
}

KVMI_TEST(kvmi_vcpu_state, halted_without_a_spurious_wakeup, guest_halts)
{
	struct kvmi_vcpu_get_registers_reply r, again;

	vm_install_exception_handler(t->vm, NMI_VECTOR, guest_nmi_handler);
	kvmi_run(t, 0);
	for (int round = 0; round < 5; round++) {
		wait_halted(t, &r);
		for (int i = 0; i < 5; i++)
			all_commands(t, 0);
		KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, &again));
		TEST_ASSERT(!memcmp(&r.regs, &again.regs, sizeof(r.regs)),
			    "the registers of a halted vCPU changed");
		TEST_ASSERT_EQ(READ_ONCE(t->guest[0]->count), round);
		kvmi_worker_stop(&t->worker[0]);
		TEST_ASSERT_EQ(mp_state(t->vcpu[0]), KVM_MP_STATE_HALTED);
		/* It still wakes up when it has to. */
		vcpu_ioctl(t->vcpu[0], KVM_NMI, NULL);
		kvmi_run(t, 0);
		KVMI_WAIT(READ_ONCE(t->guest[0]->count) == round + 1, "the NMI wakes nobody");
	}
}

/* --- not in the guest -------------------------------------------------------------------- */

static void guest_syncs(struct kvmi_guest *g)
{
	for (__u64 n = 1; ; n++)
		GUEST_SYNC1(n);
}

/* The command waits until the VMM runs the vCPU again. */
KVMI_TEST(kvmi_vcpu_state, in_userspace, guest_syncs)
{
	struct kvmi_vcpu_get_info_reply info;
	__u32 seq;

	kvmi_run(t, 0);
	for (__u64 n = 1; n <= 10; n++) {
		TEST_ASSERT_EQ(kvmi_worker_wait_sync(&t->worker[0]), n);
		seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
		/* Commands of the VM pass by. */
		KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
		kvmi_worker_go(&t->worker[0]);
		KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_GET_INFO, seq, &info,
					    sizeof(info)));
	}
}

KVMI_TEST(kvmi_vcpu_state, never_run, guest_spin)
{
	struct kvmi_vcpu_get_info_reply info;
	__u32 seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);

	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_GET_INFO, seq, &info, sizeof(info)));
	all_commands(t, 0);
}

/* Left over when the session ends: nobody gets them, nothing leaks. */
KVMI_TEST(kvmi_vcpu_state, never_run_and_unhooked, guest_spin)
{
	for (int i = 0; i < 10; i++)
		kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_test_rehook(t);
	kvmi_run(t, 0);
	all_commands(t, 0);
}

KVMI_TEST(kvmi_vcpu_state, immediate_exit_serves_nothing, guest_spin)
{
	struct kvmi_vcpu_get_info_reply info;
	struct kvm_run *run = t->vcpu[0]->run;
	__u32 seq = kvmi_vcpu_post(&t->tool, 0, KVMI_VCPU_GET_INFO, NULL, 0);

	for (int i = 0; i < 5; i++) {
		KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
		run->immediate_exit = 1;
		TEST_ASSERT(__vcpu_run(t->vcpu[0]) == -1 && errno == EINTR,
			    "KVM_RUN with immediate_exit");
		run->immediate_exit = 0;
	}
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_GET_INFO, seq, &info, sizeof(info)));
}

/* Interrupted again and again: no command is lost or done twice. */
KVMI_TEST(kvmi_vcpu_state, signals, guest_spin)
{
	kvmi_run(t, 0);
	for (int i = 0; i < 100; i++) {
		kvmi_worker_kick(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_expect_running(t, 0);
}

static struct {
	struct kvmi_tool *tool;
	bool stop;
} flood;

/* Send and read without ever leaving the vCPU without work. */
static void *send_commands(void *arg)
{
	struct kvmi_vcpu_get_registers req = { };
	struct kvmi_msg msg;
	int waiting = 0;

	while (!READ_ONCE(flood.stop) || waiting) {
		while (!READ_ONCE(flood.stop) && waiting < 60) {
			kvmi_vcpu_post(flood.tool, 0, KVMI_VCPU_GET_REGISTERS, &req, sizeof(req));
			waiting++;
		}
		TEST_ASSERT(kvmi_recv(flood.tool, &msg), "closed");
		waiting--;
	}
	return NULL;
}

/* A tool must not keep the VMM from its vCPU, nor the guest from running. */
KVMI_TEST(kvmi_vcpu_state, signals_in_a_flood_of_commands, guest_spin)
{
	struct kvmi_worker *w = &t->worker[0];
	pthread_t thread;

	kvmi_run(t, 0);
	kvmi_expect_running(t, 0);
	flood.tool = &t->tool;
	TEST_ASSERT(!pthread_create(&thread, NULL, send_commands, NULL), "pthread_create()");
	for (int i = 0; i < 10; i++) {
		int before = READ_ONCE(w->interrupted);

		kvmi_worker_kick(w);
		KVMI_WAIT(READ_ONCE(w->interrupted) > before, "KVM_RUN does not return");
		kvmi_expect_running(t, 0);
	}
	WRITE_ONCE(flood.stop, true);
	pthread_join(thread, NULL);
	kvmi_expect_no_event(&t->tool, 0);
}

/* --- two vCPUs ------------------------------------------------------------------------------ */

KVMI_TEST(kvmi_vcpu_state_smp, waits_for_sipi, guest_spin)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_UNINITIALIZED };

	vcpu_mp_state_set(t->vcpu[1], &state);
	kvmi_run_all(t);
	for (int i = 0; i < 5; i++)
		all_commands(t, 1);
	kvmi_expect_running(t, 0);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[1]->count), 0);
	kvmi_worker_stop(&t->worker[1]);
	TEST_ASSERT_EQ(mp_state(t->vcpu[1]), KVM_MP_STATE_UNINITIALIZED);
	/* It starts when it is told to. */
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu_mp_state_set(t->vcpu[1], &state);
	kvmi_run(t, 1);
	kvmi_expect_running(t, 1);
}

KVMI_TEST(kvmi_vcpu_state_smp, both_run, guest_spin)
{
	kvmi_run_all(t);
	for (int i = 0; i < 10; i++)
		all_commands(t, i & 1);
	kvmi_expect_running(t, 0);
	kvmi_expect_running(t, 1);
}

/* Commands to both in one go: each vCPU answers its own in their order. */
KVMI_TEST(kvmi_vcpu_state_smp, order_is_kept_per_vcpu, guest_spin)
{
	enum { N = 60 };
	__u32 next[2] = { 0, 1 };
	struct kvmi_msg msg;

	kvmi_run_all(t);
	for (__u32 seq = 0; seq < N; seq++) {
		t->tool.seq = seq - 1;
		kvmi_vcpu_post(&t->tool, seq & 1, KVMI_VCPU_GET_INFO, NULL, 0);
	}
	for (int i = 0; i < N; i++) {
		TEST_ASSERT(kvmi_recv_reply(&t->tool, &msg), "closed");
		TEST_ASSERT_EQ(msg.hdr.id, KVMI_VCPU_GET_INFO);
		TEST_ASSERT_EQ(msg.hdr.seq, next[msg.hdr.seq & 1]);
		next[msg.hdr.seq & 1] += 2;
	}
}

/* One that does not run does not hold up the other. */
KVMI_TEST(kvmi_vcpu_state_smp, one_runs, guest_spin)
{
	struct kvmi_vcpu_get_info_reply info;
	__u32 seq = kvmi_vcpu_post(&t->tool, 1, KVMI_VCPU_GET_INFO, NULL, 0);

	kvmi_run(t, 0);
	all_commands(t, 0);
	kvmi_run(t, 1);
	KVMI_ASSERT_OK(kvmi_collect(&t->tool, KVMI_VCPU_GET_INFO, seq, &info, sizeof(info)));
}

KVMI_TEST_MAIN()
