/*
 * dwarf_damage.h - which parts of a file's debug information could not be read.
 *
 * Readers go on behind what is damaged, or give up where they cannot, and what they find is right
 * as far as it goes. That something is missing must be said nevertheless: it looks like code
 * without debug information. Noted where it is met, so what nobody asked for is not known to be
 * damaged.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_DAMAGE_H
#define CPROF_SYMBOLIZER_DWARF_DAMAGE_H

#include <stddef.h>

enum dwarf_damage {
	DWARF_DAMAGE_UNITS = 1,   /* headers in .debug_info */
	DWARF_DAMAGE_ENTRIES = 2, /* in .debug_info, or their shapes in .debug_abbrev */
	DWARF_DAMAGE_RANGES = 4,  /* .debug_ranges, .debug_rnglists */
	DWARF_DAMAGE_LINES = 8,   /* .debug_line */
};

/**
 * A clause for people: "its debug information is damaged (.debug_line)".
 *
 * @damage: of enum dwarf_damage, or-ed; not 0
 */
void dwarf_damage_describe(unsigned int damage, char *buf, size_t size);

#endif
