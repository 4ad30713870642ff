/* The remarks under the quality line: what is missing, why, and what to do about it. */
#include "report_remarks.h"

#include "base/text.h"
#include "profile/header_keys.h"

#include <inttypes.h>
#include <string.h>

/* Below this share of frames found without unwind information, nobody needs to know. */
static const double notable_fp_pct = 1;
/* Above this share of truncated stacks, totals mislead. */
static const double notable_cut_pct = 1;
/* From this share on, where the kernel's samples fall matters. */
static const double notable_kernel_pct = 5;
enum { SUMMARY_MODULES = 3 };

static void add_seconds(struct strbuf *to, uint64_t ns)
{
	strbuf_addf(to, "%.2f s", (double)ns / 1e9);
}

static void add_counted(struct strbuf *to, uint64_t count, const char *one, const char *many)
{
	char text[CP_TEXT_MAX];
	strbuf_addf(to, "%s %s", cp_format_count(count, text), count == 1 ? one : many);
}

static void remark_file(struct remarks *remarks)
{
	const struct report *report = remarks->report;
	const char *state = profile_header_get(report->profile, HEADER_STATE);
	if (report->options->torn_bytes) {
		strbuf_add(remarks->text, "the file ends inside an append: its last ");
		add_counted(remarks->text, report->options->torn_bytes, "byte was", "bytes were");
		strbuf_add(remarks->text, " dropped, what was recorded since the append before");
		remarks_give(remarks);
	}
	if (state && strcmp(state, "recording") == 0) {
		strbuf_add(remarks->text, "the recording is still running or was killed: what it "
					  "wrote until then is complete");
		remarks_give(remarks);
	}
}

static void remark_invisible(struct remarks *remarks)
{
	const struct quality *quality = remarks->report->quality;
	struct strbuf *text = remarks->text;
	if (!quality->invisible_cpu_ns)
		return;
	strbuf_add(text, "kernel time is not visible here (perf_event_paranoid without "
			 "privileges): ");
	add_seconds(text, quality->invisible_cpu_ns);
	strbuf_add(text, " of ");
	add_seconds(text, quality->target_cpu_ns);
	strbuf_add(text, " CPU were not sampled; run as root or set kernel.perf_event_paranoid=1");
	remarks_give(remarks);
}

static void remark_coverage(struct remarks *remarks)
{
	const struct quality *quality = remarks->report->quality;
	if (remarks->report->options->summary || quality->target_cpu_ns == 0 ||
	    quality->sampled_cpu_ns == 0 || quality->invisible_cpu_ns)
		return;
	strbuf_add(remarks->text, "CPU time covered: ");
	add_seconds(remarks->text, quality->sampled_cpu_ns);
	strbuf_add(remarks->text, " of ");
	add_seconds(remarks->text, quality->target_cpu_ns);
	strbuf_add(remarks->text,
		   profile_header_get(remarks->report->profile, HEADER_SYSTEM_WIDE)
			   ? " used on the machine, interrupts of idle CPUs included (/proc/stat)"
			   : " used by the target");
	remarks_give(remarks);
}

/* "12,345 samples were lost (11.0 %)", as far as they were the target's. */
static void add_lost(struct strbuf *to, const struct quality *quality)
{
	if (quality->lost_of_cpus)
		strbuf_add(to, "up to ");
	add_counted(to, quality->lost, "sample was", "samples were");
	strbuf_add(to, " lost");
	if (!quality->lost_of_cpus) {
		strbuf_add(to, " (");
		report_add_pct(to, quality->lost_pct);
		strbuf_add(to, ")");
		return;
	}
	strbuf_add(to, ", those of other programs on the same CPUs included");
	if (quality->target_cpu_ns && quality->sampled_cpu_ns) {
		strbuf_add(to, "; CPU time of the target not covered: ");
		add_seconds(to, quality->uncovered_cpu_ns);
	}
	strbuf_add(to, " (at most ");
	report_add_pct(to, quality->lost_pct);
	strbuf_add(to, " of its samples)");
}

