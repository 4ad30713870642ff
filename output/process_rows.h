/*
 * process_rows.h - rows by the name of processes: what a machine full of short-lived ones is read
 * by.
 *
 * Depends on: profile, hotspots.h, selection.h. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_PROCESS_ROWS_H
#define CPROF_OUTPUT_PROCESS_ROWS_H

#include "hotspots.h"
#include "selection.h"

/** Make a row for each name that has a selected sample, unsorted. Return: 0, -ENOMEM. */
int process_rows_make(const struct profile *profile, const struct selection *selection,
		      struct hotspots *to);

#endif
