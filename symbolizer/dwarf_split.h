/*
 * dwarf_split.h - units whose entries are in files of their own (-gsplit-dwarf: .dwo).
 *
 * The linked file keeps a skeleton of such a unit: its ranges, its line table, and the name of the
 * file with the rest (DWARF 5, 3.1.2; in DWARF 4 an extension of GNU). libdw opens that, where the
 * compiler wrote it or beside the linked file, and compares the unit's id. Of a target in a
 * container both are places below its root: a thread whose root that is opens it (CAP_SYS_CHROOT).
 *
 * Packages of such files (.dwp) need elfutils 0.191; with an earlier one their name is told.
 *
 * Depends on: base, elf (map_guard), libdw, die_tables. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_SPLIT_H
#define CPROF_SYMBOLIZER_DWARF_SPLIT_H

#include "die_tables.h"

#include <stdbool.h>
#include <stddef.h>

struct dwarf_split {
	const char *elf_path; /* of the linked file; borrowed */
	char root[64];        /* of the target, looked below first; "" = none */
	bool any;             /* there are skeletons */
	bool refused;         /* it was not permitted to open one below the root */
	size_t n_missing;     /* skeletons whose file is nowhere, or of another build */
	char *first_missing;  /* its path */
	int *guards;
	size_t n_guards, cap_guards;
};

/* What a skeleton stands for. */
struct dwarf_body {
	Dwarf_Die die;         /* of the whole unit */
	struct die_unit place; /* its entries */
	Dwarf_Files *files; /* that its calls count by; NULL = those of the skeleton's line table */
	size_t n_files;
};

/** @root: see debug_file.h; NULL = none. */
void dwarf_split_init(struct dwarf_split *split, const char *elf_path, const char *root);
void dwarf_split_deinit(struct dwarf_split *split);

/** Whether a unit's first entry is a skeleton; looks whether its file is there. */
bool dwarf_split_note(struct dwarf_split *split, Dwarf_Die *unit);

/** Open what a skeleton stands for. Return: false when it is missing. */
bool dwarf_split_open(struct dwarf_split *split, Dwarf_Die *skeleton, struct dwarf_body *out);

/** True when one of the files was truncated meanwhile. */
bool dwarf_split_changed(const struct dwarf_split *split);

/** What is missing, as a sentence. Return: false when nothing is. */
bool dwarf_split_describe(const struct dwarf_split *split, char *buf, size_t size);

#endif
