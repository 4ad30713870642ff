/*
 * byte_source.h - bytes that can be read twice: memory, a file, or a pipe read into memory.
 *
 * Internal to this folder. A file is not mapped: it may be cut back by the recorder that writes
 * it, and a mapping would then raise SIGBUS.
 *
 * Depends on: base. Threads: any, after opening.
 */
#ifndef CPROF_PROFILE_BYTE_SOURCE_H
#define CPROF_PROFILE_BYTE_SOURCE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct byte_source {
	uint64_t size_bytes; /* at opening; what is appended later is not seen */
	int fd;              /* -1: in memory */
	const uint8_t *bytes;
	uint8_t *owned;
};

/**
 * Open a file, a device or a pipe; "-" is standard input.
 *
 * Return: 0 or -errno with a message; -E2BIG: a pipe brought more than the limit.
 */
int byte_source_open(struct byte_source *source, const char *path, struct cp_err *err);

/** Borrows @bytes until the source is closed. */
void byte_source_memory(struct byte_source *source, const void *bytes, size_t n);

void byte_source_close(struct byte_source *source);

/**
 * Read at an offset.
 *
 * Return: bytes read, fewer than @n only at the end; -errno.
 */
ptrdiff_t byte_source_read(const struct byte_source *source, uint64_t off, void *out, size_t n);

#endif
