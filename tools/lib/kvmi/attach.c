// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Introspection of a VM whose VMM does not take part: get the VM's file out of
 * the VMM and hand KVM one end of a socket pair.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#define VM_LINK "anon_inode:kvm-vm"
#define PARAMETER "/sys/module/kvm/parameters/introspection"

static int process_failed(struct kvmintro *k, pid_t pid, int err)
{
	switch (err) {
	case ENOENT:
	case ESRCH:
		return kvmintro__fail(k, -ESRCH, "there is no process %d", pid);
	case EPERM:
	case EACCES:
		return kvmintro__fail(k, -EPERM,
				      "process %d may not be inspected: CAP_SYS_PTRACE is missing, run this as root",
				      pid);
	default:
		return kvmintro__fail(k, -err, "process %d: %s", pid,
				      strerror(err));
	}
}

static bool is_vm(const char *dir, const char *name)
{
	char path[320], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	n = readlink(path, link, sizeof(link));
	return n == (ssize_t)strlen(VM_LINK) && !memcmp(link, VM_LINK, n);
}

static int compare_int(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

#define MAX_VMS 256

/* The VMs among the process's descriptors, in ascending order. */
static int list_vms(struct kvmintro *k, pid_t pid, int *fds)
{
	struct dirent *entry;
	char dir[64];
	int count = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", pid);
	d = opendir(dir);
	if (!d)
		return process_failed(k, pid, errno);
	while (count < MAX_VMS && (entry = readdir(d))) {
		if (is_vm(dir, entry->d_name))
			fds[count++] = atoi(entry->d_name);
	}
	closedir(d);
	qsort(fds, count, sizeof(*fds), compare_int);
	return count;
}

static int choose_vm(struct kvmintro *k, pid_t pid, int vm)
{
	int fds[MAX_VMS];
	int count = list_vms(k, pid, fds);

	if (count < 0)
		return count;
	if (!count)
		return kvmintro__fail(k, -ENODEV,
				      "process %d has no VM of KVM; it is no VMM, or it does not use KVM",
				      pid);
	if (vm < 0 && count > 1)
		return kvmintro__fail(k, -ENOTUNIQ,
				      "process %d has %d VMs; choose one by its index, 0 to %d",
				      pid, count, count - 1);
	if (vm >= count)
		return kvmintro__fail(k, -ENODEV,
				      "process %d has %d VM(s); the index counts from 0",
				      pid, count);
	return fds[vm < 0 ? 0 : vm];
}

static int take_fd(struct kvmintro *k, pid_t pid, int vm)
{
	int fd;

	k->vmm_fd = syscall(SYS_pidfd_open, pid, 0);
	if (k->vmm_fd < 0)
		return process_failed(k, pid, errno);
	fd = choose_vm(k, pid, vm);
	if (fd < 0)
		return fd;
	k->vm_fd = syscall(SYS_pidfd_getfd, k->vmm_fd, fd, 0);
	if (k->vm_fd < 0)
		return process_failed(k, pid, errno);
	return 0;
}

static int hook_failed(struct kvmintro *k, int err)
{
	switch (err) {
	case EEXIST:
		return kvmintro__fail(k, -EEXIST,
				      "the VM is introspected already, or a tool ended without detaching: end that tool, or attach with force");
	case EPERM:
		return kvmintro__fail(k, -EPERM,
				      "introspection is switched off: load kvm with introspection=1, or boot with kvm.introspection=1");
	case EOPNOTSUPP:
		return kvmintro__fail(k, -EOPNOTSUPP,
				      "the VM's memory or state is protected from the host and cannot be introspected");
	case ENOTTY:
	case EIO:
		/* Without introspection KVM refuses every other process. */
		if (access(PARAMETER, F_OK) < 0)
			return kvmintro__fail(k, -ENOTTY,
					      "this kernel has no KVM introspection: boot one with CONFIG_KVM_INTROSPECTION=y");
		return kvmintro__fail(k, -EPERM,
				      "KVM refuses another process than the VMM: CAP_SYS_PTRACE is missing, run this as root");
	default:
		return kvmintro__fail(k, -err, "the VM cannot be hooked: %s",
				      strerror(err));
	}
}

static int hook(struct kvmintro *k, bool force)
{
	struct kvm_introspection_feature all = { .allow = 1, .id = -1 };
	struct kvm_introspection_hook hook = { 0 };
	int pair[2], r;

	if (force && ioctl(k->vm_fd, KVM_INTROSPECTION_UNHOOK) < 0)
		return hook_failed(k, errno);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return kvmintro__fail(k, -errno, "socketpair: %s",
				      strerror(errno));

	hook.fd = pair[1];
	r = ioctl(k->vm_fd, KVM_INTROSPECTION_HOOK, &hook) < 0 ? errno : 0;
	close(pair[1]);
	k->fd = pair[0];
	if (r)
		return hook_failed(k, r);

	if (ioctl(k->vm_fd, KVM_INTROSPECTION_EVENT, &all) < 0 ||
	    ioctl(k->vm_fd, KVM_INTROSPECTION_COMMAND, &all) < 0) {
		r = hook_failed(k, errno);
		ioctl(k->vm_fd, KVM_INTROSPECTION_UNHOOK);
		return r;
	}
	return 0;
}

int kvmintro_attach(struct kvmintro *k,
		    const struct kvmintro_attach_options *options)
{
	struct kvmintro_attach_options o = { .vm = -1 };
	int r = kvmintro__must_be_new(k);
	int *fds[] = { &k->fd, &k->vm_fd, &k->vmm_fd };
	size_t i;

	if (r < 0)
		return r;
	memcpy(&o, options, options->size < sizeof(o) ? options->size :
							sizeof(o));

	r = take_fd(k, o.pid, o.vm);
	if (!r)
		r = hook(k, o.force);
	if (!r)
		return 0;

	/* Not kvmintro_close(): a VM that another tool has stays hooked. */
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	return r;
}
