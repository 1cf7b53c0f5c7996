/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI__LINUX_KVMI_H
#define _UAPI__LINUX_KVMI_H

/**
 * DOC: KVM introspection wire protocol
 *
 * One connected stream socket per VM joins KVM and the introspection tool.
 * Byte order is the host's, structures have natural alignment and no holes.
 *
 * The tool sends commands and event replies, KVM sends command replies and
 * events. Each message is a &struct kvmi_msg_hdr and @size bytes after it.
 * A command reply repeats the @id and @seq of its command and begins with a
 * &struct kvmi_error_code. Nothing follows an error other than 0.
 *
 * A message about one vCPU begins with a &struct kvmi_vcpu_hdr.
 *
 * A command that is shorter than its structure is read as if zeros followed;
 * bytes after the structure are ignored. Padding must be zero, or the command
 * is answered with -KVM_EINVAL. A message of more than KVMI_MAX_MSG_SIZE bytes
 * and an event reply that does not fit its event close the connection.
 *
 * Meaning of the error codes that every command can return:
 *
 * * -KVM_ENOSYS: the command is not known to this kernel.
 * * -KVM_EPERM: the VMM did not allow this command or event.
 * * -KVM_EINVAL: a field or padding is wrong, or no such vCPU exists.
 * * -KVM_EBUSY: too many commands wait for this vCPU.
 * * -KVM_EOPNOTSUPP: the VM's memory or state is protected from the host.
 * * -KVM_ENOMEM: not enough memory.
 */

/**
 * DOC: Changelog
 *
 * * version 1: first version.
 */

#include <linux/types.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <asm/kvmi.h>

/* Error codes that kvm_para.h lacks. */
#define KVM_ENOENT	2
#define KVM_EAGAIN	11
#define KVM_ENOMEM	12
#define KVM_EBUSY	16

/* What KVM_CHECK_EXTENSION(KVM_CAP_INTROSPECTION) and GET_VERSION return. */
#define KVMI_VERSION	1

/* Largest number of bytes after a &struct kvmi_msg_hdr. */
#define KVMI_MAX_MSG_SIZE	(4096 * 2 - sizeof(struct kvmi_msg_hdr))

/**
 * enum kvmi_message_id - what a message is
 *
 * Ids not listed are unknown and are answered with -KVM_ENOSYS. New commands
 * take ids from 80.
 *
 * @KVMI_VCPU_EVENT_REPLY: tool to KVM, answer to an event of a vCPU
 * @KVMI_EVENT: KVM to tool, an event
 * @KVMI_GET_VERSION: protocol version and features; always allowed
 * @KVMI_VM_CHECK_COMMAND: may this command be used; always allowed
 * @KVMI_VM_CHECK_EVENT: may this event be used; always allowed
 * @KVMI_VM_GET_INFO: number of vCPUs
 * @KVMI_VCPU_GET_INFO: TSC frequency
 * @KVMI_VCPU_PAUSE: stop a vCPU with a PAUSE event
 * @KVMI_VM_CONTROL_EVENTS: switch events of the VM
 * @KVMI_VCPU_CONTROL_EVENTS: switch events of a vCPU
 * @KVMI_VCPU_CONTROL_CR: select control registers for the CR event
 * @KVMI_VCPU_CONTROL_MSR: select a model specific register for the MSR event
 * @KVMI_VCPU_GET_REGISTERS: read general, special and model specific registers
 * @KVMI_VCPU_SET_REGISTERS: write the general registers
 * @KVMI_VCPU_GET_CPUID: read a CPUID leaf of the guest
 * @KVMI_VCPU_GET_XSAVE: read the vCPU's extended state
 * @KVMI_VM_READ_PHYSICAL: read guest memory
 * @KVMI_VM_WRITE_PHYSICAL: write guest memory
 * @KVMI_VCPU_INJECT_EXCEPTION: raise an exception in the guest
 * @KVMI_VM_GET_PAGE_ACCESS: what the guest may do with pages
 * @KVMI_VM_SET_PAGE_ACCESS: restrict what the guest may do with pages
 * @KVMI_VM_GET_MAP_TOKEN: a token for which the VM's memory can be mapped
 * @KVMI_VCPU_GET_MTRR_TYPE: memory type that the guest's MTRRs give an address
 * @KVMI_VM_CONTROL_CMD_RESPONSE: switch command replies off and on
 * @KVMI_VM_GET_MAX_GFN: end of guest memory
 * @KVMI_VCPU_TRANSLATE_GVA: guest virtual to guest physical address
 * @KVMI_VCPU_GET_XCR: read an extended control register
 * @KVMI_VCPU_SET_XSAVE: write the vCPU's extended state
 * @KVMI_VM_QUERY_PHYSICAL: memory range around a guest frame
 * @KVMI_VCPU_CONTROL_SINGLESTEP: stop a vCPU after each instruction
 * @KVMI_VM_SET_PAGE_ACCESS_RANGES: the same for ranges of pages
 * @KVMI_NUM_MESSAGES: upper bound of all ids, present and future
 */
