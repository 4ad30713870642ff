#include "flame_cells.h"

#include "base/array.h"
#include "safe_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names are cut shorter only when frames of more than this would be merged otherwise. */
#define ACCEPTABLE_PX 0.5
static const size_t name_chars[] = {FLAME_NAME_CHARS, 500, 120};

/* Fixed parts of what flamegraph.c writes, rounded up. */
enum {
	COST_RECT = 72,  /* <rect x="1199.9" y="123456.0" width="1200.0" height="17" class="u0"/> */
	COST_TITLE = 70, /* <g><title> (1,234,567,890 samples, 100.00 %)</title></g> */
	COST_LABEL = 64, /* <text x="1199.9" y="123456.0" class="label"></text> */
};

struct chooser {
	const struct flame_tree *tree;
	const struct flame_cells_options *options;
	uint32_t *candidates; /* nodes that are wide enough, in the order in which they are kept */
	size_t n_candidates, cap_candidates;
	uint32_t *entry_of; /* by node: its entry when kept, FLAME_NONE when not */
	uint32_t *subtree;  /* by node: nodes in it, itself included */
	uint32_t *kept_children;
	size_t n_drawn; /* the first n_drawn candidates are drawn */
	size_t n_kept;
	char title[4 * FLAME_TITLE_CHARS + 1];
};

static double width_px(const struct chooser *chooser, int64_t total)
{
	return (double)total * chooser->options->width_px /
	       (double)chooser->tree->nodes[FLAME_ROOT].total;
}

static uint32_t line_of(const struct flame_tree *tree, const struct flame_node *node)
{
	return node->kind == FLAME_KIND_FRAME ? frames_get(tree->frames, node->frame)->line : 0;
}

/*
 * "pop,entry,total,line," of one cell in the data. A pop takes back an earlier cell's push, so
 * their sum is below the number of cells: at most a tenth of them have a second digit, and so on.
 */
static size_t cell_cost(const struct flame_node *node, uint64_t entry, uint64_t line)
{
	return 2 + flame_entries_digits(entry) + flame_entries_digits((uint64_t)node->total) +
	       flame_entries_digits(line) + 4;
}

/* A node in the picture without script, and the merged cell that it may have. */
static size_t drawn_cost(struct chooser *chooser, const struct flame_node *node)
{
	double width = width_px(chooser, node->total);
	size_t cost = COST_RECT;
	if (width < FLAME_TITLE_MIN_PX)
		return cost;
	if (node->n_children)
		cost += COST_RECT + COST_TITLE + sizeof("(merged)");
	safe_text_copy(flame_tree_name(chooser->tree, node), FLAME_TITLE_CHARS, chooser->title);
	size_t name = safe_text_xml_size(chooser->title);
	cost += COST_TITLE + name;
	if (width >= FLAME_LABEL_MIN_PX)
		cost += COST_LABEL + name;
	return cost;
}

/* Draw as many candidates, widest first, as fit into @budget. Return: what they cost. */
static size_t choose_drawn(struct chooser *chooser, size_t budget)
{
	size_t used = 0;
	chooser->n_drawn = 0;
	for (size_t i = 0; i < chooser->n_candidates; i++) {
		const struct flame_node *node = &chooser->tree->nodes[chooser->candidates[i]];
		if (width_px(chooser, node->total) < chooser->options->min_drawn_px)
			break;
		size_t cost = drawn_cost(chooser, node);
		if (used + cost > budget)
			break;
		used += cost;
		chooser->n_drawn++;
	}
	return used;
}

