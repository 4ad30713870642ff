/*
 * dwarf_scopes.h - which namespaces, types and functions enclose a debugging entry.
 *
 * DWARF has no parent links. Names with linkage carry their scopes; those without (lambdas,
 * anonymous namespaces, as gcc writes them) need them looked up: the scopes of a unit are
 * listed by one walk, when first asked for, as intervals of offsets. Few units need it, and the
 * lists are dropped when they grow past a bound.
 *
 * Depends on: base, libdw, die_visit. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_SCOPES_H
#define CPROF_SYMBOLIZER_DWARF_SCOPES_H

#include "die_tables.h"

#include <elfutils/libdw.h>
#include <stdint.h>

struct dwarf_scope {
	uint32_t start, end; /* offsets from the unit's first entry: the entry and its children */
	uint32_t parent;     /* index, UINT32_MAX = none */
};

struct dwarf_scope_list {
	struct Dwarf_CU *unit;
	Dwarf_Die first; /* the unit's first entry */
	struct dwarf_scope *scopes;
	size_t n, cap;
};

struct dwarf_scopes {
	struct dwarf_scope_list *lists;
	size_t n, cap;
	size_t n_scopes; /* in all lists */
	struct die_tables *tables;
};

/** @tables: of the file; borrowed */
void dwarf_scopes_init(struct dwarf_scopes *scopes, struct die_tables *tables);
void dwarf_scopes_deinit(struct dwarf_scopes *scopes);

/**
 * The entries that enclose an entry: namespaces, types, and the innermost function, at which the
 * chain ends (its name says the rest). Units in C have none.
 *
 * @chain: room for @max, innermost first
 * Return: 0 and @n; -ENOMEM.
 */
int dwarf_scopes_find(struct dwarf_scopes *scopes, Dwarf_Die *die, Dwarf_Die *chain, size_t max,
		      size_t *n);

#endif