enum kvmi_message_id {
	KVMI_VCPU_EVENT_REPLY		= 0,
	KVMI_EVENT			= 1,

	KVMI_GET_VERSION		= 2,
	KVMI_VM_CHECK_COMMAND		= 3,
	KVMI_VM_CHECK_EVENT		= 4,
	KVMI_VM_GET_INFO		= 5,
	KVMI_VCPU_GET_INFO		= 6,
	KVMI_VCPU_PAUSE			= 7,
	KVMI_VM_CONTROL_EVENTS		= 8,
	KVMI_VCPU_CONTROL_EVENTS	= 9,
	KVMI_VCPU_CONTROL_CR		= 10,
	KVMI_VCPU_CONTROL_MSR		= 11,
	KVMI_VCPU_GET_REGISTERS		= 13,
	KVMI_VCPU_SET_REGISTERS		= 14,
	KVMI_VCPU_GET_CPUID		= 15,
	KVMI_VCPU_GET_XSAVE		= 16,
	KVMI_VM_READ_PHYSICAL		= 17,
	KVMI_VM_WRITE_PHYSICAL		= 18,
	KVMI_VCPU_INJECT_EXCEPTION	= 19,
	KVMI_VM_GET_PAGE_ACCESS		= 20,
	KVMI_VM_SET_PAGE_ACCESS		= 21,
	KVMI_VM_GET_MAP_TOKEN		= 22,
	KVMI_VCPU_GET_MTRR_TYPE		= 23,
	KVMI_VM_CONTROL_CMD_RESPONSE	= 27,
	KVMI_VM_GET_MAX_GFN		= 29,
	KVMI_VCPU_TRANSLATE_GVA		= 35,
	KVMI_VCPU_GET_XCR		= 37,
	KVMI_VCPU_SET_XSAVE		= 38,
	KVMI_VM_QUERY_PHYSICAL		= 39,
	KVMI_VCPU_CONTROL_SINGLESTEP	= 63,
	KVMI_VM_SET_PAGE_ACCESS_RANGES	= 80,

	KVMI_NUM_MESSAGES		= 128
};

/**
 * enum kvmi_event_id - what an event is about
 *
 * @KVMI_VM_EVENT_UNHOOK: the VMM asks the tool to leave; no reply
 * @KVMI_VCPU_EVENT_CR: the guest writes a control register
 * @KVMI_VCPU_EVENT_MSR: the guest writes a model specific register
 * @KVMI_VCPU_EVENT_XSETBV: the guest writes an extended control register
 * @KVMI_VCPU_EVENT_BREAKPOINT: the guest executes a breakpoint
 * @KVMI_VCPU_EVENT_HYPERCALL: the guest calls the tool
 * @KVMI_VCPU_EVENT_PF: the guest touches a restricted page
 * @KVMI_VCPU_EVENT_TRAP: what became of an injected exception
 * @KVMI_VCPU_EVENT_DESCRIPTOR: the guest uses a descriptor table register
 * @KVMI_VCPU_EVENT_CREATE: a new vCPU is about to run
 * @KVMI_VCPU_EVENT_PAUSE: answer to KVMI_VCPU_PAUSE
 * @KVMI_VCPU_EVENT_SINGLESTEP: the guest executed one instruction
 * @KVMI_VM_EVENT_CMD_ERROR: a command without reply failed
 * @KVMI_VCPU_EVENT_CPUID: the guest executes CPUID
 * @KVMI_NUM_EVENTS: upper bound of the ids
 */
enum kvmi_event_id {
	KVMI_VM_EVENT_UNHOOK		= 0,
	KVMI_VCPU_EVENT_CR		= 1,
	KVMI_VCPU_EVENT_MSR		= 2,
	KVMI_VCPU_EVENT_XSETBV		= 3,
	KVMI_VCPU_EVENT_BREAKPOINT	= 4,
	KVMI_VCPU_EVENT_HYPERCALL	= 5,
	KVMI_VCPU_EVENT_PF		= 6,
	KVMI_VCPU_EVENT_TRAP		= 7,
	KVMI_VCPU_EVENT_DESCRIPTOR	= 8,
	KVMI_VCPU_EVENT_CREATE		= 9,
	KVMI_VCPU_EVENT_PAUSE		= 10,
	KVMI_VCPU_EVENT_SINGLESTEP	= 11,
	KVMI_VM_EVENT_CMD_ERROR		= 12,
	KVMI_VCPU_EVENT_CPUID		= 13,

	KVMI_NUM_EVENTS			= 14
};

