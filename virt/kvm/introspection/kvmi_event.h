/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVMI_EVENT_H
#define __KVMI_EVENT_H

/* An event under way. Included by kvmi_int.h. */

/* Largest event and event reply, without what all of them begin with. */
#define KVMI_MAX_EVENT_DATA	32
#define KVMI_MAX_EVENT_REPLY	272

/**
 * enum kvmi_event_state - of the event that a vCPU sent last
 * @KVMI_EVENT_NONE: none, or answered and dealt with
 * @KVMI_EVENT_SENT: sent, the vCPU waits, or will when it runs again
 * @KVMI_EVENT_REPLIED: answered
 *
 *   NONE --sent--> SENT --reply--> REPLIED --taken by its sender--> NONE
 *                   |                 |
 *                   |                 +--its sender left on a signal--> kept
 *                   +--session ends--> NONE
 *
 * A reply that is kept waits in @kept of &struct kvm_vcpu_introspection for the
 * instruction to execute again and raise the same event.
 */
enum kvmi_event_state {
	KVMI_EVENT_NONE,
	KVMI_EVENT_SENT,
	KVMI_EVENT_REPLIED,
};

/**
 * struct kvmi_pending_event - an event and its reply
 * @state: How far it is.
 * @seq: Its number.
 * @id: Which event.
 * @discard: The reply comes too late to be of use.
 * @set_regs: @regs are to be written when the event is done.
 * @action: Reply, valid in KVMI_EVENT_REPLIED.
 * @at: General registers where it happened. With @id and @data they tell whether
 *	an instruction that executes again raises the same event.
 * @data: The event's own data.
 * @reply: The reply's own data, zero extended.
 * @regs: Last general registers that the tool sent, valid with @set_regs.
 */
struct kvmi_pending_event {
	enum kvmi_event_state state;
	u32 seq;
	u8 id;
	bool discard;
	bool set_regs;
	u8 action;
	struct kvm_regs at;
	u8 data[KVMI_MAX_EVENT_DATA] __aligned(8);
	u8 reply[KVMI_MAX_EVENT_REPLY] __aligned(8);
	struct kvm_regs regs;
};

#endif /* __KVMI_EVENT_H */
