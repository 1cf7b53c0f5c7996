// SPDX-License-Identifier: LGPL-2.1-or-later
/* The guest's memory as one object, whichever way it is reached. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mapping.h"

static int commands_open(struct kvmintro_memory *m)
{
	(void)m;
	return 0;
}

static ssize_t commands_copy(struct kvmintro_memory *m, uint64_t gpa, void *buf,
			     size_t size, bool write)
{
	int r = write ? kvmintro_write_physical(m->k, gpa, buf, size) :
			kvmintro_read_physical(m->k, gpa, buf, size);

	return r < 0 ? r : (ssize_t)size;
}

static int commands_map(struct kvmintro_memory *m, uint64_t gpa, size_t size,
			bool writable, uint8_t **at)
{
	(void)gpa;
	(void)size;
	(void)writable;
	*at = NULL;
	return kvmintro__fail(m->k, -EOPNOTSUPP,
			      "memory that is read by commands cannot be mapped; see kvmintro_memory_refusal()");
}

static void commands_close(struct kvmintro_memory *m)
{
	(void)m;
}

static const struct map_ops commands_ops = {
	.open = commands_open,
	.copy = commands_copy,
	.map = commands_map,
	.close = commands_close,
};

static const struct {
	const char *name;
	const struct map_ops *ops;
} ways[KVMINTRO_MEMORY_WAYS] = {
	[KVMINTRO_MEMORY_ANY] = { "any" },
	[KVMINTRO_MEMORY_VM] = { "vm", &kvmintro__map_vm },
	[KVMINTRO_MEMORY_DEVICE] = { "device", &kvmintro__map_device },
	[KVMINTRO_MEMORY_PROC] = { "proc", &kvmintro__map_proc },
	[KVMINTRO_MEMORY_GUEST] = { "guest", &kvmintro__map_guest },
	[KVMINTRO_MEMORY_COMMANDS] = { "commands", &commands_ops },
};

const char *kvmintro_memory_way_name(int way)
{
	return way >= 0 && way < KVMINTRO_MEMORY_WAYS ? ways[way].name : NULL;
}

int kvmintro_memory_way(const struct kvmintro_memory *m)
{
	return m->way;
}

const char *kvmintro_memory_refusal(const struct kvmintro_memory *m, int way)
{
	if (way < 0 || way >= KVMINTRO_MEMORY_WAYS || !*m->refusals[way])
		return NULL;
	return m->refusals[way];
}

static int try_way(struct kvmintro_memory *m, int way)
{
	int r;

	m->way = way;
	m->ops = ways[way].ops;
	r = m->ops->open(m);
	if (r < 0)
		snprintf(m->refusals[way], sizeof(m->refusals[way]), "%.255s",
			 kvmintro_error(m->k));
	return r;
}

static int try_all(struct kvmintro_memory *m)
{
	int way, r = -ENODEV;

	for (way = KVMINTRO_MEMORY_ANY + 1; r < 0 && way < KVMINTRO_MEMORY_WAYS; way++) {
		r = try_way(m, way);
		/* A request to cancel is for all of them, and no way needs no connection. */
		if (r == -ECANCELED || m->k->fd < 0)
			break;
	}
	return r;
}

static void take_uuid(struct kvmintro_memory *m, const uint8_t *uuid)
{
	static const uint8_t none[sizeof(m->uuid)];
	const struct kvmintro_hello *hello = kvmintro_hello(m->k);

	if (!uuid && hello)
		uuid = hello->uuid;
	if (!uuid || !memcmp(uuid, none, sizeof(none)))
		return;
	memcpy(m->uuid, uuid, sizeof(m->uuid));
	m->has_uuid = true;
}

int kvmintro_memory_open(struct kvmintro *k,
			 const struct kvmintro_memory_options *options,
			 struct kvmintro_memory **memory)
{
	struct kvmintro_memory_options o = { 0 };
	struct kvmintro_memory *m;
	int r;

