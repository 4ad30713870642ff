#include "heap_analysis.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "heap_births.h"
#include "heap_places.h"
#include "heap_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double heap_half_width(double variance)
{
	return 1.96 * sqrt(variance > 0 ? variance : 0);
}

/* Room for @n more frames behind @at. */
static int reserve(struct heap_analysis *analysis, size_t at, size_t n)
{
	frame_id *stack = cp_array_reserve(analysis->stack, &analysis->cap_stack, at + n,
					   sizeof(*analysis->stack));
	if (stack)
		analysis->stack = stack;
	location_id *places = cp_array_reserve(analysis->stack_at, &analysis->cap_stack_at, at + n,
					       sizeof(*analysis->stack_at));
	if (places)
		analysis->stack_at = places;
	return stack && places ? 0 : -ENOMEM;
}

long heap_analysis_stack(struct heap_analysis *analysis, uint32_t site, const frame_id **out)
{
	const struct stack_store *stacks = &analysis->input->profile->stacks;
	size_t total = 0;
	for (stack_id stack = analysis->input->stacks[site]; stack.v != STACK_NONE.v;
	     stack = stack_store_parent(stacks, stack)) {
		size_t n;
		const location_id location = stack_store_leaf(stacks, stack);
		const frame_id *of = frames_of_location(analysis->frames, location, &n);
		if (reserve(analysis, total, n))
			return -ENOMEM;
		for (size_t i = 0; i < n; i++) {
			analysis->stack[total + i] = of[i];
			analysis->stack_at[total + i] = location;
		}
		total += n;
	}
	*out = analysis->stack;
	return (long)total;
}

const char *heap_analysis_name(struct heap_analysis *analysis, size_t i)
{
	const struct frame *frame = frames_get(analysis->frames, analysis->stack[i]);
	const uint32_t id = analysis->stack_at[i].v;
	const char *name = frames_text(analysis->frames, frame->name);
	const char *module = frames_text(analysis->frames, frame->module);
	const size_t n = strlen(name);
	if (frame->symbolized || module[0] != '/' || n < 2)
		return name;
	if (!analysis->address_names[id] &&
	    asprintf(&analysis->address_names[id], "%.*s+0x%" PRIx64 "]", (int)(n - 1), name,
		     analysis->input->profile->locations[id].svma) < 0)
		analysis->address_names[id] = NULL;
	return analysis->address_names[id] ? analysis->address_names[id] : name;
}

void heap_sum_add(struct heap_sum *sum, const struct heap_weight *weight)
{
	sum->blocks += weight->blocks;
	sum->bytes += weight->bytes;
	sum->blocks_variance += weight->blocks_variance;
	sum->bytes_variance += weight->bytes_variance;
	sum->raw++;
}

static const char *text_of(const struct heap_analysis *analysis, string_id id)
{
	return frames_text(analysis->frames, id);
}

/* Name, place, rule of a site: what its stack says. */
static int describe(struct heap_analysis *analysis, uint32_t site)
{
	struct heap_row *row = &analysis->sites[site];
	const frame_id *stack;
	const long n = heap_analysis_stack(analysis, site, &stack);
	if (n < 0)
		return (int)n;
	const struct heap_snapshot *snapshot = analysis->input->snapshot;
	row->complete = n > 0 && heap_stack_end(snapshot, snapshot->sites[site].node) == 0;
	row->rule = heap_suppressions_find(analysis->input->rules, stack, (size_t)n, row->complete);
	row->name = row->function = site ? "[unknown]" : "[further stacks]";
	row->file = row->module = "";
	if (n == 0)
		return 0;
	row->in_charge = (uint32_t)heap_blame_find(&analysis->blame, stack, (size_t)n);
	const struct frame *frame = frames_get(analysis->frames, stack[row->in_charge]);
	row->function = text_of(analysis, frame->name);
	row->name = heap_analysis_name(analysis, row->in_charge);
	row->file = text_of(analysis, frame->file);
	row->module = text_of(analysis, frame->module);
	row->line = frame->line;
	return 0;
}

static double positive(int64_t value)
{
	return value > 0 ? (double)value : 0;
}

static void count_site(struct heap_analysis *analysis, uint32_t site)
{
	struct heap_row *row = &analysis->sites[site];
	const struct heap_site_sum *sum = &analysis->input->snapshot->sites[site];
	row->site = site;
	row->allocs = (double)sum->allocs;
	row->alloc_bytes = (double)sum->alloc_bytes;
	row->frees = (double)sum->frees;
	row->temporary = (double)sum->temporary;
	row->peak_blocks = positive(sum->peak_blocks);
	row->peak_bytes = positive(sum->peak_bytes);
	row->allocs_variance = sum->alloc_blocks_variance;
	row->alloc_bytes_variance = sum->alloc_bytes_variance;
	row->raw_allocs = sum->raw_allocs;
	analysis->allocs += row->allocs;
	analysis->alloc_bytes += row->alloc_bytes;
	analysis->frees += row->frees;
	analysis->free_bytes += (double)sum->free_bytes;
	analysis->temporary += row->temporary;
	analysis->peak_blocks += row->peak_blocks;
	analysis->site_peak_bytes += row->peak_bytes;
	analysis->allocs_variance += row->allocs_variance;
	analysis->alloc_bytes_variance += row->alloc_bytes_variance;
	analysis->raw_allocs += row->raw_allocs;
	analysis->n_used_sites += sum->allocs > 0;
}

