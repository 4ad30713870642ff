/* The remarks on what stopping threads has cost the target, and what happened to its threads. */
#include "report_parts.h"

#include "base/text.h"
#include "profile/header_keys.h"

#include <string.h>

/* Threads end between two looks: some milliseconds of each. */
#define NOTABLE_UNSEEN_NS UINT64_C(100000000)

struct costs {
	const struct report *report;
	const struct profile *profile;
	struct strbuf *text;
	void (*give)(void *ctx, const char *text);
	void *ctx;
};

static uint64_t number(const struct costs *costs, const char *key)
{
	return profile_header_u64(costs->profile, key, 0);
}

static void give(struct costs *costs)
{
	costs->give(costs->ctx, strbuf_text(costs->text));
	strbuf_clear(costs->text);
}

static void add_duration(struct costs *costs, const char *before, const char *key)
{
	char text[CP_TEXT_MAX];
	strbuf_addf(costs->text, "%s%s", before, cp_format_duration(number(costs, key), text));
}

static void add_share(struct costs *costs, const char *before, double share, const char *after)
{
	char text[CP_TEXT_MAX];
	strbuf_addf(costs->text, "%s%s%s", before, cp_format_pct(share * 100, text), after);
}

/* What stood still, and for how long. */
static void cost_of_pauses(struct costs *costs)
{
	const uint64_t n = number(costs, HEADER_PAUSES),
		       beyond = number(costs, HEADER_PAUSES_BEYOND);
	const double cpu_ns = (double)(number(costs, HEADER_TARGET_USER_NS) +
				       number(costs, HEADER_TARGET_SYSTEM_NS));
	const double paused_ns = (double)number(costs, HEADER_PAUSE_TOTAL_NS);
	char text[CP_TEXT_MAX];
	strbuf_addf(costs->text, "threads were stopped %s time%s, one at a time",
		    cp_format_count(n, text), n == 1 ? "" : "s");
	if (n == 0) {
		give(costs);
		return;
	}
	add_duration(costs, ": for ", HEADER_PAUSE_P50_NS);
	add_duration(costs, " at p50, ", HEADER_PAUSE_P99_NS);
	add_duration(costs, " at p99, ", HEADER_PAUSE_LONGEST_NS);
	add_duration(costs, " at most, ", HEADER_PAUSE_TOTAL_NS);
	strbuf_add(costs->text, " in all");
	if (cpu_ns > 0)
		add_share(costs, " (", paused_ns / (cpu_ns + paused_ns), " of the time they ran)");
	if (beyond) {
		strbuf_addf(costs->text, "; %s longer than the ", cp_format_count(beyond, text));
		add_duration(costs, "", HEADER_MAX_PAUSE_NS);
		strbuf_add(costs->text, " of --max-pause");
	}
	give(costs);
}

/* Samples of threads that run are left out there, so their rate says nothing. */
static bool is_off_cpu(const struct costs *costs)
{
	const char *mode = profile_header_get(costs->profile, HEADER_MODE);
	return mode && strcmp(mode, "offcpu") == 0;
}

/* The rate, and what cprof took for it. */
static void cost_of_sampling(struct costs *costs)
{
	const struct profile *profile = costs->profile;
	const double limit = (double)number(costs, HEADER_MAX_OVERHEAD_PPM) / 1e6;
	const uint64_t cpus = number(costs, HEADER_CPUS);
	const double all_ns = (double)profile->duration_ns * (double)cpus;
	char asked[CP_TEXT_MAX], achieved[CP_TEXT_MAX];
	if (profile->duration_ns <= 0 || cpus == 0)
		return;
	if (!is_off_cpu(costs))
		strbuf_addf(costs->text, "%s samples a second of CPU time, %s asked for; ",
			    cp_format_count(number(costs, HEADER_RATE_ACHIEVED_HZ), achieved),
			    cp_format_count(number(costs, HEADER_RATE_HZ), asked));
	add_share(costs, "cprof used ", (double)number(costs, HEADER_RECORDER_CPU_NS) / all_ns,
		  " of ");
	strbuf_addf(costs->text, "%llu CPU%s", (unsigned long long)cpus, cpus == 1 ? "" : "s");
	if (limit < 1)
		add_share(costs, " (--max-overhead ", limit, ")");
	give(costs);
}

