/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM introspection: what QEMU shares with the kernel and with the tool.
 *
 * The kernel's half mirrors <linux/kvmi.h>; it is repeated here so that QEMU
 * builds without the headers of a kernel that has KVM introspection.
 */
#ifndef SYSEMU_KVMI_ABI_H
#define SYSEMU_KVMI_ABI_H

#include <linux/ioctl.h>

#define KVM_CAP_INTROSPECTION 999

/* @fd: a connected stream socket. KVM takes a reference of its own. */
struct kvm_introspection_hook {
    int32_t fd;
    uint32_t padding;
    uint8_t uuid[16];
};

/* @id: -1 stands for every command or event that the kernel knows. */
struct kvm_introspection_feature {
    uint32_t allow;
    int32_t id;
};

/* ioctls on the VM's file descriptor; the group is KVM's own, 0xAE */
#define KVM_INTROSPECTION_HOOK \
    _IOW(0xAE, 0xff, struct kvm_introspection_hook)
#define KVM_INTROSPECTION_PREUNHOOK _IO(0xAE, 0xfe)
#define KVM_INTROSPECTION_COMMAND \
    _IOW(0xAE, 0xfd, struct kvm_introspection_feature)
#define KVM_INTROSPECTION_EVENT \
    _IOW(0xAE, 0xfc, struct kvm_introspection_feature)
#define KVM_INTROSPECTION_UNHOOK _IO(0xAE, 0xfb)

/*
 * Upper bounds of the ids that can be allowed one by one. They leave room for
 * newer kernels; each kernel refuses the ids that it does not know.
 */
#define KVMI_NUM_COMMAND_IDS 128
#define KVMI_NUM_EVENT_IDS 64
#define KVMI_NUM_IDS 128        /* of either */

/*
 * The handshake, in the host's byte order. Each side's first field counts its
 * whole structure, so that both can grow; the receiver drops what it does
 * not know.
 */
typedef struct KvmiHello {
    uint32_t struct_size;
    uint8_t uuid[16];
    uint32_t padding;
    int64_t start_time;         /* seconds since the epoch */
    char name[64];              /* NUL-terminated */
} KvmiHello;

#define KVMI_COOKIE_SIZE 20     /* SHA-1 of the shared secret */

typedef struct KvmiAnswer {
    uint32_t struct_size;
    uint8_t cookie_hash[KVMI_COOKIE_SIZE];
} KvmiAnswer;

QEMU_BUILD_BUG_ON(sizeof(struct kvm_introspection_hook) != 24);
QEMU_BUILD_BUG_ON(sizeof(struct kvm_introspection_feature) != 8);
QEMU_BUILD_BUG_ON(sizeof(KvmiHello) != 96);
QEMU_BUILD_BUG_ON(sizeof(KvmiAnswer) != 24);

#endif
