// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping another guest's memory: the device. See linux/kvmmem.h for its interface.
 *
 * A file belongs to the process that opened it, because the addresses mean nothing in
 * another. What is mapped ends with UNMAP, with the last close of the file, or when the
 * process ends or executes another program, although its children may still have the file.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "kvmmem.h"

/**
 * struct kvmmem_file - an open /dev/kvmmem
 * @list: in kvmmem_files; protected by kvmmem_lock
 * @notifier: tells when the address space ends that the file belongs to, and holds its
 *	mm_struct; does not change while the file is open
 * @pages: the pinned &struct page which the host has replaced, at gva >> PAGE_SHIFT;
 *	protected by kvmmem_lock
 */
struct kvmmem_file {
	struct list_head list;
	struct mmu_notifier notifier;
	struct xarray pages;
};

/*
 * Makes a page's state at the host and its place in a file change together. Processes that
 * end and a machine that goes down need it: under it, no memory of a process is touched and
 * no mmap_lock taken.
 */
static DEFINE_MUTEX(kvmmem_lock);
/* All open files; protected by kvmmem_lock. */
static LIST_HEAD(kvmmem_files);
/* The machine goes down, nothing is mapped any more; protected by kvmmem_lock. */
static bool kvmmem_down;

static int kvmmem_map(struct kvmmem_file *file, const struct kvmi_mem_map *map)
{
	unsigned long index = map->gva >> PAGE_SHIFT;
	struct page *page;
	int ret = -EINVAL;

	if (!PAGE_ALIGNED(map->gpa) || !PAGE_ALIGNED(map->gva))
		goto out;
	ret = kvmmem_pin(map->gva, &page);
	if (ret)
		goto out;

	mutex_lock(&kvmmem_lock);
	if (kvmmem_down)
		ret = -ENODEV;
	else
		ret = xa_insert(&file->pages, index, page, GFP_KERNEL_ACCOUNT);
	if (!ret) {
		ret = kvmmem_host_map(&map->token, map->gpa, page);
		if (ret)
			xa_erase(&file->pages, index);
	}
	mutex_unlock(&kvmmem_lock);

	if (ret)
		kvmmem_unpin(current->mm, page);
out:
	return ret;
}

static int kvmmem_unmap(struct kvmmem_file *file, unsigned long gva)
{
	unsigned long index = gva >> PAGE_SHIFT;
	struct page *page;
	int ret = -ENOENT;

	if (!PAGE_ALIGNED(gva))
		goto out;

	mutex_lock(&kvmmem_lock);
	page = xa_load(&file->pages, index);
	if (page) {
		ret = kvmmem_host_unmap(page);
		if (!ret)
			xa_erase(&file->pages, index);
	}
	mutex_unlock(&kvmmem_lock);

	if (!ret)
		kvmmem_unpin(current->mm, page);
out:
	return ret;
}

/*
 * Returns how many pages were unpinned. If the host fails to put one back, it stays pinned
 * for good, rather than that someone else gets it.
 */
static unsigned long kvmmem_unmap_all(struct kvmmem_file *file)
{
	unsigned long index, unpinned = 0;
	struct page *page;
	int ret;

	lockdep_assert_held(&kvmmem_lock);
	xa_for_each(&file->pages, index, page) {
		xa_erase(&file->pages, index);
		ret = kvmmem_host_unmap(page);
		if (ret) {
			pr_warn_ratelimited("the host does not put a page back: error %d\n", ret);
			continue;
		}
		unpin_user_page(page);
		unpinned++;
		cond_resched();
	}
	return unpinned;
}

/* The address space ends, and with it what was accounted to it. */
static void kvmmem_mm_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	mutex_lock(&kvmmem_lock);
	kvmmem_unmap_all(container_of(notifier, struct kvmmem_file, notifier));
	mutex_unlock(&kvmmem_lock);
}

static const struct mmu_notifier_ops kvmmem_mm_ops = {
	.release = kvmmem_mm_release,
};

