// SPDX-License-Identifier: GPL-2.0-only
/* kvmi read: guest memory as a hex dump, a file or JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define JSON_MAX (16u << 20)

struct request {
	struct memory_args at;
	uint64_t size;
};

static int fetch(struct cli *cli, const struct request *q, uint64_t address,
		 void *buf, size_t size)
{
	int r = 0;

	/* Not more than one page. */
	if (q->at.virtual)
		r = kvmintro_translate(cli->k, q->at.vcpu, address, &address);
	return r ? r : kvmintro_memory_read(cli->memory, address, buf, size);
}

/* Page by page, so that what can be read is shown before a hole. */
static int read_pages(struct cli *cli, const struct request *q, FILE *out,
		      uint8_t *all)
{
	uint8_t page[KVMINTRO_PAGE_SIZE];
	uint64_t done = 0;
	size_t n;

	while (done < q->size) {
		n = sizeof(page) - (q->at.address + done) % sizeof(page);
		if (n > q->size - done)
			n = q->size - done;
		if (fetch(cli, q, q->at.address + done, page, n) < 0)
			return out_failed(cli, "read");
		if (all)
			memcpy(all + done, page, n);
		else if (!out)
			out_dump(q->at.address + done, page, n);
		else if (fwrite(page, 1, n, out) != n)
			break;
		done += n;
	}
	return CLI_OK;
}

static int read_to_file(struct cli *cli, const struct request *q)
{
	FILE *out = fopen(q->at.file, "we");
	int r;

	if (!out) {
		out_error("%s: %s", q->at.file, strerror(errno));
		return CLI_FAILED;
	}
	r = read_pages(cli, q, out, NULL);
	if (ferror(out) | fclose(out)) {
		out_error("%s: %s", q->at.file, strerror(errno));
		return CLI_FAILED;
	}
	return r;
}

static int read_to_json(struct cli *cli, const struct request *q)
{
	struct json_object *o;
	uint8_t *data;
	int r;

	data = malloc(q->size);
	if (!data) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	r = read_pages(cli, q, NULL, data);
	if (!r) {
		o = json_object_new_object();
		json_object_object_add(o, "address", json_hex(q->at.address));
		json_object_object_add(o, "virtual",
				       json_object_new_boolean(q->at.virtual));
		json_object_object_add(o, "data", json_bytes(data, q->size));
		r = out_json(o);
	}
	free(data);
	return r;
}

static int parse_args(int argc, char **argv, bool json, struct request *q)
{
	int r = memory_options(&command_read, argc, argv, "output", &q->at);

	if (r)
		return r;
	if (argc - optind != 2)
		return cli_usage(&command_read);
	r = parse_u64("ADDRESS", argv[optind], &q->at.address);
	if (!r)
		r = parse_size("SIZE", argv[optind + 1], &q->size);
	if (!r)
		r = memory_range(&q->at, q->size);
	if (!r && json && !q->at.file && q->size > JSON_MAX) {
		out_error("--json takes at most %u bytes; use --output", JSON_MAX);
		r = CLI_USAGE;
	}
	return r;
}

static int run_read(struct cli *cli, int argc, char **argv)
{
	struct request q = { .at.has_way = true };
	int r = parse_args(argc, argv, cli->json, &q);

	if (!r)
		r = reach_memory(cli, q.at.way);
	if (r)
		return r;
	if (q.at.file)
		r = read_to_file(cli, &q);
	else if (cli->json)
		r = read_to_json(cli, &q);
	else
		r = read_pages(cli, &q, NULL, NULL);
	return r ? r : out_flush();
}

const struct cli_command command_read = {
	.name = "read",
	.args = "ADDRESS SIZE [--virtual [--vcpu N]] [--output FILE] [--way WAY]",
	.summary = "read guest memory",
	.help =
	"Prints SIZE bytes from ADDRESS as a hex dump.\n\n"
	"  --virtual        ADDRESS is virtual, in the address space that the vCPU uses\n"
	"                   when the command reaches it\n"
	"  --vcpu N         that vCPU (0)\n"
	"  --output FILE    write the bytes as they are into FILE instead\n"
	WAYS_HELP "\n"
	"Stops with an error at the first page that has no memory or is not mapped; what\n"
	"lies before it has been printed.\n",
	.run = run_read,
};
