/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The introspection object: hands a tool's socket over to KVM.
 *
 * object.c   properties and the object's life
 * session.c  one connection: handshake, hook, end
 * kernel.c   the ioctls
 *
 * Everything runs in the main loop with the big QEMU lock held.
 */
#ifndef ACCEL_KVM_KVMI_H
#define ACCEL_KVM_KVMI_H

#include "qom/object.h"
#include "qemu/bitmap.h"
#include "qemu/timer.h"
#include "chardev/char-fe.h"
#include "sysemu/kvmi-abi.h"

#define TYPE_KVM_INTROSPECTION "introspection"
OBJECT_DECLARE_SIMPLE_TYPE(KvmIntrospection, KVM_INTROSPECTION)

/* What the tool may use: everything, unless a list was given */
typedef struct KvmiAllowList {
    bool listed;
    DECLARE_BITMAP(ids, KVMI_NUM_IDS);
} KvmiAllowList;

typedef enum KvmiState {
    KVMI_DISCONNECTED,
    KVMI_GREETING,      /* our structure is being sent */
    KVMI_WAITING,       /* for the tool's answer */
    KVMI_HOOKED,        /* the socket belongs to KVM: neither read nor write */
} KvmiState;

typedef struct KvmiSession {
    KvmiState state;
    QEMUTimer *timer;           /* bounds GREETING and WAITING */
    guint watch;                /* until the socket takes the rest of hello */
    KvmiHello hello;
    size_t sent;                /* bytes of hello */
    KvmiAnswer answer;
    size_t received;            /* bytes of the answer, dropped ones included */
    char *failure;              /* last one reported: repeats stay silent */
} KvmiSession;

struct KvmIntrospection {
    Object parent_obj;

    /* Properties: fixed once complete() has succeeded */
    char *chardev;
    char *key;
    uint32_t handshake_timeout; /* seconds */
    KvmiAllowList commands;
    KvmiAllowList events;

    /* Valid from complete() on */
    CharBackend chr;
    bool authenticate;
    uint8_t cookie[KVMI_COOKIE_SIZE];
    int64_t start_time;         /* of the guest: refreshed when it is reset */
    KvmiSession session;
};

/* session.c */
void kvmi_session_init(KvmIntrospection *ki);
void kvmi_session_cleanup(KvmIntrospection *ki);
/* Give the VM back and hang up; the chardev reconnects by itself */
void kvmi_session_restart(KvmIntrospection *ki);
const char *kvmi_state_name(KvmiState state);

/* kernel.c */
bool kvmi_kernel_check(Error **errp);
/* On failure the VM is not hooked */
bool kvmi_kernel_hook(int fd, const KvmiAllowList *commands,
                      const KvmiAllowList *events, Error **errp);
void kvmi_kernel_unhook(void);

#endif
