#include "stack_store.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>

int stack_store_init(struct stack_store *store)
{
	*store = (struct stack_store){0};
	struct stack_node *empty = CP_ARRAY_PUSH(store->nodes, store->n, store->cap);
	if (!empty)
		return -ENOMEM;
	*empty = (struct stack_node){0};
	return 0;
}

void stack_store_deinit(struct stack_store *store)
{
	if (!store)
		return;
	free(store->nodes);
	cp_index_deinit(&store->index);
	*store = (struct stack_store){0};
}

static bool equals(const void *key, const void *owner, uint32_t id)
{
	const struct stack_node *wanted = key;
	const struct stack_store *store = owner;
	const struct stack_node *node = &store->nodes[id];
	return node->parent.v == wanted->parent.v && node->location.v == wanted->location.v;
}

static int add_child(struct stack_store *store, struct stack_node node, stack_id *out)
{
	uint64_t hash = cp_hash_mix(node.parent.v, node.location.v);
	uint32_t id = cp_index_find(&store->index, hash, equals, &node, store);
	if (id == CP_INDEX_NONE) {
		if (store->n >= CP_INDEX_NONE - 1)
			return -EOVERFLOW;
		id = (uint32_t)store->n;
		struct stack_node *made = CP_ARRAY_PUSH(store->nodes, store->n, store->cap);
		if (!made)
			return -ENOMEM;
		*made = node;
		int rc = cp_index_add(&store->index, hash, id);
		if (rc) {
			store->n--;
			return rc;
		}
	}
	*out = (stack_id){id};
	return 0;
}

int stack_store_intern(struct stack_store *store, const location_id *frames, size_t n,
		       stack_id *out)
{
	stack_id stack = STACK_NONE;
	for (size_t i = n; i-- > 0;) {
		int rc = add_child(store, (struct stack_node){stack, frames[i]}, &stack);
		if (rc)
			return rc;
	}
	*out = stack;
	return 0;
}

size_t stack_store_depth(const struct stack_store *store, stack_id stack)
{
	size_t depth = 0;
	for (; stack.v; stack = stack_store_parent(store, stack))
		depth++;
	return depth;
}

void stack_store_clear(struct stack_store *store)
{
	store->n = 1;
	cp_index_clear(&store->index);
}
