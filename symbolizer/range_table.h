/*
 * range_table.h - which ranges contain an address, when they may overlap.
 *
 * For compilation units and functions, whose ranges are disjoint in sound files and anything in
 * broken ones. The range that starts last comes first; a look-up passes over a bounded number of
 * ranges, so that overlaps cannot make it slow.
 *
 * Depends on: base. Threads: immutable once sealed.
 */
#ifndef CPROF_SYMBOLIZER_RANGE_TABLE_H
#define CPROF_SYMBOLIZER_RANGE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* A look-up gives up after this many ranges that start before the address and end before it. */
enum { RANGE_TABLE_MAX_SCAN = 128 };

struct range_entry {
	uint64_t start, end; /* [start, end) */
	uint64_t max_end;    /* of this and all earlier ones: where looking further is pointless */
	uint32_t id;
};

struct range_table {
	struct range_entry *entries;
	size_t n, cap;
};

void range_table_deinit(struct range_table *table);

/** Add a range; empty ones are left out. Return: 0 or -ENOMEM. */
int range_table_add(struct range_table *table, uint64_t start, uint64_t end, uint32_t id);

/** Make the table ready for finding. */
void range_table_seal(struct range_table *table);

/**
 * The ids of ranges that contain an address, the one that starts last first; of equal starts the
 * shortest. An id with several such ranges appears once for each.
 *
 * @ids: room for @max
 * Return: how many.
 */
size_t range_table_find(const struct range_table *table, uint64_t address, uint32_t *ids,
			size_t max);

#endif
