/*
 * live_header.h - what an engine that stops threads was allowed to cost and did cost, into the
 * recording's header (profile/header_keys.h).
 *
 * Depends on: profile, live_recorder.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_LIVE_HEADER_H
#define CPROF_CAPTURE_LIVE_HEADER_H

#include "live_recorder.h"
#include "profile/profile.h"

#include <stdint.h>

/** @max_overhead: 0.01 is 1 %. Return: 0 or -ENOMEM. */
int live_header_set_limits(struct profile *profile, double max_overhead, uint64_t max_pause_ns);

/** Return: 0 or -ENOMEM. */
int live_header_set(struct profile *profile, const struct live_recorder *live);

#endif
