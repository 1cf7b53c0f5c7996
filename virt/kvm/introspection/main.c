// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: hooking and unhooking a VM, lifetime of its state.
 */

#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/rcuwait.h>
#include <linux/slab.h>

#include "kvmi_int.h"

#define CREATE_TRACE_POINTS
#include <trace/events/kvmi.h>

static bool introspection;
module_param(introspection, bool, 0444);
MODULE_PARM_DESC(introspection, "Allow VMs to be introspected (default: N)");

/*
 * A VM counts until it is destroyed, not until it is unhooked: the hooks behind
 * the key still have to take back the intercepts of vCPUs that do not run now.
 */
DEFINE_STATIC_KEY_FALSE(kvmi_key);
EXPORT_SYMBOL_GPL(kvmi_key);

int kvmi_version(void)
{
	return introspection ? KVMI_VERSION : 0;
}

bool kvmi_vm_supported(struct kvm *kvm)
{
	return !kvm_arch_has_private_mem(kvm) && kvmi_arch_vm_supported(kvm);
}

static void kvmi_free(struct kvm_introspection *kvmi)
{
	if (!kvmi)
		return;

	xa_destroy(&kvmi->guest_maps);
	kvmi_page_access_destroy(kvmi);
	mutex_destroy(&kvmi->mem_lock);
	mutex_destroy(&kvmi->rx_mutex);
	mutex_destroy(&kvmi->send_mutex);
	mutex_destroy(&kvmi->mutex);
	kfree(kvmi->tx);
	kfree(kvmi->req);
	kfree(kvmi->rx);
	kfree(kvmi);
}

static struct kvm_introspection *kvmi_alloc(struct kvm *kvm)
{
	struct kvm_introspection *kvmi;

	kvmi = kzalloc(sizeof(*kvmi), GFP_KERNEL_ACCOUNT);
	if (!kvmi)
		return NULL;

	kvmi->kvm = kvm;
	mutex_init(&kvmi->mutex);
	mutex_init(&kvmi->send_mutex);
	mutex_init(&kvmi->rx_mutex);
	rcuwait_init(&kvmi->rx_wait);
	spin_lock_init(&kvmi->sock_lock);
	kvmi_page_access_init(kvmi);
	xa_init(&kvmi->guest_maps);
	mutex_init(&kvmi->mem_lock);
	kvmi->rx = kmalloc(KVMI_MAX_MSG, GFP_KERNEL_ACCOUNT);
	kvmi->req = kmalloc(KVMI_MAX_REQ, GFP_KERNEL_ACCOUNT);
	kvmi->tx = kmalloc(KVMI_MAX_MSG, GFP_KERNEL_ACCOUNT);
	if (!kvmi->rx || !kvmi->req || !kvmi->tx) {
		kvmi_free(kvmi);
		return NULL;
	}
	return kvmi;
}

/*
 * Return the VM's introspection state, made if need be, or NULL. Without a lock, for vCPUs
 * come here that map memory of another VM.
 */
struct kvm_introspection *kvmi_get_or_alloc(struct kvm *kvm)
{
	struct kvm_introspection *kvmi, *new;

	/* Pairs with the release below. */
	kvmi = smp_load_acquire(&kvm->introspection);
	if (kvmi)
		return kvmi;

	new = kvmi_alloc(kvm);
	if (!new)
		return NULL;

	/* Pairs with the acquire above, in kvmi_vm_ioctl() and kvmi_mem_find(). */
	kvmi = cmpxchg_release(&kvm->introspection, NULL, new);
	if (!kvmi)
		return new;

	kvmi_free(new);
	return kvmi;
}

static int kvmi_alloc_vcpus(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int r = 0;

	/*
	 * A vCPU is made under kvm->lock: it sees kvm->introspection, and
	 * kvmi_vcpu_create() takes care of it, or is seen here.
	 */
	mutex_lock(&kvm->lock);
	kvm_for_each_vcpu(i, vcpu, kvm) {
		r = kvmi_vcpu_alloc(vcpu);
		if (r)
			break;
	}
	mutex_unlock(&kvm->lock);
	return r;
}

static int kvmi_begin_session(struct kvm_introspection *kvmi,
			      struct socket *sock)
{
	struct task_struct *receiver;

	lockdep_assert_held(&kvmi->mutex);

	receiver = kthread_create(kvmi_receiver, kvmi, "kvmi-%d",
				  kvmi->kvm->userspace_pid);
	if (IS_ERR(receiver))
		return PTR_ERR(receiver);

