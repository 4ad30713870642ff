/*
 * flamegraph.h - a standalone interactive SVG flame graph: zoom, search with matched %, tooltips.
 *
 * Frames too narrow to see are merged into their parent's "(merged)" cell and counted, so that the
 * file stays below 1 MB whatever the profile's size. Colours follow from names alone.
 *
 * Depends on: base, profile, frames.h, quality.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_FLAMEGRAPH_H
#define CPROF_OUTPUT_FLAMEGRAPH_H

#include "base/err.h"
#include "profile/profile.h"

#include <stdio.h>

struct flamegraph_options {
	const char *title;     /* NULL = made from the recording's header */
	const char *thread_re; /* extended regex over "comm" and thread names; NULL = all */
	bool icicle;           /* root at the top */
};

/** Return: 0; -EINVAL: wrong regex; -ENODATA: no samples; -EIO; -ENOMEM; with a message. */
int flamegraph_write(const struct profile *profile, const struct flamegraph_options *options,
		     FILE *out, struct cp_err *err);

#endif
