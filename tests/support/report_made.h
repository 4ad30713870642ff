/*
 * report_made.h - the report of a profile, and what is to be in it.
 *
 * Depends on: output, cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_REPORT_MADE_H
#define CPROF_TESTS_REPORT_MADE_H

#include "output/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** The report, or the message when it fails with @code as it should; the caller frees it. */
static inline char *report_made_with(const struct profile *profile,
				     const struct report_options *options, int code)
{
	struct cp_err err = {""};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	const int rc = report_write(profile, options, out, &err);
	assert_int_equal(fclose(out), 0);
	if (rc != code)
		fail_msg("%d: %s", rc, err.message);
	if (code == 0)
		return text;
	free(text);
	return strdup(err.message);
}

static inline char *report_made(const struct profile *profile, const struct report_options *options)
{
	return report_made_with(profile, options, 0);
}

static inline void expect_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

static inline void expect_no_part(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' is in:\n%s", part, text);
}

#endif
