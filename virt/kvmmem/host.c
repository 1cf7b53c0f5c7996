// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping another guest's memory: what is asked of the host.
 */

#include <linux/errno.h>
#include <linux/io.h>
#include <linux/kvm_para.h>
#include <linux/mm.h>

#include "kvmmem.h"

static int kvmmem_errno(long ret)
{
	switch (ret) {
	case 0:
		return 0;
	case -KVM_EPERM:
		return -EPERM;
	case -KVM_ENOENT:
		return -ENOENT;
	case -KVM_EAGAIN:
		return -EAGAIN;
	case -KVM_ENOMEM:
		return -ENOMEM;
	case -KVM_EFAULT:
		return -EFAULT;
	case -KVM_EBUSY:
		return -EBUSY;
	case -KVM_EINVAL:
		return -EINVAL;
	case -KVM_EOPNOTSUPP:
	/* This guest has moved to a host that cannot do it. */
	case -KVM_ENOSYS:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

/*
 * The host reads @token by this kernel's page tables, so that any address which is
 * mapped will do, be it of vmalloc().
 */
int kvmmem_host_map(const struct kvmi_map_mem_token *token, u64 gpa, struct page *page)
{
	return kvmmem_errno(kvm_hypercall3(KVM_HC_MEM_MAP, (unsigned long)token, gpa,
					   page_to_phys(page)));
}

int kvmmem_host_unmap(struct page *page)
{
	long ret = kvm_hypercall1(KVM_HC_MEM_UNMAP, page_to_phys(page));

	/* Nothing is in the place of the page: that is all that matters here. */
	if (ret == -KVM_ENOENT || ret == -KVM_ENOSYS)
		ret = 0;
	return kvmmem_errno(ret);
}

/* No page is at this address: a host that knows the hypercall says so. */
bool kvmmem_host_ready(void)
{
	return kvm_para_available() &&
	       kvm_hypercall1(KVM_HC_MEM_UNMAP, ~0UL) == -KVM_EINVAL;
}
