// SPDX-License-Identifier: GPL-2.0-only
/* One event of a trace as text and as JSON. */
#include <stdio.h>

#include "trace.h"

/* What an event of a kind that the tool has not asked for is called. */
static const char *kind_of(const struct kvmintro_event *ev)
{
	const char *name = trace_kind(ev->id);

	return name ? : kvmintro_event_name(ev->id) ? : "?";
}

static const char *descriptor(unsigned int key)
{
	static const char *const names[] = {
		"", "", "sidt", "lidt", "sgdt", "lgdt", "sldt", "lldt", "str", "ltr"
	};

	return key < ARRAY_SIZE(names) ? names[key] : "?";
}

void trace_access(uint8_t access, char text[4])
{
	if (access & KVMI_PAGE_ACCESS_R)
		*text++ = 'r';
	if (access & KVMI_PAGE_ACCESS_W)
		*text++ = 'w';
	if (access & KVMI_PAGE_ACCESS_X)
		*text++ = 'x';
	*text = '\0';
}

bool trace_key(const struct kvmintro_event *ev, uint64_t *key)
{
	switch (ev->id) {
	case KVMI_VCPU_EVENT_CR:
		*key = ev->data.cr.cr;
		return true;
	case KVMI_VCPU_EVENT_MSR:
		*key = ev->data.msr.msr;
		return true;
	case KVMI_VCPU_EVENT_PF:
		*key = ev->data.pf.access;
		return true;
	case KVMI_VCPU_EVENT_DESCRIPTOR:
		*key = ev->data.descriptor.descriptor * 2 + !!ev->data.descriptor.write;
		return true;
	case KVMI_VCPU_EVENT_CPUID:
		*key = (uint64_t)ev->data.cpuid.function << 32 | ev->data.cpuid.index;
		return true;
	default:
		return false;
	}
}

void trace_label(uint8_t event, uint64_t key, char *text, size_t size)
{
	char access[4];

	switch (event) {
	case KVMI_VCPU_EVENT_CR:
		snprintf(text, size, "cr%u", (unsigned int)key);
		break;
	case KVMI_VCPU_EVENT_MSR:
		snprintf(text, size, "msr 0x%08x", (unsigned int)key);
		break;
	case KVMI_VCPU_EVENT_PF:
		trace_access(key, access);
		snprintf(text, size, "pf %s", access);
		break;
	case KVMI_VCPU_EVENT_DESCRIPTOR:
		snprintf(text, size, "%s", descriptor(key));
		break;
	case KVMI_VCPU_EVENT_CPUID:
		snprintf(text, size, "cpuid 0x%x.%u", (unsigned int)(key >> 32),
			 (unsigned int)key);
		break;
	default:
		snprintf(text, size, "%s", trace_kind(event) ? : "?");
	}
}

static void print_change(uint64_t old, uint64_t new)
{
	printf(" %016llx -> %016llx", (unsigned long long)old, (unsigned long long)new);
}

static void print_data(const struct kvmintro_event *ev)
{
	const struct kvm_regs *regs = &ev->arch.regs;

	switch (ev->id) {
	case KVMI_VCPU_EVENT_CR:
		print_change(ev->data.cr.old_value, ev->data.cr.new_value);
		break;
	case KVMI_VCPU_EVENT_MSR:
		print_change(ev->data.msr.old_value, ev->data.msr.new_value);
		break;
	case KVMI_VCPU_EVENT_XSETBV:
		printf(" xcr%u", ev->data.xsetbv.xcr);
		print_change(ev->data.xsetbv.old_value, ev->data.xsetbv.new_value);
		break;
	case KVMI_VCPU_EVENT_BREAKPOINT:
		printf(" gpa %llx length %u", (unsigned long long)ev->data.breakpoint.gpa,
		       ev->data.breakpoint.insn_len);
		break;
	case KVMI_VCPU_EVENT_HYPERCALL:
		printf(" rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx r8 %llx r9 %llx r10 %llx",
		       regs->rbx, regs->rcx, regs->rdx, regs->rsi, regs->rdi,
		       regs->r8, regs->r9, regs->r10);
		break;
	case KVMI_VCPU_EVENT_PF:
		printf(" gpa %016llx", (unsigned long long)ev->data.pf.gpa);
		if (ev->data.pf.gva == ~0ULL)
			printf(" gva unknown         ");
		else
			printf(" gva %016llx", (unsigned long long)ev->data.pf.gva);
		break;
	case KVMI_VCPU_EVENT_SINGLESTEP:
		if (ev->data.singlestep.failed)
			printf(" failed");
		break;
	}
}

