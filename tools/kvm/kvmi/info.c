// SPDX-License-Identifier: GPL-2.0-only
/* kvmi info: what this VM, its VMM and its kernel offer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"

struct info {
	uint32_t version;
	struct kvmi_features features;
	/* Unknown when the VMM does not allow the question. */
	bool has_vcpus, has_max_gfn, has_tsc;
	uint32_t vcpus;
	uint64_t max_gfn;
	uint64_t tsc_hz;
	const char *tsc_why;
};

/* The bits of one member are features of their own. */
#define PAGE_ACCESS(bit) offsetof(struct kvmi_features, page_access), KVMI_PAGE_ACCESS_##bit

static const struct {
	const char *name;
	size_t offset;
	uint8_t mask;
} features[] = {
	{ "spp", offsetof(struct kvmi_features, spp), 0xff },
	{ "vmfunc", offsetof(struct kvmi_features, vmfunc), 0xff },
	{ "eptp", offsetof(struct kvmi_features, eptp), 0xff },
	{ "ve", offsetof(struct kvmi_features, ve), 0xff },
	{ "singlestep", offsetof(struct kvmi_features, singlestep), 0xff },
	{ "descriptor", offsetof(struct kvmi_features, descriptor), 0xff },
	{ "page_access", PAGE_ACCESS(RESTRICTED) },
	{ "page_access_none", PAGE_ACCESS(NONE) },
	{ "page_access_exec_only", PAGE_ACCESS(EXEC_ONLY) },
	{ "page_access_walks_write", PAGE_ACCESS(WALKS_WRITE) },
};

static bool has_feature(const struct info *info, size_t i)
{
	const uint8_t *all = (const uint8_t *)&info->features;

	return all[features[i].offset] & features[i].mask;
}

static int gather(struct cli *cli, struct info *info)
{
	int r;

	r = kvmintro_get_version(cli->k, &info->version, &info->features);
	if (r < 0)
		return r;
	r = kvmintro_get_vcpu_count(cli->k, &info->vcpus);
	if (r < 0 && r != -EPERM)
		return r;
	info->has_vcpus = !r;
	r = kvmintro_get_max_gfn(cli->k, &info->max_gfn);
	if (r < 0 && r != -EPERM)
		return r;
	info->has_max_gfn = !r;

	/* A stopped VM has no vCPU that could answer. */
	r = kvmintro_get_tsc_speed(cli->k, 0, &info->tsc_hz);
	if (r < 0 && r != -EPERM && r != -ETIMEDOUT)
		return r;
	info->has_tsc = !r;
	info->tsc_why = r == -EPERM ? "not allowed" : "vCPU 0 is not running";
	return 0;
}

static void format_uuid(char *text, const uint8_t *u)
{
	size_t at = 0, i;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		at += sprintf(text + at, "%02x", u[i]);
	}
}

static void format_time(char *text, size_t size, int64_t seconds)
{
	time_t t = seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, size, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(text, size, "%lld", (long long)seconds);
}

static void json_hello(struct json_object *doc, const struct kvmintro_hello *h)
{
	struct json_object *vm = json_object_new_object();
	char uuid[40];

	format_uuid(uuid, h->uuid);
	json_object_object_add(vm, "name", json_object_new_string(h->name));
	json_object_object_add(vm, "uuid", json_object_new_string(uuid));
	json_object_object_add(vm, "start_time",
			       json_object_new_int64(h->start_time));
	json_object_object_add(doc, "vm", vm);
}

static const char *verdict(int r)
{
	return !r ? "allowed" : r == -EPERM ? "denied" : "unknown";
}

static int json_names(struct cli *cli, struct json_object *doc, const char *key,
		      unsigned int first, unsigned int count,
		      const char *(*name)(uint16_t),
		      int (*check)(struct kvmintro *, uint16_t))
{
	struct json_object *list = json_object_new_object();
	unsigned int id;
	int r;

	json_object_object_add(doc, key, list);
	for (id = first; id < count; id++) {
		if (!name(id))
			continue;
		r = check(cli->k, id);
		if (r < 0 && r != -EPERM && r != -EINVAL)
			return r;
		json_object_object_add(list, name(id),
				       json_object_new_string(verdict(r)));
	}
	return 0;
}

/* The JSON document holds everything; the text is made from the same. */
static int build(struct cli *cli, const struct info *info,
		 struct json_object *doc)
{
	const struct kvmintro_hello *hello = kvmintro_hello(cli->k);
	struct json_object *f = json_object_new_object();
	size_t i;
	int r;

