/*
 * heap_births.h - when the live blocks of each site were allocated, and which are new since an
 * earlier copy. A part of heap_analysis.c.
 *
 * Depends on: base, heap, heap_analysis.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_HEAP_BIRTHS_H
#define CPROF_OUTPUT_HEAP_BIRTHS_H

#include "base/index.h"
#include "heap_analysis.h"

struct heap_births_of {
	struct heap_births *sites;         /* by site */
	const struct heap_snapshot *since; /* or NULL */
	struct cp_index earlier;           /* its blocks */
	bool *met;                         /* by block of it: it is still live */
	struct heap_sum *gone;             /* by site: those that are not; heap_births_settle() */
	struct heap_sum *aged;             /* by site: too young then, old enough now */
	uint64_t from_ns, to_ns;           /* births that are looked at */
	uint64_t now_ns, min_age_ns;
};

/** Prepare for the sites of an analysis. Return: 0 or -ENOMEM. */
int heap_births_of_init(struct heap_births_of *births, const struct heap_analysis *analysis);
void heap_births_of_deinit(struct heap_births_of *births);

/** True when the earlier copy has the very same block; noted for heap_births_settle(). */
bool heap_births_before(struct heap_births_of *births, const struct heap_live *block);

/** After all live blocks: what the earlier copy had and is no more. */
void heap_births_settle(struct heap_births_of *births);

void heap_births_count(struct heap_births_of *births, const struct heap_live *block, double bytes);

/* What is known of one site, or of several together. */
struct heap_births_sum {
	struct heap_births births;
	double allocs, frees; /* in the time looked at */
	/* since the earlier copy, of the old enough: bytes that came, that went, their variances */
	double came, came_variance, went, went_variance;
};

/** Start with nothing. */
void heap_births_begin(const struct heap_births_of *births, struct heap_births_sum *sum);
void heap_births_collect(const struct heap_births_of *births, const struct heap_analysis *analysis,
			 uint32_t site, struct heap_births_sum *sum);
void heap_births_judge(const struct heap_births_of *births, const struct heap_births_sum *sum,
		       struct heap_growth *out);

#endif
