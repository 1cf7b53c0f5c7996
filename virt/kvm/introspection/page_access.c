// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: what the guest may do with its pages.
 *
 * A range map holds the guest frames that are restricted. The architecture looks there
 * whenever it makes a translation, so that a restriction outlives the translation, the
 * page and the memory slot. To change one, first change the map and then take away the
 * translations made before; those made afterwards follow the map.
 */

#include <linux/overflow.h>
#include <linux/xarray.h>

#include "kvmi_int.h"

/* A tool's message as a list of these, in its order. */
struct kvmi_access_change {
	gfn_t first;
	gfn_t last;
	u8 access;
};

/* Returns 0 or the error to be replied. */
typedef int (*kvmi_get_change)(const void *list, unsigned int i,
			       struct kvmi_access_change *change);

void kvmi_page_access_init(struct kvm_introspection *kvmi)
{
	/*
	 * Without gaps, freeing a large part under RCU takes the metadata in the last
	 * slot of a node for a child.
	 */
	mt_init_flags(&kvmi->page_access, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU);
}

void kvmi_page_access_destroy(struct kvm_introspection *kvmi)
{
	mtree_destroy(&kvmi->page_access);
}

/* What the guest may do with @gfn. At any time. */
u8 kvmi_page_access(struct kvm *kvm, gfn_t gfn)
{
	void *entry = mtree_load(&kvm->introspection->page_access, gfn);

	return entry ? xa_to_value(entry) : KVMI_PAGE_ACCESS_RWX;
}

bool kvmi_has_restrictions(struct kvm *kvm)
{
	return !mtree_empty(&kvm->introspection->page_access);
}

/* Whether one of the frames is restricted. At any time. */
bool kvmi_is_restricted(struct kvm *kvm, gfn_t first, gfn_t last)
{
	MA_STATE(mas, &kvm->introspection->page_access, first, first);
	bool found;

	/*
	 * Each range is looked up from the root. Where iterators of a maple tree go on,
	 * they do not expect that the tree has become empty meanwhile.
	 */
	rcu_read_lock();
	for (;;) {
		found = mas_walk(&mas);
		if (found || mas.last >= last)
			break;
		mas_set(&mas, mas.last + 1);
	}
	rcu_read_unlock();
	return found;
}

static int kvmi_check_page_access(u8 access)
{
	if (access & ~KVMI_PAGE_ACCESS_RWX)
		return -KVM_EINVAL;
	if (access & KVMI_PAGE_ACCESS_W && !(access & KVMI_PAGE_ACCESS_R))
		return -KVM_EINVAL;
	if (!kvmi_arch_can_restrict(access))
		return -KVM_EOPNOTSUPP;
	return 0;
}

static bool kvmi_gfn_is_possible(gfn_t gfn)
{
	return gfn < BIT_ULL(KVMI_GFN_BITS);
}

static int kvmi_get_entry(const void *list, unsigned int i,
			  struct kvmi_access_change *change)
{
	const struct kvmi_page_access_entry *entry = list;

	entry += i;
	if (entry->padding1 || entry->padding2 || entry->padding3 ||
	    !kvmi_gfn_is_possible(gpa_to_gfn(entry->gpa)))
		return -KVM_EINVAL;

	change->first = gpa_to_gfn(entry->gpa);
	change->last = change->first;
	change->access = entry->access;
	return kvmi_check_page_access(entry->access);
}

static int kvmi_get_range(const void *list, unsigned int i,
			  struct kvmi_access_change *change)
{
	const struct kvmi_page_access_range *range = list;

	range += i;
	if (range->padding1 || range->padding2 || range->padding3 ||
	    !range->nr_pages ||
	    check_add_overflow(range->gfn, range->nr_pages - 1, &change->last) ||
	    !kvmi_gfn_is_possible(change->last))
		return -KVM_EINVAL;

	change->first = range->gfn;
	change->access = range->access;
	return kvmi_check_page_access(range->access);
}

/*
 * Gets the next change that is sound, from element @i on, with those after it that go
 * on where it ends. The error of the first that is not goes to @err, if that is 0.
 * Returns the element to go on with, or 0 if there was no change.
 */
static unsigned int kvmi_next_change(kvmi_get_change get, const void *list,
				     unsigned int i, unsigned int count,
				     struct kvmi_access_change *change, int *err)
{
	struct kvmi_access_change next;
	bool found = false;
	int r;

