/*
 * region.h - a part of the mapped file that grows without a file descriptor.
 *
 * The file is sparse. A store to a page that the file system has no room for would be a SIGBUS in
 * the target, so no page is stored to before madvise(MADV_POPULATE_WRITE) has made it: that answers
 * with an error instead. The file cannot be extended in another way, since its descriptor is
 * closed: daemons close all descriptors, and a number kept here would soon be one of the target's
 * own files.
 *
 * Invariant: [0, ready) can be stored to; ready only grows.
 *
 * Depends on: sys.h. Threads: the caller holds a lock for region_grow().
 */
#ifndef CPROF_HEAP_SHIM_REGION_H
#define CPROF_HEAP_SHIM_REGION_H

#include <stdbool.h>
#include <stdint.h>

struct region {
	uint8_t *base;
	uint64_t max_bytes;
	uint64_t ready;
	uint64_t step;     /* bytes to grow by next */
	uint32_t n_denied; /* needs since the file system refused */
};

/** @populated: all of it can be stored to already. */
void region_init(struct region *region, void *base, uint64_t max_bytes, bool populated);

/** The slow part of region_need(). */
bool region_grow(struct region *region, uint64_t bytes);

/** Make [0, bytes) storable. Return: false when the file system, or the region, is full. */
static inline bool region_need(struct region *region, uint64_t bytes)
{
	return __builtin_expect(bytes <= __atomic_load_n(&region->ready, __ATOMIC_ACQUIRE), 1) ||
	       region_grow(region, bytes);
}

#endif
