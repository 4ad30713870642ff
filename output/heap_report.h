/*
 * heap_report.h - what a heap file says: what is not freed or grows, and who allocated it.
 *
 * "Not freed" is not "leaked": a block that something still points to may be meant to live until
 * the end. The words keep the two apart.
 *
 * Depends on: base, profile, heap (the reader), report.h (formats), remedy.h, jansson. Threads:
 * any.
 */
#ifndef CPROF_OUTPUT_HEAP_REPORT_H
#define CPROF_OUTPUT_HEAP_REPORT_H

#include "base/err.h"
#include "heap/heap_reader.h"
#include "heap/heap_rss.h"
#include "heap/heap_target.h"
#include "heap_suppress.h"
#include "profile/profile.h"
#include "remedy.h"
#include "report.h"

#include <stdio.h>

enum heap_by { HEAP_BY_SITE, HEAP_BY_FUNCTION, HEAP_BY_FILE, HEAP_BY_MODULE, HEAP_BY_THREAD };
enum heap_sort { HEAP_SORT_LIVE, HEAP_SORT_PEAK, HEAP_SORT_BYTES, HEAP_SORT_CALLS };

enum heap_gate_result { HEAP_GATE_NONE, HEAP_GATE_PASS, HEAP_GATE_FAIL, HEAP_GATE_UNKNOWN };

/* Everything that is known; all but the rules is only read. */
struct heap_input {
	const struct heap_snapshot *snapshot;
	const struct heap_target *target;
	const char *path;
	const struct profile *profile; /* of its stacks, symbolized */
	const stack_id *stacks;        /* by site */
	const struct heap_rss *rss;    /* NULL = unknown ... */
	const char *rss_unknown;       /* ... for this reason */
	/* an earlier copy of the same process's file; NULL = none */
	const struct heap_snapshot *since;
	const struct heap_target *since_target;
	const char *since_path;
	struct heap_suppressions *rules;
	const struct remedy_source *remedies; /* for missing names; NULL = none are looked for */
};

struct heap_report_options {
	enum report_format format;
	enum heap_by by;
	enum heap_sort sort;
	size_t limit; /* rows; 0 = all */
	uint64_t min_age_ns;
	bool fail_on_unfreed;
	uint64_t unfreed_bytes; /* the gate fails above it */
	bool fail_on_growth;
	double growth_per_hour; /* bytes; the gate fails above it */
	bool summary;           /* the short form that `heap run` ends with */
	bool colour;            /* ANSI colours in text */
	unsigned width;         /* of text, in columns; 0 = unlimited */
};

/**
 * Write a report.
 *
 * @gate: what the gates asked for say together; FAIL wins over UNKNOWN, UNKNOWN over PASS
 * Return: 0; -EINVAL: the earlier copy is of another process (message); -EIO; -ENOMEM.
 */
int heap_report_write(const struct heap_input *input, const struct heap_report_options *options,
		      FILE *out, enum heap_gate_result *gate, struct cp_err *err);

#endif
