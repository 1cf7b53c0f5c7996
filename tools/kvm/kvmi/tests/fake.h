/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_FAKE_H
#define KVMI_FAKE_H

/*
 * fake_wire.c: the connection; fake_guest.c: vCPUs that execute, pause, step and
 * send events; fake_pages.c: pages and what may be done with them; fake_vm.c: commands.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvmi.h>

#define VCPUS 2
#define MEMORY 65536
#define LINEAR 0xffff800000000000ULL

/*
 * The guest's program: 16 instructions of one byte each, which count in RAX, with
 * a breakpoint of the guest's own among them, over and over.
 */
#define PROGRAM 0x8000
#define PROGRAM_SIZE 16
#define OWN_BREAKPOINT (PROGRAM + 9)
#define NOP 0x90
#define INT3 0xcc

struct vcpu {
	bool on[KVMI_NUM_EVENTS];
	bool cr3, step;
	/* It has not told yet that it is new. */
	bool created;
	unsigned int msrs, pauses;
	/* Of the event that waits for its answer: its number (0: none) and id. */
	uint32_t waits;
	uint8_t event;
	bool trap;
	struct kvmi_vcpu_event_trap injected;
	uint64_t cr3_value;
	struct kvm_regs regs;
	/* Times that the program's first instruction was executed. */
	unsigned int calls;
};

extern struct vcpu vcpus[VCPUS];
extern uint8_t memory[MEMORY];

/* What was asked for on the command line. */
extern struct fake_options {
	bool deny, no_errors, no_step, endless, unhook, other_trap, lost_trap, late, signal, holes;
	/* Features of page access that this host lacks. */
	unsigned int lacks;
	/* Send this much too little in replies to this command. */
	unsigned int short_id;
	/*
	 * Drop the connection after the Nth write to memory, or without answering it.
	 * The answer to a PF event counts as one.
	 * Connect again in the latter case, and if there is a breakpoint in memory.
	 */
	unsigned int drop, mute;
} options;

/* fake_wire.c */
extern int fd;
extern bool quiet, report_errors;
void handshake(const char *path);
void reply(const struct kvmi_msg_hdr *req, int err, const void *data, size_t size);
uint32_t event(int vcpu, uint8_t id, const void *data, size_t size);
bool receive(struct kvmi_msg_hdr *hdr, uint8_t *payload, size_t max);

/* fake_guest.c */
void guest_init(void);
/* Let a vCPU run for a while; true if it has more to do. */
bool guest_run(int vcpu);
/* What a vCPU still does between a kick and its exit. */
void guest_linger(int vcpu);
void guest_answered(int vcpu, uint8_t action, const uint8_t *data);
void guest_forget(void);
/* The vCPU waits for the answer to this event. */
void guest_stop_for(int vcpu, uint8_t id, const void *data, size_t size);

/* fake_pages.c */
void pages_init(void);
uint8_t pages_features(void);
/* KVMI_VM_SET_PAGE_ACCESS_RANGES: 0 or an error code. */
int pages_restrict(const uint8_t *payload, size_t size);
/* Touch memory; true if an event was sent about it. */
bool pages_touch(int vcpu);
bool pages_free(void);
/* Where memory is; some of it cannot be read with the option holes. */
void pages_query(const struct kvmi_msg_hdr *req, uint64_t gfn);
void pages_read(const struct kvmi_msg_hdr *req, uint64_t gpa, uint64_t size);

#endif