static void remark_losses(struct remarks *remarks)
{
	const struct profile *profile = remarks->report->profile;
	const struct quality *quality = remarks->report->quality;
	struct strbuf *text = remarks->text;
	const bool limited = profile_header_get(profile, HEADER_BUFFERS_LIMITED) != NULL;
	if (quality->lost && !report_remark_lost_switches(remarks)) {
		add_lost(text, quality);
		/* all of the target's time was seen: there is nothing to be done for it */
		const bool of_others = quality->lost_of_cpus && quality->target_cpu_ns &&
				       quality->sampled_cpu_ns && quality->uncovered_cpu_ns == 0;
		strbuf_add(text, of_others
					 ? ": the kernel's buffers were full of others"
					 : ": the kernel's buffers were full; lower the rate (-F)");
		if (limited && !of_others)
			strbuf_add(text, ", or raise kernel.perf_event_mlock_kb");
		remarks_give(remarks);
	}
	if (quality->throttled) {
		strbuf_add(text, "the kernel paused sampling ");
		add_counted(text, quality->throttled, "time", "times");
		strbuf_add(text, ": lower the rate (-F), or raise "
				 "kernel.perf_cpu_time_max_percent");
		remarks_give(remarks);
	}
	if (quality->untracked) {
		add_counted(text, quality->untracked, "sample", "samples");
		strbuf_add(text, " dropped by the recorder: out of memory, or a damaged record");
		remarks_give(remarks);
	}
}

/* "truncated, most in libfoo.so (0.9 %)": where there are several, or a library to look at. */
static void add_where_it_ended(struct strbuf *to, const struct quality *quality, enum cp_stop stop)
{
	for (size_t i = 0; i < quality->n_ends; i++) {
		const struct quality_end *end = &quality->ends[i];
		if (end->stop != stop)
			continue;
		const char *slash = strrchr(end->path, '/');
		strbuf_add(to, ", most in ");
		strbuf_add_printable(to, slash && slash[1] ? slash + 1 : end->path);
		strbuf_add(to, " (");
		report_add_pct(to, end->share_pct);
		strbuf_add(to, ")");
		return;
	}
}

/* Why most of the cut stacks could not be completed. */
static void add_why_not_joined(struct strbuf *to, const struct profile *profile)
{
	static const struct {
		const char *key, *text;
	} reasons[] = {
		{HEADER_JOIN_FAILED_PREFIX "unsettled",
		 "memory was not believed, as the thread's outer frames change, or were not seen "
		 "often enough yet"},
		{HEADER_JOIN_FAILED_PREFIX "changed",
		 "the thread had moved on when its memory was read"},
		{HEADER_JOIN_FAILED_PREFIX "gone",
		 "the process had ended before its memory was read"},
		{HEADER_JOIN_FAILED_PREFIX "refused",
		 "its memory may not be read: record as root, or as the same user with "
		 "kernel.yama.ptrace_scope=0"},
		{HEADER_JOIN_FAILED_PREFIX "no_root", "no way to the root was found in memory"},
		{HEADER_JOIN_FAILED_PREFIX "not_present",
		 "the stack leads into a page that is not in memory"},
		{HEADER_JOIN_FAILED_PREFIX "too_deep", "deeper than cprof follows (1 MB)"},
		{HEADER_JOIN_FAILED_PREFIX "too_costly",
		 "to follow them all would have taken more than 4% of a CPU"},
	};
	const char *most = NULL;
	uint64_t n_most = 0;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		uint64_t n = profile_header_u64(profile, reasons[i].key, 0);
		if (n > n_most) {
			n_most = n;
			most = reasons[i].text;
		}
	}
	if (most)
		strbuf_addf(to, "; %s", most);
}

