// SPDX-License-Identifier: GPL-2.0-only
/* VCPU_GET_CPUID: what the VMM configured, and nothing else. */
#include "kvmi_test_harness.h"

KVMI_TEST_SUITE(kvmi_cpuid, 1);

static int get_cpuid(struct kvmi_test *t, __u32 function, __u32 index,
		     struct kvmi_vcpu_get_cpuid_reply *r)
{
	struct kvmi_vcpu_get_cpuid req = { .function = function, .index = index };

	return kvmi_vcpu_command(&t->tool, 0, KVMI_VCPU_GET_CPUID, &req, sizeof(req), r,
				 sizeof(*r));
}

KVMI_TEST(kvmi_cpuid, every_leaf, guest_spin)
{
	struct kvmi_vcpu_get_cpuid_reply *replies;
	struct kvm_cpuid2 *cpuid = t->vcpu[0]->cpuid;
	struct kvm_cpuid_entry2 *e;
	int n = cpuid->nent;

	replies = calloc(n, sizeof(*replies));
	TEST_ASSERT(replies && n > 10, "the vCPU has %d leaves", n);
	kvmi_run(t, 0);
	for (int i = 0; i < n; i++) {
		e = &cpuid->entries[i];
		KVMI_ASSERT_OK(get_cpuid(t, e->function, e->index, &replies[i]));
	}
	/* Some bits follow the control registers: compare with what holds now. */
	kvmi_worker_stop(&t->worker[0]);
	vcpu_ioctl(t->vcpu[0], KVM_GET_CPUID2, cpuid);
	for (int i = 0; i < n; i++) {
		e = &cpuid->entries[i];
		TEST_ASSERT(e->eax == replies[i].eax && e->ebx == replies[i].ebx &&
			    e->ecx == replies[i].ecx && e->edx == replies[i].edx,
			    "leaf %#x.%u differs", e->function, e->index);
	}
	free(replies);
}

KVMI_TEST(kvmi_cpuid, no_such_leaf, guest_spin)
{
	static const __u32 none[] = { 0x12345678, 0x3fffffff, 0x8fffffff, 0xffffffff };
	struct kvmi_vcpu_get_cpuid_reply r;

	kvmi_run(t, 0);
	for (int i = 0; i < ARRAY_SIZE(none); i++)
		KVMI_ASSERT_ERR(get_cpuid(t, none[i], 0, &r), -KVM_ENOENT);
	KVMI_ASSERT_OK(get_cpuid(t, 0, 0, &r));
}

/* A leaf that has no subleaves is the same for every index, others are not. */
KVMI_TEST(kvmi_cpuid, index, guest_spin)
{
	struct kvmi_vcpu_get_cpuid_reply r, other;

	kvmi_run(t, 0);
	KVMI_ASSERT_OK(get_cpuid(t, 0, 0, &r));
	KVMI_ASSERT_OK(get_cpuid(t, 0, 5, &other));
	TEST_ASSERT(!memcmp(&r, &other, sizeof(r)), "leaf 0 depends on the index");
	KVMI_ASSERT_ERR(get_cpuid(t, 7, 0xfffffff0, &other), -KVM_ENOENT);
}

KVMI_TEST(kvmi_cpuid, leaf_taken_away, guest_spin)
{
	struct kvmi_vcpu_get_cpuid_reply r;
	struct kvm_cpuid2 *cpuid = t->vcpu[0]->cpuid;
	__u32 last = cpuid->entries[cpuid->nent - 1].function;

	while (cpuid->nent && cpuid->entries[cpuid->nent - 1].function == last)
		cpuid->nent--;
	for (int i = 0; i < cpuid->nent; i++)
		TEST_ASSERT(cpuid->entries[i].function != last, "leaves are not sorted");
	vcpu_set_cpuid(t->vcpu[0]);
	kvmi_run(t, 0);
	KVMI_ASSERT_ERR(get_cpuid(t, last, 0, &r), -KVM_ENOENT);
}

KVMI_TEST_MAIN()
