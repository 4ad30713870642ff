/*
 * hotspots.h - who uses what was measured: rows with self and total, and what was selected.
 *
 * Sums are made per node of the stack tree and not per sample: a row's total is the weight of the
 * subtrees below its outermost occurrences, so a recursive frame counts once. The cost is one
 * visit per sample and one per node, however deep the stacks are.
 *
 * Depends on: base, profile, frames.h, measure.h, report.h (the options). Threads: any.
 */
#ifndef CPROF_OUTPUT_HOTSPOTS_H
#define CPROF_OUTPUT_HOTSPOTS_H

#include "base/err.h"
#include "frames.h"
#include "measure.h"
#include "profile/profile.h"
#include "report.h"

/* A stack in which a lock was waited for. */
struct lock_stack {
	stack_id stack;
	struct amount amount;
};

/* What does not apply to the kind of row is "" or 0. Texts are borrowed from the hotspots. */
struct hotspot {
	const char *name; /* of the function, or `[module]`, `[unknown]` */
	const char *file; /* source path */
	/*
	 * By line: the row's. By function: where it spends most of its own time; of a function
	 * with no time of its own: where it starts. 0 = unknown.
	 */
	uint32_t line;
	const char *module;                  /* path of the binary */
	const struct profile_thread *thread; /* by thread only, else NULL */
	size_t n_processes;                  /* by process only: of this name; 0 = unknown */
	uint32_t pid;                    /* ... and of the first of them; by lock: its process */
	const char *comm;                /* by lock only: of the process, or "" */
	size_t n_threads;                /* by lock only: that waited for it */
	const struct lock_stack *stacks; /* by lock only: of the waiters, most time first */
	size_t n_stacks;
	enum cp_state state; /* by state only */
	bool kernel, jit, symbolized;
	bool inlined; /* part of it or all was inlined into its callers */
	struct amount self, total;
};

struct hotspots {
	struct measure measure;
	struct hotspot *rows; /* sorted; only rows that occur in a selected sample */
	size_t n;
	struct amount all;              /* of the whole profile: what percentages relate to */
	struct amount selected;         /* by focus and ignore */
	size_t n_threads, n_processes;  /* hotspots_count_threads() */
	struct frames *frames;          /* owns the texts */
	struct lock_stack *lock_stacks; /* of all rows; owned */
};

/**
 * Compute them.
 *
 * @options: by, sort, focus, ignore; the expressions are matched against function names
 * Return: 0; -EINVAL (wrong expression), -ENODATA (as measure_choose(); by state or lock also when
 *         no sample says such), -ENOMEM; with a message.
 *         No sample selected is no failure: selected is 0 and there are no rows.
 */
int hotspots_compute(const struct profile *profile, const struct report_options *options,
		     struct hotspots **out, struct cp_err *err);
void hotspots_destroy(struct hotspots *hotspots);

/**
 * Count threads and processes that have samples; a thread that changed its name is still one.
 *
 * Return: 0 and both numbers, 0 = unknown; -ENOMEM.
 */
int hotspots_count_threads(const struct profile *profile, size_t *threads, size_t *processes);

#endif
