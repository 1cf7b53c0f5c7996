// SPDX-License-Identifier: GPL-2.0-only
/* kvmi xsave: the extended state of a vCPU, out and in. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* Where XSAVE stores which parts are there. */
#define XSTATE_BV 512
#define HEADER_END 576

struct request {
	int vcpu;
	const char *input, *output;
};

static int load(struct cli *cli, const struct request *q)
{
	/* One byte more, to notice a file that is too large. */
	uint8_t state[KVMI_XSAVE_SIZE + 1];
	FILE *in = fopen(q->input, "re");
	struct json_object *o;
	size_t size;
	int err;

	if (!in) {
		out_error("%s: %s", q->input, strerror(errno));
		return CLI_FAILED;
	}
	size = fread(state, 1, sizeof(state), in);
	err = ferror(in) ? errno : 0;
	fclose(in);
	if (err || size < HEADER_END || size > KVMI_XSAVE_SIZE) {
		out_error("%s: %s", q->input, err ? strerror(err) :
			  "no extended state: that has 576 to 4096 bytes");
		return CLI_FAILED;
	}
	if (cli_connect(cli))
		return CLI_FAILED;
	if (kvmintro_set_xsave(cli->k, q->vcpu, state, size) < 0)
		return out_failed(cli, "xsave");
	if (cli->json) {
		o = json_object_new_object();
		json_object_object_add(o, "vcpu", json_object_new_int(q->vcpu));
		json_object_object_add(o, "loaded", json_object_new_uint64(size));
		out_json(o);
	} else {
		printf("loaded %zu bytes into vCPU %d\n", size, q->vcpu);
	}
	return out_flush();
}

static int save_file(const char *path, const struct kvmi_vcpu_xsave *state)
{
	FILE *out = fopen(path, "we");
	bool bad = !out || fwrite(state, sizeof(*state), 1, out) != 1;

	if ((out && fclose(out)) || bad) {
		out_error("%s: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	return CLI_OK;
}

static int show_json(const struct request *q, uint64_t xcr0,
		     const struct kvmi_vcpu_xsave *state, uint64_t parts)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "vcpu", json_object_new_int(q->vcpu));
	json_object_object_add(o, "xcr0", json_hex(xcr0));
	json_object_object_add(o, "xstate_bv", json_hex(parts));
	json_object_object_add(o, "data", json_bytes(state, sizeof(*state)));
	return out_json(o);
}

static int save(struct cli *cli, const struct request *q)
{
	struct kvmi_vcpu_xsave state;
	uint64_t xcr0, parts;

	if (kvmintro_get_xsave(cli->k, q->vcpu, &state) < 0 ||
	    kvmintro_get_xcr(cli->k, q->vcpu, 0, &xcr0) < 0)
		return out_failed(cli, "xsave");
	memcpy(&parts, state.region + XSTATE_BV, sizeof(parts));
	if (q->output)
		return save_file(q->output, &state);
	if (cli->json)
		return show_json(q, xcr0, &state, parts);
	printf("vCPU %d xcr0 %016llx xstate_bv %016llx\n", q->vcpu,
	       (unsigned long long)xcr0, (unsigned long long)parts);
	out_dump(0, state.region, sizeof(state.region));
	return out_flush();
}

static int run_xsave(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "vcpu", required_argument, NULL, 'v' },
		{ "output", required_argument, NULL, 'o' },
		{ "input", required_argument, NULL, 'i' },
		{ 0 }
	};
	struct request q = { 0 };
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_xsave, argc, argv, "o:i:", longs)) != -1) {
		if (opt == 'v')
			r = parse_vcpu(optarg, &q.vcpu);
		else if (opt == 'o')
			q.output = optarg;
		else if (opt == 'i')
			q.input = optarg;
		else
			r = CLI_USAGE;
	}
	if (!r && (optind != argc || (q.input && q.output)))
		r = cli_usage(&command_xsave);
	if (r)
		return r;
	if (q.input)
		return load(cli, &q);
	r = cli_connect(cli);
	return r ? r : save(cli, &q);
}

const struct cli_command command_xsave = {
	.name = "xsave",
	.args = "[--vcpu N] [--output FILE | --input FILE]",
	.summary = "x87, SSE, AVX and other extended state",
	.help =
	"Prints XCR0, which parts are there, and a hex dump of the extended state of a vCPU:\n"
	"4096 bytes as XSAVE stores them, not compacted. The legacy area is at 0, the header\n"
	"at 512, the upper halves of YMM at 576; CPUID leaf 0xd tells the rest.\n\n"
	"  --vcpu N         which vCPU (0)\n"
	"  --output FILE    write the bytes as they are into FILE instead\n"
	"  --input FILE     load the state of FILE into the vCPU; parts that its header\n"
	"                   leaves out are reset\n",
	.run = run_xsave,
};
