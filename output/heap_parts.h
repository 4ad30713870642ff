/*
 * heap_parts.h - what the forms of the heap report share: the verdict and its sentences.
 *
 * Depends on: base, heap_analysis.h, heap_gates.h, heap_missing.h, strbuf.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_HEAP_PARTS_H
#define CPROF_OUTPUT_HEAP_PARTS_H

#include "base/text.h"
#include "heap_analysis.h"
#include "heap_gates.h"
#include "heap_missing.h"
#include "strbuf.h"

#include <stdio.h>

struct heap_report {
	struct heap_analysis *analysis;
	const struct heap_input *input;
	const struct heap_report_options *options;
	struct heap_missing_list missing;
	struct heap_gate gates[HEAP_GATES_MAX];
	size_t n_gates;
	size_t n_shown; /* rows within the limit */
	FILE *out;
};

/* The forms. Return: 0 or -ENOMEM; failed writes stay in the stream's error flag. */
int heap_text(const struct heap_report *report);
int heap_json(const struct heap_report *report);
int heap_markdown(const struct heap_report *report);

enum heap_verdict {
	HEAP_VERDICT_CLEAN,   /* it ended, and freed everything that counts */
	HEAP_VERDICT_UNFREED, /* it ended, and did not */
	HEAP_VERDICT_GROWING,
	HEAP_VERDICT_LIVE,    /* it runs: live blocks are no leak */
	HEAP_VERDICT_UNKNOWN, /* nothing was recorded */
};

enum heap_verdict heap_verdict_of(const struct heap_analysis *analysis);
const char *heap_verdict_name(enum heap_verdict verdict);

/* The verdict in a sentence or two. */
void heap_add_verdict(const struct heap_analysis *analysis, struct strbuf *to);
/* What "not freed" does and does not say; "" where it needs no saying. */
const char *heap_verdict_caution(const struct heap_analysis *analysis);

/* "1.2 MiB"; in sampled mode "1.2 MiB +-5 %". */
void heap_add_bytes(struct strbuf *to, double bytes, double variance);
void heap_add_count(struct strbuf *to, double count);
/* " +-5 %": half of the 95 % interval; nothing for what is exact. */
void heap_add_error(struct strbuf *to, double value, double variance);
/* "28 sampled, blocks +-37 %", and @calls: ", calls +-30 %" */
void heap_add_sampled(struct strbuf *to, const struct heap_row *row, bool calls);
/* "+1.2 MiB/h [1.1, 1.3]", and ", mean +3.0 MiB/h" where that is another */
void heap_add_rate(struct strbuf *to, const struct heap_growth *growth);
/* As cp_format_duration(), but no finer than the recorder's clock. */
const char *heap_format_age(uint64_t ns, char text[CP_TEXT_MAX]);
/* "redis-server *:6379 (pid 4711)" */
void heap_add_target(const struct heap_report *report, struct strbuf *to);
/* "exact, running for 2 m 3 s" */
void heap_add_method(const struct heap_report *report, struct strbuf *to);
/* "src/a.c:12", "[libfoo.so]"; "" when unknown. Not shortened. */
void heap_add_place(const struct heap_row *row, struct strbuf *to);
/* "; by xmalloc; called by parse_line < main": what the one in charge calls, and who calls that. */
int heap_add_chain(struct heap_analysis *analysis, const struct heap_row *row, struct strbuf *to);

/* Sentences under the numbers: what was taken out, how complete, what was lost. */
void heap_each_remark(const struct heap_report *report, struct strbuf *scratch,
		      void (*remark)(void *ctx, const char *text), void *ctx);

/* Frames of all stacks that allocated, by how much is known of them. */
struct heap_coverage {
	size_t sites, complete, by_fp;
	size_t truncated, no_cfi, unsupported, bad;
	size_t frames, symbolized, with_lines;
};

int heap_coverage_count(struct heap_analysis *analysis, struct heap_coverage *out);

#endif
