/*
 * counters.h - what was allocated and freed at each site, and the peak.
 *
 * Every replica has a counter for every site, and a thread to itself: counting is a plain store to
 * a line that no other CPU writes. Threads beyond the replicas share the last one, with atomic
 * adds.
 *
 * Depends on: heap_file.h, region.h, spin.h. Threads: as said.
 */
#ifndef CPROF_HEAP_SHIM_COUNTERS_H
#define CPROF_HEAP_SHIM_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/heap_file.h"
#include "region.h"
#include "spin.h"

struct counters {
	struct heap_header *header;
	struct heap_replica *replicas;
	uint32_t n_held;       /* replicas that have an owner */
	uint32_t n_claims;     /* so far */
	struct spin grow_lock; /* of the shared replica's region */
	uint32_t line_shift;   /* log2 of header->counter_bytes */
	struct region lines[HEAP_REPLICAS_MAX];
};

/* An allocation or a free in sampled mode, as it counts. */
struct count {
	uint64_t blocks, bytes; /* weights */
	double blocks_variance, bytes_variance;
};

/**
 * @header: n_replicas, max_sites, counter_bytes and fold_bytes are set
 * Return: false when the file system has no room for the replicas' own table.
 */
bool counters_init(struct counters *counters, struct heap_header *header, void *replicas,
		   void *lines, bool populated);

/** A replica for a thread; the shared one when all are held. */
uint32_t counters_claim(struct counters *counters, uint32_t tid);

void counters_release(struct counters *counters, uint32_t replica);

static inline bool counters_is_shared(const struct counters *counters, uint32_t replica)
{
	return replica == counters->header->n_replicas - 1;
}

/** The slow part of counters_at(). */
struct heap_counter *counters_grow(struct counters *counters, uint32_t replica, uint32_t site);

/** The counter of a site in a replica; NULL when the file system has no room for it. */
static inline struct heap_counter *counters_at(struct counters *counters, uint32_t replica,
					       uint32_t site)
{
	struct region *lines = &counters->lines[replica];
	const uint64_t at = (uint64_t)site << counters->line_shift;
	if (__builtin_expect(at < __atomic_load_n(&lines->ready, __ATOMIC_ACQUIRE), 1))
		return (struct heap_counter *)(void *)(lines->base + at);
	return counters_grow(counters, replica, site);
}

/** Count an allocation. */
void counters_add_alloc(struct counters *counters, uint32_t replica, struct heap_counter *counter,
			uint64_t size, uint64_t now_ns);

/** Count a free. @temporary: it follows the allocation directly. */
void counters_add_free(struct counters *counters, uint32_t replica, struct heap_counter *counter,
		       uint64_t size, bool temporary);

/** The same where counters are struct heap_counter_sampled. @size: for the histogram */
void counters_add_sampled_alloc(struct counters *counters, uint32_t replica,
				struct heap_counter *counter, const struct count *count,
				uint64_t size, uint64_t now_ns);
void counters_add_sampled_free(struct counters *counters, uint32_t replica,
			       struct heap_counter *counter, const struct count *count,
			       bool temporary);

#endif
