/*
 * die_scan.h - visit the debugging entries of a unit in file order, quickly.
 *
 * What die_walk.h does through libdw, without it: an entry that is of no use costs a few
 * nanoseconds. Tells what look-ups by address need (tag, code, call site, place in memory);
 * everything else is asked of libdw, for the few entries that were hit.
 *
 * Linear in the unit's bytes whatever its shape. Depends on: die_abbrevs. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_DIE_SCAN_H
#define CPROF_SYMBOLIZER_DIE_SCAN_H

#include "die_abbrevs.h"
#include "dwarf_cursor.h"

struct die_entry {
	const uint8_t *addr; /* of the entry: Dwarf_Die.addr */
	unsigned int tag;
	unsigned int depth; /* 0 = the entry that the scan started at */
	bool has_children;
	/* Of functions and inlined calls only; unset of others: */
	bool has_code;   /* DW_AT_low_pc or DW_AT_ranges */
	bool has_bounds; /* [low, high) is all of its code; else libdw knows */
	uint64_t low, high;
	uint32_t call_file, call_line; /* 0 = unknown */
};

struct die_scan {
	const struct die_abbrevs *abbrevs;
	struct dwarf_cursor cursor;
	const uint8_t *unit;    /* its header: references count from here */
	const uint8_t *sibling; /* of the current entry, NULL = not stated */
	unsigned int depth;     /* of the next entry */
	bool started;
	bool ran_out; /* no damage yet: a unit that ends without the marks of its lists' ends */
	struct die_entry *current; /* the caller's */
};

/**
 * Start at an entry.
 *
 * @current: where each entry is told; the caller's, kept
 * @unit: the first byte of the unit's header
 * @end:  behind the unit's last byte
 */
void die_scan_init(struct die_scan *scan, const struct die_abbrevs *abbrevs, const uint8_t *unit,
		   const uint8_t *at, const uint8_t *end, struct die_entry *current);

/**
 * Go to the next entry; the first is the one the scan started at, the last the last one below it.
 *
 * @descend: visit the current entry's children; else pass over them
 * Return: true and @current; false at the end, or where the unit is damaged: then
 *         scan->cursor.failed.
 */
bool die_scan_next(struct die_scan *scan, bool descend);

#endif
