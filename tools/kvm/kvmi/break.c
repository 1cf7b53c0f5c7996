// SPDX-License-Identifier: GPL-2.0-only
/* kvmi break: count and show executions of an instruction. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "break.h"

#define INT3 0xcc
#define RECONNECT_TIMEOUT 5000

static void report_hit(const struct breakpoint *b, const struct kvmintro_event *ev)
{
	const struct kvmi_event_arch *a = &ev->arch;
	struct json_object *o;

	if (b->f.summary)
		return;
	if (!b->f.cli->json) {
		printf("%12.6f vCPU %u rip %016llx rsp %016llx cr3 %016llx\n",
		       follow_seconds(&b->f), ev->vcpu, a->regs.rip, a->regs.rsp,
		       a->sregs.cr3);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "type", json_object_new_string("hit"));
	json_object_object_add(o, "time",
			       json_object_new_double(follow_seconds(&b->f)));
	json_object_object_add(o, "vcpu", json_object_new_int(ev->vcpu));
	json_object_object_add(o, "rip", json_hex(a->regs.rip));
	json_object_object_add(o, "rsp", json_hex(a->regs.rsp));
	json_object_object_add(o, "rax", json_hex(a->regs.rax));
	json_object_object_add(o, "cr3", json_hex(a->sregs.cr3));
	out_json(o);
}

static int summarize(const struct breakpoint *b, double seconds)
{
	struct json_object *o, *list;
	size_t i;

	if (!b->f.cli->json) {
		printf("%llu hits in %.1f s (%.1f/s)\n", (unsigned long long)b->f.done, seconds,
		       seconds > 0 ? b->f.done / seconds : 0);
		for (i = 0; i < b->count; i++)
			printf("  vCPU %-3zu %llu\n", i, (unsigned long long)b->vcpus[i].hits);
		return out_flush();
	}
	o = json_object_new_object();
	list = json_object_new_array();
	json_object_object_add(o, "type", json_object_new_string("summary"));
	json_object_object_add(o, "address", json_hex(b->gva));
	json_object_object_add(o, "gpa", json_hex(b->gpa));
	json_object_object_add(o, "hits", json_object_new_uint64(b->f.done));
	json_object_object_add(o, "seconds", json_object_new_double(seconds));
	json_object_object_add(o, "vcpus", list);
	for (i = 0; i < b->count; i++)
		json_object_array_add(list, json_object_new_uint64(b->vcpus[i].hits));
	out_json(o);
	return out_flush();
}

/* What would otherwise fail at the first hit. */
static int check(struct breakpoint *b)
{
	struct kvmintro *k = b->f.cli->k;
	struct kvmi_features features;
	uint32_t version;
	int r;

	r = kvmintro_get_version(k, &version, &features);
	if (!r && !features.singlestep) {
		out_error("break: this host cannot single-step a vCPU past the breakpoint");
		return CLI_FAILED;
	}
	if (!r)
		r = kvmintro_check_command(k, KVMI_VCPU_CONTROL_SINGLESTEP);
	if (!r)
		r = kvmintro_check_event(k, KVMI_VCPU_EVENT_SINGLESTEP);
	if (!r)
		r = kvmintro_check_command(k, KVMI_VCPU_PAUSE);
	if (!r)
		r = kvmintro_check_event(k, KVMI_VCPU_EVENT_PAUSE);
	return r < 0 ? out_failed(b->f.cli, "break") : CLI_OK;
}

static int locate(struct breakpoint *b)
{
	struct kvmintro *k = b->f.cli->k;

	if (kvmintro_translate(k, b->f.vcpu, b->gva, &b->gpa) < 0 ||
	    kvmintro_read_physical(k, b->gpa, &b->original, 1) < 0)
		return out_failed(b->f.cli, "break");
	if (b->original == INT3) {
		out_error("break: 0x%llx has a breakpoint already, the guest's or another tool's",
			  (unsigned long long)b->gva);
		return CLI_FAILED;
	}
	return CLI_OK;
}

static bool same_vm(const struct kvmintro_hello *was, const struct kvmintro_hello *is)
{
	return !was || (is && was->start_time == is->start_time &&
			!memcmp(was->uuid, is->uuid, sizeof(was->uuid)));
}

