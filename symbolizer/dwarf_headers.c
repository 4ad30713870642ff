#include "dwarf_headers.h"

#include "base/array.h"
#include "dwarf_ranges.h"
#include "elf_bytes.h"

#include <dwarf.h>
#include <errno.h>

static int add_unit(struct dwarf_units *units, Dwarf_Die *die, const struct die_unit *place,
		    uint64_t *budget)
{
	if (units->n >= UINT32_MAX)
		return -ENOMEM;
	struct dwarf_unit *unit = CP_ARRAY_PUSH(units->units, units->n, units->cap);
	if (!unit)
		return -ENOMEM;
	*unit = (struct dwarf_unit){.die = *die, .place = *place};
	unit->is_skeleton = dwarf_split_note(&units->split, die);
	struct dwarf_range_cursor cursor = dwarf_range_begin(die, budget);
	uint64_t start, end;
	while (dwarf_range_next(&cursor, &start, &end)) {
		unit->has_ranges = true;
		if (dwarf_units_is_code(units, start) &&
		    range_table_add(&units->ranges, start, end, (uint32_t)(units->n - 1)) < 0)
			return -ENOMEM;
	}
	units->damage |= cursor.failed ? DWARF_DAMAGE_RANGES : 0U;
	return 0;
}

/* The numbers of a unit's header. */
struct header {
	Dwarf_Off offset, next, abbrevs;
	size_t size;
	Dwarf_Half version;
	uint8_t address_size, offset_size;
};

/* A unit that can be read, or that says nothing: no entry but the mark of a list's end. */
static bool is_sound(const Dwarf_Die *die, const struct die_unit *place, int tag)
{
	const uint8_t *first = die->addr;
	return tag != DW_TAG_invalid || (first < place->end && *first == 0);
}

static int read_unit(struct dwarf_units *units, const struct header *header,
		     const struct elf_bytes *info, uint64_t *budget)
{
	Dwarf_Die die;
	if (!dwarf_offdie(units->dwarf, header->offset + header->size, &die)) {
		units->damage |= DWARF_DAMAGE_UNITS;
		return 0;
	}
	const uint8_t *start = (const uint8_t *)die.addr - header->size;
	struct die_unit place = {.dwarf = units->dwarf,
				 .start = start,
				 .end = start + (header->next - header->offset),
				 .abbrev_offset = header->abbrevs,
				 .format = {.version = header->version,
					    .address_size = header->address_size,
					    .offset_size = header->offset_size}};
	if (!die_unit_bound(&place, info) ||
	    (header->address_size != 4 && header->address_size != 8))
		units->damage |= DWARF_DAMAGE_UNITS;
	int tag = dwarf_tag(&die);
	if (!is_sound(&die, &place, tag))
		units->damage |= DWARF_DAMAGE_ENTRIES;
	/* Partial units (dwz) and type units have no code. */
	return tag == DW_TAG_compile_unit || tag == DW_TAG_skeleton_unit
		       ? add_unit(units, &die, &place, budget)
		       : 0;
}

static int read_headers(struct dwarf_units *units, uint64_t *budget)
{
	Elf *elf = dwarf_getelf(units->dwarf);
	const struct elf_bytes info = elf_bytes_find(elf, ".debug_info");
	struct header header = {.offset = 0};
	int more;
	if (!info.bytes && elf_bytes_exist(elf, ".debug_info"))
		units->damage |= DWARF_DAMAGE_UNITS; /* cannot be inflated */
	while ((more = dwarf_next_unit(units->dwarf, header.offset, &header.next, &header.size,
				       &header.version, &header.abbrevs, &header.address_size,
				       &header.offset_size, NULL, NULL)) == 0) {
		if (read_unit(units, &header, &info, budget) < 0)
			return -ENOMEM;
		if (header.next <= header.offset) {
			more = -1;
			break;
		}
		header.offset = header.next;
	}
	if (more < 0)
		units->damage |= DWARF_DAMAGE_UNITS;
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
		if (unit && !unit->has_ranges && dwarf_units_is_code(units, start) &&
		    start + size > start &&
		    range_table_add(&units->ranges, start, start + size,
				    (uint32_t)(unit - units->units)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int dwarf_headers_read(struct dwarf_units *units, uint64_t *budget)
{
	int rc = read_headers(units, budget);
	bool all_have_ranges = true;
	for (size_t i = 0; i < units->n; i++)
		all_have_ranges &= units->units[i].has_ranges;
	return rc == 0 && !all_have_ranges ? read_aranges(units) : rc;
}
