#include "die_walk.h"

void die_walk_init(struct die_walk *walk, const Dwarf_Die *root, const uint8_t *end)
{
	walk->path[0] = *root;
	walk->depth = 0;
	walk->end = end;
	walk->failed = false;
}

/*
 * The current list ended at the zero byte @end_mark. What follows is the parent's next sibling,
 * or the zero byte that ends the parent's list in turn.
 */
static bool go_on_behind(struct die_walk *walk, const uint8_t *end_mark)
{
	const uint8_t *next = end_mark + 1;
	walk->depth--;
	while (walk->depth > 0 && next < walk->end && *next == 0) {
		walk->depth--;
		next++;
	}
	if (walk->depth == 0 || next >= walk->end)
		return false;
	Dwarf_Die *current = die_walk_current(walk);
	*current = (Dwarf_Die){.addr = (void *)next, .cu = current->cu};
	return true;
}

bool die_walk_next(struct die_walk *walk, bool descend)
{
	Dwarf_Die *current = die_walk_current(walk);
	if (descend && walk->depth + 1 < DIE_WALK_MAX_DEPTH) {
		int rc = dwarf_child(current, &walk->path[walk->depth + 1]);
		walk->failed |= rc < 0;
		if (rc == 0) {
			walk->depth++;
			return true;
		}
	}
	while (walk->depth > 0) {
		Dwarf_Die next = {.addr = NULL};
		int rc = dwarf_siblingof(die_walk_current(walk), &next);
		if (rc < 0) {
			walk->failed = true;
			return false;
		}
		if (rc == 0) {
			*die_walk_current(walk) = next;
			return true;
		}
		/* At the end of a list libdw leaves the address of the zero byte that ends it.
		 * Nothing promises that; without it the parent is asked for its sibling. */
		const uint8_t *mark = next.addr;
		if (mark && mark < walk->end && *mark == 0)
			return go_on_behind(walk, mark);
		walk->depth--;
	}
	return false;
}
