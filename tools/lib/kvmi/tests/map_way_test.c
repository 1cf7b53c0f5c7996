// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which way to the guest's memory is taken, and why the others are not. */
#include "host.h"

static const uint8_t uuid[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void have_all(void)
{
	host.has_device = true;
	host.has_proc = true;
	host.has_guest = true;
}

static struct kvmintro_memory *open_way(struct kvmintro *k, int way, bool writable, int *r)
{
	const struct kvmintro_memory_options o = {
		.size = sizeof(o), .way = way, .writable = writable, .uuid = uuid
	};
	struct kvmintro_memory *m;

	*r = kvmintro_memory_open(k, &o, &m);
	return m;
}

/* The page at 2 MiB can be read, and written if that was asked for. */
static bool works(struct kvmintro_memory *m, bool writable)
{
	const uint64_t value = 0x1122334455667788, mine = 2 * MIB;
	uint64_t got = 0;

	if (kvmintro_memory_read(m, 2 * MIB, &got, sizeof(got)) || got != mine)
		return false;
	if (kvmintro_memory_write(m, 2 * MIB + 16, &value, sizeof(value)) !=
	    (writable ? 0 : -EACCES))
		return false;
	guest_get(2 * MIB + 16, &got, sizeof(got));
	return got == (writable ? value : 0);
}

static void each_way(void)
{
	static const char *const names[] = { "any", "vm", "device", "proc", "guest", "commands" };
	struct kvmintro_memory *m;
	struct kvmintro *k;
	int way, writable, r;

	for (way = 0; way < KVMINTRO_MEMORY_WAYS; way++) {
		for (writable = 0; writable < 2; writable++) {
			k = host_open(true);
			have_all();
			m = open_way(k, way, writable, &r);
			ok(!r && kvmintro_memory_way(m) == (way ? : KVMINTRO_MEMORY_VM) &&
			   works(m, writable), "way %d%s", way, writable ? ", writable" : "");
			ok((way != KVMINTRO_MEMORY_VM && way != KVMINTRO_MEMORY_DEVICE) ||
			   host.flags == (uint32_t)writable, "the door is told");
			ok(!!host.reads == (way == KVMINTRO_MEMORY_COMMANDS) &&
			   !!host.writes == (way == KVMINTRO_MEMORY_COMMANDS && writable),
			   "commands where there is nothing better");
			kvmintro_memory_close(m);
			host_close(k);
		}
		ok(!strcmp(kvmintro_memory_way_name(way), names[way]), "name of way %d", way);
	}
	ok(!kvmintro_memory_way_name(-1) && !kvmintro_memory_way_name(6), "no other names");
}

/* Take away one after the other: the next best is taken. */
static void order(void)
{
	bool *const has[] = { NULL, &host.has_vm, &host.has_device, &host.has_proc,
			      &host.has_guest };
	static const char *const why[] = {
		"", "cannot map memory", "/dev/kvmi-mem: No such file",
		"/proc/kvmi-mem-00010203-0405-0607-0809-0A0B0C0D0E0F: No such file",
		"/dev/kvmmem: No such file"
	};
	struct kvmintro *k = host_open(true);
	struct kvmintro_memory *m;
	const char *text;
	int way, lost, r;

	have_all();
	for (way = KVMINTRO_MEMORY_VM; way < KVMINTRO_MEMORY_WAYS; way++) {
		m = open_way(k, KVMINTRO_MEMORY_ANY, false, &r);
		ok(!r && kvmintro_memory_way(m) == way && works(m, false), "the next is %d", way);
		for (lost = 1; lost < way; lost++) {
			text = kvmintro_memory_refusal(m, lost);
			ok(text && strstr(text, why[lost]), "%d was refused: %s", lost, text);
		}
		for (; lost <= KVMINTRO_MEMORY_WAYS; lost++)
			r |= !!kvmintro_memory_refusal(m, lost);
		ok(!r && !kvmintro_memory_refusal(m, -1), "the others were not");
		kvmintro_memory_close(m);
		if (way < KVMINTRO_MEMORY_COMMANDS)
			*has[way] = false;
	}
	host_close(k);
}

static void refused(void)
{
	static const struct { int way, error; bool writable; const char *text; } rows[] = {
		{ KVMINTRO_MEMORY_VM, EACCES, false, "does not allow to read" },
		{ KVMINTRO_MEMORY_VM, EACCES, true, "does not allow to write" },
		{ KVMINTRO_MEMORY_VM, EOPNOTSUPP, true, "dirty ring" },
		{ KVMINTRO_MEMORY_VM, EFAULT, false, "not introspected any more" },
		{ KVMINTRO_MEMORY_VM, EPERM, false, "the VM's file: Operation not permitted" },
		{ KVMINTRO_MEMORY_DEVICE, EACCES, false, "/dev/kvmi-mem: the VMM does not allow" },
		{ KVMINTRO_MEMORY_PROC, EACCES, false, "Permission denied" },
		{ KVMINTRO_MEMORY_GUEST, EOPNOTSUPP, false, "does not let this VM map" },
		{ KVMINTRO_MEMORY_GUEST, ENOTTY, false, "does not let this VM map" },
		{ KVMINTRO_MEMORY_GUEST, ENOENT, false, "does not have the guest" },
		{ KVMINTRO_MEMORY_GUEST, EINVAL, false, "/dev/kvmmem: Invalid argument" },
	};
	struct kvmintro_memory *m;
	struct kvmintro *k;
	size_t i;
	int r;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		k = host_open(true);
		have_all();
		host.error = rows[i].error;
		m = open_way(k, rows[i].way, rows[i].writable, &r);
		ok(!m && r == -rows[i].error && strstr(kvmintro_error(k), rows[i].text),
		   "way %d: %s", rows[i].way, kvmintro_error(k));
		m = open_way(k, 0, false, &r);
		ok(!r && kvmintro_memory_way(m) == KVMINTRO_MEMORY_COMMANDS && works(m, false),
		   "commands remain");
		kvmintro_memory_close(m);
		host_close(k);
	}
}

