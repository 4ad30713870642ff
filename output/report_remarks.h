/*
 * report_remarks.h - a remark under the quality line while it is being made.
 *
 * Depends on: report_parts.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_REPORT_REMARKS_H
#define CPROF_OUTPUT_REPORT_REMARKS_H

#include "report_parts.h"

struct remarks {
	const struct report *report;
	struct strbuf *text; /* of the one being made */
	void (*give)(void *ctx, const char *text);
	void *ctx;
};

/** The remark is whole. */
static inline void remarks_give(struct remarks *remarks)
{
	remarks->give(remarks->ctx, strbuf_text(remarks->text));
	strbuf_clear(remarks->text);
}

/* Of profiles of waiting; none of others. */
void report_remark_inferred(struct remarks *remarks);
void report_remark_off_cpu(struct remarks *remarks);
/** Return: true when records of switches are what was lost, and that was remarked. */
bool report_remark_lost_switches(struct remarks *remarks);

#endif
