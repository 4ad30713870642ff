/*
 * linear_hash.h - which bucket, in a table that grows by one bucket at a time.
 *
 * Litwin's linear hashing: with n buckets, 2^k <= n < 2^(k+1), a hash belongs to its low k + 1 bits
 * where that bucket is there already, else to its low k bits. So growing moves one chain, no event
 * pays for rehashing a table of millions, and memory is touched as it is needed.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_LINEAR_HASH_H
#define CPROF_HEAP_SHIM_LINEAR_HASH_H

#include <stdint.h>

/** What linear_hash_at() needs of @n buckets, @n > 0, in one word. */
static inline uint64_t linear_hash_shape(uint32_t n)
{
	const uint32_t high = UINT32_C(1) << (31 - __builtin_clz(n));
	return (uint64_t)(high * 2 - 1) << 32 | n;
}

/** The number of buckets of a shape. */
static inline uint32_t linear_hash_n(uint64_t shape)
{
	return (uint32_t)shape;
}

/** The bucket of a hash. */
static inline uint32_t linear_hash_at(uint32_t hash, uint64_t shape)
{
	const uint32_t mask = (uint32_t)(shape >> 32), at = hash & mask;
	return at < linear_hash_n(shape) ? at : at & mask >> 1;
}

static inline uint32_t linear_hash_bucket(uint32_t hash, uint32_t n)
{
	return linear_hash_at(hash, linear_hash_shape(n));
}

/** The bucket whose chain gives some of its entries to bucket @n when the table grows to n + 1. */
static inline uint32_t linear_hash_parent(uint32_t n)
{
	return n - (UINT32_C(1) << (31 - __builtin_clz(n)));
}

#endif
