// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping another guest's memory: the page of one's own that is replaced.
 *
 * The host replaces a frame of this guest for whoever has it mapped, and this kernel does
 * not see that. The frame must be the caller's alone, and must not become free before the
 * host has put it back: what is allocated there would be memory of the other guest.
 *
 * Pinned for long, the page is neither moved, merged, swapped nor copied on write, and
 * fork() gives the child a copy of what it shows. munmap(), mremap() or an exec take it
 * out of the address space, but not out of the driver's hands.
 */

#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "kvmmem.h"

static int kvmmem_check(struct page *page)
{
	struct folio *folio = page_folio(page);

	/*
	 * Everyone who has this file or shared memory mapped, and reads or writes the file,
	 * would get the other guest's memory.
	 */
	if (!folio_test_anon(folio))
		return -EINVAL;
	/*
	 * A pin holds all of a huge page, however little of it is replaced, and only one
	 * page is accounted.
	 */
	if (folio_test_large(folio))
		return -EINVAL;
	/*
	 * Another process has it since fork(), or anyone by KSM. Pinned for writing, the
	 * caller should have a copy, like in the place of the zero page.
	 */
	if (!PageAnonExclusive(page))
		return -EINVAL;
	return 0;
}

/* This may wait for user space, if the page is missing. */
int kvmmem_pin(unsigned long gva, struct page **page)
{
	int ret = -EFAULT;

	if (!access_ok((void __user *)gva, PAGE_SIZE))
		goto out;
	ret = account_locked_vm(current->mm, 1, true);
	if (ret)
		goto out;
	ret = pin_user_pages_fast(gva, 1, FOLL_WRITE | FOLL_LONGTERM, page);
	if (ret != 1) {
		ret = ret < 0 ? ret : -EFAULT;
		goto out_account;
	}
	ret = kvmmem_check(*page);
	if (!ret)
		goto out;
	unpin_user_page(*page);
out_account:
	account_locked_vm(current->mm, 1, false);
out:
	return ret;
}

/* Only when the host has put the page back. */
void kvmmem_unpin(struct mm_struct *mm, struct page *page)
{
	unpin_user_page(page);
	account_locked_vm(mm, 1, false);
}
