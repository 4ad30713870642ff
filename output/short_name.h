/*
 * short_name.h - names and paths that fit a column, with the part kept that says most.
 *
 * Depends on: strbuf.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_SHORT_NAME_H
#define CPROF_OUTPUT_SHORT_NAME_H

#include "strbuf.h"

/**
 * Append a function's name: if it is too long, its arguments go first, then what stands in its
 * template's brackets, then its middle.
 *
 * @name:  printable UTF-8
 * @width: columns, at least 8
 */
void short_name_add(struct strbuf *to, const char *name, size_t width);

/** Append a path: if it is too long, "..." and its last directories. Otherwise the same. */
void short_path_add(struct strbuf *to, const char *path, size_t width);

#endif
