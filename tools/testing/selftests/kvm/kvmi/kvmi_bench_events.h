/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_BENCH_EVENTS_H
#define SELFTEST_KVMI_BENCH_EVENTS_H

/*
 * From one event to the next, as the tool sees it: a guest that does nothing but
 * raise events of one kind, and a tool that lets each take place.
 */
#include <sys/socket.h>

#include "kvmi_test_util.h"

#define EVENTS		4000
/* A CR event and its reply: most others are shorter, as is what they need. */
#define EVENT_SIZE	(sizeof(struct kvmi_msg_hdr) + sizeof(struct kvmi_event) + \
			 sizeof(struct kvmi_vcpu_event_cr))

struct event_reply {
	struct kvmi_msg_hdr hdr;
	struct kvmi_vcpu_hdr vcpu;
	struct kvmi_event_reply reply;
	__u64 new_val;
};

static int compare(const void *a, const void *b)
{
	return *(__u64 *)a < *(__u64 *)b ? -1 : *(__u64 *)a > *(__u64 *)b;
}

static __u64 median(__u64 *v, int n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

static void read_exactly(int fd, void *buf, size_t size)
{
	TEST_ASSERT_EQ(recv(fd, buf, size, MSG_WAITALL), (ssize_t)size);
}

static void write_exactly(int fd, const void *buf, size_t size)
{
	TEST_ASSERT_EQ(send(fd, buf, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Median ticks between events of @size bytes, answered with @new_val of them or nothing. */
static __u64 time_events(int fd, __u8 event, size_t size, const __u64 *new_val,
			 struct kvmi_event_msg *ev)
{
	struct event_reply reply = {
		.hdr.id = KVMI_VCPU_EVENT_REPLY,
		.reply.event = event,
	};
	size_t reply_size = new_val ? sizeof(reply) : offsetof(struct event_reply, new_val);
	__u64 v[EVENTS], last = 0, now;

	reply.hdr.size = reply_size - sizeof(reply.hdr);
	for (int i = 0; i < EVENTS; i++) {
		read_exactly(fd, ev, size);
		now = rdtsc();
		v[i] = now - last;
		last = now;
		reply.hdr.seq = ev->hdr.seq;
		if (new_val)
			reply.new_val = *new_val;
		write_exactly(fd, &reply, reply_size);
	}
	/* The first ones warm up. */
	return median(v + EVENTS / 4, EVENTS - EVENTS / 4);
}

/* --- the socket alone ------------------------------------------------------------------ */

/* The other end of the socket: sends what KVM would, reads what the tool would. */
static void *event_sender(void *arg)
{
	__u8 event[EVENT_SIZE] = { };
	struct event_reply reply;
	int fd = *(int *)arg;

	for (int i = 0; i < EVENTS; i++) {
		write_exactly(fd, event, sizeof(event));
		read_exactly(fd, &reply, sizeof(reply));
	}
	return NULL;
}

static __u64 time_socket(void)
{
	struct kvmi_event_msg ev;
	pthread_t thread;
	__u64 ticks;
	int sv[2];

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	TEST_ASSERT(!pthread_create(&thread, NULL, event_sender, &sv[0]), "pthread_create()");
	ticks = time_events(sv[1], KVMI_VCPU_EVENT_CR, EVENT_SIZE, &ev.cr.new_value, &ev);
	pthread_join(thread, NULL);
	close(sv[0]);
	close(sv[1]);
	return ticks;
}

/* --- the guests: EVENTS events, then nothing -------------------------------------------- */

static void guest_begin(struct kvmi_guest *g)
{
	while (!READ_ONCE(g->go))
		;
}

static void guest_halt(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

static void guest_writes_cr3(struct kvmi_guest *g)
{
	__u64 cr3 = get_cr3();

	guest_begin(g);
	for (int i = 1; i <= EVENTS; i++)
		set_cr3(cr3 | (i & 1 ? X86_CR3_PWT : 0));
	guest_halt();
}

static void guest_writes_msr(struct kvmi_guest *g)
{
	guest_begin(g);
	for (int i = 1; i <= EVENTS; i++)
		wrmsr(MSR_KERNEL_GS_BASE, i);
	guest_halt();
}

static void guest_executes_int3(struct kvmi_guest *g)
{
	guest_begin(g);
	for (int i = 1; i <= EVENTS; i++)
		asm volatile("int3");
	guest_halt();
}

/* What the tool has let through comes here. */
extern char guest_int3_handler[];
asm(".pushsection .text\n guest_int3_handler: iretq\n .popsection");

static void guest_calls(struct kvmi_guest *g)
{
	guest_begin(g);
	for (int i = 1; i <= EVENTS; i++) {
		__u64 rax = KVMI_HYPERCALL;

		if (host_cpu_is_amd)
			asm volatile("vmmcall" : "+a"(rax) : "D"(KVMI_HYPERCALL_EVENT), "S"(0));
		else
			asm volatile("vmcall" : "+a"(rax) : "D"(KVMI_HYPERCALL_EVENT), "S"(0));
	}
	guest_halt();
}

static void guest_executes_cpuid(struct kvmi_guest *g)
{
	guest_begin(g);
	for (int i = 1; i <= EVENTS; i++) {
		__u32 eax = 0, ecx = 0;

		asm volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx");
	}
	guest_halt();
}

static void guest_stores_gdtr(struct kvmi_guest *g)
{
	struct desc_ptr gdtr;

	guest_begin(g);
	for (int i = 1; i <= EVENTS; i++)
		asm volatile("sgdt %0" : "=m"(gdtr));
	guest_halt();
}

/* --- each kind --------------------------------------------------------------------------- */

static void install_int3_handler(struct kvmi_test *t)
{
	__u64 handler = (__u64)guest_int3_handler;
	__u8 *gate = addr_gva2hva(t->vm, t->vm->arch.idt + BP_VECTOR * 16);

	memcpy(gate, &handler, 2);
	handler >>= 16;
	memcpy(gate + 6, &handler, 6);
}

static void restart(struct kvmi_test *t, void *guest_code)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };

	kvmi_worker_stop(&t->worker[0]);
	vcpu_mp_state_set(t->vcpu[0], &state);
	t->guest[0]->go = 0;
	kvmi_set_guest(t, 0, guest_code);
	kvmi_run(t, 0);
}

static void control_msr(struct kvmi_test *t, __u32 msr, __u8 enable)
{
	struct kvmi_vcpu_control_msr req = { .enable = enable, .msr = msr };

	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_CONTROL_MSR, &req, sizeof(req),
					 NULL, 0));
}

static __u64 time_kind(struct kvmi_test *t, __u8 event, size_t data_size, const __u64 *new_val,
		       struct kvmi_event_msg *ev, void *guest_code)
{
	__u64 ticks;

	restart(t, guest_code);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, event, 1));
	WRITE_ONCE(t->guest[0]->go, 1);
	ticks = time_events(t->tool.fd, event,
			    sizeof(ev->hdr) + sizeof(ev->ev) + data_size, new_val, ev);
	KVMI_ASSERT_OK(kvmi_vcpu_events(&t->tool, 0, event, 0));
	return ticks;
}

