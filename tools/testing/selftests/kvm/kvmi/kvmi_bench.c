// SPDX-License-Identifier: GPL-2.0-only
/*
 * What introspection costs. Prints lines of `name unit value limit`; the limit
 * is - where there is none.
 *
 * Times are in ticks of the TSC. On an emulator that counts instructions a tick
 * is an instruction, and figures repeat exactly; elsewhere they show what the
 * machine shows. Each figure is the median of many short samples, so that timer
 * interrupts fall out. One CPU is enough and gives the steadiest figures.
 *
 * --only-empty: empty_exit alone, for a kernel without introspection.
 */
#include "kvmi_bench_figures.h"
#include "kvmi_bench_mem.h"
#include "kvmi_bench_pages.h"

#define SAMPLES		101
#define EXITS		100		/* in one sample */

/* --- exits ------------------------------------------------------------------------ */

/* val[0] exits that KVM handles by itself, then one to userspace; again and again. */
static void guest_exits(struct kvmi_guest *g)
{
	for (;;) {
		for (__u64 n = READ_ONCE(g->val[0]); n; n--) {
			__u32 eax = 0, ecx = 0;

			asm volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx");
		}
		asm volatile("outb %%al, $0x80" : : "a"(0));
	}
}

static void run_to_userspace(struct kvmi_test *t)
{
	TEST_ASSERT(!__vcpu_run(t->vcpu[0]) && t->vcpu[0]->run->exit_reason == KVM_EXIT_IO,
		    "KVM_RUN: exit reason %u", t->vcpu[0]->run->exit_reason);
}

/* Median ticks of KVM_RUN with @exits handled in the kernel. */
static __u64 time_run(struct kvmi_test *t, __u64 exits)
{
	__u64 v[SAMPLES], start;

	WRITE_ONCE(t->guest[0]->val[0], exits);
	for (int i = -3; i < SAMPLES; i++) {
		start = rdtsc();
		run_to_userspace(t);
		if (i >= 0)
			v[i] = rdtsc() - start;
	}
	return median(v, SAMPLES);
}

static __u64 time_exit(struct kvmi_test *t)
{
	__u64 none = time_run(t, 0);

	return (time_run(t, EXITS) - none) / EXITS;
}

/* --- commands: the vCPU is halted or waits for the tool, so that nothing else runs ---- */

static void get_registers(struct kvmi_test *t)
{
	struct kvmi_vcpu_get_registers_reply r;

	KVMI_ASSERT_OK(kvmi_get_regs(&t->tool, 0, &r));
}

static void read_physical(struct kvmi_test *t)
{
	struct kvmi_vm_read_physical req = { .gpa = 0x1000, .size = 4096 };
	__u8 page[4096];

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_READ_PHYSICAL, &req, sizeof(req), page,
				    sizeof(page)));
}

static void write_physical(struct kvmi_test *t)
{
	struct {
		struct kvmi_vm_write_physical req;
		__u8 page[4096];
	} req = { .req = { .gpa = 0x1000, .size = 4096 } };

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_VM_WRITE_PHYSICAL, &req, sizeof(req), NULL, 0));
}

static void pause_resume(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	kvmi_continue(&t->tool, &ev);
}

static __u64 time_command(struct kvmi_test *t, void (*command)(struct kvmi_test *))
{
	__u64 v[SAMPLES], start;

	for (int i = -10; i < SAMPLES; i++) {
		start = rdtsc();
		command(t);
		if (i >= 0)
			v[i] = rdtsc() - start;
	}
	return median(v, SAMPLES);
}

static void commands(struct kvmi_test *t)
{
	struct kvmi_event_msg ev;

	row("pause_resume", "ticks", time_command(t, pause_resume), 0);
	KVMI_ASSERT_OK(kvmi_pause(&t->tool, 0, 1));
	kvmi_expect_event(&t->tool, 0, KVMI_VCPU_EVENT_PAUSE, &ev);
	row("get_registers", "ticks", time_command(t, get_registers), 0);
	row("read_physical_4k", "ticks", time_command(t, read_physical), 0);
	row("write_physical_4k", "ticks", time_command(t, write_physical), 0);
	kvmi_continue(&t->tool, &ev);
}

/* --- memory --------------------------------------------------------------------------- */

#define VMS	100
#define VCPUS	100

