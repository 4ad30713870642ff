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
	struct heap_births *sites; /* by site */
	struct heap_births all;
	const struct heap_snapshot *since; /* or NULL */
	struct cp_index earlier;           /* its blocks */
	double *bytes_before;              /* live there by site */
	uint64_t from_ns, to_ns;
};

/** Prepare for the sites of an analysis. Return: 0 or -ENOMEM. */
int heap_births_of_init(struct heap_births_of *births, const struct heap_analysis *analysis);
void heap_births_of_deinit(struct heap_births_of *births);

/** True when the earlier copy has the very same block. */
bool heap_births_before(const struct heap_births_of *births, const struct heap_live *block);

void heap_births_count(struct heap_births_of *births, const struct heap_live *block, double bytes);

/** The growth of one site, of all that is kept. */
void heap_births_judge(const struct heap_births_of *births, const struct heap_analysis *analysis,
		       uint32_t site, struct heap_growth *out);
void heap_births_judge_all(const struct heap_births_of *births,
			   const struct heap_analysis *analysis, struct heap_growth *out);

#endif
