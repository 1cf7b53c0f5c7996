/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KVMMEM_H
#define _KVMMEM_H

#include <linux/mm_types.h>
#include <linux/kvmmem.h>

/* host.c: the hypercalls; 0 or -errno */
bool kvmmem_host_ready(void);
int kvmmem_host_map(const struct kvmi_map_mem_token *token, u64 gpa, struct page *page);
/* Also 0 if the host has ended the mapping by itself. */
int kvmmem_host_unmap(struct page *page);

/* page.c: the caller's pages */
int kvmmem_pin(unsigned long gva, struct page **page);
void kvmmem_unpin(struct mm_struct *mm, struct page *page);

#endif /* _KVMMEM_H */
