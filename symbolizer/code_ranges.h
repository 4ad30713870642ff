/*
 * code_ranges.h - where a binary has code, by its executable sections (or segments).
 *
 * Tells a function from leftovers: functions that the linker dropped keep their symbols and
 * DWARF, at address 0 or thereabouts.
 *
 * Depends on: base, libelf. Threads: immutable once read.
 */
#ifndef CPROF_SYMBOLIZER_CODE_RANGES_H
#define CPROF_SYMBOLIZER_CODE_RANGES_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct code_range {
	uint64_t start, end; /* svma, [start, end) */
};

struct code_ranges {
	struct code_range *ranges; /* sorted */
	size_t n, cap;
};

/**
 * Read the executable sections of a file; of a file without sections the executable segments.
 *
 * Return: 0 (also when there are none) or -ENOMEM.
 */
int code_ranges_read(struct code_ranges *code, Elf *elf);
void code_ranges_deinit(struct code_ranges *code);

/** The range an address lies in, or NULL. */
const struct code_range *code_ranges_find(const struct code_ranges *code, uint64_t svma);

/** True when [@start, @end) shares an address with a range. */
bool code_ranges_overlap(const struct code_ranges *code, uint64_t start, uint64_t end);

#endif
