/*
 * die_tables.h - the abbreviation tables of a file that are in use, a few of them.
 *
 * Units that were linked or deduplicated together share a table, and a unit's entries are read
 * several times: functions, then inlined calls of those that were hit. A handful of tables is kept
 * whatever the number of units.
 *
 * Depends on: base, libdw, die_abbrevs. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DIE_TABLES_H
#define CPROF_SYMBOLIZER_DIE_TABLES_H

#include "die_abbrevs.h"
#include "dwarf_damage.h"

#include <elfutils/libdw.h>

enum { DIE_TABLES_KEPT = 8 };

/* Where a unit's entries are, and how they are written. */
struct die_unit {
	Dwarf *dwarf;
	const uint8_t *start, *end; /* its header; behind its last byte */
	uint64_t abbrev_offset;
	struct die_format format;
};

/**
 * Keep a unit inside of its section: the length in its header may be any.
 *
 * @info: the .debug_info of the unit's file; a unit that does not start in it becomes empty
 * Return: false when it was not inside.
 */
bool die_unit_bound(struct die_unit *unit, const struct elf_bytes *info);

/**
 * Where the entries of a unit are.
 *
 * @first: the unit's first entry
 * Return: false when that is not to be had (type units).
 */
bool die_unit_of(Dwarf_Die *first, struct die_unit *out);

struct die_tables {
	Dwarf *dwarf;
	struct elf_bytes section; /* .debug_abbrev */
	struct die_abbrevs kept[DIE_TABLES_KEPT];
	size_t next;     /* to be replaced */
	uint64_t budget; /* bytes that may still be read: tables may overlap in a damaged file */
	unsigned int damage; /* enum dwarf_damage: what visits of entries have met */
};

/** Of a little-endian file; of another, no table will be found. */
void die_tables_init(struct die_tables *tables, Dwarf *dwarf);
void die_tables_deinit(struct die_tables *tables);

/**
 * The table of a unit.
 *
 * Return: borrowed until the next call; NULL when there is none that can be used (of another
 *         file, damaged, out of memory): libdw has to do.
 */
const struct die_abbrevs *die_tables_get(struct die_tables *tables, const struct die_unit *unit);

#endif
