#include "die_scan.h"

#include <dwarf.h>

void die_scan_init(struct die_scan *scan, const struct die_abbrevs *abbrevs, const uint8_t *unit,
		   const uint8_t *at, const uint8_t *end, struct die_entry *current)
{
	*scan = (struct die_scan){.abbrevs = abbrevs,
				  .unit = unit,
				  .cursor = {.at = at, .end = end},
				  .current = current};
}

/* A number in an attribute, or its reading's side effect: passing over it. */
static uint64_t read_form(struct dwarf_cursor *cursor, unsigned int form, uint32_t size,
			  struct die_format format)
{
	switch (form) {
	case DW_FORM_block1:
		dwarf_cursor_skip(cursor, dwarf_cursor_fixed(cursor, 1));
		return 0;
	case DW_FORM_block2:
		dwarf_cursor_skip(cursor, dwarf_cursor_fixed(cursor, 2));
		return 0;
	case DW_FORM_block4:
		dwarf_cursor_skip(cursor, dwarf_cursor_fixed(cursor, 4));
		return 0;
	case DW_FORM_block:
	case DW_FORM_exprloc:
		dwarf_cursor_skip(cursor, dwarf_cursor_uleb(cursor));
		return 0;
	case DW_FORM_string:
		dwarf_cursor_string(cursor);
		return 0;
	case DW_FORM_sdata:
		return (uint64_t)dwarf_cursor_sleb(cursor);
	case DW_FORM_udata:
	case DW_FORM_ref_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		return dwarf_cursor_uleb(cursor);
	case DW_FORM_indirect: {
		uint64_t actual = dwarf_cursor_uleb(cursor);
		uint32_t bytes = die_abbrevs_form_size(actual, format);
		/* one in another has no use but to build endless chains */
		if (actual == DW_FORM_indirect || actual == DW_FORM_implicit_const ||
		    bytes == DIE_FORM_UNKNOWN)
			return dwarf_cursor_fail(cursor);
		return read_form(cursor, (unsigned int)actual, bytes == DIE_SIZE_VARIES ? 0 : bytes,
				 format);
	}
	default:
		if (size > 8) {
			dwarf_cursor_skip(cursor, size);
			return 0;
		}
		return dwarf_cursor_fixed(cursor, size);
	}
}

/* Attributes of the entry being read. */
struct values {
	uint64_t number[DIE_SLOT_COUNT];
	unsigned int form[DIE_SLOT_COUNT]; /* 0 = not there */
};

/* Reference within the unit, forwards: anything else is no sibling. */
static const uint8_t *sibling_at(const struct die_scan *scan, unsigned int form, uint64_t offset)
{
	switch (form) {
	case DW_FORM_ref1:
	case DW_FORM_ref2:
	case DW_FORM_ref4:
	case DW_FORM_ref8:
	case DW_FORM_ref_udata:
		break;
	default:
		return NULL;
	}
	if (offset >= (uint64_t)(scan->cursor.end - scan->unit))
		return NULL;
	const uint8_t *sibling = scan->unit + offset;
	return sibling >= scan->cursor.at ? sibling : NULL;
}

static uint32_t small(uint64_t number)
{
	return number <= UINT32_MAX ? (uint32_t)number : 0;
}

static void tell(struct die_entry *entry, const struct values *values)
{
	unsigned int high_form = values->form[DIE_SLOT_HIGH_PC];
	entry->call_file = small(values->number[DIE_SLOT_CALL_FILE]);
	entry->call_line = small(values->number[DIE_SLOT_CALL_LINE]);
	entry->has_bounds = false;
	/* Numbers that are where the entry is; indexes into other sections are libdw's affair. */
	if (values->form[DIE_SLOT_LOW_PC] != DW_FORM_addr || values->form[DIE_SLOT_RANGES])
		return;
	entry->low = values->number[DIE_SLOT_LOW_PC];
	entry->high = values->number[DIE_SLOT_HIGH_PC];
	switch (high_form) {
	case DW_FORM_addr:
		entry->has_bounds = true;
		break;
	case DW_FORM_data1:
	case DW_FORM_data2:
	case DW_FORM_data4:
	case DW_FORM_data8:
	case DW_FORM_udata:
	case DW_FORM_implicit_const:
		entry->high += entry->low;
		entry->has_bounds = entry->high >= entry->low;
		break;
	default:
		break;
	}
}

