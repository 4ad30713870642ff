/* The report for programs; README.md documents the schema. */
#include "base/text.h"
#include "json_put.h"
#include "profile/header_keys.h"
#include "report_parts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_VERSION = 1 };

struct report_json {
	const struct report *report;
	struct json_put put;
};

/* Three decimals are one sample in 100,000. */
static void put_pct(struct report_json *maker, json_t *object, const char *key, double pct)
{
	json_put(&maker->put, object, key, json_real(round(pct * 1000) / 1000));
}

/* A whole number of the header, or null when it is absent or none. */
static void put_header_number(struct report_json *maker, json_t *object, const char *key,
			      const char *header_key)
{
	uint64_t value;
	const char *text = profile_header_get(maker->report->profile, header_key);
	if (text && cp_parse_u64(text, 0, INT64_MAX, &value))
		json_put_u64(&maker->put, object, key, value);
	else
		json_put_null(&maker->put, object, key);
}

/* A comma-separated entry of the header as an array, of numbers where the items are; or null. */
static void put_header_list(struct report_json *maker, json_t *object, const char *key,
			    const char *header_key)
{
	const char *text = profile_header_get(maker->report->profile, header_key);
	if (!text) {
		json_put_null(&maker->put, object, key);
		return;
	}
	char *copy = strdup(text), *rest = copy, *item;
	json_t *array = json_array();
	while (copy && (item = strsep(&rest, ",")) != NULL) {
		uint64_t number;
		if (cp_parse_u64(item, 0, INT64_MAX, &number))
			json_put_item(&maker->put, array, json_integer((json_int_t)number));
		else if (item[0])
			json_put_item(&maker->put, array, json_put_make_text(&maker->put, item));
	}
	maker->put.failed = maker->put.failed || !copy;
	free(copy);
	json_put(&maker->put, object, key, array);
}

static void put_start(struct report_json *maker, json_t *object)
{
	const int64_t start_ns = maker->report->profile->start_ns;
	if (start_ns <= 0) {
		json_put_null(&maker->put, object, "start_time");
		json_put_null(&maker->put, object, "start_ns");
		return;
	}
	json_put_time(&maker->put, object, "start_time", start_ns);
	json_put_i64(&maker->put, object, "start_ns", start_ns);
}

