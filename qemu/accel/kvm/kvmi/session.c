/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM introspection: one connection with a tool, from the chardev's connect
 * to its hang-up.
 *
 * QEMU greets, the tool answers, KVM gets the socket. A tool may send its
 * first command right behind its answer, and that belongs to KVM: so not one
 * byte is read beyond the size that the answer declares.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "chardev/char-socket.h"
#include "sysemu/sysemu.h"
#include "kvmi.h"

/* A structure that is larger than this is no answer */
#define KVMI_ANSWER_MAX (64 * KiB)

const char *kvmi_state_name(KvmiState state)
{
    switch (state) {
    case KVMI_DISCONNECTED:
        return "disconnected";
    case KVMI_GREETING:
    case KVMI_WAITING:
        return "handshake";
    case KVMI_HOOKED:
        return "hooked";
    }
    g_assert_not_reached();
}

/* A tool that keeps coming back with the same fault is reported once */
static void report_failure(KvmIntrospection *ki, const char *failure)
{
    KvmiSession *s = &ki->session;

    if (g_strcmp0(s->failure, failure) == 0) {
        return;
    }
    warn_report("introspection: chardev '%s': %s", ki->chardev, failure);
    g_free(s->failure);
    s->failure = g_strdup(failure);
}

/* Back to DISCONNECTED, with nothing pending; returns the state before */
static KvmiState end_session(KvmIntrospection *ki)
{
    KvmiSession *s = &ki->session;
    KvmiState state = s->state;

    s->state = KVMI_DISCONNECTED;
    timer_del(s->timer);
    if (s->watch) {
        g_source_remove(s->watch);
        s->watch = 0;
    }
    if (state == KVMI_HOOKED) {
        kvmi_kernel_unhook();
    }
    return state;
}

void kvmi_session_restart(KvmIntrospection *ki)
{
    if (end_session(ki) != KVMI_DISCONNECTED) {
        qemu_chr_fe_disconnect(&ki->chr);
    }
}

static void fail_session(KvmIntrospection *ki, const char *failure)
{
    report_failure(ki, failure);
    kvmi_session_restart(ki);
}

static bool cookie_matches(const uint8_t *a, const uint8_t *b)
{
    uint8_t diff = 0;
    int i;

    /* The time that this takes must not tell where the first difference is */
    for (i = 0; i < KVMI_COOKIE_SIZE; i++) {
        diff |= a[i] ^ b[i];
    }
    return diff == 0;
}

static void finish_handshake(KvmIntrospection *ki)
{
    KvmiSession *s = &ki->session;
    SocketChardev *sc = SOCKET_CHARDEV(qemu_chr_fe_get_driver(&ki->chr));
    Error *err = NULL;

    if (ki->authenticate &&
        !cookie_matches(ki->cookie, s->answer.cookie_hash)) {
        fail_session(ki, "the tool does not know the key: its connection is "
                     "refused");
        return;
    }

    timer_del(s->timer);
    if (!kvmi_kernel_hook(sc->sioc->fd, &ki->commands, &ki->events, &err)) {
        fail_session(ki, error_get_pretty(err));
        error_free(err);
        return;
    }
    s->state = KVMI_HOOKED;
    g_clear_pointer(&s->failure, g_free);
}

/* How much of the answer is known to be still on its way */
static size_t answer_missing(const KvmiSession *s)
{
    if (s->received < sizeof(s->answer.struct_size)) {
        return sizeof(s->answer.struct_size) - s->received;
    }
    return s->answer.struct_size - s->received;
}

static int kvmi_can_read(void *opaque)
{
    KvmIntrospection *ki = opaque;

    return ki->session.state == KVMI_WAITING ? answer_missing(&ki->session) : 0;
}

