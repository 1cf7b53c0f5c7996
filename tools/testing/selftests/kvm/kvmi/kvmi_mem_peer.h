/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_MEM_PEER_H
#define SELFTEST_KVMI_MEM_PEER_H

/*
 * Another VM, whose guest maps memory of the VM under test. It does one thing at a time,
 * what the host asks it to.
 */

#include <linux/kvmmem.h>

#include "kvmi_mem.h"

#define PEER_SLOT	7
#define PEER_GPA	0x80000000ull
#define PEER_PAGES	8

enum peer_op {
	PEER_READ,		/* 8 bytes at a0 */
	PEER_WRITE,		/* a1 to a0 */
	PEER_HYPERCALL,		/* number a0 with a1, a2, a3 */
};

struct peer_order {
	enum peer_op op;
	__u64 a0, a1, a2, a3;
	__u64 result;
};

struct peer {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	struct peer_order *order;
	struct kvmi_map_mem_token *token;
	vm_vaddr_t token_gva;
	__u8 *hva;		/* of the pages that it maps over */
};

static inline void peer_guest(struct peer_order *order)
{
	for (;;) {
		switch (order->op) {
		case PEER_READ:
			order->result = READ_ONCE(*(__u64 *)order->a0);
			break;
		case PEER_WRITE:
			WRITE_ONCE(*(__u64 *)order->a0, order->a1);
			break;
		default:
			order->result = kvm_hypercall(order->a0, order->a1, order->a2,
						      order->a3, 0);
			break;
		}
		GUEST_SYNC(0);
	}
}

static inline void peer_create(struct peer *peer)
{
	vm_vaddr_t page;

	peer->vm = vm_create_with_one_vcpu(&peer->vcpu, peer_guest);
	page = vm_vaddr_alloc_page(peer->vm);
	peer->order = addr_gva2hva(peer->vm, page);
	peer->token = addr_gva2hva(peer->vm, page + 1024);
	peer->token_gva = page + 1024;
	vcpu_args_set(peer->vcpu, 1, page);
	vm_userspace_mem_region_add(peer->vm, VM_MEM_SRC_ANONYMOUS, PEER_GPA, PEER_SLOT,
				    PEER_PAGES, 0);
	virt_map(peer->vm, PEER_GPA, PEER_GPA, PEER_PAGES);
	peer->hva = addr_gpa2hva(peer->vm, PEER_GPA);
}

static inline __u64 peer_do(struct peer *peer, enum peer_op op, __u64 a0, __u64 a1,
			    __u64 a2, __u64 a3)
{
	struct ucall uc;

	*peer->order = (struct peer_order){
		.op = op, .a0 = a0, .a1 = a1, .a2 = a2, .a3 = a3,
	};
	vcpu_run(peer->vcpu);
	TEST_ASSERT(get_ucall(peer->vcpu, &uc) == UCALL_SYNC, "exit reason %d",
		    peer->vcpu->run->exit_reason);
	return peer->order->result;
}

#define peer_read(peer, gpa)		peer_do(peer, PEER_READ, gpa, 0, 0, 0)
#define peer_write(peer, gpa, val)	peer_do(peer, PEER_WRITE, gpa, val, 0, 0)
#define peer_hypercall(peer, nr, a0, a1, a2) \
	((long)peer_do(peer, PEER_HYPERCALL, nr, a0, a1, a2))

/* With the token that is in the peer's memory. */
#define peer_map(peer, mem_gpa, gpa) \
	peer_hypercall(peer, KVM_HC_MEM_MAP, (peer)->token_gva, mem_gpa, gpa)
#define peer_unmap(peer, gpa)	peer_hypercall(peer, KVM_HC_MEM_UNMAP, gpa, 0, 0)

/* With a token of @tool's. */
static inline long peer_map_new(struct peer *peer, struct kvmi_tool *tool, __u64 mem_gpa,
				__u64 gpa)
{
	KVMI_ASSERT_OK(mem_token(tool, peer->token));
	return peer_map(peer, mem_gpa, gpa);
}

#endif /* SELFTEST_KVMI_MEM_PEER_H */
