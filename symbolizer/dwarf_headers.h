/*
 * dwarf_headers.h - the units of a file and the ranges of each: what dwarf_units_init() reads.
 *
 * Depends on: base, libdw, dwarf_units. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_HEADERS_H
#define CPROF_SYMBOLIZER_DWARF_HEADERS_H

#include "dwarf_units.h"

/**
 * Fill in units->units and units->ranges, which are not sealed yet.
 *
 * @budget: ranges that may be read; lowered
 * Return: 0 or -ENOMEM. What is damaged is left out and noted in units->damage.
 */
int dwarf_headers_read(struct dwarf_units *units, uint64_t *budget);

#endif
