/* The heap report for programs; heap_json.md documents the schema. */
#include "heap/heap_settings.h"
#include "heap_parts.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What all steps share: a failure to allocate is remembered and reported once. */
struct maker {
	const struct heap_report *report;
	struct strbuf scratch;
	bool failed;
};

static void put(struct maker *maker, json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value))
		maker->failed = true;
}

static void append(struct maker *maker, json_t *array, json_t *value)
{
	if (!value || json_array_append_new(array, value))
		maker->failed = true;
}

/* A string of any bytes, or null for NULL and "". */
static json_t *make_text(struct maker *maker, const char *text)
{
	if (!text || !text[0])
		return json_null();
	strbuf_clear(&maker->scratch);
	strbuf_add_utf8(&maker->scratch, text);
	return json_string(strbuf_text(&maker->scratch));
}

static void put_text(struct maker *maker, json_t *object, const char *key, const char *text)
{
	put(maker, object, key, make_text(maker, text));
}

static json_t *make_u64(uint64_t value)
{
	return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static void put_u64(struct maker *maker, json_t *object, const char *key, uint64_t value)
{
	put(maker, object, key, make_u64(value));
}

/* A count, or an estimate of one, rounded. */
static void put_count(struct maker *maker, json_t *object, const char *key, double value)
{
	put_u64(maker, object, key,
		value > 0 ? value < 9e18 ? (uint64_t)llround(value) : INT64_MAX : 0);
}

static void put_bool(struct maker *maker, json_t *object, const char *key, bool value)
{
	put(maker, object, key, json_boolean(value));
}

static void put_null(struct maker *maker, json_t *object, const char *key)
{
	put(maker, object, key, json_null());
}

static bool is_sampled(const struct maker *maker)
{
	return maker->report->input->snapshot->header.sample_bytes != 0;
}

static json_t *make_pair(double low, double high)
{
	json_t *pair = json_array();
	if (pair && (json_array_append_new(pair, json_real(low)) ||
		     json_array_append_new(pair, json_real(high)))) {
		json_decref(pair);
		return NULL;
	}
	return pair;
}

/* What was seen is there: no interval reaches below it. */
static void put_interval(struct maker *maker, json_t *object, const char *key, double value,
			 double variance, double seen)
{
	const double half = heap_half_width(variance);
	put(maker, object, key, make_pair(fmax(value - half, seen), value + half));
}

static void put_estimate(struct maker *maker, json_t *object, const struct heap_sum *live,
			 bool has_allocs, const struct heap_row *totals)
{
	if (!is_sampled(maker)) {
		put_null(maker, object, "estimate");
		return;
	}
	json_t *estimate = json_object();
	put_u64(maker, estimate, "raw_blocks", live->raw);
	put_interval(maker, estimate, "blocks", live->blocks, live->blocks_variance,
		     (double)live->raw);
	put_interval(maker, estimate, "bytes", live->bytes, live->bytes_variance, 0);
	if (has_allocs) {
		put_u64(maker, estimate, "raw_allocs", totals->raw_allocs);
		put_interval(maker, estimate, "alloc_calls", totals->allocs,
			     totals->allocs_variance, (double)totals->raw_allocs);
		put_interval(maker, estimate, "alloc_bytes", totals->alloc_bytes,
			     totals->alloc_bytes_variance, 0);
	} else {
		put_null(maker, estimate, "raw_allocs");
		put_null(maker, estimate, "alloc_calls");
		put_null(maker, estimate, "alloc_bytes");
	}
	put(maker, object, "estimate", estimate);
}

static json_t *make_command(struct maker *maker)
{
	const struct heap_header *header = &maker->report->input->snapshot->header;
	const size_t n = sizeof(header->command);
	json_t *array = json_array();
	for (size_t at = 0; array && at < n && header->command[at];
	     at += strnlen(header->command + at, n - at) + 1)
		append(maker, array, make_text(maker, header->command + at));
	return array;
}

static void put_start(struct maker *maker, json_t *object)
{
	const uint64_t start_ns = maker->report->input->snapshot->header.start_realtime_ns;
	const time_t seconds = (time_t)(start_ns / 1000000000);
	struct tm utc;
	char text[64];
	if (!gmtime_r(&seconds, &utc) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc)) {
		put_null(maker, object, "start_time");
		return;
	}
	put(maker, object, "start_time",
	    json_sprintf("%s.%09dZ", text, (int)(start_ns % 1000000000)));
}

