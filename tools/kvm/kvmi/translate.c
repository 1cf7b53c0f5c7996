// SPDX-License-Identifier: GPL-2.0-only
/* kvmi translate: from guest virtual to guest physical. */
#include <stdio.h>

#include "cli.h"

static int parse_args(int argc, char **argv, int *vcpu, uint64_t *gva)
{
	static const struct option longs[] = {
		{ "vcpu", required_argument, NULL, 'v' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_translate, argc, argv, "", longs)) != -1)
		r = opt == 'v' ? parse_vcpu(optarg, vcpu) : CLI_USAGE;
	if (r)
		return r;
	if (argc - optind != 1)
		return cli_usage(&command_translate);
	return parse_u64("ADDRESS", argv[optind], gva);
}

static int run_translate(struct cli *cli, int argc, char **argv)
{
	uint64_t gva = 0, gpa;
	struct json_object *o;
	int vcpu = 0, r;

	r = parse_args(argc, argv, &vcpu, &gva);
	if (!r)
		r = cli_connect(cli);
	if (r)
		return r;
	if (kvmintro_translate(cli->k, vcpu, gva, &gpa) < 0)
		return out_failed(cli, "translate");

	if (cli->json) {
		o = json_object_new_object();
		json_object_object_add(o, "vcpu", json_object_new_int(vcpu));
		json_object_object_add(o, "gva", json_hex(gva));
		json_object_object_add(o, "gpa", json_hex(gpa));
		out_json(o);
	} else {
		printf("0x%llx -> 0x%llx\n", (unsigned long long)gva,
		       (unsigned long long)gpa);
	}
	return out_flush();
}

const struct cli_command command_translate = {
	.name = "translate",
	.args = "ADDRESS [--vcpu N]",
	.summary = "guest virtual to guest physical address",
	.help =
	"Walks the page tables that the vCPU uses when the command reaches it, as for a\n"
	"read by the guest's kernel. An address that is not mapped is an error.\n\n"
	"  --vcpu N         the vCPU (0)\n",
	.run = run_translate,
};