static int make_sites(struct heap_analysis *analysis)
{
	analysis->n_sites = analysis->input->snapshot->header.n_sites;
	analysis->sites = calloc((size_t)analysis->n_sites + 1, sizeof(*analysis->sites));
	int rc = analysis->sites ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < analysis->n_sites && !rc; i++) {
		count_site(analysis, i);
		rc = describe(analysis, i);
	}
	return rc;
}

static uint64_t age_of(const struct heap_analysis *analysis, const struct heap_live *block)
{
	const uint64_t born_ns = (uint64_t)block->born_ticks * HEAP_TICK_NS;
	const uint64_t now_ns = analysis->input->target->now_ns;
	return now_ns > born_ns ? now_ns - born_ns : 0;
}

/* Where a block is counted; NULL: with its site. */
static struct heap_sum *taken_out(struct heap_analysis *analysis, struct heap_births_of *births,
				  const struct heap_live *block)
{
	if (analysis->sites[block->site].rule != HEAP_RULE_NONE)
		return &analysis->suppressed;
	if (heap_births_before(births, block))
		return &analysis->before;
	if (age_of(analysis, block) < analysis->options->min_age_ns)
		return &analysis->too_young;
	return NULL;
}

static void count_block(struct heap_analysis *analysis, struct heap_births_of *births,
			const struct heap_live *block, const struct heap_weight *weight)
{
	const uint64_t age_ns = age_of(analysis, block);
	struct heap_row *row = &analysis->sites[block->site];
	struct heap_sum *out = taken_out(analysis, births, block);
	heap_sum_add(&analysis->all, weight);
	if (age_ns > analysis->oldest_ns)
		analysis->oldest_ns = age_ns;
	if (out == &analysis->suppressed) {
		struct heap_rule *rule = &analysis->input->rules->rules[row->rule];
		rule->blocks += weight->blocks;
		rule->bytes += weight->bytes;
	}
	heap_sum_add(out ? out : &analysis->kept, weight);
	if (out)
		return;
	analysis->n_kept_sites += row->live.raw == 0;
	heap_sum_add(&row->live, weight);
	if (age_ns > row->oldest_ns)
		row->oldest_ns = age_ns;
	heap_births_count(births, block, weight->bytes);
}

static int count_blocks(struct heap_analysis *analysis, struct heap_births_of *births,
			struct heap_threads *threads)
{
	const struct heap_snapshot *snapshot = analysis->input->snapshot;
	for (size_t i = 0; i < snapshot->n_blocks; i++) {
		const struct heap_live *block = &snapshot->blocks[i];
		const struct heap_weight weight =
			heap_weight_of(block->size_bytes, snapshot->header.sample_bytes);
		const uint64_t kept = analysis->kept.raw;
		count_block(analysis, births, block, &weight);
		if (analysis->kept.raw != kept &&
		    heap_threads_add(threads, block, &weight, age_of(analysis, block)))
			return -ENOMEM;
	}
	return 0;
}

bool heap_end_unknown(const struct heap_analysis *analysis)
{
	return analysis->input->target->now_is_guess;
}

/* Up to the last block's birth everything grows: whether it went on, nobody knows. */
static void withdraw_growth(struct heap_analysis *analysis)
{
	analysis->growth.verdict = HEAP_GROWTH_UNKNOWN;
	for (uint32_t i = 0; i < analysis->n_sites; i++)
		analysis->sites[i].growth.verdict = HEAP_GROWTH_UNKNOWN;
	for (size_t i = 0; i < analysis->n_places; i++)
		analysis->places[i].growth.verdict = HEAP_GROWTH_UNKNOWN;
}

/* A start takes a quarter of the run at most. What is live of the time after it bounds growth. */
static double most_rate(const struct heap_births *births)
{
	const double time_s = (double)(births->to_ns - births->from_ns) / 1e9;
	double bytes = 0;
	for (unsigned i = HEAP_GROWTH_WINDOWS / 4; i < HEAP_GROWTH_WINDOWS; i++)
		bytes += births->bytes[i];
	return time_s > 0 ? bytes / (time_s * 3 / 4) : 0;
}

