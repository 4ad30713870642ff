/*
 * dwarf_names.h - what the function of a debugging entry is called, asked once per function.
 *
 * A concrete function, its abstract origin and its declaration share out the attributes; they are
 * collected along DW_AT_abstract_origin and DW_AT_specification, over a bounded number of steps:
 * a damaged file may link them in a circle.
 * A function without a linkage name is shown with the scopes it is declared in.
 *
 * Depends on: base, libdw, demangle. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_NAMES_H
#define CPROF_SYMBOLIZER_DWARF_NAMES_H

#include "base/index.h"
#include "dwarf_scopes.h"

#include <elfutils/libdw.h>

struct dwarf_name {
	const char *name;        /* demangled or with its scopes; "" when the entry has none */
	const char *system_name; /* linkage name, else plain name */
	uint32_t decl_line;      /* 0 = unknown */
	bool has_linkage;        /* and it could be demangled */
	const void *entry;       /* key: the entry's address in memory */
	char *made;              /* owned; NULL when name is system_name */
};

struct dwarf_names {
	struct dwarf_name *names;
	size_t n, cap;
	struct cp_index index;
	struct dwarf_scopes scopes;
	int depth; /* functions whose names are being put together, each inside the next */
};

/** @tables: of the file; borrowed */
void dwarf_names_init(struct dwarf_names *names, struct die_tables *tables);
void dwarf_names_deinit(struct dwarf_names *names);

/**
 * The name of a DW_TAG_subprogram or DW_TAG_inlined_subroutine.
 *
 * Return: 0 and @out; -ENOMEM. @out's strings live as long as @names and the Dwarf handle.
 */
int dwarf_names_get(struct dwarf_names *names, Dwarf_Die *die, struct dwarf_name *out);

#endif
