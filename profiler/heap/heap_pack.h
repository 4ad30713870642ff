/*
 * heap_pack.h - the heap file of an ended process without its empty space.
 *
 * A live file is sparse, some gigabytes long and a few megabytes big, which editors, archives and
 * copies over the network do not know. Packed it is as long as it is big: one set of counters, the
 * live blocks alone. A reader makes the same of both.
 *
 * Depends on: base, heap_reader.h. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_PACK_H
#define CPROF_HEAP_HEAP_PACK_H

#include "heap_reader.h"

/**
 * Write what was read as a heap file.
 *
 * @fd: of an empty file, at its beginning
 * Return: 0; -errno of writing; -ENOMEM.
 */
int heap_pack(const struct heap_snapshot *snapshot, int fd);

#endif
