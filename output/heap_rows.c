#include "heap_rows.h"

#include "base/array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void heap_threads_deinit(struct heap_threads *threads)
{
	free(threads->items);
	cp_index_deinit(&threads->index);
}

static bool is_thread(const void *key, const void *owner, uint32_t id)
{
	const struct heap_live *block = key;
	const struct heap_threads *threads = owner;
	return threads->items[id].site == block->site && threads->items[id].tid == block->tid;
}

static struct heap_thread *thread_of(struct heap_threads *threads, const struct heap_live *block)
{
	if (threads->n && is_thread(block, threads, (uint32_t)threads->last))
		return &threads->items[threads->last];
	const uint64_t hash = cp_hash_mix(block->site, block->tid);
	const uint32_t id = cp_index_find(&threads->index, hash, is_thread, block, threads);
	if (id != CP_INDEX_NONE) {
		threads->last = id;
		return &threads->items[id];
	}
	if (threads->n >= CP_INDEX_NONE ||
	    cp_index_add(&threads->index, hash, (uint32_t)threads->n))
		return NULL;
	struct heap_thread *thread = CP_ARRAY_PUSH(threads->items, threads->n, threads->cap);
	if (thread)
		*thread = (struct heap_thread){.site = block->site, .tid = block->tid};
	threads->last = threads->n - 1;
	return thread;
}

int heap_threads_add(struct heap_threads *threads, const struct heap_live *block,
		     const struct heap_weight *weight, uint64_t age_ns)
{
	struct heap_thread *thread = thread_of(threads, block);
	if (!thread)
		return -ENOMEM;
	heap_sum_add(&thread->live, weight);
	if (age_ns > thread->oldest_ns)
		thread->oldest_ns = age_ns;
	return 0;
}

static void merge_sum(struct heap_sum *to, const struct heap_sum *from)
{
	to->blocks += from->blocks;
	to->bytes += from->bytes;
	to->blocks_variance += from->blocks_variance;
	to->bytes_variance += from->bytes_variance;
	to->raw += from->raw;
}

void heap_row_merge(struct heap_row *to, const struct heap_row *from)
{
	merge_sum(&to->live, &from->live);
	to->peak_blocks += from->peak_blocks;
	to->peak_bytes += from->peak_bytes;
	to->allocs += from->allocs;
	to->alloc_bytes += from->alloc_bytes;
	to->temporary += from->temporary;
	to->frees += from->frees;
	to->allocs_variance += from->allocs_variance;
	to->alloc_bytes_variance += from->alloc_bytes_variance;
	to->raw_allocs += from->raw_allocs;
	if (from->oldest_ns > to->oldest_ns)
		to->oldest_ns = from->oldest_ns;
	if (to->line != from->line)
		to->line = 0;
}

