#include "heap_json_rows.h"

#include <math.h>

static bool is_sampled(const struct heap_json *maker)
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
static void put_interval(struct heap_json *maker, json_t *object, const char *key, double value,
			 double variance, double seen)
{
	const double half = heap_half_width(variance);
	json_put(&maker->put, object, key, make_pair(fmax(value - half, seen), value + half));
}

void heap_json_put_estimate(struct heap_json *maker, json_t *object, const struct heap_sum *live,
			    bool has_allocs, const struct heap_row *totals)
{
	if (!is_sampled(maker)) {
		json_put_null(&maker->put, object, "estimate");
		return;
	}
	json_t *estimate = json_object();
	json_put_u64(&maker->put, estimate, "raw_blocks", live->raw);
	put_interval(maker, estimate, "blocks", live->blocks, live->blocks_variance,
		     (double)live->raw);
	put_interval(maker, estimate, "bytes", live->bytes, live->bytes_variance, 0);
	if (has_allocs) {
		json_put_u64(&maker->put, estimate, "raw_allocs", totals->raw_allocs);
		put_interval(maker, estimate, "alloc_calls", totals->allocs,
			     totals->allocs_variance, (double)totals->raw_allocs);
		put_interval(maker, estimate, "alloc_bytes", totals->alloc_bytes,
			     totals->alloc_bytes_variance, 0);
	} else {
		json_put_null(&maker->put, estimate, "raw_allocs");
		json_put_null(&maker->put, estimate, "alloc_calls");
		json_put_null(&maker->put, estimate, "alloc_bytes");
	}
	json_put(&maker->put, object, "estimate", estimate);
}

void heap_json_put_age(struct heap_json *maker, json_t *object, const struct heap_sum *live,
		       uint64_t oldest_ns)
{
	if (live->raw)
		json_put_u64(&maker->put, object, "oldest_age_ns", oldest_ns);
	else
		json_put_null(&maker->put, object, "oldest_age_ns");
}

/* The next event of a thread is seldom a sampled one: who is freed by it cannot be told then. */
void heap_json_put_temporary(struct heap_json *maker, json_t *object, double value)
{
	if (is_sampled(maker))
		json_put_null(&maker->put, object, "temporary");
	else
		json_put_count(&maker->put, object, "temporary", value);
}

static void put_rate(struct heap_json *maker, json_t *object, const struct heap_growth *growth,
		     bool by_since)
{
	if (growth->verdict == HEAP_GROWTH_UNKNOWN) {
		json_put_null(&maker->put, object, "bytes_per_hour");
		json_put_null(&maker->put, object, "mean_bytes_per_hour");
		json_put_null(&maker->put, object, "interval");
		return;
	}
	json_put(&maker->put, object, "bytes_per_hour", json_real(growth->rate * 3600));
	json_put(&maker->put, object, "mean_bytes_per_hour", json_real(growth->mean * 3600));
	/* between two exact copies a difference is what it is */
	json_put(&maker->put, object, "interval",
		 by_since && growth->low >= growth->high
			 ? json_null()
			 : make_pair(growth->low * 3600, growth->high * 3600));
}

static json_t *make_growth(struct heap_json *maker, const struct heap_growth *growth)
{
	const bool by_since = maker->report->analysis->growth_by_since;
	json_t *object = json_object();
	json_put_text(&maker->put, object, "verdict", heap_growth_name(growth->verdict));
	json_put_text(&maker->put, object, "basis", by_since ? "since" : "ages");
	put_rate(maker, object, growth, by_since);
	json_put_u64(&maker->put, object, "windows", growth->n_windows);
	json_put_u64(&maker->put, object, "windows_with_births", growth->n_hit);
	json_put_u64(&maker->put, object, "window_ns", growth->window_ns);
	return object;
}

static json_t *make_place(struct heap_json *maker, const struct heap_row *row)
{
	json_t *object = json_object();
	json_put_text(&maker->put, object, "name", row->name);
	json_put_text(&maker->put, object, "file", row->file);
	json_put(&maker->put, object, "line", row->line ? json_integer(row->line) : json_null());
	json_put_text(&maker->put, object, "module", row->module);
	json_put_count(&maker->put, object, "blocks", row->live.blocks);
	json_put_count(&maker->put, object, "bytes", row->live.bytes);
	heap_json_put_age(maker, object, &row->live, row->oldest_ns);
	json_put_u64(&maker->put, object, "stacks", row->n_stacks);
	json_put(&maker->put, object, "growth", make_growth(maker, &row->growth));
	return object;
}

static json_t *make_places(struct heap_json *maker)
{
	const struct heap_analysis *analysis = maker->report->analysis;
	json_t *array = json_array();
	const size_t limit = maker->report->options->limit;
	for (size_t i = 0; array && i < analysis->n_places && (!limit || i < limit); i++)
		json_put_item(&maker->put, array, make_place(maker, &analysis->places[i]));
	return array;
}

