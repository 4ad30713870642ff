/*
 * heap_profile.h - a heap file as a profile: its stacks with modules and addresses to be
 * symbolized, its numbers as samples.
 *
 * So everything that shows profiles shows heaps too. The values are named as Go's heap profiles
 * name them: alloc_objects, alloc_space, inuse_objects, inuse_space; those of the peak stand
 * between.
 *
 * Depends on: base, profile, heap_reader.h. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_PROFILE_H
#define CPROF_HEAP_HEAP_PROFILE_H

#include "heap_reader.h"
#include "profile/profile.h"

/* What is counted. In the order of "live|peak|bytes|calls". */
enum heap_value {
	HEAP_VALUE_LIVE,
	HEAP_VALUE_PEAK,
	HEAP_VALUE_BYTES,
	HEAP_VALUE_CALLS,
	HEAP_VALUE_ALL, /* each in a column of its own */
};

/**
 * Make a profile of the stacks, without samples.
 *
 * @stacks: by site, n_sites of them; the caller frees. The site 0 has the empty stack
 * Return: 0 or -ENOMEM with a message.
 */
int heap_profile_create(const struct heap_snapshot *snapshot, struct profile **out,
			stack_id **stacks, struct cp_err *err);

/**
 * Add the numbers as samples, one for each site that has any.
 *
 * @left_out: by site: its only value is added up in the header instead; NULL = none is
 * Return: 0 or -ENOMEM with a message.
 */
int heap_profile_add_samples(struct profile *profile, const struct heap_snapshot *snapshot,
			     const stack_id *stacks, const bool *left_out, enum heap_value value,
			     struct cp_err *err);

#endif
