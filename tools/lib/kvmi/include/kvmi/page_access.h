/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_PAGE_ACCESS_H
#define KVMI_PAGE_ACCESS_H

#include <linux/kvmi.h>
#include <kvmi/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: restricting pages
 *
 * What the guest may do with a page is a set of &enum kvmi_page_access. It holds for
 * all vCPUs, for whatever memory the VMM puts at the address, until it is changed or
 * the connection ends. An access that is left out brings a KVMI_VCPU_EVENT_PF if
 * kvmintro_control_event() has switched that on for the vCPU, else it takes place.
 *
 * All of these functions check their input before they send anything: an access that
 * has W without R, or unknown bits, an address at or above KVMINTRO_PHYSICAL_END and
 * an empty range are -EINVAL. Of what they send, the kernel applies each part that it
 * can. When a call that sets has returned 0 outside a batch, no vCPU has older rights.
 */

/** KVMINTRO_PAGE_ACCESS_ALL - what a page has that nobody restricted */
#define KVMINTRO_PAGE_ACCESS_ALL \
	(KVMI_PAGE_ACCESS_R | KVMI_PAGE_ACCESS_W | KVMI_PAGE_ACCESS_X)

/** KVMINTRO_PHYSICAL_END - the address behind the last possible byte of a guest */
#define KVMINTRO_PHYSICAL_END 0x10000000000000ULL

/** struct kvmintro_range - the access to a range of guest memory */
struct kvmintro_range {
	/** @gpa: guest physical address of its first byte */
	uint64_t gpa;
	/** @size: its size in bytes, at least 1; each page that it touches counts */
	uint64_t size;
	/** @access: what remains, of &enum kvmi_page_access */
	uint8_t access;
};

/**
 * kvmintro_restrict - say what the guest may do with ranges of memory
 * @ranges: where they overlap, the last one counts
 * @count: any number; the library makes one command per KVMI_MAX_PAGE_ACCESS_RANGES
 *
 * Has the effect of KVMI_VM_SET_PAGE_ACCESS_RANGES for every page of which a range
 * has a byte. KVMINTRO_PAGE_ACCESS_ALL takes a restriction back. It can be part of a
 * batch.
 *
 * Return: 0; -EINVAL as above, with nothing sent; -EOPNOTSUPP if the host's processor
 * cannot leave pages with just this access (kvmintro_page_access_possible() tells) or
 * KVM shadows the guest's page tables. Commands behind the one that failed are not
 * sent.
 */
int kvmintro_restrict(struct kvmintro *k, const struct kvmintro_range *ranges,
		      size_t count);

/**
 * kvmintro_set_page_access_ranges - the same in frames, as the kernel takes it
 * @ranges: the wire structure; its padding must be 0
 *
 * Return: as kvmintro_restrict(), and -EINVAL for padding.
 */
int kvmintro_set_page_access_ranges(struct kvmintro *k,
				    const struct kvmi_page_access_range *ranges,
				    size_t count);

/**
 * kvmintro_set_page_access - say what the guest may do with single pages
 * @entries: the wire structure; its padding must be 0
 * @count: any number; the library makes one command per KVMI_MAX_PAGE_ACCESS_ENTRIES
 *
 * KVMI_VM_SET_PAGE_ACCESS. It can be part of a batch.
 *
 * Return: as kvmintro_set_page_access_ranges().
 */
int kvmintro_set_page_access(struct kvmintro *k,
			     const struct kvmi_page_access_entry *entries,
			     size_t count);

/**
 * kvmintro_get_page_access - what the guest may do with pages
 * @gpa: a guest physical address in each page
 * @access: receives one set of &enum kvmi_page_access for each
 * @count: any number; the library makes one command per
 *	   KVMI_MAX_PAGE_ACCESS_ADDRESSES
 *
 * KVMI_VM_GET_PAGE_ACCESS.
 *
 * Return: 0; -EINVAL for an address that cannot be; -EOPNOTSUPP if KVM shadows the
 * guest's page tables. On failure, @access holds what came before.
 */
int kvmintro_get_page_access(struct kvmintro *k, const uint64_t *gpa,
			     uint8_t *access, size_t count);

/**
 * kvmintro_page_access_possible - can pages be left with just this access
 * @features: of kvmintro_get_version(); its page_access is a set of
 *	      &enum kvmi_page_access_feature
 * @access: a set of &enum kvmi_page_access
 */
bool kvmintro_page_access_possible(const struct kvmi_features *features,
				   uint8_t access);

#ifdef __cplusplus
}
#endif
#endif