static json_t *make_target(struct maker *maker)
{
	const struct heap_input *input = maker->report->input;
	const struct heap_header *header = &input->snapshot->header;
	json_t *target = json_object();
	put_u64(maker, target, "pid", header->pid);
	put_text(maker, target, "exe", header->exe);
	put(maker, target, "command", make_command(maker));
	put_text(maker, target, "state", heap_target_state_name(input->target->state));
	put_text(maker, target, "allocator", header->allocator);
	put_start(maker, target);
	put_u64(maker, target, "duration_ns", input->target->now_ns);
	put_bool(maker, target, "duration_at_least", input->target->now_is_guess);
	return target;
}

static json_t *make_mode(struct maker *maker)
{
	const struct heap_header *header = &maker->report->input->snapshot->header;
	json_t *mode = json_object();
	put_bool(maker, mode, "exact", header->sample_bytes == 0);
	put_u64(maker, mode, "sample_bytes", header->sample_bytes);
	/* all 64 bits of it matter, and JSON's numbers have 53 in many a reader */
	put(maker, mode, "seed", json_sprintf("%llu", (unsigned long long)header->seed));
	return mode;
}

static void put_age(struct maker *maker, json_t *object, const struct heap_sum *live,
		    uint64_t oldest_ns)
{
	if (live->raw)
		put_u64(maker, object, "oldest_age_ns", oldest_ns);
	else
		put_null(maker, object, "oldest_age_ns");
}

/* The next event of a thread is seldom a sampled one: who is freed by it cannot be told then. */
static void put_temporary(struct maker *maker, json_t *object, double value)
{
	if (is_sampled(maker))
		put_null(maker, object, "temporary");
	else
		put_count(maker, object, "temporary", value);
}

static json_t *make_totals(struct maker *maker)
{
	const struct heap_analysis *analysis = maker->report->analysis;
	const struct heap_snapshot *snapshot = maker->report->input->snapshot;
	const struct heap_header *header = &snapshot->header;
	json_t *totals = json_object();
	const struct heap_row allocs = {
		.allocs = analysis->allocs,
		.alloc_bytes = analysis->alloc_bytes,
		.allocs_variance = analysis->allocs_variance,
		.alloc_bytes_variance = analysis->alloc_bytes_variance,
		.raw_allocs = analysis->raw_allocs,
	};
	put_count(maker, totals, "blocks", analysis->all.blocks);
	put_count(maker, totals, "bytes", analysis->all.bytes);
	put_count(maker, totals, "peak_blocks", analysis->peak_blocks);
	put_u64(maker, totals, "peak_bytes", header->peak_bytes);
	put_u64(maker, totals, "peak_at_ns",
		header->peak_monotonic_ns > header->start_monotonic_ns
			? header->peak_monotonic_ns - header->start_monotonic_ns
			: 0);
	put_u64(maker, totals, "peak_error_bytes",
		header->max_threads > 1 ? (uint64_t)header->max_threads * header->fold_bytes : 0);
	put_count(maker, totals, "alloc_calls", analysis->allocs);
	put_count(maker, totals, "alloc_bytes", analysis->alloc_bytes);
	put_count(maker, totals, "free_calls", analysis->frees);
	put_count(maker, totals, "free_bytes", analysis->free_bytes);
	put_u64(maker, totals, "reallocs", snapshot->reallocs);
	put_temporary(maker, totals, analysis->temporary);
	put_age(maker, totals, &analysis->all, analysis->oldest_ns);
	put_u64(maker, totals, "sites", analysis->n_used_sites);
	put_u64(maker, totals, "threads", header->max_threads);
	put_estimate(maker, totals, &analysis->all, true, &allocs);
	return totals;
}

static void put_rate(struct maker *maker, json_t *object, const struct heap_growth *growth,
		     bool by_since)
{
	if (growth->verdict == HEAP_GROWTH_UNKNOWN) {
		put_null(maker, object, "bytes_per_hour");
		put_null(maker, object, "interval");
		return;
	}
	put(maker, object, "bytes_per_hour", json_real(growth->rate * 3600));
	/* between two exact copies a difference is what it is */
	put(maker, object, "interval",
	    by_since && growth->low >= growth->high
		    ? json_null()
		    : make_pair(growth->low * 3600, growth->high * 3600));
}

