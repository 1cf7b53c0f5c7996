/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVMI_INT_H
#define __KVMI_INT_H

/*
 * KVM introspection, private to virt/kvm/introspection and arch/x86/kvm.
 *
 * Threads
 *
 *   ioctl      hooks, unhooks, allows. Serialized by kvmi->mutex.
 *   receiver   one kthread for each hooked VM. Reads the socket, runs commands of
 *              the VM and queues those of a vCPU. Takes no lock that is held
 *              while somebody waits for it (kvmi->mutex, kvm->lock, vcpu->mutex).
 *   vCPU       runs its jobs, sends its events and waits for their replies. All
 *              introspection state of a vCPU but its job list is its own. While
 *              it waits it reads the socket, see reader.c.
 *
 * Lifetime
 *
 *   kvm->introspection is made by the first HOOK, vcpu->introspection by the
 *   first HOOK or with the vCPU. Both live until the VM or vCPU is destroyed, so
 *   there are no references to count. A session lasts from HOOK until its
 *   receiver has seen the connection end; it is known by its epoch, and what a
 *   vCPU holds for an earlier epoch is void.
 *
 * Lock order
 *
 *   kvmi->mutex -> kvm->lock
 *   kvmi->mutex -> kvmi->rx_mutex -> kvmi->send_mutex -> kvmi->sock_lock
 *   vcpu->mutex -> kvm->srcu -> kvmi->send_mutex
 *   kvmi->rx_mutex -> kvm->srcu
 *   kvmi->sock_lock and vcpui->lock are innermost. A vCPU only tries to get
 *   kvmi->rx_mutex.
 */

#include <linux/kvm_host.h>
#include <linux/kvmi_host.h>
#include <linux/maple_tree.h>
#include <uapi/linux/kvmi.h>
#include <asm/kvmi_host.h>

#include "kvmi_event.h"
#include "kvmi_mem.h"

