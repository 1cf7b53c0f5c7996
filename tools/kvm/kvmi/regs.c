// SPDX-License-Identifier: GPL-2.0-only
/* kvmi regs: registers of the vCPUs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct msrs {
	uint32_t index[KVMINTRO_MAX_MSRS];
	uint64_t value[KVMINTRO_MAX_MSRS];
	size_t count;
};

#define GENERAL(f) { #f, offsetof(struct kvmintro_registers, regs.f) }
#define SPECIAL(f) { #f, offsetof(struct kvmintro_registers, sregs.f) }

static const struct {
	const char *name;
	size_t offset;
} registers[] = {
	GENERAL(rip), GENERAL(rflags), GENERAL(rsp), GENERAL(rbp),
	GENERAL(rax), GENERAL(rbx),    GENERAL(rcx), GENERAL(rdx),
	GENERAL(rsi), GENERAL(rdi),    GENERAL(r8),  GENERAL(r9),
	GENERAL(r10), GENERAL(r11),    GENERAL(r12), GENERAL(r13),
	GENERAL(r14), GENERAL(r15),    SPECIAL(cr0), SPECIAL(cr2),
	SPECIAL(cr3), SPECIAL(cr4),    SPECIAL(cr8), SPECIAL(efer),
};

static const struct {
	const char *name;
	size_t offset;
} segments[] = {
	SPECIAL(cs), SPECIAL(ss), SPECIAL(ds), SPECIAL(es),
	SPECIAL(fs), SPECIAL(gs), SPECIAL(tr), SPECIAL(ldt),
};

static unsigned long long reg(const struct kvmintro_registers *r, size_t i)
{
	uint64_t value;

	memcpy(&value, (const uint8_t *)r + registers[i].offset, sizeof(value));
	return value;
}

static const struct kvm_segment *seg(const struct kvmintro_registers *r,
				     size_t i)
{
	return (const void *)((const uint8_t *)r + segments[i].offset);
}

static void print_table(const char *name, const struct kvm_dtable *t)
{
	printf("  %-6s base %016llx limit %04x\n", name, t->base, t->limit);
}

static void print_regs(uint16_t vcpu, const struct kvmintro_registers *r,
		       const struct msrs *msrs)
{
	const struct kvm_segment *s;
	size_t i;

	printf("vCPU %u, %u-bit code\n", vcpu, r->mode * 8);
	for (i = 0; i < ARRAY_SIZE(registers); i++)
		printf("%s%-6s %016llx%s", i % 3 ? "  " : "  ", registers[i].name,
		       reg(r, i), i % 3 == 2 ? "\n" : "");
	for (i = 0; i < ARRAY_SIZE(segments); i++) {
		s = seg(r, i);
		printf("  %-6s %04x base %016llx limit %08x type %x dpl %u %s%s%s\n",
		       segments[i].name, s->selector, s->base, s->limit, s->type,
		       s->dpl, s->present ? "present" : "absent",
		       s->l ? " long" : "", s->db ? " 32-bit" : "");
	}
	print_table("gdt", &r->sregs.gdt);
	print_table("idt", &r->sregs.idt);
	for (i = 0; i < msrs->count; i++)
		printf("  msr %08x %016llx\n", msrs->index[i],
		       (unsigned long long)msrs->value[i]);
}

static struct json_object *json_segment(const struct kvm_segment *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "selector", json_hex(s->selector));
	json_object_object_add(o, "base", json_hex(s->base));
	json_object_object_add(o, "limit", json_hex(s->limit));
	json_object_object_add(o, "type", json_object_new_int(s->type));
	json_object_object_add(o, "dpl", json_object_new_int(s->dpl));
	json_object_object_add(o, "present", json_object_new_boolean(s->present));
	json_object_object_add(o, "l", json_object_new_boolean(s->l));
	json_object_object_add(o, "db", json_object_new_boolean(s->db));
	return o;
}

static struct json_object *json_table(const struct kvm_dtable *t)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "base", json_hex(t->base));
	json_object_object_add(o, "limit", json_hex(t->limit));
	return o;
}

static struct json_object *json_regs(uint16_t vcpu,
				     const struct kvmintro_registers *r,
				     const struct msrs *msrs)
{
	struct json_object *o = json_object_new_object(), *m;
	char index[16];
	size_t i;

	json_object_object_add(o, "vcpu", json_object_new_int(vcpu));
	json_object_object_add(o, "mode", json_object_new_int(r->mode));
	for (i = 0; i < ARRAY_SIZE(registers); i++)
		json_object_object_add(o, registers[i].name, json_hex(reg(r, i)));
	for (i = 0; i < ARRAY_SIZE(segments); i++)
		json_object_object_add(o, segments[i].name,
				       json_segment(seg(r, i)));
	json_object_object_add(o, "gdt", json_table(&r->sregs.gdt));
	json_object_object_add(o, "idt", json_table(&r->sregs.idt));
	m = json_object_new_object();
	for (i = 0; i < msrs->count; i++) {
		snprintf(index, sizeof(index), "0x%x", msrs->index[i]);
		json_object_object_add(m, index, json_hex(msrs->value[i]));
	}
	json_object_object_add(o, "msrs", m);
	return o;
}

static int one_vcpu(struct cli *cli, uint16_t vcpu, struct msrs *msrs)
{
	struct kvmintro_registers r;

	if (kvmintro_get_registers(cli->k, vcpu, &r, msrs->index, msrs->value,
				   msrs->count) < 0)
		return out_failed(cli, "regs");
	if (cli->json)
		return out_json(json_regs(vcpu, &r, msrs));
	print_regs(vcpu, &r, msrs);
	return CLI_OK;
}

static int add_msr(const char *text, void *arg)
{
	struct msrs *msrs = arg;
	uint64_t value;
	int r;

	if (msrs->count == KVMINTRO_MAX_MSRS) {
		out_error("--msr: at most %d at once", KVMINTRO_MAX_MSRS);
		return CLI_USAGE;
	}
	r = parse_limited("--msr", text, UINT32_MAX, &value);
	if (!r)
		msrs->index[msrs->count++] = value;
	return r;
}

static int parse_args(int argc, char **argv, int *vcpu, struct msrs *msrs)
{
	static const struct option longs[] = {
		{ "vcpu", required_argument, NULL, 'v' },
		{ "msr", required_argument, NULL, 'm' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_regs, argc, argv, "", longs)) != -1) {
		if (opt == 'v')
			r = parse_vcpu(optarg, vcpu);
		else if (opt == 'm')
			r = parse_list(optarg, add_msr, msrs);
		else
			r = CLI_USAGE;
	}
	if (!r && optind != argc)
		r = cli_usage(&command_regs);
	return r;
}

static int run_regs(struct cli *cli, int argc, char **argv)
{
	struct msrs msrs = { .count = 0 };
	uint32_t count, i;
	int vcpu = -1, r;

	r = parse_args(argc, argv, &vcpu, &msrs);
	if (!r)
		r = cli_connect(cli);
	if (r)
		return r;
	if (vcpu >= 0) {
		r = one_vcpu(cli, vcpu, &msrs);
	} else {
		if (kvmintro_get_vcpu_count(cli->k, &count) < 0)
			return out_failed(cli, "regs");
		for (i = 0; !r && i < count; i++)
			r = one_vcpu(cli, i, &msrs);
	}
	return r ? r : out_flush();
}

const struct cli_command command_regs = {
	.name = "regs",
	.args = "[--vcpu N] [--msr INDEX[,INDEX...]]",
	.summary = "registers of the vCPUs",
	.help =
	"Reads the general and special registers of all vCPUs or of one.\n\n"
	"  --vcpu N           only vCPU N; they count from 0\n"
	"  --msr INDEX,...    these model specific registers, too; may be repeated\n\n"
	"vCPUs are read one after the other while they run. Pause the VM first for a\n"
	"state that belongs together: kvmi help batch.\n",
	.run = run_regs,
};
