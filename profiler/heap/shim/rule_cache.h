/*
 * rule_cache.h - address -> unwind rule, for all threads, without a lock.
 *
 * One 64-bit slot holds the rule and what is left of the address: multiplying by an odd number is a
 * bijection of the 47-bit user addresses, its top bits are the slot's index and the rest is kept.
 * So a slot is read with one load, and matches exactly one address.
 *
 * Depends on: rows. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_RULE_CACHE_H
#define CPROF_HEAP_SHIM_RULE_CACHE_H

#include <stdint.h>

#include "rows/cfi_rows.h"

enum { RULE_CACHE_SLOTS = 1 << 15 };

struct rule_cache {
	uint64_t slots[RULE_CACHE_SLOTS]; /* 0 = empty: see RULE_CACHE_NONE */
};

/* What is stored for CFI_NONE, so that no slot in use is 0. No rule has this kind. */
enum { RULE_CACHE_NONE = 15 };

static inline uint64_t rule_cache_mix(uint64_t address)
{
	return address * UINT64_C(0x5bd1e9955bd1e995) & ((UINT64_C(1) << 47) - 1);
}

/** Look an address up, and compile its rule if it is not there. */
cfi_rule rule_cache_fill(struct rule_cache *cache, uint64_t address);

static inline cfi_rule rule_cache_get(struct rule_cache *cache, uint64_t address)
{
	const uint64_t mixed = rule_cache_mix(address);
	const uint64_t slot = __atomic_load_n(&cache->slots[mixed >> 32], __ATOMIC_RELAXED);
	if (__builtin_expect(slot >> 32 == (mixed & UINT32_MAX) && (uint32_t)slot != 0, 1))
		return (uint32_t)slot == RULE_CACHE_NONE ? CFI_NONE : (cfi_rule)slot;
	return rule_cache_fill(cache, address);
}

/** Forget all rules: an object was unloaded. */
void rule_cache_clear(struct rule_cache *cache);

#endif
