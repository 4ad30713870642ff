/*
 * line_table.h - the line number program of one unit, run once and kept small.
 *
 * libdw keeps every row of every unit it was asked about as long as its handle lives, and takes
 * several times as long to read them. Here rows that change neither file nor line are merged, a
 * row takes 16 bytes, and a unit's rows go when the unit does.
 *
 * DWARF 2 to 5 (DWARF 5 standard, section 6.2). Depends on: base, elf_bytes, code_ranges.
 * Threads: immutable once read, but for line_file.path.
 */
#ifndef CPROF_SYMBOLIZER_LINE_TABLE_H
#define CPROF_SYMBOLIZER_LINE_TABLE_H

#include "code_ranges.h"
#include "elf_bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct line_sections {
	struct elf_bytes line, str, line_str;
	bool damaged;             /* a program could not be read to its end */
	uint64_t budget;          /* bytes that may still be read: units may share a program */
	struct line_row *scratch; /* rows of the program that is run: kept from one to the next */
	size_t cap_scratch;
};

struct line_row {
	uint64_t start;      /* to the next row's, or its sequence's end */
	uint32_t file, line; /* index into the table's files; 0 = no line */
};

/* Code without gaps; the rows of one are sorted, sequences are disjoint in sound files. */
struct line_sequence {
	uint64_t start, end;
	size_t first, n; /* rows */
};

struct line_file {
	const char *name;
	uint64_t dir;
	const char *path; /* for the user of the table, NULL at first */
};

struct line_table {
	struct line_row *rows;
	size_t n_rows, cap_rows;
	struct line_sequence *sequences; /* sorted by start */
	size_t n_sequences, cap_sequences;
	struct line_file *files; /* by the numbers that the DWARF uses; before DWARF 5 from 1 */
	size_t n_files, cap_files;
	const char **dirs;
	size_t n_dirs, cap_dirs;
};

/** Find the sections of a file. */
void line_sections_init(struct line_sections *sections, Elf *elf);
void line_sections_deinit(struct line_sections *sections);

/**
 * Read one unit's program.
 *
 * @offset: DW_AT_stmt_list
 * @code:   sequences that start elsewhere are left out; empty = keep all
 * Return: 0 or -ENOMEM (nothing to release). What is damaged or unknown ends the reading: the
 *         rows before it stay.
 */
int line_table_read(struct line_table *table, struct line_sections *sections, uint64_t offset,
		    const struct code_ranges *code);
void line_table_deinit(struct line_table *table);

/**
 * The row of an address, or NULL. O(log n).
 *
 * @start, @end: where the row's code lies
 */
const struct line_row *line_table_find(const struct line_table *table, uint64_t svma,
				       uint64_t *start, uint64_t *end);

/** Bytes that the table holds. */
size_t line_table_bytes(const struct line_table *table);

/** The directory of a file, "" = the unit's working directory. */
const char *line_table_dir(const struct line_table *table, const struct line_file *file);

#endif
