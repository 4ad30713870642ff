/* The heap report for programs; heap_json.md documents the schema. */
#include "heap/heap_settings.h"
#include "heap_json_rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *make_command(struct heap_json *maker)
{
	const struct heap_header *header = &maker->report->input->snapshot->header;
	const size_t n = sizeof(header->command);
	json_t *array = json_array();
	for (size_t at = 0; array && at < n && header->command[at];
	     at += strnlen(header->command + at, n - at) + 1)
		json_put_item(&maker->put, array,
			      json_put_make_text(&maker->put, header->command + at));
	return array;
}

static json_t *make_target(struct heap_json *maker)
{
	const struct heap_input *input = maker->report->input;
	const struct heap_header *header = &input->snapshot->header;
	json_t *target = json_object();
	json_put_u64(&maker->put, target, "pid", header->pid);
	json_put_text(&maker->put, target, "exe", header->exe);
	json_put(&maker->put, target, "command", make_command(maker));
	json_put_text(&maker->put, target, "state", heap_target_state_name(input->target->state));
	json_put_text(&maker->put, target, "allocator", header->allocator);
	json_put_time(&maker->put, target, "start_time", (int64_t)header->start_realtime_ns);
	json_put_u64(&maker->put, target, "duration_ns", input->target->now_ns);
	json_put_bool(&maker->put, target, "duration_at_least", input->target->now_is_guess);
	return target;
}

static json_t *make_mode(struct heap_json *maker)
{
	const struct heap_header *header = &maker->report->input->snapshot->header;
	json_t *mode = json_object();
	json_put_bool(&maker->put, mode, "exact", header->sample_bytes == 0);
	json_put_u64(&maker->put, mode, "sample_bytes", header->sample_bytes);
	/* all 64 bits of it matter, and JSON's numbers have 53 in many a reader */
	json_put(&maker->put, mode, "seed", json_sprintf("%llu", (unsigned long long)header->seed));
	return mode;
}

static json_t *make_totals(struct heap_json *maker)
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
	json_put_count(&maker->put, totals, "blocks", analysis->all.blocks);
	json_put_count(&maker->put, totals, "bytes", analysis->all.bytes);
	json_put_count(&maker->put, totals, "peak_blocks", analysis->peak_blocks);
	json_put_u64(&maker->put, totals, "peak_bytes", header->peak_bytes);
	json_put_u64(&maker->put, totals, "peak_at_ns",
		     header->peak_monotonic_ns > header->start_monotonic_ns
			     ? header->peak_monotonic_ns - header->start_monotonic_ns
			     : 0);
	json_put_u64(&maker->put, totals, "peak_error_bytes",
		     header->max_threads > 1 ? (uint64_t)header->max_threads * header->fold_bytes
					     : 0);
	json_put_count(&maker->put, totals, "alloc_calls", analysis->allocs);
	json_put_count(&maker->put, totals, "alloc_bytes", analysis->alloc_bytes);
	json_put_count(&maker->put, totals, "free_calls", analysis->frees);
	json_put_count(&maker->put, totals, "free_bytes", analysis->free_bytes);
	json_put_u64(&maker->put, totals, "reallocs", snapshot->reallocs);
	heap_json_put_temporary(maker, totals, analysis->temporary);
	heap_json_put_age(maker, totals, &analysis->all, analysis->oldest_ns);
	json_put_u64(&maker->put, totals, "sites", analysis->n_used_sites);
	json_put_u64(&maker->put, totals, "threads", header->max_threads);
	heap_json_put_estimate(maker, totals, &analysis->all, true, &allocs);
	return totals;
}