/**
 * enum kvmi_event_action - what shall happen after an event
 *
 * @KVMI_EVENT_ACTION_CONTINUE: let the guest's action take place
 * @KVMI_EVENT_ACTION_RETRY: enter the guest again without it
 * @KVMI_EVENT_ACTION_CRASH: stop the guest; KVM_RUN returns KVM_EXIT_SHUTDOWN
 */
enum kvmi_event_action {
	KVMI_EVENT_ACTION_CONTINUE	= 0,
	KVMI_EVENT_ACTION_RETRY		= 1,
	KVMI_EVENT_ACTION_CRASH		= 2
};

/**
 * struct kvmi_msg_hdr - begin of every message
 * @id: one of &enum kvmi_message_id
 * @size: number of bytes after this header
 * @seq: a command's number, chosen by the tool, or an event's, which grows by
 *       one with each event of the VM and starts at 1
 */
struct kvmi_msg_hdr {
	__u16 id;
	__u16 size;
	__u32 seq;
};

/**
 * struct kvmi_error_code - begin of every command reply
 * @err: 0 or the negative of a KVM_E* value
 * @padding: 0
 */
struct kvmi_error_code {
	__s32 err;
	__u32 padding;
};

/**
 * struct kvmi_vcpu_hdr - begin of a vCPU command and of an event reply
 * @vcpu: index of the vCPU, in the order in which the VMM created them
 * @padding1: 0
 * @padding2: 0
 */
struct kvmi_vcpu_hdr {
	__u16 vcpu;
	__u16 padding1;
	__u32 padding2;
};

/**
 * struct kvmi_features - what the host offers
 * @spp: 1 if sub-page write protection can be used
 * @vmfunc: 1 if the guest can execute VMFUNC
 * @eptp: 1 if the guest can switch views
 * @ve: 1 if virtualization exceptions can be used
 * @singlestep: 1 if a vCPU can be single-stepped
 * @descriptor: 1 if the use of descriptor table registers can be reported
 * @page_access: one of &enum kvmi_page_access_feature, joined
 * @padding: 0
 */
struct kvmi_features {
	__u8 spp;
	__u8 vmfunc;
	__u8 eptp;
	__u8 ve;
	__u8 singlestep;
	__u8 descriptor;
	__u8 page_access;
	__u8 padding;
};

/**
 * enum kvmi_page_access_feature - how the access to pages can be restricted
 *
 * @KVMI_PAGE_ACCESS_RESTRICTED: it can be restricted at all
 * @KVMI_PAGE_ACCESS_NONE: every access can be taken away
 * @KVMI_PAGE_ACCESS_EXEC_ONLY: a page can be left executable but not readable
 * @KVMI_PAGE_ACCESS_WALKS_WRITE: the processor walks the guest's page tables with
 *	write accesses, so that each walk through a page table that may not be written
 *	costs an exit; no event is sent for them
 */
enum kvmi_page_access_feature {
	KVMI_PAGE_ACCESS_RESTRICTED	= 1,
	KVMI_PAGE_ACCESS_NONE		= 2,
	KVMI_PAGE_ACCESS_EXEC_ONLY	= 4,
	KVMI_PAGE_ACCESS_WALKS_WRITE	= 8
};

/**
 * struct kvmi_get_version_reply - reply to KVMI_GET_VERSION
 * @version: KVMI_VERSION
 * @padding: 0
 * @features: what the host offers
 */
struct kvmi_get_version_reply {
	__u32 version;
	__u32 padding;
	struct kvmi_features features;
};

/**
 * struct kvmi_vm_check_command - KVMI_VM_CHECK_COMMAND
 * @id: the command in question
 * @padding1: 0
 * @padding2: 0
 *
 * The reply is an error code only: 0 if the command may be used, -KVM_EINVAL if
 * this kernel does not have it, -KVM_EPERM if the VMM did not allow it.
 */
struct kvmi_vm_check_command {
	__u16 id;
	__u16 padding1;
	__u32 padding2;
};

/**
 * struct kvmi_vm_check_event - KVMI_VM_CHECK_EVENT
 * @id: the event in question
 * @padding1: 0
 * @padding2: 0
 *
 * The reply is an error code only: 0 if the event may be used, -KVM_EINVAL if
 * there is no such event, -KVM_EPERM if the VMM did not allow it.
 */
struct kvmi_vm_check_event {
	__u16 id;
	__u16 padding1;
	__u32 padding2;
};

/**
 * struct kvmi_vm_get_info_reply - reply to KVMI_VM_GET_INFO
 * @vcpu_count: number of vCPUs that exist
 * @padding: 0
 */
struct kvmi_vm_get_info_reply {
	__u32 vcpu_count;
	__u32 padding[3];
};

/**
 * struct kvmi_vm_get_max_gfn_reply - reply to KVMI_VM_GET_MAX_GFN
 * @gfn: the frame after the last frame of writable guest memory
 */
