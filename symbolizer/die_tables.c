#include "die_tables.h"

#include <dwarf.h>
#include <gelf.h>

/* A unit's table is read once, and again when the unit is; units may share one. */
enum { READ_EACH_AT_MOST = 64, READ_AT_LEAST = 1 << 20 };

bool die_unit_bound(struct die_unit *unit, const struct elf_bytes *info)
{
	const uint8_t *end = info->bytes ? info->bytes + info->n : NULL;
	if (!end || unit->start < info->bytes || unit->start > end)
		unit->end = unit->start;
	else if (unit->end > end)
		unit->end = end;
	else
		return true;
	return false;
}

bool die_unit_of(Dwarf_Die *first, struct die_unit *out)
{
	Dwarf_Half version;
	uint8_t type, address_size, offset_size;
	Dwarf_Off next, abbrevs, offset = dwarf_dieoffset(first);
	size_t header_size;
	/* .debug_types has an offset space of its own */
	if (dwarf_cu_info(first->cu, &version, &type, NULL, NULL, NULL, NULL, NULL) != 0 ||
	    type == DW_UT_type || type == DW_UT_split_type)
		return false;
	Dwarf *dwarf = dwarf_cu_getdwarf(first->cu);
	if (dwarf_next_unit(dwarf, offset - dwarf_cuoffset(first), &next, &header_size, &version,
			    &abbrevs, &address_size, &offset_size, NULL, NULL) != 0 ||
	    next <= offset || next - offset > UINT32_MAX)
		return false;
	*out = (struct die_unit){.dwarf = dwarf,
				 .start = (const uint8_t *)first->addr - header_size,
				 .end = (const uint8_t *)first->addr + (next - offset),
				 .abbrev_offset = abbrevs,
				 .format = {.version = version,
					    .address_size = address_size,
					    .offset_size = offset_size}};
	const struct elf_bytes info = elf_bytes_find(dwarf_getelf(dwarf), ".debug_info");
	die_unit_bound(out, &info);
	return true;
}

void die_tables_init(struct die_tables *tables, Dwarf *dwarf)
{
	Elf *elf = dwarf_getelf(dwarf);
	GElf_Ehdr header;
	*tables = (struct die_tables){.dwarf = dwarf};
	if (!elf || !gelf_getehdr(elf, &header) || header.e_ident[EI_DATA] != ELFDATA2LSB)
		return;
	tables->section = elf_bytes_find(elf, ".debug_abbrev");
	tables->budget = READ_AT_LEAST + READ_EACH_AT_MOST * (uint64_t)tables->section.n;
}

void die_tables_deinit(struct die_tables *tables)
{
	for (size_t i = 0; i < DIE_TABLES_KEPT; i++)
		die_abbrevs_deinit(&tables->kept[i]);
	*tables = (struct die_tables){.dwarf = NULL};
}

static bool is_of(const struct die_abbrevs *table, const struct die_unit *unit)
{
	return table->n > 0 && table->offset == unit->abbrev_offset &&
	       table->format.version == unit->format.version &&
	       table->format.address_size == unit->format.address_size &&
	       table->format.offset_size == unit->format.offset_size;
}

const struct die_abbrevs *die_tables_get(struct die_tables *tables, const struct die_unit *unit)
{
	if (unit->dwarf != tables->dwarf || !tables->section.bytes || tables->budget == 0)
		return NULL;
	for (size_t i = 0; i < DIE_TABLES_KEPT; i++)
		if (is_of(&tables->kept[i], unit))
			return &tables->kept[i];
	struct die_abbrevs *slot = &tables->kept[tables->next];
	if (die_abbrevs_read(slot, &tables->section, unit->abbrev_offset, unit->format,
			     &tables->budget) < 0) {
		slot->offset = UINT64_MAX; /* of none */
		return NULL;
	}
	tables->next = (tables->next + 1) % DIE_TABLES_KEPT;
	return slot;
}
