/*
 * flamegraph.h - a standalone interactive SVG flame graph: zoom, search with matched %, tooltips.
 *
 * One file that loads nothing: real SVG elements laid out 1,200 px wide for viewers without script,
 * and a script that draws from compact data beside them. Frames too narrow to see are merged into
 * their parent's "(merged)" cell and counted, so that the file stays below 1,000,000 bytes whatever
 * the profile's size. Colours follow from names alone. The root element carries the totals:
 * data-total-samples, data-merged-frames, data-merged-samples.
 *
 * Depends on: base, profile, flame_tree.h, flame_cells.h. Threads: any.
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

/**
 * Write a flame graph.
 *
 * Return: 0; -EINVAL: wrong expression; -ENODATA: no samples, or none of a matching thread;
 *         -ERANGE: the sum of a foreign profile's values overflows; -EIO; -ENOMEM; with a message.
 */
int flamegraph_write(const struct profile *profile, const struct flamegraph_options *options,
		     FILE *out, struct cp_err *err);

#endif
