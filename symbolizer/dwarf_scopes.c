#include "dwarf_scopes.h"

#include "base/array.h"
#include "die_walk.h"

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

static bool is_scope(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
	       tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
	       tag == DW_TAG_enumeration_type || tag == DW_TAG_subprogram;
}

static bool may_hold_scopes(int tag)
{
	return is_scope(tag) || tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine;
}

/* Behind the last byte of a unit, or NULL when that is not to be had. */
static const uint8_t *unit_end(Dwarf_Die *first)
{
	Dwarf_Half version;
	uint8_t type;
	Dwarf_Off next, offset = dwarf_dieoffset(first);
	size_t header_size;
	/* .debug_types has an offset space of its own */
	if (dwarf_cu_info(first->cu, &version, &type, NULL, NULL, NULL, NULL, NULL) != 0 ||
	    type == DW_UT_type || type == DW_UT_split_type)
		return NULL;
	if (dwarf_next_unit(dwarf_cu_getdwarf(first->cu), offset - dwarf_cuoffset(first), &next,
			    &header_size, &version, NULL, NULL, NULL, NULL, NULL) != 0 ||
	    next <= offset || next - offset > UINT32_MAX)
		return NULL;
	return (const uint8_t *)first->addr + (next - offset);
}

static int fill_list(struct dwarf_scope_list *list, const uint8_t *end)
{
	struct die_walk walk;
	uint32_t open[DIE_WALK_MAX_DEPTH]; /* the scope each depth's children are in */
	const uint8_t *base = list->first.addr;
	bool descend = true;
	die_walk_init(&walk, &list->first, end);
	open[0] = NO_PARENT;
	unsigned int depth = 0;
	while (die_walk_next(&walk, descend)) {
		Dwarf_Die *die = die_walk_current(&walk);
		uint32_t here = (uint32_t)((const uint8_t *)die->addr - base);
		int tag = dwarf_tag(die);
		/* Scopes as deep as this entry or deeper end where it starts. */
		/* NOLINTBEGIN(clang-analyzer-core.*): below the root walk.depth is at least 1, and
		 * open[] holds indexes of scopes that are there, or its parent's */
		for (; depth >= walk.depth; depth--)
			if (open[depth] != open[depth - 1])
				list->scopes[open[depth]].end = here;
		/* NOLINTEND(clang-analyzer-core.*) */
		depth = walk.depth;
		open[depth] = open[depth - 1];
		descend = may_hold_scopes(tag);
		if (!is_scope(tag) || dwarf_haschildren(die) <= 0)
			continue;
		struct dwarf_scope *scope = CP_ARRAY_PUSH(list->scopes, list->n, list->cap);
		if (!scope)
			return -ENOMEM;
		*scope = (struct dwarf_scope){
			.start = here, .end = (uint32_t)(end - base), .parent = open[depth - 1]};
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
	const uint8_t *end = has_scopes(&first) ? unit_end(&first) : NULL;
	if (end && fill_list(list, end) < 0)
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
