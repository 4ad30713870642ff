/*
 * heap_library.h - where libcprof_heap.so is: beside the program, where it is installed, or where
 * it is built.
 *
 * Depends on: base. Threads: the main one.
 */
#ifndef CPROF_CLI_HEAP_LIBRARY_H
#define CPROF_CLI_HEAP_LIBRARY_H

#include "base/err.h"

#include <limits.h>

/**
 * Find it. CPROF_HEAP_LIBRARY, if set, is its path.
 *
 * @out: absolute, and fit for LD_PRELOAD
 * Return: 0; -ENOENT; -EINVAL: the loader cannot take that path; with a message.
 */
int heap_library_find(char out[PATH_MAX], struct cp_err *err);

#endif
