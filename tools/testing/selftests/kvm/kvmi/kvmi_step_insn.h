/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTEST_KVMI_STEP_INSN_H
#define SELFTEST_KVMI_STEP_INSN_H

/*
 * A small guest for single instructions: its own tables and handlers at fixed
 * addresses, the same in guest physical and virtual memory, so that code for all
 * modes of the processor can name them.
 */
#include "kvmi_step.h"

#define INSN_IVT	0x1000
#define INSN_CODE	0x2000
#define INSN_HANDLERS	0x3000	/* 16 bytes for each vector, code that they share */
#define INSN_STACK	0x5000
#define INSN_STACK0	0x7000	/* of handlers that come from CPL 3 or have an own one */
#define INSN_DATA	0x9000
#define INSN_LOG	0xa000	/* what the handler of #DB saw */
#define INSN_GDT	0xb000
#define INSN_TSS	0xb800
#define INSN_IDT	0xc000
#define INSN_IDT32	0xd000
#define INSN_END	0x10000	/* nothing is mapped here */
#define INSN_TABLES	0x11000	/* four pages */
#define INSN_MMIO	0x20000	/* no memory is here */
#define INSN_MMIO_GPA	0xd0000000

/* The same for the code of the forms; selectors. */
asm(".equ CODE, 0x2000\n .equ STACK, 0x5800\n .equ DATA, 0x9000\n .equ LOG, 0xa000\n"
	".equ UNMAPPED, 0x10000\n .equ MMIO, 0x20000\n"
	".equ KCODE, 0x08\n .equ KDATA, 0x10\n .equ UCODE32, 0x1b\n .equ UDATA, 0x23\n"
	".equ UCODE, 0x2b\n .equ KCODE32, 0x30\n .equ KCODE16, 0x48\n .equ ABSENT, 0x50\n"
	".equ EXTRA, 0x58\n");

/* OUT to these ports: the form has come to its end, an exception to its handler. */
#define PORT_END	0xe0
#define PORT_HANDLER	0xe1
/* A device in userspace. */
#define PORT_DEVICE	0xe2

/* Vectors of INT n: returns at once; the same and open to CPL 3. */
#define INT_RETURNS	0x80
#define INT_USER	0x82

enum insn_mode { LONG, USER, COMPAT, PROT32, PROT16, REAL };

struct insn_form {
	const char *code;
	const char *code_end;
	enum insn_mode mode;
	int steps;		/* as many steps as this to its end; 0 is any number */
	bool traps;		/* the guest sets TF itself */
	int needs;		/* a feature of the processor, as an index into its list */
};

/* What userspace was told and answered. */
#define INSN_IO_LOG	512

struct insn_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_fpu fpu;
	__u64 msrs[8];
	__u32 exit_reason;
	__u8 io[INSN_IO_LOG];
	int io_len;
	__u8 memory[INSN_END];
};

/* Put guest memory and @vcpu in the state that each run of @form starts from. */
void insn_setup(struct kvmi_test *t, struct kvm_vcpu *vcpu, const struct insn_form *form);
/* Run @vcpu to its end and read its state. */
void insn_run(struct kvmi_test *t, struct kvm_vcpu *vcpu, struct insn_state *state);
/* The next instruction is the end. */
bool insn_at_end(struct kvmi_test *t, const struct kvmi_event_arch *arch);
/* Fail the test if the two differ, and say in what. */
void insn_compare(const struct insn_form *form, struct insn_state *undisturbed,
		  struct insn_state *stepped);

#endif /* SELFTEST_KVMI_STEP_INSN_H */