/* What is in the header as text, as a number, or as a list of either. */
static const struct {
	const char *key, *header_key;
	enum { TEXT, NUMBER, LIST } kind;
} recording_fields[] = {
	{"cprof_version", HEADER_CPROF_VERSION, TEXT},
	{"state", HEADER_STATE, TEXT},
	{"command", HEADER_COMMAND, TEXT},
	{"pids", HEADER_PIDS, LIST},
	{"engine", HEADER_ENGINE, TEXT},
	{"event", HEADER_EVENT, TEXT},
	{"mode", HEADER_MODE, TEXT},
	{"rate_hz", HEADER_RATE_HZ, NUMBER},
	{"unwind", HEADER_UNWIND, TEXT},
	{"dump_bytes", HEADER_DUMP_BYTES, NUMBER},
	{"dump_bytes_min", HEADER_DUMP_BYTES_MIN, NUMBER},
	{"dump_bytes_max", HEADER_DUMP_BYTES_MAX, NUMBER},
	{"dump_changes", HEADER_DUMP_CHANGES, NUMBER},
	{"dump_pressed", HEADER_DUMP_PRESSED, NUMBER},
	{"kernel", HEADER_KERNEL, TEXT},
	{"kernel_release", HEADER_KERNEL_RELEASE, TEXT},
	{"cpus", HEADER_CPUS, NUMBER},
	{"runtimes", HEADER_RUNTIMES, LIST},
	{"target_user_ns", HEADER_TARGET_USER_NS, NUMBER},
	{"target_system_ns", HEADER_TARGET_SYSTEM_NS, NUMBER},
	{"frames", HEADER_FRAMES, NUMBER},
	{"fp_frames", HEADER_FP_FRAMES, NUMBER},
	{"libunwind_stacks", HEADER_LIBUNWIND_STACKS, NUMBER},
	{"left_copy", HEADER_LEFT_COPY, NUMBER},
	{"omitted_frames", HEADER_OMITTED_FRAMES, NUMBER},
	{"join_failed_changed", HEADER_JOIN_FAILED_PREFIX "changed", NUMBER},
	{"join_failed_gone", HEADER_JOIN_FAILED_PREFIX "gone", NUMBER},
	{"join_failed_refused", HEADER_JOIN_FAILED_PREFIX "refused", NUMBER},
	{"join_failed_no_root", HEADER_JOIN_FAILED_PREFIX "no_root", NUMBER},
	{"join_failed_unsettled", HEADER_JOIN_FAILED_PREFIX "unsettled", NUMBER},
	{"join_failed_not_present", HEADER_JOIN_FAILED_PREFIX "not_present", NUMBER},
	{"join_failed_too_deep", HEADER_JOIN_FAILED_PREFIX "too_deep", NUMBER},
	{"join_failed_too_costly", HEADER_JOIN_FAILED_PREFIX "too_costly", NUMBER},
	{"wall_looks", HEADER_WALL_LOOKS, NUMBER},
	{"wall_rate_mhz", HEADER_WALL_RATE_MHZ, NUMBER},
	{"wall_taken", HEADER_WALL_TAKEN, NUMBER},
	{"wall_discarded", HEADER_WALL_DISCARDED, NUMBER},
	{"wall_refused", HEADER_WALL_REFUSED, NUMBER},
	{"wall_fp_remembered", HEADER_WALL_FP_REMEMBERED, NUMBER},
	{"wall_fp_searched", HEADER_WALL_FP_SEARCHED, NUMBER},
	{"wall_fp_stopped", HEADER_WALL_FP_STOPPED, NUMBER},
	{"wall_fp_unknown", HEADER_WALL_FP_UNKNOWN, NUMBER},
	{"wall_unseen_ns", HEADER_WALL_UNSEEN_NS, NUMBER},
	{"wall_dropped", HEADER_WALL_DROPPED, NUMBER},
	{"off_cpu_durations", HEADER_OFF_CPU_DURATIONS, TEXT},
	{"off_cpu_waits", HEADER_OFF_CPU_WAITS, NUMBER},
	{"off_cpu_wait_ns", HEADER_OFF_CPU_WAIT_NS, NUMBER},
	{"off_cpu_run_queue_waits", HEADER_OFF_CPU_RUN_QUEUE_WAITS, NUMBER},
	{"off_cpu_run_queue_ns", HEADER_OFF_CPU_RUN_QUEUE_NS, NUMBER},
	{"off_cpu_seen_ns", HEADER_OFF_CPU_SEEN_NS, NUMBER},
	{"off_cpu_estimated_ns", HEADER_OFF_CPU_ESTIMATED_NS, NUMBER},
	{"off_cpu_broken", HEADER_OFF_CPU_BROKEN, NUMBER},
	{"off_cpu_dropped", HEADER_OFF_CPU_DROPPED, NUMBER},
	{"off_cpu_taken", HEADER_OFF_CPU_TAKEN, NUMBER},
	{"off_cpu_discarded", HEADER_OFF_CPU_DISCARDED, NUMBER},
	{"off_cpu_refused", HEADER_OFF_CPU_REFUSED, NUMBER},
	{"off_cpu_fp_searched", HEADER_OFF_CPU_FP_SEARCHED, NUMBER},
	{"off_cpu_fp_unknown", HEADER_OFF_CPU_FP_UNKNOWN, NUMBER},
	{"time_quantum_ns", HEADER_TIME_QUANTUM_NS, NUMBER},
	{"rate_achieved_hz", HEADER_RATE_ACHIEVED_HZ, NUMBER},
	{"max_overhead_ppm", HEADER_MAX_OVERHEAD_PPM, NUMBER},
	{"max_pause_ns", HEADER_MAX_PAUSE_NS, NUMBER},
	{"pauses", HEADER_PAUSES, NUMBER},
	{"pause_p50_ns", HEADER_PAUSE_P50_NS, NUMBER},
	{"pause_p99_ns", HEADER_PAUSE_P99_NS, NUMBER},
	{"pause_longest_ns", HEADER_PAUSE_LONGEST_NS, NUMBER},
	{"pause_total_ns", HEADER_PAUSE_TOTAL_NS, NUMBER},
	{"pauses_beyond", HEADER_PAUSES_BEYOND, NUMBER},
	{"eintr_rewound", HEADER_EINTR_REWOUND, NUMBER},
	{"eintr_left", HEADER_EINTR_LEFT, NUMBER},
	{"short_writes", HEADER_SHORT_WRITES, NUMBER},
	{"signals_passed", HEADER_SIGNALS_PASSED, NUMBER},
	{"stops_late", HEADER_STOPS_LATE, NUMBER},
	{"stops_refused", HEADER_STOPS_REFUSED, NUMBER},
	{"stops_held", HEADER_STOPS_HELD, NUMBER},
	{"stops_other", HEADER_STOPS_OTHER, NUMBER},
	{"stops_left_out", HEADER_STOPS_LEFT_OUT, NUMBER},
	{"stops_unfinished", HEADER_STOPS_UNFINISHED, NUMBER},
	{"run_looks", HEADER_RUN_LOOKS, NUMBER},
	{"run_looks_left_out", HEADER_RUN_LOOKS_LEFT_OUT, NUMBER},
	{"cpu_unsampled_ns", HEADER_CPU_UNSAMPLED_NS, NUMBER},
	{"recorder_cpu_ns", HEADER_RECORDER_CPU_NS, NUMBER},
	{"recorder_peak_rss_bytes", HEADER_RECORDER_PEAK_RSS_BYTES, NUMBER},
	{"unwind_tables_bytes", HEADER_UNWIND_TABLES_BYTES, NUMBER},
	{"unwind_tables_skipped", HEADER_UNWIND_TABLES_SKIPPED, NUMBER},
};

