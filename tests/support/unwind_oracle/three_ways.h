/*
 * three_ways.h - one sample walked by compiled rows, by libunwind and by libdw, and how the three
 * answers relate.
 *
 * Two answers that have different frames are a disagreement, and each has a cause: the first one of
 * a list of named predicates that holds. What none holds for is unexplained. Answers with the same
 * frames whose ends are judged differently are counted apart.
 *
 * Depends on: base, unwind, libdw_walk.h. Threads: one at a time.
 */
#ifndef CPROF_TESTS_UNWIND_ORACLE_THREE_WAYS_H
#define CPROF_TESTS_UNWIND_ORACLE_THREE_WAYS_H

#include "capture.h"
#include "libdw_walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct three_ways {
	pid_t pid;
	struct image_store *store;
	struct address_space *space;
	struct unwinder *rows, *libunwind;
	struct libdw_walker *libdw;
};

int three_ways_open(pid_t pid, struct three_ways *out, struct cp_err *err);
void three_ways_close(struct three_ways *ways);

/** Read the mappings again. Those of a process that has ended are kept. */
void three_ways_refresh(struct three_ways *ways);

struct three_answers {
	uint64_t rows_pcs[UNWIND_MAX_FRAMES], libunwind_pcs[UNWIND_MAX_FRAMES],
		libdw_pcs[UNWIND_MAX_FRAMES];
	struct unwind_result rows, libunwind;
	struct libdw_result libdw;
};

void three_ways_walk(struct three_ways *ways, const struct capture_sample *sample,
		     struct three_answers *out);

/** How many frames two answers have in common, from the leaf on. */
size_t three_ways_common(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b);

#endif