#define kvmi_warn(kvmi, fmt, ...) \
	pr_warn_ratelimited("kvm: introspection of %pU: " fmt, \
			    &(kvmi)->uuid, ##__VA_ARGS__)

/* Size of the largest message. */
#define KVMI_MAX_MSG		(sizeof(struct kvmi_msg_hdr) + KVMI_MAX_MSG_SIZE)

/* Largest request after the vCPU header, fixed part. */
#define KVMI_MAX_REQ		4096

/* Commands that may wait for one vCPU. */
#define KVMI_MAX_JOBS		64

/* No guest has more than 52 bits of physical address. */
#define KVMI_GFN_BITS		(52 - PAGE_SHIFT)

/**
 * enum kvmi_answer - what a command is answered with
 * @KVMI_ANSWER_REPLY: a reply
 * @KVMI_ANSWER_NONE: nothing, unless the CMD_ERROR event is on
 * @KVMI_ANSWER_ERROR: a CMD_ERROR event if it fails
 */
enum kvmi_answer {
	KVMI_ANSWER_REPLY,
	KVMI_ANSWER_NONE,
	KVMI_ANSWER_ERROR,
};

/**
 * struct kvm_introspection - a VM that was ever hooked
 * @kvm: The VM. Constant.
 * @mutex: Serializes the ioctls.
 * @counted: It counts in kvmi_key: it was hooked. Protected by @mutex.
 * @hooked: Between HOOK and UNHOOK. Protected by @mutex.
 * @receiver: The receiving thread, valid while @hooked. Protected by @mutex.
 * @uuid: Name of the VM in messages. Written by HOOK before the receiver runs.
 * @proc: Its file in /proc, or NULL. Protected by @mutex.
 * @proc_node: In the list of those that have one.
 * @sock_lock: Protects @sock and @epoch.
 * @sock: Connection to the tool, NULL outside a session. Read without the lock
 *	  to learn whether there is a session.
 * @epoch: Number of the session, from 1. Read without the lock by vCPUs.
 * @closing_epoch: The session that somebody has asked to end. Set at any time.
 * @send_mutex: Held for a whole message on its way into @sock.
 * @event_seq: Number of the last event. Protected by @send_mutex.
 * @allowed_commands: What the VMM allows. Written under @mutex, read at any time.
 * @allowed_events: What the VMM allows. Written under @mutex, read at any time.
 * @vm_events: Events of the VM that the tool switched on. Written by HOOK before
 *	       the receiver runs and then by the receiver, read at any time.
 * @page_access: Guest frames that are restricted, with what remains. Written by the
 *		 receiver, read at any time under RCU. Takes its own lock, innermost.
 * @guest_maps: Frames that show pages of other VMs, as &struct kvmi_guest_map. Changed by
 *		the VM's vCPUs and when one of the VMs' slots or sessions end.
 * @mem_lock: Protects @mem.
 * @mem: The VM's memory as others map it, from the first of them on until the session
 *	 ends.
 * @views: Step views in use, a bit each. Changed by vCPUs at any time.
 * @reader: The vCPU that @sock wakes, NULL if it wakes the receiver. A vCPU puts
 *	    itself in place of NULL and takes itself away again; HOOK takes away one
 *	    of the last session. No session outlives a vCPU.
 * @rx_ready: Somebody has to read @sock or @rx. See reader.c.
 * @rx_entry: In the wait queue of @sock, during a session.
 * @rx_wait: Where the receiver sleeps.
 * @rx_mutex: Held by the receiver or a vCPU while it reads messages and runs or
 *	      queues them, one after the other. Keeps @sock from going away and
 *	      protects what follows.
 * @answer: How commands are answered.
 * @rx: What came from the socket, KVMI_MAX_MSG bytes.
 * @rx_pos: Begin of what is unread in @rx.
 * @rx_end: End of what is in @rx.
 * @rx_calls: Commands that ran on the receiver. Read at any time.
 * @rx_seen: Bytes of an event reply that is dealt with, but still in @sock.
 * @req: A request that had to be extended.
 * @tx: Reply being built.
 */
struct kvm_introspection {
	struct kvm *kvm;

	/* Of the ioctls */
	struct mutex mutex;
	bool counted;
	bool hooked;
	struct task_struct *receiver;
	uuid_t uuid;
#ifdef CONFIG_KVM_INTROSPECTION_PROC
	struct proc_dir_entry *proc;
	struct list_head proc_node;
#endif

	/* Of the connection */
	spinlock_t sock_lock;
	struct socket *sock;
	u32 epoch;
	u32 closing_epoch;

	/* Of who has something to send */
	struct mutex send_mutex;
	u32 event_seq;

	DECLARE_BITMAP(allowed_commands, KVMI_NUM_MESSAGES);
	DECLARE_BITMAP(allowed_events, KVMI_NUM_EVENTS);
	DECLARE_BITMAP(vm_events, KVMI_NUM_EVENTS);
	struct maple_tree page_access;
	struct xarray guest_maps;
	/* Of who maps memory */
	struct mutex mem_lock;
	struct kvmi_mem *mem;
	unsigned long views;

	/* Of who reads */
	struct kvm_vcpu *reader;
	bool rx_ready;
	struct wait_queue_entry rx_entry;
	struct rcuwait rx_wait;
	/* Held while reading */
	struct mutex rx_mutex;
	enum kvmi_answer answer;
	void *rx;
	size_t rx_pos;
	size_t rx_end;
	size_t rx_seen;
	u32 rx_calls;
	void *req;
	void *tx;
};

/**
 * struct kvm_vcpu_introspection - a vCPU of a VM that was ever hooked
 * @lock: Protects @jobs, @nr_jobs, @reply_queued and @pause_requests.
 * @reply_job: What an event reply is queued as; there is one at most. Of who holds
 *	       kvmi->rx_mutex while @reply_queued is false, else the vCPU's.
 * @jobs: Commands and the event reply for this vCPU. Added under kvmi->rx_mutex,
 *	  taken by the vCPU, purged by the receiver when the session ends.
 * @nr_jobs: Commands in @jobs.
 * @reply_queued: An event reply is in @jobs.
 * @pause_requests: PAUSE events to send. Added by the receiver.
 * @wait: Where the vCPU waits for an event reply. Not KVM's own, on which a vCPU
 *	  counts as blocked. Also used by the socket, see kvmi->reader.
 * @created_in: Epoch in which a CREATE event is to be sent, or 0.
 * @epoch: Session that the fields below belong to. vCPU thread only, as they.
 * @events: Events that the tool switched on.
 * @event: The event under way.
 * @kept: An answered event whose instruction has to execute again.
 * @may_read: It may be the reader while it waits for the reply to @event.
 * @rx_calls: kvmi->rx_calls when @event was sent.
 * @crash: Leave to userspace with KVM_EXIT_SHUTDOWN.
 * @set_regs: Write @regs before the guest is entered.
 * @regs_rip: RIP of the event that @regs belong to.
 * @regs: General registers to write.
 * @tx: Message being built.
 * @arch: The architecture's part.
 */
struct kvm_vcpu_introspection {
	/* Between who reads and the vCPU */
	spinlock_t lock;
	struct list_head jobs;
	unsigned int nr_jobs;
	struct kvmi_job *reply_job;
	bool reply_queued;
	unsigned int pause_requests;
	struct rcuwait wait;
	u32 created_in;

	u32 epoch;
	DECLARE_BITMAP(events, KVMI_NUM_EVENTS);
	struct kvmi_pending_event event;
	struct kvmi_pending_event kept;
	bool may_read;
	u32 rx_calls;
	bool crash;
	bool set_regs;
	unsigned long regs_rip;
	struct kvm_regs regs;
	void *tx;
	struct kvmi_vcpu_arch arch;
};

/**
 * struct kvmi_call - a command while it runs
 * @kvm: The VM.
 * @vcpu: Target of a vCPU command, else NULL. The current thread's own, except
 *	  for a command that runs on the receiver.
 * @req: The request after the vCPU header, zero extended to the structure's size,
 *	 permission, padding and vCPU already checked.
 * @req_size: Bytes received of @req.
 * @rpl: Room for the reply after the error code, zeroed as far as the reply has a
 *	 fixed size, KVMI_MAX_REPLY in all.
 * @rpl_size: Preset to the fixed size; to be set if the size depends on @req.
 * @answer: How it is answered.
 */
struct kvmi_call {
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	const void *req;
	size_t req_size;
	void *rpl;
	size_t rpl_size;
	enum kvmi_answer answer;
};

#define KVMI_MAX_REPLY	(KVMI_MAX_MSG_SIZE - sizeof(struct kvmi_error_code))

enum kvmi_command_scope {
	KVMI_SCOPE_VM,			/* runs on the receiver */
	KVMI_SCOPE_VCPU_RECEIVER,	/* about a vCPU, runs on the receiver */
	KVMI_SCOPE_VCPU,		/* runs on the vCPU */
};

/**
 * struct kvmi_command - a row of the command table
 * @name: Name of the id.
 * @handler: Returns 0 or the negative of a KVM_E* value; either is the reply,
 *	     whatever it is, and the connection goes on.
 * @scope: Where it runs.
 * @always: Allowed without the VMM.
 * @needs_vcpu: For a command of the VM: true if it must run on a vCPU of this VM.
 *		NULL if it never does.
 * @req_size: Size of the request after the vCPU header, fixed part.
 * @req_pad: Bytes of the request that must be 0, a bit each.
 * @rpl_size: Size of the reply after the error code, fixed part.
 */
struct kvmi_command {
	const char *name;
	int (*handler)(struct kvmi_call *call);
	enum kvmi_command_scope scope;
	bool always;
	bool (*needs_vcpu)(struct kvm *kvm);
	u16 req_size;
	u64 req_pad;
	u16 rpl_size;
};

/**
 * struct kvmi_event_desc - a row of the event table
 * @name: Name of the id.
 * @data_size: Size of the event's own data.
 * @reply_size: Size of the reply's own data, at most.
 * @actions: Legal actions, a bit each.
 * @of_vm: Switched with KVMI_VM_CONTROL_EVENTS, else KVMI_VCPU_CONTROL_EVENTS.
 * @reply_is_valid: False if the reply's own data, zero extended, cannot be meant.
 *		    NULL if any can.
 * @of_run_loop: Raised between two entries of the guest and not by an instruction
 *		 that executes again after an interrupted wait.
 *
 * If the tool is gone, the guest goes on as if there was no event.
 */
struct kvmi_event_desc {
	const char *name;
	u16 data_size;
	u16 reply_size;
	u8 actions;
	bool of_vm;
	bool (*reply_is_valid)(const void *reply);
	bool of_run_loop;
};

/* main.c */
int kvmi_hook(struct kvm *kvm, const struct kvm_introspection_hook *hook);
void kvmi_unhook(struct kvm *kvm);
bool kvmi_vm_supported(struct kvm *kvm);
struct kvm_introspection *kvmi_get_or_alloc(struct kvm *kvm);

/* policy.c */
void kvmi_policy_reset(struct kvm_introspection *kvmi);
int kvmi_policy_command(struct kvm_introspection *kvmi, u32 allow, s32 id);
int kvmi_policy_event(struct kvm_introspection *kvmi, u32 allow, s32 id);

static inline bool kvmi_command_allowed(struct kvm_introspection *kvmi, u16 id)
{
	return test_bit(id, kvmi->allowed_commands);
}

static inline bool kvmi_event_allowed(struct kvm_introspection *kvmi, u16 id)
{
	return test_bit(id, kvmi->allowed_events);
}

/* commands.c, events.c */
bool kvmi_tables_are_sound(void);
bool kvmi_events_are_sound(void);
const struct kvmi_command *kvmi_find_command(u16 id);
const struct kvmi_event_desc *kvmi_find_event(u16 id);

/* job.c */
int kvmi_queue_command(struct kvm_vcpu *vcpu, const struct kvmi_command *cmd,
		       const struct kvmi_msg_hdr *hdr, const void *req,
		       size_t size, enum kvmi_answer answer);
int kvmi_queue_reply(struct kvm_vcpu *vcpu, const struct kvmi_msg_hdr *hdr,
		     const void *reply, size_t size);
struct kvmi_job *kvmi_alloc_reply_job(void);
bool kvmi_take_pause(struct kvm_vcpu *vcpu);
void kvmi_run_jobs(struct kvm_vcpu *vcpu);
void kvmi_vcpu_apply_regs(struct kvm_vcpu *vcpu);
bool kvmi_has_jobs(struct kvm_vcpu *vcpu);
void kvmi_purge_jobs(struct kvm_vcpu *vcpu);
void kvmi_kick(struct kvm_vcpu *vcpu);

/* event.c */
int kvmi_vcpu_event(struct kvm_vcpu *vcpu, u8 id, const void *data, void *reply);
int kvmi_vcpu_event_wait(struct kvm_vcpu *vcpu);
void kvmi_vcpu_event_forget(struct kvm_vcpu *vcpu);
void kvmi_vcpu_event_resume(struct kvm_vcpu *vcpu);
void kvmi_vcpu_event_discard(struct kvm_vcpu *vcpu);
void kvmi_vcpu_event_reply(struct kvm_vcpu *vcpu, const struct kvmi_msg_hdr *hdr,
			   const void *reply, size_t size);
bool kvmi_vcpu_event_enabled(struct kvm_vcpu *vcpu, u8 id);
int kvmi_vm_event(struct kvm_introspection *kvmi, u8 id);
void kvmi_vm_event_cmd_error(struct kvm_introspection *kvmi, u32 epoch,
			     const struct kvmi_msg_hdr *cmd, int err, void *tx);

/* vcpu.c */
bool kvmi_vcpu_in_session(struct kvm_vcpu *vcpu);
int kvmi_vcpu_alloc(struct kvm_vcpu *vcpu);

/* Per architecture: arch/x86/kvm/kvmi.c */
bool kvmi_arch_vm_supported(struct kvm *kvm);
void kvmi_arch_vcpu_reset(struct kvm_vcpu *vcpu);
void kvmi_arch_vcpu_destroy(struct kvm_vcpu *vcpu);
int kvmi_arch_enable_event(struct kvm_vcpu *vcpu, u16 id);
bool kvmi_arch_run_loop_event(struct kvm_vcpu *vcpu, u8 *id, void *data);
int kvmi_arch_pre_run(struct kvm_vcpu *vcpu);
void kvmi_arch_end_entry(struct kvm_vcpu *vcpu);
void kvmi_arch_fill_event(struct kvm_vcpu *vcpu, struct kvmi_event_arch *arch);
void kvmi_arch_fill_features(struct kvmi_features *features);
void kvmi_arch_get_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs);
void kvmi_arch_set_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs);
unsigned long kvmi_arch_rip(struct kvm_vcpu *vcpu);
bool kvmi_arch_in_step_view(struct kvm_vcpu *vcpu);
void kvmi_arch_guest_was_stopped(struct kvm_vcpu *vcpu);

/* KVM has memory of its own in the guest's address space. */
static inline bool kvmi_is_guest_memory(const struct kvm_memory_slot *slot)
{
	return slot && slot->id < KVM_USER_MEM_SLOTS;
}

/* vm_info.c */
struct kvm_memory_slot *kvmi_find_slot(struct kvm *kvm, gfn_t gfn);

/* vm_memory.c */
struct kvm_memory_slot *kvmi_find_page(struct kvm *kvm, gfn_t gfn, bool write);
bool kvmi_write_needs_vcpu(struct kvm *kvm);

#include "kvmi_commands.h"
#include "kvmi_page_access.h"
#include "kvmi_stream.h"

#endif /* __KVMI_INT_H */