/* What is in no sample, or seldom in one. */
static void cost_of_rarity(struct costs *costs)
{
	const uint64_t looks = number(costs, HEADER_RUN_LOOKS),
		       left_out = number(costs, HEADER_RUN_LOOKS_LEFT_OUT);
	const uint64_t unsampled_ns = number(costs, HEADER_CPU_UNSAMPLED_NS);
	char text[CP_TEXT_MAX];
	if (left_out > looks / 9) {
		add_share(costs, "a round looked at ", (double)looks / (double)(looks + left_out),
			  " of the threads, as many as there is time for, in turn: those that run "
			  "are sampled as much more seldom; their time counts in full");
		give(costs);
	}
	if (unsampled_ns > NOTABLE_UNSEEN_NS && !is_off_cpu(costs)) {
		strbuf_addf(
			costs->text,
			"%s of CPU time is in no sample: of threads that ended before they were "
			"met running, and after the last sample of others",
			cp_format_duration(unsampled_ns, text));
		give(costs);
	}
}

static void cost_counted(struct costs *costs, const char *key, const char *one, const char *many)
{
	const uint64_t n = number(costs, key);
	char text[CP_TEXT_MAX];
	if (n == 0)
		return;
	strbuf_addf(costs->text, "%s %s", cp_format_count(n, text), n == 1 ? one : many);
	give(costs);
}

/* How often waiting threads were looked at, and what was not seen of them. */
static void cost_of_looks(struct costs *costs)
{
	const double asked_hz = (double)number(costs, HEADER_RATE_HZ);
	const double hz = (double)number(costs, HEADER_WALL_RATE_MHZ) / 1000;
	char text[CP_TEXT_MAX];
	if (!profile_header_get(costs->profile, HEADER_WALL_LOOKS))
		return;
	if (hz < asked_hz * 0.9) {
		strbuf_addf(costs->text,
			    "each thread was looked at %.*f times a second, %.0f asked for: more "
			    "would take more of the CPUs than it may (--max-overhead); its time "
			    "counts in full",
			    hz < 10 ? 1 : 0, hz, asked_hz);
		give(costs);
	}
	cost_counted(costs, HEADER_WALL_FP_UNKNOWN,
		     "stack of a waiting thread ends where a register is needed that nothing told",
		     "stacks of waiting threads end where a register is needed that nothing told");
	cost_counted(costs, HEADER_WALL_REFUSED,
		     "look at a waiting thread was refused: record as root, or as the same user",
		     "looks at waiting threads were refused: record as root, or as the same user");
	cost_counted(costs, HEADER_WALL_DROPPED,
		     "sample of a waiting thread was dropped for want of memory",
		     "samples of waiting threads were dropped for want of memory");
	const uint64_t unseen_ns = number(costs, HEADER_WALL_UNSEEN_NS);
	if (unseen_ns > NOTABLE_UNSEEN_NS) {
		strbuf_addf(costs->text,
			    "%s of the threads' time is in no sample: between the last look at "
			    "them and their end",
			    cp_format_duration(unseen_ns, text));
		give(costs);
	}
}

void report_each_cost(const struct report *report, struct strbuf *scratch,
		      void (*remark)(void *ctx, const char *text), void *ctx)
{
	struct costs costs = {report, report->profile, scratch, remark, ctx};
	cost_of_looks(&costs);
	if (!profile_header_get(report->profile, HEADER_PAUSES))
		return;
	cost_of_pauses(&costs);
	cost_of_sampling(&costs);
	cost_of_rarity(&costs);
	cost_counted(&costs, HEADER_EINTR_REWOUND,
		     "system call that a stop had woken was entered once more, its timeout anew",
		     "system calls that a stop had woken were entered once more, their timeouts "
		     "anew");
	cost_counted(&costs, HEADER_EINTR_LEFT, "system call returned EINTR because of a stop",
		     "system calls returned EINTR because of a stop");
	cost_counted(&costs, HEADER_SHORT_WRITES,
		     "write may have been cut short by a stop: it wrote less than it was given",
		     "writes may have been cut short by a stop: they wrote less than they were "
		     "given");
	cost_counted(&costs, HEADER_STOPS_LATE,
		     "thread did not stop within 20 ms: no sample, and let go when it did",
		     "threads did not stop within 20 ms: no sample, and let go when they did");
	cost_counted(&costs, HEADER_STOPS_LEFT_OUT,
		     "sample was left out while a thread of its process did not stop, or a round "
		     "took long",
		     "samples were left out while threads of their process did not stop, or rounds "
		     "took long");
	cost_counted(&costs, HEADER_STOPS_UNFINISHED,
		     "thread had not stopped yet when the recording ended: a system call that it "
		     "was in may have returned EINTR",
		     "threads had not stopped yet when the recording ended: system calls that they "
		     "were in may have returned EINTR");
	cost_counted(&costs, HEADER_STOPS_REFUSED,
		     "thread could not be stopped: another tracer had it, or it is not permitted",
		     "threads could not be stopped: another tracer had them, or it is not "
		     "permitted");
	cost_counted(&costs, HEADER_STOPS_OTHER,
		     "thread gave no sample: it ran 32-bit code, or its stack could not be read",
		     "threads gave no sample: they ran 32-bit code, or their stacks could not be "
		     "read");
}
