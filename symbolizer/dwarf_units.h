/*
 * dwarf_units.h - the compilation units of a file: which one has an address, and what is in it.
 *
 * All unit headers are read once, with the ranges of each unit's first entry; the rest of a unit
 * is read when an address falls into it, and forgotten again when others need the room: memory
 * follows the units in use, not the file. .debug_aranges serves only units whose first entry
 * states no ranges: clang writes none, and where compilers do they repeat the entry's.
 *
 * Inside a unit, functions are first looked for where compilers put them (top level, namespaces),
 * passing over everything else; only when an address is in none of them is the whole unit walked,
 * which finds nested ones.
 *
 * Depends on: base, libdw, code_ranges, range_table, dwarf_inlines, line_table. Threads: as the
 * Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_UNITS_H
#define CPROF_SYMBOLIZER_DWARF_UNITS_H

#include "code_ranges.h"
#include "die_tables.h"
#include "dwarf_inlines.h"
#include "dwarf_split.h"
#include "line_table.h"
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
	struct die_unit place; /* its entries */
	bool is_skeleton;
	struct dwarf_body *body; /* what that stands for; NULL = not opened, or missing */
	bool has_ranges;
	enum dwarf_unit_functions state;
	struct dwarf_function *functions;
	size_t n_functions, cap_functions;
	struct range_table function_ranges;
	bool lines_read;
	bool lines_paid; /* out of the file's budget: may be read again */
	bool was_let_go; /* likewise for its functions */
	struct line_table lines;
	size_t bytes;         /* held by what was read */
	uint64_t used;        /* when it was last asked for */
	const char *comp_dir; /* NULL = not asked for yet */
};

struct dwarf_units {
	Dwarf *dwarf;
	const struct code_ranges
		*code; /* borrowed; may be empty: then anything is taken for code */
	struct dwarf_unit *units;
	size_t n, cap;
	struct range_table ranges;
	struct dwarf_split split;
	struct die_tables tables;
	struct line_sections line_sections;
	unsigned int damage;     /* enum dwarf_damage: what reading headers and functions has met */
	uint64_t range_budget;   /* see dwarf_ranges.h */
	uint64_t ranges_at_once; /* as many as all lists of a sound file have, or more */
	size_t bytes, max_bytes; /* held by all units, and what they are kept below */
	uint32_t *loaded;        /* units that hold something */
	size_t n_loaded, cap_loaded;
	uint64_t clock;
};

/** Code that the linker dropped keeps ranges near 0, where no code is. */
static inline bool dwarf_units_is_code(const struct dwarf_units *units, uint64_t start)
{
	return units->code->n == 0 || code_ranges_find(units->code, start) != NULL;
}

/**
 * Read all unit headers of a file.
 *
 * @elf_path:     of the file; kept
 * @root:         of the target, for dwarf_split_init(); NULL = none
 * @code:         where the file has code; kept
 * @range_budget: ranges that may be read in all
 * Return: 0 (also when there are no units) or -ENOMEM (nothing to release).
 */
int dwarf_units_init(struct dwarf_units *units, Dwarf *dwarf, const char *elf_path,
		     const char *root, const struct code_ranges *code, uint64_t range_budget);
void dwarf_units_deinit(struct dwarf_units *units);

/**
 * Find the unit and the function at an address.
 *
 * @unit:     NULL when no unit claims the address
 * @function: NULL when the unit has none there; its inlined calls have been read
 * Return: 0 or -ENOMEM. What was found is valid until the next call.
 */
int dwarf_units_find(struct dwarf_units *units, uint64_t svma, struct dwarf_unit **unit,
		     struct dwarf_function **function);

/** What of the file could not be read so far: enum dwarf_damage, or-ed. */
unsigned int dwarf_units_damage(const struct dwarf_units *units);

/** The number of the unit that an address is looked for in first; UINT32_MAX = in none. */
uint32_t dwarf_units_number(const struct dwarf_units *units, uint64_t svma);

/**
 * A unit's line of an address; its line table is read on the first call.
 *
 * Return: 0 and @row (NULL = none), -ENOMEM.
 */
int dwarf_units_line(struct dwarf_units *units, struct dwarf_unit *unit, uint64_t svma,
		     const struct line_row **row);

/** A file of a unit's line table, or NULL. After dwarf_units_line(). */
struct line_file *dwarf_units_file(struct dwarf_unit *unit, uint32_t index);

#endif
