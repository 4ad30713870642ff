#include "dwarf_units.h"

#include "base/array.h"
#include "die_visit.h"
#include "dwarf_headers.h"
#include "dwarf_ranges.h"
#include "elf_bytes.h"

#include <dwarf.h>
#include <errno.h>

/* Units that claim one address; more than one is a damaged file or a leftover. */
enum { MAX_CANDIDATES = 8 };

/* What is kept of units, in bytes; one alone may be larger. */
enum { MAX_LOADED_BYTES = 8 * 1024 * 1024 };

/* Enough for one unit of split DWARF, whose lists are in another file. */
enum { MIN_RANGES_AT_ONCE = 64 * 1024 };

/*
 * Entries of a sound file do not share their lists, so one unit's are no more than all sections can
 * hold. Where entries do share one, this is what bounds the memory they take.
 */
static uint64_t ranges_at_once(Dwarf *dwarf)
{
	Elf *elf = dwarf_getelf(dwarf);
	return MIN_RANGES_AT_ONCE + elf_bytes_find(elf, ".debug_ranges").n / 16 +
	       elf_bytes_find(elf, ".debug_rnglists").n / 2 +
	       elf_bytes_find(elf, ".debug_info").n / 8;
}

/*
 * A part of the file's budget; what is left of it goes back with give_back(). A unit that was let
 * go to make room and is read again has paid: how often it is asked for is no fault of the file.
 *
 * @unit: NULL = none
 */
static uint64_t take_part(struct dwarf_units *units, const struct dwarf_unit *unit)
{
	if (unit && unit->was_let_go)
		return units->ranges_at_once;
	const uint64_t part = units->range_budget < units->ranges_at_once ? units->range_budget
									  : units->ranges_at_once;
	units->range_budget -= part;
	return part;
}

static void give_back(struct dwarf_units *units, const struct dwarf_unit *unit, uint64_t part)
{
	if (!unit || !unit->was_let_go)
		units->range_budget += part;
}

int dwarf_units_init(struct dwarf_units *units, Dwarf *dwarf, const char *elf_path,
		     const char *root, const struct code_ranges *code, uint64_t range_budget)
{
	*units = (struct dwarf_units){.dwarf = dwarf,
				      .code = code,
				      .range_budget = range_budget,
				      .max_bytes = MAX_LOADED_BYTES};
	dwarf_split_init(&units->split, elf_path, root);
	die_tables_init(&units->tables, dwarf);
	line_sections_init(&units->line_sections, dwarf_getelf(dwarf));
	units->ranges_at_once = ranges_at_once(dwarf);
	uint64_t budget = take_part(units, NULL);
	int rc = dwarf_headers_read(units, &budget);
	give_back(units, NULL, budget);
	if (rc < 0)
		dwarf_units_deinit(units);
	else
		range_table_seal(&units->ranges);
	return rc;
}

static void forget_functions(struct dwarf_unit *unit)
{
	for (size_t i = 0; i < unit->n_functions; i++)
		dwarf_inlines_deinit(&unit->functions[i].inlines);
	unit->n_functions = 0;
	range_table_deinit(&unit->function_ranges);
}

static void forget_unit(struct dwarf_unit *unit)
{
	forget_functions(unit);
	free(unit->functions);
	line_table_deinit(&unit->lines);
	unit->functions = NULL;
	unit->cap_functions = 0;
	unit->state = UNIT_FUNCTIONS_UNREAD;
	unit->lines_read = false;
	unit->bytes = 0;
}

void dwarf_units_deinit(struct dwarf_units *units)
{
	for (size_t i = 0; i < units->n; i++) {
		forget_unit(&units->units[i]);
		free(units->units[i].body);
	}
	dwarf_split_deinit(&units->split);
	free(units->units);
	free(units->loaded);
	range_table_deinit(&units->ranges);
	die_tables_deinit(&units->tables);
	line_sections_deinit(&units->line_sections);
	*units = (struct dwarf_units){0};
}

