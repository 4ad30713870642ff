#include "dwarf_units.h"

#include "base/array.h"
#include "die_walk.h"
#include "dwarf_ranges.h"

#include <dwarf.h>
#include <errno.h>

/* Units that claim one address; more than one is a damaged file or a leftover. */
enum { MAX_CANDIDATES = 8 };

/* Code that the linker dropped keeps ranges near 0, where no code is. */
static bool is_code(const struct dwarf_units *units, uint64_t start)
{
	return units->code->n == 0 || code_ranges_find(units->code, start) != NULL;
}

static int add_unit(struct dwarf_units *units, Dwarf_Die *die, Dwarf_Off end_offset)
{
	if (units->n >= UINT32_MAX)
		return -ENOMEM;
	struct dwarf_unit *unit = CP_ARRAY_PUSH(units->units, units->n, units->cap);
	if (!unit)
		return -ENOMEM;
	*unit = (struct dwarf_unit){
		.die = *die, .end = (uint8_t *)die->addr + (end_offset - dwarf_dieoffset(die))};
	struct dwarf_range_cursor cursor = dwarf_range_begin(die, &units->range_budget);
	uint64_t start, end;
	while (dwarf_range_next(&cursor, &start, &end)) {
		unit->has_ranges = true;
		if (is_code(units, start) &&
		    range_table_add(&units->ranges, start, end, (uint32_t)(units->n - 1)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_headers(struct dwarf_units *units)
{
	Dwarf_Off offset = 0, next;
	size_t header_size;
	Dwarf_Half version;
	while (dwarf_next_unit(units->dwarf, offset, &next, &header_size, &version, NULL, NULL,
			       NULL, NULL, NULL) == 0) {
		Dwarf_Die die;
		/* Partial units (dwz) and type units have no code. */
		if (dwarf_offdie(units->dwarf, offset + header_size, &die)) {
			int tag = dwarf_tag(&die);
			if ((tag == DW_TAG_compile_unit || tag == DW_TAG_skeleton_unit) &&
			    add_unit(units, &die, next) < 0)
				return -ENOMEM;
		}
		if (next <= offset)
			break;
		offset = next;
	}
	return 0;
}

/* Units come in the order of the file. */
static struct dwarf_unit *unit_at_offset(struct dwarf_units *units, Dwarf_Off die_offset)
{
	size_t low = 0, high = units->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		Dwarf_Off here = dwarf_dieoffset(&units->units[middle].die);
		if (here == die_offset)
			return &units->units[middle];
		if (here < die_offset)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int read_aranges(struct dwarf_units *units)
{
	Dwarf_Aranges *aranges;
	size_t n;
	if (dwarf_getaranges(units->dwarf, &aranges, &n) != 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		Dwarf_Addr start;
		Dwarf_Word size;
		Dwarf_Off offset;
		Dwarf_Arange *arange = dwarf_onearange(aranges, i);
		if (!arange || dwarf_getarangeinfo(arange, &start, &size, &offset) != 0)
			continue;
		struct dwarf_unit *unit = unit_at_offset(units, offset);
		if (unit && !unit->has_ranges && is_code(units, start) && start + size > start &&
		    range_table_add(&units->ranges, start, start + size,
				    (uint32_t)(unit - units->units)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int dwarf_units_init(struct dwarf_units *units, Dwarf *dwarf, const struct code_ranges *code,
		     uint64_t range_budget)
{
	*units = (struct dwarf_units){.dwarf = dwarf, .code = code, .range_budget = range_budget};
	int rc = read_headers(units);
	bool all_have_ranges = true;
	for (size_t i = 0; i < units->n; i++)
		all_have_ranges &= units->units[i].has_ranges;
	if (rc == 0 && !all_have_ranges)
		rc = read_aranges(units);
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

void dwarf_units_deinit(struct dwarf_units *units)
{
	for (size_t i = 0; i < units->n; i++) {
		forget_functions(&units->units[i]);
		free(units->units[i].functions);
	}
	free(units->units);
	range_table_deinit(&units->ranges);
	*units = (struct dwarf_units){0};
}

static int add_function(struct dwarf_units *units, struct dwarf_unit *unit, Dwarf_Die *die)
{
	struct dwarf_range_cursor cursor = dwarf_range_begin(die, &units->range_budget);
	uint64_t start, end;
	bool added = false;
	while (dwarf_range_next(&cursor, &start, &end)) {
		if (end <= start || !is_code(units, start))
			continue;
		if (!added) {
			struct dwarf_function *function = CP_ARRAY_PUSH(
				unit->functions, unit->n_functions, unit->cap_functions);
			if (!function)
				return -ENOMEM;
			*function = (struct dwarf_function){.die = *die, .entry = start};
			added = true;
		}
		if (range_table_add(&unit->function_ranges, start, end,
				    (uint32_t)(unit->n_functions - 1)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_functions(struct dwarf_units *units, struct dwarf_unit *unit, bool all)
{
	forget_functions(unit);
	unit->state = all ? UNIT_FUNCTIONS_ALL : UNIT_FUNCTIONS_OUTER;
	struct die_walk walk;
	bool descend = true;
	die_walk_init(&walk, &unit->die, unit->end);
	while (die_walk_next(&walk, descend)) {
		Dwarf_Die *die = die_walk_current(&walk);
		int tag = dwarf_tag(die);
		if (tag == DW_TAG_subprogram && add_function(units, unit, die) < 0)
			return -ENOMEM;
		descend = all || tag == DW_TAG_namespace || tag == DW_TAG_module;
	}
	range_table_seal(&unit->function_ranges);
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
		if (dwarf_inlines_read(&function->inlines, &function->die, unit->end,
				       &units->range_budget) < 0)
			return -ENOMEM;
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

static void read_lines(struct dwarf_unit *unit)
{
	unit->lines_read = true;
	if (dwarf_getsrclines(&unit->die, &unit->lines, &unit->n_lines) != 0)
		unit->n_lines = 0;
	if (dwarf_getsrcfiles(&unit->die, &unit->files, &unit->n_files) != 0)
		unit->n_files = 0;
}

Dwarf_Line *dwarf_units_line(struct dwarf_unit *unit, uint64_t svma)
{
	if (!unit->lines_read)
		read_lines(unit);
	size_t low = 0, high = unit->n_lines; /* the last row at or before the address */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		Dwarf_Addr here;
		Dwarf_Line *line = dwarf_onesrcline(unit->lines, middle);
		if (dwarf_lineaddr(line, &here) != 0)
			return NULL;
		if (here <= svma)
			low = middle + 1;
		else
			high = middle;
	}
	bool ends = true;
	Dwarf_Line *line = low > 0 ? dwarf_onesrcline(unit->lines, low - 1) : NULL;
	if (!line || dwarf_lineendsequence(line, &ends) != 0 || ends)
		return NULL;
	return line;
}

const char *dwarf_units_file(struct dwarf_unit *unit, uint32_t index)
{
	if (!unit->lines_read)
		read_lines(unit);
	return index < unit->n_files ? dwarf_filesrc(unit->files, index, NULL, NULL) : NULL;
}