struct kvmi_vm_get_max_gfn_reply {
	__u64 gfn;
};

/**
 * struct kvmi_vm_query_physical - KVMI_VM_QUERY_PHYSICAL
 * @gfn: a guest frame number
 *
 * Errors: -KVM_EINVAL if @gfn is beyond every possible guest frame, -KVM_ENOENT
 * if no memory is there.
 */
struct kvmi_vm_query_physical {
	__u64 gfn;
};

/**
 * struct kvmi_vm_query_physical_reply - reply to KVMI_VM_QUERY_PHYSICAL
 * @gfn: first frame of the memory slot that holds the frame asked for
 * @size: length of that slot in pages
 */
struct kvmi_vm_query_physical_reply {
	__u64 gfn;
	__u64 size;
};

/**
 * struct kvmi_vm_control_events - KVMI_VM_CONTROL_EVENTS
 * @event_id: KVMI_VM_EVENT_UNHOOK, KVMI_VM_EVENT_CMD_ERROR or KVMI_VCPU_EVENT_CREATE
 * @enable: 1 to switch the event on, 0 to switch it off
 * @padding1: 0
 * @padding2: 0
 *
 * Errors: -KVM_EINVAL for any other event, -KVM_EPERM if the VMM did not allow
 * the event.
 */
struct kvmi_vm_control_events {
	__u16 event_id;
	__u8 enable;
	__u8 padding1;
	__u32 padding2;
};

/**
 * struct kvmi_vcpu_control_events - KVMI_VCPU_CONTROL_EVENTS
 * @event_id: an event of a vCPU
 * @enable: 1 to switch the event on, 0 to switch it off
 * @padding1: 0
 * @padding2: 0
 *
 * Every event of a vCPU but KVMI_VCPU_EVENT_CREATE can be switched. PAUSE, TRAP
 * and SINGLESTEP events are sent regardless of this switch.
 *
 * Errors: -KVM_EINVAL for any other event, -KVM_EPERM if the VMM did not allow
 * the event, -KVM_EBUSY for KVMI_VCPU_EVENT_BREAKPOINT while the VMM takes this
 * vCPU's breakpoints with KVM_SET_GUEST_DEBUG.
 */
struct kvmi_vcpu_control_events {
	__u16 event_id;
	__u8 enable;
	__u8 padding1;
	__u32 padding2;
};

/**
 * struct kvmi_vm_control_cmd_response - KVMI_VM_CONTROL_CMD_RESPONSE
 * @enable: 1 to switch command replies on, 0 to switch them off
 * @now: 1 to switch before this command is answered, 0 to switch after it
 * @flags: 0 or KVMI_CMD_RESPONSE_ERRORS
 * @padding1: 0
 * @padding2: 0
 *
 * Replies are on when a VM gets hooked. While they are off, no command is
 * answered, whatever its outcome. A vCPU command follows the state at the time
 * it was received. Events and event replies are not affected.
 *
 * With KVMI_CMD_RESPONSE_ERRORS, a failure of a command that is not answered is
 * reported with KVMI_VM_EVENT_CMD_ERROR, until this command is used again.
 *
 * Errors: -KVM_EINVAL if @enable or @now is more than 1 or @flags has another bit,
 * -KVM_EPERM if errors shall be reported and the VMM did not allow the event.
 */
struct kvmi_vm_control_cmd_response {
	__u8 enable;
	__u8 now;
	__u8 flags;
	__u8 padding1;
	__u32 padding2;
};

/* Report failures of commands that are not answered. */
#define KVMI_CMD_RESPONSE_ERRORS	1

/**
 * struct kvmi_vm_event_cmd_error - data of KVMI_VM_EVENT_CMD_ERROR
 * @err: the negative of a KVM_E* value
 * @msg_seq: number of the command
 * @msg_id: the command
 * @padding: 0
 *
 * Sent in place of a reply with an error while replies are switched off, if the
 * tool asked for it with KVMI_CMD_RESPONSE_ERRORS, or switched the event on. Has
 * no reply.
 */
struct kvmi_vm_event_cmd_error {
	__s32 err;
	__u32 msg_seq;
	__u16 msg_id;
	__u16 padding[3];
};

/**
 * struct kvmi_vm_read_physical - KVMI_VM_READ_PHYSICAL
 * @gpa: guest physical address
 * @size: number of bytes, from 1 to the end of the page
 *
 * The reply is @size bytes of data.
 *
 * Errors: -KVM_EINVAL for a size of 0 or a range that leaves its page,
 * -KVM_ENOENT if no memory is there.
 */
struct kvmi_vm_read_physical {
	__u64 gpa;
	__u64 size;
};

