// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: the ioctls of a VM.
 */

#include <linux/capability.h>
#include <linux/uaccess.h>

#include "kvmi_int.h"

static bool kvmi_is_ioctl(unsigned int ioctl)
{
	switch (ioctl) {
	case KVM_INTROSPECTION_HOOK:
	case KVM_INTROSPECTION_UNHOOK:
	case KVM_INTROSPECTION_PREUNHOOK:
	case KVM_INTROSPECTION_COMMAND:
	case KVM_INTROSPECTION_EVENT:
	case KVM_INTROSPECTION_MEMORY:
		return true;
	default:
		return false;
	}
}

/*
 * The VM's memory and registers are open to whoever can trace its VMM, and so is
 * the right to hand them to a tool.
 */
bool kvmi_foreign_ioctl(unsigned int ioctl)
{
	return kvmi_is_ioctl(ioctl) && capable(CAP_SYS_PTRACE);
}

static int kvmi_ioctl_hook(struct kvm *kvm, void __user *argp)
{
	struct kvm_introspection_hook hook;

	if (copy_from_user(&hook, argp, sizeof(hook)))
		return -EFAULT;

	return kvmi_hook(kvm, &hook);
}

static int kvmi_ioctl_feature(struct kvm_introspection *kvmi, void __user *argp,
			      int (*policy)(struct kvm_introspection *kvmi,
					    u32 allow, s32 id))
{
	struct kvm_introspection_feature feature;
	int r = -EFAULT;

	if (!kvmi || copy_from_user(&feature, argp, sizeof(feature)))
		return -EFAULT;

	mutex_lock(&kvmi->mutex);
	if (kvmi->hooked)
		r = policy(kvmi, feature.allow, feature.id);
	mutex_unlock(&kvmi->mutex);
	return r;
}

static int kvmi_ioctl_preunhook(struct kvm_introspection *kvmi)
{
	int r = -EFAULT;

	if (!kvmi)
		return -EFAULT;

	mutex_lock(&kvmi->mutex);
	if (kvmi->hooked)
		r = kvmi_vm_event(kvmi, KVMI_VM_EVENT_UNHOOK);
	mutex_unlock(&kvmi->mutex);
	return r;
}

static int kvmi_ioctl_memory(struct kvm_introspection *kvmi, void __user *argp)
{
	struct kvm_introspection_memory memory;
	struct kvmi_mem *mem;
	bool writable;
	int r;

	if (!kvmi || copy_from_user(&memory, argp, sizeof(memory)))
		return -EFAULT;
	if (memory.flags & ~KVMI_MEM_WRITABLE || memory.padding)
		return -EINVAL;

	writable = memory.flags & KVMI_MEM_WRITABLE;
	if (!kvmi_mem_is_allowed(kvmi, writable))
		return -EACCES;

	mem = kvmi_mem_get(kvmi);
	if (IS_ERR(mem))
		return PTR_ERR(mem) == -ENOTCONN ? -EFAULT : PTR_ERR(mem);
	r = kvmi_mem_open_fd(mem, writable);
	kvmi_mem_put(mem);
	return r;
}

long kvmi_vm_ioctl(struct kvm *kvm, unsigned int ioctl, unsigned long arg)
{
	/* Pairs with the release in kvmi_get_or_alloc(). */
	struct kvm_introspection *kvmi = smp_load_acquire(&kvm->introspection);
	void __user *argp = (void __user *)arg;

	if (!kvmi_is_ioctl(ioctl))
		return -ENOTTY;
	if (!kvmi_version())
		return -EPERM;

	switch (ioctl) {
	case KVM_INTROSPECTION_HOOK:
		return kvmi_ioctl_hook(kvm, argp);
	case KVM_INTROSPECTION_PREUNHOOK:
		return kvmi_ioctl_preunhook(kvmi);
	case KVM_INTROSPECTION_COMMAND:
		return kvmi_ioctl_feature(kvmi, argp, kvmi_policy_command);
	case KVM_INTROSPECTION_EVENT:
		return kvmi_ioctl_feature(kvmi, argp, kvmi_policy_event);
	case KVM_INTROSPECTION_MEMORY:
		return kvmi_ioctl_memory(kvmi, argp);
	default:
		kvmi_unhook(kvm);
		return 0;
	}
}
