/*
 * clock.h - the clock of the recording: CLOCK_MONOTONIC, which the events are told to use too.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_CAPTURE_CLOCK_H
#define CPROF_CAPTURE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S 1000000000ULL

static inline uint64_t clock_read_ns(clockid_t clock)
{
	struct timespec now = {0};
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

#endif