	/* Nothing can fail any more. */
	kvmi_policy_reset(kvmi);
	bitmap_zero(kvmi->vm_events, KVMI_NUM_EVENTS);
	WRITE_ONCE(kvmi->reader, NULL);
	mutex_lock(&kvmi->rx_mutex);
	kvmi->answer = KVMI_ANSWER_REPLY;
	kvmi->rx_pos = 0;
	kvmi->rx_end = 0;
	kvmi->rx_seen = 0;
	mutex_unlock(&kvmi->rx_mutex);
	kvmi_socket_attach(kvmi, sock);
	kvmi->receiver = receiver;
	kvmi->hooked = true;

	/* A vCPU of the last session may still be trying to send. */
	mutex_lock(&kvmi->send_mutex);
	kvmi->event_seq = 0;
	spin_lock(&kvmi->sock_lock);
	if (!++kvmi->epoch)
		kvmi->epoch = 1;
	/* Pairs with the acquire in kvmi_vcpu_in_session(). */
	smp_store_release(&kvmi->sock, sock);
	spin_unlock(&kvmi->sock_lock);
	mutex_unlock(&kvmi->send_mutex);

	kvmi_proc_add(kvmi);
	wake_up_process(receiver);
	return 0;
}

/* The VM is hooked for the first time. */
static int kvmi_count(struct kvm_introspection *kvmi)
{
	int r;

	lockdep_assert_held(&kvmi->mutex);

	if (kvmi->counted)
		return 0;

	r = kvmi_mem_device_get();
	if (r)
		return r;
	static_branch_inc(&kvmi_key);
	kvmi->counted = true;
	return 0;
}

int kvmi_hook(struct kvm *kvm, const struct kvm_introspection_hook *hook)
{
	struct kvm_introspection *kvmi;
	struct socket *sock;
	int r;

	if (hook->padding)
		return -EINVAL;
	if (WARN_ON_ONCE(!kvmi_tables_are_sound()))
		return -EINVAL;
	if (!kvmi_vm_supported(kvm))
		return -EOPNOTSUPP;

	sock = kvmi_socket_get(hook->fd);
	if (IS_ERR(sock))
		return PTR_ERR(sock);

	r = -ENOMEM;
	kvmi = kvmi_get_or_alloc(kvm);
	if (!kvmi)
		goto out_put_socket;

	mutex_lock(&kvmi->mutex);
	r = -EEXIST;
	if (kvmi->hooked)
		goto out_unlock;

	r = kvmi_alloc_vcpus(kvm);
	if (r)
		goto out_unlock;
	r = kvmi_count(kvmi);
	if (r)
		goto out_unlock;

	import_uuid(&kvmi->uuid, hook->uuid);
	r = kvmi_begin_session(kvmi, sock);
out_unlock:
	mutex_unlock(&kvmi->mutex);
out_put_socket:
	if (r)
		sockfd_put(sock);
	return r;
}

static void kvmi_end_session(struct kvm_introspection *kvmi)
{
	lockdep_assert_held(&kvmi->mutex);

	if (!kvmi->hooked)
		return;

	/*
	 * 1. End the connection: the receiver and every sender return.
	 * 2. Wait for the receiver, which has then released all vCPUs.
	 * vCPUs take back their intercepts by themselves, before they enter the
	 * guest again.
	 */
	kvmi_proc_remove(kvmi);
	kvmi_socket_shutdown(kvmi, kvmi->epoch);
	kthread_stop(kvmi->receiver);
	/* A thread that is stopped before it ran does not run at all. */
	kvmi_release(kvmi);
	kvmi->receiver = NULL;
	kvmi->hooked = false;
}

void kvmi_unhook(struct kvm *kvm)
{
	struct kvm_introspection *kvmi;

	/* Pairs with the release in kvmi_get_or_alloc(). */
	kvmi = smp_load_acquire(&kvm->introspection);
	if (!kvmi)
		return;

	mutex_lock(&kvmi->mutex);
	kvmi_end_session(kvmi);
	mutex_unlock(&kvmi->mutex);
}

void kvmi_vm_destroy(struct kvm *kvm)
{
	struct kvm_introspection *kvmi = kvm->introspection;

	if (!kvmi)
		return;

	kvmi_unhook(kvm);
	kvmi_guest_maps_remove(kvm, 0, ULONG_MAX);
	/* The VM whose pages they show may have begun to take them away first. */
	synchronize_srcu(&kvm->srcu);
	if (kvmi->counted) {
		static_branch_dec(&kvmi_key);
		kvmi_mem_device_put();
	}
	kvm->introspection = NULL;
	kvmi_free(kvmi);
}
