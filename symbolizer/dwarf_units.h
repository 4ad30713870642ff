/*
 * dwarf_units.h - the compilation units of a file: which one has an address, and what is in it.
 *
 * All unit headers are read once, with the ranges of each unit's first entry; the rest of a unit
 * is read when an address falls into it. .debug_aranges serves only units whose first entry
 * states no ranges: clang writes none, and where compilers do they repeat the entry's.
 *
 * Inside a unit, functions are first looked for where compilers put them (top level, namespaces),
 * passing over everything else; only when an address is in none of them is the whole unit walked,
 * which finds nested ones.
 *
 * Depends on: base, libdw, code_ranges, range_table, dwarf_inlines. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_UNITS_H
#define CPROF_SYMBOLIZER_DWARF_UNITS_H

#include "code_ranges.h"
#include "dwarf_inlines.h"
#include "range_table.h"

struct dwarf_function {
	Dwarf_Die die;  /* DW_TAG_subprogram with code */
	uint64_t entry; /* start of its first range */
	bool inlines_read;
	struct dwarf_inlines inlines;
};

enum dwarf_unit_functions { UNIT_FUNCTIONS_UNREAD, UNIT_FUNCTIONS_OUTER, UNIT_FUNCTIONS_ALL };

struct dwarf_unit {
	Dwarf_Die die;
	const uint8_t *end; /* behind the last byte */
	bool has_ranges;
	enum dwarf_unit_functions state;
	struct dwarf_function *functions;
	size_t n_functions, cap_functions;
	struct range_table function_ranges;
	bool lines_read;
	Dwarf_Lines *lines;
	size_t n_lines;
	Dwarf_Files *files;
	size_t n_files;
};

struct dwarf_units {
	Dwarf *dwarf;
	const struct code_ranges
		*code; /* borrowed; may be empty: then anything is taken for code */
	struct dwarf_unit *units;
	size_t n, cap;
	struct range_table ranges;
	uint64_t range_budget; /* see dwarf_ranges.h */
};

/**
 * Read all unit headers of a file.
 *
 * @code:         where the file has code; kept
 * @range_budget: ranges that may be read in all
 * Return: 0 (also when there are no units) or -ENOMEM (nothing to release).
 */
int dwarf_units_init(struct dwarf_units *units, Dwarf *dwarf, const struct code_ranges *code,
		     uint64_t range_budget);
void dwarf_units_deinit(struct dwarf_units *units);

/**
 * Find the unit and the function at an address.
 *
 * @unit:     NULL when no unit claims the address
 * @function: NULL when the unit has none there; its inlined calls have been read
 * Return: 0 or -ENOMEM.
 */
int dwarf_units_find(struct dwarf_units *units, uint64_t svma, struct dwarf_unit **unit,
		     struct dwarf_function **function);

/** A unit's line of an address, or NULL. The line table is read on the first call. */
Dwarf_Line *dwarf_units_line(struct dwarf_unit *unit, uint64_t svma);

/** The name of a file in a unit's file table, or NULL. */
const char *dwarf_units_file(struct dwarf_unit *unit, uint32_t index);

#endif