static json_t *make_growth(struct maker *maker, const struct heap_growth *growth)
{
	const bool by_since = maker->report->analysis->growth_by_since;
	json_t *object = json_object();
	put_text(maker, object, "verdict", heap_growth_name(growth->verdict));
	put_text(maker, object, "basis", by_since ? "since" : "ages");
	put_rate(maker, object, growth, by_since);
	put_u64(maker, object, "windows", growth->n_windows);
	put_u64(maker, object, "windows_with_births", growth->n_hit);
	put_u64(maker, object, "window_ns", growth->window_ns);
	return object;
}

static json_t *make_place(struct maker *maker, const struct heap_row *row)
{
	json_t *object = json_object();
	put_text(maker, object, "name", row->name);
	put_text(maker, object, "file", row->file);
	put(maker, object, "line", row->line ? json_integer(row->line) : json_null());
	put_text(maker, object, "module", row->module);
	put_count(maker, object, "blocks", row->live.blocks);
	put_count(maker, object, "bytes", row->live.bytes);
	put_age(maker, object, &row->live, row->oldest_ns);
	put_u64(maker, object, "stacks", row->n_stacks);
	put(maker, object, "growth", make_growth(maker, &row->growth));
	return object;
}

static json_t *make_places(struct maker *maker)
{
	const struct heap_analysis *analysis = maker->report->analysis;
	json_t *array = json_array();
	const size_t limit = maker->report->options->limit;
	for (size_t i = 0; array && i < analysis->n_places && (!limit || i < limit); i++)
		append(maker, array, make_place(maker, &analysis->places[i]));
	return array;
}

static json_t *make_verdict(struct maker *maker)
{
	const struct heap_analysis *analysis = maker->report->analysis;
	struct strbuf text = {0};
	json_t *verdict = json_object();
	heap_add_verdict(analysis, &text);
	put_text(maker, verdict, "kind", heap_verdict_name(heap_verdict_of(analysis)));
	put_text(maker, verdict, "text", strbuf_text(&text));
	put_count(maker, verdict, "blocks", analysis->kept.blocks);
	put_count(maker, verdict, "bytes", analysis->kept.bytes);
	put_u64(maker, verdict, "sites", analysis->n_kept_sites);
	put_u64(maker, verdict, "growing_places", analysis->n_growing);
	put(maker, verdict, "growing_bytes_per_hour", json_real(analysis->growing_rate * 3600));
	put_rate(maker, verdict, &analysis->growth, analysis->growth_by_since);
	put_u64(maker, verdict, "n_places", analysis->n_places);
	put(maker, verdict, "places", make_places(maker));
	put_bool(maker, verdict, "at_least", maker->report->input->snapshot->header.frozen != 0);
	maker->failed |= strbuf_failed(&text);
	strbuf_deinit(&text);
	return verdict;
}

/* Frame @i of the stack that was asked for last. */
static json_t *make_frame(struct maker *maker, size_t i)
{
	const struct heap_analysis *analysis = maker->report->analysis;
	const struct frames *frames = analysis->frames;
	const struct frame *frame = frames_get(frames, analysis->stack[i]);
	json_t *object = json_object();
	put_text(maker, object, "function",
		 frame->symbolized ? frames_text(frames, frame->name) : NULL);
	put_text(maker, object, "file", frames_text(frames, frame->file));
	put(maker, object, "line", frame->line ? json_integer(frame->line) : json_null());
	put_text(maker, object, "module", frames_text(frames, frame->module));
	put_bool(maker, object, "inlined", frame->inlined);
	put_u64(maker, object, "address",
		maker->report->input->profile->locations[analysis->stack_at[i].v].svma);
	return object;
}

static void put_stack(struct maker *maker, json_t *object, const struct heap_row *row)
{
	const frame_id *stack;
	const long n = heap_analysis_stack(maker->report->analysis, row->site, &stack);
	json_t *array = json_array();
	for (long i = 0; array && i < n; i++)
		append(maker, array, make_frame(maker, (size_t)i));
	put(maker, object, "in_charge", n > 0 ? make_frame(maker, row->in_charge) : json_null());
	put(maker, object, "frames", array);
	put_bool(maker, object, "complete", row->complete);
	maker->failed |= n < 0;
}

static void put_allocs(struct maker *maker, json_t *object, const struct heap_row *row)
{
	static const char *const keys[] = {"peak_blocks", "peak_bytes", "alloc_calls",
					   "alloc_bytes"};
	const double values[] = {row->peak_blocks, row->peak_bytes, row->allocs, row->alloc_bytes};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (maker->report->options->by == HEAP_BY_THREAD)
			put_null(maker, object, keys[i]);
		else
			put_count(maker, object, keys[i], values[i]);
	}
	if (maker->report->options->by == HEAP_BY_THREAD)
		put_null(maker, object, "temporary");
	else
		put_temporary(maker, object, row->temporary);
}

