/*
 * selection.h - which stacks have a frame that matches, for --focus and --ignore.
 *
 * Expressions (POSIX extended) are matched against the names of functions as reports show them,
 * each distinct name once.
 *
 * Depends on: base, profile, frames.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_SELECTION_H
#define CPROF_OUTPUT_SELECTION_H

#include "base/err.h"
#include "frames.h"

struct selection {
	bool *selected; /* by stack id; NULL = all are */
};

/**
 * Mark the stacks that have a frame matching @focus and none matching @ignore.
 *
 * @focus, @ignore: NULL = all, none
 * Return: 0; -EINVAL: an expression is wrong (message says which and why); -ENOMEM.
 */
int selection_init(struct selection *selection, const struct profile *profile,
		   const struct frames *frames, const char *focus, const char *ignore,
		   struct cp_err *err);
void selection_deinit(struct selection *selection);

static inline bool selection_has(const struct selection *selection, stack_id stack)
{
	return !selection->selected || selection->selected[stack.v];
}

#endif
