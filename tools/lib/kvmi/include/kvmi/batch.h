/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_BATCH_H
#define KVMI_BATCH_H

#include <kvmi/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kvmintro_batch_begin - collect commands instead of sending them
 *
 * Until kvmintro_batch_end() the commands that have no reply data (switches,
 * writes, pauses, set registers) and the answers to events are only collected
 * and return 0. Commands with reply data return -EBUSY. Events can be received
 * as always.
 *
 * Return: 0; -EALREADY inside a batch; -EPERM or -EINVAL if the VMM or the
 * kernel does not let replies be suppressed: use the commands singly then.
 */
int kvmintro_batch_begin(struct kvmintro *k);

/**
 * kvmintro_batch_end - send what was collected, in one go, and wait for its end
 *
 * The kernel answers none of the commands, so their errors are lost unless
 * kvmintro_batch_errors() asked for them: a batch is for commands that cannot
 * fail, or whose effect is looked at afterwards. When it returns, the VM commands
 * are done and the vCPU commands are queued.
 *
 * Return: 0, also if nothing was collected; -EINVAL outside a batch.
 */
int kvmintro_batch_end(struct kvmintro *k);

/**
 * kvmintro_batch_send - send what was collected, in one go, and do not wait
 *
 * The kernel carries it out in the order of the calls, and before whatever is
 * sent afterwards; commands of different vCPUs are not ordered. With one message
 * of the kernel in answer to it, the event that follows, it is the fastest way to
 * deal with an event.
 *
 * Return: 0, also if nothing was collected; -EINVAL outside a batch.
 */
int kvmintro_batch_send(struct kvmintro *k);

/**
 * kvmintro_batch_errors - have the failures of commands in batches reported
 * @report: true from now on, until this is called with false or the connection
 *	    ends; false at its begin
 *
 * Each command that fails in a batch then brings a KVMI_VM_EVENT_CMD_ERROR; see
 * kvmintro_event_error().
 *
 * Return: 0; -EPERM if the VMM did not allow this event; -EINVAL if the kernel
 * has no such reports; -EALREADY in a batch.
 */
int kvmintro_batch_errors(struct kvmintro *k, bool report);

/** kvmintro_batch_cancel - forget what was collected */
void kvmintro_batch_cancel(struct kvmintro *k);

/**
 * kvmintro_control_cmd_response - switch the kernel's replies off and on
 * @enable: 1 or 0
 * @now: 1 to switch before this command's own reply, 0 after it
 * @flags: 0 or, to have the failures of commands reported while replies are off,
 *	   KVMI_CMD_RESPONSE_ERRORS
 *
 * The raw command behind the batches; -EALREADY inside one. While replies are
 * off, commands without reply data return 0 as soon as they are sent, and
 * commands with reply data return -EBUSY.
 *
 * Return: 0; -EPERM if @flags asks for an event that the VMM did not allow:
 * nothing is switched then, which a switch that is not answered cannot tell.
 */
int kvmintro_control_cmd_response(struct kvmintro *k, bool enable, bool now,
				  uint8_t flags);

#ifdef __cplusplus
}
#endif
#endif
