/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_KVMI_H
#define KVMI_KVMI_H

/**
 * DOC: libkvmintro
 *
 * A tool's side of KVM introspection: connect to a VM, send commands, receive
 * events and answer them.
 *
 * Conventions that hold for every function:
 *
 * * A &struct kvmintro is one connection with one VM. It is used by one thread
 *   at a time; different handles are independent of each other. The library
 *   has no threads, and no global state but a handler for SIGBUS while it copies
 *   mapped memory: see kvmi/memory.h.
 * * 0 or a positive number is success. Failure is a negative errno, and
 *   kvmintro_error() then says what happened and what to do next.
 * * Addresses and sizes are in bytes unless a name says gfn or pages: frames
 *   and pages are 4096 bytes. Times are in milliseconds, -1 is "for ever".
 * * vCPUs are named by their index, in the order in which the VMM made them.
 *
 * Errors that every command can return:
 *
 * * -EPERM: the VMM did not allow this command or event
 * * -ENOSYS: this kernel does not know the command
 * * -EINVAL: the kernel refuses an argument; no such vCPU
 * * -EBUSY, -ENOMEM: the kernel is out of queue entries or memory
 * * -EREMOTEIO: the kernel answered with a code unknown to this library
 * * -ETIMEDOUT: no answer in time (see kvmintro_set_timeout()). The command
 *   can still take effect; the connection can be used further.
 * * -ECANCELED: the descriptor of kvmintro_set_cancel_fd() became readable.
 *   As for -ETIMEDOUT, the command can still take effect.
 * * -ECONNRESET: the VMM or the kernel ended the connection
 * * -EPROTO: the other side does not follow the protocol
 * * -ENOTCONN: there is no connection, or one of the last two errors ended it
 *
 * The wire structures that appear in this interface are those of linux/kvmi.h.
 */

#include <kvmi/session.h>
#include <kvmi/vm.h>
#include <kvmi/memory.h>
#include <kvmi/page_access.h>
#include <kvmi/vcpu.h>
#include <kvmi/event.h>
#include <kvmi/batch.h>
#include <kvmi/names.h>

#endif