static json_t *make_row(struct maker *maker, const struct heap_row *row)
{
	const enum heap_by by = maker->report->options->by;
	json_t *object = json_object();
	put_text(maker, object, "name", row->name);
	put_count(maker, object, "blocks", row->live.blocks);
	put_count(maker, object, "bytes", row->live.bytes);
	put_allocs(maker, object, row);
	put_age(maker, object, &row->live, row->oldest_ns);
	put(maker, object, "threads",
	    by == HEAP_BY_SITE ? json_integer(row->n_threads) : json_null());
	if (by == HEAP_BY_SITE) {
		put(maker, object, "growth", make_growth(maker, &row->growth));
		put_stack(maker, object, row);
	} else {
		put_null(maker, object, "growth");
		put_null(maker, object, "in_charge");
		put_null(maker, object, "frames");
		put_null(maker, object, "complete");
	}
	put_estimate(maker, object, &row->live, by != HEAP_BY_THREAD, row);
	return object;
}

static json_t *make_sizes(struct maker *maker)
{
	const struct heap_snapshot *snapshot = maker->report->input->snapshot;
	json_t *array = json_array();
	for (unsigned i = 0; array && i < HEAP_SIZE_CLASSES; i++) {
		if (!snapshot->size_allocs[i])
			continue;
		json_t *object = json_object();
		put_u64(maker, object, "min_bytes", i ? UINT64_C(1) << (i - 1) : 0);
		put_u64(maker, object, "max_bytes", i ? (UINT64_C(1) << i) - 1 : 0);
		put_u64(maker, object, "alloc_calls", snapshot->size_allocs[i]);
		put_u64(maker, object, "alloc_bytes", snapshot->size_bytes[i]);
		append(maker, array, object);
	}
	return array;
}

static json_t *make_sum(struct maker *maker, const struct heap_sum *sum)
{
	json_t *object = json_object();
	put_count(maker, object, "blocks", sum->blocks);
	put_count(maker, object, "bytes", sum->bytes);
	return object;
}

static json_t *make_suppressed(struct maker *maker)
{
	const struct heap_suppressions *rules = maker->report->input->rules;
	json_t *object = make_sum(maker, &maker->report->analysis->suppressed);
	json_t *array = json_array();
	for (size_t i = 0; array && i < rules->n; i++) {
		const struct heap_rule *rule = &rules->rules[i];
		if (rule->blocks <= 0)
			continue;
		json_t *entry = json_object();
		put_text(maker, entry, "pattern", rule->pattern);
		put_bool(maker, entry, "builtin", rule->builtin);
		put_count(maker, entry, "blocks", rule->blocks);
		put_count(maker, entry, "bytes", rule->bytes);
		append(maker, array, entry);
	}
	put(maker, object, "rules", array);
	return object;
}

static json_t *make_rss(struct maker *maker)
{
	const struct heap_rss *rss = maker->report->input->rss;
	if (!rss)
		return json_null();
	json_t *object = json_object();
	const bool resident = rss->malloc_bytes >= rss->live_bytes;
	put_u64(maker, object, "total_bytes", rss->total_bytes);
	put_u64(maker, object, "malloc_bytes", rss->malloc_bytes);
	put_u64(maker, object, "live_bytes", rss->live_bytes);
	put_u64(maker, object, "overhead_bytes",
		resident ? rss->malloc_bytes - rss->live_bytes : 0);
	put_u64(maker, object, "untouched_bytes",
		resident ? 0 : rss->live_bytes - rss->malloc_bytes);
	put_u64(maker, object, "other_anonymous_bytes", rss->other_anonymous_bytes);
	put_u64(maker, object, "stack_bytes", rss->stack_bytes);
	put_u64(maker, object, "file_bytes", rss->file_bytes);
	put_u64(maker, object, "shared_bytes", rss->shared_bytes);
	put_u64(maker, object, "recorder_bytes", rss->recorder_bytes);
	return object;
}

static json_t *make_missing(struct maker *maker)
{
	const struct heap_missing_list *list = &maker->report->missing;
	json_t *array = json_array();
	for (size_t i = 0; array && i < list->n; i++) {
		json_t *entry = json_object();
		put_text(maker, entry, "module", list->items[i].path);
		put_text(maker, entry, "build_id", list->items[i].build_id);
		put_text(maker, entry, "reason", list->items[i].reason);
		put_text(maker, entry, "remedy", list->items[i].remedy);
		append(maker, array, entry);
	}
	return array;
}

