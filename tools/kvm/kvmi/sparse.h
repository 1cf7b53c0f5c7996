/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMI_SPARSE_H
#define KVMI_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A file with holes where nothing but zeros would be. It has the name FILE.partial
 * until it is complete, so that what is called FILE is never half of it.
 */
struct sparse {
	const char *path;
	/* Replace what is there. */
	bool force;
	char *partial;
	int fd;
	/* Bytes that are no holes. */
	uint64_t written;
};

/* These say what failed, and return CLI_OK or CLI_FAILED. */
int sparse_check(const struct sparse *f);
int sparse_open(struct sparse *f);
int sparse_write(struct sparse *f, uint64_t offset, const uint8_t *data, size_t size);
/* Give it its size and its name. */
int sparse_finish(struct sparse *f, uint64_t size);
/* Remove what is not finished. */
void sparse_close(struct sparse *f);

#endif
