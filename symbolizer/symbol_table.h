/*
 * symbol_table.h - which of many named, partly overlapping ranges an address belongs to.
 *
 * One structure for ELF symbols, kernel symbols and perf maps. Sealing turns the symbols into
 * disjoint spans, so that a look-up is one binary search however the ranges nest:
 *  - a symbol whose size is known covers exactly that; of several, the one that starts last;
 *  - a symbol without a size reaches to the next symbol, and only where no sized one is;
 *  - of several at one address the highest rank, then the plainest name.
 * With newest_wins the rank alone decides wherever sized symbols overlap: code that a runtime
 * wrote over older code.
 *
 * Depends on: base. Threads: immutable once sealed.
 */
#ifndef CPROF_SYMBOLIZER_SYMBOL_TABLE_H
#define CPROF_SYMBOLIZER_SYMBOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbol {
	uint64_t start, end; /* [start, end) */
	const char *name;    /* borrowed */
	uint32_t rank;       /* the higher the better */
	bool sized;          /* false: end is only a limit (its section's end) */
};

struct symbol_span {
	uint64_t start; /* to the next span's start */
	uint32_t symbol;
};

struct symbol_table {
	struct symbol *symbols;
	size_t n, cap;
	struct symbol_span *spans;
	size_t n_spans, cap_spans;
	bool newest_wins; /* set before sealing */
};

void symbol_table_init(struct symbol_table *table);
void symbol_table_deinit(struct symbol_table *table);

/** Add a symbol; empty names and ranges are left out. Return: 0 or -ENOMEM. */
int symbol_table_add(struct symbol_table *table, const struct symbol *symbol);

/** Make the table ready for finding; nothing can be added after. O(n log n). Return: 0, -ENOMEM. */
int symbol_table_seal(struct symbol_table *table);

/** The symbol at an address, or NULL. Borrowed from the table. O(log n). */
const struct symbol *symbol_table_find(const struct symbol_table *table, uint64_t address);

#endif
