// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: /proc/kvmi-mem-<UUID>, the memory of a hooked VM.
 *
 * For client libraries that look there. Who can open it can trace any process.
 */

#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>

#include "kvmi_int.h"

#define KVMI_PROC_NAME	"kvmi-mem-%pUB"

/* Keeps two VMs with the same UUID apart: the first one has the file. */
static DEFINE_MUTEX(kvmi_proc_lock);
static LIST_HEAD(kvmi_proc_list);

static int kvmi_proc_open(struct inode *inode, struct file *file)
{
	struct kvm_introspection *kvmi = pde_data(inode);
	bool writable = file->f_mode & FMODE_WRITE;
	struct kvmi_mem *mem;
	struct file *shown;

	if (!capable(CAP_SYS_PTRACE))
		return -EPERM;
	if (!kvmi_mem_is_allowed(kvmi, writable))
		return -EACCES;

	mem = kvmi_mem_get(kvmi);
	if (IS_ERR(mem))
		return PTR_ERR(mem);
	shown = kvmi_mem_open_file(mem, writable);
	kvmi_mem_put(mem);
	if (IS_ERR(shown))
		return PTR_ERR(shown);

	file->private_data = shown;
	return 0;
}

static int kvmi_proc_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct file *shown = file->private_data;

	/* The mapping may outlive the entry in /proc, and this module its file. */
	vma_set_file(vma, shown);
	return kvmi_mem_mmap(shown->private_data, vma);
}

static int kvmi_proc_release(struct inode *inode, struct file *file)
{
	fput(file->private_data);
	return 0;
}

static const struct proc_ops kvmi_proc_ops = {
	.proc_open = kvmi_proc_open,
	.proc_mmap = kvmi_proc_mmap,
	.proc_release = kvmi_proc_release,
};

static bool kvmi_proc_is_taken(const struct kvm_introspection *kvmi)
{
	struct kvm_introspection *other;

	list_for_each_entry(other, &kvmi_proc_list, proc_node)
		if (uuid_equal(&other->uuid, &kvmi->uuid))
			return true;
	return false;
}

/* The VM is hooked. It can do without the file. */
void kvmi_proc_add(struct kvm_introspection *kvmi)
{
	char name[sizeof("kvmi-mem-") + UUID_STRING_LEN];

	lockdep_assert_held(&kvmi->mutex);

	snprintf(name, sizeof(name), KVMI_PROC_NAME, &kvmi->uuid);

	mutex_lock(&kvmi_proc_lock);
	if (kvmi_proc_is_taken(kvmi))
		kvmi_warn(kvmi, "another VM with this UUID has /proc/%s\n", name);
	else
		kvmi->proc = proc_create_data(name, 0600, NULL, &kvmi_proc_ops, kvmi);
	if (kvmi->proc)
		list_add(&kvmi->proc_node, &kvmi_proc_list);
	mutex_unlock(&kvmi_proc_lock);
}

/* When it returns, nobody opens it or maps what it shows. */
void kvmi_proc_remove(struct kvm_introspection *kvmi)
{
	lockdep_assert_held(&kvmi->mutex);

	if (!kvmi->proc)
		return;

	mutex_lock(&kvmi_proc_lock);
	proc_remove(kvmi->proc);
	kvmi->proc = NULL;
	list_del(&kvmi->proc_node);
	mutex_unlock(&kvmi_proc_lock);
}
