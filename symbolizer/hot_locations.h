/*
 * hot_locations.h - which locations of a profile hold most of its samples.
 *
 * Where there is no time to look up all names, these come first.
 *
 * Depends on: profile. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_HOT_LOCATIONS_H
#define CPROF_SYMBOLIZER_HOT_LOCATIONS_H

#include "profile/profile.h"

/**
 * Find the fewest locations that together have @share_pct percent of all frames of all samples, by
 * the first value type.
 *
 * @out: for each location whether it is one of them; the caller frees it
 * Return: 0 or -ENOMEM.
 */
int hot_locations_find(const struct profile *profile, double share_pct, bool **out);

#endif
