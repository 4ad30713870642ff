/* What the forms of the report say about waiting, beside the numbers. */
#include "report_remarks.h"

#include "base/text.h"
#include "profile/header_keys.h"

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
	const char *durations = profile_header_get(report->profile, HEADER_OFF_CPU_DURATIONS);
	/* where they are sampled, they are looks at a thread */
	const bool sampled = durations && strcmp(durations, HEADER_OFF_CPU_SAMPLED) == 0;
	if (strcmp(report->hotspots->measure.type, "off_cpu") == 0 && !sampled)
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

void report_remark_inferred(struct remarks *remarks)
{
	static const char *const sources[CP_INFERRED_COUNT] = {
		[CP_INFERRED_FRAMES] = "callers were searched for on the stack, as a register of a "
				       "waiting thread was not known",
		[CP_INFERRED_WAIT] = "of waits too short to be looked at, and of waiting for a "
				     "CPU, it is another one of the thread",
	};
	const struct quality *quality = remarks->report->quality;
	const char *between = " of the time has an inferred stack: ";
	if (quality->inferred_pct <= 0)
		return;
	report_add_pct(remarks->text, quality->inferred_pct);
	for (int i = CP_INFERRED_NO + 1; i < CP_INFERRED_COUNT; i++) {
		if (quality->inferred[i] <= 0)
			continue;
		strbuf_addf(remarks->text, "%s%s (", between, sources[i]);
		report_add_pct(remarks->text, amount_pct(quality->inferred[i], quality->samples));
		strbuf_add(remarks->text, ")");
		between = "; ";
	}
	remarks_give(remarks);
}

/* Of switches there are as many as there are, whatever the rate; each is one end of a wait. */
bool report_remark_lost_switches(struct remarks *remarks)
{
	const struct profile *profile = remarks->report->profile;
	const char *durations = profile_header_get(profile, HEADER_OFF_CPU_DURATIONS);
	if (!durations || strcmp(durations, HEADER_OFF_CPU_EXACT) != 0)
		return false;
	add_count(remarks->text, remarks->report->quality->lost, "record of a switch was",
		  "records of switches were");
	strbuf_add(remarks->text, " lost, and with them the waits around: the kernel's buffers "
				  "were full");
	if (profile_header_get(profile, HEADER_BUFFERS_LIMITED))
		strbuf_add(remarks->text, "; raise kernel.perf_event_mlock_kb");
	remarks_give(remarks);
	return true;
}

/* What happened to some of the waits. */
static void remark_count(struct remarks *remarks, const char *key, const char *one,
			 const char *many, const char *why)
{
	const uint64_t n = profile_header_u64(remarks->report->profile, key, 0);
	if (n == 0)
		return;
	add_count(remarks->text, n, one, many);
	strbuf_add(remarks->text, why);
	remarks_give(remarks);
}

/* How durations are known, and what is not in them. */
void report_remark_off_cpu(struct remarks *remarks)
{
	const struct profile *profile = remarks->report->profile;
	const char *durations = profile_header_get(profile, HEADER_OFF_CPU_DURATIONS);
	const uint64_t wait_ns = profile_header_u64(profile, HEADER_OFF_CPU_WAIT_NS, 0);
	const uint64_t seen_ns = profile_header_u64(profile, HEADER_OFF_CPU_SEEN_NS, 0);
	if (!durations)
		return;
	if (strcmp(durations, HEADER_OFF_CPU_SAMPLED) == 0) {
		strbuf_add(remarks->text,
			   "durations are sampled, as the kernel's records of switches may not be "
			   "had here: waiting threads were looked at, and the scheduler's "
			   "statistics tell how long threads waited for a CPU");
		remarks_give(remarks);
		return;
	}
	strbuf_add(remarks->text, "durations are exact, from the kernel's records of switches");
	if (wait_ns) {
		strbuf_add(remarks->text, "; ");
		report_add_pct(remarks->text, 100.0 * (double)seen_ns / (double)wait_ns);
		strbuf_add(remarks->text, " of the time waited for something has the stack that "
					  "was taken in that wait");
	}
	remarks_give(remarks);
	remark_count(remarks, HEADER_OFF_CPU_BROKEN, "wait is", "waits are",
		     " missing: the record of the beginning or the end was lost");
	remark_count(remarks, HEADER_OFF_CPU_DROPPED, "wait was", "waits were",
		     " dropped by the recorder: out of memory, or of a thread that was gone");
	remark_count(remarks, HEADER_OFF_CPU_REFUSED, "thread", "threads",
		     " may not be looked at: their waits have no stacks; record as root, or as the "
		     "same user with kernel.yama.ptrace_scope=0");
}
