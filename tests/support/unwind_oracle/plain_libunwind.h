/*
 * plain_libunwind.h - the walk as libunwind's manual has it: unw_init_remote() and unw_step() with
 * accessors of the caller's, over a copied stack.
 *
 * For measurements only: its cache is on (UNW_CACHE_GLOBAL) and large enough for every program
 * measured, its guesses are not looked at.
 *
 * Depends on: unwind, libunwind. Threads: one at a time.
 */
#ifndef CPROF_TESTS_UNWIND_ORACLE_PLAIN_LIBUNWIND_H
#define CPROF_TESTS_UNWIND_ORACLE_PLAIN_LIBUNWIND_H

#include "unwind/unwind.h"

struct plain_libunwind;

/** @space: borrowed. Return: 0 or -ENOMEM. */
int plain_libunwind_create(struct address_space *space, struct plain_libunwind **out);
void plain_libunwind_destroy(struct plain_libunwind *plain);

/** Return: frames found, at most @cap; their pcs as libunwind says them. */
size_t plain_libunwind_walk(struct plain_libunwind *plain, const struct unwind_regs *regs,
			    const struct unwind_stack *stack, uint64_t *pcs, size_t cap);

#endif
