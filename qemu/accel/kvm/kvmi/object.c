/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM introspection: the object of -object introspection
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "chardev/char-socket.h"
#include "crypto/hash.h"
#include "crypto/secret_common.h"
#include "sysemu/reset.h"
#include "kvmi.h"

#define KVMI_DEFAULT_TIMEOUT 10

/* KVM takes one tool for each VM */
static KvmIntrospection *kvmi_instance;

static int64_t wall_clock_seconds(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_HOST) / 1000;
}

/* To the tool a guest that was reset is another guest */
static void kvmi_reset(void *opaque)
{
    KvmIntrospection *ki = opaque;

    ki->start_time = wall_clock_seconds();
    kvmi_session_restart(ki);
}

static bool kvmi_set_cookie(KvmIntrospection *ki, Error **errp)
{
    ERRP_GUARD();
    g_autofree uint8_t *secret = NULL;
    g_autofree uint8_t *hash = NULL;
    size_t secret_len, hash_len = 0;

    if (qcrypto_secret_lookup(ki->key, &secret, &secret_len, errp) < 0) {
        error_prepend(errp, "introspection key: ");
        return false;
    }
    if (!secret_len) {
        error_setg(errp, "introspection key: secret '%s' is empty", ki->key);
        return false;
    }
    if (qcrypto_hash_bytes(QCRYPTO_HASH_ALG_SHA1, (char *)secret, secret_len,
                           &hash, &hash_len, errp) < 0) {
        return false;
    }
    assert(hash_len == sizeof(ki->cookie));
    memcpy(ki->cookie, hash, hash_len);
    ki->authenticate = true;
    return true;
}

/* KVM gets the bare socket, and a tool may come and go */
static bool kvmi_chardev_check(Chardev *chr, Error **errp)
{
    ERRP_GUARD();
    SocketChardev *sc;

    sc = (SocketChardev *)object_dynamic_cast(OBJECT(chr), TYPE_CHARDEV_SOCKET);
    if (!sc || sc->is_listen || sc->reconnect_time <= 0) {
        error_setg(errp, "introspection: chardev '%s' is not a socket that "
                   "connects, and reconnects, to the tool", chr->label);
        error_append_hint(errp, "The tool listens. Use -chardev socket,id=%s,"
                          "path=SOCKET,reconnect=1 or, for a tool in a VM, "
                          "cid=CID,port=PORT in place of path=SOCKET\n",
                          chr->label);
        return false;
    }
    if (sc->tls_creds || sc->is_websock || sc->is_telnet || sc->is_tn3270) {
        error_setg(errp, "introspection: chardev '%s' must be a plain socket, "
                   "without TLS, websocket or telnet", chr->label);
        return false;
    }
    return true;
}

static void kvmi_complete(UserCreatable *uc, Error **errp)
{
    ERRP_GUARD();
    KvmIntrospection *ki = KVM_INTROSPECTION(uc);
    Chardev *chr;

    if (kvmi_instance) {
        const char *other =
            object_get_canonical_path_component(OBJECT(kvmi_instance));

        error_setg(errp, "a VM has one introspection object, and '%s' exists "
                   "already", other);
        return;
    }
    if (!ki->chardev) {
        error_setg(errp, "introspection needs a chardev");
        return;
    }
    chr = qemu_chr_find(ki->chardev);
    if (!chr) {
        error_setg(errp, "introspection: there is no chardev '%s'",
                   ki->chardev);
        return;
    }
    if (!kvmi_chardev_check(chr, errp) ||
        (ki->key && !kvmi_set_cookie(ki, errp)) ||
        !kvmi_kernel_check(errp) ||
        !qemu_chr_fe_init(&ki->chr, chr, errp)) {
        return;
    }
    if (!ki->authenticate) {
        warn_report("introspection: no key is set: the tool behind chardev "
                    "'%s' is not authenticated", ki->chardev);
    }

    kvmi_instance = ki;
    ki->start_time = wall_clock_seconds();
    qemu_register_reset(kvmi_reset, ki);
    kvmi_session_init(ki);
}

static void kvmi_finalize(Object *obj)
{
    KvmIntrospection *ki = KVM_INTROSPECTION(obj);

    kvmi_session_cleanup(ki);
    if (kvmi_instance == ki) {
        qemu_unregister_reset(kvmi_reset, ki);
        kvmi_instance = NULL;
    }
    g_free(ki->chardev);
    g_free(ki->key);
}

static bool kvmi_can_be_deleted(UserCreatable *uc)
{
    return KVM_INTROSPECTION(uc)->session.state == KVMI_DISCONNECTED;
}

/* Properties */

static bool refuse_change(KvmIntrospection *ki, Error **errp)
{
    if (kvmi_instance == ki) {
        error_setg(errp, "introspection properties are fixed once the object "
                   "exists: delete it and add it again");
        return true;
    }
    return false;
}

static char *get_chardev(Object *obj, Error **errp)
{
    return g_strdup(KVM_INTROSPECTION(obj)->chardev);
}

static void set_chardev(Object *obj, const char *value, Error **errp)
{
    KvmIntrospection *ki = KVM_INTROSPECTION(obj);

    if (!refuse_change(ki, errp)) {
        g_free(ki->chardev);
        ki->chardev = g_strdup(value);
    }
}

