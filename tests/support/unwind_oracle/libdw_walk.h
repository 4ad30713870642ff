/*
 * libdw_walk.h - the walk by elfutils' libdw over a copied stack, for comparison.
 *
 * libdw finds the binaries and reads their unwind information itself, from /proc/PID/maps on;
 * memory is the copy and nothing else.
 *
 * Depends on: base, unwind, libdw. Threads: one at a time.
 */
#ifndef CPROF_TESTS_UNWIND_ORACLE_LIBDW_WALK_H
#define CPROF_TESTS_UNWIND_ORACLE_LIBDW_WALK_H

#include "base/err.h"
#include "unwind/unwind.h"

#include <sys/types.h>

struct libdw_walker; /* of one process */

/** Return: 0 or -errno with a message. */
int libdw_walker_create(pid_t pid, struct libdw_walker **out, struct cp_err *err);
void libdw_walker_destroy(struct libdw_walker *walker);

/** Read the mappings again; those that are gone with the process are kept. */
void libdw_walker_refresh(struct libdw_walker *walker);

struct libdw_result {
	uint64_t *pcs; /* the caller's array; look-up addresses, as struct unwind_result's */
	size_t cap, n;
	bool ended;  /* it says that the last frame is the outermost one */
	bool missed; /* it wanted memory that is not in the copy, first at missed_avma */
	uint64_t missed_avma;
};

void libdw_walker_walk(struct libdw_walker *walker, const struct unwind_regs *regs,
		       const struct unwind_stack *stack, struct libdw_result *result);

/** Has libdw call frame information for an address? */
bool libdw_walker_has_cfi(struct libdw_walker *walker, uint64_t avma);

/** The avma of the index (PT_GNU_EH_FRAME) that the binary of an address has. Return: 0 = none. */
uint64_t libdw_walker_index(struct libdw_walker *walker, uint64_t avma);

/** The symbol of an address, for people; *off is set. Return: NULL when there is none. */
const char *libdw_walker_symbol(struct libdw_walker *walker, uint64_t avma, uint64_t *off);

#endif