static json_t *make_sizes(struct heap_json *maker)
{
	const struct heap_snapshot *snapshot = maker->report->input->snapshot;
	json_t *array = json_array();
	for (unsigned i = 0; array && i < HEAP_SIZE_CLASSES; i++) {
		if (!snapshot->size_allocs[i])
			continue;
		json_t *object = json_object();
		json_put_u64(&maker->put, object, "min_bytes", i ? UINT64_C(1) << (i - 1) : 0);
		json_put_u64(&maker->put, object, "max_bytes", i ? (UINT64_C(1) << i) - 1 : 0);
		json_put_u64(&maker->put, object, "alloc_calls", snapshot->size_allocs[i]);
		json_put_u64(&maker->put, object, "alloc_bytes", snapshot->size_bytes[i]);
		json_put_item(&maker->put, array, object);
	}
	return array;
}

static json_t *make_sum(struct heap_json *maker, const struct heap_sum *sum)
{
	json_t *object = json_object();
	json_put_count(&maker->put, object, "blocks", sum->blocks);
	json_put_count(&maker->put, object, "bytes", sum->bytes);
	return object;
}

static json_t *make_suppressed(struct heap_json *maker)
{
	const struct heap_suppressions *rules = maker->report->input->rules;
	json_t *object = make_sum(maker, &maker->report->analysis->suppressed);
	json_t *array = json_array();
	for (size_t i = 0; array && i < rules->n; i++) {
		const struct heap_rule *rule = &rules->rules[i];
		if (rule->blocks <= 0)
			continue;
		json_t *entry = json_object();
		json_put_text(&maker->put, entry, "pattern", rule->pattern);
		json_put_bool(&maker->put, entry, "builtin", rule->builtin);
		json_put_count(&maker->put, entry, "blocks", rule->blocks);
		json_put_count(&maker->put, entry, "bytes", rule->bytes);
		json_put_item(&maker->put, array, entry);
	}
	json_put(&maker->put, object, "rules", array);
	return object;
}

static json_t *make_rss(struct heap_json *maker)
{
	const struct heap_rss *rss = maker->report->input->rss;
	if (!rss)
		return json_null();
	json_t *object = json_object();
	const bool resident = rss->malloc_bytes >= rss->live_bytes;
	json_put_u64(&maker->put, object, "total_bytes", rss->total_bytes);
	json_put_u64(&maker->put, object, "malloc_bytes", rss->malloc_bytes);
	json_put_u64(&maker->put, object, "live_bytes", rss->live_bytes);
	json_put_u64(&maker->put, object, "overhead_bytes",
		     resident ? rss->malloc_bytes - rss->live_bytes : 0);
	json_put_u64(&maker->put, object, "untouched_bytes",
		     resident ? 0 : rss->live_bytes - rss->malloc_bytes);
	json_put_u64(&maker->put, object, "other_anonymous_bytes", rss->other_anonymous_bytes);
	json_put_u64(&maker->put, object, "stack_bytes", rss->stack_bytes);
	json_put_u64(&maker->put, object, "file_bytes", rss->file_bytes);
	json_put_u64(&maker->put, object, "shared_bytes", rss->shared_bytes);
	json_put_u64(&maker->put, object, "recorder_bytes", rss->recorder_bytes);
	return object;
}

static json_t *make_missing(struct heap_json *maker)
{
	const struct heap_missing_list *list = &maker->report->missing;
	json_t *array = json_array();
	for (size_t i = 0; array && i < list->n; i++) {
		json_t *entry = json_object();
		json_put_text(&maker->put, entry, "module", list->items[i].path);
		json_put_text(&maker->put, entry, "build_id", list->items[i].build_id);
		json_put_text(&maker->put, entry, "reason", list->items[i].reason);
		json_put_text(&maker->put, entry, "remedy", list->items[i].remedy);
		json_put_item(&maker->put, array, entry);
	}
	return array;
}

