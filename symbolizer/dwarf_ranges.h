/*
 * dwarf_ranges.h - the address ranges of a debugging entry, with a bound on their number.
 *
 * Many entries of a damaged file may share one endless range list, each of them read in full:
 * the budget is one per file, so that a file's cost stays proportional to its size.
 *
 * Depends on: libdw. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_RANGES_H
#define CPROF_SYMBOLIZER_DWARF_RANGES_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dwarf_range_cursor {
	Dwarf_Die *die;
	ptrdiff_t offset;
	Dwarf_Addr base;
	uint64_t *budget;
	bool failed; /* the list is damaged, or there are too many of them */
};

static inline struct dwarf_range_cursor dwarf_range_begin(Dwarf_Die *die, uint64_t *budget)
{
	return (struct dwarf_range_cursor){.die = die, .budget = budget};
}

/** Return: true and [@start, @end); false at the end, or when the budget is used up. */
static inline bool dwarf_range_next(struct dwarf_range_cursor *cursor, uint64_t *start,
				    uint64_t *end)
{
	Dwarf_Addr low, high;
	if (*cursor->budget == 0) {
		cursor->failed = true;
		return false;
	}
	--*cursor->budget;
	cursor->offset = dwarf_ranges(cursor->die, cursor->offset, &cursor->base, &low, &high);
	/* Damaged: perhaps a list that was passed over to the end of its section without a range.
	 * Not many of those. */
	if (cursor->offset < 0) {
		*cursor->budget /= 2;
		cursor->failed = true;
	}
	if (cursor->offset <= 0)
		return false;
	*start = low;
	*end = high;
	return true;
}

#endif