static json_t *make_recording(struct report_json *maker)
{
	const struct profile *profile = maker->report->profile;
	json_t *object = json_object();
	put_start(maker, object);
	json_put(&maker->put, object, "duration_ns",
		 profile->duration_ns > 0 ? json_integer(profile->duration_ns) : json_null());
	json_put_bool(&maker->put, object, "system_wide",
		      profile_header_get(profile, HEADER_SYSTEM_WIDE) != NULL);
	for (size_t i = 0; i < sizeof(recording_fields) / sizeof(recording_fields[0]); i++) {
		const char *key = recording_fields[i].key;
		const char *header_key = recording_fields[i].header_key;
		if (recording_fields[i].kind == TEXT)
			json_put_text(&maker->put, object, key,
				      profile_header_get(profile, header_key));
		else if (recording_fields[i].kind == NUMBER)
			put_header_number(maker, object, key, header_key);
		else
			put_header_list(maker, object, key, header_key);
	}
	return object;
}

static json_t *make_quality_modules(struct report_json *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *array = json_array();
	for (size_t i = 0; i < quality->n_modules; i++) {
		const struct quality_module *module = &quality->modules[i];
		json_t *object = json_object();
		json_put_text(&maker->put, object, "path", module->path);
		json_put_text(&maker->put, object, "build_id", module->build_id);
		json_put_i64(&maker->put, object, "samples", module->samples);
		put_pct(maker, object, "share_pct", module->share_pct);
		json_put_bool(&maker->put, object, "has_functions", module->has_functions);
		json_put_bool(&maker->put, object, "has_lines", module->has_lines);
		json_put_text(&maker->put, object, "reason", module->reason);
		json_put_text(&maker->put, object, "remedy", module->remedy);
		json_put_item(&maker->put, array, object);
	}
	return array;
}

