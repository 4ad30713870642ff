/*
 * dwarf_inlines.h - the tree of inlined calls inside one function.
 *
 * Built by one walk over the function's entries when its first address is asked for. The ranges
 * of the calls are kept sorted by (depth, start): at one depth they are disjoint, so the innermost
 * call at an address takes one binary search per depth, and parent links give the chain.
 *
 * Depends on: base, libdw, die_visit. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_INLINES_H
#define CPROF_SYMBOLIZER_DWARF_INLINES_H

#include "die_tables.h"

#include <elfutils/libdw.h>
#include <stdint.h>

#define INLINE_NONE UINT32_MAX

struct inline_call {
	Dwarf_Die die;      /* DW_TAG_inlined_subroutine */
	uint32_t parent;    /* the call it is inlined into; INLINE_NONE = the function itself */
	uint32_t call_file; /* index in the unit's file table, 0 = unknown before DWARF 5 */
	uint32_t call_line; /* 0 = unknown */
};

struct inline_range {
	uint64_t start, end;
	uint32_t depth; /* 0 = inlined into the function itself */
	uint32_t call;
};

struct dwarf_inlines {
	struct inline_call *calls;
	size_t n_calls, cap_calls;
	struct inline_range *ranges;
	size_t n_ranges, cap_ranges;
	uint32_t n_depths;
};

void dwarf_inlines_deinit(struct dwarf_inlines *inlines);

/** Bytes that the tree holds. */
size_t dwarf_inlines_bytes(const struct dwarf_inlines *inlines);

/**
 * Read the calls inlined into a function.
 *
 * @function: its DW_TAG_subprogram
 * @tables:   of the file
 * @unit:     of the function
 * @budget:   ranges that may still be read from this file; lowered
 * Return: 0 or -ENOMEM. Damaged entries are left out.
 */
int dwarf_inlines_read(struct dwarf_inlines *inlines, struct die_tables *tables,
		       const struct die_unit *unit, const Dwarf_Die *function, uint64_t *budget);

/** The innermost inlined call at an address, or INLINE_NONE. */
uint32_t dwarf_inlines_find(const struct dwarf_inlines *inlines, uint64_t svma);

#endif
