/*
 * stack_store.h - give every distinct call stack one small number.
 *
 * A stack is a node in a prefix tree: (parent node, location). The root frame's node has the
 * parent STACK_NONE; parents are made before children, so `parent < child` and a walk to the
 * root ends. Ids are dense from 1; 0 is the empty stack.
 *
 * Depends on: base. Threads: one at a time.
 */
#ifndef CPROF_PROFILE_STACK_STORE_H
#define CPROF_PROFILE_STACK_STORE_H

#include "base/index.h"

typedef struct {
	uint32_t v;
} location_id;
typedef struct {
	uint32_t v;
} stack_id;

#define STACK_NONE ((stack_id){0})

struct stack_node {
	stack_id parent;
	location_id location;
};

struct stack_store {
	struct stack_node *nodes; /* nodes[0] is the empty stack */
	size_t n, cap;
	struct cp_index index;
};

/** Return: 0 or -ENOMEM (nothing to release). */
int stack_store_init(struct stack_store *store);
void stack_store_deinit(struct stack_store *store);

/**
 * Find or add a stack.
 *
 * @frames: frames[0] = leaf, frames[n - 1] = root
 * @n:      0 gives STACK_NONE
 * Return: 0, -ENOMEM or -EOVERFLOW: @out is untouched and ids given stay valid.
 */
int stack_store_intern(struct stack_store *store, const location_id *frames, size_t n,
		       stack_id *out);

/** Frames of a stack. Context: O(depth). */
size_t stack_store_depth(const struct stack_store *store, stack_id stack);

/** One frame further out: the caller's stack. @stack must not be STACK_NONE. */
static inline stack_id stack_store_parent(const struct stack_store *store, stack_id stack)
{
	return store->nodes[stack.v].parent;
}

/** The innermost frame of a stack. @stack must not be STACK_NONE. */
static inline location_id stack_store_leaf(const struct stack_store *store, stack_id stack)
{
	return store->nodes[stack.v].location;
}

/** Forget all stacks; ids given before are void. Keeps the memory. */
void stack_store_clear(struct stack_store *store);

#endif
