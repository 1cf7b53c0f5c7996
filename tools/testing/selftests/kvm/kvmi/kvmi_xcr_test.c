// SPDX-License-Identifier: GPL-2.0-only
/* The XSETBV event and VCPU_GET_XCR. */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_xcr, 1);
KVMI_TEST_SUITE(kvmi_xcr_smp, 2);

#define X87	XFEATURE_MASK_FP
#define X87_SSE	(XFEATURE_MASK_FP | XFEATURE_MASK_SSE)

static inline __u8 emulated_xsetbv(__u32 xcr, __u64 val)
{
	uint64_t error_code;

	return kvm_asm_safe_ec_fep("xsetbv", error_code, "a"((__u32)val), "d"((__u32)(val >> 32)),
				   "c"(xcr));
}

/*
 * XCR number and value in g->val[0], [1], whether KVM shall emulate it in [4]; then
 * the exception and XCR0 in [2] and [3].
 */
static void guest_xsetbv(struct kvmi_guest *g)
{
	/* Below CPL 0 the host has set it. */
	if (!(get_cs() & 3))
		set_cr4(get_cr4() | X86_CR4_OSXSAVE);
	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		if (READ_ONCE(g->val[4]))
			g->val[2] = emulated_xsetbv(g->val[0], g->val[1]);
		else
			g->val[2] = xsetbv_safe(READ_ONCE(g->val[0]), READ_ONCE(g->val[1]));
		g->val[3] = xgetbv(0);
		guest_done(g, n);
	}
}

static void begin_xsetbv(struct kvmi_test *t, int i, __u64 xcr, __u64 val)
{
	t->guest[i]->val[0] = xcr;
	t->guest[i]->val[1] = val;
	kvmi_step_begin(t, i);
}

static void end_xsetbv(struct kvmi_test *t, int i, __u64 vector, __u64 xcr0)
{
	kvmi_step_end(t, i);
	TEST_ASSERT_EQ(t->guest[i]->val[2], vector);
	TEST_ASSERT_EQ(t->guest[i]->val[3], xcr0);
}

static void xsetbv_in_silence(struct kvmi_test *t, __u64 xcr, __u64 val, __u64 vector, __u64 xcr0)
{
	begin_xsetbv(t, 0, xcr, val);
	end_xsetbv(t, 0, vector, xcr0);
	kvmi_expect_no_event(&t->tool, 0);
}

static void expect_xsetbv(struct kvmi_test *t, int i, __u64 old, __u64 new,
			  struct kvmi_event_msg *ev)
{
	kvmi_expect_event(&t->tool, i, KVMI_VCPU_EVENT_XSETBV, ev);
	TEST_ASSERT_EQ(ev->xsetbv.xcr, 0);
	TEST_ASSERT_EQ(ev->xsetbv.old_value, old);
	TEST_ASSERT_EQ(ev->xsetbv.new_value, new);
}

static int get_xcr(struct kvmi_test *t, int i, __u8 xcr, __u64 *val)
{
	struct kvmi_vcpu_get_xcr_reply reply = { .value = ~0ull };
	struct kvmi_vcpu_get_xcr req = { .xcr = xcr };
	int err;

	err = kvmi_vcpu_command(&t->tool, i, KVMI_VCPU_GET_XCR, &req, sizeof(req), &reply,
				sizeof(reply));
	*val = reply.value;
	return err;
}

static void expect_xcr0(struct kvmi_test *t, int i, __u64 want)
{
	__u64 val;

	KVMI_ASSERT_OK(get_xcr(t, i, 0, &val));
	TEST_ASSERT_EQ(val, want);
}

static bool no_xsave(void)
{
	return !kvm_cpu_has(X86_FEATURE_XSAVE);
}

#define NEEDS_XSAVE() \
	do { if (no_xsave()) SKIP_CASE("this processor has no XSAVE"); } while (0)

static void start(struct kvmi_test *t)
{
	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_XSETBV, 1));
}

/* --- GET_XCR ----------------------------------------------------------------------------- */

KVMI_TEST(kvmi_xcr, get, guest_xsetbv)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };

	NEEDS_XSAVE();
	kvmi_run(t, 0);
	expect_xcr0(t, 0, X87);
	begin_xsetbv(t, 0, 0, X87_SSE);
	end_xsetbv(t, 0, 0, X87_SSE);
	expect_xcr0(t, 0, X87_SSE);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_ioctl(t->vcpu[0], KVM_GET_XCRS, &xcrs);
	TEST_ASSERT_EQ(xcrs.xcrs[0].value, X87_SSE);
	xcrs.xcrs[0].value = X87;
	vcpu_ioctl(t->vcpu[0], KVM_SET_XCRS, &xcrs);
	kvmi_run(t, 0);
	expect_xcr0(t, 0, X87);
}

