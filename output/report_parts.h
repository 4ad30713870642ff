/*
 * report_parts.h - what the forms of the hotspot report share: the data and the sentences.
 *
 * Depends on: base, profile, hotspots.h, quality.h, report.h, strbuf.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_REPORT_PARTS_H
#define CPROF_OUTPUT_REPORT_PARTS_H

#include "hotspots.h"
#include "quality.h"
#include "report.h"
#include "strbuf.h"
#include "wait_rows.h"

#include <stdio.h>

struct report {
	const struct profile *profile;
	const struct report_options *options;
	const struct hotspots *hotspots;
	const struct quality *quality;
	size_t n_shown; /* rows within the limit */
	FILE *out;
};

/* The forms. Return: 0 or -ENOMEM; failed writes stay in the stream's error flag. */
int report_text(const struct report *report);
int report_json(const struct report *report);
int report_markdown(const struct report *report);

/* "function", "functions", ... */
const char *report_noun(enum report_by by, size_t count);

/* The thread of a row: "redis-server/bio_lazy_free", or one name when both are the same. */
void report_add_thread(const struct report *report, const struct hotspot *row, struct strbuf *to);
/* The processes of a row: "pid 4711", "1,003 processes"; "" when unknown. */
void report_add_processes(const struct hotspot *row, struct strbuf *to);
/* What was measured: "redis-server (pid 4711)". Printable, of limited length. */
void report_add_target(const struct report *report, struct strbuf *to);
/* How: "2026-01-05 10:20:03 UTC, 10.0 s at 999 Hz, cpu-clock (...)". May be "". */
void report_add_method(const struct report *report, struct strbuf *to);
/* How much: "9,874 samples, 9.88 s CPU on 4 threads of 1 process; kernel frames included". */
void report_add_amount(const struct report *report, struct strbuf *to);
/* What focus and ignore left; "" without them. */
void report_add_selection(const struct report *report, struct strbuf *to);
/* What the limit left out: "0.3 % in 41 more functions"; "" when nothing. */
void report_add_rest(const struct report *report, struct strbuf *to);
/* "99.2 % complete stacks (97.1 % without joined ones), 98.7 % symbolized, ..., 0 lost". */
void report_add_quality(const struct report *report, struct strbuf *to);
/* As cp_format_pct(). */
void report_add_pct(struct strbuf *to, double pct);
/* An amount as the rows show it: "5.94" (seconds), "1,234" (samples), "1.5 MiB". */
void report_add_value(const struct report *report, struct strbuf *to, struct amount amount);
/* How many samples that are, or waits: "1,234 waits". */
void report_add_number(const struct report *report, struct strbuf *to, struct amount amount);
/* What a lock's row says beside its address: "app (pid 123), 4 threads, 1,234 waits". */
void report_add_waiters(const struct report *report, const struct hotspot *row, struct strbuf *to);
/* One stack of waiters, on one line: "0.800 s  lock < take < work < main". */
void report_add_wait_stack(const struct report *report, const struct lock_stack *stack,
			   struct strbuf *to);
/* What that is, for the head of its column: "s", "samples", "inuse_space". Not yet printable. */
const char *report_unit(const struct report *report);

/*
 * The remarks under the quality line, worst first, one call each. Printable; after a newline, if
 * there is one, comes a command to copy.
 */
void report_each_remark(const struct report *report, struct strbuf *scratch,
			void (*remark)(void *ctx, const char *text), void *ctx);

/* Of these, what stopping threads has cost, and what happened to them; nothing of other engines. */
void report_each_cost(const struct report *report, struct strbuf *scratch,
		      void (*remark)(void *ctx, const char *text), void *ctx);

#endif