/**
 * struct kvmi_vm_write_physical - KVMI_VM_WRITE_PHYSICAL
 * @gpa: guest physical address
 * @size: number of bytes, from 1 to the end of the page
 * @data: what to write
 *
 * The write is recorded in the dirty log. A VM with a dirty ring writes on its
 * first vCPU, so that the command is done when that vCPU runs next.
 *
 * Errors: -KVM_EINVAL for a size of 0, a range that leaves its page or a
 * message that holds fewer than @size bytes of data, -KVM_ENOENT if no writable
 * memory is there. With a dirty ring, also -KVM_EAGAIN if the VM has no vCPU yet
 * or the ring is full and the VMM has to empty it.
 */
struct kvmi_vm_write_physical {
	__u64 gpa;
	__u64 size;
	__u8 data[];
};

/**
 * struct kvmi_map_mem_token - the right to map memory of a VM
 * @token: 256 random bits
 *
 * Whoever has it can use it, once, within KVMI_MAP_TOKEN_SECONDS and as long as the
 * session lasts in which it was made.
 */
struct kvmi_map_mem_token {
	__u64 token[4];
};

/* For how long a token can be used. */
#define KVMI_MAP_TOKEN_SECONDS	3

/* How many tokens of a VM that can be used there are at most. */
#define KVMI_MAX_MAP_TOKENS	8

/**
 * struct kvmi_vm_get_map_token_reply - reply to KVMI_VM_GET_MAP_TOKEN
 * @token: the token
 *
 * It is for one page that another VM maps (see linux/kvmmem.h) or for one file that
 * shows the VM's memory on the host (KVMI_MEM_OPEN). What is mapped that way can be
 * written if the VMM allows KVMI_VM_WRITE_PHYSICAL, and is taken away when the session
 * ends.
 *
 * Errors: -KVM_EPERM if the VMM does not allow KVMI_VM_READ_PHYSICAL, -KVM_EAGAIN if
 * KVMI_MAX_MAP_TOKENS tokens wait to be used.
 */
struct kvmi_vm_get_map_token_reply {
	struct kvmi_map_mem_token token;
};

/**
 * enum kvmi_page_access - what may be done with a page, joined
 *
 * @KVMI_PAGE_ACCESS_R: read
 * @KVMI_PAGE_ACCESS_W: write
 * @KVMI_PAGE_ACCESS_X: execute
 *
 * No processor knows pages that can be written but not read: W needs R.
 */
enum kvmi_page_access {
	KVMI_PAGE_ACCESS_R	= 1,
	KVMI_PAGE_ACCESS_W	= 2,
	KVMI_PAGE_ACCESS_X	= 4
};

/**
 * struct kvmi_page_access_entry - the access to one page
 * @gpa: a guest physical address in the page
 * @access: what remains, of &enum kvmi_page_access
 * @padding1: 0
 * @padding2: 0
 * @padding3: 0
 */
struct kvmi_page_access_entry {
	__u64 gpa;
	__u8 access;
	__u8 padding1;
	__u16 padding2;
	__u32 padding3;
};

/**
 * struct kvmi_vm_set_page_access - KVMI_VM_SET_PAGE_ACCESS
 * @view: 0
 * @count: number of entries, KVMI_MAX_PAGE_ACCESS_ENTRIES at most
 * @padding: 0
 * @entries: the pages
 *
 * Restricts what the guest can do with pages, on all its vCPUs, until that is
 * changed or the tool leaves. When the command is answered, no vCPU has an older
 * right to these pages, but for an access that KVM was emulating meanwhile. An access
 * that is left out raises KVMI_VCPU_EVENT_PF on vCPUs
 * that have that event switched on and takes place on others. A page need not exist:
 * what is asked for a frame number holds for whatever memory the VMM puts there.
 *
 * Every entry that is sound is applied, whatever the others are; the error is that
 * of the first which is not: -KVM_EINVAL for an access that includes W without R or
 * unknown bits, for padding and for an address beyond every possible guest frame,
 * -KVM_EOPNOTSUPP for an access that this processor cannot grant alone (see &struct
 * kvmi_features). Nothing is applied if the message holds fewer than @count entries
 * (-KVM_EINVAL), @view is not 0 or KVM shadows the guest's page tables
 * (-KVM_EOPNOTSUPP).
 */
struct kvmi_vm_set_page_access {
	__u16 view;
	__u16 count;
	__u32 padding;
	struct kvmi_page_access_entry entries[];
};

#define KVMI_MAX_PAGE_ACCESS_ENTRIES	511

/**
 * struct kvmi_vm_get_page_access - KVMI_VM_GET_PAGE_ACCESS
 * @view: 0
 * @count: number of addresses, KVMI_MAX_PAGE_ACCESS_ADDRESSES at most
 * @padding: 0
 * @gpa: a guest physical address in each page
 *
 * The reply is @count bytes, a set of &enum kvmi_page_access each; a page that
 * nobody restricts has all.
 *
 * Errors: as KVMI_VM_SET_PAGE_ACCESS for the whole message, -KVM_EINVAL for an address
 * beyond every possible guest frame.
 */
