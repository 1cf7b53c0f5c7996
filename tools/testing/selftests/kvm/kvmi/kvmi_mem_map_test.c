// SPDX-License-Identifier: GPL-2.0-only
/* A VM that maps pages of another one. */
#include "kvmi_mem_peer.h"

KVMI_TEST_SUITE(kvmi_mem_map, 1);

#define PAGES	4

static __u64 *slot(struct kvmi_test *t)
{
	return (__u64 *)mem_add_slot(t->vm, PAGES, 0);
}

KVMI_TEST(kvmi_mem_map, shows_memory, guest_spin)
{
	__u64 *hva = slot(t), *own;
	struct peer peer;

	peer_create(&peer);
	own = (__u64 *)peer.hva;
	*hva = 0x1234;
	*own = 0x77;
	/* Its own page is in its page tables, and in a large one perhaps. */
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0x77);

	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0x1234);
	*hva = 0x5678;
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0x5678);
	peer_write(&peer, PEER_GPA, 0x9abc);
	TEST_ASSERT_EQ(*hva, 0x9abc);
	TEST_ASSERT_EQ(*own, 0x77);
	peer_write(&peer, PEER_GPA + MEM_PAGE, 1);
	TEST_ASSERT_EQ(hva[MEM_PAGE / 8], 0);

	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0x77);
	peer_write(&peer, PEER_GPA, 0x78);
	TEST_ASSERT_EQ(*hva, 0x9abc);
	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA), -KVM_ENOENT);
	kvm_vm_free(peer.vm);
}

KVMI_TEST(kvmi_mem_map, guest_sees, guest_spin)
{
	vm_paddr_t gpa = addr_gva2gpa(t->vm, t->guest_gva[0]);
	__u64 in_page = gpa % MEM_PAGE + offsetof(struct kvmi_guest, count), count;
	struct peer peer;

	peer_create(&peer);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, gpa & ~(MEM_PAGE - 1), PEER_GPA), 0);
	kvmi_run(t, 0);
	count = peer_read(&peer, PEER_GPA + in_page);
	KVMI_WAIT(peer_read(&peer, PEER_GPA + in_page) != count, "the counter to grow");
	/* It starts from what is written here, unless it was about to write what it had read. */
	KVMI_WAIT(READ_ONCE(t->guest[0]->count) > 1ull << 60 ||
		  (peer_write(&peer, PEER_GPA + in_page, 1ull << 60), false),
		  "the guest to see a write");
	kvm_vm_free(peer.vm);
}

KVMI_TEST(kvmi_mem_map, bad_calls, guest_spin)
{
	struct kvmi_map_mem_token token;
	struct peer peer;

	peer_create(&peer);
	slot(t);
	memset(peer.token, 0x5a, sizeof(*peer.token));
	TEST_ASSERT_EQ(peer_map(&peer, MEM_GPA, PEER_GPA), -KVM_ENOENT);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA + 8, PEER_GPA), -KVM_EINVAL);
	/* It was not looked at. */
	TEST_ASSERT_EQ(peer_map(&peer, MEM_GPA, PEER_GPA + 8), -KVM_EINVAL);
	TEST_ASSERT_EQ(peer_map(&peer, 1ull << 60, PEER_GPA), -KVM_EINVAL);
	TEST_ASSERT_EQ(peer_map(&peer, MEM_GPA, 1ull << 60), -KVM_EINVAL);
	TEST_ASSERT_EQ(peer_hypercall(&peer, KVM_HC_MEM_MAP, 0xdead000000ull, MEM_GPA, PEER_GPA),
		       -KVM_EFAULT);
	/* The page is mapped; the one behind it is not there. */
	TEST_ASSERT_EQ(peer_map(&peer, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_map(&peer, MEM_GPA, PEER_GPA + MEM_PAGE), -KVM_ENOENT);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA + PAGES * MEM_PAGE,
				    PEER_GPA + MEM_PAGE), -KVM_ENOENT);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), -KVM_EBUSY);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA + 0x10000000),
		       -KVM_EINVAL);
	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA + 1), -KVM_EINVAL);
	TEST_ASSERT_EQ(peer_unmap(&peer, ~0ull), -KVM_EINVAL);
	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA + MEM_PAGE), -KVM_ENOENT);

	KVMI_ASSERT_OK(mem_token(&t->tool, &token));
	*peer.token = token;
	peer.token->token[3] ^= 1;
	TEST_ASSERT_EQ(peer_map(&peer, MEM_GPA, PEER_GPA + MEM_PAGE), -KVM_ENOENT);
	kvm_vm_free(peer.vm);
}

/* The VM maps itself, or the other one is gone. */
KVMI_TEST(kvmi_mem_map, bad_source, guest_spin)
{
	struct kvmi_tool tool;
	struct peer peer;

	peer_create(&peer);
	slot(t);
	kvmi_tool_init(&tool, kvmi_hook(peer.vm->fd));
	TEST_ASSERT_EQ(peer_map_new(&peer, &tool, PEER_GPA + MEM_PAGE, PEER_GPA), -KVM_EINVAL);
	KVMI_ASSERT_OK(mem_token(&t->tool, peer.token));
	kvmi_unhook(t->vm->fd);
	TEST_ASSERT_EQ(peer_map(&peer, MEM_GPA, PEER_GPA), -KVM_ENOENT);
	kvmi_tool_close(&tool);
	kvm_vm_free(peer.vm);
}

