/*
 * heap_printer.h - lines, columns and headings of the heap report for people.
 *
 * Depends on: base, heap_parts.h, strbuf.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_HEAP_PRINTER_H
#define CPROF_OUTPUT_HEAP_PRINTER_H

#include "heap_parts.h"

#include <stdbool.h>
#include <stdio.h>

struct heap_printer {
	const struct heap_report *report;
	FILE *out;
	struct strbuf line, scratch;
	unsigned width;
};

/* Print the line so far. */
void heap_printer_flush(struct heap_printer *printer);
void heap_printer_bold(struct heap_printer *printer, bool on);
/* The same, broken at spaces; what follows is indented by @indent. */
void heap_printer_wrap(struct heap_printer *printer, unsigned indent);
/* An empty line, and a heading in a line of its own. */
void heap_printer_heading(struct heap_printer *printer, const char *text);
/* Add the scratch text as a column, to the left of it or to the right. */
void heap_printer_column(struct heap_printer *printer, int width, bool left);
bool heap_printer_is_sampled(const struct heap_printer *printer);
/* Columns of numbers, to the right. */
void heap_printer_bytes(struct heap_printer *printer, double bytes, double variance, int width);
void heap_printer_count(struct heap_printer *printer, double count, int width);
/* "parse_line  src/parse.c:14" in what @used leaves of the line. */
void heap_printer_who(struct heap_printer *printer, const struct heap_row *row, size_t used);

/* What was allocated in all, in which sizes, and what the resident memory is: heap_text_memory.c.
 * Return: 0 or -ENOMEM. */
int heap_text_memory(struct heap_printer *printer);

#endif
