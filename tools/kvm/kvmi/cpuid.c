// SPDX-License-Identifier: GPL-2.0-only
/* kvmi cpuid: what the guest's CPUID instruction gives. */
#include <errno.h>
#include <stdio.h>

#include "cli.h"

#define RANGE_MAX 0x200
#define INDEX_MAX 64

struct request {
	int vcpu;
	bool all, indexed;
	uint64_t function, index;
};

/* Leaves in which ECX counts; others look the same for every index. */
static bool has_index(uint32_t function)
{
	static const uint32_t with[] = {
		0x4, 0x7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1d, 0x1e,
		0x1f, 0x20, 0x23, 0x24, 0x8000001d, 0x80000020, 0x80000026,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(with); i++) {
		if (with[i] == function)
			return true;
	}
	return false;
}

static void print_leaf(struct cli *cli, uint32_t function, uint32_t index,
		       const struct kvmi_vcpu_get_cpuid_reply *l)
{
	struct json_object *o;

	if (!cli->json) {
		printf("0x%08x 0x%02x: eax %08x ebx %08x ecx %08x edx %08x\n",
		       function, index, l->eax, l->ebx, l->ecx, l->edx);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "function", json_hex(function));
	json_object_object_add(o, "index", json_hex(index));
	json_object_object_add(o, "eax", json_hex(l->eax));
	json_object_object_add(o, "ebx", json_hex(l->ebx));
	json_object_object_add(o, "ecx", json_hex(l->ecx));
	json_object_object_add(o, "edx", json_hex(l->edx));
	out_json(o);
}

/* Print the leaf if it is there. Returns 1 for that, 0 if not, or -errno. */
static int show(struct cli *cli, const struct request *q, uint32_t function,
		uint32_t index, uint32_t *eax)
{
	struct kvmi_vcpu_get_cpuid_reply leaf;
	int r = kvmintro_get_cpuid(cli->k, q->vcpu, function, index, &leaf);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	print_leaf(cli, function, index, &leaf);
	if (eax)
		*eax = leaf.eax;
	return 1;
}

static int show_leaf(struct cli *cli, const struct request *q, uint32_t function)
{
	uint32_t index, end = has_index(function) ? INDEX_MAX : 1;
	int r, found = 0;

	/* 0xd has gaps: parts of the extended state that are not there. */
	for (index = 0; index < end; index++) {
		r = show(cli, q, function, index, NULL);
		if (r < 0)
			return r;
		found |= r;
		if (!r && function != 0xd)
			break;
	}
	return found;
}

/* The first leaf of a range names the last one in EAX. */
static int show_range(struct cli *cli, const struct request *q, uint32_t first)
{
	uint32_t last = 0, function;
	int r = show(cli, q, first, 0, &last);

	if (r <= 0)
		return r;
	if (last - first > RANGE_MAX)
		last = first;
	for (function = first + 1; r >= 0 && function <= last; function++)
		r = show_leaf(cli, q, function);
	return r < 0 ? r : 1;
}

static int show_all(struct cli *cli, const struct request *q)
{
	static const uint32_t ranges[] = { 0, 0x40000000, 0x80000000, 0xc0000000 };
	size_t i;
	int r = 0;

	for (i = 0; r >= 0 && i < ARRAY_SIZE(ranges); i++)
		r = show_range(cli, q, ranges[i]);
	return r;
}

static int parse_args(int argc, char **argv, struct request *q)
{
	static const struct option longs[] = {
		{ "vcpu", required_argument, NULL, 'v' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_cpuid, argc, argv, "", longs)) != -1)
		r = opt == 'v' ? parse_vcpu(optarg, &q->vcpu) : CLI_USAGE;
	if (!r && argc - optind > 2)
		r = cli_usage(&command_cpuid);
	q->all = argc == optind;
	q->indexed = argc - optind == 2;
	if (!r && !q->all)
		r = parse_limited("LEAF", argv[optind], UINT32_MAX, &q->function);
	if (!r && q->indexed)
		r = parse_limited("INDEX", argv[optind + 1], UINT32_MAX, &q->index);
	return r;
}

static int run_cpuid(struct cli *cli, int argc, char **argv)
{
	struct request q = { 0 };
	int r = parse_args(argc, argv, &q);

	if (!r)
		r = cli_connect(cli);
	if (r)
		return r;
	if (q.all)
		r = show_all(cli, &q);
	else if (q.indexed)
		r = show(cli, &q, q.function, q.index, NULL);
	else
		r = show_leaf(cli, &q, q.function);
	if (r < 0)
		return out_failed(cli, "cpuid");
	if (!r && !q.all) {
		out_error("cpuid: no leaf 0x%llx with index %llu; `cpuid` lists what there is",
			  (unsigned long long)q.function, (unsigned long long)q.index);
		return CLI_FAILED;
	}
	return out_flush();
}

const struct cli_command command_cpuid = {
	.name = "cpuid",
	.args = "[LEAF [INDEX]] [--vcpu N]",
	.summary = "what CPUID tells the guest",
	.help =
	"Prints the CPUID leaves that the VMM configured for a vCPU: all of them, those of\n"
	"LEAF (the value of EAX), or the one with INDEX (the value of ECX). A leaf that the\n"
	"VMM did not configure is an error; the guest sees zeros or another leaf there.\n\n"
	"  --vcpu N         which vCPU (0)\n",
	.run = run_cpuid,
};
