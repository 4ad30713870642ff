#include "heap_births.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t hash_of(const struct heap_live *block)
{
	return cp_hash_mix(block->address, (uint64_t)block->born_ticks << 32 | block->site);
}

/* Addresses are used again; at one tick by one site for one size too, but not while it was live. */
static bool is_block(const void *key, const void *owner, uint32_t id)
{
	const struct heap_live *block = key;
	const struct heap_snapshot *since = owner;
	const struct heap_live *other = &since->blocks[id];
	return block->address == other->address && block->born_ticks == other->born_ticks &&
	       block->site == other->site && block->size_bytes == other->size_bytes &&
	       block->tid == other->tid;
}

static int note_earlier(struct heap_births_of *births)
{
	const struct heap_snapshot *since = births->since;
	births->met = calloc(since->n_blocks + 1, sizeof(*births->met));
	int rc = births->met && since->n_blocks < CP_INDEX_NONE ? 0 : -ENOMEM;
	for (size_t i = 0; i < since->n_blocks && !rc; i++)
		rc = cp_index_add(&births->earlier, hash_of(&since->blocks[i]), (uint32_t)i);
	return rc;
}

int heap_births_of_init(struct heap_births_of *births, const struct heap_analysis *analysis)
{
	const struct heap_input *input = analysis->input;
	const uint64_t now_ns = input->target->now_ns;
	const uint64_t min_age_ns = analysis->options->min_age_ns;
	uint32_t n_sites = analysis->n_sites;
	if (input->since && input->since->header.n_sites > n_sites)
		n_sites = input->since->header.n_sites;
	*births = (struct heap_births_of){
		.since = input->since,
		.sites = calloc((size_t)n_sites + 1, sizeof(*births->sites)),
		.gone = calloc((size_t)n_sites + 1, sizeof(*births->gone)),
		.aged = calloc((size_t)n_sites + 1, sizeof(*births->aged)),
		.from_ns = input->since ? input->since_target->now_ns : 0,
		.to_ns = now_ns > min_age_ns ? now_ns - min_age_ns : 0,
		.now_ns = now_ns,
		.min_age_ns = min_age_ns,
	};
	if (!births->sites || !births->gone || !births->aged)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_sites; i++)
		births->sites[i] =
			(struct heap_births){.from_ns = births->from_ns, .to_ns = births->to_ns};
	return input->since ? note_earlier(births) : 0;
}

void heap_births_of_deinit(struct heap_births_of *births)
{
	free(births->sites);
	free(births->met);
	free(births->gone);
	free(births->aged);
	cp_index_deinit(&births->earlier);
}

/* What counts now in the time of the earlier copy, if it had been asked for the same age. */
static bool was_too_young(const struct heap_births_of *births, const struct heap_live *block)
{
	const uint64_t born_ns = (uint64_t)block->born_ticks * HEAP_TICK_NS;
	return born_ns + births->min_age_ns > births->from_ns;
}

bool heap_births_before(struct heap_births_of *births, const struct heap_live *block)
{
	if (!births->since)
		return false;
	const uint32_t id =
		cp_index_find(&births->earlier, hash_of(block), is_block, block, births->since);
	if (id == CP_INDEX_NONE)
		return false;
	births->met[id] = true;
	const uint64_t born_ns = (uint64_t)block->born_ticks * HEAP_TICK_NS;
	if (was_too_young(births, block) && born_ns <= births->to_ns) {
		const struct heap_weight weight =
			heap_weight_of(block->size_bytes, births->since->header.sample_bytes);
		heap_sum_add(&births->aged[block->site], &weight);
	}
	return true;
}

/* What was too young to count in the earlier copy is not missed either. */
void heap_births_settle(struct heap_births_of *births)
{
	const struct heap_snapshot *since = births->since;
	for (size_t i = 0; since && i < since->n_blocks; i++) {
		const struct heap_live *block = &since->blocks[i];
		if (births->met[i] || was_too_young(births, block))
			continue;
		const struct heap_weight weight =
			heap_weight_of(block->size_bytes, since->header.sample_bytes);
		heap_sum_add(&births->gone[block->site], &weight);
	}
}

void heap_births_count(struct heap_births_of *births, const struct heap_live *block, double bytes)
{
	const uint64_t born_ns = (uint64_t)block->born_ticks * HEAP_TICK_NS;
	heap_births_add(&births->sites[block->site], born_ns, bytes);
}

/* A quarter of what was allocated was freed: then the young ones may only not be freed yet. */
static bool turns_over(double allocs, double frees)
{
	return frees * 4 >= allocs;
}

/*
 * Between two copies the growth is what they differ by, however it came about: in bursts, late, or
 * by a block that became larger, which two copies show and ages do not. With a least age, what has
 * come is what became old enough in between, some of which was there before: counted over the same
 * time as what went, the two are equal in a cache however often it was turned over.
 */
static void replace_rate(const struct heap_births_of *births, const struct heap_births_sum *sum,
			 struct heap_growth *growth)
{
	if (growth->verdict == HEAP_GROWTH_UNKNOWN)
		return;
	const double time_s = (double)(births->now_ns - births->from_ns) / 1e9;
	const double half = heap_half_width(sum->came_variance + sum->went_variance) / time_s;
	growth->rate = (sum->came - sum->went) / time_s;
	growth->mean = growth->rate;
	growth->low = growth->rate - half;
	growth->high = growth->rate + half;
	/* ages are told in ticks, at both ends */
	const double grain =
		2 * sum->came * HEAP_TICK_NS / (double)(births->to_ns - births->from_ns);
	if (sum->came - sum->went <= grain && growth->verdict == HEAP_GROWTH_GROWING)
		growth->verdict = HEAP_GROWTH_BURSTY;
}

void heap_births_begin(const struct heap_births_of *births, struct heap_births_sum *sum)
{
	*sum = (struct heap_births_sum){
		.births = {.from_ns = births->from_ns, .to_ns = births->to_ns}};
}

void heap_births_collect(const struct heap_births_of *births, const struct heap_analysis *analysis,
			 uint32_t site, struct heap_births_sum *sum)
{
	const struct heap_row *row = &analysis->sites[site];
	for (unsigned i = 0; i < HEAP_GROWTH_WINDOWS; i++)
		sum->births.bytes[i] += births->sites[site].bytes[i];
	sum->allocs += row->allocs;
	sum->frees += row->frees;
	sum->came += row->live.bytes + births->aged[site].bytes;
	sum->came_variance += row->live.bytes_variance + births->aged[site].bytes_variance;
	sum->went += births->gone[site].bytes;
	sum->went_variance += births->gone[site].bytes_variance;
	if (!births->since || site >= births->since->header.n_sites)
		return;
	sum->allocs -= (double)births->since->sites[site].allocs;
	sum->frees -= (double)births->since->sites[site].frees;
}

void heap_births_judge(const struct heap_births_of *births, const struct heap_births_sum *sum,
		       struct heap_growth *out)
{
	heap_growth_judge(&sum->births, turns_over(sum->allocs, sum->frees), out);
	if (births->since)
		replace_rate(births, sum, out);
}
