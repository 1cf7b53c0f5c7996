// SPDX-License-Identifier: GPL-2.0-only
/*
 * fake_vm SOCKET [OPTION...]: plays QEMU and the kernel for tests of kvmi that
 * have no KVM: two vCPUs, 64 KiB of memory, one writable page table (virtual
 * address 0xffff800000000000 + x is x), and events as long as they are on. At the
 * end it writes how often each vCPU has executed the program's first instruction
 * into the file "calls". Ends with status 0 if it was left as it was found:
 * events off, nothing paused, no breakpoint in memory, no page restricted.
 *
 * Options: deny (no CR trace), noerrors (no CMD_ERROR), nostep, endless (the
 * program does not end), unhook (ask the tool to leave), othertrap (an interrupt
 * wins over an exception), losttrap (nothing is delivered), late (the second vCPU
 * is made later), signal (SIGTERM for the tool whenever it restricts or reads pages),
 * holes (no memory from 0x6000 to 0xa000, and none that can be read at 0xc000), lacks=N
 * (features of page access), short=ID, drop=N, mute=N.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

struct fake_options options;
static uint8_t in[8192], xsave[KVMI_XSAVE_SIZE];
static unsigned int writes;

static int write_memory(const uint64_t *at, const uint8_t *data)
{
	if (at[0] + at[1] > MEMORY)
		return -KVM_ENOENT;
	memcpy(memory + at[0], data, at[1]);
	return 0;
}

static void control_cmd_response(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	bool enable = p[0], now = p[1], errors = p[2];

	if (errors && options.no_errors)
		return reply(hdr, -KVM_EPERM, NULL, 0);
	if (now)
		quiet = !enable;
	report_errors = errors;
	reply(hdr, 0, NULL, 0);
	quiet = !enable;
}

static int check_command(uint16_t id)
{
	return options.deny && (id == KVMI_VCPU_CONTROL_CR ||
				id == KVMI_VM_SET_PAGE_ACCESS_RANGES) ? -KVM_EPERM : 0;
}

static void control_vm_event(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	reply(hdr, 0, NULL, 0);
	if (options.unhook && p[0] == KVMI_VM_EVENT_UNHOOK && p[2])
		event(-1, KVMI_VM_EVENT_UNHOOK, NULL, 0);
	if (options.late && p[0] == KVMI_VCPU_EVENT_CREATE)
		vcpus[VCPUS - 1].created = p[2];
}

static void vm_command(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	const struct kvmi_vm_get_info_reply info = { .vcpu_count = VCPUS - options.late };
	const struct kvmi_get_version_reply version = {
		.version = 1, .features.singlestep = 1, .features.descriptor = 1,
		.features.page_access = pages_features()
	};
	const uint64_t max_gfn = MEMORY / 4096;
	uint64_t at[2];

	memcpy(at, p, sizeof(at));
	switch (hdr->id) {
	case KVMI_GET_VERSION:
		return reply(hdr, 0, &version, sizeof(version));
	case KVMI_VM_CHECK_COMMAND:
		return reply(hdr, check_command(p[0]), NULL, 0);
	case KVMI_VM_CHECK_EVENT:
		return reply(hdr, options.no_errors && p[0] == KVMI_VM_EVENT_CMD_ERROR ?
			     -KVM_EPERM : 0, NULL, 0);
	case KVMI_VM_CONTROL_EVENTS:
		return control_vm_event(hdr, p);
	case KVMI_VM_CONTROL_CMD_RESPONSE:
		return control_cmd_response(hdr, p);
	case KVMI_VM_GET_INFO:
		return reply(hdr, 0, &info, sizeof(info));
	case KVMI_VM_GET_MAX_GFN:
		return reply(hdr, 0, &max_gfn, 8);
	case KVMI_VM_SET_PAGE_ACCESS_RANGES:
		return reply(hdr, pages_restrict(p, hdr->size), NULL, 0);
	case KVMI_VM_READ_PHYSICAL:
		return pages_read(hdr, at[0], at[1]);
	case KVMI_VM_QUERY_PHYSICAL:
		return pages_query(hdr, at[0]);
	case KVMI_VM_WRITE_PHYSICAL:
		if (++writes == options.mute) {
			write_memory(at, p + 16);
			return;
		}
		return reply(hdr, write_memory(at, p + 16), NULL, 0);
	default:
		return reply(hdr, -KVM_ENOSYS, NULL, 0);
	}
}

static void get_registers(const struct kvmi_msg_hdr *hdr, struct vcpu *v,
			  const uint8_t *p)
{
	struct {
		struct kvmi_vcpu_get_registers_reply fixed;
		struct kvm_msr_entry msrs[8];
	} r = { .fixed.mode = 8 };
	uint32_t index;
	int k;

	r.fixed.regs = v->regs;
	r.fixed.sregs.cr3 = v->cr3_value;
	for (k = 0; k < p[0] && k < 8; k++) {
		memcpy(&index, p + 8 + 4 * k, sizeof(index));
		if (index == 0xffffffff)
			return reply(hdr, -KVM_EINVAL, NULL, 0);
		r.msrs[k] = (struct kvm_msr_entry){ .index = index, .data = 0xd01 };
	}
	reply(hdr, 0, &r, sizeof(r.fixed) + k * sizeof(r.msrs[0]));
}

static void get_cpuid(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	static const struct { uint32_t function, index, eax; } leaves[] = {
		{ 0, 0, 7 }, { 1, 0, 0x306a9 }, { 7, 0, 1 }, { 7, 1, 0x10 },
		{ 0x40000000, 0, 0x40000000 }, { 0x80000000, 0, 0x80000000 },
	};
	struct kvmi_vcpu_get_cpuid_reply r = { .ebx = 0x756e6547 };
	uint32_t key[2];
	size_t i;

	memcpy(key, p, sizeof(key));
	for (i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		r.eax = leaves[i].eax;
		if (leaves[i].function == key[0] && leaves[i].index == key[1])
			return reply(hdr, 0, &r, sizeof(r));
	}
	reply(hdr, -KVM_ENOENT, NULL, 0);
}

/* The commands that only give or take state. */
static void state_command(const struct kvmi_msg_hdr *hdr, struct vcpu *v,
			  const uint8_t *p)
{
	const uint64_t hz = 1000000000, xcr0 = 7;
	uint64_t gva;

	switch (hdr->id) {
	case KVMI_VCPU_GET_INFO:
		return reply(hdr, 0, &hz, 8);
	case KVMI_VCPU_GET_REGISTERS:
		return get_registers(hdr, v, p);
	case KVMI_VCPU_GET_CPUID:
		return get_cpuid(hdr, p);
	case KVMI_VCPU_GET_XCR:
		return reply(hdr, p[0] ? -KVM_EINVAL : 0, &xcr0, 8);
	case KVMI_VCPU_GET_XSAVE:
		return reply(hdr, 0, xsave, sizeof(xsave));
	case KVMI_VCPU_SET_XSAVE:
		/* As if MXCSR had only 16 bits. */
		if (p[26] || p[27])
			return reply(hdr, -KVM_EINVAL, NULL, 0);
		memcpy(xsave, p, sizeof(xsave));
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_TRANSLATE_GVA:
		memcpy(&gva, p, sizeof(gva));
		gva = gva >= LINEAR && gva - LINEAR < MEMORY ? gva - LINEAR : ~0ULL;
		return reply(hdr, 0, &gva, 8);
	default:
		return reply(hdr, -KVM_ENOSYS, NULL, 0);
	}
}