KVMI_TEST(kvmi_xcr, get_no_such_register, guest_spin)
{
	static const __u8 bad[] = { 1, 2, 16, 128, 255 };
	__u64 val;

	kvmi_run(t, 0);
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		KVMI_ASSERT_ERR(get_xcr(t, 0, bad[i], &val), -KVM_EINVAL);
}

/* --- the event --------------------------------------------------------------------------- */

KVMI_TEST(kvmi_xcr, reported, guest_xsetbv)
{
	struct kvmi_event_msg ev;
	__u64 xcr0 = X87;

	NEEDS_XSAVE();
	start(t);
	for (int i = 1; i <= 20; i++) {
		begin_xsetbv(t, 0, 0, xcr0 ^ XFEATURE_MASK_SSE);
		expect_xsetbv(t, 0, xcr0, xcr0 ^ XFEATURE_MASK_SSE, &ev);
		TEST_ASSERT_EQ(ev.hdr.seq, i);
		TEST_ASSERT(!memcmp(addr_gva2hva(t->vm, ev.ev.arch.regs.rip), "\x0f\x01\xd1", 3),
			    "RIP of the event is not at the instruction");
		/* Not written before the reply. */
		expect_xcr0(t, 0, xcr0);
		kvmi_continue(&t->tool, &ev);
		xcr0 ^= XFEATURE_MASK_SSE;
		end_xsetbv(t, 0, 0, xcr0);
		expect_xcr0(t, 0, xcr0);
	}
}

KVMI_TEST(kvmi_xcr, all_that_the_guest_may_set, guest_xsetbv)
{
	const __u64 all = kvm_cpu_supported_xcr0();
	struct kvmi_event_msg ev;

	NEEDS_XSAVE();
	start(t);
	begin_xsetbv(t, 0, 0, all);
	expect_xsetbv(t, 0, X87, all, &ev);
	kvmi_continue(&t->tool, &ev);
	end_xsetbv(t, 0, 0, all);
	expect_xcr0(t, 0, all);
}

KVMI_TEST(kvmi_xcr, no_change, guest_xsetbv)
{
	NEEDS_XSAVE();
	start(t);
	xsetbv_in_silence(t, 0, X87, 0, X87);
}

/* No such register; 256 is 0 in a byte, and the wire has only that. */
KVMI_TEST(kvmi_xcr, no_such_register, guest_xsetbv)
{
	static const __u32 bad[] = { 1, 2, 255, 256, 0x10000, 0xffffffff };

	NEEDS_XSAVE();
	start(t);
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		xsetbv_in_silence(t, bad[i], X87_SSE, GP_VECTOR, X87);
}

KVMI_TEST(kvmi_xcr, invalid_value, guest_xsetbv)
{
	static const __u64 bad[] = {
		0, XFEATURE_MASK_SSE, X87 | XFEATURE_MASK_YMM, X87_SSE | BIT_ULL(62), BIT_ULL(32),
	};
	struct kvmi_event_msg ev;

	NEEDS_XSAVE();
	start(t);
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		begin_xsetbv(t, 0, 0, bad[i]);
		expect_xsetbv(t, 0, X87, bad[i], &ev);
		kvmi_continue(&t->tool, &ev);
		end_xsetbv(t, 0, GP_VECTOR, X87);
	}
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_xcr, user_mode, guest_xsetbv)
{
	struct kvm_sregs sregs;

	NEEDS_XSAVE();
	kvmi_user_mode(t, 0);
	vcpu_sregs_get(t->vcpu[0], &sregs);
	sregs.cr4 |= X86_CR4_OSXSAVE;
	vcpu_sregs_set(t->vcpu[0], &sregs);
	start(t);
	xsetbv_in_silence(t, 0, X87_SSE, GP_VECTOR, X87);
}

KVMI_TEST(kvmi_xcr, switched_off, guest_xsetbv)
{
	NEEDS_XSAVE();
	kvmi_run(t, 0);
	xsetbv_in_silence(t, 0, X87_SSE, 0, X87_SSE);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_XSETBV, 1));
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_XSETBV, 0));
	xsetbv_in_silence(t, 0, X87, 0, X87);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, KVMI_VCPU_EVENT_XSETBV, 1));
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_XSETBV, 0),
		       0);
	xsetbv_in_silence(t, 0, X87_SSE, 0, X87_SSE);
	TEST_ASSERT_EQ(kvmi_feature(t->vm->fd, KVM_INTROSPECTION_EVENT, KVMI_VCPU_EVENT_XSETBV, 1),
		       0);
	kvmi_test_rehook(t);
	/* The vCPU joins the new session when it serves it. */
	kvmi_expect_no_event(&t->tool, 0);
	xsetbv_in_silence(t, 0, X87, 0, X87);
}

