/*
 * random.h - a generator that gives the same numbers on every run (xorshift64).
 *
 * Depends on: nothing. Threads: the owner's.
 */
#ifndef CPROF_TESTS_RANDOM_H
#define CPROF_TESTS_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/** In [0, @n), 0 for none. */
static inline uint64_t random_below(uint64_t *seed, uint64_t n)
{
	const uint64_t number = random_next(seed) >> 11;
	return n ? number % n : 0;
}

#endif
