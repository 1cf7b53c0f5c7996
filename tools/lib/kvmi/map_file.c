// SPDX-License-Identifier: LGPL-2.1-or-later
/* A file that shows the guest's memory: three doors to it, and what is done with it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mapping.h"

#define DEVICE "/dev/kvmi-mem"

static uint32_t flags_of(const struct kvmintro_memory *m)
{
	return m->writable ? KVMI_MEM_WRITABLE : 0;
}

static int refused(struct kvmintro_memory *m, const char *what, int err)
{
	switch (err) {
	case EACCES:
		return kvmintro__fail(m->k, -err, "%s: the VMM does not allow to %s memory",
				      what, m->writable ? "write" : "read");
	case EOPNOTSUPP:
		return kvmintro__fail(m->k, -err,
				      "%s: the VM has a dirty ring, its memory can be mapped for reading only",
				      what);
	case EFAULT:
		return kvmintro__fail(m->k, -err, "%s: the VM is not introspected any more", what);
	case ENOTTY:
		return kvmintro__fail(m->k, -err, "%s: this kernel cannot map memory", what);
	default:
		return kvmintro__fail(m->k, -err, "%s: %s", what, strerror(err));
	}
}

static int keep(struct kvmintro_memory *m, int fd)
{
	m->fd = fd;
	m->window_size = WINDOW_SIZE;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

static int open_vm(struct kvmintro_memory *m)
{
	const struct kvm_introspection_memory args = { .flags = flags_of(m) };
	int fd;

	if (m->k->vm_fd < 0)
		return kvmintro__fail(m->k, -ENODEV,
				      "the VM's file: there is none, the connection was not made by attaching");
	fd = ioctl(m->k->vm_fd, KVM_INTROSPECTION_MEMORY, &args);
	return fd < 0 ? refused(m, "the VM's file", errno) : keep(m, fd);
}

static int open_path(struct kvmintro_memory *m, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return kvmintro__fail(m->k, -errno, "%s: %s", path, strerror(errno));
}

static int open_device(struct kvmintro_memory *m)
{
	struct kvmi_mem_open args = { .flags = flags_of(m) };
	int device = open_path(m, DEVICE, O_RDWR);
	int fd, r;

	if (device < 0)
		return device;
	r = kvmintro__map_token(m->k, &args.token);
	if (!r) {
		fd = ioctl(device, KVMI_MEM_OPEN, &args);
		r = fd < 0 ? refused(m, DEVICE, errno) : keep(m, fd);
	}
	close(device);
	return r;
}

static int open_proc(struct kvmintro_memory *m)
{
	const uint8_t *u = m->uuid;
	char path[64];
	int fd;

	if (!m->has_uuid)
		return kvmintro__fail(m->k, -ENODEV,
				      "/proc/kvmi-mem-UUID: the VM's UUID is not known");
	snprintf(path, sizeof(path),
		 "/proc/kvmi-mem-%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
		 u[12], u[13], u[14], u[15]);
	fd = open_path(m, path, m->writable ? O_RDWR : O_RDONLY);
	return fd < 0 ? fd : keep(m, fd);
}

static void *map_part(struct kvmintro_memory *m, uint64_t gpa, size_t size, bool writable)
{
	return mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, m->fd,
		    gpa);
}

static void drop(struct map_window *w)
{
	munmap(w->at, w->size);
	w->at = NULL;
}

/* The one that was not used for longest, which is free then. NULL if there is none. */
static struct map_window *drop_oldest(struct kvmintro_memory *m)
{
	struct map_window *oldest = NULL, *w;

	for (w = m->windows; w < m->windows + WINDOWS; w++) {
		if (w->at && (!oldest || w->used < oldest->used))
			oldest = w;
	}
	if (oldest)
		drop(oldest);
	return oldest;
}

static struct map_window *free_window(struct kvmintro_memory *m)
{
	struct map_window *w;

	for (w = m->windows; w < m->windows + WINDOWS; w++) {
		if (!w->at)
			return w;
	}
	return drop_oldest(m);
}

/* The window around @gpa. NULL, with errno: ENOMEM if there is no room for any. */
static struct map_window *find_window(struct kvmintro_memory *m, uint64_t gpa)
{
	struct map_window *w;

	for (w = m->windows; w < m->windows + WINDOWS; w++) {
		if (w->at && gpa - w->gpa < w->size) {
			w->used = ++m->clock;
			return w;
		}
	}
	w = free_window(m);
	for (;;) {
		w->gpa = gpa & ~(m->window_size - 1);
		w->size = m->window_size;
		w->at = map_part(m, w->gpa, w->size, m->writable);
		if (w->at != MAP_FAILED)
			break;
		w->at = NULL;
		if (errno == ENOMEM && drop_oldest(m))
			continue;
		if (errno != ENOMEM || m->window_size == WINDOW_SIZE_MIN)
			return NULL;
		m->window_size /= 2;
	}
	w->used = ++m->clock;
	return w;
}

static ssize_t file_copy(struct kvmintro_memory *m, uint64_t gpa, void *buf, size_t size,
			 bool write)
{
	struct map_window *w = find_window(m, gpa);
	uint8_t *at;
	size_t bad;

	/* Where the file does not reach, a command knows why. */
	if (!w)
		return errno != ENOMEM ? 0 :
		       kvmintro__fail(m->k, -errno, "no room to map memory: %s", strerror(errno));
	at = w->at + (gpa - w->gpa);
	if (size > w->size - (gpa - w->gpa))
		size = w->size - (gpa - w->gpa);
	while (size) {
		if (write)
			bad = kvmintro__guard_copy(at, buf, size, at);
		else
			bad = kvmintro__guard_copy(buf, at, size, at);
		if (bad == size)
			break;
		/* Once more, up to the page where it ended: memcpy() has no order. */
		bad += gpa % KVMINTRO_PAGE_SIZE;
		bad &= ~PAGE_MASK;
		size = bad > gpa % KVMINTRO_PAGE_SIZE ? bad - gpa % KVMINTRO_PAGE_SIZE : 0;
	}
	return size;
}

static int file_map(struct kvmintro_memory *m, uint64_t gpa, size_t size, bool writable,
		    uint8_t **at)
{
	*at = map_part(m, gpa, size, writable);
	if (*at != MAP_FAILED)
		return 0;
	*at = NULL;
	return kvmintro__fail(m->k, -errno, "%#zx bytes at %#llx cannot be mapped: %s", size,
			      (unsigned long long)gpa, strerror(errno));
}

static void file_unmap(struct kvmintro_memory *m, uint8_t *at, size_t size)
{
	(void)m;
	munmap(at, size);
}

static void file_close(struct kvmintro_memory *m)
{
	size_t i;

	for (i = 0; i < WINDOWS; i++) {
		if (m->windows[i].at)
			drop(&m->windows[i]);
	}
	close(m->fd);
}

#define FILE_OPS .copy = file_copy, .map = file_map, .unmap = file_unmap, .close = file_close

const struct map_ops kvmintro__map_vm = { .open = open_vm, FILE_OPS };
const struct map_ops kvmintro__map_device = { .open = open_device, FILE_OPS };
const struct map_ops kvmintro__map_proc = { .open = open_proc, FILE_OPS };
