/*
 * wall_header.h - what a recording on the wall clock has looked at, and lost, for its header.
 *
 * Depends on: base, profile, wall.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_WALL_HEADER_H
#define CPROF_CAPTURE_WALL_HEADER_H

#include "profile/profile.h"
#include "wall.h"

/** @duration_ns: of the recording so far. Return: 0 or -ENOMEM. */
int wall_header_set(struct profile *profile, const struct wall *wall, uint64_t duration_ns);

#endif
