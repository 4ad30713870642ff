/* The report for programs; README.md documents the schema. */
#include "base/text.h"
#include "profile/header_keys.h"
#include "report_parts.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SCHEMA_VERSION = 1 };

/* What all steps share: a failure to allocate is remembered and reported once. */
struct json_maker {
	const struct report *report;
	struct strbuf scratch;
	bool failed;
};

/* Put @value, which is taken, under @key. */
static void put(struct json_maker *maker, json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value))
		maker->failed = true;
}

/* A string of any bytes, or null for NULL and "". */
static json_t *make_text(struct json_maker *maker, const char *text)
{
	if (!text || !text[0])
		return json_null();
	strbuf_clear(&maker->scratch);
	strbuf_add_utf8(&maker->scratch, text);
	return json_string(strbuf_text(&maker->scratch));
}

static void put_text(struct json_maker *maker, json_t *object, const char *key, const char *text)
{
	put(maker, object, key, make_text(maker, text));
}

static void put_u64(struct json_maker *maker, json_t *object, const char *key, uint64_t value)
{
	put(maker, object, key, json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX));
}

static void put_i64(struct json_maker *maker, json_t *object, const char *key, int64_t value)
{
	put(maker, object, key, json_integer(value));
}

static void put_bool(struct json_maker *maker, json_t *object, const char *key, bool value)
{
	put(maker, object, key, json_boolean(value));
}

/* Three decimals are one sample in 100,000. */
static void put_pct(struct json_maker *maker, json_t *object, const char *key, double pct)
{
	put(maker, object, key, json_real(round(pct * 1000) / 1000));
}

/* A whole number of the header, or null when it is absent or none. */
static void put_header_number(struct json_maker *maker, json_t *object, const char *key,
			      const char *header_key)
{
	uint64_t value;
	const char *text = profile_header_get(maker->report->profile, header_key);
	if (text && cp_parse_u64(text, 0, INT64_MAX, &value))
		put_u64(maker, object, key, value);
	else
		put(maker, object, key, json_null());
}

/* A comma-separated entry of the header as an array, of numbers where the items are; or null. */
static void put_header_list(struct json_maker *maker, json_t *object, const char *key,
			    const char *header_key)
{
	const char *text = profile_header_get(maker->report->profile, header_key);
	if (!text) {
		put(maker, object, key, json_null());
		return;
	}
	char *copy = strdup(text), *rest = copy, *item;
	json_t *array = json_array();
	while (copy && array && (item = strsep(&rest, ",")) != NULL) {
		uint64_t number;
		bool is_number = cp_parse_u64(item, 0, INT64_MAX, &number);
		if (item[0] &&
		    json_array_append_new(array, is_number ? json_integer((json_int_t)number)
							   : make_text(maker, item)))
			maker->failed = true;
	}
	maker->failed = maker->failed || !copy;
	free(copy);
	put(maker, object, key, array);
}

/* RFC 3339 with nanoseconds, in UTC; null when unknown. */
static void put_start(struct json_maker *maker, json_t *object)
{
	int64_t start_ns = maker->report->profile->start_ns;
	time_t seconds = (time_t)(start_ns / 1000000000);
	struct tm utc;
	char text[64];
	if (start_ns <= 0 || !gmtime_r(&seconds, &utc) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc)) {
		put(maker, object, "start_time", json_null());
		put(maker, object, "start_ns", json_null());
		return;
	}
	put(maker, object, "start_time",
	    json_sprintf("%s.%09dZ", text, (int)(start_ns % 1000000000)));
	put_i64(maker, object, "start_ns", start_ns);
}

static json_t *make_recording(struct json_maker *maker)
{
	static const struct {
		const char *key, *header_key;
		enum { TEXT, NUMBER, LIST } kind;
	} fields[] = {
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
		{"recorder_cpu_ns", HEADER_RECORDER_CPU_NS, NUMBER},
		{"recorder_peak_rss_bytes", HEADER_RECORDER_PEAK_RSS_BYTES, NUMBER},
		{"unwind_tables_bytes", HEADER_UNWIND_TABLES_BYTES, NUMBER},
		{"unwind_tables_skipped", HEADER_UNWIND_TABLES_SKIPPED, NUMBER},
	};
	const struct profile *profile = maker->report->profile;
	json_t *object = json_object();
	put_start(maker, object);
	put(maker, object, "duration_ns",
	    profile->duration_ns > 0 ? json_integer(profile->duration_ns) : json_null());
	put_bool(maker, object, "system_wide",
		 profile_header_get(profile, HEADER_SYSTEM_WIDE) != NULL);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].kind == TEXT)
			put_text(maker, object, fields[i].key,
				 profile_header_get(profile, fields[i].header_key));
		else if (fields[i].kind == NUMBER)
			put_header_number(maker, object, fields[i].key, fields[i].header_key);
		else
			put_header_list(maker, object, fields[i].key, fields[i].header_key);
	}
	return object;
}

