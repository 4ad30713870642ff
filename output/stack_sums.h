/*
 * stack_sums.h - the amounts of a profile's samples per node of its stack tree.
 *
 * Depends on: base, profile, measure.h, selection.h. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_STACK_SUMS_H
#define CPROF_OUTPUT_STACK_SUMS_H

#include "measure.h"
#include "profile/profile.h"
#include "selection.h"

struct stack_sums {
	struct amount *own;     /* by stack id: of the samples of exactly this stack */
	struct amount *subtree; /* ... and of all stacks that go on from here */
	uint32_t *first_child;  /* by stack id; 0 = none; only nodes with a sample */
	uint32_t *next_sibling;
	size_t n;
};

/** Sum up the selected samples. Return: 0 or -ENOMEM. */
int stack_sums_init(struct stack_sums *sums, const struct profile *profile,
		    const struct measure *measure, const struct selection *selection);
void stack_sums_deinit(struct stack_sums *sums);

/**
 * Visit the tree depth first, from the roots on.
 *
 * @enter, @leave: called for every node with a sample at or below it, around its children
 */
void stack_sums_walk(const struct stack_sums *sums, const struct profile *profile,
		     void (*enter)(void *ctx, stack_id stack),
		     void (*leave)(void *ctx, stack_id stack), void *ctx);

#endif