static json_t *make_ends(struct report_json *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *array = json_array();
	for (size_t i = 0; i < quality->n_ends; i++) {
		const struct quality_end *end = &quality->ends[i];
		json_t *object = json_object();
		json_put_text(&maker->put, object, "stop", cp_stop_name(end->stop));
		json_put_text(&maker->put, object, "path", end->path);
		json_put_text(&maker->put, object, "build_id", end->build_id);
		json_put_i64(&maker->put, object, "samples", end->samples);
		put_pct(maker, object, "share_pct", end->share_pct);
		json_put_item(&maker->put, array, object);
	}
	return array;
}

static json_t *make_joined(struct report_json *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *object = json_object();
	for (int i = CP_JOINED_NO + 1; i < CP_JOINED_COUNT; i++)
		json_put_i64(&maker->put, object, cp_joined_name((enum cp_joined)i),
			     quality->joined[i]);
	return object;
}

static json_t *make_inferred(struct report_json *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *object = json_object();
	for (int i = CP_INFERRED_NO + 1; i < CP_INFERRED_COUNT; i++)
		json_put_i64(&maker->put, object, cp_inferred_name((enum cp_inferred)i),
			     quality->inferred[i]);
	return object;
}

static json_t *make_quality(struct report_json *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *object = json_object(), *stops = json_object(), *hints = json_array();
	json_put_i64(&maker->put, object, "samples", quality->samples);
	json_put_i64(&maker->put, object, "complete_samples", quality->complete);
	put_pct(maker, object, "complete_pct", quality->complete_pct);
	json_put_i64(&maker->put, object, "complete_unjoined_samples", quality->complete_alone);
	put_pct(maker, object, "complete_unjoined_pct", quality->complete_alone_pct);
	json_put_i64(&maker->put, object, "too_deep_samples", quality->too_deep);
	put_pct(maker, object, "too_deep_pct", quality->too_deep_pct);
	json_put(&maker->put, object, "joined", make_joined(maker));
	put_pct(maker, object, "joined_pct", quality->joined_pct);
	json_put(&maker->put, object, "inferred", make_inferred(maker));
	put_pct(maker, object, "inferred_pct", quality->inferred_pct);
	put_pct(maker, object, "symbolized_pct", quality->symbolized_pct);
	put_pct(maker, object, "lines_pct", quality->lines_pct);
	put_pct(maker, object, "score_pct", quality->score_pct);
	json_put_u64(&maker->put, object, "lost", quality->lost);
	json_put_text(&maker->put, object, "lost_scope",
		      profile_header_get(maker->report->profile, HEADER_LOST_SCOPE));
	json_put_u64(&maker->put, object, "lost_at_most", quality->lost_most);
	put_pct(maker, object, "lost_at_most_pct", quality->lost_pct);
	json_put_u64(&maker->put, object, "uncovered_cpu_ns", quality->uncovered_cpu_ns);
	json_put_u64(&maker->put, object, "throttled", quality->throttled);
	json_put_u64(&maker->put, object, "untracked", quality->untracked);
	json_put_u64(&maker->put, object, "torn_bytes", maker->report->options->torn_bytes);
	for (int i = 0; i < CP_STOP_COUNT; i++)
		json_put_i64(&maker->put, stops, cp_stop_name((enum cp_stop)i), quality->stops[i]);
	json_put(&maker->put, object, "stops", stops);
	json_put(&maker->put, object, "ended_in", make_ends(maker));
	json_put_i64(&maker->put, object, "kernel_samples", quality->kernel);
	put_pct(maker, object, "fp_frames_pct", quality->fp_frames_pct);
	json_put_u64(&maker->put, object, "sampled_cpu_ns", quality->sampled_cpu_ns);
	json_put(&maker->put, object, "target_cpu_ns",
		 quality->target_cpu_ns ? json_integer((json_int_t)quality->target_cpu_ns)
					: json_null());
	json_put_u64(&maker->put, object, "invisible_cpu_ns", quality->invisible_cpu_ns);
	json_put(&maker->put, object, "modules_without_debug_info", make_quality_modules(maker));
	json_put_text(&maker->put, object, "remedy_note", quality->remedy_note);
	json_put_text(&maker->put, object, "remedy_command", quality->remedy_command);
	for (size_t i = 0; i < quality->n_runtime_hints; i++) {
		json_put_item(&maker->put, hints,
			      json_put_make_text(&maker->put, quality->runtime_hints[i]));
	}
	json_put(&maker->put, object, "runtime_hints", hints);
	return object;
}

