/*
 * debug_frame.h - the .debug_frame of a binary's separate debug file.
 *
 * A program built without unwind tables for exceptions, but with debug information, has its call
 * frame information in .debug_frame; stripping moves that to the debug file.
 *
 * Depends on: base, debug_file.h, elf_tables.h. Threads: any.
 */
#ifndef CPROF_ELF_DEBUG_FRAME_H
#define CPROF_ELF_DEBUG_FRAME_H

#include "elf_image.h"

struct debug_frame_search {
	int fd;           /* of the binary */
	const char *path; /* of the binary, as the target sees it */
	const char *root; /* "/proc/PID/root", looked below first */
	const struct elf_build_id *build_id;
};

/**
 * Find the debug file and read its .debug_frame.
 *
 * @out: of malloc(), the caller's
 * Return: 0; -ENOENT: no debug file, or one without; -ENOMEM, -errno of reading.
 */
int debug_frame_find(const struct debug_frame_search *search, uint8_t **out, uint64_t *n);

#endif