static void remark_joins(struct remarks *remarks)
{
	static const char *const sources[CP_JOINED_COUNT] = {
		[CP_JOINED_MEMORY] = "memory read later",
		[CP_JOINED_CALLCHAIN] = "the thread's stack before",
		[CP_JOINED_FRAME_POINTERS] =
			"the goroutine's frame pointers, which miss the one that changed stacks",
	};
	const struct quality *quality = remarks->report->quality;
	const char *between = " of stacks joined: beyond the part that was copied, their outer "
			      "frames are from ";
	if (quality->joined_pct <= 0)
		return;
	report_add_pct(remarks->text, quality->joined_pct);
	for (int i = CP_JOINED_NO + 1; i < CP_JOINED_COUNT; i++) {
		if (quality->joined[i] == 0)
			continue;
		strbuf_addf(remarks->text, "%s%s (", between, sources[i]);
		report_add_pct(remarks->text, amount_pct(quality->joined[i], quality->samples));
		strbuf_add(remarks->text, ")");
		between = ", ";
	}
	remarks_give(remarks);
}

/* How much of the stack there was to walk. */
static void add_dumps(struct remarks *remarks)
{
	const struct profile *profile = remarks->report->profile;
	uint64_t least = profile_header_u64(profile, HEADER_DUMP_BYTES_MIN, 0);
	uint64_t most = profile_header_u64(profile, HEADER_DUMP_BYTES_MAX, 0);
	uint64_t pressed = profile_header_u64(profile, HEADER_DUMP_PRESSED, 0);
	if (most == 0)
		return;
	strbuf_add(remarks->text, " (copied: ");
	if (least < most)
		strbuf_addf(remarks->text, "%" PRIu64 " to ", (least + 1023) / 1024);
	strbuf_addf(remarks->text, "%" PRIu64 " KB a sample", (most + 1023) / 1024);
	if (pressed) {
		strbuf_add(remarks->text, "; less after cprof came late, ");
		add_counted(remarks->text, pressed, "time", "times");
	}
	strbuf_add(remarks->text, ")");
}

static const char other_stack[] =
	"another stack, which was not copied: below a signal's handler (sigaltstack), or where "
	"Go's runtime works on the thread's own stack";

/*
 * Why the outer part is missing: most stacks are deeper than the copy, of some another stack would
 * have been needed. How many is known of the recording, not of a part of it.
 */
static void add_why_truncated(struct remarks *remarks)
{
	const struct profile *profile = remarks->report->profile;
	const uint64_t left = profile_header_u64(profile, HEADER_LEFT_COPY, 0);
	const uint64_t all = profile_header_u64(profile, HEADER_STOP_PREFIX "truncated", 0);
	if (left && left >= all) {
		strbuf_addf(remarks->text,
			    "the stack goes on on %s; the inner frames are right, the outer ones "
			    "are missing",
			    other_stack);
	} else {
		strbuf_add(remarks->text, cp_stop_advice(CP_STOP_TRUNCATED));
		add_dumps(remarks);
	}
	add_why_not_joined(remarks->text, profile);
	if (left && left < all) {
		strbuf_add(remarks->text, "; in the whole recording ");
		add_counted(remarks->text, left, "of these stacks goes", "of these stacks go");
		strbuf_addf(remarks->text, " on on %s", other_stack);
	}
}

