// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMM's side of the introspection tests: hooking, guest memory that both sides
 * look at.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kvmi_test_util.h"

#define RFLAGS_IF	BIT(9)

/* In guest memory; the host looks at it through kvmi_test.guest. */
static struct kvmi_guest guest_shared[KVMI_MAX_VCPUS];

void guest_spin(struct kvmi_guest *g)
{
	guest_wait(g, ~0ull);
}

void guest_cr3_steps(struct kvmi_guest *g)
{
	__u64 cr3 = get_cr3();

	for (__u64 n = 1; ; n++) {
		guest_wait(g, n);
		set_cr3(cr3 | (n & 1 ? X86_CR3_PWT : 0));
		g->val[0] = get_cr3();
		guest_done(g, n);
	}
}

void guest_cr3_writes(struct kvmi_guest *g)
{
	__u64 cr3 = get_cr3();

	for (__u64 n = 1; ; n++) {
		WRITE_ONCE(g->count, n);
		set_cr3(cr3 | (n & 1 ? X86_CR3_PWT : 0));
		guest_done(g, n);
		/* An emulator that does little else than flush its TLB stands still. */
		for (int i = 0; i < 1000; i++)
			barrier();
	}
}

bool kvmi_param_on(void)
{
	return get_kvm_param_bool("introspection");
}

void kvmi_require(void)
{
	if (access("/sys/module/kvm/parameters/introspection", R_OK))
		ksft_exit_skip("this kernel has no VM introspection (CONFIG_KVM_INTROSPECTION)\n");
	if (!kvmi_param_on())
		ksft_exit_skip("VM introspection is off: load or boot with kvm.introspection=1\n");
}

static int vm_fd_ioctl(int vm_fd, unsigned long cmd, void *arg)
{
	return ioctl(vm_fd, cmd, arg) ? -errno : 0;
}

int kvmi_hook_fd(int vm_fd, int sock)
{
	struct kvm_introspection_hook hook = {
		.fd = sock,
		.uuid = { 0x6b, 0x76, 0x6d, 0x69 },
	};

	return vm_fd_ioctl(vm_fd, KVM_INTROSPECTION_HOOK, &hook);
}

int kvmi_feature(int vm_fd, unsigned long cmd, __s32 id, __u32 allow)
{
	struct kvm_introspection_feature f = { .allow = allow, .id = id };

	return vm_fd_ioctl(vm_fd, cmd, &f);
}

int kvmi_unhook(int vm_fd)
{
	return vm_fd_ioctl(vm_fd, KVM_INTROSPECTION_UNHOOK, NULL);
}

int kvmi_preunhook(int vm_fd)
{
	return vm_fd_ioctl(vm_fd, KVM_INTROSPECTION_PREUNHOOK, NULL);
}

int kvmi_hook(int vm_fd)
{
	int sv[2], r;

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair() failed");
	r = kvmi_hook_fd(vm_fd, sv[0]);
	TEST_ASSERT(!r, "KVM_INTROSPECTION_HOOK failed: %s", strerror(-r));
	r = kvmi_feature(vm_fd, KVM_INTROSPECTION_COMMAND, -1, 1);
	TEST_ASSERT(!r, "KVM_INTROSPECTION_COMMAND failed: %s", strerror(-r));
	r = kvmi_feature(vm_fd, KVM_INTROSPECTION_EVENT, -1, 1);
	TEST_ASSERT(!r, "KVM_INTROSPECTION_EVENT failed: %s", strerror(-r));
	/* KVM has its own reference; the tool's side must see KVM's close. */
	close(sv[0]);
	return sv[1];
}