KVMI_TEST(kvmi_mem_map, read_only, guest_spin)
{
	__u64 *hva = slot(t);
	struct peer peer;

	peer_create(&peer);
	*hva = 5;
	kvmi_feature(t->vm->fd, KVM_INTROSPECTION_COMMAND, KVMI_VM_WRITE_PHYSICAL, 0);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 5);
	peer_write(&peer, PEER_GPA, 6);
	TEST_ASSERT_EQ(*hva, 5);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 5);
	kvm_vm_free(peer.vm);
}

KVMI_TEST(kvmi_mem_map, memory_changes, guest_spin)
{
	__u64 *hva = slot(t), *other;
	struct peer peer;

	peer_create(&peer);
	*(__u64 *)peer.hva = 0x77;
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	peer_write(&peer, PEER_GPA, 1);
	TEST_ASSERT_EQ(*hva, 1);
	TEST_ASSERT(!madvise(hva, MEM_PAGE, MADV_DONTNEED), "madvise: %s", strerror(errno));
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0);
	*hva = 2;
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 2);

	other = mmap(NULL, MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*other = 9;
	TEST_ASSERT(mremap(other, MEM_PAGE, MEM_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hva) == hva,
		    "mremap: %s", strerror(errno));
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 9);
	peer_write(&peer, PEER_GPA, 10);
	TEST_ASSERT_EQ(*hva, 10);

	/* The VM has no such memory any more. */
	vm_mem_region_delete(t->vm, MEM_SLOT);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0x77);
	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA), -KVM_ENOENT);
	kvm_vm_free(peer.vm);
}

KVMI_TEST(kvmi_mem_map, ends_with_session, guest_spin)
{
	__u64 *hva = slot(t);
	struct peer peer;

	peer_create(&peer);
	*hva = 5;
	*(__u64 *)peer.hva = 0x77;
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 5);
	kvmi_unhook(t->vm->fd);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0x77);
	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA), -KVM_ENOENT);

	kvmi_test_rehook(t);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 5);
	kvmi_tool_close(&t->tool);
	KVMI_WAIT(peer_read(&peer, PEER_GPA) == 0x77, "the end of the session");
	kvm_vm_free(peer.vm);
}

/* The VM that maps loses its memory, or ends. */
KVMI_TEST(kvmi_mem_map, peer_changes, guest_spin)
{
	__u64 *hva = slot(t);
	struct peer peer;

	peer_create(&peer);
	*hva = 5;
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA + MEM_PAGE), 0);
	peer_write(&peer, PEER_GPA + MEM_PAGE, 6);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 6);
	/* What it had there is not what it sees. */
	TEST_ASSERT(!madvise(peer.hva, MEM_PAGE, MADV_DONTNEED), "madvise: %s", strerror(errno));
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 6);
	vm_mem_region_move(peer.vm, PEER_SLOT, PEER_GPA + PEER_PAGES * MEM_PAGE);
	vm_mem_region_move(peer.vm, PEER_SLOT, PEER_GPA);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA), -KVM_ENOENT);

	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 6);
	kvm_vm_free(peer.vm);
	*hva = 7;
	TEST_ASSERT_EQ(*hva, 7);
}

/* The VMM resets the VM that maps: its next kernel has all of its pages. */
KVMI_TEST(kvmi_mem_map, peer_reset, guest_spin)
{
	struct kvm_sregs sregs, reset;
	__u64 *hva = slot(t);
	struct peer peer;

	peer_create(&peer);
	*hva = 5;
	*(__u64 *)peer.hva = 0x77;
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA, PEER_GPA), 0);
	vcpu_sregs_get(peer.vcpu, &sregs);
	vcpu_sregs_set(peer.vcpu, &sregs);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 5);
	reset = sregs;
	reset.cr0 &= ~X86_CR0_PG;
	reset.efer &= ~EFER_LMA;
	reset.cs.l = 0;
	vcpu_sregs_set(peer.vcpu, &reset);
	vcpu_sregs_set(peer.vcpu, &sregs);
	TEST_ASSERT_EQ(peer_read(&peer, PEER_GPA), 0x77);
	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA), -KVM_ENOENT);
	kvm_vm_free(peer.vm);
}

KVMI_TEST(kvmi_mem_map, dirty_log, guest_spin)
{
	unsigned long log[1];
	struct peer peer;

	peer_create(&peer);
	mem_add_slot(t->vm, PAGES, KVM_MEM_LOG_DIRTY_PAGES);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA + 2 * MEM_PAGE, PEER_GPA), 0);
	peer_read(&peer, PEER_GPA);
	kvm_vm_get_dirty_log(t->vm, MEM_SLOT, log);
	TEST_ASSERT_EQ(log[0], 0);
	peer_write(&peer, PEER_GPA, 1);
	kvm_vm_get_dirty_log(t->vm, MEM_SLOT, log);
	TEST_ASSERT_EQ(log[0], 4);
	kvm_vm_get_dirty_log(t->vm, MEM_SLOT, log);
	TEST_ASSERT_EQ(log[0], 0);
	peer_write(&peer, PEER_GPA, 2);
	TEST_ASSERT_EQ(peer_unmap(&peer, PEER_GPA), 0);
	kvm_vm_get_dirty_log(t->vm, MEM_SLOT, log);
	TEST_ASSERT_EQ(log[0], 4);
	TEST_ASSERT_EQ(peer_map_new(&peer, &t->tool, MEM_GPA + 3 * MEM_PAGE, PEER_GPA), 0);
	peer_write(&peer, PEER_GPA, 3);
	kvmi_unhook(t->vm->fd);
	kvm_vm_get_dirty_log(t->vm, MEM_SLOT, log);
	TEST_ASSERT_EQ(log[0], 8);
	kvm_vm_free(peer.vm);
}

KVMI_TEST_MAIN()
