/*
 * die_visit.h - visit debugging entries in file order: quickly where that can be done, else
 * through libdw.
 *
 * libdw's way serves split units, files of other byte orders, and tables that die_abbrevs.h does
 * not know how to read.
 *
 * Depends on: libdw, die_scan, die_walk, die_tables. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DIE_VISIT_H
#define CPROF_SYMBOLIZER_DIE_VISIT_H

#include "die_scan.h"
#include "die_tables.h"
#include "die_walk.h"

/* The deepest entry that a visit goes to. */
enum { DIE_VISIT_MAX_DEPTH = DIE_WALK_MAX_DEPTH };

struct die_visit {
	bool quick;
	bool started;
	struct die_scan scan;
	struct die_walk walk;
	struct Dwarf_CU *cu;
	struct die_tables *tables; /* told of damage */
	Dwarf_Die die;             /* the current entry */
	struct die_entry current;
};

/**
 * Start at an entry.
 *
 * @tables: not used for others until the visit is over
 * @unit:   of the entry
 */
void die_visit_init(struct die_visit *visit, struct die_tables *tables, const struct die_unit *unit,
		    const Dwarf_Die *root);

/**
 * Go to the next entry; the first is the root.
 *
 * @descend: visit the current entry's children; else pass over them
 * Return: true, visit->current and visit->die; false at the end.
 */
bool die_visit_next(struct die_visit *visit, bool descend);

#endif