static json_t *make_quality_modules(struct json_maker *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *array = json_array();
	for (size_t i = 0; i < quality->n_modules; i++) {
		const struct quality_module *module = &quality->modules[i];
		json_t *object = json_object();
		put_text(maker, object, "path", module->path);
		put_text(maker, object, "build_id", module->build_id);
		put_i64(maker, object, "samples", module->samples);
		put_pct(maker, object, "share_pct", module->share_pct);
		put_bool(maker, object, "has_functions", module->has_functions);
		put_bool(maker, object, "has_lines", module->has_lines);
		put_text(maker, object, "reason", module->reason);
		put_text(maker, object, "remedy", module->remedy);
		if (json_array_append_new(array, object))
			maker->failed = true;
	}
	return array;
}

static json_t *make_ends(struct json_maker *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *array = json_array();
	for (size_t i = 0; i < quality->n_ends; i++) {
		const struct quality_end *end = &quality->ends[i];
		json_t *object = json_object();
		put_text(maker, object, "stop", cp_stop_name(end->stop));
		put_text(maker, object, "path", end->path);
		put_text(maker, object, "build_id", end->build_id);
		put_i64(maker, object, "samples", end->samples);
		put_pct(maker, object, "share_pct", end->share_pct);
		if (json_array_append_new(array, object))
			maker->failed = true;
	}
	return array;
}

static json_t *make_joined(struct json_maker *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *object = json_object();
	for (int i = CP_JOINED_NO + 1; i < CP_JOINED_COUNT; i++)
		put_i64(maker, object, cp_joined_name((enum cp_joined)i), quality->joined[i]);
	return object;
}

static json_t *make_inferred(struct json_maker *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *object = json_object();
	for (int i = CP_INFERRED_NO + 1; i < CP_INFERRED_COUNT; i++)
		put_i64(maker, object, cp_inferred_name((enum cp_inferred)i), quality->inferred[i]);
	return object;
}

static json_t *make_quality(struct json_maker *maker)
{
	const struct quality *quality = maker->report->quality;
	json_t *object = json_object(), *stops = json_object(), *hints = json_array();
	put_i64(maker, object, "samples", quality->samples);
	put_i64(maker, object, "complete_samples", quality->complete);
	put_pct(maker, object, "complete_pct", quality->complete_pct);
	put_i64(maker, object, "complete_unjoined_samples", quality->complete_alone);
	put_pct(maker, object, "complete_unjoined_pct", quality->complete_alone_pct);
	put_i64(maker, object, "too_deep_samples", quality->too_deep);
	put_pct(maker, object, "too_deep_pct", quality->too_deep_pct);
	put(maker, object, "joined", make_joined(maker));
	put_pct(maker, object, "joined_pct", quality->joined_pct);
	put(maker, object, "inferred", make_inferred(maker));
	put_pct(maker, object, "inferred_pct", quality->inferred_pct);
	put_pct(maker, object, "symbolized_pct", quality->symbolized_pct);
	put_pct(maker, object, "lines_pct", quality->lines_pct);
	put_pct(maker, object, "score_pct", quality->score_pct);
	put_u64(maker, object, "lost", quality->lost);
	put_text(maker, object, "lost_scope",
		 profile_header_get(maker->report->profile, HEADER_LOST_SCOPE));
	put_u64(maker, object, "lost_at_most", quality->lost_most);
	put_pct(maker, object, "lost_at_most_pct", quality->lost_pct);
	put_u64(maker, object, "uncovered_cpu_ns", quality->uncovered_cpu_ns);
	put_u64(maker, object, "throttled", quality->throttled);
	put_u64(maker, object, "untracked", quality->untracked);
	put_u64(maker, object, "torn_bytes", maker->report->options->torn_bytes);
	for (int i = 0; i < CP_STOP_COUNT; i++)
		put_i64(maker, stops, cp_stop_name((enum cp_stop)i), quality->stops[i]);
	put(maker, object, "stops", stops);
	put(maker, object, "ended_in", make_ends(maker));
	put_i64(maker, object, "kernel_samples", quality->kernel);
	put_pct(maker, object, "fp_frames_pct", quality->fp_frames_pct);
	put_u64(maker, object, "sampled_cpu_ns", quality->sampled_cpu_ns);
	put(maker, object, "target_cpu_ns",
	    quality->target_cpu_ns ? json_integer((json_int_t)quality->target_cpu_ns)
				   : json_null());
	put_u64(maker, object, "invisible_cpu_ns", quality->invisible_cpu_ns);
	put(maker, object, "modules_without_debug_info", make_quality_modules(maker));
	put_text(maker, object, "remedy_note", quality->remedy_note);
	put_text(maker, object, "remedy_command", quality->remedy_command);
	for (size_t i = 0; i < quality->n_runtime_hints; i++) {
		if (json_array_append_new(hints, make_text(maker, quality->runtime_hints[i])))
			maker->failed = true;
	}
	put(maker, object, "runtime_hints", hints);
	return object;
}

