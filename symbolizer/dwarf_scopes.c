#include "dwarf_scopes.h"

#include "base/array.h"
#include "die_visit.h"

#include <dwarf.h>
#include <errno.h>

/* 12 bytes each */
enum { MAX_SCOPES = 4 * 1024 * 1024 };

#define NO_PARENT UINT32_MAX

/* DWARF 6's number, which the header of elfutils 0.188 does not have yet */
#define LANG_C17 0x2c

static void forget_lists(struct dwarf_scopes *scopes)
{
	for (size_t i = 0; i < scopes->n; i++)
		free(scopes->lists[i].scopes);
	scopes->n = 0;
	scopes->n_scopes = 0;
}

void dwarf_scopes_init(struct dwarf_scopes *scopes, struct die_tables *tables)
{
	*scopes = (struct dwarf_scopes){.tables = tables};
}

void dwarf_scopes_deinit(struct dwarf_scopes *scopes)
{
	forget_lists(scopes);
	free(scopes->lists);
	*scopes = (struct dwarf_scopes){0};
}

static bool has_scopes(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case LANG_C17:
	case DW_LANG_Mips_Assembler:
		return false;
	default:
		return true;
	}
}

static bool is_scope(unsigned int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
	       tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
	       tag == DW_TAG_enumeration_type || tag == DW_TAG_subprogram;
}

static bool may_hold_scopes(unsigned int tag)
{
	return is_scope(tag) || tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine;
}

static int fill_list(struct dwarf_scope_list *list, struct die_tables *tables,
		     const struct die_unit *place)
{
	struct die_visit visit;
	uint32_t open[DIE_VISIT_MAX_DEPTH]; /* the scope each depth's children are in */
	const uint8_t *base = list->first.addr;
	bool descend = true;
	die_visit_init(&visit, tables, place, &list->first);
	open[0] = NO_PARENT;
	unsigned int depth = 0;
	while (die_visit_next(&visit, descend)) {
		const struct die_entry *entry = &visit.current;
		uint32_t here = (uint32_t)(entry->addr - base);
		if (entry->depth == 0)
			continue; /* the unit itself */
		/* Scopes as deep as this entry or deeper end where it starts. */
		/* NOLINTBEGIN(clang-analyzer-core.*): below the root the depth is at least 1, and
		 * open[] holds indexes of scopes that are there, or its parent's */
		for (; depth >= entry->depth; depth--)
			if (open[depth] != open[depth - 1])
				list->scopes[open[depth]].end = here;
		/* NOLINTEND(clang-analyzer-core.*) */
		depth = entry->depth;
		open[depth] = open[depth - 1];
		descend = may_hold_scopes(entry->tag);
		if (!is_scope(entry->tag) || !entry->has_children)
			continue;
		struct dwarf_scope *scope = CP_ARRAY_PUSH(list->scopes, list->n, list->cap);
		if (!scope)
			return -ENOMEM;
		*scope = (struct dwarf_scope){.start = here,
					      .end = (uint32_t)(place->end - base),
					      .parent = open[depth - 1]};
		open[depth] = (uint32_t)(list->n - 1);
	}
	return 0;
}

static int get_list(struct dwarf_scopes *scopes, Dwarf_Die *die,
		    const struct dwarf_scope_list **out)
{
	Dwarf_Die first;
	*out = NULL;
	for (size_t i = scopes->n; i-- > 0;) {
		if (scopes->lists[i].unit == die->cu) {
			*out = &scopes->lists[i];
			return 0;
		}
	}
	if (!dwarf_diecu(die, &first, NULL, NULL))
		return 0;
	if (scopes->n_scopes > MAX_SCOPES)
		forget_lists(scopes);
	struct dwarf_scope_list *list = CP_ARRAY_PUSH(scopes->lists, scopes->n, scopes->cap);
	if (!list)
		return -ENOMEM;
	*list = (struct dwarf_scope_list){.unit = die->cu, .first = first};
	struct die_unit place;
	if (has_scopes(&first) && die_unit_of(&first, &place) &&
	    fill_list(list, scopes->tables, &place) < 0)
		return -ENOMEM;
	scopes->n_scopes += list->n;
	*out = list;
	return 0;
}

int dwarf_scopes_find(struct dwarf_scopes *scopes, Dwarf_Die *die, Dwarf_Die *chain, size_t max,
		      size_t *n)
{
	const struct dwarf_scope_list *list;
	*n = 0;
	int rc = get_list(scopes, die, &list);
	if (rc < 0 || !list || list->n == 0)
		return rc;
	const uint8_t *base = list->first.addr;
	if ((const uint8_t *)die->addr < base)
		return 0;
	uint64_t here = (uint64_t)((const uint8_t *)die->addr - base);
	size_t low = 0, high = list->n; /* the last scope that starts before the entry */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (list->scopes[middle].start < here)
			low = middle + 1;
		else
			high = middle;
	}
	uint32_t id = low > 0 ? (uint32_t)(low - 1) : NO_PARENT;
	for (; id != NO_PARENT && *n < max; id = list->scopes[id].parent) {
		const struct dwarf_scope *scope = &list->scopes[id];
		if (scope->end <= here)
			continue;
		Dwarf_Die entry = {.addr = (void *)(base + scope->start), .cu = die->cu};
		chain[(*n)++] = entry;
		if (dwarf_tag(&entry) == DW_TAG_subprogram)
			break;
	}
	return 0;
}
