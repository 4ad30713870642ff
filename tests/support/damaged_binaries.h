/*
 * damaged_binaries.h - small ELF files with DWARF, each wrong in one way.
 *
 * All of them have what dwarf_writer_sound() writes, and DAMAGED_SVMA lies in what is wrong.
 *
 * Depends on: dwarf_writer.h. Threads: any.
 */
#ifndef CPROF_TESTS_DAMAGED_BINARIES_H
#define CPROF_TESTS_DAMAGED_BINARIES_H

#include "dwarf_writer.h"

#include <stdbool.h>

enum { DAMAGED_SVMA = DWARF_WRITER_CODE + 0x1000 };

struct damaged_binary {
	const char *name;
	/* Add to the sound unit, which is still open. @n: how much of it, where there is a count */
	void (*add)(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n);
	/* Break what has been written; the unit is closed. */
	void (*spoil)(struct elf_writer *elf, size_t n);
	size_t n;       /* a count that would take minutes or gigabytes, were it believed */
	size_t n_small; /* the same idea in a file of some hundred bytes */
	/* The damage leaves the sound functions' entries alone: they must be answered. */
	bool rest_is_sound;
	/* A section that is said to be damaged when DAMAGED_SVMA is asked for; NULL = not asserted
	 */
	const char *told;
};

extern const struct damaged_binary damaged_binaries[];
extern const size_t n_damaged_binaries;

/** Write one of them. @small: n_small instead of n */
struct bytes damaged_binary_make(const struct damaged_binary *binary, bool small);

#endif