/* Keep as many candidates, widest first, as fit into @budget with names of @chars. */
static int choose_kept(struct chooser *chooser, struct flame_cells *cells, size_t chars,
		       size_t budget)
{
	const struct flame_tree *tree = chooser->tree;
	size_t used = 0;
	memset(chooser->entry_of, 0xff, tree->n * sizeof(*chooser->entry_of));
	memset(chooser->kept_children, 0, tree->n * sizeof(*chooser->kept_children));
	flame_entries_deinit(&cells->entries);
	if (flame_entries_init(&cells->entries, chars))
		return -ENOMEM;
	for (size_t i = 0; i < chooser->n_candidates; i++) {
		uint32_t id = chooser->candidates[i];
		const struct flame_node *node = &tree->nodes[id];
		uint32_t entry;
		size_t more = 0, less = 0;
		int rc = flame_entries_add(&cells->entries, tree, node, &entry, &more);
		if (rc)
			return rc;
		more += cell_cost(node, entry, line_of(tree, node));
		if (node->n_children) /* its children are merged until they turn out to be kept */
			more += cell_cost(node, 1, chooser->subtree[id]) + 1;
		if (node->parent != FLAME_NONE) {
			const struct flame_node *parent = &tree->nodes[node->parent];
			if (++chooser->kept_children[node->parent] == parent->n_children)
				less = cell_cost(parent, 1, chooser->subtree[node->parent]) + 1;
		}
		if (used + more > budget + less && i > 0) {
			chooser->n_kept = i;
			return 0;
		}
		used += more;
		used -= less;
		chooser->entry_of[id] = entry;
	}
	chooser->n_kept = chooser->n_candidates;
	return 0;
}

static int compare_candidates(const void *a, const void *b, void *context)
{
	const struct flame_tree *tree = context;
	uint32_t id_a = *(const uint32_t *)a, id_b = *(const uint32_t *)b;
	const struct flame_node *x = &tree->nodes[id_a], *y = &tree->nodes[id_b];
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return (id_a > id_b) - (id_a < id_b);
}

static int collect_candidates(struct chooser *chooser)
{
	const struct flame_tree *tree = chooser->tree;
	for (uint32_t i = 0; i < tree->n; i++) {
		if (i != FLAME_ROOT &&
		    width_px(chooser, tree->nodes[i].total) < chooser->options->min_px)
			continue;
		if (!CP_ARRAY_PUSH(chooser->candidates, chooser->n_candidates,
				   chooser->cap_candidates))
			return -ENOMEM;
		chooser->candidates[chooser->n_candidates - 1] = i;
	}
	/* widest first, so that to stop anywhere keeps every frame's ancestors */
	if (chooser->n_candidates)
		qsort_r(chooser->candidates, chooser->n_candidates, sizeof(*chooser->candidates),
			compare_candidates, (void *)tree);
	for (size_t i = tree->n; i-- > 0;) {
		chooser->subtree[i]++;
		if (tree->nodes[i].parent != FLAME_NONE)
			chooser->subtree[tree->nodes[i].parent] += chooser->subtree[i];
	}
	return 0;
}

static int choose(struct chooser *chooser, struct flame_cells *cells)
{
	int rc = collect_candidates(chooser);
	for (size_t i = 0; i < sizeof(name_chars) / sizeof(name_chars[0]) && !rc; i++) {
		size_t budget = chooser->options->budget_bytes;
		/* The data is what zoom and search work on: it gets more than half. */
		budget -= choose_drawn(chooser, budget / 100 * 45);
		rc = choose_kept(chooser, cells, name_chars[i], budget);
		if (rc || chooser->n_kept == chooser->n_candidates)
			break;
		const struct flame_node *first_out =
			&chooser->tree->nodes[chooser->candidates[chooser->n_kept]];
		cells->merged_px = width_px(chooser, first_out->total);
		if (cells->merged_px < ACCEPTABLE_PX)
			break;
	}
	if (chooser->n_drawn > chooser->n_kept)
		chooser->n_drawn = chooser->n_kept;
	if (chooser->n_kept == chooser->n_candidates)
		cells->merged_px = chooser->options->min_px;
	else /* narrower than the next tenth */
		cells->merged_px = ((double)(uint64_t)(cells->merged_px * 10) + 1) / 10;
	return rc;
}

/* Where the walk that lays cells out stands in one kept node. */
struct level {
	uint32_t next; /* child to look at */
	int64_t start; /* of that child */
	int64_t merged;
	uint32_t merged_frames;
};

static int emit(struct flame_cells *cells, const struct flame_cell *cell)
{
	struct flame_cell *added = CP_ARRAY_PUSH(cells->cells, cells->n, cells->cap);
	if (!added)
		return -ENOMEM;
	*added = *cell;
	if (cell->depth > cells->max_depth)
		cells->max_depth = cell->depth;
	if (cell->drawn && cell->depth > cells->max_drawn_depth)
		cells->max_drawn_depth = cell->depth;
	return 0;
}

