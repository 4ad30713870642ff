/*
 * report.h - the hotspot report: who uses the time, by function, line, file, module, thread or
 * process; and in profiles of waiting by what threads did, and by the locks they waited for.
 *
 * A row's self value counts the samples whose innermost frame it is (inlined code belongs to the
 * inlined function and its line); its total counts the samples in whose stack it appears, once each
 * however often it recurs.
 *
 * Depends on: base, profile, frames.h, quality.h, jansson. Threads: any.
 */
#ifndef CPROF_OUTPUT_REPORT_H
#define CPROF_OUTPUT_REPORT_H

#include "base/err.h"
#include "profile/profile.h"

#include <stdio.h>

enum report_format { REPORT_TEXT, REPORT_JSON, REPORT_MARKDOWN };
enum report_by {
	REPORT_BY_FUNCTION,
	REPORT_BY_LINE,
	REPORT_BY_FILE,
	REPORT_BY_MODULE,
	REPORT_BY_THREAD,
	REPORT_BY_PROCESS, /* by name: processes of one name are one row */
	REPORT_BY_STATE,   /* running, waiting for a CPU, for a lock, ... */
	REPORT_BY_LOCK,    /* locks that were waited for, with the waiters' stacks */
};
enum report_sort { REPORT_SORT_SELF, REPORT_SORT_TOTAL };

struct report_options {
	enum report_format format;
	enum report_by by;
	enum report_sort sort;
	size_t limit;        /* rows; 0 = all */
	const char *focus;   /* extended regex: only samples with a matching frame; NULL = all */
	const char *ignore;  /* extended regex: no samples with a matching frame; NULL = none */
	const char *path;    /* of the profile, for the heading; NULL = unnamed */
	uint64_t torn_bytes; /* pprof_load_info's, for the quality line */
	bool colour;         /* ANSI colours in text */
	bool summary;   /* the short form that `record` ends with: hot functions, no long heading */
	unsigned width; /* of text, in columns; 0 = unlimited */
	bool *none_left; /* set: whether focus and ignore left no sample; may be NULL */
};

/** Rows about places in the code: by function, line, file, module. */
static inline bool report_is_of_code(enum report_by by)
{
	return by <= REPORT_BY_MODULE;
}

/**
 * Write a report.
 *
 * Return: 0; -EINVAL: a regular expression is wrong (message); -ENODATA: the profile holds no
 *         samples, or by state or lock none that say so (message with what to check); -EIO when
 *         writing failed; -ENOMEM.
 */
int report_write(const struct profile *profile, const struct report_options *options, FILE *out,
		 struct cp_err *err);

#endif
