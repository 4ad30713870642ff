#include "flame_tree.h"

#include "base/array.h"
#include "flame_variants.h"
#include "thread_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A stack's prefix below one base node (a comm, or a stop marker under it), with the node it led
 * to. Stacks share their outer parts, so each distinct prefix is walked once however many samples
 * pass through it. Outer prefixes are made first: parent < own index.
 */
struct prefix {
	uint32_t base, stack;
	uint32_t parent; /* prefix, or FLAME_NONE */
	uint32_t node;   /* of the innermost frame of the stack's leaf location */
	int64_t total;   /* first the samples that end here, in the end all that pass */
};

struct child_key {
	uint32_t parent;
	enum flame_kind kind;
	uint32_t value; /* string id, stop, or the frame's function */
};

struct builder {
	struct flame_tree *tree;
	struct flame_variants variants;
	uint32_t *keys; /* by node: child_key.value */
	size_t cap_keys;
	struct cp_index children; /* over nodes */
	struct prefix *prefixes;
	size_t n_prefixes, cap_prefixes;
	struct cp_index prefix_index;
	uint32_t *pending; /* stacks, innermost first, whose prefixes are missing */
	size_t cap_pending;
};

static void builder_deinit(struct builder *builder)
{
	flame_variants_deinit(&builder->variants);
	cp_index_deinit(&builder->children);
	cp_index_deinit(&builder->prefix_index);
	free(builder->keys);
	free(builder->prefixes);
	free(builder->pending);
}

static bool child_equal(const void *key, const void *owner, uint32_t id)
{
	const struct child_key *want = key;
	const struct builder *builder = owner;
	const struct flame_node *node = &builder->tree->nodes[id];
	return node->parent == want->parent && node->kind == want->kind &&
	       builder->keys[id] == want->value;
}

static bool prefix_equal(const void *key, const void *owner, uint32_t id)
{
	const struct prefix *want = key;
	const struct prefix *have = &((const struct builder *)owner)->prefixes[id];
	return have->base == want->base && have->stack == want->stack;
}