void trace_print(const struct kvmintro_event *ev, double seconds)
{
	char label[64];
	uint64_t key;

	if (trace_key(ev, &key))
		trace_label(ev->id, key, label, sizeof(label));
	else
		snprintf(label, sizeof(label), "%s", kind_of(ev));
	printf("%12.6f vCPU %u %s", seconds, ev->vcpu, label);
	print_data(ev);
	printf(" rip %016llx\n", ev->arch.regs.rip);
}

static void add_hex(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_hex(value));
}

static void add_int(struct json_object *o, const char *key, int value)
{
	json_object_object_add(o, key, json_object_new_int(value));
}

static void add_change(struct json_object *o, uint64_t old, uint64_t new)
{
	add_hex(o, "old", old);
	add_hex(o, "new", new);
}

static void add_hypercall(struct json_object *o, const struct kvm_regs *regs)
{
	add_hex(o, "rbx", regs->rbx);
	add_hex(o, "rcx", regs->rcx);
	add_hex(o, "rdx", regs->rdx);
	add_hex(o, "rsi", regs->rsi);
	add_hex(o, "rdi", regs->rdi);
	add_hex(o, "r8", regs->r8);
	add_hex(o, "r9", regs->r9);
	add_hex(o, "r10", regs->r10);
}

static void add_pf(struct json_object *o, const struct kvmi_vcpu_event_pf *pf)
{
	char access[4];

	trace_access(pf->access, access);
	json_object_object_add(o, "access", json_object_new_string(access));
	add_hex(o, "gpa", pf->gpa);
	json_object_object_add(o, "gva", pf->gva == ~0ULL ? NULL : json_hex(pf->gva));
}

static void add_data(struct json_object *o, const struct kvmintro_event *ev)
{
	switch (ev->id) {
	case KVMI_VCPU_EVENT_CR:
		add_int(o, "cr", ev->data.cr.cr);
		add_change(o, ev->data.cr.old_value, ev->data.cr.new_value);
		break;
	case KVMI_VCPU_EVENT_MSR:
		add_hex(o, "msr", ev->data.msr.msr);
		add_change(o, ev->data.msr.old_value, ev->data.msr.new_value);
		break;
	case KVMI_VCPU_EVENT_XSETBV:
		add_int(o, "xcr", ev->data.xsetbv.xcr);
		add_change(o, ev->data.xsetbv.old_value, ev->data.xsetbv.new_value);
		break;
	case KVMI_VCPU_EVENT_BREAKPOINT:
		add_hex(o, "gpa", ev->data.breakpoint.gpa);
		add_int(o, "length", ev->data.breakpoint.insn_len);
		break;
	case KVMI_VCPU_EVENT_HYPERCALL:
		add_hypercall(o, &ev->arch.regs);
		break;
	case KVMI_VCPU_EVENT_PF:
		add_pf(o, &ev->data.pf);
		break;
	case KVMI_VCPU_EVENT_DESCRIPTOR:
		add_int(o, "descriptor", ev->data.descriptor.descriptor);
		json_object_object_add(o, "write",
				       json_object_new_boolean(ev->data.descriptor.write));
		break;
	case KVMI_VCPU_EVENT_SINGLESTEP:
		json_object_object_add(o, "failed",
				       json_object_new_boolean(ev->data.singlestep.failed));
		break;
	case KVMI_VCPU_EVENT_CPUID:
		add_hex(o, "function", ev->data.cpuid.function);
		add_hex(o, "index", ev->data.cpuid.index);
		break;
	}
}

struct json_object *trace_json(const struct kvmintro_event *ev, double seconds)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "type", json_object_new_string("event"));
	json_object_object_add(o, "time", json_object_new_double(seconds));
	add_int(o, "vcpu", ev->vcpu);
	json_object_object_add(o, "event", json_object_new_string(kind_of(ev)));
	add_data(o, ev);
	add_hex(o, "rip", ev->arch.regs.rip);
	add_hex(o, "cr3", ev->arch.sregs.cr3);
	return o;
}
