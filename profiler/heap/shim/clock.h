/* clock.h - the time of an event: the coarse clock, which the vDSO reads without a system call. */
#ifndef CPROF_HEAP_SHIM_CLOCK_H
#define CPROF_HEAP_SHIM_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_coarse_ns(void)
{
	struct timespec now;
	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0)
		return 0;
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

#endif