static int add_node(struct builder *builder, const struct child_key *key, uint32_t *out)
{
	struct flame_tree *tree = builder->tree;
	if (tree->n >= FLAME_NONE - 1)
		return -ENOMEM;
	uint32_t *keys =
		cp_array_reserve(builder->keys, &builder->cap_keys, tree->n + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	builder->keys = keys;
	struct flame_node *node = CP_ARRAY_PUSH(tree->nodes, tree->n, tree->cap);
	if (!node)
		return -ENOMEM;
	uint32_t id = (uint32_t)(tree->n - 1);
	keys[id] = key->value;
	*node = (struct flame_node){.kind = key->kind,
				    .parent = key->parent,
				    .first_child = FLAME_NONE,
				    .next_sibling = FLAME_NONE};
	if (key->kind == FLAME_KIND_COMM)
		node->comm = (string_id){key->value};
	else if (key->kind == FLAME_KIND_INFERRED)
		node->inferred = (enum cp_inferred)key->value;
	else if (key->kind == FLAME_KIND_STOP)
		node->stop = (enum cp_stop)key->value;
	else if (key->kind == FLAME_KIND_FRAME)
		node->frame = builder->variants.representative[key->value];
	if (key->parent != FLAME_NONE) {
		struct flame_node *parent = &tree->nodes[key->parent];
		node->depth = parent->depth + 1;
		if (node->depth > tree->max_depth)
			tree->max_depth = node->depth;
		node->next_sibling = parent->first_child;
		parent->first_child = id;
		parent->n_children++;
	}
	*out = id;
	return 0;
}

static int child(struct builder *builder, uint32_t parent, enum flame_kind kind, uint32_t value,
		 uint32_t *out)
{
	struct child_key key = {parent, kind, value};
	uint64_t hash = cp_hash_mix((uint64_t)parent << 3 | kind, value);
	uint32_t known = cp_index_find(&builder->children, hash, child_equal, &key, builder);
	if (known != CP_INDEX_NONE) {
		*out = known;
		return 0;
	}
	int rc = add_node(builder, &key, out);
	return rc ? rc : cp_index_add(&builder->children, hash, *out);
}

static uint64_t prefix_hash(const struct prefix *prefix)
{
	return cp_hash_mix(prefix->base, prefix->stack);
}

/* Extend the prefix *at (FLAME_NONE = the base itself) by the location of @stack. */
static int add_prefix(struct builder *builder, uint32_t base, uint32_t stack, uint32_t *at)
{
	struct flame_tree *tree = builder->tree;
	location_id location = stack_store_leaf(&tree->profile->stacks, (stack_id){stack});
	size_t n;
	const frame_id *frames = frames_of_location(tree->frames, location, &n);
	uint32_t node = *at == FLAME_NONE ? base : builder->prefixes[*at].node;
	while (n-- > 0) {
		uint32_t function = builder->variants.function_of[frames[n].v];
		int rc = child(builder, node, FLAME_KIND_FRAME, function, &node);
		if (rc)
			return rc;
	}
	if (builder->n_prefixes >= FLAME_NONE - 1)
		return -ENOMEM;
	struct prefix *prefix =
		CP_ARRAY_PUSH(builder->prefixes, builder->n_prefixes, builder->cap_prefixes);
	if (!prefix)
		return -ENOMEM;
	*prefix = (struct prefix){base, stack, *at, node, 0};
	*at = (uint32_t)(builder->n_prefixes - 1);
	return cp_index_add(&builder->prefix_index, prefix_hash(prefix), *at);
}

/* Add @value to the node of @stack below @base. */
static int add_stack(struct builder *builder, uint32_t base, stack_id stack, int64_t value)
{
	const struct stack_store *stacks = &builder->tree->profile->stacks;
	uint32_t at = FLAME_NONE;
	size_t n_pending = 0;
	for (; stack.v != STACK_NONE.v; stack = stack_store_parent(stacks, stack)) {
		struct prefix key = {.base = base, .stack = stack.v};
		at = cp_index_find(&builder->prefix_index, prefix_hash(&key), prefix_equal, &key,
				   builder);
		if (at != CP_INDEX_NONE)
			break;
		if (!CP_ARRAY_PUSH(builder->pending, n_pending, builder->cap_pending))
			return -ENOMEM;
		builder->pending[n_pending - 1] = stack.v;
	}
	while (n_pending > 0) {
		int rc = add_prefix(builder, base, builder->pending[--n_pending], &at);
		if (rc)
			return rc;
	}
	uint32_t node = base;
	if (at != FLAME_NONE) {
		builder->prefixes[at].total += value;
		node = builder->prefixes[at].node;
	}
	builder->tree->nodes[node].self += value;
	return 0;
}

static int add_sample(struct builder *builder, const struct profile_sample_key *key, int64_t value)
{
	string_id comm = builder->tree->profile->threads[key->thread.v].comm;
	uint32_t base;
	int rc = child(builder, FLAME_ROOT, FLAME_KIND_COMM, comm.v, &base);
	if (!rc && key->joined != CP_JOINED_NO)
		rc = child(builder, base, FLAME_KIND_JOINED, 0, &base);
	if (!rc && key->inferred != CP_INFERRED_NO)
		rc = child(builder, base, FLAME_KIND_INFERRED, key->inferred, &base);
	if (!rc && !cp_stop_is_complete(key->stop))
		rc = child(builder, base, FLAME_KIND_STOP, key->stop, &base);
	return rc ? rc : add_stack(builder, base, key->stack, value);
}

/* All samples of the wanted threads; @sum is what they amount to. */
static int add_samples(struct builder *builder, const bool *wanted, int64_t *sum)
{
	const struct profile *profile = builder->tree->profile;
	for (size_t i = 0; i < profile->n_samples; i++) {
		int64_t value = measure_of_sample(&builder->tree->measure, profile, i).value;
		if (!wanted[profile->samples[i].thread.v] || value == 0)
			continue;
		if (value < 0) {
			builder->tree->negative_left_out++;
			continue;
		}
		if (__builtin_add_overflow(*sum, value, sum))
			return -ERANGE;
		int rc = add_sample(builder, &profile->samples[i], value);
		if (rc)
			return rc;
	}
	return 0;
}

/* Sum up totals, and let every node show the hottest of its function's frames. */
static int finish_values(struct builder *builder)
{
	struct flame_tree *tree = builder->tree;
	for (size_t i = tree->n; i-- > 0;) {
		struct flame_node *node = &tree->nodes[i];
		node->total += node->self;
		if (node->parent != FLAME_NONE)
			tree->nodes[node->parent].total += node->total;
	}
	for (size_t i = builder->n_prefixes; i-- > 0;) {
		const struct prefix *prefix = &builder->prefixes[i];
		if (prefix->parent != FLAME_NONE)
			builder->prefixes[prefix->parent].total += prefix->total;
		location_id location =
			stack_store_leaf(&tree->profile->stacks, (stack_id){prefix->stack});
		size_t n;
		const frame_id *frames = frames_of_location(tree->frames, location, &n);
		uint32_t node = prefix->node;
		for (size_t f = 0; f < n; f++, node = tree->nodes[node].parent) {
			int rc = flame_variants_count(&builder->variants, node, frames[f],
						      prefix->total);
			if (rc)
				return rc;
		}
	}
	flame_variants_sort(&builder->variants);
	for (size_t i = 0; i < builder->variants.n_counts; i++) {
		const struct flame_variant *variant = &builder->variants.counts[i];
		if (i == 0 || variant->node != variant[-1].node)
			tree->nodes[variant->node].frame = variant->frame;
	}
	return 0;
}

struct order {
	const struct builder *builder;
	const uint32_t *rank; /* of functions, by name */
};

static int compare_siblings(const void *a, const void *b, void *context)
{
	const struct order *order = context;
	const struct flame_tree *tree = order->builder->tree;
	uint32_t id_a = *(const uint32_t *)a, id_b = *(const uint32_t *)b;
	const struct flame_node *x = &tree->nodes[id_a], *y = &tree->nodes[id_b];
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->kind == FLAME_KIND_COMM)
		return strcmp(flame_tree_name(tree, x), flame_tree_name(tree, y));
	uint32_t key_a = order->builder->keys[id_a], key_b = order->builder->keys[id_b];
	if (x->kind == FLAME_KIND_FRAME) {
		key_a = order->rank[key_a];
		key_b = order->rank[key_b];
	}
	return (key_a > key_b) - (key_a < key_b);
}

