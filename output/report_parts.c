#include "report_parts.h"

#include "base/text.h"
#include "profile/header_keys.h"

#include <string.h>
#include <time.h>

/* A command line in a heading; JSON has all of it. */
enum { MAX_COMMAND_COLUMNS = 100 };

const char *report_noun(enum report_by by, size_t count)
{
	static const char *const nouns[][2] = {
		[REPORT_BY_FUNCTION] = {"function", "functions"},
		[REPORT_BY_LINE] = {"line", "lines"},
		[REPORT_BY_FILE] = {"file", "files"},
		[REPORT_BY_MODULE] = {"module", "modules"},
		[REPORT_BY_THREAD] = {"thread", "threads"},
		[REPORT_BY_PROCESS] = {"process name", "process names"},
		[REPORT_BY_STATE] = {"state", "states"},
		[REPORT_BY_LOCK] = {"lock", "locks"},
	};
	return nouns[by][count != 1];
}

void report_add_thread(const struct report *report, const struct hotspot *row, struct strbuf *to)
{
	const char *comm = profile_text(report->profile, row->thread->comm);
	const char *name = profile_text(report->profile, row->thread->name);
	if (comm[0] && name[0] && strcmp(comm, name) != 0) {
		strbuf_add_printable(to, comm);
		strbuf_add(to, "/");
		strbuf_add_printable(to, name);
	} else if (comm[0] || name[0]) {
		strbuf_add_printable(to, comm[0] ? comm : name);
	} else {
		strbuf_add(to, PROFILE_PATH_UNKNOWN);
	}
}

static void add_count(struct strbuf *to, int64_t count, const char *one, const char *many)
{
	char text[CP_TEXT_MAX];
	cp_format_count(count > 0 ? (uint64_t)count : 0, text);
	strbuf_addf(to, "%s %s", text, count == 1 ? one : many);
}

void report_add_processes(const struct hotspot *row, struct strbuf *to)
{
	if (row->n_processes > 1)
		add_count(to, (int64_t)row->n_processes, "process", "processes");
	else if (row->n_processes == 1)
		strbuf_addf(to, "pid %u", row->pid);
}

static void add_shortened(struct strbuf *to, const char *text, size_t columns)
{
	struct strbuf safe = {0};
	strbuf_add_printable(&safe, text);
	if (strbuf_columns(strbuf_text(&safe)) <= columns) {
		strbuf_add(to, strbuf_text(&safe));
	} else {
		strbuf_add_bytes(to, safe.bytes, strbuf_head(safe.bytes, columns - 3));
		strbuf_add(to, "...");
	}
	to->failed = to->failed || safe.failed;
	strbuf_deinit(&safe);
}

/* "whole machine, 2 CPUs, while it ran: " */
static void add_machine(const struct report *report, bool with_command, struct strbuf *to)
{
	const uint64_t cpus = profile_header_u64(report->profile, HEADER_CPUS, 0);
	strbuf_add(to, "whole machine");
	if (cpus) {
		strbuf_add(to, ", ");
		add_count(to, (int64_t)cpus, "CPU", "CPUs");
	}
	if (with_command)
		strbuf_add(to, ", during ");
}

void report_add_target(const struct report *report, struct strbuf *to)
{
	const char *command = profile_header_get(report->profile, HEADER_COMMAND);
	const char *pids = profile_header_get(report->profile, HEADER_PIDS);
	bool several = pids && strchr(pids, ',');
	bool has_command = command && command[0];
	bool whole_machine = profile_header_get(report->profile, HEADER_SYSTEM_WIDE) != NULL;
	if (whole_machine)
		add_machine(report, has_command, to);
	if (whole_machine && !has_command)
		return;
	if (has_command) {
		add_shortened(to, command, MAX_COMMAND_COLUMNS);
		if (pids && pids[0]) {
			strbuf_add(to, several ? " (pids " : " (pid ");
			add_shortened(to, pids, MAX_COMMAND_COLUMNS);
			strbuf_add(to, ")");
		}
	} else if (pids && pids[0]) {
		strbuf_add(to, several ? "processes " : "process ");
		add_shortened(to, pids, MAX_COMMAND_COLUMNS);
	} else {
		const char *path = report->options->path;
		add_shortened(to, path ? path : "profile", MAX_COMMAND_COLUMNS);
	}
}

