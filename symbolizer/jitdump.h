/*
 * jitdump.h - names and lines of code that a runtime generated, from the dump it writes for perf.
 *
 * Records in the order of time: code that was loaded or moved, each before it runs, and before
 * a load the lines of its code. The format is Linux' tools/perf/Documentation/
 * jitdump-specification.txt. Memory is reused: where code overlaps, what was loaded last holds.
 *
 * The machine code in the dump is passed over. A record that is cut off at the end is one
 * that is still being written.
 *
 * Depends on: base, symbol_table. Threads: immutable once read.
 */
#ifndef CPROF_SYMBOLIZER_JITDUMP_H
#define CPROF_SYMBOLIZER_JITDUMP_H

#include "base/err.h"
#include "base/interner.h"
#include "symbol_frame.h"
#include "symbol_table.h"

#include <stdbool.h>
#include <sys/types.h>

struct jitdump_line {
	uint64_t address;
	uint32_t line;
	string_id file;
};

struct jitdump_code {
	uint64_t index;             /* the runtime's number of it: what a move refers to */
	uint64_t time_ns;           /* when it came there, on the dump's clock */
	size_t first_line, n_lines; /* sorted by address */
	int64_t shift;              /* add to a line's address: where the code is now */
};

struct jitdump {
	struct symbol_table table; /* a symbol's rank is its code's index in codes */
	struct jitdump_code *codes;
	size_t n_codes, cap_codes;
	struct jitdump_line *lines;
	size_t n_lines, cap_lines;
	struct interner strings;
	size_t malformed; /* records that say nothing */
	bool monotonic;   /* the dump's clock is CLOCK_MONOTONIC, not the processor's */
};

/**
 * Read a dump.
 *
 * Return: 0; -errno of reading; -EINVAL: no jitdump, or of a machine with another byte order;
 *         -ENOMEM. Nothing to release then.
 */
int jitdump_read(struct jitdump *dump, const char *path, struct cp_err *err);
void jitdump_deinit(struct jitdump *dump);

/**
 * What is at an address.
 *
 * @frame: strings live as long as @dump
 * Return: false when no code was loaded there.
 */
bool jitdump_find(const struct jitdump *dump, uint64_t address, struct symbol_frame *frame);

/** The same of one of the codes that lay there: a symbol of the table that has the address. */
void jitdump_tell(const struct jitdump *dump, const struct symbol *symbol, uint64_t address,
		  struct symbol_frame *frame);

#endif
