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

/**
 * The binary behind a mapping of process @pid.
 *
 * Return: borrowed, lives as long as the store; NULL when there is none, or it cannot be read.
 */
const struct elf_image *image_store_get(struct image_store *store, pid_t pid,
					const struct mapping *mapping);

#endif
