/*
 * line_program.h - decode one line number program into a line table.
 *
 * Apart from line_table.h because it is the half that reads bytes which nobody vouches for.
 *
 * Depends on: dwarf_cursor, line_table. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_LINE_PROGRAM_H
#define CPROF_SYMBOLIZER_LINE_PROGRAM_H

#include "dwarf_cursor.h"
#include "line_table.h"

struct line_program {
	struct dwarf_cursor cursor; /* the opcodes; ends with the unit */
	unsigned int version, offset_size;
	unsigned int min_instruction;
	int line_base;
	unsigned int line_range, opcode_base;
	unsigned int inverse_range; /* 65536 / line_range, rounded up: a division in each row */
	const uint8_t *operands;    /* how many LEB128 numbers each standard opcode takes */
};

/**
 * Read the header: files and directories go into @table.
 *
 * Return: 0; -EINVAL: damaged or of an unknown version; -ENOMEM.
 */
int line_program_begin(struct line_program *program, struct line_table *table,
		       const struct line_sections *sections, uint64_t offset);

/** Run the program: rows and sequences, the latter not sorted. Return: 0, -EINVAL, -ENOMEM. */
int line_program_run(struct line_program *program, struct line_table *table,
		     const struct code_ranges *code);

#endif