	*memory = NULL;
	if (options)
		memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	if (o.way < 0 || o.way >= KVMINTRO_MEMORY_WAYS)
		return kvmintro__fail(k, -EINVAL, "there is no way %d to reach memory", o.way);
	if (k->fd < 0)
		return kvmintro__fail(k, -ENOTCONN, "there is no connection");
	m = calloc(1, sizeof(*m));
	if (!m)
		return kvmintro__fail(k, -ENOMEM, "out of memory");
	m->k = k;
	m->connection = k->connection;
	m->writable = o.writable;
	take_uuid(m, o.uuid);

	r = o.way ? try_way(m, o.way) : try_all(m);
	if (r < 0) {
		free(m);
		return r;
	}
	*memory = m;
	return 0;
}

void kvmintro_memory_close(struct kvmintro_memory *m)
{
	if (!m)
		return;
	while (m->ranges)
		kvmintro_memory_unmap(m, m->ranges->address);
	m->ops->close(m);
	free(m);
}

static int check(struct kvmintro_memory *m, uint64_t gpa, size_t size)
{
	if (m->k->fd < 0 || m->connection != m->k->connection)
		return kvmintro__fail(m->k, -ENOTCONN,
				      "the connection has ended with which memory was opened");
	if (size && size - 1 > ~gpa)
		return kvmintro__fail(m->k, -EINVAL, "the range goes beyond the last address");
	return 0;
}

/* By a command, which knows why it cannot be done either. */
static ssize_t copy_page(struct kvmintro_memory *m, uint64_t gpa, void *buf, size_t size,
			 bool write)
{
	const size_t rest = KVMINTRO_PAGE_SIZE - (gpa & PAGE_MASK);

	return commands_copy(m, gpa, buf, rest < size ? rest : size, write);
}

static int copy(struct kvmintro_memory *m, uint64_t gpa, uint8_t *buf, size_t size,
		bool write)
{
	int r = check(m, gpa, size);
	ssize_t n;

	while (!r && size) {
		n = m->ops->copy(m, gpa, buf, size, write);
		if (!n)
			n = copy_page(m, gpa, buf, size, write);
		if (n < 0)
			return n;
		gpa += n;
		buf += n;
		size -= n;
	}
	return r;
}

int kvmintro_memory_read(struct kvmintro_memory *m, uint64_t gpa, void *buf, size_t size)
{
	return copy(m, gpa, buf, size, false);
}

static int check_writable(struct kvmintro_memory *m)
{
	if (m->writable)
		return 0;
	return kvmintro__fail(m->k, -EACCES, "the memory was opened for reading only");
}

int kvmintro_memory_write(struct kvmintro_memory *m, uint64_t gpa, const void *buf,
			  size_t size)
{
	int r = check_writable(m);

	return r ? r : copy(m, gpa, (uint8_t *)buf, size, true);
}

int kvmintro_memory_map(struct kvmintro_memory *m, uint64_t gpa, size_t size,
			bool writable, void **address)
{
	const uint64_t begin = gpa & ~PAGE_MASK;
	struct map_range *range;
	int r = check(m, gpa, size);

	*address = NULL;
	if (!r && writable)
		r = check_writable(m);
	if (!r && (!size || size > SIZE_MAX / 2))
		r = kvmintro__fail(m->k, -EINVAL, "%#zx bytes cannot be mapped", size);
	if (r < 0)
		return r;
	range = malloc(sizeof(*range));
	if (!range)
		return kvmintro__fail(m->k, -ENOMEM, "out of memory");
	range->size = (gpa - begin + size + PAGE_MASK) & ~PAGE_MASK;
	r = m->ops->map(m, begin, range->size, writable, &range->at);
	if (r < 0) {
		free(range);
		return r;
	}
	range->address = range->at + (gpa - begin);
	range->next = m->ranges;
	m->ranges = range;
	*address = range->address;
	return 0;
}

int kvmintro_memory_unmap(struct kvmintro_memory *m, void *address)
{
	struct map_range **link, *range;

	for (link = &m->ranges; *link; link = &(*link)->next) {
		range = *link;
		if (range->address != address)
			continue;
		*link = range->next;
		m->ops->unmap(m, range->at, range->size);
		free(range);
		return 0;
	}
	return kvmintro__fail(m->k, -EINVAL, "nothing is mapped there");
}