void kvmi_test_prepare(struct kvmi_test *t, int nr_vcpus)
{
	struct kvm_sregs sregs;

	t->nr_vcpus = nr_vcpus;
	for (int i = 0; i < nr_vcpus; i++) {
		t->guest_gva[i] = (vm_vaddr_t)&guest_shared[i];
		t->guest[i] = addr_gva2hva(t->vm, t->guest_gva[i]);
		kvmi_set_guest(t, i, guest_spin);
		/* Always set in hardware, which KVM learns with the first exit. */
		vcpu_sregs_get(t->vcpu[i], &sregs);
		sregs.cr0 |= X86_CR0_ET;
		vcpu_sregs_set(t->vcpu[i], &sregs);
	}
}

void kvmi_test_attach(struct kvmi_test *t, int nr_vcpus)
{
	kvmi_test_prepare(t, nr_vcpus);
	kvmi_tool_init(&t->tool, kvmi_hook(t->vm->fd));
}

void kvmi_test_setup(struct kvmi_test *t, int nr_vcpus)
{
	memset(t, 0, sizeof(*t));
	t->vm = vm_create_with_vcpus(nr_vcpus, guest_spin, t->vcpu);
	kvmi_test_attach(t, nr_vcpus);
}

void kvmi_test_rehook(struct kvmi_test *t)
{
	int r = kvmi_unhook(t->vm->fd);

	TEST_ASSERT(!r, "KVM_INTROSPECTION_UNHOOK failed: %s", strerror(-r));
	kvmi_tool_close(&t->tool);
	kvmi_tool_init(&t->tool, kvmi_hook(t->vm->fd));
	KVMI_ASSERT_OK(kvmi_get_version(&t->tool));
}

void kvmi_test_teardown(struct kvmi_test *t)
{
	/* Unhook first: a worker may wait for a reply that nobody will send. */
	if (t->vm)
		kvmi_unhook(t->vm->fd);
	for (int i = 0; i < t->nr_vcpus; i++)
		kvmi_worker_stop(&t->worker[i]);
	kvmi_tool_close(&t->tool);
	if (t->vm)
		kvm_vm_free(t->vm);
	t->vm = NULL;
}

/*
 * Bochs 2.7 unmasks external interrupts for a guest only when it changes RFLAGS.IF: a
 * guest that is entered with IF clear, as KVM's own IF is, and that does not exit by
 * itself is never interrupted, whatever the VM-execution controls say. Nothing sends
 * these guests an interrupt, so that they may have IF set.
 * Only there: QEMU's SVM was seen to lose a CPU of L1 with such a guest.
 */
void kvmi_open_to_interrupts(struct kvm_vcpu *vcpu)
{
	struct kvm_regs regs;

	if (!host_cpu_is_intel)
		return;

	vcpu_regs_get(vcpu, &regs);
	regs.rflags |= RFLAGS_IF;
	vcpu_regs_set(vcpu, &regs);
}

void kvmi_set_guest(struct kvmi_test *t, int i, void *guest_code)
{
	vcpu_arch_set_entry_point(t->vcpu[i], guest_code);
	vcpu_args_set(t->vcpu[i], 1, t->guest_gva[i]);
	kvmi_open_to_interrupts(t->vcpu[i]);
}

void kvmi_run(struct kvmi_test *t, int i)
{
	kvmi_worker_start(&t->worker[i], t->vcpu[i]);
}

void kvmi_run_all(struct kvmi_test *t)
{
	for (int i = 0; i < t->nr_vcpus; i++)
		kvmi_run(t, i);
}

void kvmi_expect_running(struct kvmi_test *t, int i)
{
	__u64 *count = &t->guest[i]->count, before = READ_ONCE(*count);

	KVMI_WAIT(READ_ONCE(*count) != before, "the guest makes no progress");
}

void kvmi_step_begin(struct kvmi_test *t, int i)
{
	/* For guest_wait(). */
	smp_store_release(&t->guest[i]->go, t->guest[i]->go + 1);
}

void kvmi_step_end(struct kvmi_test *t, int i)
{
	/* Pairs with the release in guest_done(). */
	KVMI_WAIT(smp_load_acquire(&t->guest[i]->done) == t->guest[i]->go,
		  "the guest does not finish its step");
}
