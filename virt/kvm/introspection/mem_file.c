// SPDX-License-Identifier: GPL-2.0
/*
 * KVM introspection: a file that shows a VM's memory.
 *
 * mmap() of the file shows guest memory by its physical address. Its pages are mapped when
 * they are touched, without a reference and not as memory of the process that maps them.
 * What takes a page from the VM removes it from all processes first (mem.c).
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "kvmi_int.h"

/* Pages around the one that is read which are mapped with it, if they are there. */
#define KVMI_FAULT_AROUND	16

/**
 * struct kvmi_mem_insert - pages on their way into a process
 * @mem: Whose they are.
 * @vma: Where they go.
 * @pages: The pages.
 * @addr: Where the first one is to be seen.
 * @write: They are to be written.
 * @seq: @mem->seq before they were looked up.
 * @notifier_seq: The same of @mem->notifier.
 */
struct kvmi_mem_insert {
	struct kvmi_mem *mem;
	struct vm_area_struct *vma;
	struct page *pages[KVMI_FAULT_AROUND];
	unsigned long addr;
	bool write;
	int seq;
	unsigned long notifier_seq;
};

static bool kvmi_insert_is_stale(const struct kvmi_mem_insert *insert)
{
	return atomic_read(&insert->mem->seq) != insert->seq ||
	       mmu_interval_read_retry(&insert->mem->notifier, insert->notifier_seq);
}

/* Called with the lock of the page table, which whoever removes the page takes, too. */
static int kvmi_insert_pte(pte_t *ptep, unsigned long addr, void *data)
{
	struct kvmi_mem_insert *insert = data;
	unsigned long i = (addr - insert->addr) >> PAGE_SHIFT;
	unsigned long pfn = page_to_pfn(insert->pages[i]);
	pte_t old = ptep_get(ptep), pte;

	if (kvmi_insert_is_stale(insert))
		return -EAGAIN;

	if (!pte_none(old)) {
		/* Removed already, but for the page table. */
		if (pte_pfn(old) != pfn)
			return -EAGAIN;
		if (pte_write(old) || !insert->write)
			return 0;
	}

	pte = pfn_pte(pfn, insert->vma->vm_page_prot);
	pte = pte_mkyoung(pte_mkspecial(pte_wrprotect(pte)));
	if (insert->write)
		pte = pte_mkwrite_novma(pte_mkdirty(pte));
	/* From read-only to writable at most: who has the old one faults again. */
	set_pte_at(insert->vma->vm_mm, addr, ptep, pte);
	return 0;
}

/* -EAGAIN if they are not the VM's any more. */
static int kvmi_mem_file_insert(struct kvmi_mem_insert *insert, gfn_t gfn,
				unsigned int nr)
{
	int r;

	r = kvmi_mem_announce(insert->mem, gfn, nr, insert->write);
	if (r)
		return r;
	/* Pairs with those in kvmi_mem_invalidate() and kvmi_mem_new_seq(). */
	smp_mb();
	return apply_to_page_range(insert->vma->vm_mm, insert->addr, nr * PAGE_SIZE,
				   kvmi_insert_pte, insert);
}

/*
 * The page has to be waited for, which must not be done with the lock of the address
 * space: another process may want to map memory of this one. Returns what the fault
 * handler is to return.
 */
static vm_fault_t kvmi_mem_fault_wait(struct vm_fault *vmf, bool write)
{
	struct kvmi_mem *mem = vmf->vma->vm_private_data;
	unsigned int flags = FOLL_INTERRUPTIBLE | (write ? FOLL_WRITE : 0);
	gfn_t gfn = vmf->pgoff;
	struct page *page;
	long r;

	/* The lock must be kept: take what can be read away, and fault for that. */
	if (vmf->flags & FAULT_FLAG_MKWRITE) {
		kvmi_mem_zap(mem, gfn, 1);
		return VM_FAULT_NOPAGE;
	}

	/* The last time it was waited for in vain. */
	if (vmf->flags & FAULT_FLAG_TRIED) {
		r = kvmi_mem_tell(mem, gfn, 0, KVMI_MAPPED_NOT);
		if (r >= 0 && r & KVMI_MAPPED_NOT)
			return VM_FAULT_SIGBUS;
	}
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;

	refcount_inc(&mem->refs);
	mmap_read_unlock(vmf->vma->vm_mm);

	r = kvmi_mem_get_pages(mem, gfn, 1, flags, &page);
	if (r == 1)
		put_page(page);
	else if (r != -EINTR)
		kvmi_mem_tell(mem, gfn, KVMI_MAPPED_NOT, 0);
	kvmi_mem_put(mem);
	return VM_FAULT_RETRY;
}

/* Where to begin and how many pages to map for a fault. */
static unsigned int kvmi_fault_around(struct vm_fault *vmf, bool write,
				      unsigned long *addr)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start, end;

	*addr = vmf->address & PAGE_MASK;
	if (write)
		return 1;

	start = max(ALIGN_DOWN(*addr, KVMI_FAULT_AROUND * PAGE_SIZE), vma->vm_start);
	end = min(start + KVMI_FAULT_AROUND * PAGE_SIZE, vma->vm_end);
	*addr = start;
	return (end - start) >> PAGE_SHIFT;
}

