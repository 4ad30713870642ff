/*
 * thread_filter.h - the threads of a profile that a regular expression selects.
 *
 * Depends on: base, profile. Threads: any.
 */
#ifndef CPROF_OUTPUT_THREAD_FILTER_H
#define CPROF_OUTPUT_THREAD_FILTER_H

#include "base/err.h"
#include "profile/profile.h"

/**
 * Which threads are wanted.
 *
 * @thread_re: extended regular expression, searched in the comm and in the thread's name;
 *             NULL = all
 * @out:       by thread id; to be freed by the caller
 * Return: 0; -EINVAL: wrong expression; -ENOMEM; with a message.
 */
int thread_filter_match(const struct profile *profile, const char *thread_re, bool **out,
			struct cp_err *err);

/** Say that @thread_re selected no sample, and what there is to select. Return: -ENODATA. */
int thread_filter_fail(const struct profile *profile, const char *thread_re, struct cp_err *err);

#endif
