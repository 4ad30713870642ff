#include "die_abbrevs.h"

#include "base/array.h"
#include "dwarf_cursor.h"

#include <dwarf.h>
#include <errno.h>

/* Compilers number abbreviations from 1 without gaps; this much room is for those who do not. */
enum { MAX_CODE = 1 << 18 };

void die_abbrevs_deinit(struct die_abbrevs *table)
{
	free(table->abbrevs);
	free(table->steps);
	*table = (struct die_abbrevs){0};
}

/* Forms whose size depends on nothing, plus one; 0 = others. */
static const uint8_t fixed_sizes[] = {
	[DW_FORM_flag_present] = 1, [DW_FORM_implicit_const] = 1, [DW_FORM_data1] = 2,
	[DW_FORM_ref1] = 2,         [DW_FORM_flag] = 2,           [DW_FORM_strx1] = 2,
	[DW_FORM_addrx1] = 2,       [DW_FORM_data2] = 3,          [DW_FORM_ref2] = 3,
	[DW_FORM_strx2] = 3,        [DW_FORM_addrx2] = 3,         [DW_FORM_strx3] = 4,
	[DW_FORM_addrx3] = 4,       [DW_FORM_data4] = 5,          [DW_FORM_ref4] = 5,
	[DW_FORM_ref_sup4] = 5,     [DW_FORM_strx4] = 5,          [DW_FORM_addrx4] = 5,
	[DW_FORM_data8] = 9,        [DW_FORM_ref8] = 9,           [DW_FORM_ref_sup8] = 9,
	[DW_FORM_ref_sig8] = 9,     [DW_FORM_data16] = 17,
};

uint32_t die_abbrevs_form_size(uint64_t form, struct die_format format)
{
	if (form < sizeof(fixed_sizes) && fixed_sizes[form])
		return fixed_sizes[form] - 1U;
	switch (form) {
	case DW_FORM_addr:
		return format.address_size;
	case DW_FORM_ref_addr:
		return format.version == 2 ? format.address_size : format.offset_size;
	case DW_FORM_strp:
	case DW_FORM_line_strp:
	case DW_FORM_strp_sup:
	case DW_FORM_sec_offset:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		return format.offset_size;
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
	case DW_FORM_block:
	case DW_FORM_exprloc:
	case DW_FORM_string:
	case DW_FORM_sdata:
	case DW_FORM_udata:
	case DW_FORM_ref_udata:
	case DW_FORM_indirect:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		return DIE_SIZE_VARIES;
	default:
		return DIE_FORM_UNKNOWN;
	}
}

static enum die_slot slot_of(uint64_t attribute)
{
	switch (attribute) {
	case DW_AT_sibling:
		return DIE_SLOT_SIBLING;
	case DW_AT_low_pc:
		return DIE_SLOT_LOW_PC;
	case DW_AT_high_pc:
		return DIE_SLOT_HIGH_PC;
	case DW_AT_ranges:
		return DIE_SLOT_RANGES;
	case DW_AT_call_file:
		return DIE_SLOT_CALL_FILE;
	case DW_AT_call_line:
		return DIE_SLOT_CALL_LINE;
	default:
		return DIE_SLOT_NONE;
	}
}

