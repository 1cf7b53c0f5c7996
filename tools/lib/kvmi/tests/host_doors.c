// SPDX-License-Identifier: LGPL-2.1-or-later
/* The devices of the host: what the library opens and maps comes here. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/kvmmem.h>

#include "../internal.h"
#include "host.h"
#include "host_doors.h"

#define REPLACED_MAX 1024
#define SHOWN_MAX 64

/* A page of the tool's in whose place there is one of the guest's. */
static struct replaced {
	uint8_t *at;
	bool taken;
	uint8_t own[PAGE];
} replaced[REPLACED_MAX];

/* What is mapped of files that show memory. */
static struct shown {
	void *at;
	size_t size;
} shown[SHOWN_MAX];

static int vm_fd = -1, device_fd = -1, guest_fd = -1, nothing = -1;

void doors_attach(struct kvmintro *k)
{
	vm_fd = __real_open("/dev/null", O_RDWR);
	k->vm_fd = vm_fd;
}

void doors_close(void)
{
	if (nothing >= 0)
		close(nothing);
	vm_fd = -1;
	device_fd = -1;
	guest_fd = -1;
	nothing = -1;
	memset(replaced, 0, sizeof(replaced));
}

static int fail(int err)
{
	errno = err;
	return -1;
}

/* Another file that shows the same memory. */
static int show(uint32_t flags)
{
	host.flags = flags;
	return host.error ? fail(host.error) : dup(host_memory);
}

int __wrap_open(const char *path, int flags, ...)
{
	if (!strcmp(path, "/dev/kvmi-mem")) {
		device_fd = host.has_device ? __real_open("/dev/null", flags) : fail(ENOENT);
		return device_fd;
	}
	if (!strcmp(path, "/dev/kvmmem")) {
		guest_fd = host.has_guest ? __real_open("/dev/null", flags) : fail(ENOENT);
		return guest_fd;
	}
	if (!strcmp(path, "/proc/kvmi-mem-00010203-0405-0607-0809-0A0B0C0D0E0F") && host.has_proc)
		return show(flags & O_RDWR ? KVMI_MEM_WRITABLE : 0);
	if (!strncmp(path, "/proc/kvmi-mem-", 15))
		return fail(ENOENT);
	return __real_open(path, flags);
}

static struct replaced *find(const uint8_t *at)
{
	size_t i;

	for (i = 0; i < REPLACED_MAX; i++) {
		if (replaced[i].at == at)
			return &replaced[i];
	}
	return NULL;
}

static void restore(struct replaced *r)
{
	if (__real_mmap(r->at, PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != r->at)
		exit(1);
	memcpy(r->at, r->own, PAGE);
	r->taken = true;
}

static int replace(const struct kvmi_mem_map *map)
{
	uint8_t *at = (uint8_t *)(uintptr_t)map->gva;
	struct replaced *r = find(NULL);
	unsigned char in_use;

	if (!host_use_token(&map->token))
		return fail(ENOENT);
	if (host.error)
		return fail(host.error);
	if (map->gpa % PAGE || map->gva % PAGE || mincore(at, PAGE, &in_use) < 0 || !in_use)
		return fail(EINVAL);
	if (find(at))
		return fail(EBUSY);
	if (!host_shows(map->gpa))
		return fail(ENOENT);
	if (!r)
		return fail(ENOMEM);
	host.maps++;
	r->at = at;
	r->taken = false;
	memcpy(r->own, at, PAGE);
	if (__real_mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, host_memory,
			map->gpa) != at)
		exit(1);
	return 0;
}

static int put_back(uint8_t *at)
{
	struct replaced *r = at ? find(at) : NULL;

	if (!r)
		return fail(ENOENT);
	host.unmaps++;
	if (!r->taken)
		restore(r);
	r->at = NULL;
	return 0;
}

void host_take_away(void)
{
	size_t i;

	for (i = 0; i < REPLACED_MAX; i++) {
		if (replaced[i].at && !replaced[i].taken)
			restore(&replaced[i]);
	}
}

unsigned int host_replaced(void)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < REPLACED_MAX; i++)
		n += !!replaced[i].at;
	return n;
}