/* Note that a unit holds so many bytes more. */
static void account(struct dwarf_units *units, struct dwarf_unit *unit, size_t bytes)
{
	if (unit->bytes == 0 && bytes > 0) {
		uint32_t *slot = CP_ARRAY_PUSH(units->loaded, units->n_loaded, units->cap_loaded);
		if (!slot)
			return; /* then it stays until the end */
		*slot = (uint32_t)(unit - units->units);
	}
	unit->bytes += bytes;
	units->bytes += bytes;
}

/* Make room: units that were not asked for lately go, but for the one in use. */
static void trim(struct dwarf_units *units, const struct dwarf_unit *in_use)
{
	while (units->bytes > units->max_bytes && units->n_loaded > 1) {
		size_t oldest = 0;
		for (size_t i = 1; i < units->n_loaded; i++)
			if (units->units[units->loaded[i]].used <
			    units->units[units->loaded[oldest]].used)
				oldest = i;
		struct dwarf_unit *unit = &units->units[units->loaded[oldest]];
		if (unit == in_use)
			break;
		units->bytes -= unit->bytes;
		forget_unit(unit);
		unit->was_let_go = true;
		units->loaded[oldest] = units->loaded[--units->n_loaded];
	}
}

/* The function of an entry gets one more range; it is made with its first. */
static int add_function_range(struct dwarf_units *units, struct dwarf_unit *unit,
			      const Dwarf_Die *die, uint64_t start, uint64_t end, bool *added)
{
	if (end <= start || !dwarf_units_is_code(units, start))
		return 0;
	if (!*added) {
		struct dwarf_function *function =
			CP_ARRAY_PUSH(unit->functions, unit->n_functions, unit->cap_functions);
		if (!function)
			return -ENOMEM;
		*function = (struct dwarf_function){.die = *die, .entry = start};
		*added = true;
	}
	return range_table_add(&unit->function_ranges, start, end,
			       (uint32_t)(unit->n_functions - 1));
}

static int add_function(struct dwarf_units *units, struct dwarf_unit *unit, struct die_visit *visit,
			uint64_t *budget)
{
	const struct die_entry *entry = &visit->current;
	bool added = false;
	if (entry->has_bounds)
		return add_function_range(units, unit, &visit->die, entry->low, entry->high,
					  &added);
	if (!entry->has_code)
		return 0;
	struct dwarf_range_cursor cursor = dwarf_range_begin(&visit->die, budget);
	uint64_t start, end;
	while (dwarf_range_next(&cursor, &start, &end))
		if (add_function_range(units, unit, &visit->die, start, end, &added) < 0)
			return -ENOMEM;
	units->damage |= cursor.failed ? DWARF_DAMAGE_RANGES : 0U;
	return 0;
}

/* A skeleton's entries are elsewhere: there, once it is opened; a missing one is asked for once. */
static int open_body(struct dwarf_units *units, struct dwarf_unit *unit)
{
	struct dwarf_body body;
	const bool tried = unit->state != UNIT_FUNCTIONS_UNREAD;
	if (!unit->is_skeleton || unit->body || tried ||
	    !dwarf_split_open(&units->split, &unit->die, &body))
		return 0;
	unit->body = malloc(sizeof(body));
	if (!unit->body)
		return -ENOMEM;
	*unit->body = body;
	return 0;
}

static const struct die_unit *place_of(const struct dwarf_unit *unit)
{
	return unit->body ? &unit->body->place : &unit->place;
}

static int read_functions(struct dwarf_units *units, struct dwarf_unit *unit, bool all)
{
	if (open_body(units, unit) < 0)
		return -ENOMEM;
	forget_functions(unit);
	unit->state = all ? UNIT_FUNCTIONS_ALL : UNIT_FUNCTIONS_OUTER;
	struct die_visit visit;
	bool descend = true;
	die_visit_init(&visit, &units->tables, place_of(unit),
		       unit->body ? &unit->body->die : &unit->die);
	uint64_t budget = take_part(units, unit);
	while (die_visit_next(&visit, descend)) {
		unsigned int tag = visit.current.tag;
		if (tag == DW_TAG_subprogram && add_function(units, unit, &visit, &budget) < 0)
			return -ENOMEM;
		descend = all || visit.current.depth == 0 || tag == DW_TAG_namespace ||
			  tag == DW_TAG_module;
	}
	give_back(units, unit, budget);
	range_table_seal(&unit->function_ranges);
	account(units, unit,
		unit->cap_functions * sizeof(*unit->functions) +
			unit->function_ranges.cap * sizeof(*unit->function_ranges.entries) + 1);
	return 0;
}