	if (hello)
		json_hello(doc, hello);
	json_object_object_add(doc, "version",
			       json_object_new_int64(info->version));
	json_object_object_add(doc, "features", f);
	for (i = 0; i < ARRAY_SIZE(features); i++)
		json_object_object_add(f, features[i].name,
				       json_object_new_boolean(has_feature(info, i)));
	if (info->has_vcpus)
		json_object_object_add(doc, "vcpus",
				       json_object_new_int64(info->vcpus));
	if (info->has_max_gfn)
		json_object_object_add(doc, "max_gfn", json_hex(info->max_gfn));
	if (info->has_tsc)
		json_object_object_add(doc, "tsc_hz",
				       json_object_new_uint64(info->tsc_hz));

	r = json_names(cli, doc, "commands", KVMI_GET_VERSION, KVMI_NUM_MESSAGES,
		       kvmintro_command_name, kvmintro_check_command);
	if (!r)
		r = json_names(cli, doc, "events", 0, KVMI_NUM_EVENTS,
			       kvmintro_event_name, kvmintro_check_event);
	return r;
}

static void print_hello(const struct kvmintro_hello *h)
{
	char uuid[40], start[64];

	format_uuid(uuid, h->uuid);
	printf("VM            %s\n", *h->name ? h->name : "(no name)");
	printf("UUID          %s\n", uuid);
	if (h->start_time) {
		format_time(start, sizeof(start), h->start_time);
		printf("started       %s\n", start);
	}
}

static void print_list(const char *title, struct json_object *list,
		       const char *which)
{
	int column = 0;

	json_object_object_foreach(list, name, value) {
		if (strcmp(json_object_get_string(value), which))
			continue;
		if (column && column + 1 + strlen(name) > 78)
			column = 0, putchar('\n');
		if (!column)
			column = printf("%-13s", title), title = "";
		column += printf(" %s", name);
	}
	if (column)
		putchar('\n');
}

static void print_info(struct cli *cli, const struct info *info,
		       struct json_object *doc)
{
	const struct kvmintro_hello *hello = kvmintro_hello(cli->k);
	struct json_object *list;
	size_t i, n = 0;

	if (hello)
		print_hello(hello);
	printf("version       %u\n", info->version);
	for (i = 0; i < ARRAY_SIZE(features); i++)
		n += has_feature(info, i);
	if (!n)
		printf("features      none\n");
	json_object_object_get_ex(doc, "features", &list);
	print_list("features", list, "true");
	if (info->has_vcpus)
		printf("vCPUs         %u\n", info->vcpus);
	else
		printf("vCPUs         not allowed\n");
	if (info->has_max_gfn)
		printf("memory up to  0x%llx (max gfn 0x%llx)\n",
		       (unsigned long long)info->max_gfn * KVMINTRO_PAGE_SIZE,
		       (unsigned long long)info->max_gfn);
	else
		printf("memory up to  not allowed\n");
	if (!info->has_tsc)
		printf("TSC           %s\n", info->tsc_why);
	else if (info->tsc_hz)
		printf("TSC           %llu Hz\n", (unsigned long long)info->tsc_hz);
	else
		printf("TSC           as the host's\n");

	json_object_object_get_ex(doc, "commands", &list);
	print_list("commands", list, "allowed");
	print_list("  denied", list, "denied");
	print_list("  unknown", list, "unknown");
	json_object_object_get_ex(doc, "events", &list);
	print_list("events", list, "allowed");
	print_list("  denied", list, "denied");
}

static int run_info(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = { { 0 } };
	struct info info = { 0 };
	struct json_object *doc;
	int r;

	if (next_option(&command_info, argc, argv, "", longs) != -1)
		return CLI_USAGE;
	if (optind != argc)
		return cli_usage(&command_info);
	r = cli_connect(cli);
	if (r)
		return r;
	if (gather(cli, &info) < 0)
		return out_failed(cli, "info");

	doc = json_object_new_object();
	if (build(cli, &info, doc) < 0) {
		json_object_put(doc);
		return out_failed(cli, "info");
	}
	if (cli->json)
		return out_json(doc);
	print_info(cli, &info, doc);
	json_object_put(doc);
	return out_flush();
}

const struct cli_command command_info = {
	.name = "info",
	.args = "",
	.summary = "what the VM, its VMM and its kernel offer",
	.help =
	"Prints the VM's name, UUID and start time (as far as the VMM told them), the\n"
	"protocol's version and features, vCPUs, end of memory, TSC frequency, and which\n"
	"commands and events the VMM allows. Features of the host's processor:\n\n"
	"  singlestep               vCPUs can be stepped\n"
	"  descriptor               uses of descriptor tables can be reported\n"
	"  page_access              what the guest may do with a page can be restricted\n"
	"  page_access_none         every access to a page can be taken away\n"
	"  page_access_exec_only    a page can be left executable but not readable\n"
	"  page_access_walks_write  each walk through a page table of the guest that may not\n"
	"                           be written costs an exit, without an event\n",
	.run = run_info,
};