json_t *heap_json_make_verdict(struct heap_json *maker)
{
	const struct heap_analysis *analysis = maker->report->analysis;
	struct strbuf text = {0};
	json_t *verdict = json_object();
	heap_add_verdict(analysis, &text);
	json_put_text(&maker->put, verdict, "kind", heap_verdict_name(heap_verdict_of(analysis)));
	json_put_text(&maker->put, verdict, "text", strbuf_text(&text));
	json_put_count(&maker->put, verdict, "blocks", analysis->kept.blocks);
	json_put_count(&maker->put, verdict, "bytes", analysis->kept.bytes);
	json_put_u64(&maker->put, verdict, "sites", analysis->n_kept_sites);
	json_put_u64(&maker->put, verdict, "growing_places", analysis->n_growing);
	json_put(&maker->put, verdict, "growing_bytes_per_hour",
		 json_real(analysis->growing_rate * 3600));
	json_put(&maker->put, verdict, "growing_mean_bytes_per_hour",
		 json_real(analysis->growing_mean * 3600));
	json_put(&maker->put, verdict, "judged_bytes_per_hour",
		 analysis->growth.verdict == HEAP_GROWTH_UNKNOWN
			 ? json_null()
			 : json_real(heap_gates_growth(analysis) * 3600));
	put_rate(maker, verdict, &analysis->growth, analysis->growth_by_since);
	json_put_u64(&maker->put, verdict, "n_places", analysis->n_places);
	json_put(&maker->put, verdict, "places", make_places(maker));
	json_put_bool(&maker->put, verdict, "at_least",
		      maker->report->input->snapshot->header.frozen != 0);
	maker->put.failed |= strbuf_failed(&text);
	strbuf_deinit(&text);
	return verdict;
}

/* Frame @i of the stack that was asked for last. */
static json_t *make_frame(struct heap_json *maker, size_t i)
{
	const struct heap_analysis *analysis = maker->report->analysis;
	const struct frames *frames = analysis->frames;
	const struct frame *frame = frames_get(frames, analysis->stack[i]);
	json_t *object = json_object();
	json_put_text(&maker->put, object, "function",
		      frame->symbolized ? frames_text(frames, frame->name) : NULL);
	json_put_text(&maker->put, object, "file", frames_text(frames, frame->file));
	json_put(&maker->put, object, "line",
		 frame->line ? json_integer(frame->line) : json_null());
	json_put_text(&maker->put, object, "module", frames_text(frames, frame->module));
	json_put_bool(&maker->put, object, "inlined", frame->inlined);
	json_put_u64(&maker->put, object, "address",
		     maker->report->input->profile->locations[analysis->stack_at[i].v].svma);
	return object;
}

static void put_stack(struct heap_json *maker, json_t *object, const struct heap_row *row)
{
	const frame_id *stack;
	const long n = heap_analysis_stack(maker->report->analysis, row->site, &stack);
	json_t *array = json_array();
	for (long i = 0; array && i < n; i++)
		json_put_item(&maker->put, array, make_frame(maker, (size_t)i));
	json_put(&maker->put, object, "in_charge",
		 n > 0 ? make_frame(maker, row->in_charge) : json_null());
	json_put(&maker->put, object, "frames", array);
	json_put_bool(&maker->put, object, "complete", row->complete);
	maker->put.failed |= n < 0;
}

static void put_allocs(struct heap_json *maker, json_t *object, const struct heap_row *row)
{
	static const char *const keys[] = {"peak_blocks", "peak_bytes", "alloc_calls",
					   "alloc_bytes"};
	const double values[] = {row->peak_blocks, row->peak_bytes, row->allocs, row->alloc_bytes};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (maker->report->options->by == HEAP_BY_THREAD)
			json_put_null(&maker->put, object, keys[i]);
		else
			json_put_count(&maker->put, object, keys[i], values[i]);
	}
	if (maker->report->options->by == HEAP_BY_THREAD)
		json_put_null(&maker->put, object, "temporary");
	else
		heap_json_put_temporary(maker, object, row->temporary);
}

json_t *heap_json_make_row(struct heap_json *maker, const struct heap_row *row)
{
	const enum heap_by by = maker->report->options->by;
	json_t *object = json_object();
	json_put_text(&maker->put, object, "name", row->name);
	json_put_count(&maker->put, object, "blocks", row->live.blocks);
	json_put_count(&maker->put, object, "bytes", row->live.bytes);
	put_allocs(maker, object, row);
	heap_json_put_age(maker, object, &row->live, row->oldest_ns);
	json_put(&maker->put, object, "threads",
		 by == HEAP_BY_SITE ? json_integer(row->n_threads) : json_null());
	if (by == HEAP_BY_SITE) {
		json_put(&maker->put, object, "growth", make_growth(maker, &row->growth));
		put_stack(maker, object, row);
	} else {
		json_put_null(&maker->put, object, "growth");
		json_put_null(&maker->put, object, "in_charge");
		json_put_null(&maker->put, object, "frames");
		json_put_null(&maker->put, object, "complete");
	}
	heap_json_put_estimate(maker, object, &row->live, by != HEAP_BY_THREAD, row);
	return object;
}