struct kvmi_vm_get_page_access {
	__u16 view;
	__u16 count;
	__u32 padding;
	__u64 gpa[];
};

#define KVMI_MAX_PAGE_ACCESS_ADDRESSES	1022

/**
 * struct kvmi_page_access_range - the access to pages that follow each other
 * @gfn: first guest frame number
 * @nr_pages: how many, at least 1
 * @access: what remains, of &enum kvmi_page_access
 * @padding1: 0
 * @padding2: 0
 * @padding3: 0
 */
struct kvmi_page_access_range {
	__u64 gfn;
	__u64 nr_pages;
	__u8 access;
	__u8 padding1;
	__u16 padding2;
	__u32 padding3;
};

/**
 * struct kvmi_vm_set_page_access_ranges - KVMI_VM_SET_PAGE_ACCESS_RANGES
 * @view: 0
 * @count: number of ranges, KVMI_MAX_PAGE_ACCESS_RANGES at most
 * @padding: 0
 * @ranges: the ranges; where they overlap, the last one counts
 *
 * Does what KVMI_VM_SET_PAGE_ACCESS does, with the same errors, for any number of
 * pages at once. The vCPUs are interrupted once.
 */
struct kvmi_vm_set_page_access_ranges {
	__u16 view;
	__u16 count;
	__u32 padding;
	struct kvmi_page_access_range ranges[];
};

#define KVMI_MAX_PAGE_ACCESS_RANGES	340

/**
 * struct kvmi_vcpu_event_pf - data of KVMI_VCPU_EVENT_PF
 * @gva: guest virtual address of the access, all ones if it is not known
 * @gpa: guest physical address of the access
 * @access: what the guest wants to do with the page and may not, one of
 *	    &enum kvmi_page_access
 * @padding1: 0
 * @padding2: 0
 * @padding3: 0
 *
 * Sent before the access takes place: once for each page that an operand of the
 * instruction touches, and for each kind of access. Replies:
 * KVMI_EVENT_ACTION_CONTINUE lets just this access of this instruction happen, and
 * the page remains restricted for everything else; KVMI_EVENT_ACTION_RETRY enters the
 * guest again, so that the instruction executes anew, with the registers and rights
 * that the tool has changed meanwhile.
 */
struct kvmi_vcpu_event_pf {
	__u64 gva;
	__u64 gpa;
	__u8 access;
	__u8 padding1;
	__u16 padding2;
	__u32 padding3;
};

/* Largest number of bytes that a tool can supply in place of guest memory. */
#define KVMI_MAX_CTX_DATA	256

/**
 * struct kvmi_vcpu_event_pf_reply - reply data of KVMI_VCPU_EVENT_PF
 * @ctx_addr: guest virtual address of what is supplied
 * @ctx_size: number of bytes supplied, KVMI_MAX_CTX_DATA at most
 * @padding1: 0
 * @rep_complete: 1 to hear nothing more of this instruction, a REP prefix included
 * @padding2: 0
 * @ctx_data: the bytes
 *
 * With KVMI_EVENT_ACTION_CONTINUE, what the instruction reads in the range that begins
 * at @ctx_addr comes from @ctx_data, without a further event. A read that is only
 * partly in the range comes from memory.
 *
 * Only KVM's emulator reads from @ctx_data. The processor reads from memory, and no error
 * tells of it: the operands of an instruction that KVM cannot emulate, as most of vector
 * instructions, XRSTOR, FXRSTOR in 64-bit code and IRET in protected mode; what the
 * delivery of an interrupt or exception needs; code, and what code without the right to
 * execute reads while it is executed in a step view for the sake of CPUID or DESCRIPTOR
 * events. A tool that has to hide memory from these changes registers and replies
 * KVMI_EVENT_ACTION_RETRY.
 */
struct kvmi_vcpu_event_pf_reply {
	__u64 ctx_addr;
	__u32 ctx_size;
	__u8 padding1;
	__u8 rep_complete;
	__u16 padding2;
	__u8 ctx_data[KVMI_MAX_CTX_DATA];
};

/**
 * struct kvmi_vcpu_pause - KVMI_VCPU_PAUSE
 * @wait: 1 to be answered only when the vCPU has left the guest, else 0
 * @padding1: 0
 * @padding2: 0
 * @padding3: 0
 *
 * Each successful command yields exactly one KVMI_VCPU_EVENT_PAUSE, after all
 * other commands for the vCPU. The vCPU stops until that event is answered.
 *
 * Errors: -KVM_EINVAL if @wait is more than 1, -KVM_EPERM if the VMM did not
 * allow the event, -KVM_EBUSY if KVMI_MAX_PAUSE_REQUESTS events of this vCPU
 * are yet to be sent.
 */