/* The function of a unit at an address; *@out = NULL when it has none there. */
static int find_function(struct dwarf_units *units, struct dwarf_unit *unit, uint64_t svma,
			 struct dwarf_function **out)
{
	uint32_t id;
	*out = NULL;
	if (unit->state == UNIT_FUNCTIONS_UNREAD && read_functions(units, unit, false) < 0)
		return -ENOMEM;
	size_t n = range_table_find(&unit->function_ranges, svma, &id, 1);
	if (n == 0 && unit->state == UNIT_FUNCTIONS_OUTER) {
		if (read_functions(units, unit, true) < 0)
			return -ENOMEM;
		n = range_table_find(&unit->function_ranges, svma, &id, 1);
	}
	if (n == 0)
		return 0;
	struct dwarf_function *function = &unit->functions[id];
	if (!function->inlines_read) {
		function->inlines_read = true;
		uint64_t budget = take_part(units, unit);
		if (dwarf_inlines_read(&function->inlines, &units->tables, place_of(unit),
				       &function->die, &budget) < 0)
			return -ENOMEM;
		give_back(units, unit, budget);
		account(units, unit, dwarf_inlines_bytes(&function->inlines));
	}
	*out = function;
	return 0;
}

int dwarf_units_find(struct dwarf_units *units, uint64_t svma, struct dwarf_unit **unit,
		     struct dwarf_function **function)
{
	uint32_t ids[MAX_CANDIDATES];
	size_t n = range_table_find(&units->ranges, svma, ids, MAX_CANDIDATES);
	*unit = n > 0 ? &units->units[ids[0]] : NULL;
	*function = NULL;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && ids[i] == ids[i - 1])
			continue;
		units->units[ids[i]].used = ++units->clock;
		trim(units, &units->units[ids[i]]);
		int rc = find_function(units, &units->units[ids[i]], svma, function);
		if (rc < 0)
			return rc;
		if (*function) {
			*unit = &units->units[ids[i]];
			break;
		}
	}
	return 0;
}

unsigned int dwarf_units_damage(const struct dwarf_units *units)
{
	return units->damage | units->tables.damage |
	       (units->line_sections.damaged ? DWARF_DAMAGE_LINES : 0U);
}

uint32_t dwarf_units_number(const struct dwarf_units *units, uint64_t svma)
{
	uint32_t id;
	return range_table_find(&units->ranges, svma, &id, 1) > 0 ? id : UINT32_MAX;
}

static int read_lines(struct dwarf_units *units, struct dwarf_unit *unit)
{
	Dwarf_Attribute found;
	Dwarf_Word offset;
	unit->lines_read = true;
	if (!dwarf_attr(&unit->die, DW_AT_stmt_list, &found) ||
	    dwarf_formudata(&found, &offset) != 0)
		return 0;
	/* the bound is for files where units share programs, not for who asks here and there */
	uint64_t *budget = &units->line_sections.budget;
	const uint64_t before = *budget;
	if (unit->lines_paid)
		*budget = UINT64_MAX;
	int rc = line_table_read(&unit->lines, &units->line_sections, offset, units->code);
	if (unit->lines_paid)
		*budget = before;
	unit->lines_paid = *budget > 0;
	account(units, unit, line_table_bytes(&unit->lines));
	return rc;
}

int dwarf_units_line(struct dwarf_units *units, struct dwarf_unit *unit, uint64_t svma,
		     const struct line_row **row)
{
	uint64_t start, end;
	*row = NULL;
	if (!unit->lines_read && read_lines(units, unit) < 0)
		return -ENOMEM;
	*row = line_table_find(&unit->lines, svma, &start, &end);
	return 0;
}

struct line_file *dwarf_units_file(struct dwarf_unit *unit, uint32_t index)
{
	return index < unit->lines.n_files ? &unit->lines.files[index] : NULL;
}
