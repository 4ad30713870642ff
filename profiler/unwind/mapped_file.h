/*
 * mapped_file.h - open the file that a process has mapped: that one, and no other of its name.
 *
 * Depends on: address_space.h. Threads: any.
 */
#ifndef CPROF_UNWIND_MAPPED_FILE_H
#define CPROF_UNWIND_MAPPED_FILE_H

#include "address_space.h"

/**
 * Open the file behind a mapping of process @pid: through /proc/PID/map_files (also deleted files),
 * /proc/PID/exe, /proc/PID/root + path, or the path itself.
 *
 * Return: a descriptor, or -1.
 */
int mapped_file_open(pid_t pid, const struct mapping *mapping);

#endif
