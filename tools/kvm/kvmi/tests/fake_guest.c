// SPDX-License-Identifier: GPL-2.0-only
/* The played vCPUs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

/* A vCPU's work: this many rounds of the program, once something is patched. */
#define CALLS 300

struct vcpu vcpus[VCPUS];
uint8_t memory[MEMORY];
static bool patched;

void guest_init(void)
{
	int i;

	for (i = 0; i < MEMORY; i++)
		memory[i] = i >> 12;
	strcpy((char *)memory + 0x2ffc, "across the page");
	memset(memory + PROGRAM, NOP, PROGRAM_SIZE);
	memory[OWN_BREAKPOINT] = INT3;
	pages_init();
	for (i = 0; i < VCPUS; i++)
		vcpus[i].regs.rip = 0x1000 + i;
}

void guest_stop_for(int i, uint8_t id, const void *data, size_t size)
{
	vcpus[i].event = id;
	vcpus[i].waits = event(i, id, data, size);
}

static void breakpoint(int i)
{
	const struct kvmi_vcpu_event_breakpoint bp = {
		.gpa = vcpus[i].regs.rip - LINEAR, .insn_len = 1
	};

	if (!vcpus[i].on[KVMI_VCPU_EVENT_BREAKPOINT]) {
		fprintf(stderr, "fake_vm: a breakpoint of the tool hit the guest\n");
		exit(6);
	}
	guest_stop_for(i, KVMI_VCPU_EVENT_BREAKPOINT, &bp, sizeof(bp));
}

/* One instruction of the program. */
static void execute(int i)
{
	static const struct kvmi_vcpu_event_singlestep stepped;
	struct kvm_regs *regs = &vcpus[i].regs;

	if (regs->rip < LINEAR + PROGRAM || regs->rip >= LINEAR + PROGRAM + PROGRAM_SIZE)
		regs->rip = LINEAR + PROGRAM;
	/* The guest's own is of no interest when the event is off. */
	if (memory[regs->rip - LINEAR] == INT3 &&
	    (vcpus[i].on[KVMI_VCPU_EVENT_BREAKPOINT] || regs->rip != LINEAR + OWN_BREAKPOINT))
		return breakpoint(i);
	if (regs->rip == LINEAR + PROGRAM && patched)
		vcpus[i].calls++;
	regs->rax++;
	regs->rip++;
	if (regs->rip == LINEAR + PROGRAM + PROGRAM_SIZE)
		regs->rip = LINEAR + PROGRAM;
	if (vcpus[i].step)
		guest_stop_for(i, KVMI_VCPU_EVENT_SINGLESTEP, &stepped, sizeof(stepped));
}

static bool has_work(const struct vcpu *v)
{
	patched |= memory[PROGRAM] == INT3;
	return v->step || (patched && v->on[KVMI_VCPU_EVENT_BREAKPOINT] &&
			   (options.endless || v->calls < CALLS ||
			    v->regs.rip != LINEAR + PROGRAM));
}

static bool send_cr(int i)
{
	/* Three address spaces, one of them with two PCIDs. */
	static const uint64_t next[] = { 0x4000, 0x5001, 0x5002, 0x6000 };
	static unsigned int count;
	struct kvmi_vcpu_event_cr cr = { .cr = 3, .old_value = vcpus[i].cr3_value };

	if (!vcpus[i].cr3)
		return false;
	cr.new_value = next[count++ % 4];
	vcpus[i].cr3_value = cr.new_value;
	guest_stop_for(i, KVMI_VCPU_EVENT_CR, &cr, sizeof(cr));
	return true;
}

