/*
 * rows_walk.h - walk a stack by compiled rows: rip, rsp and rbp, two loads and one cached look-up a
 * frame.
 *
 * Depends on: base, elf, rows, address_space.h, walk.h. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_ROWS_WALK_H
#define CPROF_UNWIND_ROWS_WALK_H

#include "walk.h"

struct rows_walker; /* of one process: its cache of rules by address */

/** @space: borrowed. Return: 0 or -ENOMEM. */
int rows_walker_create(struct address_space *space, struct rows_walker **out);
void rows_walker_destroy(struct rows_walker *walker);

/**
 * Walk one sample's stack, as unwinder_walk() does.
 *
 * @fp_known: rbp in @regs is the leaf's
 * Return: false when a frame's rule is one that rows cannot say: @result is then void, and the walk
 * is libunwind's.
 */
bool rows_walker_walk(struct rows_walker *walker, const struct unwind_regs *regs, bool fp_known,
		      const struct unwind_stack *stack, struct unwind_result *result);

#endif
