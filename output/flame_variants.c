#include "flame_variants.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool function_equal(const void *key, const void *owner, uint32_t id)
{
	const struct flame_variants *variants = owner;
	const struct frame *a = key;
	const struct frame *b = frames_get(variants->frames, variants->representative[id]);
	return a->name.v == b->name.v && a->file.v == b->file.v && a->module.v == b->module.v &&
	       a->kernel == b->kernel && a->inlined == b->inlined && a->jit == b->jit &&
	       a->symbolized == b->symbolized;
}

static unsigned flags_of(const struct frame *frame)
{
	return (unsigned)frame->kernel << 3 | (unsigned)frame->jit << 2 |
	       (unsigned)frame->inlined << 1 | (unsigned)frame->symbolized;
}

static uint64_t function_hash(const struct frame *frame)
{
	uint64_t hash = cp_hash_mix(frame->name.v, frame->file.v);
	return cp_hash_mix(hash, (uint64_t)frame->module.v << 4 | flags_of(frame));
}

int flame_variants_init(struct flame_variants *variants, const struct frames *frames)
{
	size_t n = frames_count(frames);
	*variants = (struct flame_variants){.frames = frames};
	variants->function_of = malloc((n + 1) * sizeof(*variants->function_of));
	variants->representative = malloc((n + 1) * sizeof(*variants->representative));
	variants->several = calloc(n + 1, sizeof(*variants->several));
	if (!variants->function_of || !variants->representative || !variants->several)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct frame *frame = frames_get(frames, (frame_id){i});
		uint64_t hash = function_hash(frame);
		uint32_t function =
			cp_index_find(&variants->functions, hash, function_equal, frame, variants);
		if (function == CP_INDEX_NONE) {
			function = variants->n_functions++;
			variants->representative[function] = (frame_id){i};
			if (cp_index_add(&variants->functions, hash, function))
				return -ENOMEM;
		} else {
			variants->several[function] = true;
		}
		variants->function_of[i] = function;
	}
	return 0;
}

void flame_variants_deinit(struct flame_variants *variants)
{
	cp_index_deinit(&variants->functions);
	cp_index_deinit(&variants->count_index);
	free(variants->function_of);
	free(variants->representative);
	free(variants->several);
	free(variants->counts);
}

static bool count_equal(const void *key, const void *owner, uint32_t id)
{
	const struct flame_variant *want = key;
	const struct flame_variant *have = &((const struct flame_variants *)owner)->counts[id];
	return have->node == want->node && have->frame.v == want->frame.v;
}

int flame_variants_count(struct flame_variants *variants, uint32_t node, frame_id frame,
			 int64_t value)
{
	if (!variants->several[variants->function_of[frame.v]])
		return 0;
	struct flame_variant key = {node, frame, value};
	uint64_t hash = cp_hash_mix(node, frame.v);
	uint32_t known = cp_index_find(&variants->count_index, hash, count_equal, &key, variants);
	if (known != CP_INDEX_NONE) {
		variants->counts[known].total += value;
		return 0;
	}
	if (variants->n_counts >= CP_INDEX_NONE - 1)
		return -ENOMEM;
	struct flame_variant *added =
		CP_ARRAY_PUSH(variants->counts, variants->n_counts, variants->cap_counts);
	if (!added)
		return -ENOMEM;
	*added = key;
	return cp_index_add(&variants->count_index, hash, (uint32_t)(variants->n_counts - 1));
}

static int compare_counts(const void *a, const void *b, void *context)
{
	const struct frames *frames = context;
	const struct flame_variant *x = a, *y = b;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	uint32_t line_x = frames_get(frames, x->frame)->line;
	uint32_t line_y = frames_get(frames, y->frame)->line;
	if (line_x != line_y)
		return line_x < line_y ? -1 : 1;
	return (x->frame.v > y->frame.v) - (x->frame.v < y->frame.v);
}

void flame_variants_sort(struct flame_variants *variants)
{
	/* the comparison only reads the frames; qsort_r's context is not const */
	if (variants->n_counts)
		qsort_r(variants->counts, variants->n_counts, sizeof(*variants->counts),
			compare_counts, (void *)variants->frames);
}

static int compare_functions(const void *a, const void *b, void *context)
{
	const struct flame_variants *variants = context;
	const struct frames *frames = variants->frames;
	const struct frame *x = frames_get(frames, variants->representative[*(const uint32_t *)a]);
	const struct frame *y = frames_get(frames, variants->representative[*(const uint32_t *)b]);
	int order = strcmp(frames_text(frames, x->name), frames_text(frames, y->name));
	if (!order)
		order = strcmp(frames_text(frames, x->file), frames_text(frames, y->file));
	if (!order)
		order = strcmp(frames_text(frames, x->module), frames_text(frames, y->module));
	return order ? order : (int)flags_of(x) - (int)flags_of(y);
}

uint32_t *flame_variants_rank(const struct flame_variants *variants)
{
	size_t n = variants->n_functions;
	uint32_t *order = malloc((n + 1) * sizeof(*order));
	uint32_t *rank = malloc((n + 1) * sizeof(*rank));
	if (!order || !rank) {
		free(order);
		free(rank);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), compare_functions, (void *)variants);
	for (uint32_t i = 0; i < n; i++)
		rank[order[i]] = i;
	free(order);
	return rank;
}
