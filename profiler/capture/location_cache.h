/*
 * location_cache.h - which location of the profile a pc of a process is, remembered.
 *
 * The frames of a stack are those of the one before, but for a few: a look-up of mapping, module
 * and location for each of the 2,048 frames of a deep recursion takes 100 us, and is ever the same.
 * Only what lies in a mapping is remembered, and no longer than the mappings are the same.
 *
 * Depends on: base, profile, unwind. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_LOCATION_CACHE_H
#define CPROF_CAPTURE_LOCATION_CACHE_H

#include "profile/profile.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOCATION_CACHE_SLOTS = 8192 }; /* 256 KB */

/* Mappings of one process at one time: a key is never given again. */
struct location_scope {
	uint64_t key;        /* 0 = none yet */
	uint64_t generation; /* of its address space */
};

struct location_cache {
	struct location_slot *slots;
	uint64_t last_key;
};

/** Return: 0 or -ENOMEM. */
int location_cache_init(struct location_cache *cache);

/** All-zero is accepted. */
void location_cache_deinit(struct location_cache *cache);

/**
 * @scope:      of the process, zero at first; kept by the caller, changed here
 * @generation: address_space_generation()
 * Return: false: not known, *out is untouched.
 */
bool location_cache_find(struct location_cache *cache, struct location_scope *scope,
			 uint64_t generation, uint64_t pc, location_id *out);

/** Remember it, after it was not found. */
void location_cache_add(struct location_cache *cache, const struct location_scope *scope,
			uint64_t pc, location_id location);

#endif