static int sort_siblings(struct builder *builder)
{
	struct flame_tree *tree = builder->tree;
	uint32_t *ids = NULL;
	size_t cap = 0;
	int rc = 0;
	uint32_t *rank = flame_variants_rank(&builder->variants);
	if (!rank)
		return -ENOMEM;
	struct order order = {builder, rank};
	for (size_t p = 0; p < tree->n && !rc; p++) {
		struct flame_node *parent = &tree->nodes[p];
		if (parent->n_children < 2)
			continue;
		uint32_t *grown = cp_array_reserve(ids, &cap, parent->n_children, sizeof(*ids));
		if (!grown) {
			rc = -ENOMEM;
			break;
		}
		ids = grown;
		size_t n = 0;
		for (uint32_t c = parent->first_child; c != FLAME_NONE;
		     c = tree->nodes[c].next_sibling)
			ids[n++] = c;
		qsort_r(ids, n, sizeof(*ids), compare_siblings, &order);
		parent->first_child = ids[0];
		for (size_t i = 0; i < n; i++)
			tree->nodes[ids[i]].next_sibling = i + 1 < n ? ids[i + 1] : FLAME_NONE;
	}
	free(ids);
	free(rank);
	return rc;
}

static int build(struct flame_tree *tree, const bool *wanted, struct cp_err *err)
{
	struct builder builder = {.tree = tree};
	int64_t sum = 0;
	uint32_t root;
	struct child_key root_key = {FLAME_NONE, FLAME_KIND_ROOT, 0};
	int rc = flame_variants_init(&builder.variants, tree->frames);
	if (!rc)
		rc = add_node(&builder, &root_key, &root);
	if (!rc)
		rc = add_samples(&builder, wanted, &sum);
	if (!rc && sum > 0)
		rc = finish_values(&builder);
	if (!rc && sum > 0)
		rc = sort_siblings(&builder);
	builder_deinit(&builder);
	if (rc == -ERANGE)
		return cp_fail(err, rc,
			       "the sum of the profile's values exceeds 2^63 - 1: "
			       "the file is damaged or not a profile of samples");
	if (rc)
		return cp_fail_nomem(err);
	return sum > 0 ? 0 : -ENODATA;
}

int flame_tree_create(const struct profile *profile, const char *thread_re, struct flame_tree **out,
		      struct cp_err *err)
{
	struct measure measure;
	bool *wanted;
	int rc = measure_choose(profile, &measure, err);
	if (!rc)
		rc = thread_filter_match(profile, thread_re, &wanted, err);
	if (rc)
		return rc;
	struct flame_tree *tree = calloc(1, sizeof(*tree));
	if (!tree || frames_create(profile, &tree->frames)) {
		free(tree);
		free(wanted);
		return cp_fail_nomem(err);
	}
	tree->profile = profile;
	tree->measure = measure;
	rc = build(tree, wanted, err);
	free(wanted);
	if (rc == -ENODATA && thread_re)
		rc = thread_filter_fail(profile, thread_re, err);
	else if (rc == -ENODATA)
		rc = cp_fail(err, rc, "no sample of the profile has a value above zero");
	if (rc) {
		flame_tree_destroy(tree);
		return rc;
	}
	*out = tree;
	return 0;
}

void flame_tree_destroy(struct flame_tree *tree)
{
	if (!tree)
		return;
	frames_destroy(tree->frames);
	free(tree->nodes);
	free(tree);
}

const char *flame_tree_name(const struct flame_tree *tree, const struct flame_node *node)
{
	static const char *const markers[CP_STOP_COUNT] = {
		[CP_STOP_END] = "[end]",
		[CP_STOP_TRUNCATED] = "[truncated]",
		[CP_STOP_NO_MAP] = "[no_map]",
		[CP_STOP_NO_CFI] = "[no_cfi]",
		[CP_STOP_UNSUPPORTED] = "[unsupported]",
		[CP_STOP_SP_BACKWARDS] = "[sp_backwards]",
		[CP_STOP_BAD_RA] = "[bad_ra]",
		[CP_STOP_DEPTH] = "[depth]",
		[CP_STOP_NO_USER] = "[no_user]",
		[CP_STOP_UNSEEN] = "[unseen]",
	};
	const char *name;
	switch (node->kind) {
	case FLAME_KIND_COMM:
		name = profile_text(tree->profile, node->comm);
		return name[0] ? name : "[unknown]";
	case FLAME_KIND_JOINED:
		return "[joined]";
	case FLAME_KIND_INFERRED:
		return frames_inferred_mark(node->inferred);
	case FLAME_KIND_STOP:
		return markers[node->stop];
	case FLAME_KIND_FRAME:
		return frames_text(tree->frames, frames_get(tree->frames, node->frame)->name);
	case FLAME_KIND_ROOT:
		break;
	}
	return "all";
}
