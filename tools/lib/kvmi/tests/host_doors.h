/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_TEST_HOST_DOORS_H
#define KVMI_TEST_HOST_DOORS_H

/* Between host.c, the guest and its kernel's commands, and host_doors.c, the devices. */

extern int host_memory;

/* Can the page be mapped; which parts of a range are in slots: address and size. */
bool host_shows(uint64_t gpa);
size_t host_slots(uint64_t from, uint64_t size, uint64_t (*parts)[2]);
bool host_use_token(const struct kvmi_map_mem_token *token);

void doors_attach(struct kvmintro *k);
void doors_close(void);

#endif