/* The connection was lost with INT3 in memory. Connect again, and take it away. */
static void recover(struct breakpoint *b, const struct kvmintro_hello *hello)
{
	struct kvmintro *k = b->f.cli->k;
	uint8_t byte = 0;
	int r;

	r = cli_reconnect(b->f.cli, RECONNECT_TIMEOUT);
	if (!r && !same_vm(hello, kvmintro_hello(k))) {
		fprintf(stderr, "kvmi: the guest was reset, and its memory with it\n");
		return;
	}
	if (!r)
		r = kvmintro_read_physical(k, b->gpa, &byte, 1);
	if (!r && byte == INT3)
		r = break_write(b, false);
	if (r < 0)
		out_error("break: %s; if the guest runs on, put its byte back: write 0x%llx %02x",
			  kvmintro_error(k), (unsigned long long)b->gpa, b->original);
	else
		fprintf(stderr, "kvmi: connected again: the breakpoint is gone\n");
}

static int run(struct breakpoint *b)
{
	struct kvmintro *k = b->f.cli->k;
	const struct kvmintro_hello *now = kvmintro_hello(k);
	struct kvmintro_hello hello;
	int r, failed = CLI_OK;
	double seconds;

	if (now)
		hello = *now;
	r = break_begin(b);
	follow_start(&b->f);
	if (!r)
		r = break_follow(b);
	if (r < 0)
		failed = b->said ? CLI_FAILED : out_failed(b->f.cli, "break");
	seconds = follow_seconds(&b->f);
	if (kvmintro_fd(k) >= 0 && break_end(b) < 0 && !failed)
		failed = out_failed(b->f.cli, "break: taking it away");
	if (kvmintro_fd(k) < 0 && b->planted)
		recover(b, now ? &hello : NULL);
	return summarize(b, seconds) | failed ? CLI_FAILED : CLI_OK;
}

static int parse_args(int argc, char **argv, struct breakpoint *b)
{
	static const struct option longs[] = {
		FOLLOW_OPTIONS,
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_break, argc, argv, "", longs)) != -1)
		r = follow_option(&b->f, opt);
	if (!r && argc - optind != 1)
		r = cli_usage(&command_break);
	return r ? r : parse_u64("ADDRESS", argv[optind], &b->gva);
}

static int run_break(struct cli *cli, int argc, char **argv)
{
	struct breakpoint b = { .f = { .duration = -1 }, .report = report_hit };
	int r = parse_args(argc, argv, &b);

	if (!r)
		r = follow_connect(&b.f, cli, "break");
	if (!r)
		r = check(&b);
	if (!r)
		r = locate(&b);
	if (!r)
		r = run(&b);
	free(b.vcpus);
	return r;
}

const struct cli_command command_break = {
	.name = "break",
	.args = "ADDRESS [--vcpu N] [--duration SECONDS] [--count N] [--summary]",
	.summary = "show each execution of an instruction",
	.help =
	"Writes a breakpoint (INT3) over the first byte of the instruction at ADDRESS, a\n"
	"virtual address, and prints each time a vCPU comes there: when, which, and its RIP,\n"
	"RSP and CR3. At the end it prints how many there were on each vCPU. ADDRESS must be\n"
	"the beginning of an instruction, and the guest must not change that instruction\n"
	"meanwhile.\n\n"
	"  --vcpu N            translate ADDRESS with the page tables of this vCPU (0); every\n"
	"                      vCPU is counted, and every address of the same memory\n"
	"  --duration SECONDS  stop after this time\n"
	"  --count N           stop after N; vCPUs that are there at that time are counted, too\n"
	"  --summary           print only the end\n"
	"  --json              one JSON document for each, and one for the end\n\n"
	"Each hit puts the original byte back, lets the vCPU execute that one instruction, and\n"
	"writes INT3 again. All other vCPUs are stopped in between, so that none passes\n"
	"unseen: each execution is counted once. An instruction that faults and is repeated\n"
	"counts again. Breakpoints of the guest's own are left to it.\n\n"
	"At the end, and on ^C and SIGTERM, the original byte is written and the guest runs\n"
	"on. If the connection is lost, kvmi connects again for that. If kvmi is killed, INT3\n"
	"remains: `write` puts the byte back.\n",
	.run = run_break,
};
