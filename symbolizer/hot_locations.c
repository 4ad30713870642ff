#include "hot_locations.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

struct weight {
	double weight;
	uint32_t location;
};

static int compare_weights(const void *left, const void *right)
{
	const struct weight *a = left, *b = right;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	return a->location < b->location ? -1 : a->location > b->location;
}

/* Give each location of a sample's stack the sample's weight. Return: what was given in all. */
static double add_sample(const struct profile *profile, size_t sample, struct weight *weights)
{
	const int64_t value = profile->values[sample * profile->n_value_types];
	const double weight = value > 0 ? (double)value : 0;
	double given = 0;
	stack_id stack = profile->samples[sample].stack;
	for (; stack.v != STACK_NONE.v; stack = stack_store_parent(&profile->stacks, stack)) {
		weights[stack_store_leaf(&profile->stacks, stack).v].weight += weight;
		given += weight;
	}
	return given;
}

int hot_locations_find(const struct profile *profile, double share_pct, bool **out)
{
	const size_t n = profile->n_locations;
	CP_CLEANUP(cp_free) struct weight *weights = calloc(n + 1, sizeof(*weights));
	bool *hot = calloc(n + 1, sizeof(*hot));
	double all = 0, sum = 0;
	if (!weights || !hot) {
		free(hot);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		weights[i].location = (uint32_t)i;
	for (size_t i = 0; i < profile->n_samples && profile->n_value_types > 0; i++)
		all += add_sample(profile, i, weights);
	qsort(weights, n, sizeof(*weights), compare_weights);
	for (size_t i = 0; i < n && sum < all * share_pct / 100; i++) {
		sum += weights[i].weight;
		hot[weights[i].location] = true;
	}
	*out = hot;
	return 0;
}
