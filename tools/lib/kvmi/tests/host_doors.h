/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_TEST_HOST_DOORS_H
#define KVMI_TEST_HOST_DOORS_H

/* Between host.c, the guest and its kernel's commands, and host_doors.c, the devices. */

extern int host_memory;

struct part { uint64_t gpa, size; };

/* Can the page be mapped; which parts of a range are in slots: address and size. */
bool host_shows(uint64_t gpa);
size_t host_slots(uint64_t from, uint64_t size, struct part *parts);
bool host_use_token(const struct kvmi_map_mem_token *token);

void doors_attach(struct kvmintro *k);
void doors_close(void);

/* Calls of the library come to __wrap, what is called then is __real. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
void *__real_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);

#endif
