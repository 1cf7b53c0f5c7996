// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: /dev/kvmi-mem, where a process on the host gets a VM's memory for a
 * token.
 */

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "kvmi_int.h"

/* VMs that were ever hooked. */
static unsigned int kvmi_mem_device_users;
static DEFINE_MUTEX(kvmi_mem_device_lock);

static int kvmi_mem_device_open(struct kvmi_mem_open *open)
{
	bool writable, may_write;
	struct kvmi_mem *mem;
	int r;

	if (open->flags & ~KVMI_MEM_WRITABLE || open->padding)
		return -EINVAL;

	mem = kvmi_token_take(&open->token, &may_write);
	if (!mem)
		return -ENOENT;

	writable = open->flags & KVMI_MEM_WRITABLE;
	if (writable && !may_write)
		r = -EACCES;
	else
		r = kvmi_mem_open_fd(mem, writable);
	kvmi_mem_put(mem);
	return r;
}

static long kvmi_mem_device_ioctl(struct file *file, unsigned int ioctl,
				  unsigned long arg)
{
	struct kvmi_mem_open open;

	if (ioctl != KVMI_MEM_OPEN)
		return -ENOTTY;
	if (copy_from_user(&open, (void __user *)arg, sizeof(open)))
		return -EFAULT;
	return kvmi_mem_device_open(&open);
}

static const struct file_operations kvmi_mem_device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = kvmi_mem_device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* The token is what entitles; who may try is up to the administrator. */
static struct miscdevice kvmi_mem_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kvmi-mem",
	.fops = &kvmi_mem_device_fops,
	.mode = 0600,
};

int kvmi_mem_device_get(void)
{
	int r = 0;

	mutex_lock(&kvmi_mem_device_lock);
	if (!kvmi_mem_device_users)
		r = misc_register(&kvmi_mem_device);
	if (!r)
		kvmi_mem_device_users++;
	mutex_unlock(&kvmi_mem_device_lock);
	return r;
}

void kvmi_mem_device_put(void)
{
	mutex_lock(&kvmi_mem_device_lock);
	if (!--kvmi_mem_device_users)
		misc_deregister(&kvmi_mem_device);
	mutex_unlock(&kvmi_mem_device_lock);
}
