/*
 * image_store.h - the binaries of a recording, each read once for all processes.
 *
 * A binary is known by (device, inode, modification time, size) of the file that was opened: a
 * file rewritten in place is another one. What turned out not to be ELF is remembered as well.
 *
 * Memory is bounded: a binary without users may be forgotten, and read again should it come back;
 * beyond the limit no more tables are kept and nothing is compiled, which is counted.
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
 * Return: borrowed, until the next call unless it is held; NULL when there is none, or it cannot be
 *         read.
 */
const struct elf_image *image_store_get(struct image_store *store, pid_t pid,
					const struct mapping *mapping);

/** Keep an image; each hold needs a release. NULL is accepted. */
void image_store_hold(struct image_store *store, const struct elf_image *image);
void image_store_release(struct image_store *store, const struct elf_image *image);

/**
 * The compiled unwind rows of a mapping's binary, which is held; compiled at the first call.
 *
 * Return: borrowed, lives as long as the image; empty when the binary has no usable tables; NULL
 *         when out of memory, beyond the limit, or the file is gone that would be read again.
 */
const struct cfi_table *image_store_rows(struct image_store *store, pid_t pid,
					 const struct mapping *mapping);

/**
 * Have the tables of a mapping's binary at hand for libunwind: with an index of all its functions.
 *
 * Return: false when there are none, or they cannot be read any more.
 */
bool image_store_index(struct image_store *store, pid_t pid, const struct mapping *mapping);

/** Bound the memory of all rows and tables; for tests. */
void image_store_set_limit(struct image_store *store, size_t bytes_max);

/**
 * Bytes of the file behind a mapping whose image image_store_get() gave: its code.
 *
 * Return: false when not all of them can be had, e.g. of a file that is gone since.
 */
bool image_store_code(struct image_store *store, pid_t pid, const struct mapping *mapping,
		      uint64_t file_off, void *out, size_t n);

#endif