static int judge(struct heap_analysis *analysis, const struct heap_births_of *births)
{
	struct heap_births_sum sum, all;
	heap_births_begin(births, &all);
	for (uint32_t i = 0; i < analysis->n_sites; i++) {
		heap_births_begin(births, &sum);
		heap_births_collect(births, analysis, i, &sum);
		heap_births_judge(births, &sum, &analysis->sites[i].growth);
		if (analysis->sites[i].rule == HEAP_RULE_NONE)
			heap_births_collect(births, analysis, i, &all);
	}
	heap_births_judge(births, &all, &analysis->growth);
	if (all.births.to_ns > all.births.from_ns)
		analysis->most_rate = most_rate(&all.births);
	analysis->growth_by_since = analysis->input->since != NULL;
	const int rc = heap_places_make(analysis, births);
	if (heap_end_unknown(analysis))
		withdraw_growth(analysis);
	for (size_t i = 0; i < analysis->n_places; i++) {
		if (analysis->places[i].growth.verdict != HEAP_GROWTH_GROWING)
			continue;
		analysis->n_growing++;
		analysis->growing_rate += analysis->places[i].growth.rate;
		analysis->growing_mean += analysis->places[i].growth.mean;
	}
	return rc;
}

static int analyse(struct heap_analysis *analysis)
{
	CP_CLEANUP(heap_births_of_deinit) struct heap_births_of births = {0};
	CP_CLEANUP(heap_threads_deinit) struct heap_threads threads = {0};
	int rc = frames_create(analysis->input->profile, &analysis->frames);
	analysis->address_names = calloc(analysis->input->profile->n_locations + 1, sizeof(char *));
	if (!analysis->address_names)
		rc = -ENOMEM;
	if (!rc)
		rc = heap_blame_init(&analysis->blame, analysis->frames);
	if (!rc)
		rc = heap_suppressions_bind(analysis->input->rules, analysis->frames);
	if (!rc)
		rc = make_sites(analysis);
	if (!rc)
		rc = heap_births_of_init(&births, analysis);
	if (!rc)
		rc = count_blocks(analysis, &births, &threads);
	if (rc)
		return rc;
	heap_births_settle(&births);
	rc = judge(analysis, &births);
	return rc ? rc : heap_rows_make(analysis, &threads);
}

static bool same_process(const struct heap_header *a, const struct heap_header *b)
{
	return a->pid == b->pid && a->start_realtime_ns == b->start_realtime_ns &&
	       a->start_boot_ticks == b->start_boot_ticks;
}

/* Allocations and frees: what only grows tells the order of copies. */
static uint64_t events_of(const struct heap_snapshot *snapshot)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < snapshot->header.n_sites; i++)
		n += snapshot->sites[i].allocs + snapshot->sites[i].frees;
	return n;
}

static int check_since(const struct heap_input *input, struct cp_err *err)
{
	const struct heap_header *then = &input->since->header, *now = &input->snapshot->header;
	if (!same_process(then, now))
		return cp_fail(
			err, -EINVAL,
			"%s is of another process (pid %u) than %s (pid %u): an earlier copy "
			"of the same file is needed",
			input->since_path, then->pid, input->path, now->pid);
	if (events_of(input->since) > events_of(input->snapshot))
		return cp_fail(err, -EINVAL,
			       "%s is later than %s: --since takes the earlier one of two copies",
			       input->since_path, input->path);
	return 0;
}

int heap_analysis_create(const struct heap_input *input, const struct heap_report_options *options,
			 struct heap_analysis **out, struct cp_err *err)
{
	const int rc = input->since ? check_since(input, err) : 0;
	if (rc)
		return rc;
	struct heap_analysis *analysis = calloc(1, sizeof(*analysis));
	if (!analysis)
		return cp_fail_nomem(err);
	analysis->input = input;
	analysis->options = options;
	for (size_t i = 0; i < input->rules->n; i++)
		input->rules->rules[i].blocks = input->rules->rules[i].bytes = 0;
	if (analyse(analysis)) {
		heap_analysis_destroy(analysis);
		return cp_fail_nomem(err);
	}
	*out = analysis;
	return 0;
}

void heap_analysis_destroy(struct heap_analysis *analysis)
{
	if (!analysis)
		return;
	for (size_t i = 0; i < analysis->n_made; i++)
		free(analysis->made_names[i]);
	free(analysis->made_names);
	heap_blame_deinit(&analysis->blame);
	frames_destroy(analysis->frames);
	free(analysis->sites);
	free(analysis->rows);
	free(analysis->places);
	free(analysis->stack);
	free(analysis->stack_at);
	for (size_t i = 0; analysis->address_names && i < analysis->input->profile->n_locations;
	     i++)
		free(analysis->address_names[i]);
	free(analysis->address_names);
	free(analysis);
}
