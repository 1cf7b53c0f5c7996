/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM introspection: the ioctls that hand a socket to KVM and take the VM back
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "sysemu/kvm.h"
#include "sysemu/sysemu.h"
#include "kvmi.h"

bool kvmi_kernel_check(Error **errp)
{
    ERRP_GUARD();

    if (!kvm_enabled()) {
        error_setg(errp, "introspection needs KVM");
        error_append_hint(errp, "Start QEMU with -accel kvm.\n");
        return false;
    }
    if (kvm_check_extension(kvm_state, KVM_CAP_INTROSPECTION) <= 0) {
        error_setg(errp, "the kernel has no introspection support, or it is "
                   "switched off (kvm.introspection=0)");
        error_append_hint(errp, "Boot a kernel with CONFIG_KVM_INTROSPECTION=y "
                          "and the parameter kvm.introspection=1.\n");
        return false;
    }
    return true;
}

static const char *hook_advice(int err)
{
    switch (err) {
    case EEXIST:
        return ": another process has hooked this VM, or ended without "
               "unhooking it: 'kvmi attach --force' takes it and gives it back";
    case EPERM:
        return ": load kvm with introspection=1";
    case EOPNOTSUPP:
        return ": VMs with protected or private memory cannot be introspected";
    default:
        return "";
    }
}

static bool kvmi_allow(int request, const char *what, int num_ids,
                       const KvmiAllowList *list, Error **errp)
{
    struct kvm_introspection_feature feature = { .allow = 1, .id = -1 };
    int ret;

    if (!list->listed) {
        ret = kvm_vm_ioctl(kvm_state, request, &feature);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "KVM did not allow all %ss", what);
            return false;
        }
        return true;
    }

    for (feature.id = 0; feature.id < num_ids; feature.id++) {
        if (!test_bit(feature.id, list->ids)) {
            continue;
        }
        ret = kvm_vm_ioctl(kvm_state, request, &feature);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "KVM did not allow %s %d", what,
                             feature.id);
            return false;
        }
    }
    return true;
}

bool kvmi_kernel_hook(int fd, const KvmiAllowList *commands,
                      const KvmiAllowList *events, Error **errp)
{
    struct kvm_introspection_hook hook = { .fd = fd };
    int ret;

    memcpy(hook.uuid, qemu_uuid.data, sizeof(hook.uuid));
    ret = kvm_vm_ioctl(kvm_state, KVM_INTROSPECTION_HOOK, &hook);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM did not take the socket%s",
                         hook_advice(-ret));
        return false;
    }

    /*
     * KVM serves the socket already, and refuses what is not allowed yet.
     * Events come first: a tool that finds its command allowed can then rely
     * on the events, too.
     */
    if (!kvmi_allow(KVM_INTROSPECTION_EVENT, "event", KVMI_NUM_EVENT_IDS,
                    events, errp) ||
        !kvmi_allow(KVM_INTROSPECTION_COMMAND, "command", KVMI_NUM_COMMAND_IDS,
                    commands, errp)) {
        kvmi_kernel_unhook();
        return false;
    }
    return true;
}

void kvmi_kernel_unhook(void)
{
    int ret = kvm_vm_ioctl(kvm_state, KVM_INTROSPECTION_UNHOOK);

    if (ret < 0) {
        warn_report("introspection: KVM did not give the VM back: %s",
                    strerror(-ret));
    }
}
