/*
 * sampler.h - which blocks are recorded in sampled mode, and what each of them stands for.
 *
 * Points are thrown on the sequence of all allocated bytes of a thread as a Poisson process with a
 * mean distance of sample_bytes; a block with a point in it is recorded. So a block of s bytes is
 * recorded with the chance p = 1 - exp(-s / sample_bytes), whatever was recorded before, and 1 / p
 * is its unbiased weight (Horvitz and Thompson).
 *
 * Depends on: counters.h. Threads: any; the generator's state is the caller's.
 */
#ifndef CPROF_HEAP_SHIM_SAMPLER_H
#define CPROF_HEAP_SHIM_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "counters.h"

enum { SAMPLER_FILTER_LOG2 = 15, SAMPLER_ROUGH_LOG2 = 11 };

/*
 * How many recorded blocks have an address of each hash: that a free is of another block is nearly
 * always told by one load. Of a few dozen recorded blocks the rough counts tell it, which leave
 * room for something else in the CPU's cache; of thousands, the others. A count that has reached
 * its maximum stays there.
 */
struct sample_filter {
	uint8_t rough[1 << SAMPLER_ROUGH_LOG2];
	uint8_t counts[1 << SAMPLER_FILTER_LOG2];
};

/** Start a generator. No two threads of a run get the same. */
uint64_t sampler_seed(uint64_t seed, uint64_t thread);

/** Bytes up to the next point. @random: the generator, advanced. */
int64_t sampler_distance(uint64_t *random, uint64_t sample_bytes);

/** What a recorded block counts. */
void sampler_weigh(uint64_t size, uint64_t sample_bytes, struct count *out);

static inline uint32_t sample_filter_slot(uint64_t address)
{
	return (uint32_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SAMPLER_FILTER_LOG2));
}

static inline uint32_t sample_filter_rough_slot(uint64_t address)
{
	return sample_filter_slot(address) >> (SAMPLER_FILTER_LOG2 - SAMPLER_ROUGH_LOG2);
}

static inline bool sample_filter_maybe(const struct sample_filter *filter, uint64_t address)
{
	return __builtin_expect(__atomic_load_n(&filter->rough[sample_filter_rough_slot(address)],
						__ATOMIC_RELAXED) != 0,
				0) &&
	       __atomic_load_n(&filter->counts[sample_filter_slot(address)], __ATOMIC_RELAXED) != 0;
}

void sample_filter_add(struct sample_filter *filter, uint64_t address);
void sample_filter_remove(struct sample_filter *filter, uint64_t address);

#endif
