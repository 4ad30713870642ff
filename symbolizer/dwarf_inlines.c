#include "dwarf_inlines.h"

#include "base/array.h"
#include "die_walk.h"
#include "dwarf_ranges.h"

#include <dwarf.h>
#include <errno.h>
#include <string.h>

void dwarf_inlines_deinit(struct dwarf_inlines *inlines)
{
	free(inlines->calls);
	free(inlines->ranges);
	*inlines = (struct dwarf_inlines){0};
}

static uint32_t number_attribute(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute found;
	Dwarf_Word value;
	if (!dwarf_attr(die, attribute, &found) || dwarf_formudata(&found, &value) != 0 ||
	    value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

/* What the walk knows about the entry at each depth of its path. */
struct nesting {
	uint32_t call;  /* innermost inlined call that encloses its children */
	uint32_t depth; /* that call's depth + 1 */
};

static int add_call(struct dwarf_inlines *inlines, Dwarf_Die *die, const struct nesting *around,
		    struct nesting *inside, uint64_t *budget)
{
	if (inlines->n_calls >= INLINE_NONE)
		return -ENOMEM;
	struct inline_call *call =
		CP_ARRAY_PUSH(inlines->calls, inlines->n_calls, inlines->cap_calls);
	if (!call)
		return -ENOMEM;
	*call = (struct inline_call){.die = *die,
				     .parent = around->call,
				     .call_file = number_attribute(die, DW_AT_call_file),
				     .call_line = number_attribute(die, DW_AT_call_line)};
	inside->call = (uint32_t)(inlines->n_calls - 1);
	inside->depth = around->depth + 1;
	if (inside->depth > inlines->n_depths)
		inlines->n_depths = inside->depth;

	struct dwarf_range_cursor cursor = dwarf_range_begin(die, budget);
	struct inline_range range = {.depth = around->depth, .call = inside->call};
	while (dwarf_range_next(&cursor, &range.start, &range.end)) {
		if (range.end <= range.start)
			continue;
		struct inline_range *added =
			CP_ARRAY_PUSH(inlines->ranges, inlines->n_ranges, inlines->cap_ranges);
		if (!added)
			return -ENOMEM;
		*added = range;
	}
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

int dwarf_inlines_read(struct dwarf_inlines *inlines, const Dwarf_Die *function,
		       const uint8_t *unit_end, uint64_t *budget)
{
	struct die_walk walk;
	struct nesting nesting[DIE_WALK_MAX_DEPTH];
	bool descend = true;
	die_walk_init(&walk, function, unit_end);
	nesting[0] = (struct nesting){.call = INLINE_NONE};
	while (die_walk_next(&walk, descend)) {
		const struct nesting *around = &nesting[walk.depth - 1];
		struct nesting *inside = &nesting[walk.depth];
		*inside = *around;
		switch (dwarf_tag(die_walk_current(&walk))) {
		case DW_TAG_inlined_subroutine:
			if (add_call(inlines, die_walk_current(&walk), around, inside, budget) < 0)
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
	if (inlines->n_ranges > 0)
		qsort(inlines->ranges, inlines->n_ranges, sizeof(*inlines->ranges), compare_ranges);
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
