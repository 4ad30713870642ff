/*
 * heap_tables.h - the parts of the reader of heap files; heap_reader.h is for everybody else.
 *
 * Depends on: base, elf, heap_reader.h. Threads: one.
 */
#ifndef CPROF_HEAP_HEAP_TABLES_H
#define CPROF_HEAP_HEAP_TABLES_H

#include "elf/elf_source.h"
#include "heap_reader.h"

#include <stdarg.h>
#include <stdio.h>

struct heap_source {
	struct elf_source file;
	bool live; /* it is written to meanwhile */
};

/** "NAME is damaged, or no heap file: TEXT". Return: -EBADMSG. */
int heap_damaged(const struct heap_source *source, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* It looks at one file at a time and would take a failure's value for a possible 0. */
#define heap_damaged(source, ...) ((heap_damaged)(source, __VA_ARGS__), -1)
#endif

/** Read the header and check what it says. Return: as heap_snapshot_read_fd(). */
int heap_read_header(const struct heap_source *source, struct heap_header *out);

/** Read the live blocks, by the header in @snapshot. Their sites are not checked yet. */
int heap_read_blocks(const struct heap_source *source, struct heap_snapshot *snapshot);

/** Sum the counters of all threads up into @snapshot's sites. */
int heap_read_counters(const struct heap_source *source, struct heap_snapshot *snapshot);

#endif