/* A number of samples, or null where the profile has no such column. */
static void put_number(struct json_maker *maker, json_t *object, const char *key, int64_t count)
{
	const bool known = maker->report->hotspots->measure.count_column >= 0;
	put(maker, object, key, known ? json_integer(count) : json_null());
}

static json_t *make_totals(struct json_maker *maker)
{
	const struct hotspots *hotspots = maker->report->hotspots;
	bool cpu = hotspots->measure.cpu_column >= 0;
	json_t *object = json_object();
	put_i64(maker, object, "samples", hotspots->all.value);
	put_i64(maker, object, "selected_samples", hotspots->selected.value);
	put_number(maker, object, "count", hotspots->all.count);
	put_number(maker, object, "selected_count", hotspots->selected.count);
	put_pct(maker, object, "selected_pct",
		amount_pct(hotspots->selected.value, hotspots->all.value));
	put(maker, object, "cpu_ns", cpu ? json_integer(hotspots->all.cpu_ns) : json_null());
	put(maker, object, "selected_cpu_ns",
	    cpu ? json_integer(hotspots->selected.cpu_ns) : json_null());
	put_u64(maker, object, "threads", hotspots->n_threads);
	put_u64(maker, object, "processes", hotspots->n_processes);
	put_u64(maker, object, "rows", hotspots->n);
	return object;
}

/* Frames, leaf first. */
static json_t *make_stack(struct json_maker *maker, stack_id stack)
{
	const struct frames *frames = maker->report->hotspots->frames;
	json_t *array = json_array();
	frame_id *ids = NULL;
	size_t cap = 0;
	const long n = frames_of_stack(frames, stack, &ids, &cap);
	maker->failed = maker->failed || n < 0;
	for (long i = 0; i < n; i++) {
		const char *name = frames_text(frames, frames_get(frames, ids[i])->name);
		if (json_array_append_new(array, make_text(maker, name)))
			maker->failed = true;
	}
	free(ids);
	return array;
}

static void put_lock(struct json_maker *maker, json_t *object, const struct hotspot *row)
{
	json_t *stacks = json_array();
	for (size_t i = 0; i < row->n_stacks; i++) {
		const struct lock_stack *stack = &row->stacks[i];
		json_t *item = json_object();
		put_i64(maker, item, "samples", stack->amount.value);
		put_i64(maker, item, "count", stack->amount.count);
		put(maker, item, "frames", make_stack(maker, stack->stack));
		if (json_array_append_new(stacks, item))
			maker->failed = true;
	}
	put_text(maker, object, "lock", row->name);
	put_u64(maker, object, "pid", row->pid);
	put_text(maker, object, "comm", row->comm);
	put_u64(maker, object, "threads", row->n_threads);
	put(maker, object, "stacks", stacks);
}