/* One event of each kind that is on, in turn. */
static bool send_event(int i)
{
	static const struct kvmi_vcpu_event_msr msr = {
		.msr = 0xc0000082, .old_value = 0x1111, .new_value = 0x2222
	};
	static const struct kvmi_vcpu_event_xsetbv xsetbv = {
		.old_value = 3, .new_value = 7
	};
	static const struct kvmi_vcpu_event_descriptor descriptor = {
		.descriptor = KVMI_DESC_IDTR, .write = 1
	};
	static const struct kvmi_vcpu_event_cpuid cpuid = {
		.function = 7, .index = 1, .insn_len = 2
	};
	static const struct { uint8_t id; const void *data; size_t size; } kinds[] = {
		{ KVMI_VCPU_EVENT_MSR, &msr, sizeof(msr) },
		{ KVMI_VCPU_EVENT_XSETBV, &xsetbv, sizeof(xsetbv) },
		{ KVMI_VCPU_EVENT_HYPERCALL, NULL, 0 },
		{ KVMI_VCPU_EVENT_DESCRIPTOR, &descriptor, sizeof(descriptor) },
		{ KVMI_VCPU_EVENT_CPUID, &cpuid, sizeof(cpuid) },
		{ KVMI_VCPU_EVENT_CR, NULL, 0 },
	};
	const unsigned int count = sizeof(kinds) / sizeof(kinds[0]);
	static unsigned int turn[VCPUS];
	unsigned int k, n;

	for (n = 0; n < count; n++) {
		k = turn[i]++ % count;
		if (!vcpus[i].on[kinds[k].id] ||
		    (kinds[k].id == KVMI_VCPU_EVENT_MSR && !vcpus[i].msrs))
			continue;
		if (kinds[k].id != KVMI_VCPU_EVENT_CR)
			guest_stop_for(i, kinds[k].id, kinds[k].data, kinds[k].size);
		else if (!send_cr(i))
			continue;
		return true;
	}
	return false;
}

bool guest_run(int i)
{
	struct vcpu *v = &vcpus[i];
	int n;

	if (v->waits)
		return false;
	if (v->trap) {
		v->trap = false;
		guest_stop_for(i, KVMI_VCPU_EVENT_TRAP, &v->injected, sizeof(v->injected));
	} else if (v->pauses) {
		v->pauses--;
		guest_stop_for(i, KVMI_VCPU_EVENT_PAUSE, NULL, 0);
	} else if (v->created) {
		v->created = false;
		guest_stop_for(i, KVMI_VCPU_EVENT_CREATE, NULL, 0);
	} else if (!send_event(i) && !pages_touch(i)) {
		for (n = 0; n < 3 + 2 * i && !v->waits && has_work(v); n++)
			execute(i);
		return !v->waits && has_work(v);
	}
	return false;
}

void guest_linger(int i)
{
	if (!vcpus[i].waits && !vcpus[i].pauses && !vcpus[i].trap && has_work(&vcpus[i]))
		execute(i);
}

static void bad_answer(void)
{
	fprintf(stderr, "fake_vm: a bad answer to an event\n");
	exit(5);
}

/* An answer that does not fit closes the connection of a real kernel. */
void guest_answered(int i, uint8_t action, const uint8_t *data)
{
	struct vcpu *v = &vcpus[i];
	static const uint64_t msr = 0x2222;

	if ((v->event == KVMI_VCPU_EVENT_CR && memcmp(data, &v->cr3_value, 8)) ||
	    (v->event == KVMI_VCPU_EVENT_MSR && memcmp(data, &msr, 8)) ||
	    (action && (v->event != KVMI_VCPU_EVENT_BREAKPOINT ||
			action != KVMI_EVENT_ACTION_RETRY)))
		bad_answer();
	if (v->event == KVMI_VCPU_EVENT_BREAKPOINT && !action) {
		if (v->regs.rip != LINEAR + OWN_BREAKPOINT) {
			fprintf(stderr, "fake_vm: the guest got a breakpoint of the tool\n");
			exit(6);
		}
		/* The guest's handler goes on behind it. */
		v->regs.rip++;
	}
	v->waits = 0;
}

/* The connection has ended. */
void guest_forget(void)
{
	int i;

	pages_init();
	for (i = 0; i < VCPUS; i++) {
		memset(vcpus[i].on, 0, sizeof(vcpus[i].on));
		vcpus[i].cr3 = false;
		vcpus[i].step = false;
		vcpus[i].trap = false;
		vcpus[i].msrs = 0;
		vcpus[i].pauses = 0;
		vcpus[i].waits = 0;
	}
}
