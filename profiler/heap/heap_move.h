/*
 * heap_move.h - move a heap file to another file system with its holes left holes: it is some
 * gigabytes long and a few megabytes big.
 *
 * Depends on: base. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_MOVE_H
#define CPROF_HEAP_HEAP_MOVE_H

#include "base/err.h"

/**
 * Move a file; its times are kept.
 *
 * @to: replaced when it exists; either all of the file is there afterwards or nothing was done
 * Return: 0 or -errno with a message; the old file is then still in place.
 */
int heap_move(const char *from, const char *to, struct cp_err *err);

#endif