struct kvmi_vcpu_pause {
	__u8 wait;
	__u8 padding1;
	__u16 padding2;
	__u32 padding3;
};

/* Pause requests of one vCPU that may wait for their event. */
#define KVMI_MAX_PAUSE_REQUESTS	1000

/**
 * struct kvmi_vcpu_translate_gva - KVMI_VCPU_TRANSLATE_GVA
 * @gva: guest virtual address
 */
struct kvmi_vcpu_translate_gva {
	__u64 gva;
};

/**
 * struct kvmi_vcpu_translate_gva_reply - reply to KVMI_VCPU_TRANSLATE_GVA
 * @gpa: guest physical address, or all ones if @gva is not mapped
 *
 * The walk is that of a supervisor read with the vCPU's current page tables.
 */
struct kvmi_vcpu_translate_gva_reply {
	__u64 gpa;
};

/**
 * struct kvmi_vcpu_control_singlestep - KVMI_VCPU_CONTROL_SINGLESTEP
 * @enable: 1 to stop after each instruction, 0 to run freely
 * @padding1: 0
 * @padding2: 0
 * @padding3: 0
 *
 * While it is on, the vCPU sends one KVMI_VCPU_EVENT_SINGLESTEP after each
 * instruction, and interrupts, NMIs and SMIs of the guest wait. Delivery of an
 * exception counts as an instruction. A nested guest is not stepped.
 *
 * Errors: -KVM_EINVAL if @enable is more than 1, -KVM_EPERM if the VMM did not
 * allow the event, -KVM_EOPNOTSUPP if the processor cannot, -KVM_EBUSY while the
 * VMM debugs this vCPU with KVM_SET_GUEST_DEBUG.
 */
struct kvmi_vcpu_control_singlestep {
	__u8 enable;
	__u8 padding1;
	__u16 padding2;
	__u32 padding3;
};

/**
 * struct kvmi_vcpu_event_singlestep - data of KVMI_VCPU_EVENT_SINGLESTEP
 * @failed: 1 if the vCPU stopped for another reason than the end of one
 *	    instruction: it entered a nested guest
 * @padding: 0
 *
 * The registers of the event are those after the instruction.
 */
struct kvmi_vcpu_event_singlestep {
	__u8 failed;
	__u8 padding[7];
};

/**
 * struct kvmi_vcpu_event_breakpoint - data of KVMI_VCPU_EVENT_BREAKPOINT
 * @gpa: guest physical address of the instruction, all ones if it is not mapped
 * @insn_len: length of the instruction in bytes
 * @padding: 0
 *
 * Sent before the instruction takes effect: RIP is its address. Replies:
 * KVMI_EVENT_ACTION_CONTINUE raises the exception in the guest,
 * KVMI_EVENT_ACTION_RETRY enters the guest again, where KVMI_VCPU_SET_REGISTERS
 * puts it if the tool has sent that.
 */
struct kvmi_vcpu_event_breakpoint {
	__u64 gpa;
	__u8 insn_len;
	__u8 padding[7];
};

/**
 * struct kvmi_event - begin of every event
 * @size: size of this structure; the event's own data begin after it
 * @vcpu: index of the vCPU, 0 for an event of the VM
 * @event: one of &enum kvmi_event_id
 * @padding: 0
 * @arch: registers of the vCPU, zeros for an event of the VM
 *
 * A vCPU waits until its event is answered, except for KVMI_VM_EVENT_UNHOOK and
 * KVMI_VM_EVENT_CMD_ERROR. It serves commands while it waits. When a signal
 * interrupts the wait and something else happens on the vCPU before the same
 * instruction executes again, the reply is dropped and the event is sent again.
 */
struct kvmi_event {
	__u16 size;
	__u16 vcpu;
	__u8 event;
	__u8 padding[3];
	struct kvmi_event_arch arch;
};

/**
 * struct kvmi_event_reply - answer to an event
 * @action: one of &enum kvmi_event_action
 * @event: the event that is answered; not checked
 * @padding1: 0
 * @padding2: 0
 *
 * Sent with the id KVMI_VCPU_EVENT_REPLY and the @seq of the event, after a
 * &struct kvmi_vcpu_hdr and before the event's own reply data. Reply data that
 * are left out are read as zeros. An action that the event does not have, a
 * wrong number or too much data close the connection.
 */
struct kvmi_event_reply {
	__u8 action;
	__u8 event;
	__u16 padding1;
	__u32 padding2;
};

/* What KVM_CHECK_EXTENSION is asked for; 0 if introspection is off. */
#define KVM_CAP_INTROSPECTION	999

