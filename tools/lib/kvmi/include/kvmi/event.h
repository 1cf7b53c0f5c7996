/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVMI_EVENT_H
#define KVMI_EVENT_H

#include <linux/kvmi.h>
#include <kvmi/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** KVMINTRO_EVENT_DATA - bytes of an event's own data that are kept */
#define KVMINTRO_EVENT_DATA 64

/** struct kvmintro_event - an event */
struct kvmintro_event {
	/** @seq: its number, needed for the answer */
	uint32_t seq;
	/** @vcpu: whose event it is, 0 for an event of the VM */
	uint16_t vcpu;
	/** @id: one of &enum kvmi_event_id */
	uint8_t id;
	/** @arch: registers of the vCPU, zeros for an event of the VM */
	struct kvmi_event_arch arch;
	/** @data_size: how much of @data the kernel sent */
	size_t data_size;
	/** @data: the event's own data, zeros where the kernel sent less */
	union {
		/** @cr: KVMI_VCPU_EVENT_CR */
		struct kvmi_vcpu_event_cr cr;
		/** @msr: KVMI_VCPU_EVENT_MSR */
		struct kvmi_vcpu_event_msr msr;
		/** @xsetbv: KVMI_VCPU_EVENT_XSETBV */
		struct kvmi_vcpu_event_xsetbv xsetbv;
		/** @breakpoint: KVMI_VCPU_EVENT_BREAKPOINT */
		struct kvmi_vcpu_event_breakpoint breakpoint;
		/** @pf: KVMI_VCPU_EVENT_PF */
		struct kvmi_vcpu_event_pf pf;
		/** @trap: KVMI_VCPU_EVENT_TRAP */
		struct kvmi_vcpu_event_trap trap;
		/** @descriptor: KVMI_VCPU_EVENT_DESCRIPTOR */
		struct kvmi_vcpu_event_descriptor descriptor;
		/** @singlestep: KVMI_VCPU_EVENT_SINGLESTEP */
		struct kvmi_vcpu_event_singlestep singlestep;
		/** @cpuid: KVMI_VCPU_EVENT_CPUID */
		struct kvmi_vcpu_event_cpuid cpuid;
		/** @cmd_error: KVMI_VM_EVENT_CMD_ERROR */
		struct kvmi_vm_event_cmd_error cmd_error;
		/** @raw: any other, and all of the above */
		uint8_t raw[KVMINTRO_EVENT_DATA];
	} data;
};

/**
 * kvmintro_wait_event - take the next event
 * @timeout: milliseconds; 0 does not wait, -1 waits for ever
 *
 * Events that arrive while a command waits for its answer are kept in order.
 *
 * Return: 1 with an event, 0 if none came in time, or a negative errno.
 */
int kvmintro_wait_event(struct kvmintro *k, int timeout,
			struct kvmintro_event *event);

/** kvmintro_pending_events - number of events that are received and not taken */
size_t kvmintro_pending_events(const struct kvmintro *k);

/** kvmintro_event_needs_reply - does a vCPU stand still until this is answered */
bool kvmintro_event_needs_reply(const struct kvmintro_event *event);

/**
 * kvmintro_reply_event - answer an event
 * @action: one of &enum kvmi_event_action
 * @data: the reply's own data, NULL for none
 * @size: their size in bytes, at most 512
 *
 * An action or data that the event does not have end the connection: the
 * kernel has no other way to refuse an answer, and it sends none.
 *
 * Return: 0; -EINVAL if the event takes no answer or @size is too large.
 */
int kvmintro_reply_event(struct kvmintro *k, const struct kvmintro_event *event,
			 uint8_t action, const void *data, size_t size);

/**
 * kvmintro_continue - answer an event so that nothing changes for the guest
 *
 * CR and MSR events get the value that the guest wanted; a breakpoint that the
 * tool did not set is the guest's own and becomes its exception; the access of a PF
 * event takes place. Events that need no answer get none.
 */
int kvmintro_continue(struct kvmintro *k, const struct kvmintro_event *event);

/**
 * kvmintro_retry - enter the guest again without what the event is about
 *
 * For BREAKPOINT, PF, DESCRIPTOR and CPUID events. The vCPU goes on where
 * kvmintro_set_registers() puts it if that was called, else at the same
 * instruction, which raises the event again unless it was changed.
 *
 * Return: 0; -EINVAL if the event does not have this action.
 */
int kvmintro_retry(struct kvmintro *k, const struct kvmintro_event *event);

/**
 * kvmintro_reply_cr - answer a CR event with the value to be written
 *
 * Return: 0; -EINVAL for another event.
 */
int kvmintro_reply_cr(struct kvmintro *k, const struct kvmintro_event *event,
		      uint64_t value);

/**
 * kvmintro_reply_msr - answer an MSR event with the value to be written
 *
 * The guest gets #GP if the register cannot hold @value.
 *
 * Return: 0; -EINVAL for another event.
 */
int kvmintro_reply_msr(struct kvmintro *k, const struct kvmintro_event *event,
		       uint64_t value);

/** struct kvmintro_pf_reply - how an access goes on; zeros change nothing */
struct kvmintro_pf_reply {
	/** @size: sizeof(struct kvmintro_pf_reply) */
	size_t size;
	/** @ctx_addr: guest virtual address of what is supplied */
	uint64_t ctx_addr;
	/**
	 * @ctx_data: what the instruction shall read there instead of memory. Without
	 * effect, and without an error, on what the processor carries out by itself:
	 * instructions that KVM's emulator lacks, and deliveries of interrupts and
	 * exceptions.
	 */
	const void *ctx_data;
	/** @ctx_size: its size in bytes, at most KVMI_MAX_CTX_DATA; 0: nothing */
	size_t ctx_size;
	/** @rep_complete: no more events of this instruction, with all its repeats */
	bool rep_complete;
};

/**
 * kvmintro_reply_pf - answer a PF event
 * @action: KVMI_EVENT_ACTION_CONTINUE lets this access happen, while the page stays
 *	    restricted; KVMI_EVENT_ACTION_RETRY executes the instruction anew, with the
 *	    registers and rights that were changed meanwhile; KVMI_EVENT_ACTION_CRASH
 *	    stops the guest
 * @reply: for KVMI_EVENT_ACTION_CONTINUE only; may be NULL
 *
 * See &struct kvmi_vcpu_event_pf_reply for what supplied data can do. To continue
 * or to retry without more, kvmintro_continue() and kvmintro_retry() do the same.
 *
 * Return: 0; -EINVAL for another event, an action that there is not, more data than
 * KVMI_MAX_CTX_DATA, data that go beyond the last address, or data or rep_complete
 * with another action. Nothing is sent then, and the vCPU still waits.
 */
int kvmintro_reply_pf(struct kvmintro *k, const struct kvmintro_event *event,
		      uint8_t action, const struct kvmintro_pf_reply *reply);

/**
 * kvmintro_event_error - what a KVMI_VM_EVENT_CMD_ERROR tells
 *
 * Return: the negative errno that the command would have returned if its reply
 * had not been suppressed, and kvmintro_error() explains it; -EINVAL for another
 * event.
 */
int kvmintro_event_error(struct kvmintro *k, const struct kvmintro_event *event);

#ifdef __cplusplus
}
#endif
#endif
