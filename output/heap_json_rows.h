/*
 * heap_json_rows.h - what the heap report for programs says of places and stacks: the rows, the
 * verdict, and the parts that the totals share with them.
 *
 * Depends on: json_put.h, heap_parts.h. Threads: one at a time.
 */
#ifndef CPROF_OUTPUT_HEAP_JSON_ROWS_H
#define CPROF_OUTPUT_HEAP_JSON_ROWS_H

#include "heap_parts.h"
#include "json_put.h"

struct heap_json {
	const struct heap_report *report;
	struct json_put put;
};

/**
 * The intervals of a sampled recording; null of an exact one.
 *
 * @has_allocs: @totals says what was allocated, too
 */
void heap_json_put_estimate(struct heap_json *maker, json_t *object, const struct heap_sum *live,
			    bool has_allocs, const struct heap_row *totals);

/** How old the oldest of the live blocks is; null where there is none. */
void heap_json_put_age(struct heap_json *maker, json_t *object, const struct heap_sum *live,
		       uint64_t oldest_ns);

/** Allocations that were freed by the next event of their thread; null where that is not known. */
void heap_json_put_temporary(struct heap_json *maker, json_t *object, double value);

json_t *heap_json_make_verdict(struct heap_json *maker);
json_t *heap_json_make_row(struct heap_json *maker, const struct heap_row *row);

#endif