/* What makes two sites one row. */
struct grouping {
	struct heap_analysis *analysis;
	struct cp_index index;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static void name_row(const struct heap_analysis *analysis, struct heap_row *row)
{
	if (analysis->options->by == HEAP_BY_FILE) {
		row->name = row->file[0]     ? row->file
			    : row->module[0] ? base_name(row->module)
					     : row->name;
		row->line = 0;
	} else if (analysis->options->by == HEAP_BY_MODULE) {
		row->name = row->module[0] ? row->module : row->name;
		row->file = "";
		row->line = 0;
	} else {
		row->name = row->function;
	}
}

static bool same_row(const void *key, const void *owner, uint32_t id)
{
	const struct grouping *grouping = owner;
	const struct heap_row *a = key, *b = &grouping->analysis->rows[id];
	return strcmp(a->name, b->name) == 0 && strcmp(a->file, b->file) == 0 &&
	       strcmp(a->module, b->module) == 0;
}

static int add_to_group(struct grouping *grouping, const struct heap_row *site)
{
	struct heap_analysis *analysis = grouping->analysis;
	struct heap_row row = *site;
	name_row(analysis, &row);
	const uint64_t hash = cp_hash_mix(cp_hash_bytes(row.name, strlen(row.name)),
					  cp_hash_bytes(row.file, strlen(row.file)));
	const uint32_t id = cp_index_find(&grouping->index, hash, same_row, &row, grouping);
	if (id != CP_INDEX_NONE) {
		heap_row_merge(&analysis->rows[id], &row);
		return 0;
	}
	if (cp_index_add(&grouping->index, hash, (uint32_t)analysis->n_rows))
		return -ENOMEM;
	struct heap_row *slot = CP_ARRAY_PUSH(analysis->rows, analysis->n_rows, analysis->cap_rows);
	if (!slot)
		return -ENOMEM;
	*slot = row;
	slot->n_threads = 0;
	return 0;
}

static int add_site(struct heap_analysis *analysis, const struct heap_row *site)
{
	struct heap_row *slot = CP_ARRAY_PUSH(analysis->rows, analysis->n_rows, analysis->cap_rows);
	if (!slot)
		return -ENOMEM;
	*slot = *site;
	return 0;
}

static int group_sites(struct heap_analysis *analysis)
{
	struct grouping grouping = {.analysis = analysis};
	int rc = 0;
	for (uint32_t i = 0; i < analysis->n_sites && !rc; i++) {
		const struct heap_row *site = &analysis->sites[i];
		if (site->rule != HEAP_RULE_NONE || (site->allocs <= 0 && site->live.raw == 0))
			continue;
		rc = analysis->options->by == HEAP_BY_SITE ? add_site(analysis, site)
							   : add_to_group(&grouping, site);
	}
	cp_index_deinit(&grouping.index);
	return rc;
}

static int compare_tids(const void *left, const void *right)
{
	const struct heap_thread *const *a = left, *const *b = right;
	return (*a)->tid < (*b)->tid ? -1 : (*a)->tid > (*b)->tid;
}

static int add_thread_row(struct heap_analysis *analysis, uint32_t tid)
{
	char *name = NULL;
	char **slot = CP_ARRAY_PUSH(analysis->made_names, analysis->n_made, analysis->cap_made);
	if (!slot)
		return -ENOMEM;
	if (asprintf(&name, "tid %u", tid) < 0)
		name = NULL;
	*slot = name;
	struct heap_row *row =
		name ? CP_ARRAY_PUSH(analysis->rows, analysis->n_rows, analysis->cap_rows) : NULL;
	if (!row)
		return -ENOMEM;
	*row = (struct heap_row){
		.name = name, .file = "", .module = "", .n_threads = 1, .rule = HEAP_RULE_NONE};
	return 0;
}

static int group_threads(struct heap_analysis *analysis, const struct heap_threads *threads)
{
	const struct heap_thread **sorted = calloc(threads->n + 1, sizeof(struct heap_thread *));
	int rc = sorted ? 0 : -ENOMEM;
	for (size_t i = 0; i < threads->n && !rc; i++)
		sorted[i] = &threads->items[i];
	if (!rc)
		qsort(sorted, threads->n, sizeof(struct heap_thread *), compare_tids);
	for (size_t i = 0; i < threads->n && !rc; i++) {
		if (i == 0 || sorted[i]->tid != sorted[i - 1]->tid)
			rc = add_thread_row(analysis, sorted[i]->tid);
		if (rc)
			break;
		struct heap_row *row = &analysis->rows[analysis->n_rows - 1];
		merge_sum(&row->live, &sorted[i]->live);
		if (sorted[i]->oldest_ns > row->oldest_ns)
			row->oldest_ns = sorted[i]->oldest_ns;
	}
	free(sorted);
	return rc;
}

static double key_of(const struct heap_row *row, enum heap_sort sort)
{
	switch (sort) {
	case HEAP_SORT_PEAK:
		return row->peak_bytes;
	case HEAP_SORT_BYTES:
		return row->alloc_bytes;
	case HEAP_SORT_CALLS:
		return row->allocs;
	case HEAP_SORT_LIVE:
		break;
	}
	return row->live.bytes;
}

static int compare_rows(const struct heap_row *a, const struct heap_row *b, enum heap_sort sort)
{
	const double key_a = key_of(a, sort), key_b = key_of(b, sort);
	if (key_a != key_b)
		return key_a > key_b ? -1 : 1;
	if (a->live.blocks != b->live.blocks)
		return a->live.blocks > b->live.blocks ? -1 : 1;
	if (a->allocs != b->allocs)
		return a->allocs > b->allocs ? -1 : 1;
	const int names = strcmp(a->name, b->name);
	return names ? names : a->site < b->site ? -1 : a->site > b->site;
}

static int by_sort(const void *left, const void *right, void *sort)
{
	return compare_rows(left, right, *(const enum heap_sort *)sort);
}

int heap_rows_make(struct heap_analysis *analysis, const struct heap_threads *threads)
{
	enum heap_sort sort = analysis->options->sort;
	for (size_t i = 0; i < threads->n; i++)
		analysis->sites[threads->items[i].site].n_threads++;
	const int rc = analysis->options->by == HEAP_BY_THREAD ? group_threads(analysis, threads)
							       : group_sites(analysis);
	if (!rc && analysis->n_rows)
		qsort_r(analysis->rows, analysis->n_rows, sizeof(*analysis->rows), by_sort, &sort);
	return rc;
}
