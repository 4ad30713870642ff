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

/** @n: buckets, > 0 */
static inline uint32_t linear_hash_bucket(uint32_t hash, uint32_t n)
{
	const uint32_t high = UINT32_C(1) << (31 - __builtin_clz(n));
	const uint32_t at = hash & (high * 2 - 1);
	return at < n ? at : at & (high - 1);
}

/** The bucket whose chain gives some of its entries to bucket @n when the table grows to n + 1. */
static inline uint32_t linear_hash_parent(uint32_t n)
{
	return n - (UINT32_C(1) << (31 - __builtin_clz(n)));
}

#endif