static json_t *make_coverage(struct heap_json *maker)
{
	struct heap_coverage coverage = {0};
	json_t *object = json_object(), *cut = json_object();
	heap_coverage_count(maker->report->analysis, &coverage);
	json_put_u64(&maker->put, object, "sites", coverage.sites);
	json_put_u64(&maker->put, object, "complete_sites", coverage.complete);
	json_put_u64(&maker->put, object, "frame_pointer_sites", coverage.by_fp);
	json_put_u64(&maker->put, cut, "truncated", coverage.truncated);
	json_put_u64(&maker->put, cut, "no_cfi", coverage.no_cfi);
	json_put_u64(&maker->put, cut, "unsupported", coverage.unsupported);
	json_put_u64(&maker->put, cut, "bad", coverage.bad);
	json_put(&maker->put, object, "cut_sites", cut);
	json_put_u64(&maker->put, object, "frames", coverage.frames);
	json_put_u64(&maker->put, object, "symbolized_frames", coverage.symbolized);
	json_put_u64(&maker->put, object, "frames_with_lines", coverage.with_lines);
	json_put(&maker->put, object, "missing", make_missing(maker));
	json_put_text(&maker->put, object, "remedy_note", maker->report->missing.note);
	json_put_text(&maker->put, object, "remedy_command", maker->report->missing.command);
	return object;
}

static json_t *make_losses(struct heap_json *maker)
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
	json_put_bool(&maker->put, object, "frozen", snapshot->header.frozen != 0);
	for (size_t i = 0; i < HEAP_LOSS_COUNT; i++)
		json_put_u64(&maker->put, object, names[i], snapshot->header.losses[i]);
	json_put_u64(&maker->put, object, "torn_blocks", snapshot->torn_blocks);
	json_put(&maker->put, object, "difference_blocks",
		 json_integer(llround(analysis->allocs - analysis->frees - analysis->all.blocks)));
	return object;
}

static json_t *make_refused(struct heap_json *maker)
{
	const uint32_t refused = maker->report->input->snapshot->header.settings_refused;
	json_t *array = json_array();
	for (size_t i = 0; array && i < HEAP_SETTING_COUNT; i++) {
		const char *name = i < HEAP_SETTING_NUMBERS   ? heap_setting_numbers[i].name
				   : i == HEAP_SETTING_FOLLOW ? "CPROF_HEAP_FOLLOW"
							      : "CPROF_HEAP_OUTPUT";
		if (refused >> i & 1)
			json_put_item(&maker->put, array, json_string(name));
	}
	return array;
}

static json_t *make_limits(struct heap_json *maker)
{
	const struct heap_header *header = &maker->report->input->snapshot->header;
	json_t *object = json_object();
	json_put_u64(&maker->put, object, "blocks",
		     header->limit_blocks ? header->limit_blocks : header->max_blocks);
	json_put_u64(&maker->put, object, "block_bytes", sizeof(struct heap_block));
	json_put_u64(&maker->put, object, "frames", header->max_nodes);
	json_put_u64(&maker->put, object, "sites", header->max_sites);
	json_put_u64(&maker->put, object, "modules", header->max_modules);
	json_put_u64(&maker->put, object, "file_bytes", maker->report->input->snapshot->disk_bytes);
	json_put(&maker->put, object, "settings_refused", make_refused(maker));
	return object;
}

static json_t *make_gates(struct heap_json *maker)
{
	json_t *array = json_array();
	for (size_t i = 0; array && i < maker->report->n_gates; i++) {
		const struct heap_gate *gate = &maker->report->gates[i];
		json_t *object = json_object();
		json_put_text(&maker->put, object, "gate", gate->name);
		json_put_text(&maker->put, object, "option", gate->option);
		json_put_count(&maker->put, object, "limit", gate->limit);
		json_put_count(&maker->put, object, "value", gate->value);
		if (gate->most > 0)
			json_put_count(&maker->put, object, "most", gate->most);
		else
			json_put_null(&maker->put, object, "most");
		json_put_text(&maker->put, object, "result", heap_gate_result_name(gate->result));
		json_put_text(&maker->put, object, "reason", gate->reason);
		json_put_item(&maker->put, array, object);
	}
	return array;
}

static const char *const bys[] = {"site", "function", "file", "module", "thread"};