/* What a row is about; the rest of the keys is the same for all kinds. */
static void put_identity(struct json_maker *maker, json_t *object, const struct hotspot *row)
{
	enum report_by by = maker->report->options->by;
	if (by == REPORT_BY_THREAD) {
		const struct profile *profile = maker->report->profile;
		put_u64(maker, object, "pid", row->thread->pid);
		put_u64(maker, object, "tid", row->thread->tid);
		put_text(maker, object, "comm", profile_text(profile, row->thread->comm));
		put_text(maker, object, "thread", profile_text(profile, row->thread->name));
		return;
	}
	if (by == REPORT_BY_PROCESS) {
		put_text(maker, object, "comm", row->name);
		put_u64(maker, object, "processes", row->n_processes);
		return;
	}
	if (by == REPORT_BY_STATE) {
		put_text(maker, object, "state", cp_state_name(row->state));
		return;
	}
	if (by == REPORT_BY_LOCK) {
		put_lock(maker, object, row);
		return;
	}
	if (by == REPORT_BY_FUNCTION || by == REPORT_BY_LINE)
		put_text(maker, object, "function", row->name);
	if (by != REPORT_BY_MODULE)
		put_text(maker, object, "file", row->file);
	if (by == REPORT_BY_FUNCTION || by == REPORT_BY_LINE)
		put(maker, object, "line", row->line ? json_integer(row->line) : json_null());
	put_text(maker, object, "module", row->module);
	if (by == REPORT_BY_FUNCTION || by == REPORT_BY_LINE) {
		put_bool(maker, object, "inlined", row->inlined);
		put_bool(maker, object, "kernel", row->kernel);
		put_bool(maker, object, "jit", row->jit);
		put_bool(maker, object, "symbolized", row->symbolized);
	}
}

static json_t *make_row(struct json_maker *maker, const struct hotspot *row)
{
	const struct hotspots *hotspots = maker->report->hotspots;
	bool cpu = hotspots->measure.cpu_column >= 0;
	json_t *object = json_object();
	put_identity(maker, object, row);
	put_i64(maker, object, "self_samples", row->self.value);
	put_i64(maker, object, "total_samples", row->total.value);
	put_number(maker, object, "self_count", row->self.count);
	put_number(maker, object, "total_count", row->total.count);
	put_pct(maker, object, "self_pct", amount_pct(row->self.value, hotspots->all.value));
	put_pct(maker, object, "total_pct", amount_pct(row->total.value, hotspots->all.value));
	put(maker, object, "self_cpu_ns", cpu ? json_integer(row->self.cpu_ns) : json_null());
	put(maker, object, "total_cpu_ns", cpu ? json_integer(row->total.cpu_ns) : json_null());
	return object;
}

static json_t *make_report(struct json_maker *maker)
{
	static const char *const bys[] = {"function", "line",    "file",  "module",
					  "thread",   "process", "state", "lock"};
	const struct report_options *options = maker->report->options;
	const struct hotspots *hotspots = maker->report->hotspots;
	json_t *root = json_object(), *value = json_object(), *rows = json_array();
	put_text(maker, root, "schema", "cprof.report");
	put_i64(maker, root, "version", SCHEMA_VERSION);
	put_text(maker, root, "profile", options->path);
	put(maker, root, "recording", make_recording(maker));
	put(maker, root, "quality", make_quality(maker));
	put_text(maker, root, "by", bys[options->by]);
	put_text(maker, root, "sort", options->sort == REPORT_SORT_TOTAL ? "total" : "self");
	put_text(maker, root, "focus", options->focus);
	put_text(maker, root, "ignore", options->ignore);
	put_text(maker, value, "type", hotspots->measure.type);
	put_text(maker, value, "unit", hotspots->measure.unit);
	put(maker, root, "value", value);
	put(maker, root, "totals", make_totals(maker));
	for (size_t i = 0; i < maker->report->n_shown; i++) {
		if (json_array_append_new(rows, make_row(maker, &hotspots->rows[i])))
			maker->failed = true;
	}
	put(maker, root, "hotspots", rows);
	return root;
}

int report_json(const struct report *report)
{
	struct json_maker maker = {.report = report};
	json_t *root = make_report(&maker);
	bool failed = maker.failed || strbuf_failed(&maker.scratch);
	/* a failed write stays in the stream's error flag */
	if (!failed && json_dumpf(root, report->out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0)
		fputc('\n', report->out);
	json_decref(root);
	strbuf_deinit(&maker.scratch);
	return failed ? -ENOMEM : 0;
}