static int kvmmem_open(struct inode *inode, struct file *filp)
{
	struct kvmmem_file *file;
	int ret = -ENOMEM;

	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		goto out;
	xa_init(&file->pages);
	file->notifier.ops = &kvmmem_mm_ops;
	ret = mmu_notifier_register(&file->notifier, current->mm);
	if (ret)
		goto out_free;

	mutex_lock(&kvmmem_lock);
	list_add(&file->list, &kvmmem_files);
	mutex_unlock(&kvmmem_lock);
	filp->private_data = file;
	goto out;
out_free:
	kfree(file);
out:
	return ret;
}

static int kvmmem_release(struct inode *inode, struct file *filp)
{
	struct kvmmem_file *file = filp->private_data;
	struct mm_struct *mm = file->notifier.mm;
	unsigned long unpinned;

	mutex_lock(&kvmmem_lock);
	list_del(&file->list);
	unpinned = kvmmem_unmap_all(file);
	mutex_unlock(&kvmmem_lock);

	account_locked_vm(mm, unpinned, false);
	mmu_notifier_unregister(&file->notifier, mm);
	kfree(file);
	return 0;
}

static long kvmmem_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct kvmmem_file *file = filp->private_data;
	struct kvmi_mem_map *map;
	long ret = -EPERM;

	if (file->notifier.mm != current->mm)
		goto out;

	switch (cmd) {
	case KVM_INTRO_MEM_MAP:
		map = memdup_user((void __user *)arg, sizeof(*map));
		ret = PTR_ERR_OR_ZERO(map);
		if (ret)
			break;
		ret = kvmmem_map(file, map);
		/* A token that was not used up can still be used. */
		kfree_sensitive(map);
		break;
	case KVM_INTRO_MEM_UNMAP:
		ret = kvmmem_unmap(file, arg);
		break;
	default:
		ret = -ENOTTY;
	}
out:
	return ret;
}

#ifdef CONFIG_COMPAT
static long kvmmem_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	/* Its number tells the size of an address. */
	if (cmd == _IOW('i', 0x02, compat_ulong_t))
		cmd = KVM_INTRO_MEM_UNMAP;
	return kvmmem_ioctl(filp, cmd, (unsigned long)compat_ptr(arg));
}
#else
#define kvmmem_compat_ioctl	NULL
#endif

static const struct file_operations kvmmem_fops = {
	.owner		= THIS_MODULE,
	.open		= kvmmem_open,
	.release	= kvmmem_release,
	.unlocked_ioctl	= kvmmem_ioctl,
	.compat_ioctl	= kvmmem_compat_ioctl,
};

static struct miscdevice kvmmem_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "kvmmem",
	.fops	= &kvmmem_fops,
};

/*
 * The host does not see that this kernel ends: another one, started by kexec, would use
 * frames that are still replaced. The pages stay pinned, since processes still run.
 */
static int kvmmem_reboot(struct notifier_block *nb, unsigned long code, void *unused)
{
	struct kvmmem_file *file;
	unsigned long index;
	struct page *page;

	mutex_lock(&kvmmem_lock);
	kvmmem_down = true;
	list_for_each_entry(file, &kvmmem_files, list) {
		xa_for_each(&file->pages, index, page)
			kvmmem_host_unmap(page);
	}
	mutex_unlock(&kvmmem_lock);
	return NOTIFY_DONE;
}

static struct notifier_block kvmmem_reboot_nb = {
	.notifier_call = kvmmem_reboot,
};

static int __init kvmmem_init(void)
{
	int ret = -ENODEV;

	if (!kvmmem_host_ready())
		goto out;
	ret = register_reboot_notifier(&kvmmem_reboot_nb);
	if (ret)
		goto out;
	ret = misc_register(&kvmmem_device);
	if (ret)
		unregister_reboot_notifier(&kvmmem_reboot_nb);
out:
	return ret;
}

static void __exit kvmmem_exit(void)
{
	misc_deregister(&kvmmem_device);
	unregister_reboot_notifier(&kvmmem_reboot_nb);
}

module_init(kvmmem_init);
module_exit(kvmmem_exit);

MODULE_DESCRIPTION("Mapping of another guest's memory");
MODULE_LICENSE("GPL");