/* The pages from @insert->addr on that are there without waiting; their number. */
static long kvmi_fault_pages(struct vm_fault *vmf, struct kvmi_mem_insert *insert,
			     unsigned int nr)
{
	unsigned int flags = FOLL_NOFAULT | (insert->write ? FOLL_WRITE : 0);
	unsigned long here = vmf->address & PAGE_MASK;
	gfn_t gfn = linear_page_index(vmf->vma, insert->addr);
	long r;

	r = kvmi_mem_get_pages(insert->mem, gfn, nr, flags, insert->pages);
	if (insert->addr + (r > 0 ? r << PAGE_SHIFT : 0) > here || insert->addr == here)
		return r;

	/* The page itself is not among them. */
	while (r > 0)
		put_page(insert->pages[--r]);
	insert->addr = here;
	return kvmi_mem_get_pages(insert->mem, vmf->pgoff, 1, flags, insert->pages);
}

static vm_fault_t kvmi_mem_fault_page(struct vm_fault *vmf, bool write)
{
	struct kvmi_mem *mem = vmf->vma->vm_private_data;
	struct kvmi_mem_insert insert = {
		.mem = mem,
		.vma = vmf->vma,
		.write = write,
	};
	gfn_t gfn;
	long nr, i;
	int r;

	do {
		/* The kernel, where it copies, would fault again and again. */
		if (fatal_signal_pending(current))
			return VM_FAULT_SIGBUS;

		insert.seq = atomic_read(&mem->seq);
		insert.notifier_seq = mmu_interval_read_begin(&mem->notifier);
		nr = kvmi_fault_around(vmf, write, &insert.addr);
		nr = kvmi_fault_pages(vmf, &insert, nr);
		if (nr == -EAGAIN)
			return kvmi_mem_fault_wait(vmf, write);
		if (nr < 0)
			return VM_FAULT_SIGBUS;

		gfn = linear_page_index(vmf->vma, insert.addr);
		r = kvmi_mem_file_insert(&insert, gfn, nr);
		for (i = 0; i < nr; i++)
			put_page(insert.pages[i]);
		cond_resched();
	} while (r == -EAGAIN);

	return r ? VM_FAULT_OOM : VM_FAULT_NOPAGE;
}

static vm_fault_t kvmi_mem_fault(struct vm_fault *vmf)
{
	return kvmi_mem_fault_page(vmf, vmf->flags & FAULT_FLAG_WRITE);
}

/* A page that was mapped to be read is written. */
static vm_fault_t kvmi_mem_pfn_mkwrite(struct vm_fault *vmf)
{
	return kvmi_mem_fault_page(vmf, true);
}

static const struct vm_operations_struct kvmi_mem_vm_ops = {
	.fault = kvmi_mem_fault,
	.pfn_mkwrite = kvmi_mem_pfn_mkwrite,
};

/* The mapping keeps the file, and so @mem. */
int kvmi_mem_mmap(struct kvmi_mem *mem, struct vm_area_struct *vma)
{
	unsigned long end;

	if (!(vma->vm_flags & VM_MAYSHARE) ||
	    check_add_overflow(vma->vm_pgoff, vma_pages(vma), &end) ||
	    end > BIT_ULL(KVMI_GFN_BITS))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;

	/* Not a child's, not in a core dump, and no memory to be referenced or moved. */
	vm_flags_mod(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY,
		     VM_MAYEXEC);
	vma->vm_private_data = mem;
	vma->vm_ops = &kvmi_mem_vm_ops;
	return 0;
}

static int kvmi_mem_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	return kvmi_mem_mmap(file->private_data, vma);
}

static int kvmi_mem_file_release(struct inode *inode, struct file *file)
{
	if (file->private_data)
		kvmi_mem_put(file->private_data);
	return 0;
}

static const struct file_operations kvmi_mem_fops = {
	.owner = THIS_MODULE,
	.mmap = kvmi_mem_file_mmap,
	.release = kvmi_mem_file_release,
};

/* A file for @mem. What is mapped of all its files is in one address space. */
struct file *kvmi_mem_open_file(struct kvmi_mem *mem, bool writable)
{
	struct file *file;

	if (writable && kvmi_mem_has_dirty_ring(mem))
		return ERR_PTR(-EOPNOTSUPP);

	file = anon_inode_getfile("[kvmi-mem]", &kvmi_mem_fops, mem,
				  writable ? O_RDWR : O_RDONLY);
	if (IS_ERR(file))
		return file;

	refcount_inc(&mem->refs);
	file->f_mapping = mem->inode->i_mapping;
	return file;
}

int kvmi_mem_open_fd(struct kvmi_mem *mem, bool writable)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	file = kvmi_mem_open_file(mem, writable);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

/* For its address space. */
struct inode *kvmi_mem_alloc_inode(void)
{
	struct inode *inode;
	struct file *file;

	file = anon_inode_create_getfile("[kvmi-mem]", &kvmi_mem_fops, NULL, O_RDWR,
					 NULL);
	if (IS_ERR(file))
		return ERR_CAST(file);

	inode = igrab(file_inode(file));
	fput(file);
	return inode;
}