static void add_start(const struct report *report, struct strbuf *to)
{
	time_t seconds = (time_t)(report->profile->start_ns / 1000000000);
	struct tm utc;
	char text[64];
	if (report->profile->start_ns > 0 && gmtime_r(&seconds, &utc) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc))
		strbuf_addf(to, "%s", text);
}

void report_add_method(const struct report *report, struct strbuf *to)
{
	const struct profile *profile = report->profile;
	const char *event = profile_header_get(profile, HEADER_EVENT);
	const char *rate = profile_header_get(profile, HEADER_RATE_HZ);
	add_start(report, to);
	if (profile->duration_ns > 0) {
		char text[CP_TEXT_MAX];
		strbuf_addf(to, "%s%s", to->n ? ", " : "",
			    cp_format_duration((uint64_t)profile->duration_ns, text));
	}
	if (rate) {
		strbuf_add(to, profile->duration_ns > 0 ? " at " : to->n ? ", at " : "at ");
		strbuf_add_printable(to, rate);
		strbuf_add(to, " Hz");
	}
	if (event) {
		strbuf_add(to, to->n ? ", " : "");
		strbuf_add_printable(to, event);
		if (strcmp(event, "context-switches") == 0)
			strbuf_add(to, " (exact durations)");
		else if (profile_header_get(profile, HEADER_SYSTEM_WIDE))
			strbuf_add(to, " (timers)"); /* also where there is a cycle counter */
		else if (strcmp(event, "cpu-clock") == 0)
			strbuf_add(to, " (no hardware counters here)");
		else if (strcmp(event, "cycles") == 0)
			strbuf_add(to, " (hardware)");
	}
}

static bool shows_cpu(const struct report *report)
{
	return report->hotspots->measure.counts_samples &&
	       report->hotspots->measure.cpu_column >= 0;
}

static bool in_nanoseconds(const struct report *report)
{
	return measure_is_time(&report->hotspots->measure);
}

const char *report_unit(const struct report *report)
{
	if (shows_cpu(report) || in_nanoseconds(report))
		return "s";
	return report->hotspots->measure.type;
}

/* Seconds with as many digits in every row, enough to tell small ones apart. */
static void add_seconds(struct strbuf *to, int64_t ns, int64_t whole_ns)
{
	strbuf_addf(to, "%.*f", whole_ns < 10000000000 ? 3 : 2, (double)ns / 1e9);
}

/* An amount in the measure's own unit. */
static void add_in_own_unit(const struct report *report, struct strbuf *to, int64_t value)
{
	char text[CP_TEXT_MAX];
	if (in_nanoseconds(report))
		add_seconds(to, value, report->hotspots->all.value);
	else if (value >= 0 && strcmp(report->hotspots->measure.unit, "bytes") == 0)
		strbuf_add(to, cp_format_bytes((uint64_t)value, text));
	else if (value >= 0)
		strbuf_add(to, cp_format_count((uint64_t)value, text));
	else
		strbuf_addf(to, "%lld", (long long)value);
}

void report_add_value(const struct report *report, struct strbuf *to, struct amount amount)
{
	if (shows_cpu(report))
		add_seconds(to, amount.cpu_ns, report->hotspots->all.cpu_ns);
	else
		add_in_own_unit(report, to, amount.value);
}

/* How time in the kernel is shown; "" when the recording does not say. */
static const char *kernel_phrase(const struct profile *profile)
{
	const char *kernel = profile_header_get(profile, HEADER_KERNEL);
	if (!kernel)
		return "";
	if (strcmp(kernel, "visible") == 0)
		return "; kernel frames included";
	if (strcmp(kernel, "credited") == 0)
		return "; kernel time shown as the user code that entered it";
	return strcmp(kernel, "hidden") == 0 ? "; kernel time not visible" : "";
}