static int emit_merged(const struct chooser *chooser, struct flame_cells *cells,
		       const struct level *level, uint32_t depth, bool parent_drawn)
{
	cells->merged_frames += level->merged_frames;
	cells->merged_samples += level->merged;
	struct flame_cell cell = {
		.entry = FLAME_NONE,
		.depth = depth,
		.frames = level->merged_frames,
		.start = level->start,
		.total = level->merged,
		.drawn = parent_drawn && width_px(chooser, level->merged) >= FLAME_TITLE_MIN_PX,
	};
	return emit(cells, &cell);
}

static int emit_node(const struct chooser *chooser, struct flame_cells *cells, uint32_t id,
		     int64_t start, bool drawn, struct level *level)
{
	const struct flame_node *node = &chooser->tree->nodes[id];
	struct flame_cell cell = {
		.entry = chooser->entry_of[id],
		.depth = node->depth,
		.line = line_of(chooser->tree, node),
		.start = start,
		.total = node->total,
		.drawn = drawn,
	};
	*level = (struct level){.next = node->first_child, .start = start};
	return emit(cells, &cell);
}

static int lay_out(const struct chooser *chooser, struct flame_cells *cells, const bool *drawn,
		   struct level *levels)
{
	const struct flame_tree *tree = chooser->tree;
	uint32_t id = FLAME_ROOT;
	int rc = emit_node(chooser, cells, id, 0, drawn[id], &levels[0]);
	while (!rc) {
		uint32_t depth = tree->nodes[id].depth;
		struct level *level = &levels[depth];
		uint32_t next = level->next;
		if (next == FLAME_NONE) {
			if (level->merged)
				rc = emit_merged(chooser, cells, level, depth + 1, drawn[id]);
			if (id == FLAME_ROOT)
				break;
			id = tree->nodes[id].parent;
			continue;
		}
		level->next = tree->nodes[next].next_sibling;
		if (chooser->entry_of[next] == FLAME_NONE) {
			level->merged += tree->nodes[next].total;
			level->merged_frames += chooser->subtree[next];
			continue;
		}
		rc = emit_node(chooser, cells, next, level->start, drawn[next], &levels[depth + 1]);
		level->start += tree->nodes[next].total;
		id = next;
	}
	return rc;
}

static int fill(struct chooser *chooser, struct flame_cells *cells)
{
	size_t n = chooser->tree->n;
	chooser->entry_of = malloc(n * sizeof(*chooser->entry_of));
	chooser->subtree = calloc(n, sizeof(*chooser->subtree));
	chooser->kept_children = malloc(n * sizeof(*chooser->kept_children));
	bool *drawn = calloc(n, sizeof(*drawn));
	struct level *levels = calloc((size_t)chooser->tree->max_depth + 2, sizeof(*levels));
	int rc = -ENOMEM;
	if (chooser->entry_of && chooser->subtree && chooser->kept_children && drawn && levels)
		rc = choose(chooser, cells);
	if (!rc) {
		for (size_t i = 0; i < chooser->n_drawn; i++)
			drawn[chooser->candidates[i]] = true;
		rc = lay_out(chooser, cells, drawn, levels);
	}
	free(chooser->candidates);
	free(chooser->entry_of);
	free(chooser->subtree);
	free(chooser->kept_children);
	free(drawn);
	free(levels);
	return rc;
}

int flame_cells_create(const struct flame_tree *tree, const struct flame_cells_options *options,
		       struct flame_cells **out)
{
	struct flame_cells *cells = calloc(1, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	struct chooser chooser = {.tree = tree, .options = options};
	if (fill(&chooser, cells)) {
		flame_cells_destroy(cells);
		return -ENOMEM;
	}
	*out = cells;
	return 0;
}

void flame_cells_destroy(struct flame_cells *cells)
{
	if (!cells)
		return;
	flame_entries_deinit(&cells->entries);
	free(cells->cells);
	free(cells);
}