static const char *const sorts[] = {"live", "peak", "bytes", "calls"};

/* What stands before the rows, and behind them. */
static json_t *make_head(struct heap_json *maker)
{
	const struct heap_report *report = maker->report;
	json_t *object = json_object();
	json_put_text(&maker->put, object, "schema", "cprof-heap/1");
	json_put_text(&maker->put, object, "file", report->input->path);
	json_put_text(&maker->put, object, "since",
		      report->input->since ? report->input->since_path : NULL);
	json_put(&maker->put, object, "target", make_target(maker));
	json_put(&maker->put, object, "mode", make_mode(maker));
	json_put(&maker->put, object, "totals", make_totals(maker));
	json_put(&maker->put, object, "verdict", heap_json_make_verdict(maker));
	json_put_text(&maker->put, object, "by", bys[report->options->by]);
	json_put_text(&maker->put, object, "sort", sorts[report->options->sort]);
	json_put_u64(&maker->put, object, "min_age_ns", report->options->min_age_ns);
	return object;
}

/* So that the rows and this add up to the verdict. */
static json_t *make_not_shown(struct heap_json *maker)
{
	const struct heap_report *report = maker->report;
	struct heap_sum sum = {0};
	for (size_t i = report->n_shown; i < report->analysis->n_rows; i++) {
		sum.blocks += report->analysis->rows[i].live.blocks;
		sum.bytes += report->analysis->rows[i].live.bytes;
	}
	return make_sum(maker, &sum);
}

static json_t *make_tail(struct heap_json *maker)
{
	const struct heap_report *report = maker->report;
	json_t *object = json_object();
	json_put_u64(&maker->put, object, "n_rows", report->analysis->n_rows);
	json_put(&maker->put, object, "not_shown", make_not_shown(maker));
	json_put(&maker->put, object, "sizes", make_sizes(maker));
	json_put(&maker->put, object, "suppressed", make_suppressed(maker));
	json_put(&maker->put, object, "too_young", make_sum(maker, &report->analysis->too_young));
	json_put(&maker->put, object, "before",
		 report->input->since ? make_sum(maker, &report->analysis->before) : json_null());
	json_put(&maker->put, object, "rss", make_rss(maker));
	json_put(&maker->put, object, "coverage", make_coverage(maker));
	json_put(&maker->put, object, "limits", make_limits(maker));
	json_put(&maker->put, object, "losses", make_losses(maker));
	json_put(&maker->put, object, "gates", make_gates(maker));
	return object;
}

enum { JSON_STYLE = JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12) };

/* A failed write stays in the stream's error flag. */
static void write_members(const struct heap_json *maker, json_t *object, const char *before)
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
static void write_rows(struct heap_json *maker)
{
	FILE *out = maker->report->out;
	const bool by_site = maker->report->options->by == HEAP_BY_SITE;
	fprintf(out, ",\n\"%s\": null,\n\"%s\": [", by_site ? "rows" : "sites",
		by_site ? "sites" : "rows");
	for (size_t i = 0; i < maker->report->n_shown && !maker->put.failed; i++) {
		json_t *row = heap_json_make_row(maker, &maker->report->analysis->rows[i]);
		fputs(i ? ",\n" : "\n", out);
		json_dumpf(row, out, JSON_STYLE | JSON_COMPACT);
		json_decref(row);
	}
	fputs("],\n", out);
}

int heap_json(const struct heap_report *report)
{
	struct heap_json maker = {.report = report};
	json_t *head = make_head(&maker), *tail = make_tail(&maker);
	if (!json_put_failed(&maker.put)) {
		write_members(&maker, head, "{\n");
		write_rows(&maker);
		write_members(&maker, tail, "");
		fputs("\n}\n", report->out);
	}
	const bool failed = json_put_failed(&maker.put);
	json_decref(head);
	json_decref(tail);
	json_put_deinit(&maker.put);
	return failed ? -ENOMEM : 0;
}
