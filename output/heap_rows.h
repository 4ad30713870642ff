/*
 * heap_rows.h - the rows of a heap report: sites, or sites put together by what they have in
 * common. A part of heap_analysis.c.
 *
 * Depends on: base, heap_analysis.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_HEAP_ROWS_H
#define CPROF_OUTPUT_HEAP_ROWS_H

#include "base/index.h"
#include "heap_analysis.h"

/* What one thread holds of one site. */
struct heap_thread {
	uint32_t site, tid;
	struct heap_sum live;
	uint64_t oldest_ns;
};

struct heap_threads {
	struct heap_thread *items;
	size_t n, cap, last;
	struct cp_index index;
};

void heap_threads_deinit(struct heap_threads *threads);

/** Count a block that is kept. Return: 0 or -ENOMEM. */
int heap_threads_add(struct heap_threads *threads, const struct heap_live *block,
		     const struct heap_weight *weight, uint64_t age_ns);

/** Fill analysis->rows, sorted. Return: 0 or -ENOMEM. */
int heap_rows_make(struct heap_analysis *analysis, const struct heap_threads *threads);

/** Add what @from counts to @to; name and place stay. */
void heap_row_merge(struct heap_row *to, const struct heap_row *from);

#endif
