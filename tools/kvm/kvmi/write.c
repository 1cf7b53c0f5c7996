// SPDX-License-Identifier: GPL-2.0-only
/* kvmi write: change guest memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define INPUT_MAX (256u << 20)

struct request {
	struct memory_args at;
	uint8_t *data;
	size_t size;
};

static int read_input(struct request *q)
{
	FILE *in = fopen(q->at.file, "re");
	size_t room = 0, n = 1;
	int r = CLI_FAILED;
	uint8_t *p;

	if (!in) {
		out_error("%s: %s", q->at.file, strerror(errno));
		return CLI_FAILED;
	}
	while (n) {
		if (q->size == room) {
			room = room ? 2 * room : 65536;
			p = room <= INPUT_MAX ? realloc(q->data, room) : NULL;
			if (!p) {
				out_error("%s: too large for one write", q->at.file);
				goto out;
			}
			q->data = p;
		}
		n = fread(q->data + q->size, 1, room - q->size, in);
		q->size += n;
	}
	if (ferror(in))
		out_error("%s: %s", q->at.file, strerror(errno));
	else if (!q->size)
		out_error("%s: the file is empty", q->at.file);
	else
		r = CLI_OK;
out:
	fclose(in);
	return r;
}

static int parse_args(int argc, char **argv, struct request *q)
{
	int r = memory_options(&command_write, argc, argv, "input", &q->at);

	if (r)
		return r;
	if (argc - optind != (q->at.file ? 1 : 2))
		return cli_usage(&command_write);
	r = parse_u64("ADDRESS", argv[optind], &q->at.address);
	if (r)
		return r;
	r = q->at.file ? read_input(q) :
			 parse_hex(argv[optind + 1], &q->data, &q->size);
	return r ? r : memory_range(&q->at, q->size);
}

static int do_write(struct cli *cli, const struct request *q)
{
	struct json_object *o;
	int r;

	if (q->at.virtual)
		r = kvmintro_write_virtual(cli->k, q->at.vcpu, q->at.address, q->data,
					   q->size);
	else
		r = kvmintro_write_physical(cli->k, q->at.address, q->data, q->size);
	if (r < 0)
		return out_failed(cli, "write");

	if (!cli->json) {
		printf("wrote %zu bytes at 0x%llx\n", q->size,
		       (unsigned long long)q->at.address);
		return out_flush();
	}
	o = json_object_new_object();
	json_object_object_add(o, "address", json_hex(q->at.address));
	json_object_object_add(o, "written", json_object_new_uint64(q->size));
	out_json(o);
	return out_flush();
}

static int run_write(struct cli *cli, int argc, char **argv)
{
	struct request q = { 0 };
	int r = parse_args(argc, argv, &q);

	if (!r)
		r = cli_connect(cli);
	if (!r)
		r = do_write(cli, &q);
	free(q.data);
	return r;
}

const struct cli_command command_write = {
	.name = "write",
	.args = "ADDRESS HEX|--input FILE [--virtual [--vcpu N]]",
	.summary = "write guest memory",
	.help =
	"Writes bytes to ADDRESS: HEX, for example 0f0b90, or the content of a file.\n\n"
	"  --input FILE     the bytes to write\n"
	"  --virtual        ADDRESS is virtual, in the address space that the vCPU uses\n"
	"                   when the command reaches it\n"
	"  --vcpu N         that vCPU (0)\n\n"
	"The guest's own page permissions do not matter. Stops at the first page that\n"
	"cannot be written; what lies before it has been written.\n",
	.run = run_write,
};
