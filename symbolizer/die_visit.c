#include "die_visit.h"

#include <dwarf.h>

void die_visit_init(struct die_visit *visit, struct die_tables *tables, const struct die_unit *unit,
		    const Dwarf_Die *root)
{
	const struct die_abbrevs *abbrevs = die_tables_get(tables, unit);
	visit->quick = abbrevs != NULL;
	visit->started = false;
	visit->cu = root->cu;
	visit->tables = tables;
	if (abbrevs)
		die_scan_init(&visit->scan, abbrevs, unit->start, root->addr, unit->end,
			      &visit->current);
	else
		die_walk_init(&visit->walk, root, unit->end);
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

static bool walk_next(struct die_visit *visit, bool descend)
{
	if (visit->started && !die_walk_next(&visit->walk, descend)) {
		if (visit->walk.failed)
			visit->tables->damage |= DWARF_DAMAGE_ENTRIES;
		return false;
	}
	visit->started = true;
	visit->die = *die_walk_current(&visit->walk);
	visit->current = (struct die_entry){.addr = visit->die.addr,
					    .tag = (unsigned int)dwarf_tag(&visit->die),
					    .depth = visit->walk.depth,
					    .has_children = dwarf_haschildren(&visit->die) > 0,
					    .has_code = true};
	if (visit->current.tag == DW_TAG_inlined_subroutine) {
		visit->current.call_file = number_attribute(&visit->die, DW_AT_call_file);
		visit->current.call_line = number_attribute(&visit->die, DW_AT_call_line);
	}
	return true;
}

bool die_visit_next(struct die_visit *visit, bool descend)
{
	if (!visit->quick)
		return walk_next(visit, descend);
	if (!die_scan_next(&visit->scan, descend && visit->scan.depth + 1 < DIE_VISIT_MAX_DEPTH)) {
		if (visit->scan.cursor.failed && !visit->scan.ran_out)
			visit->tables->damage |= DWARF_DAMAGE_ENTRIES;
		return false;
	}
	visit->die.addr = (void *)visit->current.addr;
	visit->die.cu = visit->cu;
	visit->die.abbrev = NULL;
	return true;
}