static void remark_stops(struct remarks *remarks)
{
	const struct quality *quality = remarks->report->quality;
	for (int i = 0; i < CP_STOP_COUNT; i++) {
		enum cp_stop stop = (enum cp_stop)i;
		if (quality->stops[i] <= 0 || cp_stop_is_complete(stop))
			continue;
		if (remarks->report->hotspots->measure.time) {
			add_seconds(remarks->text, (uint64_t)quality->stops[i]);
			strbuf_add(remarks->text, cp_stop_has_root(stop)
							  ? " in stacks too deep to show whole"
							  : " in incomplete stacks");
		} else if (cp_stop_has_root(stop)) {
			add_counted(remarks->text, (uint64_t)quality->stops[i],
				    "stack too deep to show whole",
				    "stacks too deep to show whole");
		} else {
			add_counted(remarks->text, (uint64_t)quality->stops[i], "incomplete stack",
				    "incomplete stacks");
		}
		strbuf_add(remarks->text, " (");
		report_add_pct(remarks->text, amount_pct(quality->stops[i], quality->samples));
		strbuf_addf(remarks->text, "), %s", cp_stop_name(stop));
		add_where_it_ended(remarks->text, quality, stop);
		strbuf_add(remarks->text, ": ");
		if (stop == CP_STOP_TRUNCATED)
			add_why_truncated(remarks);
		else
			strbuf_add(remarks->text, cp_stop_advice(stop));
		remarks_give(remarks);
	}
	if (quality->fp_frames_pct >= notable_fp_pct) {
		report_add_pct(remarks->text, quality->fp_frames_pct);
		strbuf_add(remarks->text, " of the frames were found by frame pointer or by the "
					  "code around, as it has no unwind information");
		remarks_give(remarks);
	}
}

/* Of which share of the samples the outer functions are unknown. */
static void remark_totals(struct remarks *remarks)
{
	const struct quality *quality = remarks->report->quality;
	const double cut_pct = amount_pct(quality->stops[CP_STOP_TRUNCATED], quality->samples);
	if (cut_pct <= notable_cut_pct)
		return;
	strbuf_add(remarks->text, "totals of outer functions are too low by up to ");
	report_add_pct(remarks->text, cut_pct);
	strbuf_add(remarks->text, ": the stacks cut before them are missing there");
	if (quality->joined_pct > 0)
		strbuf_add(remarks->text, "; which of them could be joined is no random choice, so "
					  "some functions lack more than others");
	remarks_give(remarks);
}

static void remark_kernel_clock(struct remarks *remarks)
{
	const struct quality *quality = remarks->report->quality;
	const char *event = profile_header_get(remarks->report->profile, HEADER_EVENT);
	if (remarks->report->options->summary || !event || strcmp(event, "cpu-clock") != 0 ||
	    amount_pct(quality->kernel, quality->samples) < notable_kernel_pct)
		return;
	strbuf_add(remarks->text, "cpu-clock is a timer interrupt: kernel code that runs with "
				  "interrupts off shows up where they are enabled again");
	remarks_give(remarks);
}

/* Without its first clause where the remedy says that: "build it with -g". NULL: nothing else. */
static const char *reason_to_tell(const struct quality_module *module)
{
	static const char plain[] = "no debug information";
	if (!module->reason || !module->remedy ||
	    strncmp(module->reason, plain, strlen(plain)) != 0)
		return module->reason;
	const char *more = strstr(module->reason, "; ");
	return more ? more + 2 : NULL;
}

static void add_module(struct strbuf *to, const struct quality_module *module)
{
	strbuf_add(to, !module->has_functions ? "no symbols: "
		       : !module->has_lines   ? "no line information: "
					      : "incomplete symbols: ");
	strbuf_add_printable(to, module->path);
	strbuf_add(to, " (");
	report_add_pct(to, module->share_pct);
	strbuf_add(to, ")");
	const char *reason = reason_to_tell(module);
	if (reason) {
		strbuf_add(to, ": ");
		strbuf_add_printable(to, reason);
	}
	if (module->remedy) {
		strbuf_add(to, reason ? "; " : ": ");
		strbuf_add_printable(to, module->remedy);
	}
}

