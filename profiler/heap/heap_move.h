/*
 * heap_move.h - the heap file of an ended process, moved to where people keep files, and packed.
 *
 * Depends on: base, heap_pack.h, heap_target.h. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_MOVE_H
#define CPROF_HEAP_HEAP_MOVE_H

#include "base/err.h"

/**
 * Move a file without its empty space; its times are kept. One that cannot be packed (damaged, or
 * no room for it) is renamed, if that is possible.
 *
 * @to: replaced when it exists; either all of the file is there afterwards or nothing was done
 * Return: 0 or -errno with a message; the old file is then still in place.
 */
int heap_move(const char *from, const char *to, struct cp_err *err);

#endif
