/* In which binaries the walks of stacks ended before the root. */
#include "quality.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The outermost location of every stack. Parents are made before children. */
static location_id *find_roots(const struct stack_store *stacks)
{
	location_id *roots = calloc(stacks->n + 1, sizeof(*roots));
	for (size_t i = 1; roots && i < stacks->n; i++) {
		const struct stack_node *node = &stacks->nodes[i];
		roots[i] = node->parent.v ? roots[node->parent.v] : node->location;
	}
	return roots;
}

static bool ended_early(const struct profile_sample_key *key)
{
	return !cp_stop_is_complete(key->stop) && key->stop != CP_STOP_DEPTH && key->stack.v;
}

static int add_end(const struct profile *profile, module_id module, enum cp_stop stop,
		   int64_t samples, struct quality *quality, size_t *cap)
{
	const char *path = profile_text(profile, profile->modules[module.v].path);
	const char *build_id = profile_text(profile, profile->modules[module.v].build_id);
	/* two segments of one binary are one module to people */
	for (size_t i = 0; i < quality->n_ends; i++) {
		struct quality_end *end = &quality->ends[i];
		if (end->stop == stop && end->path == path && end->build_id == build_id) {
			end->samples = amount_sum(end->samples, samples);
			return 0;
		}
	}
	struct quality_end *end = CP_ARRAY_PUSH(quality->ends, quality->n_ends, *cap);
	if (!end)
		return -ENOMEM;
	*end = (struct quality_end){
		.stop = stop, .path = path, .build_id = build_id, .samples = samples};
	return 0;
}

static int most_samples_first(const void *a, const void *b)
{
	const struct quality_end *x = a, *y = b;
	if (x->samples != y->samples)
		return x->samples > y->samples ? -1 : 1;
	if (x->stop != y->stop)
		return x->stop < y->stop ? -1 : 1;
	return strcmp(x->path, y->path);
}

int quality_find_ends(const struct profile *profile, const struct measure *measure,
		      struct quality *quality)
{
	location_id *roots = find_roots(&profile->stacks);
	int64_t *sums = calloc(profile->n_modules + 1, CP_STOP_COUNT * sizeof(*sums));
	int rc = roots && sums ? 0 : -ENOMEM;
	for (size_t i = 0; i < profile->n_samples && !rc; i++) {
		const struct profile_sample_key *key = &profile->samples[i];
		if (!ended_early(key))
			continue;
		module_id module = profile->locations[roots[key->stack.v].v].module;
		int64_t *sum = &sums[(size_t)module.v * CP_STOP_COUNT + key->stop];
		*sum = amount_sum(*sum, measure_of_sample(measure, profile, i).value);
	}
	size_t cap = 0;
	for (size_t i = 0; i < profile->n_modules * CP_STOP_COUNT && !rc; i++) {
		if (sums[i] > 0)
			rc = add_end(profile, (module_id){(uint32_t)(i / CP_STOP_COUNT)},
				     (enum cp_stop)(i % CP_STOP_COUNT), sums[i], quality, &cap);
	}
	free(roots);
	free(sums);
	for (size_t i = 0; i < quality->n_ends; i++)
		quality->ends[i].share_pct = amount_pct(quality->ends[i].samples, quality->samples);
	if (quality->n_ends)
		qsort(quality->ends, quality->n_ends, sizeof(*quality->ends), most_samples_first);
	return rc;
}
