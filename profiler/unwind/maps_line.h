/*
 * maps_line.h - one line of /proc/PID/maps, and what kind of mapping a path means.
 *
 * Depends on: address_space.h (types). Threads: any.
 */
#ifndef CPROF_UNWIND_MAPS_LINE_H
#define CPROF_UNWIND_MAPS_LINE_H

#include "address_space.h"

struct maps_line {
	uint64_t avma_start, avma_end;
	uint64_t file_off;
	bool exec;
	struct mapping_file file; /* path: inside the parsed line */
};

/**
 * Parse one line.
 *
 * The kernel writes a newline in a path as \012 and nothing else escaped (fs/proc/task_mmu.c), so
 * spaces are the path's own. " (deleted)" at the end is cut off and told by file.deleted.
 *
 * @line: NUL-terminated, with or without its newline; changed by parsing, holds the path
 * Return: false when it is not a line of maps; @out untouched.
 */
bool maps_line_parse(char *line, struct maps_line *out);

/** What a mapping with this path and inode is. @path: as the kernel says it, "" for none. */
enum mapping_kind mapping_kind_of(const char *path, uint64_t inode);

#endif