static json_t *make_coverage(struct maker *maker)
{
	struct heap_coverage coverage = {0};
	json_t *object = json_object(), *cut = json_object();
	heap_coverage_count(maker->report->analysis, &coverage);
	put_u64(maker, object, "sites", coverage.sites);
	put_u64(maker, object, "complete_sites", coverage.complete);
	put_u64(maker, object, "frame_pointer_sites", coverage.by_fp);
	put_u64(maker, cut, "truncated", coverage.truncated);
	put_u64(maker, cut, "no_cfi", coverage.no_cfi);
	put_u64(maker, cut, "unsupported", coverage.unsupported);
	put_u64(maker, cut, "bad", coverage.bad);
	put(maker, object, "cut_sites", cut);
	put_u64(maker, object, "frames", coverage.frames);
	put_u64(maker, object, "symbolized_frames", coverage.symbolized);
	put_u64(maker, object, "frames_with_lines", coverage.with_lines);
	put(maker, object, "missing", make_missing(maker));
	put_text(maker, object, "remedy_note", maker->report->missing.note);
	put_text(maker, object, "remedy_command", maker->report->missing.command);
	return object;
}

static json_t *make_losses(struct maker *maker)
{
	static const char *const names[HEAP_LOSS_COUNT] = {
		[HEAP_LOSS_REENTERED] = "reentered",
		[HEAP_LOSS_TABLE_FULL] = "table_full",
		[HEAP_LOSS_NO_SPACE] = "no_space",
		[HEAP_LOSS_LOCK] = "lock",
		[HEAP_LOSS_SITES_FULL] = "sites_full",
		[HEAP_LOSS_UNKNOWN_FREE] = "unknown_free",
		[HEAP_LOSS_MISSED_FREE] = "missed_free",
		[HEAP_LOSS_BOOTSTRAP] = "bootstrap",
		[HEAP_LOSS_STACK_LOCK] = "stack_lock",
		[HEAP_LOSS_STACK_NO_SPACE] = "stack_no_space",
		[HEAP_LOSS_MODULES_FULL] = "modules_full",
	};
	const struct heap_snapshot *snapshot = maker->report->input->snapshot;
	const struct heap_analysis *analysis = maker->report->analysis;
	json_t *object = json_object();
	put_bool(maker, object, "frozen", snapshot->header.frozen != 0);
	for (size_t i = 0; i < HEAP_LOSS_COUNT; i++)
		put_u64(maker, object, names[i], snapshot->header.losses[i]);
	put_u64(maker, object, "torn_blocks", snapshot->torn_blocks);
	put(maker, object, "difference_blocks",
	    json_integer(llround(analysis->allocs - analysis->frees - analysis->all.blocks)));
	return object;
}

static json_t *make_refused(struct maker *maker)
{
	const uint32_t refused = maker->report->input->snapshot->header.settings_refused;
	json_t *array = json_array();
	for (size_t i = 0; array && i < HEAP_SETTING_COUNT; i++) {
		const char *name = i < HEAP_SETTING_NUMBERS   ? heap_setting_numbers[i].name
				   : i == HEAP_SETTING_FOLLOW ? "CPROF_HEAP_FOLLOW"
							      : "CPROF_HEAP_OUTPUT";
		if (refused >> i & 1)
			append(maker, array, json_string(name));
	}
	return array;
}

static json_t *make_limits(struct maker *maker)
{
	const struct heap_header *header = &maker->report->input->snapshot->header;
	json_t *object = json_object();
	put_u64(maker, object, "blocks",
		header->limit_blocks ? header->limit_blocks : header->max_blocks);
	put_u64(maker, object, "block_bytes", sizeof(struct heap_block));
	put_u64(maker, object, "frames", header->max_nodes);
	put_u64(maker, object, "sites", header->max_sites);
	put_u64(maker, object, "modules", header->max_modules);
	put_u64(maker, object, "file_bytes", maker->report->input->snapshot->disk_bytes);
	put(maker, object, "settings_refused", make_refused(maker));
	return object;
}

