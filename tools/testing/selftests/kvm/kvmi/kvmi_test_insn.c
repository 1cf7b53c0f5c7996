// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tests of single instructions share: counting exits, other modes of the
 * processor, the ends that an event can have.
 */
#include "kvmi_test_util.h"

#define USER_CS	0x23
#define USER_DS	0x2b

/* The vCPU's own statistics. */
static int stats_fd = -1;

void kvmi_count_exits(struct kvmi_test *t, int i)
{
	stats_fd = vcpu_get_stats_fd(t->vcpu[i]);
}

static __u64 exits(void)
{
	struct kvm_stats_desc *descs, *desc;
	struct kvm_stats_header header;
	uint64_t val = ~0ull;

	read_stats_header(stats_fd, &header);
	descs = read_stats_descriptors(stats_fd, &header);
	for (int n = 0; n < header.num_desc; n++) {
		desc = get_stats_descriptor(descs, n, &header);
		if (!strcmp(desc->name, "exits"))
			read_stat_data(stats_fd, &header, desc, &val, 1);
	}
	free(descs);
	TEST_ASSERT(val != ~0ull, "KVM does not count a vCPU's exits");
	return val;
}

__u64 kvmi_exits_of_step(struct kvmi_test *t, int i)
{
	__u64 before = exits();

	kvmi_step_begin(t, i);
	kvmi_step_end(t, i);
	return exits() - before;
}

/* Let CPL 3 reach everything below the table at @gpa. */
static void open_page_table(struct kvm_vm *vm, vm_paddr_t gpa, int level)
{
	uint64_t *pte = addr_gpa2hva(vm, gpa);

	for (int i = 0; i < 512; i++) {
		if (!(pte[i] & PTE_PRESENT_MASK))
			continue;
		pte[i] |= PTE_USER_MASK;
		if (level > PG_LEVEL_4K && !(pte[i] & PTE_LARGE_MASK))
			open_page_table(vm, PTE_GET_PA(pte[i]), level - 1);
	}
}

static void user_segment(struct kvmi_test *t, struct kvm_segment *seg, __u16 selector)
{
	uint64_t *gdt = addr_gva2hva(t->vm, t->vm->arch.gdt);
	bool code = selector == USER_CS;

	*seg = (struct kvm_segment) {
		.selector = selector, .limit = 0xffffffff, .type = code ? 11 : 3, .s = 1,
		.present = 1, .dpl = 3, .g = 1, .l = code, .db = !code,
	};
	gdt[selector >> 3] = code ? 0x00affb000000ffff : 0x00cff3000000ffff;
}

void kvmi_user_mode(struct kvmi_test *t, int i)
{
	vm_vaddr_t stack = vm_vaddr_alloc_page(t->vm) + getpagesize();
	struct kvm_sregs sregs;

	vcpu_sregs_get(t->vcpu[i], &sregs);
	user_segment(t, &sregs.cs, USER_CS);
	user_segment(t, &sregs.ss, USER_DS);
	user_segment(t, &sregs.ds, USER_DS);
	user_segment(t, &sregs.es, USER_DS);
	vcpu_sregs_set(t->vcpu[i], &sregs);
	/* RSP0 of the task: where handlers of exceptions have their stack. */
	memcpy(addr_gva2hva(t->vm, t->vm->arch.tss + 4), &stack, sizeof(stack));
	open_page_table(t->vm, t->vm->pgd, PG_LEVEL_512G);
}

void kvmi_32bit_mode(struct kvmi_test *t, int i, const void *code, size_t size)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	memcpy(addr_gpa2hva(t->vm, KVMI_CODE32_GPA), code, size);
	vcpu_sregs_get(t->vcpu[i], &sregs);
	sregs.efer = 0;
	sregs.cr4 = 0;
	sregs.cr0 = X86_CR0_NE | X86_CR0_ET | X86_CR0_PE;
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	vcpu_sregs_set(t->vcpu[i], &sregs);
	vcpu_regs_get(t->vcpu[i], &regs);
	regs.rip = KVMI_CODE32_GPA;
	vcpu_regs_set(t->vcpu[i], &regs);
}

void kvmi_worker_interrupt(struct kvmi_worker *w)
{
	int before = READ_ONCE(w->interrupted);

	kvmi_worker_kick(w);
	KVMI_WAIT(READ_ONCE(w->interrupted) > before, "KVM_RUN does not return on a signal");
}

void kvmi_expect_crash(struct kvmi_test *t, int i, const struct kvmi_event_msg *ev)
{
	__u64 done = READ_ONCE(t->guest[i]->done);
	struct kvm_regs regs;

	kvmi_reply(&t->tool, ev, KVMI_EVENT_ACTION_CRASH, NULL, 0);
	TEST_ASSERT_EQ(kvmi_worker_wait_end(&t->worker[i]), KVM_EXIT_SHUTDOWN);
	TEST_ASSERT_EQ(READ_ONCE(t->guest[i]->done), done);
	vcpu_regs_get(t->vcpu[i], &regs);
	TEST_ASSERT_EQ(regs.rip, ev->ev.arch.regs.rip);
}

void kvmi_expect_no_action(struct kvmi_test *t, const struct kvmi_event_msg *ev, __u8 action)
{
	kvmi_reply(&t->tool, ev, action, NULL, 0);
	kvmi_expect_closed(&t->tool);
	kvmi_step_end(t, ev->ev.vcpu);
}

int kvmi_force_emulation(int value)
{
	static const char path[] = "/sys/module/kvm/parameters/force_emulation_prefix";
	int fd, old = get_kvm_param_integer("force_emulation_prefix");
	char text[8];

	fd = open(path, O_WRONLY);
	TEST_ASSERT(fd >= 0, "open(%s) failed", path);
	snprintf(text, sizeof(text), "%d", value);
	TEST_ASSERT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return old;
}