/* A number of samples, or null where the profile has no such column. */
static void put_number(struct report_json *maker, json_t *object, const char *key, int64_t count)
{
	const bool known = maker->report->hotspots->measure.count_column >= 0;
	json_put(&maker->put, object, key, known ? json_integer(count) : json_null());
}

static json_t *make_totals(struct report_json *maker)
{
	const struct hotspots *hotspots = maker->report->hotspots;
	bool cpu = hotspots->measure.cpu_column >= 0;
	json_t *object = json_object();
	json_put_i64(&maker->put, object, "samples", hotspots->all.value);
	json_put_i64(&maker->put, object, "selected_samples", hotspots->selected.value);
	put_number(maker, object, "count", hotspots->all.count);
	put_number(maker, object, "selected_count", hotspots->selected.count);
	put_pct(maker, object, "selected_pct",
		amount_pct(hotspots->selected.value, hotspots->all.value));
	json_put(&maker->put, object, "cpu_ns",
		 cpu ? json_integer(hotspots->all.cpu_ns) : json_null());
	json_put(&maker->put, object, "selected_cpu_ns",
		 cpu ? json_integer(hotspots->selected.cpu_ns) : json_null());
	json_put_u64(&maker->put, object, "threads", hotspots->n_threads);
	json_put_u64(&maker->put, object, "processes", hotspots->n_processes);
	json_put_u64(&maker->put, object, "rows", hotspots->n);
	return object;
}

/* Frames, leaf first. */
static json_t *make_stack(struct report_json *maker, stack_id stack)
{
	const struct frames *frames = maker->report->hotspots->frames;
	json_t *array = json_array();
	frame_id *ids = NULL;
	size_t cap = 0;
	const long n = frames_of_stack(frames, stack, &ids, &cap);
	maker->put.failed = maker->put.failed || n < 0;
	for (long i = 0; i < n; i++) {
		const char *name = frames_text(frames, frames_get(frames, ids[i])->name);
		json_put_item(&maker->put, array, json_put_make_text(&maker->put, name));
	}
	free(ids);
	return array;
}

static void put_lock(struct report_json *maker, json_t *object, const struct hotspot *row)
{
	json_t *stacks = json_array();
	for (size_t i = 0; i < row->n_stacks; i++) {
		const struct lock_stack *stack = &row->stacks[i];
		json_t *item = json_object();
		json_put_i64(&maker->put, item, "samples", stack->amount.value);
		json_put_i64(&maker->put, item, "count", stack->amount.count);
		json_put(&maker->put, item, "frames", make_stack(maker, stack->stack));
		json_put_item(&maker->put, stacks, item);
	}
	json_put_text(&maker->put, object, "lock", row->name);
	json_put_u64(&maker->put, object, "pid", row->pid);
	json_put_text(&maker->put, object, "comm", row->comm);
	json_put_u64(&maker->put, object, "threads", row->n_threads);
	json_put(&maker->put, object, "stacks", stacks);
}

