// SPDX-License-Identifier: GPL-2.0-only
/* kvmi dump: all memory of the guest as a file. */
#include <stdio.h>
#include <string.h>

#include "progress.h"
#include "sparse.h"
#include "walk.h"

struct dump {
	struct sparse file;
	struct walk walk;
	struct progress progress;
	int way;
	double seconds;
};

static int take(void *arg, uint64_t address, const uint8_t *data, size_t size)
{
	struct dump *d = arg;

	progress_show(&d->progress, d->walk.done);
	return sparse_write(&d->file, address, data, size);
}

static int report_json(struct cli *cli, const struct dump *d)
{
	const char *way = kvmintro_memory_way_name(kvmintro_memory_way(cli->memory));
	struct json_object *o = json_object_new_object(), *list, *item;
	const struct walk_span *range;
	size_t i;

	list = json_object_new_array();
	for (i = 0; i < d->walk.count; i++) {
		range = &d->walk.ranges[i];
		item = json_object_new_object();
		json_object_object_add(item, "address", json_hex(range->first));
		json_object_object_add(item, "size",
				       json_object_new_uint64(range->end - range->first));
		json_object_array_add(list, item);
	}
	json_object_object_add(o, "file", json_object_new_string(d->file.path));
	json_object_object_add(o, "way", json_object_new_string(way));
	json_object_object_add(o, "ranges", list);
	json_object_object_add(o, "memory", json_object_new_uint64(d->walk.total));
	json_object_object_add(o, "written", json_object_new_uint64(d->file.written));
	json_object_object_add(o, "unreadable_pages",
			       json_object_new_uint64(d->walk.unreadable));
	json_object_object_add(o, "seconds", json_object_new_double(d->seconds));
	out_json(o);
	return out_flush();
}

static int report(struct cli *cli, const struct dump *d)
{
	const int way = kvmintro_memory_way(cli->memory);
	char total[16], written[16];

	if (d->walk.unreadable)
		fprintf(stderr, "kvmi: %llu pages that cannot be read are holes in the file\n",
			(unsigned long long)d->walk.unreadable);
	if (cli->json)
		return report_json(cli, d);
	printf("dumped %s of memory in %zu ranges, %s of it written, the rest is zeros, ",
	       walk_human(d->walk.total, total), d->walk.count,
	       walk_human(d->file.written, written));
	printf("in %.1f s (%s)\n", d->seconds, kvmintro_memory_way_name(way));
	return out_flush();
}

static int dump(struct cli *cli, struct dump *d)
{
	int r = reach_memory(cli, d->way);

	if (!r)
		reach_explain(cli);
	if (!r)
		r = walk_find(cli, &d->walk);
	if (!r)
		r = sparse_open(&d->file);
	if (r)
		return r;
	progress_begin(&d->progress, d->walk.total);
	r = walk_read(cli, &d->walk, take, d);
	d->seconds = progress_end(&d->progress);
	if (!r)
		r = sparse_finish(&d->file, d->walk.ranges[d->walk.count - 1].end);
	return r ? r : report(cli, d);
}

static int run_dump(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "range", required_argument, NULL, 'r' },
		{ "way", required_argument, NULL, 'w' },
		{ "force", no_argument, NULL, 'f' },
		{ 0 }
	};
	struct dump d = { .walk.span.end = KVMINTRO_PHYSICAL_END };
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_dump, argc, argv, "", longs)) != -1) {
		if (opt == 'r')
			r = walk_parse("--range: ", optarg, &d.walk.span);
		else if (opt == 'w')
			r = parse_way(optarg, &d.way);
		else if (opt == 'f')
			d.file.force = true;
		else
			r = CLI_USAGE;
	}
	if (!r && argc - optind != 1)
		r = cli_usage(&command_dump);
	if (r)
		return r;
	d.file.path = argv[optind];
	r = sparse_check(&d.file);
	if (!r)
		r = dump(cli, &d);
	sparse_close(&d.file);
	walk_free(&d.walk);
	return r;
}

const struct cli_command command_dump = {
	.name = "dump",
	.args = "FILE [--range ADDR-END] [--force] [--way WAY]",
	.summary = "write all guest memory into a file",
	.help =
	"Writes the guest's memory into FILE, at the offsets that are its physical\n"
	"addresses. Where the guest has no memory and where a page has nothing but zeros FILE\n"
	"has holes, which take no space. Only its owner can read it.\n\n"
	"  --range ADDR-END the memory from ADDR up to, not including, END; without END to\n"
	"                   the end. FILE begins with a hole up to ADDR\n"
	"  --force          replace FILE if it exists\n"
	WAYS_HELP "\n"
	"The guest runs on meanwhile: for a consistent picture, use dump in a batch between\n"
	"pause --keep and resume. On a terminal a bar shows how far it has come. The file is\n"
	"called FILE.partial until it is complete. It is removed if something fails and after\n"
	"^C; what is left if kvmi is killed is overwritten the next time.\n\n"
	"A region of memory that the guest's hardware has far behind all other and that is\n"
	"smaller than a 16384th of its address may be missed; name it by --range. So has to be\n"
	"read-only memory above all other: the firmware, just below 4 GiB, of a guest whose\n"
	"memory ends below.\n",
	.run = run_dump,
};
