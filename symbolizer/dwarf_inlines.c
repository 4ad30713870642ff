#include "dwarf_inlines.h"

#include "base/array.h"
#include "die_visit.h"
#include "dwarf_ranges.h"

#include <dwarf.h>
#include <errno.h>
#include <string.h>

/* Sorted by insertion, which takes the square of their number. */
enum { FEW_RANGES = 24 };

void dwarf_inlines_deinit(struct dwarf_inlines *inlines)
{
	free(inlines->calls);
	free(inlines->ranges);
	*inlines = (struct dwarf_inlines){0};
}

size_t dwarf_inlines_bytes(const struct dwarf_inlines *inlines)
{
	return inlines->cap_calls * sizeof(*inlines->calls) +
	       inlines->cap_ranges * sizeof(*inlines->ranges);
}

/* What the walk knows about the entry at each depth of its path. */
struct nesting {
	uint32_t call;  /* innermost inlined call that encloses its children */
	uint32_t depth; /* that call's depth + 1 */
};

static int add_range(struct dwarf_inlines *inlines, const struct inline_range *range)
{
	if (range->end <= range->start)
		return 0;
	struct inline_range *added =
		CP_ARRAY_PUSH(inlines->ranges, inlines->n_ranges, inlines->cap_ranges);
	if (!added)
		return -ENOMEM;
	*added = *range;
	return 0;
}

static int add_call(struct dwarf_inlines *inlines, struct die_visit *visit,
		    const struct nesting *around, struct nesting *inside, uint64_t *budget)
{
	const struct die_entry *entry = &visit->current;
	if (inlines->n_calls >= INLINE_NONE)
		return -ENOMEM;
	struct inline_call *call =
		CP_ARRAY_PUSH(inlines->calls, inlines->n_calls, inlines->cap_calls);
	if (!call)
		return -ENOMEM;
	*call = (struct inline_call){.die = visit->die,
				     .parent = around->call,
				     .call_file = entry->call_file,
				     .call_line = entry->call_line};
	inside->call = (uint32_t)(inlines->n_calls - 1);
	inside->depth = around->depth + 1;
	if (inside->depth > inlines->n_depths)
		inlines->n_depths = inside->depth;

	struct inline_range range = {.depth = around->depth, .call = inside->call};
	if (entry->has_bounds) {
		range.start = entry->low;
		range.end = entry->high;
		return add_range(inlines, &range);
	}
	if (!entry->has_code)
		return 0;
	struct dwarf_range_cursor cursor = dwarf_range_begin(&call->die, budget);
	while (dwarf_range_next(&cursor, &range.start, &range.end))
		if (add_range(inlines, &range) < 0)
			return -ENOMEM;
	if (cursor.failed)
		visit->tables->damage |= DWARF_DAMAGE_RANGES;
	return 0;
}

static int compare_ranges(const void *left, const void *right)
{
	const struct inline_range *a = left, *b = right;
	if (a->depth != b->depth)
		return a->depth < b->depth ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return a->call > b->call ? -1 : a->call < b->call;
}

/* Most functions have a few, nearly in order. */
static void sort_ranges(struct inline_range *ranges, size_t n)
{
	if (n > FEW_RANGES) {
		qsort(ranges, n, sizeof(*ranges), compare_ranges);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		const struct inline_range range = ranges[i];
		size_t at = i;
		for (; at > 0 && compare_ranges(&ranges[at - 1], &range) > 0; at--)
			ranges[at] = ranges[at - 1];
		ranges[at] = range;
	}
}

int dwarf_inlines_read(struct dwarf_inlines *inlines, struct die_tables *tables,
		       const struct die_unit *unit, const Dwarf_Die *function, uint64_t *budget)
{
	struct die_visit visit;
	struct nesting nesting[DIE_VISIT_MAX_DEPTH];
	bool descend = true;
	die_visit_init(&visit, tables, unit, function);
	nesting[0] = (struct nesting){.call = INLINE_NONE};
	while (die_visit_next(&visit, descend)) {
		unsigned int depth = visit.current.depth;
		if (depth == 0)
			continue; /* the function itself */
		const struct nesting *around = &nesting[depth - 1];
		struct nesting *inside = &nesting[depth];
		*inside = *around;
		switch (visit.current.tag) {
		case DW_TAG_inlined_subroutine:
			if (add_call(inlines, &visit, around, inside, budget) < 0)
				return -ENOMEM;
			descend = true;
			break;
		case DW_TAG_lexical_block:
		case DW_TAG_try_block:
		case DW_TAG_catch_block:
		case DW_TAG_with_stmt:
			descend = true;
			break;
		default: /* variables, types, call sites; nested functions are functions */
			descend = false;
		}
	}
	sort_ranges(inlines->ranges, inlines->n_ranges);
	return 0;
}

uint32_t dwarf_inlines_find(const struct dwarf_inlines *inlines, uint64_t svma)
{
	for (uint32_t depth = inlines->n_depths; depth-- > 0;) {
		size_t low = 0, high = inlines->n_ranges;
		while (low < high) {
			size_t middle = low + (high - low) / 2;
			const struct inline_range *range = &inlines->ranges[middle];
			if (range->depth < depth || (range->depth == depth && range->start <= svma))
				low = middle + 1;
			else
				high = middle;
		}
		if (low == 0)
			continue;
		const struct inline_range *range = &inlines->ranges[low - 1];
		if (range->depth == depth && range->end > svma)
			return range->call;
	}
	return INLINE_NONE;
}
