/*
 * wait_rows.h - rows of profiles of waiting: by what threads did, and by the lock they waited for.
 *
 * A lock is an address in a process: what its futex is at. With each comes in which stacks it was
 * waited for; who held it meanwhile is not known.
 *
 * Depends on: base, profile, hotspots.h, selection.h. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_WAIT_ROWS_H
#define CPROF_OUTPUT_WAIT_ROWS_H

#include "hotspots.h"
#include "selection.h"

/**
 * A row for each state that has a selected sample, unsorted.
 *
 * Return: 0; -ENODATA: no sample of the profile has a state; -ENOMEM.
 */
int wait_rows_by_state(const struct profile *profile, const struct selection *selection,
		       struct hotspots *to);

/**
 * A row for each lock that has a selected sample, unsorted, with its stacks.
 *
 * Return: 0, also when no lock was waited for; -ENODATA: no sample of the profile has a state;
 *         -ENOMEM.
 */
int wait_rows_by_lock(const struct profile *profile, const struct selection *selection,
		      struct hotspots *to);

/** Say that a profile has no states. Return: -ENODATA. */
int wait_rows_fail(enum report_by by, struct cp_err *err);

#endif
