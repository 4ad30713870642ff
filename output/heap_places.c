#include "heap_places.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "heap_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* While they are made: what is known of the births of each. */
struct maker {
	struct heap_analysis *analysis;
	struct cp_index index;
	struct heap_births_sum *sums; /* by place */
	size_t n, cap;
	double *most; /* live bytes of the stack that stands for the place */
	size_t n_most, cap_most;
};

/* Instances of a template, and clones of a function, are one line of source. */
static bool has_line(const struct heap_row *row)
{
	return row->file[0] && row->line;
}

static bool same_place(const void *key, const void *owner, uint32_t id)
{
	const struct heap_row *a = key, *b = &((const struct maker *)owner)->analysis->places[id];
	return a->line == b->line && strcmp(a->file, b->file) == 0 &&
	       strcmp(a->module, b->module) == 0 && (has_line(a) || strcmp(a->name, b->name) == 0);
}

static uint64_t hash_of(const struct heap_row *row)
{
	const char *name = has_line(row) ? "" : row->name;
	return cp_hash_mix(cp_hash_bytes(name, strlen(name)),
			   cp_hash_bytes(row->file, strlen(row->file)) + row->line);
}

static int add_place(struct maker *maker, const struct heap_row *site,
		     const struct heap_births_of *births)
{
	struct heap_analysis *analysis = maker->analysis;
	struct heap_births_sum *sum = CP_ARRAY_PUSH(maker->sums, maker->n, maker->cap);
	double *most = CP_ARRAY_PUSH(maker->most, maker->n_most, maker->cap_most);
	struct heap_row *place =
		CP_ARRAY_PUSH(analysis->places, analysis->n_places, analysis->cap_places);
	if (!sum || !most || !place)
		return -ENOMEM;
	heap_births_begin(births, sum);
	*most = site->live.bytes;
	*place = *site;
	place->n_stacks = 1;
	return 0;
}

static int take(struct maker *maker, uint32_t site, const struct heap_births_of *births)
{
	struct heap_analysis *analysis = maker->analysis;
	const struct heap_row *row = &analysis->sites[site];
	const uint64_t hash = hash_of(row);
	uint32_t id = cp_index_find(&maker->index, hash, same_place, row, maker);
	if (id == CP_INDEX_NONE) {
		id = (uint32_t)analysis->n_places;
		if (add_place(maker, row, births) || cp_index_add(&maker->index, hash, id))
			return -ENOMEM;
	} else {
		struct heap_row *place = &analysis->places[id];
		heap_row_merge(place, row);
		place->n_stacks++;
		if (row->live.bytes > maker->most[id]) {
			maker->most[id] = row->live.bytes;
			place->site = site;
			place->name = row->name;
			place->in_charge = row->in_charge;
		}
	}
	heap_births_collect(births, analysis, site, &maker->sums[id]);
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct heap_row *a = left, *b = right;
	const bool grows_a = a->growth.verdict == HEAP_GROWTH_GROWING;
	const bool grows_b = b->growth.verdict == HEAP_GROWTH_GROWING;
	if (grows_a != grows_b)
		return grows_a ? -1 : 1;
	if (a->rise != b->rise)
		return a->rise > b->rise ? -1 : 1;
	if (a->live.bytes != b->live.bytes)
		return a->live.bytes > b->live.bytes ? -1 : 1;
	return a->site < b->site ? -1 : a->site > b->site;
}

static void judge(struct heap_analysis *analysis, const struct heap_births_of *births,
		  const struct heap_births_sum *sum, struct heap_row *place)
{
	heap_births_judge(births, sum, &place->growth);
	const bool told = place->growth.verdict == HEAP_GROWTH_GROWING ||
			  (births->since && place->growth.verdict != HEAP_GROWTH_UNKNOWN);
	place->rise = told && place->growth.rate > 0 && !heap_end_unknown(analysis)
			      ? place->growth.rate
			      : 0;
}

int heap_places_make(struct heap_analysis *analysis, const struct heap_births_of *births)
{
	struct maker maker = {.analysis = analysis};
	int rc = 0;
	for (uint32_t i = 0; i < analysis->n_sites && !rc; i++)
		if (analysis->sites[i].live.raw)
			rc = take(&maker, i, births);
	for (size_t i = 0; i < analysis->n_places && !rc; i++)
		judge(analysis, births, &maker.sums[i], &analysis->places[i]);
	if (!rc && analysis->n_places)
		qsort(analysis->places, analysis->n_places, sizeof(*analysis->places), compare);
	cp_index_deinit(&maker.index);
	free(maker.sums);
	free(maker.most);
	return rc;
}