static int inject(struct vcpu *v, const uint8_t *p)
{
	if (p[0] > 31 || p[0] == 2)
		return -KVM_EINVAL;
	if (v->trap)
		return -KVM_EBUSY;
	v->trap = true;
	v->injected = (struct kvmi_vcpu_event_trap){ .vector = p[0] };
	memcpy(&v->injected.error_code, p + 4, 4);
	memcpy(&v->injected.cr2, p + 8, 8);
	if (options.other_trap)
		v->injected = (struct kvmi_vcpu_event_trap){ .vector = 0xec };
	if (options.lost_trap)
		v->injected = (struct kvmi_vcpu_event_trap){ .lost = 1 };
	return 0;
}

static void vcpu_command(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	uint8_t index = p[0];
	struct vcpu *v;

	if (index >= VCPUS || p[1])
		return reply(hdr, -KVM_EINVAL, NULL, 0);
	v = &vcpus[index];
	p += sizeof(struct kvmi_vcpu_hdr);
	switch (hdr->id) {
	case KVMI_VCPU_PAUSE:
		guest_linger(index);
		v->pauses++;
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_CONTROL_EVENTS:
		v->on[p[0]] = p[2];
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_CONTROL_CR:
		if (options.deny)
			return reply(hdr, -KVM_EPERM, NULL, 0);
		if (p[4] == 3)
			v->cr3 = p[0];
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_CONTROL_MSR:
		if (p[4] == 0xe0 && p[5] == 6)
			return reply(hdr, -KVM_EINVAL, NULL, 0);
		if (p[0])
			v->msrs++;
		else if (v->msrs)
			v->msrs--;
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_CONTROL_SINGLESTEP:
		if (options.no_step)
			return reply(hdr, -KVM_EOPNOTSUPP, NULL, 0);
		v->step = p[0];
		return reply(hdr, 0, NULL, 0);
	case KVMI_VCPU_INJECT_EXCEPTION:
		return reply(hdr, inject(v, p), NULL, 0);
	default:
		return state_command(hdr, v, p);
	}
}