/* Closing /dev/kvmmem undoes what was mapped with it. */
int __wrap_close(int fd)
{
	if (fd >= 0 && fd == guest_fd) {
		host_take_away();
		memset(replaced, 0, sizeof(replaced));
		guest_fd = -1;
	}
	return __real_close(fd);
}

/* A page that may only be read, and one that goes while it is copied. */
void *__wrap_memcpy(void *to, const void *from, size_t size)
{
	const uintptr_t offset = (uintptr_t)to % PAGE;
	struct replaced *r = host.read_only ? find((uint8_t *)to - offset) : NULL;

	if (r && !r->taken) {
		__real_memcpy(r->own + offset, from, size);
	} else if (host.tear) {
		host.tear = false;
		__real_memcpy(to, from, size / 2);
		host_take_away();
		__real_memcpy((uint8_t *)to + size / 2, (const uint8_t *)from + size / 2,
			      size - size / 2);
	} else {
		__real_memcpy(to, from, size);
	}
	return to;
}

static int open_memory(const struct kvmi_mem_open *args)
{
	return host_use_token(&args->token) && !args->padding ? show(args->flags) : fail(ENOENT);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (fd == vm_fd && request == KVM_INTROSPECTION_UNHOOK)
		return 0;
	if (fd == vm_fd && request == KVM_INTROSPECTION_MEMORY && host.has_vm)
		return show(((struct kvm_introspection_memory *)arg)->flags);
	if (fd == device_fd && request == KVMI_MEM_OPEN)
		return open_memory(arg);
	if (fd == guest_fd && request == KVM_INTRO_MEM_MAP)
		return replace(arg);
	if (fd == guest_fd && request == KVM_INTRO_MEM_UNMAP)
		return put_back(arg);
	return __real_ioctl(fd, request, arg);
}

static bool shows_memory(int fd)
{
	struct stat one, other;

	return !fstat(fd, &one) && !fstat(host_memory, &other) && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

static struct shown *find_shown(const void *at)
{
	size_t i;

	for (i = 0; i < SHOWN_MAX; i++) {
		if (shown[i].at == at)
			return &shown[i];
	}
	return NULL;
}

static bool has_room(size_t size)
{
	uint64_t sum = size;
	size_t i;

	for (i = 0; i < SHOWN_MAX; i++)
		sum += shown[i].size;
	return !host.room || sum <= host.room;
}

static void *show_at(void *at, size_t size)
{
	struct shown *s = find_shown(NULL);

	if (!s)
		exit(1);
	*s = (struct shown){ at, size };
	host.maps++;
	return at;
}

int __wrap_munmap(void *at, size_t size)
{
	struct shown *s = at ? find_shown(at) : NULL;

	if (s)
		*s = (struct shown){ 0 };
	return __real_munmap(at, size);
}

/* Nothing at first, then the slots, then nothing again where a page is not shown. */
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct part parts[8];
	uint8_t *base;
	size_t i;

	if (fd < 0 || !shows_memory(fd) || flags & MAP_FIXED)
		return __real_mmap(at, size, prot, flags, fd, offset);
	if (flags != MAP_SHARED || (prot & PROT_WRITE && !(host.flags & KVMI_MEM_WRITABLE))) {
		fail(flags != MAP_SHARED ? EINVAL : EACCES);
		return MAP_FAILED;
	}
	if (!has_room(size)) {
		fail(ENOMEM);
		return MAP_FAILED;
	}
	if (nothing < 0)
		nothing = memfd_create("nothing", MFD_CLOEXEC);
	base = __real_mmap(NULL, size, prot, MAP_SHARED, nothing, 0);
	if (base == MAP_FAILED)
		return base;
	for (i = host_slots(offset, size, parts); i--; )
		__real_mmap(base + parts[i].gpa - offset, parts[i].size, prot,
			    MAP_SHARED | MAP_FIXED, fd, parts[i].gpa);
	if (host.unmapped && host.unmapped - offset < size)
		__real_mmap(base + host.unmapped / PAGE * PAGE - offset, PAGE, prot,
			    MAP_SHARED | MAP_FIXED, nothing, 0);
	return show_at(base, size);
}