static void options(void)
{
	struct kvmintro_memory_options o = { .size = sizeof(o), .way = KVMINTRO_MEMORY_PROC };
	struct kvmintro_memory *m = (void *)1;
	struct kvmintro *k = host_open(false);
	int r;

	host.has_proc = true;
	ok(kvmintro_memory_open(k, &o, &m) == -ENODEV && !m &&
	   strstr(kvmintro_error(k), "UUID is not known"), "no UUID");
	ok(!open_way(k, KVMINTRO_MEMORY_VM, false, &r) && r == -ENODEV &&
	   strstr(kvmintro_error(k), "not made by attaching"), "not attached");
	ok(!open_way(k, -1, false, &r) && r == -EINVAL, "no way -1");
	ok(!open_way(k, KVMINTRO_MEMORY_WAYS, false, &r) && r == -EINVAL, "no way 6");
	ok(!kvmintro_memory_open(k, NULL, &m) &&
	   kvmintro_memory_way(m) == KVMINTRO_MEMORY_COMMANDS, "no options");
	kvmintro_memory_close(m);
	kvmintro_memory_close(NULL);
	host_close(k);
	k = kvmintro_new();
	ok(kvmintro_memory_open(k, NULL, &m) == -ENOTCONN, "no connection");
	kvmintro_free(k);
}

/* Tokens of others, some of which expire. */
static void tokens(void)
{
	struct kvmintro *k = host_open(false);
	struct kvmintro_memory *m;
	int ends[2], r;

	host.has_device = true;
	host.busy = 3;
	m = open_way(k, KVMINTRO_MEMORY_DEVICE, false, &r);
	ok(!r && host.tokens == 1 && !host.busy, "a token that has to be waited for");
	kvmintro_memory_close(m);
	host.busy = 1000;
	ok(!open_way(k, KVMINTRO_MEMORY_DEVICE, false, &r) && r == -EAGAIN &&
	   host.busy < 990, "for ever is too long");
	if (pipe(ends) < 0)
		exit(1);
	close(ends[1]);
	kvmintro_set_cancel_fd(k, ends[0]);
	host.busy = 1000;
	ok(!open_way(k, KVMINTRO_MEMORY_ANY, false, &r) && r == -ECANCELED && host.busy > 990,
	   "waiting can be interrupted");
	kvmintro_set_cancel_fd(k, -1);
	close(ends[0]);
	host.refuse = -KVM_EPERM;
	host.busy = 0;
	m = open_way(k, KVMINTRO_MEMORY_ANY, false, &r);
	ok(!r && kvmintro_memory_way(m) == KVMINTRO_MEMORY_COMMANDS &&
	   strstr(kvmintro_memory_refusal(m, KVMINTRO_MEMORY_DEVICE), "does not allow it"),
	   "no token is allowed");
	kvmintro_memory_close(m);
	host_close(k);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	each_way();
	order();
	refused();
	options();
	tokens();
	return done();
}