static void remark_modules(struct remarks *remarks)
{
	const struct quality *quality = remarks->report->quality;
	size_t most = remarks->report->options->summary ? SUMMARY_MODULES : QUALITY_MAX_REMEDIES;
	size_t shown = 0;
	bool needs_note = false;
	double rest_pct = 0;
	for (; shown < quality->n_modules && shown < most; shown++) {
		const struct quality_module *module = &quality->modules[shown];
		if (module->share_pct < QUALITY_REMEDY_PCT)
			break;
		add_module(remarks->text, module);
		needs_note = needs_note || (module->remedy && strstr(module->remedy, "-dbgsym"));
		remarks_give(remarks);
	}
	for (size_t i = shown; i < quality->n_modules; i++)
		rest_pct += quality->modules[i].share_pct;
	if (shown < quality->n_modules) {
		add_counted(remarks->text, quality->n_modules - shown,
			    shown ? "more module" : "module", shown ? "more modules" : "modules");
		strbuf_add(remarks->text, " without debug information (");
		report_add_pct(remarks->text, rest_pct);
		strbuf_add(remarks->text, ")");
		remarks_give(remarks);
	}
	if (needs_note && quality->remedy_note) {
		strbuf_add(remarks->text, quality->remedy_note);
		if (quality->remedy_command)
			strbuf_addf(remarks->text, ":\n%s", quality->remedy_command);
		remarks_give(remarks);
		strbuf_add(remarks->text, "without packages: 'cprof symbolize ");
		strbuf_add_printable(remarks->text, remarks->report->options->path
							    ? remarks->report->options->path
							    : "FILE");
		strbuf_add(remarks->text, " --debuginfod' fetches their debug files by build-id");
		remarks_give(remarks);
	}
}

static void remark_skipped_tables(struct remarks *remarks)
{
	const uint64_t n =
		profile_header_u64(remarks->report->profile, HEADER_UNWIND_TABLES_SKIPPED, 0);
	if (n == 0)
		return;
	strbuf_addf(remarks->text,
		    "%llu binar%s not unwound by tables, which take 512 MB already: their stacks "
		    "end as no_cfi; record fewer processes at a time",
		    (unsigned long long)n, n == 1 ? "y was" : "ies were");
	remarks_give(remarks);
}

static void remark_recorder(struct remarks *remarks)
{
	const struct profile *profile = remarks->report->profile;
	uint64_t cpu_ns = profile_header_u64(profile, HEADER_RECORDER_CPU_NS, 0);
	uint64_t rss_bytes = profile_header_u64(profile, HEADER_RECORDER_PEAK_RSS_BYTES, 0);
	char text[CP_TEXT_MAX];
	if (cpu_ns == 0 || remarks->report->options->summary)
		return;
	strbuf_add(remarks->text, "recording used ");
	add_seconds(remarks->text, cpu_ns);
	strbuf_add(remarks->text, " CPU");
	if (profile->duration_ns > 0) {
		strbuf_add(remarks->text, " (");
		report_add_pct(remarks->text,
			       100.0 * (double)cpu_ns / (double)profile->duration_ns);
		strbuf_add(remarks->text, " of one core)");
	}
	if (rss_bytes)
		strbuf_addf(remarks->text, " and %s of memory", cp_format_bytes(rss_bytes, text));
	const uint64_t tables_bytes = profile_header_u64(profile, HEADER_UNWIND_TABLES_BYTES, 0);
	if (rss_bytes && tables_bytes)
		strbuf_addf(remarks->text, ", %s of it unwind tables",
			    cp_format_bytes(tables_bytes, text));
	remarks_give(remarks);
}

void report_each_remark(const struct report *report, struct strbuf *scratch,
			void (*remark)(void *ctx, const char *text), void *ctx)
{
	struct remarks remarks = {report, scratch, remark, ctx};
	strbuf_clear(scratch);
	remark_file(&remarks);
	remark_invisible(&remarks);
	remark_losses(&remarks);
	remark_stops(&remarks);
	remark_joins(&remarks);
	report_remark_inferred(&remarks);
	remark_totals(&remarks);
	remark_modules(&remarks);
	for (size_t i = 0; i < report->quality->n_runtime_hints; i++)
		remark(ctx, report->quality->runtime_hints[i]);
	report_each_cost(report, scratch, remark, ctx);
	remark_kernel_clock(&remarks);
	remark_coverage(&remarks);
	remark_skipped_tables(&remarks);
	report_remark_off_cpu(&remarks);
	remark_recorder(&remarks);
}