/*
 * The growth when many VMs without vCPUs are hooked, and when one with many
 * vCPUs is: of so many that pages which are not full do not matter. VMs, vCPUs
 * and sockets exist before; they are the VMM's.
 */
static void bench_memory(void)
{
	struct kvm_vm *vm[VMS + 1];
	int sv[VMS + 1][2], vcpu[VCPUS], i;
	struct memory before, between, after;
	long per_vm;

	for (i = 0; i <= VMS; i++) {
		vm[i] = vm_create_barebones();
		TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv[i]), "socketpair() failed");
	}
	for (i = 0; i < VCPUS; i++) {
		vcpu[i] = __vm_ioctl(vm[VMS], KVM_CREATE_VCPU, (void *)(long)i);
		TEST_ASSERT(vcpu[i] >= 0, "KVM_CREATE_VCPU failed");
	}

	before = memory();
	for (i = 0; i < VMS; i++)
		TEST_ASSERT_EQ(kvmi_hook_fd(vm[i]->fd, sv[i][0]), 0);
	between = memory();
	TEST_ASSERT_EQ(kvmi_hook_fd(vm[VMS]->fd, sv[VMS][0]), 0);
	after = memory();

	per_vm = grown(before, between) / VMS;
	row("memory_per_vm", "bytes", per_vm, 64 * 1024);
	row("memory_per_vcpu", "bytes", (grown(between, after) - per_vm) / VCPUS, 16 * 1024);
	/* All of it: a VM that still exists would show in the figures that follow. */
	for (i = 0; i < VCPUS; i++)
		close(vcpu[i]);
	for (i = 0; i <= VMS; i++) {
		kvmi_unhook(vm[i]->fd);
		close(sv[i][0]);
		close(sv[i][1]);
		kvm_vm_free(vm[i]);
	}
}

/* --- events --------------------------------------------------------------------------- */

/* What the other kinds may cost beside a write to CR3. */
static void bench_events(struct kvmi_test *t, __u64 empty)
{
	__u64 socket = time_socket(), cr3, limit;
	struct kvmi_get_version_reply v;

	row("unix_socket_roundtrip", "ticks", socket, 0);
	cr3 = time_cr3_events(t);
	row("cr3_event_roundtrip", "ticks", cr3, (empty + socket) * 3 / 2);
	limit = cr3 * 13 / 10;
	row("msr_event", "ticks", time_msr_events(t), limit);
	row("breakpoint_event", "ticks", time_breakpoint_events(t), limit);
	row("hypercall_event", "ticks", time_hypercall_events(t), limit);
	row("cpuid_event", "ticks", time_cpuid_events(t), limit);

	KVMI_ASSERT_OK(kvmi_command(&t->tool, KVMI_GET_VERSION, NULL, 0, &v, sizeof(v)));
	if (v.features.descriptor)
		row("descriptor_event", "ticks", time_descriptor_events(t), limit);
	else
		printf("# no descriptor_event: this processor cannot report it\n");
	if (v.features.singlestep)
		row("singlestep_event", "ticks", time_singlestep_events(t), limit);
	else
		printf("# no singlestep_event: this processor cannot stop after an instruction\n");
	bench_pages(t, cr3);
}

int main(int argc, char *argv[])
{
	bool only_empty = argc == 2 && !strcmp(argv[1], "--only-empty");
	__u64 empty, hooked;
	struct kvmi_test t = { };

	if (argc > 2 || (argc == 2 && !only_empty)) {
		fprintf(stderr, "usage: %s [--only-empty]\n", argv[0]);
		return 2;
	}
	if (!only_empty) {
		kvmi_require();
		bench_memory();
	}

	t.vm = vm_create_with_vcpus(1, guest_exits, t.vcpu);
	kvmi_test_prepare(&t, 1);
	kvmi_set_guest(&t, 0, guest_exits);
	empty = time_exit(&t);
	row("empty_exit", "ticks", empty, 0);
	if (only_empty)
		return 0;

	row("exit_to_userspace", "ticks", time_run(&t, 0), 0);
	kvmi_tool_init(&t.tool, kvmi_hook(t.vm->fd));
	hooked = time_exit(&t);
	row("exit_hooked", "ticks", hooked > empty ? hooked - empty : 0, 60);

	bench_events(&t, empty);
	restart(&t, guest_halt);
	commands(&t);
	bench_mem(&t);
	kvmi_test_teardown(&t);
	return 0;
}
