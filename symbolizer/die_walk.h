/*
 * die_walk.h - visit debugging entries (DIEs) in file order, each at most once.
 *
 * A plain recursion over dwarf_child() and dwarf_siblingof() passes every entry once per level
 * it lies deep when the compiler wrote no DW_AT_sibling (clang): finding a sibling means reading
 * over all children. This walk goes on where the children ended, so a unit of n bytes costs O(n)
 * whatever its shape, which also bounds what a hostile file can make us do.
 *
 * Depends on: libdw. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DIE_WALK_H
#define CPROF_SYMBOLIZER_DIE_WALK_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

/* Entries nested deeper are passed over; compilers stay below a hundred. */
enum { DIE_WALK_MAX_DEPTH = 256 };

struct die_walk {
	Dwarf_Die path[DIE_WALK_MAX_DEPTH]; /* path[depth] is the current entry */
	unsigned depth;                     /* 0 = the root itself */
	const uint8_t *end;                 /* of the unit's bytes */
	bool failed;                        /* an entry could not be read */
};

/** Start at @root (the current entry). @end: behind the last byte of its unit. */
void die_walk_init(struct die_walk *walk, const Dwarf_Die *root, const uint8_t *end);

/**
 * Go to the next entry below the root.
 *
 * @descend: visit the current entry's children; else pass over them
 * Return: true and walk->depth, path[depth] set; false at the end (or where the unit is damaged).
 */
bool die_walk_next(struct die_walk *walk, bool descend);

static inline Dwarf_Die *die_walk_current(struct die_walk *walk)
{
	return &walk->path[walk->depth];
}

#endif
