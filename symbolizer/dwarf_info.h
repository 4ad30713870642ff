/*
 * dwarf_info.h - DWARF of one file: from an address to its chain of inlined calls.
 *
 * libdw decodes; the look-ups are ours (dwarf_units, dwarf_inlines), because libdw's by-address
 * functions scan: dwarf_getscopes() takes 315 us per address where this takes one or two.
 *
 * Depends on: base, elf (debug_file), libdw. Threads: as the Dwarf handle.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_INFO_H
#define CPROF_SYMBOLIZER_DWARF_INFO_H

#include "base/interner.h"
#include "code_ranges.h"
#include "die_visit.h"
#include "dwarf_names.h"
#include "dwarf_units.h"
#include "elf/debug_elf.h"
#include "elf/debug_file.h"
#include "symbol_frame.h"

/* Inlined calls nest as their entries do; then the function itself. */
enum { DWARF_INFO_MAX_FRAMES = DIE_VISIT_MAX_DEPTH + 1 };

struct dwarf_info {
	Dwarf *dwarf, *alt;
	struct debug_elf alt_file;
	bool alt_missing; /* refers to shared debug information that was not found */
	unsigned int
		lost; /* enum dwarf_damage: why dwarf_info_init() found nothing; 0 = nothing is */
	struct dwarf_units units;
	struct dwarf_names names;
	struct interner paths; /* file names joined with the compilation directory */
};

/**
 * Read the unit headers of a file.
 *
 * @elf:      holds the DWARF; borrowed until dwarf_info_deinit()
 * @elf_path: of that file, from where a relative name of shared debug information starts
 * @search:   where to look for that
 * @code:     where the binary has code; borrowed likewise
 * Return: 0; -ENOENT: no DWARF, or none that is readable: then info->lost; -ENOMEM. Nothing to
 *         release then.
 */
int dwarf_info_init(struct dwarf_info *info, Elf *elf, const char *elf_path,
		    const struct debug_file_search *search, const struct code_ranges *code);
void dwarf_info_deinit(struct dwarf_info *info);

/** What of the file could not be read so far: enum dwarf_damage, or-ed. */
unsigned int dwarf_info_damage(const struct dwarf_info *info);

struct dwarf_chain {
	/* innermost inlined call first, the function last; a name is "" when the DWARF has none */
	struct symbol_frame frames[DWARF_INFO_MAX_FRAMES];
	size_t n;
	/* of the function; false: its symbol at @entry may know the name better */
	bool has_linkage;
	uint64_t entry;
};

/**
 * The chain of calls at an address.
 *
 * @chain: strings live as long as @info. n = 0 when no function of the DWARF has the address;
 *         then frames[0] has file and line all the same where the line table knows them
 *         (assembly), and the name "".
 * Return: 0 or -ENOMEM.
 */
int dwarf_info_find(struct dwarf_info *info, uint64_t svma, struct dwarf_chain *chain);

#endif