static void event_reply(const struct kvmi_msg_hdr *hdr, const uint8_t *p)
{
	struct vcpu *v = &vcpus[p[0] < VCPUS ? p[0] : 0];

	if (hdr->size < 16 || p[0] >= VCPUS || !v->waits || v->waits != hdr->seq) {
		fprintf(stderr, "fake_vm: an answer to no event\n");
		exit(5);
	}
	writes += v->event == KVMI_VCPU_EVENT_PF;
	guest_answered(p[0], p[8], p + 16);
}

static bool is_vcpu_command(uint16_t id)
{
	switch (id) {
	case KVMI_VCPU_GET_INFO ... KVMI_VCPU_PAUSE:
	case KVMI_VCPU_CONTROL_EVENTS ... KVMI_VCPU_GET_XSAVE:
	case KVMI_VCPU_INJECT_EXCEPTION:
	case KVMI_VCPU_TRANSLATE_GVA ... KVMI_VCPU_SET_XSAVE:
	case KVMI_VCPU_CONTROL_SINGLESTEP:
		return true;
	default:
		return false;
	}
}

/* One message; false at the end of the connection. */
static bool serve(void)
{
	struct kvmi_msg_hdr hdr;

	if (!receive(&hdr, in, sizeof(in)))
		return false;
	if (hdr.id == KVMI_VCPU_EVENT_REPLY)
		event_reply(&hdr, in);
	else if (is_vcpu_command(hdr.id))
		vcpu_command(&hdr, in);
	else
		vm_command(&hdr, in);
	return true;
}

static bool dropped(void)
{
	return (options.drop && writes == options.drop) ||
	       (options.mute && writes == options.mute);
}

static void serve_all(void)
{
	struct pollfd p = { .events = POLLIN, .fd = fd };
	bool busy;
	int i;

	for (;;) {
		busy = false;
		for (i = 0; i < VCPUS; i++)
			busy |= guest_run(i);
		if (poll(&p, 1, busy ? 0 : -1) > 0 && !serve())
			return;
		if (dropped())
			return;
	}
}

static bool left_in_order(void)
{
	bool good = memory[PROGRAM] == NOP && memory[OWN_BREAKPOINT] == INT3 &&
		    pages_free();
	int i, e;

	for (i = 0; i < VCPUS; i++) {
		for (e = 0; e < KVMI_NUM_EVENTS; e++)
			good &= !vcpus[i].on[e];
		good &= !vcpus[i].cr3 && !vcpus[i].msrs && !vcpus[i].step &&
			!vcpus[i].pauses && !vcpus[i].waits && !vcpus[i].trap;
	}
	return good;
}

static int parse(const char *option)
{
	static const struct { const char *name; bool *flag; } flags[] = {
		{ "deny", &options.deny }, { "noerrors", &options.no_errors },
		{ "nostep", &options.no_step }, { "endless", &options.endless },
		{ "unhook", &options.unhook }, { "othertrap", &options.other_trap },
		{ "losttrap", &options.lost_trap }, { "late", &options.late },
		{ "signal", &options.signal }, { "holes", &options.holes },
	};
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!strcmp(option, flags[i].name))
			return *flags[i].flag = true;
	}
	return sscanf(option, "short=%u", &options.short_id) == 1 ||
	       sscanf(option, "lacks=%u", &options.lacks) == 1 ||
	       sscanf(option, "mute=%u", &options.mute) == 1 ||
	       sscanf(option, "drop=%u", &options.drop) == 1;
}

int main(int argc, char **argv)
{
	FILE *calls;
	int i;

	if (argc < 2)
		return 2;
	for (i = 2; i < argc; i++) {
		if (!parse(argv[i]))
			return 2;
	}
	guest_init();
	handshake(argv[1]);
	serve_all();
	if (dropped())
		guest_forget();
	if (dropped() && (options.mute || memory[PROGRAM] == INT3)) {
		options = (struct fake_options){ 0 };
		handshake(argv[1]);
		serve_all();
	}
	calls = fopen("calls", "w");
	if (!calls || fprintf(calls, "%u %u\n", vcpus[0].calls, vcpus[1].calls) < 0 ||
	    fclose(calls))
		return 4;
	return left_in_order() ? 0 : 1;
}
