/*
 * elf_source.h - where the bytes of a binary come from: a file, read with pread, or memory.
 *
 * Never mapped: a file that is truncated meanwhile gives an error and not a SIGBUS.
 *
 * Depends on: base. Threads: any.
 */
#ifndef CPROF_ELF_ELF_SOURCE_H
#define CPROF_ELF_ELF_SOURCE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_source {
	int fd; /* -1: memory */
	const uint8_t *bytes;
	uint64_t size;
	const char *name; /* for messages */
	struct cp_err *err;
};

/** The file behind @fd. Return: 0; -ENOEXEC: no regular file; -errno. */
int elf_source_of_fd(int fd, const char *name, struct cp_err *err, struct elf_source *out);

/** True when all of a range lies inside. */
static inline bool elf_source_holds(const struct elf_source *source, uint64_t file_off,
				    uint64_t size)
{
	return file_off <= source->size && size <= source->size - file_off;
}

/** Read a range that lies inside. Return: 0; -EBADMSG: truncated meanwhile; -errno. */
int elf_source_read(const struct elf_source *source, uint64_t file_off, void *out, size_t size);

/**
 * The same into memory of its own.
 *
 * @out: the caller frees it; never NULL on success, also for 0 bytes
 */
int elf_source_read_new(const struct elf_source *source, uint64_t file_off, size_t size,
			uint8_t **out);

#endif
