/* What the forms of the report say about waiting, beside the numbers. */
#include "report_parts.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Of a waiter's stack: who waits shows in the inner frames. JSON has all of them. */
enum { MAX_STACK_FRAMES = 10 };

static void add_count(struct strbuf *to, uint64_t count, const char *one, const char *many)
{
	char text[CP_TEXT_MAX];
	strbuf_addf(to, "%s %s", cp_format_count(count, text), count == 1 ? one : many);
}

void report_add_number(const struct report *report, struct strbuf *to, struct amount amount)
{
	const uint64_t count = amount.count > 0 ? (uint64_t)amount.count : 0;
	/* of a wall clock they are looks at a thread, of off-CPU time what it says */
	if (strcmp(report->hotspots->measure.type, "off_cpu") == 0)
		add_count(to, count, "wait", "waits");
	else
		add_count(to, count, "sample", "samples");
}

void report_add_waiters(const struct report *report, const struct hotspot *row, struct strbuf *to)
{
	strbuf_add_printable(to, row->comm[0] ? row->comm : PROFILE_PATH_UNKNOWN);
	if (row->pid)
		strbuf_addf(to, " (pid %u)", row->pid);
	strbuf_add(to, ", ");
	add_count(to, row->n_threads, "thread", "threads");
	strbuf_add(to, ", ");
	report_add_number(report, to, row->self);
}

void report_add_wait_stack(const struct report *report, const struct lock_stack *stack,
			   struct strbuf *to)
{
	const struct frames *frames = report->hotspots->frames;
	frame_id *ids = NULL;
	size_t cap = 0;
	const long n = frames_of_stack(frames, stack->stack, &ids, &cap);
	report_add_value(report, to, stack->amount);
	strbuf_addf(to, " %s  ", report_unit(report));
	for (long i = 0; i < n && i < MAX_STACK_FRAMES; i++) {
		strbuf_add(to, i ? " < " : "");
		strbuf_add_printable(to, frames_text(frames, frames_get(frames, ids[i])->name));
	}
	if (n > MAX_STACK_FRAMES)
		strbuf_add(to, " < ...");
	else if (n == 0)
		strbuf_add(to, PROFILE_PATH_UNKNOWN);
	to->failed = to->failed || n < 0;
	free(ids);
}