/* Entries whose places are of use; of others only the sibling is. */
static bool is_told_about(unsigned int tag)
{
	return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

static int add_step(struct die_abbrevs *table, struct die_abbrev *abbrev, uint64_t attribute,
		    uint64_t form, int64_t constant)
{
	enum die_slot slot = slot_of(attribute);
	uint32_t size = die_abbrevs_form_size(form, table->format);
	if (size == DIE_FORM_UNKNOWN)
		return -EINVAL;
	if (slot != DIE_SLOT_SIBLING && !abbrev->tells)
		slot = DIE_SLOT_NONE;
	abbrev->has_code |= slot == DIE_SLOT_LOW_PC || slot == DIE_SLOT_RANGES;
	if (slot == DIE_SLOT_NONE && size == 0)
		return 0;
	if (slot == DIE_SLOT_NONE && size != DIE_SIZE_VARIES && abbrev->n_steps > 0) {
		struct die_step *last = &table->steps[table->n_steps - 1];
		if (last->form == 0 && last->size < DIE_SIZE_VARIES / 2) {
			last->size += size;
			return 0;
		}
	}
	struct die_step *step = CP_ARRAY_PUSH(table->steps, table->n_steps, table->cap_steps);
	if (!step)
		return -ENOMEM;
	bool passed = slot == DIE_SLOT_NONE && size != DIE_SIZE_VARIES;
	*step = (struct die_step){.slot = (uint8_t)slot,
				  .form = passed ? 0 : (uint16_t)form,
				  .size = size == DIE_SIZE_VARIES ? 0 : size,
				  .constant = constant};
	abbrev->n_steps++;
	return 0;
}

/* Whether an entry can be passed over in one step, now that all of its attributes are known. */
static void sum_up(const struct die_abbrevs *table, struct die_abbrev *abbrev)
{
	uint32_t size = 0, sibling_at = DIE_SIZE_VARIES;
	for (uint32_t i = 0; i < abbrev->n_steps; i++) {
		const struct die_step *step = &table->steps[abbrev->first_step + i];
		if (step->form == DW_FORM_ref4 && step->slot == DIE_SLOT_SIBLING &&
		    sibling_at == DIE_SIZE_VARIES)
			sibling_at = size;
		else if (step->form != 0)
			return;
		if (step->size >= DIE_SIZE_VARIES / 4 - size)
			return;
		size += step->size;
	}
	if (abbrev->tells)
		return;
	abbrev->size = size;
	abbrev->sibling_at = sibling_at;
}

static int read_attributes(struct die_abbrevs *table, struct dwarf_cursor *cursor,
			   struct die_abbrev *abbrev)
{
	abbrev->first_step = (uint32_t)table->n_steps;
	for (;;) {
		int64_t constant = 0;
		uint64_t attribute = dwarf_cursor_uleb(cursor), form = dwarf_cursor_uleb(cursor);
		if (form == DW_FORM_implicit_const)
			constant = dwarf_cursor_sleb(cursor);
		if (cursor->failed)
			return -EINVAL;
		if (attribute == 0 && form == 0) {
			sum_up(table, abbrev);
			return 0;
		}
		int rc = add_step(table, abbrev, attribute, form, constant);
		if (rc < 0)
			return rc;
	}
}

static int keep(struct die_abbrevs *table, uint64_t code, const struct die_abbrev *abbrev)
{
	while (table->n <= code) {
		struct die_abbrev *room = CP_ARRAY_PUSH(table->abbrevs, table->n, table->cap);
		if (!room)
			return -ENOMEM;
		*room = (struct die_abbrev){.tag = 0};
	}
	if (table->abbrevs[code].tag == 0) /* of two with one code the first counts */
		table->abbrevs[code] = *abbrev;
	return 0;
}

int die_abbrevs_read(struct die_abbrevs *table, const struct elf_bytes *section, uint64_t offset,
		     struct die_format format, uint64_t *budget)
{
	table->n = 0;
	table->n_steps = 0;
	table->offset = offset;
	table->format = format;
	if (!section->bytes || offset >= section->n)
		return -EINVAL;
	const uint8_t *start = section->bytes + offset;
	uint64_t room = section->n - offset;
	struct dwarf_cursor cursor = {.at = start,
				      .end = start + (room < *budget ? room : *budget)};
	int rc = 0;
	while (rc == 0) {
		uint64_t code = dwarf_cursor_uleb(&cursor);
		if (code == 0)
			break;
		uint64_t tag = dwarf_cursor_uleb(&cursor);
		struct die_abbrev abbrev = {.tag = (uint16_t)tag,
					    .has_children = dwarf_cursor_fixed(&cursor, 1) != 0,
					    .size = DIE_SIZE_VARIES,
					    .sibling_at = DIE_SIZE_VARIES,
					    .tells = is_told_about((unsigned int)tag)};
		if (cursor.failed || code > MAX_CODE || tag == 0 || tag > UINT16_MAX)
			rc = -EINVAL;
		if (rc == 0)
			rc = read_attributes(table, &cursor, &abbrev);
		if (rc == 0)
			rc = keep(table, code, &abbrev);
	}
	if (rc == 0 && cursor.failed)
		rc = -EINVAL;
	*budget -= (uint64_t)(cursor.at - start);
	if (rc < 0)
		table->n = 0;
	return rc;
}
