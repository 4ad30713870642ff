/*
 * heap_places.h - the source lines in charge of live blocks, each with all stacks that lead to it.
 * A part of heap_analysis.c.
 *
 * A line is what a person goes and looks at; that it is reached on many ways must neither hide it
 * among them nor split its growth.
 *
 * Depends on: base, heap_analysis.h, heap_births.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_HEAP_PLACES_H
#define CPROF_OUTPUT_HEAP_PLACES_H

#include "heap_births.h"

/** Fill analysis->places. Return: 0 or -ENOMEM. */
int heap_places_make(struct heap_analysis *analysis, const struct heap_births_of *births);

#endif
