#include "module_shares.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

/* Add a sample to each module of its stack, once. @last: per module, the last sample seen + 1 */
static void add_sample(const struct profile *profile, size_t sample, double weight, size_t *last,
		       double *sums)
{
	stack_id stack = profile->samples[sample].stack;
	for (; stack.v != STACK_NONE.v; stack = stack_store_parent(&profile->stacks, stack)) {
		const location_id leaf = stack_store_leaf(&profile->stacks, stack);
		const uint32_t module = profile->locations[leaf.v].module.v;
		if (last[module] == sample + 1)
			continue;
		last[module] = sample + 1;
		sums[module] += weight;
	}
}

int module_shares_compute(const struct profile *profile, double **out)
{
	const size_t n = profile->n_modules;
	CP_CLEANUP(cp_free) size_t *last = calloc(n + 1, sizeof(*last));
	double *shares = calloc(n + 1, sizeof(*shares));
	double all = 0;
	if (!last || !shares) {
		free(shares);
		return -ENOMEM;
	}
	for (size_t i = 0; i < profile->n_samples && profile->n_value_types > 0; i++) {
		const int64_t value = profile->values[i * profile->n_value_types];
		const double weight = value > 0 ? (double)value : 0;
		all += weight;
		add_sample(profile, i, weight, last, shares);
	}
	for (size_t i = 0; i < n; i++)
		shares[i] = all > 0 ? 100 * shares[i] / all : 100;
	*out = shares;
	return 0;
}