static json_t *make_gates(struct maker *maker)
{
	json_t *array = json_array();
	for (size_t i = 0; array && i < maker->report->n_gates; i++) {
		const struct heap_gate *gate = &maker->report->gates[i];
		json_t *object = json_object();
		put_text(maker, object, "gate", gate->name);
		put_count(maker, object, "limit", gate->limit);
		put_count(maker, object, "value", gate->value);
		if (gate->most > 0)
			put_count(maker, object, "most", gate->most);
		else
			put_null(maker, object, "most");
		put_text(maker, object, "result", heap_gate_result_name(gate->result));
		put_text(maker, object, "reason", gate->reason);
		append(maker, array, object);
	}
	return array;
}

static const char *const bys[] = {"site", "function", "file", "module", "thread"};
static const char *const sorts[] = {"live", "peak", "bytes", "calls"};

/* What stands before the rows, and behind them. */
static json_t *make_head(struct maker *maker)
{
	const struct heap_report *report = maker->report;
	json_t *object = json_object();
	put_text(maker, object, "schema", "cprof-heap/1");
	put_text(maker, object, "file", report->input->path);
	put_text(maker, object, "since", report->input->since ? report->input->since_path : NULL);
	put(maker, object, "target", make_target(maker));
	put(maker, object, "mode", make_mode(maker));
	put(maker, object, "totals", make_totals(maker));
	put(maker, object, "verdict", make_verdict(maker));
	put_text(maker, object, "by", bys[report->options->by]);
	put_text(maker, object, "sort", sorts[report->options->sort]);
	put_u64(maker, object, "min_age_ns", report->options->min_age_ns);
	return object;
}

/* So that the rows and this add up to the verdict. */
static json_t *make_not_shown(struct maker *maker)
{
	const struct heap_report *report = maker->report;
	struct heap_sum sum = {0};
	for (size_t i = report->n_shown; i < report->analysis->n_rows; i++) {
		sum.blocks += report->analysis->rows[i].live.blocks;
		sum.bytes += report->analysis->rows[i].live.bytes;
	}
	return make_sum(maker, &sum);
}

static json_t *make_tail(struct maker *maker)
{
	const struct heap_report *report = maker->report;
	json_t *object = json_object();
	put_u64(maker, object, "n_rows", report->analysis->n_rows);
	put(maker, object, "not_shown", make_not_shown(maker));
	put(maker, object, "sizes", make_sizes(maker));
	put(maker, object, "suppressed", make_suppressed(maker));
	put(maker, object, "too_young", make_sum(maker, &report->analysis->too_young));
	put(maker, object, "before",
	    report->input->since ? make_sum(maker, &report->analysis->before) : json_null());
	put(maker, object, "rss", make_rss(maker));
	put(maker, object, "coverage", make_coverage(maker));
	put(maker, object, "limits", make_limits(maker));
	put(maker, object, "losses", make_losses(maker));
	put(maker, object, "gates", make_gates(maker));
	return object;
}

enum { JSON_STYLE = JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12) };

/* A failed write stays in the stream's error flag. */
static void write_members(const struct maker *maker, json_t *object, const char *before)
{
	const char *key, *separator = before;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		fprintf(maker->report->out, "%s\"%s\": ", separator, key);
		json_dumpf(value, maker->report->out, JSON_STYLE | JSON_INDENT(2));
		separator = ",\n";
	}
}

/*
 * One at a time, a line each: a hundred thousand stacks with their frames would take gigabytes as
 * one object.
 */
static void write_rows(struct maker *maker)
{
	FILE *out = maker->report->out;
	const bool by_site = maker->report->options->by == HEAP_BY_SITE;
	fprintf(out, ",\n\"%s\": null,\n\"%s\": [", by_site ? "rows" : "sites",
		by_site ? "sites" : "rows");
	for (size_t i = 0; i < maker->report->n_shown && !maker->failed; i++) {
		json_t *row = make_row(maker, &maker->report->analysis->rows[i]);
		fputs(i ? ",\n" : "\n", out);
		json_dumpf(row, out, JSON_STYLE | JSON_COMPACT);
		json_decref(row);
	}
	fputs("],\n", out);
}

int heap_json(const struct heap_report *report)
{
	struct maker maker = {.report = report};
	json_t *head = make_head(&maker), *tail = make_tail(&maker);
	if (!maker.failed) {
		write_members(&maker, head, "{\n");
		write_rows(&maker);
		write_members(&maker, tail, "");
		fputs("\n}\n", report->out);
	}
	maker.failed = maker.failed || strbuf_failed(&maker.scratch);
	json_decref(head);
	json_decref(tail);
	strbuf_deinit(&maker.scratch);
	return maker.failed ? -ENOMEM : 0;
}
