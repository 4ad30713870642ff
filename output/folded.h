/*
 * folded.h - one line per distinct stack, `comm;root;...;leaf COUNT`, as flamegraph.pl reads it.
 *
 * Spaces in comm become `_`, `;` in names `:`; kernel frames end in `_[k]`, inlined ones in `_[i]`,
 * JIT ones in `_[j]`; lines are sorted (byte order). Stacks that do not reach their root have
 * `[truncated]` (or another stop's name) as their outermost frame below comm. The number is that of
 * samples; in profiles of waiting, nanoseconds.
 *
 * Depends on: base, profile, frames.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_FOLDED_H
#define CPROF_OUTPUT_FOLDED_H

#include "base/err.h"
#include "profile/profile.h"

#include <stdio.h>

struct folded_options {
	bool lines; /* every frame is `function (file:line)` where the line is known */
};

/** Return: 0; -ENODATA: no samples; -EIO; -ENOMEM; with a message. */
int folded_write(const struct profile *profile, const struct folded_options *options, FILE *out,
		 struct cp_err *err);

#endif