/**
 * struct kvm_introspection_hook - KVM_INTROSPECTION_HOOK
 * @fd: a connected stream socket with the tool at its other end
 * @padding: 0
 * @uuid: names the VM in log messages
 *
 * Hands the VM to the tool. KVM keeps its own reference to the socket.
 *
 * Errors: EPERM if kvm.introspection is off, EFAULT for a bad pointer, EINVAL
 * for padding or a @fd that is no connected stream socket, EEXIST if the VM is
 * hooked, EOPNOTSUPP if its memory or state is protected from the host, ENOMEM.
 */
struct kvm_introspection_hook {
	__s32 fd;
	__u32 padding;
	__u8 uuid[16];
};

/**
 * struct kvm_introspection_feature - KVM_INTROSPECTION_COMMAND, KVM_INTROSPECTION_EVENT
 * @allow: 1 to allow, 0 to disallow
 * @id: a &enum kvmi_message_id or &enum kvmi_event_id, -1 for all
 *
 * Nothing but KVMI_GET_VERSION, KVMI_VM_CHECK_COMMAND and KVMI_VM_CHECK_EVENT is
 * allowed when a VM gets hooked. These three stay allowed.
 *
 * Errors: EPERM if kvm.introspection is off or one of the three shall be
 * disallowed, EFAULT for a bad pointer or a VM that is not hooked, EINVAL for any
 * other @id or @allow.
 */
struct kvm_introspection_feature {
	__u32 allow;
	__s32 id;
};

/* What is shown by the file can be written, too. */
#define KVMI_MEM_WRITABLE	1

/**
 * struct kvm_introspection_memory - KVM_INTROSPECTION_MEMORY
 * @flags: 0 or KVMI_MEM_WRITABLE
 * @padding: 0
 *
 * Returns a file that shows the memory of a hooked VM. What mmap() maps of it, with
 * MAP_SHARED and the guest physical address as offset, is the guest's memory itself.
 * Where the guest has no memory that the VMM could read (or write), or the VMM's
 * mapping is none of memory, an access raises SIGBUS. So does every access once the
 * session has ended in which the file was made; the next one needs a new file. A child
 * process does not inherit the mapping.
 *
 * Errors: EPERM if kvm.introspection is off, EFAULT for a bad pointer or a VM that is
 * not hooked, EINVAL for @flags or @padding, EACCES if the VMM does not allow
 * KVMI_VM_READ_PHYSICAL or, with KVMI_MEM_WRITABLE, KVMI_VM_WRITE_PHYSICAL, EOPNOTSUPP
 * with KVMI_MEM_WRITABLE if the VM has a dirty ring, EMFILE, ENOMEM. mmap() fails with
 * EINVAL without MAP_SHARED or beyond the last possible guest frame, with EACCES for
 * PROT_WRITE without KVMI_MEM_WRITABLE and with EPERM for PROT_EXEC.
 */
struct kvm_introspection_memory {
	__u32 flags;
	__u32 padding;
};

/**
 * struct kvmi_mem_open - KVMI_MEM_OPEN
 * @token: from KVMI_VM_GET_MAP_TOKEN; used up even if the call fails later
 * @flags: 0 or KVMI_MEM_WRITABLE
 * @padding: 0
 *
 * The same file for a tool that does not have the VM's, but only the socket. An ioctl of
 * /dev/kvmi-mem, which exists as long as VMs do that were ever hooked.
 *
 * Errors: ENOENT if there is no such token, and those above but for EPERM.
 */
struct kvmi_mem_open {
	struct kvmi_map_mem_token token;
	__u32 flags;
	__u32 padding;
};

#define KVMI_MEM_OPEN		_IOW('i', 0x10, struct kvmi_mem_open)

/*
 * ioctls of a VM. Besides the VMM, a process that holds the VM's file and has
 * CAP_SYS_PTRACE may issue them.
 *
 * KVM_INTROSPECTION_UNHOOK takes the VM back; it succeeds on a VM that is not
 * hooked. KVM_INTROSPECTION_PREUNHOOK sends KVMI_VM_EVENT_UNHOOK; EFAULT if the
 * VM is not hooked, ENOENT if the tool is gone or did not enable the event.
 */
#define KVM_INTROSPECTION_MEMORY	_IOW(KVMIO, 0xf8, struct kvm_introspection_memory)
#define KVM_INTROSPECTION_UNHOOK	_IO(KVMIO, 0xfb)
#define KVM_INTROSPECTION_EVENT		_IOW(KVMIO, 0xfc, struct kvm_introspection_feature)
#define KVM_INTROSPECTION_COMMAND	_IOW(KVMIO, 0xfd, struct kvm_introspection_feature)
#define KVM_INTROSPECTION_PREUNHOOK	_IO(KVMIO, 0xfe)
#define KVM_INTROSPECTION_HOOK		_IOW(KVMIO, 0xff, struct kvm_introspection_hook)

#endif /* _UAPI__LINUX_KVMI_H */
