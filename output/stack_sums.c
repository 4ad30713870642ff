#include "stack_sums.h"

#include <errno.h>
#include <stdlib.h>

int stack_sums_init(struct stack_sums *sums, const struct profile *profile,
		    const struct measure *measure, const struct selection *selection)
{
	const struct stack_store *stacks = &profile->stacks;
	*sums = (struct stack_sums){
		.own = calloc(stacks->n, sizeof(*sums->own)),
		.subtree = calloc(stacks->n, sizeof(*sums->subtree)),
		.first_child = calloc(stacks->n, sizeof(*sums->first_child)),
		.next_sibling = calloc(stacks->n, sizeof(*sums->next_sibling)),
		.n = stacks->n,
	};
	bool *occupied = calloc(stacks->n, sizeof(*occupied));
	if (!sums->own || !sums->subtree || !sums->first_child || !sums->next_sibling ||
	    !occupied) {
		free(occupied);
		stack_sums_deinit(sums);
		return -ENOMEM;
	}
	for (size_t i = 0; i < profile->n_samples; i++) {
		stack_id stack = profile->samples[i].stack;
		if (!selection_has(selection, stack))
			continue;
		amount_add(&sums->own[stack.v], measure_of_sample(measure, profile, i));
		occupied[stack.v] = true;
	}
	/* children have higher numbers than parents: from the last to the first, each is final */
	for (size_t s = stacks->n; s-- > 1;) {
		if (!occupied[s])
			continue;
		uint32_t parent = stack_store_parent(stacks, (stack_id){(uint32_t)s}).v;
		occupied[parent] = true;
		amount_add(&sums->subtree[s], sums->own[s]);
		amount_add(&sums->subtree[parent], sums->subtree[s]);
		sums->next_sibling[s] = sums->first_child[parent];
		sums->first_child[parent] = (uint32_t)s;
	}
	amount_add(&sums->subtree[STACK_NONE.v], sums->own[STACK_NONE.v]);
	free(occupied);
	return 0;
}

void stack_sums_deinit(struct stack_sums *sums)
{
	free(sums->own);
	free(sums->subtree);
	free(sums->first_child);
	free(sums->next_sibling);
	*sums = (struct stack_sums){0};
}

void stack_sums_walk(const struct stack_sums *sums, const struct profile *profile,
		     void (*enter)(void *ctx, stack_id stack),
		     void (*leave)(void *ctx, stack_id stack), void *ctx)
{
	/* no recursion: stacks may be thousands of frames deep */
	uint32_t at = sums->first_child[STACK_NONE.v];
	while (at != STACK_NONE.v) {
		enter(ctx, (stack_id){at});
		if (sums->first_child[at]) {
			at = sums->first_child[at];
			continue;
		}
		while (at != STACK_NONE.v) {
			leave(ctx, (stack_id){at});
			if (sums->next_sibling[at]) {
				at = sums->next_sibling[at];
				break;
			}
			at = stack_store_parent(&profile->stacks, (stack_id){at}).v;
		}
	}
}