	for (; i < count; i++) {
		r = get(list, i, &next);
		if (r) {
			*err = *err ?: r;
			continue;
		}
		if (!found)
			*change = next;
		else if (next.first == change->last + 1 &&
			 next.access == change->access)
			change->last = next.last;
		else
			break;
		found = true;
	}
	return found ? i : 0;
}

static int kvmi_store_change(struct kvm_introspection *kvmi,
			     const struct kvmi_access_change *change)
{
	void *entry = NULL;

	if (change->access != KVMI_PAGE_ACCESS_RWX)
		entry = xa_mk_value(change->access);
	return mtree_store_range(&kvmi->page_access, change->first, change->last,
				 entry, GFP_KERNEL_ACCOUNT) ? -KVM_ENOMEM : 0;
}

/* Returns the first error; what is sound is done. */
static int kvmi_change_access(struct kvm *kvm, kvmi_get_change get,
			      const void *list, unsigned int count)
{
	struct kvmi_zap zap = { .kvm = kvm };
	struct kvmi_access_change change;
	int err = 0, known = 0, r;
	bool changed = false;
	unsigned int i;

	for (i = 0; (i = kvmi_next_change(get, list, i, count, &change, &err)); ) {
		r = kvmi_store_change(kvm->introspection, &change);
		err = err ?: r;
		changed = true;
	}
	if (!changed)
		return err;

	kvmi_arch_zap_begin(&zap);
	for (i = 0; (i = kvmi_next_change(get, list, i, count, &change, &known)); )
		kvmi_arch_zap(&zap, change.first, change.last);
	kvmi_arch_zap_end(&zap);
	return err;
}

/* What is common to the three commands: a head and @count elements of @size. */
static int kvmi_check_list(struct kvmi_call *call, u16 view, size_t head,
			   u16 count, size_t size)
{
	if (count && call->req_size < head + count * size)
		return -KVM_EINVAL;
	if (view || !kvmi_arch_can_restrict(KVMI_PAGE_ACCESS_RWX))
		return -KVM_EOPNOTSUPP;
	return 0;
}

int kvmi_cmd_vm_set_page_access(struct kvmi_call *call)
{
	const struct kvmi_vm_set_page_access *req = call->req;
	int r;

	r = kvmi_check_list(call, req->view, sizeof(*req), req->count,
			    sizeof(*req->entries));
	return r ?: kvmi_change_access(call->kvm, kvmi_get_entry, req->entries,
				       req->count);
}

int kvmi_cmd_vm_set_page_access_ranges(struct kvmi_call *call)
{
	const struct kvmi_vm_set_page_access_ranges *req = call->req;
	int r;

	r = kvmi_check_list(call, req->view, sizeof(*req), req->count,
			    sizeof(*req->ranges));
	return r ?: kvmi_change_access(call->kvm, kvmi_get_range, req->ranges,
				       req->count);
}

int kvmi_cmd_vm_get_page_access(struct kvmi_call *call)
{
	const struct kvmi_vm_get_page_access *req = call->req;
	u8 *access = call->rpl;
	unsigned int i;
	int r;

	r = kvmi_check_list(call, req->view, sizeof(*req), req->count,
			    sizeof(*req->gpa));
	if (r)
		return r;

	for (i = 0; i < req->count; i++) {
		if (!kvmi_gfn_is_possible(gpa_to_gfn(req->gpa[i])))
			return -KVM_EINVAL;
		access[i] = kvmi_page_access(call->kvm, gpa_to_gfn(req->gpa[i]));
	}
	call->rpl_size = req->count;
	return 0;
}

/* The session is over. On the receiver, or when it will not run any more. */
void kvmi_page_access_reset(struct kvm_introspection *kvmi)
{
	MA_STATE(first, &kvmi->page_access, 0, 0);
	MA_STATE(last, &kvmi->page_access, ULONG_MAX, ULONG_MAX);
	struct kvmi_zap zap = { .kvm = kvmi->kvm };

	if (mtree_empty(&kvmi->page_access))
		return;

	rcu_read_lock();
	mas_find(&first, ULONG_MAX);
	mas_find_rev(&last, 0);
	rcu_read_unlock();

	mtree_destroy(&kvmi->page_access);

	kvmi_arch_zap_begin(&zap);
	kvmi_arch_zap(&zap, first.index, last.last);
	kvmi_arch_zap_end(&zap);
}