/* What a row is about; the rest of the keys is the same for all kinds. */
static void put_identity(struct report_json *maker, json_t *object, const struct hotspot *row)
{
	enum report_by by = maker->report->options->by;
	if (by == REPORT_BY_THREAD) {
		const struct profile *profile = maker->report->profile;
		json_put_u64(&maker->put, object, "pid", row->thread->pid);
		json_put_u64(&maker->put, object, "tid", row->thread->tid);
		json_put_text(&maker->put, object, "comm",
			      profile_text(profile, row->thread->comm));
		json_put_text(&maker->put, object, "thread",
			      profile_text(profile, row->thread->name));
		return;
	}
	if (by == REPORT_BY_PROCESS) {
		json_put_text(&maker->put, object, "comm", row->name);
		json_put_u64(&maker->put, object, "processes", row->n_processes);
		return;
	}
	if (by == REPORT_BY_STATE) {
		json_put_text(&maker->put, object, "state", cp_state_name(row->state));
		return;
	}
	if (by == REPORT_BY_LOCK) {
		put_lock(maker, object, row);
		return;
	}
	if (by == REPORT_BY_FUNCTION || by == REPORT_BY_LINE)
		json_put_text(&maker->put, object, "function", row->name);
	if (by != REPORT_BY_MODULE)
		json_put_text(&maker->put, object, "file", row->file);
	if (by == REPORT_BY_FUNCTION || by == REPORT_BY_LINE)
		json_put(&maker->put, object, "line",
			 row->line ? json_integer(row->line) : json_null());
	json_put_text(&maker->put, object, "module", row->module);
	if (by == REPORT_BY_FUNCTION || by == REPORT_BY_LINE) {
		json_put_bool(&maker->put, object, "inlined", row->inlined);
		json_put_bool(&maker->put, object, "kernel", row->kernel);
		json_put_bool(&maker->put, object, "jit", row->jit);
		json_put_bool(&maker->put, object, "symbolized", row->symbolized);
	}
}

static json_t *make_row(struct report_json *maker, const struct hotspot *row)
{
	const struct hotspots *hotspots = maker->report->hotspots;
	bool cpu = hotspots->measure.cpu_column >= 0;
	json_t *object = json_object();
	put_identity(maker, object, row);
	json_put_i64(&maker->put, object, "self_samples", row->self.value);
	json_put_i64(&maker->put, object, "total_samples", row->total.value);
	put_number(maker, object, "self_count", row->self.count);
	put_number(maker, object, "total_count", row->total.count);
	put_pct(maker, object, "self_pct", amount_pct(row->self.value, hotspots->all.value));
	put_pct(maker, object, "total_pct", amount_pct(row->total.value, hotspots->all.value));
	json_put(&maker->put, object, "self_cpu_ns",
		 cpu ? json_integer(row->self.cpu_ns) : json_null());
	json_put(&maker->put, object, "total_cpu_ns",
		 cpu ? json_integer(row->total.cpu_ns) : json_null());
	return object;
}

static json_t *make_report(struct report_json *maker)
{
	static const char *const bys[] = {"function", "line",    "file",  "module",
					  "thread",   "process", "state", "lock"};
	const struct report_options *options = maker->report->options;
	const struct hotspots *hotspots = maker->report->hotspots;
	json_t *root = json_object(), *value = json_object(), *rows = json_array();
	json_put_text(&maker->put, root, "schema", "cprof.report");
	json_put_i64(&maker->put, root, "version", SCHEMA_VERSION);
	json_put_text(&maker->put, root, "profile", options->path);
	json_put(&maker->put, root, "recording", make_recording(maker));
	json_put(&maker->put, root, "quality", make_quality(maker));
	json_put_text(&maker->put, root, "by", bys[options->by]);
	json_put_text(&maker->put, root, "sort",
		      options->sort == REPORT_SORT_TOTAL ? "total" : "self");
	json_put_text(&maker->put, root, "focus", options->focus);
	json_put_text(&maker->put, root, "ignore", options->ignore);
	json_put_text(&maker->put, value, "type", hotspots->measure.type);
	json_put_text(&maker->put, value, "unit", hotspots->measure.unit);
	json_put(&maker->put, root, "value", value);
	json_put(&maker->put, root, "totals", make_totals(maker));
	for (size_t i = 0; i < maker->report->n_shown; i++) {
		json_put_item(&maker->put, rows, make_row(maker, &hotspots->rows[i]));
	}
	json_put(&maker->put, root, "hotspots", rows);
	return root;
}

int report_json(const struct report *report)
{
	struct report_json maker = {.report = report};
	json_t *root = make_report(&maker);
	const bool failed = json_put_failed(&maker.put);
	/* a failed write stays in the stream's error flag */
	if (!failed && json_dumpf(root, report->out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0)
		fputc('\n', report->out);
	json_decref(root);
	json_put_deinit(&maker.put);
	return failed ? -ENOMEM : 0;
}
