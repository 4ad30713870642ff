/*
 * lookup_pool.h - many modules' look-ups on several threads.
 *
 * Jobs are begun in the order they are given and told in that order, so that what is made of the
 * answers does not depend on timing. A thread without a job of its own helps where many addresses
 * are left.
 *
 * Depends on: lookup. Threads: the caller's waits and tells; others work.
 */
#ifndef CPROF_SYMBOLIZER_LOOKUP_POOL_H
#define CPROF_SYMBOLIZER_LOOKUP_POOL_H

#include "lookup.h"

enum lookup_job_state { LOOKUP_JOB_WAITS, LOOKUP_JOB_BEGINS, LOOKUP_JOB_RUNS, LOOKUP_JOB_DONE };

struct lookup_job {
	struct source_request request;
	const uint64_t *svmas; /* ascending */
	size_t n;
	void *owner; /* for the caller */

	/* the outcome */
	int rc; /* of lookup_begin() and the work */
	struct cp_err reason;
	struct lookup *lookup;

	enum lookup_job_state state; /* the pool's */
	unsigned int n_workers;
};

struct lookup_pool_options {
	const struct symbolizer_options *symbols;
	unsigned int n_threads; /* 0 = one for each processor that we may use, up to eight */
	/* Called in the caller's thread for each job, in their order; its look-up goes after. A
	 * negative code ends it all. */
	int (*done)(void *ctx, struct lookup_job *job);
	/* Called in the caller's thread now and then; may be NULL. @job is waited for; @left of its
	 * addresses were not taken yet. */
	void (*tick)(void *ctx, const struct lookup_job *job, size_t left);
	void *ctx;
};

/** Return: 0; -ENOMEM; what done() returned. */
int lookup_pool_run(struct lookup_job *jobs, size_t n, const struct lookup_pool_options *options);

/**
 * Begin a batch of one look-up and do its work, with others' help where there is enough of it.
 *
 * Return: as lookup_begin().
 */
int lookup_work_together(struct lookup *lookup, const uint64_t *svmas, size_t n_svmas,
			 struct cp_err *err);

#endif