static __u64 time_cr3_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;
	__u64 ticks;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 1));
	ticks = time_kind(t, KVMI_VCPU_EVENT_CR, sizeof(ev.cr), &ev.cr.new_value, &ev,
			  guest_writes_cr3);
	KVMI_ASSERT_OK(kvmi_control_cr(&t->tool, 0, 3, 0));
	return ticks;
}

static __u64 time_msr_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;
	__u64 ticks;

	control_msr(t, MSR_KERNEL_GS_BASE, 1);
	ticks = time_kind(t, KVMI_VCPU_EVENT_MSR, sizeof(ev.msr), &ev.msr.new_value, &ev,
			  guest_writes_msr);
	control_msr(t, MSR_KERNEL_GS_BASE, 0);
	return ticks;
}

/* Raised in the guest, too: its handler returns. */
static __u64 time_breakpoint_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	install_int3_handler(t);
	return time_kind(t, KVMI_VCPU_EVENT_BREAKPOINT, sizeof(ev.breakpoint), NULL, &ev,
			 guest_executes_int3);
}

static __u64 time_hypercall_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	return time_kind(t, KVMI_VCPU_EVENT_HYPERCALL, 0, NULL, &ev, guest_calls);
}

static __u64 time_cpuid_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	return time_kind(t, KVMI_VCPU_EVENT_CPUID, sizeof(ev.cpuid), NULL, &ev,
			 guest_executes_cpuid);
}

static __u64 time_descriptor_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	return time_kind(t, KVMI_VCPU_EVENT_DESCRIPTOR, sizeof(ev.desc), NULL, &ev,
			 guest_stores_gdtr);
}

static void control_singlestep(struct kvmi_test *t, __u8 enable)
{
	struct kvmi_vcpu_control_singlestep req = { .enable = enable };

	KVMI_ASSERT_OK(kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_CONTROL_SINGLESTEP, &req,
					 sizeof(req), NULL, 0));
}

/* Of a guest that waits in a loop. */
static __u64 time_singlestep_events(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;
	__u64 ticks;

	restart(t, guest_spin);
	/* It waits for the reply to this event until steps are on. */
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	control_singlestep(t, 1);
	kvmi_continue(&t->tool, &ev);
	ticks = time_events(t->tool.fd, KVMI_VCPU_EVENT_SINGLESTEP,
			    sizeof(ev.hdr) + sizeof(ev.ev) + sizeof(ev.singlestep), NULL, &ev);
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_SINGLESTEP, &ev);
	control_singlestep(t, 0);
	kvmi_continue(&t->tool, &ev);
	return ticks;
}

#endif /* SELFTEST_KVMI_BENCH_EVENTS_H */