/*
 * Pass over an entry's attributes, and keep those that are told. Entries that tell nothing have no
 * other step with a form than their sibling's and those whose size is in their bytes.
 */
static void read_steps(struct die_scan *scan, const struct die_abbrev *abbrev,
		       struct values *values)
{
	struct dwarf_cursor *cursor = &scan->cursor;
	const struct die_step *step = scan->abbrevs->steps + abbrev->first_step;
	const uint8_t *sibling = NULL;
	uint64_t sibling_offset = 0;
	unsigned int sibling_form = 0;
	for (const struct die_step *end = step + abbrev->n_steps; step < end; step++) {
		if (step->form == 0) {
			dwarf_cursor_skip(cursor, step->size);
			continue;
		}
		uint64_t number =
			step->form == DW_FORM_implicit_const
				? (uint64_t)step->constant
				: read_form(cursor, step->form, step->size, scan->abbrevs->format);
		if (step->slot == DIE_SLOT_SIBLING) {
			sibling_offset = number;
			sibling_form = step->form;
		} else if (values) {
			values->number[step->slot] = number;
			values->form[step->slot] = step->form;
		}
	}
	if (sibling_form)
		sibling = sibling_at(scan, sibling_form, sibling_offset);
	scan->sibling = sibling;
}

/* The same for an entry whose bytes are all at known places. */
static void pass_over(struct die_scan *scan, const struct die_abbrev *abbrev)
{
	struct dwarf_cursor *cursor = &scan->cursor;
	const uint8_t *start = cursor->at;
	dwarf_cursor_skip(cursor, abbrev->size);
	scan->sibling = NULL;
	if (abbrev->sibling_at != DIE_SIZE_VARIES && !cursor->failed) {
		uint32_t offset;
		memcpy(&offset, start + abbrev->sibling_at, sizeof(offset));
		scan->sibling = sibling_at(scan, DW_FORM_ref4, le32toh(offset));
	}
}

/* Read the entry at the cursor. Return: false at the end of a list, and where it is damaged. */
static bool read_entry(struct die_scan *scan)
{
	struct dwarf_cursor *cursor = &scan->cursor;
	struct die_entry *entry = scan->current;
	const uint8_t *addr = cursor->at;
	scan->ran_out = addr == cursor->end && !cursor->failed;
	uint64_t code = dwarf_cursor_uleb(cursor);
	if (code == 0)
		return false;
	const struct die_abbrev *abbrev =
		code < scan->abbrevs->n ? &scan->abbrevs->abbrevs[code] : NULL;
	if (!abbrev || abbrev->tag == 0) {
		dwarf_cursor_fail(cursor);
		return false;
	}
	entry->addr = addr;
	entry->tag = abbrev->tag;
	entry->has_children = abbrev->has_children;
	if (abbrev->size != DIE_SIZE_VARIES) {
		pass_over(scan, abbrev);
	} else if (abbrev->tells) {
		struct values values = {.form = {0}};
		entry->has_code = abbrev->has_code;
		read_steps(scan, abbrev, &values);
		tell(entry, &values);
	} else {
		read_steps(scan, abbrev, NULL);
	}
	return !cursor->failed;
}

/* Pass over the children of the entry that was just read. */
static bool skip_children(struct die_scan *scan)
{
	unsigned int depth = 1;
	if (scan->sibling) {
		scan->cursor.at = scan->sibling;
		return true;
	}
	while (depth > 0) {
		if (!read_entry(scan)) {
			if (scan->cursor.failed)
				return false;
			depth--;
		} else if (scan->current->has_children && scan->sibling) {
			scan->cursor.at = scan->sibling;
		} else if (scan->current->has_children) {
			depth++;
		}
	}
	return true;
}

bool die_scan_next(struct die_scan *scan, bool descend)
{
	if (!scan->started) {
		scan->started = true;
	} else if (scan->current->has_children && descend) {
		scan->depth++;
	} else if (scan->current->has_children && (scan->depth == 0 || !skip_children(scan))) {
		return false;
	} else if (scan->depth == 0) {
		return false;
	}
	while (!read_entry(scan)) {
		if (scan->cursor.failed || scan->depth == 0 || --scan->depth == 0)
			return false;
	}
	scan->current->depth = scan->depth;
	return true;
}