static void kvmi_read(void *opaque, const uint8_t *buf, int size)
{
    KvmIntrospection *ki = opaque;
    KvmiSession *s = &ki->session;

    assert(s->state == KVMI_WAITING && size <= answer_missing(s));

    if (s->received < sizeof(s->answer)) {
        memcpy((uint8_t *)&s->answer + s->received, buf,
               MIN(size, sizeof(s->answer) - s->received));
    }
    s->received += size;

    if (s->received == sizeof(s->answer.struct_size)) {
        if (s->answer.struct_size < sizeof(s->answer) ||
            s->answer.struct_size > KVMI_ANSWER_MAX) {
            g_autofree char *failure = g_strdup_printf(
                "the tool's answer has %" PRIu32 " bytes, not %zu to %d: "
                "is this an introspection tool?", s->answer.struct_size,
                sizeof(s->answer), (int)KVMI_ANSWER_MAX);

            fail_session(ki, failure);
        }
        return;
    }
    if (s->received > sizeof(s->answer.struct_size) && !answer_missing(s)) {
        finish_handshake(ki);
    }
}

static void send_hello(KvmIntrospection *ki);

static gboolean kvmi_writable(void *do_not_use, GIOCondition cond, void *opaque)
{
    KvmIntrospection *ki = opaque;

    ki->session.watch = 0;
    send_hello(ki);
    return G_SOURCE_REMOVE;
}

static void send_hello(KvmIntrospection *ki)
{
    KvmiSession *s = &ki->session;
    int ret;

    while (s->sent < sizeof(s->hello)) {
        ret = qemu_chr_fe_write(&ki->chr, (uint8_t *)&s->hello + s->sent,
                                sizeof(s->hello) - s->sent);
        if (s->state != KVMI_GREETING) {
            /* The write found the socket closed */
            return;
        }
        if (ret <= 0) {
            s->watch = qemu_chr_fe_add_watch(&ki->chr, G_IO_OUT | G_IO_HUP,
                                             kvmi_writable, ki);
            return;
        }
        s->sent += ret;
    }
    s->state = KVMI_WAITING;
}

static void start_session(KvmIntrospection *ki)
{
    KvmiSession *s = &ki->session;

    s->sent = 0;
    s->received = 0;
    memset(&s->answer, 0, sizeof(s->answer));
    memset(&s->hello, 0, sizeof(s->hello));
    s->hello.struct_size = sizeof(s->hello);
    memcpy(s->hello.uuid, qemu_uuid.data, sizeof(s->hello.uuid));
    s->hello.start_time = ki->start_time;
    pstrcpy(s->hello.name, sizeof(s->hello.name), qemu_name ?: "");

    s->state = KVMI_GREETING;
    timer_mod(s->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                        ki->handshake_timeout * 1000LL);
    send_hello(ki);
}

static void kvmi_timeout(void *opaque)
{
    KvmIntrospection *ki = opaque;
    g_autofree char *failure = g_strdup_printf(
        "the tool did not finish the handshake within %" PRIu32 " s "
        "(handshake_timeout)", ki->handshake_timeout);

    fail_session(ki, failure);
}

static void kvmi_event(void *opaque, QEMUChrEvent event)
{
    KvmIntrospection *ki = opaque;

    switch (event) {
    case CHR_EVENT_OPENED:
        if (ki->session.state == KVMI_DISCONNECTED) {
            start_session(ki);
        }
        break;
    case CHR_EVENT_CLOSED:
        /* A chardev that is being destroyed also comes here */
        switch (end_session(ki)) {
        case KVMI_GREETING:
        case KVMI_WAITING:
            report_failure(ki, "the tool closed the connection during the "
                           "handshake");
            break;
        case KVMI_DISCONNECTED:
        case KVMI_HOOKED:
            break;
        }
        break;
    default:
        break;
    }
}

void kvmi_session_init(KvmIntrospection *ki)
{
    ki->session.timer = timer_new_ms(QEMU_CLOCK_REALTIME, kvmi_timeout, ki);
    qemu_chr_fe_set_handlers(&ki->chr, kvmi_can_read, kvmi_read, kvmi_event,
                             NULL, ki, NULL, true);
}

void kvmi_session_cleanup(KvmIntrospection *ki)
{
    KvmiSession *s = &ki->session;

    if (s->timer) {
        kvmi_session_restart(ki);
        timer_free(s->timer);
    }
    qemu_chr_fe_deinit(&ki->chr, false);
    g_free(s->failure);
}