/* The VMM's own writes are none of the guest's. */
KVMI_TEST(kvmi_xcr, vmm_writes, guest_xsetbv)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = X87_SSE };

	NEEDS_XSAVE();
	start(t);
	kvmi_worker_stop(&t->worker[0]);
	vcpu_ioctl(t->vcpu[0], KVM_SET_XCRS, &xcrs);
	kvmi_run(t, 0);
	kvmi_expect_no_event(&t->tool, 0);
	expect_xcr0(t, 0, X87_SSE);
}

KVMI_TEST(kvmi_xcr, emulated_instruction, guest_xsetbv)
{
	int was = kvmi_force_emulation(1);
	struct kvmi_event_msg ev;

	NEEDS_XSAVE();
	t->guest[0]->val[4] = 1;
	start(t);
	begin_xsetbv(t, 0, 0, X87_SSE);
	expect_xsetbv(t, 0, X87, X87_SSE, &ev);
	kvmi_continue(&t->tool, &ev);
	end_xsetbv(t, 0, 0, X87_SSE);
	xsetbv_in_silence(t, 0, X87_SSE, 0, X87_SSE);
	xsetbv_in_silence(t, 1, X87, GP_VECTOR, X87_SSE);
	xsetbv_in_silence(t, 256, X87, GP_VECTOR, X87_SSE);
	begin_xsetbv(t, 0, 0, 0);
	expect_xsetbv(t, 0, X87_SSE, 0, &ev);
	kvmi_continue(&t->tool, &ev);
	end_xsetbv(t, 0, GP_VECTOR, X87_SSE);
	kvmi_expect_no_event(&t->tool, 0);
	kvmi_force_emulation(was);
}

/* --- other ends -------------------------------------------------------------------------- */

static void at_xsetbv(struct kvmi_test *t, struct kvmi_event_msg *ev)
{
	start(t);
	begin_xsetbv(t, 0, 0, X87_SSE);
	expect_xsetbv(t, 0, X87, X87_SSE, ev);
}

KVMI_TEST(kvmi_xcr, signal, guest_xsetbv)
{
	struct kvmi_event_msg ev;

	NEEDS_XSAVE();
	at_xsetbv(t, &ev);
	for (int i = 0; i < 5; i++) {
		kvmi_worker_interrupt(&t->worker[0]);
		kvmi_expect_no_event(&t->tool, 0);
	}
	kvmi_continue(&t->tool, &ev);
	end_xsetbv(t, 0, 0, X87_SSE);
	kvmi_expect_no_event(&t->tool, 0);
}

KVMI_TEST(kvmi_xcr, crash, guest_xsetbv)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };
	struct kvmi_event_msg ev;

	NEEDS_XSAVE();
	at_xsetbv(t, &ev);
	kvmi_expect_crash(t, 0, &ev);
	vcpu_ioctl(t->vcpu[0], KVM_GET_XCRS, &xcrs);
	TEST_ASSERT_EQ(xcrs.xcrs[0].value, X87);
}

KVMI_TEST(kvmi_xcr, no_retry, guest_xsetbv)
{
	struct kvmi_event_msg ev;

	NEEDS_XSAVE();
	at_xsetbv(t, &ev);
	kvmi_expect_no_action(t, &ev, KVMI_EVENT_ACTION_RETRY);
	end_xsetbv(t, 0, 0, X87_SSE);
}

/* The event has no reply data, not one byte. */
KVMI_TEST(kvmi_xcr, no_reply_data, guest_xsetbv)
{
	struct kvmi_event_msg ev;

	NEEDS_XSAVE();
	at_xsetbv(t, &ev);
	kvmi_reply(&t->tool, &ev, KVMI_EVENT_ACTION_CONTINUE, "", 1);
	kvmi_expect_closed(&t->tool);
	end_xsetbv(t, 0, 0, X87_SSE);
}

KVMI_TEST(kvmi_xcr_smp, vcpus_are_independent, guest_xsetbv)
{
	struct kvmi_event_msg ev;

	NEEDS_XSAVE();
	kvmi_run_all(t);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 1, KVMI_VCPU_EVENT_XSETBV, 1));
	xsetbv_in_silence(t, 0, X87_SSE, 0, X87_SSE);
	begin_xsetbv(t, 1, 0, X87_SSE);
	expect_xsetbv(t, 1, X87, X87_SSE, &ev);
	expect_xcr0(t, 0, X87_SSE);
	expect_xcr0(t, 1, X87);
	kvmi_continue(&t->tool, &ev);
	end_xsetbv(t, 1, 0, X87_SSE);
}

KVMI_TEST_MAIN()
