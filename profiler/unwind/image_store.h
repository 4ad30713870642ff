/*
 * image_store.h - the binaries of a recording, each read once for all processes.
 *
 * A binary is known by (device, inode, modification time, size) of the file that was opened: a
 * file rewritten in place is another one. What turned out not to be ELF is remembered as well.
 *
 * Depends on: base, elf, address_space.h. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_IMAGE_STORE_H
#define CPROF_UNWIND_IMAGE_STORE_H

#include "address_space.h"
#include "rows/cfi_rows.h"

/**
 * The binary behind a mapping of process @pid.
 *
 * Return: borrowed, lives as long as the store; NULL when there is none, or it cannot be read.
 */
const struct elf_image *image_store_get(struct image_store *store, pid_t pid,
					const struct mapping *mapping);

/**
 * The compiled unwind rows of a binary that image_store_get() gave; compiled at the first call.
 *
 * Return: borrowed, lives as long as the store; empty when the binary has no usable tables; NULL
 *         when out of memory.
 */
const struct cfi_table *image_store_rows(struct image_store *store, const struct elf_image *image);

/**
 * Bytes of the file behind a mapping whose image image_store_get() gave: its code.
 *
 * Return: false when not all of them can be had, e.g. of a file that is gone since.
 */
bool image_store_code(struct image_store *store, pid_t pid, const struct mapping *mapping,
		      uint64_t file_off, void *out, size_t n);

#endif