void report_add_amount(const struct report *report, struct strbuf *to)
{
	const struct hotspots *hotspots = report->hotspots;
	const struct measure *measure = &hotspots->measure;
	if (measure->counts_samples) {
		add_count(to, hotspots->all.value, "sample", "samples");
	} else if (measure->time) {
		report_add_number(report, to, hotspots->all);
		strbuf_addf(to, ", %.2f s %s", (double)hotspots->all.value / 1e9, measure->time);
	} else {
		add_in_own_unit(report, to, hotspots->all.value);
		strbuf_add(to, in_nanoseconds(report) ? " s " : " ");
		strbuf_add_printable(to, measure->type);
	}
	if (shows_cpu(report))
		strbuf_addf(to, ", %.2f s CPU", (double)hotspots->all.cpu_ns / 1e9);
	if (hotspots->n_threads) {
		strbuf_add(to, " on ");
		add_count(to, (int64_t)hotspots->n_threads, "thread", "threads");
	}
	if (hotspots->n_threads && hotspots->n_processes) {
		strbuf_add(to, " of ");
		add_count(to, (int64_t)hotspots->n_processes, "process", "processes");
	}
	strbuf_add(to, kernel_phrase(report->profile));
}

void report_add_selection(const struct report *report, struct strbuf *to)
{
	const struct report_options *options = report->options;
	const struct hotspots *hotspots = report->hotspots;
	if (!options->focus && !options->ignore)
		return;
	if (options->focus) {
		strbuf_add(to, "focus '");
		strbuf_add_printable(to, options->focus);
		strbuf_add(to, "'");
	}
	if (options->ignore) {
		strbuf_add(to, options->focus ? ", ignore '" : "ignore '");
		strbuf_add_printable(to, options->ignore);
		strbuf_add(to, "'");
	}
	strbuf_add(to, ": ");
	if (hotspots->n == 0) {
		strbuf_add(to, "no sample is left");
		return;
	}
	add_in_own_unit(report, to, hotspots->selected.value);
	strbuf_add(to, " of ");
	add_in_own_unit(report, to, hotspots->all.value);
	strbuf_add(to, in_nanoseconds(report) ? " s " : " ");
	strbuf_add_printable(to, hotspots->measure.time ? hotspots->measure.time
							: hotspots->measure.type);
	strbuf_add(to, " (");
	report_add_pct(to, amount_pct(hotspots->selected.value, hotspots->all.value));
	strbuf_add(to, "); percentages are of the whole profile");
}

void report_add_rest(const struct report *report, struct strbuf *to)
{
	const struct hotspots *hotspots = report->hotspots;
	size_t hidden = hotspots->n - report->n_shown;
	if (hidden == 0)
		return;
	if (report->options->sort == REPORT_SORT_SELF) {
		int64_t self = 0;
		for (size_t i = report->n_shown; i < hotspots->n; i++)
			self = amount_sum(self, hotspots->rows[i].self.value);
		report_add_pct(to, amount_pct(self, hotspots->all.value));
		strbuf_add(to, " in ");
	}
	char count[CP_TEXT_MAX];
	strbuf_addf(to, "%s more %s", cp_format_count(hidden, count),
		    report_noun(report->options->by, hidden));
	if (report->options->sort == REPORT_SORT_TOTAL)
		strbuf_add(to, ", in the order of their totals");
}

void report_add_pct(struct strbuf *to, double pct)
{
	char text[CP_TEXT_MAX];
	strbuf_add(to, cp_format_pct(pct, text));
}

void report_add_quality(const struct report *report, struct strbuf *to)
{
	const struct quality *quality = report->quality;
	char lost[CP_TEXT_MAX];
	report_add_pct(to, quality->complete_pct);
	strbuf_add(to, " complete stacks");
	const bool joined = quality->joined_pct > 0, deep = quality->too_deep > 0;
	const bool inferred = quality->inferred_pct > 0;
	if (joined || deep || inferred)
		strbuf_add(to, " (");
	if (inferred) {
		report_add_pct(to, quality->inferred_pct);
		strbuf_add(to, joined || deep ? " inferred; " : " inferred");
	}
	if (joined) {
		report_add_pct(to, quality->complete_alone_pct);
		strbuf_add(to, deep ? " without joined ones; " : " without joined ones");
	}
	if (deep) {
		report_add_pct(to, quality->too_deep_pct);
		strbuf_add(to, " too deep to show whole: middle omitted");
	}
	if (joined || deep || inferred)
		strbuf_add(to, ")");
	strbuf_add(to, ", ");
	report_add_pct(to, quality->symbolized_pct);
	strbuf_add(to, " symbolized (");
	report_add_pct(to, quality->lines_pct);
	strbuf_addf(to, " with lines), %s%s lost",
		    quality->lost_most && quality->lost_of_cpus ? "up to " : "",
		    cp_format_count(quality->lost_most, lost));
}