static char *get_key(Object *obj, Error **errp)
{
    return g_strdup(KVM_INTROSPECTION(obj)->key);
}

static void set_key(Object *obj, const char *value, Error **errp)
{
    KvmIntrospection *ki = KVM_INTROSPECTION(obj);

    if (!refuse_change(ki, errp)) {
        g_free(ki->key);
        ki->key = g_strdup(value);
    }
}

static char *get_state(Object *obj, Error **errp)
{
    return g_strdup(kvmi_state_name(KVM_INTROSPECTION(obj)->session.state));
}

static void get_timeout(Object *obj, Visitor *v, const char *name,
                        void *opaque, Error **errp)
{
    visit_type_uint32(v, name, &KVM_INTROSPECTION(obj)->handshake_timeout,
                      errp);
}

static void set_timeout(Object *obj, Visitor *v, const char *name,
                        void *opaque, Error **errp)
{
    KvmIntrospection *ki = KVM_INTROSPECTION(obj);
    uint32_t value;

    if (refuse_change(ki, errp) || !visit_type_uint32(v, name, &value, errp)) {
        return;
    }
    if (!value) {
        error_setg(errp, "introspection: handshake_timeout must be at least "
                   "one second");
        return;
    }
    ki->handshake_timeout = value;
}

static KvmiAllowList *allow_list(Object *obj, const char *name, int *num_ids)
{
    KvmIntrospection *ki = KVM_INTROSPECTION(obj);

    if (g_str_equal(name, "command")) {
        *num_ids = KVMI_NUM_COMMAND_IDS;
        return &ki->commands;
    }
    *num_ids = KVMI_NUM_EVENT_IDS;
    return &ki->events;
}

static void get_ids(Object *obj, Visitor *v, const char *name, void *opaque,
                    Error **errp)
{
    int id, num_ids;
    KvmiAllowList *allow = allow_list(obj, name, &num_ids);
    uint32List *ids = NULL, **tail = &ids;

    for (id = 0; id < num_ids; id++) {
        if (!allow->listed || test_bit(id, allow->ids)) {
            QAPI_LIST_APPEND(tail, id);
        }
    }
    visit_type_uint32List(v, name, &ids, errp);
    qapi_free_uint32List(ids);
}

static void set_ids(Object *obj, Visitor *v, const char *name, void *opaque,
                    Error **errp)
{
    int num_ids;
    KvmiAllowList *allow = allow_list(obj, name, &num_ids);
    uint32List *ids, *id;

    if (refuse_change(KVM_INTROSPECTION(obj), errp) ||
        !visit_type_uint32List(v, name, &ids, errp)) {
        return;
    }
    for (id = ids; id; id = id->next) {
        if (id->value >= num_ids) {
            error_setg(errp, "introspection: %s %" PRIu32 " does not "
                       "exist: ids go from 0 to %d", name, id->value,
                       num_ids - 1);
            break;
        }
        set_bit(id->value, allow->ids);
    }
    allow->listed = true;
    qapi_free_uint32List(ids);
}

static void kvmi_instance_init(Object *obj)
{
    KVM_INTROSPECTION(obj)->handshake_timeout = KVMI_DEFAULT_TIMEOUT;
}

static void kvmi_class_init(ObjectClass *oc, void *data)
{
    UserCreatableClass *ucc = USER_CREATABLE_CLASS(oc);

    ucc->complete = kvmi_complete;
    ucc->can_be_deleted = kvmi_can_be_deleted;

    object_class_property_add_str(oc, "chardev", get_chardev, set_chardev);
    object_class_property_set_description(oc, "chardev",
        "Socket that connects and reconnects to the tool");
    object_class_property_add_str(oc, "key", get_key, set_key);
    object_class_property_set_description(oc, "key",
        "ID of the secret that the tool has to know");
    object_class_property_add(oc, "handshake_timeout", "uint32", get_timeout,
                              set_timeout, NULL, NULL);
    object_class_property_set_description(oc, "handshake_timeout",
        "Seconds that the tool has to finish the handshake");
    object_class_property_add(oc, "command", "uint32List", get_ids, set_ids,
                              NULL, NULL);
    object_class_property_set_description(oc, "command",
        "Commands the tool may use: command=ID,command=ID... (default: all)");
    object_class_property_add(oc, "event", "uint32List", get_ids, set_ids,
                              NULL, NULL);
    object_class_property_set_description(oc, "event",
        "Events the tool may use: event=ID,event=ID... (default: all)");
    object_class_property_add_str(oc, "state", get_state, NULL);
}

static const TypeInfo kvmi_info = {
    .name = TYPE_KVM_INTROSPECTION,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(KvmIntrospection),
    .instance_init = kvmi_instance_init,
    .instance_finalize = kvmi_finalize,
    .class_init = kvmi_class_init,
    .interfaces = (InterfaceInfo[]) {
        { TYPE_USER_CREATABLE },
        { }
    },
};

static void kvmi_register_types(void)
{
    type_register_static(&kvmi_info);
}

type_init(kvmi_register_types)
