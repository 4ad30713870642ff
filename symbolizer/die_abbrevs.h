/*
 * die_abbrevs.h - how to pass over debugging entries of each shape, worked out once per shape.
 *
 * An entry's abbreviation lists its attributes; nearly all of them are passed over. Runs of
 * attributes of known size become one step, so that most entries are passed in one or two
 * additions, where libdw decides attribute by attribute.
 *
 * Depends on: base, dwarf_cursor. Threads: immutable once read.
 */
#ifndef CPROF_SYMBOLIZER_DIE_ABBREVS_H
#define CPROF_SYMBOLIZER_DIE_ABBREVS_H

#include "elf_bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Attributes that a scan tells about. */
enum die_slot {
	DIE_SLOT_NONE, /* passed over */
	DIE_SLOT_SIBLING,
	DIE_SLOT_LOW_PC,
	DIE_SLOT_HIGH_PC,
	DIE_SLOT_RANGES,
	DIE_SLOT_CALL_FILE,
	DIE_SLOT_CALL_LINE,
	DIE_SLOT_COUNT,
};

struct die_step {
	uint8_t slot;  /* enum die_slot */
	uint16_t form; /* 0 = only pass over size bytes */
	uint32_t size;
	int64_t constant; /* of DW_FORM_implicit_const */
};

struct die_abbrev {
	uint16_t tag; /* 0 = no such abbreviation */
	bool has_children;
	bool tells;    /* of a function or an inlined call: all slots are used */
	bool has_code; /* DW_AT_low_pc or DW_AT_ranges */
	uint32_t first_step, n_steps;
	/* Of one that does not tell, where nothing varies: all bytes, and where among them its
	 * sibling is, as DW_FORM_ref4. DIE_SIZE_VARIES = there is more to it, or it has none. */
	uint32_t size, sibling_at;
};

/* Sizes that a unit's header states. */
struct die_format {
	uint16_t version;
	uint8_t address_size, offset_size;
};

struct die_abbrevs {
	struct die_abbrev *abbrevs; /* by code */
	size_t n, cap;
	struct die_step *steps;
	size_t n_steps, cap_steps;
	uint64_t offset; /* what this was read from, and how */
	struct die_format format;
};

/* What die_abbrevs_form_size() says of forms that have no size of their own. */
#define DIE_SIZE_VARIES UINT32_MAX
#define DIE_FORM_UNKNOWN (UINT32_MAX - 1)

/** Bytes of an attribute of a form (DWARF 5, section 7.5.6; and GNU's), or one of the two above. */
uint32_t die_abbrevs_form_size(uint64_t form, struct die_format format);

/**
 * Read a table.
 *
 * @table:   another one that is not needed any more, whose room is used again; or all zero
 * @section: .debug_abbrev
 * @budget:  bytes that may still be read; lowered
 * Return: 0; -EINVAL: damaged, or with something unknown in it; -ENOMEM. It is empty then.
 */
int die_abbrevs_read(struct die_abbrevs *table, const struct elf_bytes *section, uint64_t offset,
		     struct die_format format, uint64_t *budget);
void die_abbrevs_deinit(struct die_abbrevs *table);

#endif
