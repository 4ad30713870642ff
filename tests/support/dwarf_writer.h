/*
 * dwarf_writer.h - write DWARF 4 and 5 units entry by entry, sound ones and others.
 *
 * One table of abbreviations serves all units; an entry is its code and then its attributes in the
 * order that the table states, so a test writes any entry it likes, and breaks what it likes.
 *
 * dwarf_writer_sound() is a whole sound file: "first" with "small" inlined into it, and "second",
 * with lines; each test breaks one thing of it, or adds one.
 *
 * Depends on: elf_writer.h, libdw's constants. Threads: any.
 */
#ifndef CPROF_TESTS_DWARF_WRITER_H
#define CPROF_TESTS_DWARF_WRITER_H

#include "elf_writer.h"

#include <dwarf.h>

enum {
	DWARF_WRITER_CODE = 0x1000, /* svma of the code */
	DWARF_WRITER_CODE_BYTES = 0x10000,
	DWARF_WRITER_FUNCTION = 0x40, /* bytes of each function */
};

/* The abbreviations, and what follows the code of each. */
enum dwarf_writer_code {
	CODE_END,
	CODE_UNIT,        /* text name, text directory, u64 low, u64 size, u32 lines */
	CODE_UNIT_RANGES, /* text name, u64 base, u32 ranges */
	CODE_FUNCTION,    /* text name, u64 low, u64 size */
	CODE_RANGES,      /* function: text name, u32 ranges */
	CODE_ABSTRACT,    /* function: text name; no children */
	CODE_INLINED,     /* u32 origin, u64 low, u64 size, u8 call file, u16 call line */
	CODE_ORIGIN,      /* function: u32 origin, u64 low, u64 size */
	CODE_MEMBER,      /* function: u32 specification, u64 low, u64 size */
	CODE_BLOCK,       /* lexical block: nothing */
	CODE_SIBLING,     /* function: u32 sibling, text name, u64 low, u64 size */
	CODE_POINTER,     /* abstract function: u32 origin; no children */
	CODE_LINKED,      /* function: text name, text linkage name, u64 low, u64 size */
	CODE_FREE,        /* the first one that a test may define */
};

static inline void put_abbreviation(struct bytes *to, unsigned int code, unsigned int tag,
				    int children, const unsigned int *attributes, size_t n)
{
	put_uleb(to, code);
	put_uleb(to, tag);
	put_u8(to, children ? DW_CHILDREN_yes : DW_CHILDREN_no);
	for (size_t i = 0; i < n; i++)
		put_uleb(to, attributes[i]);
	put_u16(to, 0);
}

#define PUT_ABBREVIATION(to, code, tag, children, ...)                                             \
	put_abbreviation(to, code, tag, children, (const unsigned int[]){__VA_ARGS__},             \
			 sizeof((const unsigned int[]){__VA_ARGS__}) / sizeof(unsigned int))

/* All but the zero byte that ends the table. */
static inline void dwarf_writer_abbreviations(struct bytes *to)
{
#define PLACE DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8
	PUT_ABBREVIATION(to, CODE_UNIT, DW_TAG_compile_unit, 1, DW_AT_name, DW_FORM_string,
			 DW_AT_comp_dir, DW_FORM_string, PLACE, DW_AT_stmt_list,
			 DW_FORM_sec_offset);
	PUT_ABBREVIATION(to, CODE_UNIT_RANGES, DW_TAG_compile_unit, 1, DW_AT_name, DW_FORM_string,
			 DW_AT_low_pc, DW_FORM_addr, DW_AT_ranges, DW_FORM_sec_offset);
	PUT_ABBREVIATION(to, CODE_FUNCTION, DW_TAG_subprogram, 1, DW_AT_name, DW_FORM_string,
			 PLACE);
	PUT_ABBREVIATION(to, CODE_RANGES, DW_TAG_subprogram, 1, DW_AT_name, DW_FORM_string,
			 DW_AT_ranges, DW_FORM_sec_offset);
	PUT_ABBREVIATION(to, CODE_ABSTRACT, DW_TAG_subprogram, 0, DW_AT_name, DW_FORM_string);
	PUT_ABBREVIATION(to, CODE_INLINED, DW_TAG_inlined_subroutine, 1, DW_AT_abstract_origin,
			 DW_FORM_ref4, PLACE, DW_AT_call_file, DW_FORM_data1, DW_AT_call_line,
			 DW_FORM_data2);
	PUT_ABBREVIATION(to, CODE_ORIGIN, DW_TAG_subprogram, 1, DW_AT_abstract_origin, DW_FORM_ref4,
			 PLACE);
	PUT_ABBREVIATION(to, CODE_MEMBER, DW_TAG_subprogram, 1, DW_AT_specification, DW_FORM_ref4,
			 PLACE);
	PUT_ABBREVIATION(to, CODE_BLOCK, DW_TAG_lexical_block, 1, DW_AT_decl_line,
			 DW_FORM_flag_present);
	PUT_ABBREVIATION(to, CODE_SIBLING, DW_TAG_subprogram, 1, DW_AT_sibling, DW_FORM_ref4,
			 DW_AT_name, DW_FORM_string, PLACE);
	PUT_ABBREVIATION(to, CODE_POINTER, DW_TAG_subprogram, 0, DW_AT_abstract_origin,
			 DW_FORM_ref4);
	PUT_ABBREVIATION(to, CODE_LINKED, DW_TAG_subprogram, 1, DW_AT_name, DW_FORM_string,
			 DW_AT_linkage_name, DW_FORM_string, PLACE);
#undef PLACE
}

/* A unit that is being written: where it starts, and the offsets in it. */
struct dwarf_unit_writer {
	struct bytes *info;
	size_t start;
};

static inline struct dwarf_unit_writer dwarf_unit_begin(struct elf_writer *elf,
							unsigned int version)
{
	struct dwarf_unit_writer unit = {.info = elf_writer_bytes(elf, ".debug_info")};
	unit.start = unit.info->n;
	put_u32(unit.info, 0); /* the length */
	put_u16(unit.info, version);
	if (version >= 5) {
		put_u8(unit.info, DW_UT_compile);
		put_u8(unit.info, 8);
	}
	put_u32(unit.info, 0); /* the abbreviations */
	if (version < 5)
		put_u8(unit.info, 8);
	return unit;
}

/* Where the next entry will be, as DW_FORM_ref4 has it. */
static inline uint32_t dwarf_unit_here(const struct dwarf_unit_writer *unit)
{
	return (uint32_t)(unit->info->n - unit->start);
}

static inline void dwarf_unit_end(struct dwarf_unit_writer *unit)
{
	patch_u32(unit->info, unit->start, unit->info->n - unit->start - 4);
}

static inline void put_place(struct bytes *to, uint64_t low, uint64_t size)
{
	put_u64(to, low);
	put_u64(to, size);
}

static inline void put_unit(struct bytes *info, const char *name, uint64_t low, uint64_t size)
{
	put_uleb(info, CODE_UNIT);
	put_text(info, name);
	put_text(info, "/src");
	put_place(info, low, size);
	put_u32(info, 0);
}

/* With the end of its children. */
static inline void put_function(struct bytes *info, const char *name, uint64_t low, uint64_t size)
{
	put_uleb(info, CODE_FUNCTION);
	put_text(info, name);
	put_place(info, low, size);
	put_u8(info, CODE_END);
}

/*
 * The header of a line table of version 4 for one file, up to the program.
 *
 * Return: where the table starts, for put_line_end().
 */
static inline size_t put_line_header(struct bytes *line, const char *file)
{
	const size_t start = line->n;
	static const uint8_t lengths[] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
	put_u32(line, 0); /* the length */
	put_u16(line, 4);
	put_u32(line, 0); /* of the rest of the header */
	put_u8(line, 1);  /* minimum_instruction_length */
	put_u8(line, 1);  /* maximum_operations_per_instruction */
	put_u8(line, 1);  /* default_is_stmt */
	put_u8(line, 0xfb);
	put_u8(line, 14); /* line_range */
	put_u8(line, sizeof(lengths) + 1);
	put(line, lengths, sizeof(lengths));
	put_u8(line, 0); /* no directories */
	put_text(line, file);
	put_u8(line, 0);
	put_u16(line, 0);
	put_u8(line, 0);
	patch_u32(line, start + 6, line->n - start - 10);
	return start;
}

static inline void put_line_address(struct bytes *line, uint64_t address)
{
	put_u8(line, 0);
	put_uleb(line, 9);
	put_u8(line, DW_LNE_set_address);
	put_u64(line, address);
}

/* A row @bytes on, @lines down. */
static inline void put_line_row(struct bytes *line, unsigned int bytes, unsigned int lines)
{
	put_u8(line, DW_LNS_advance_pc);
	put_uleb(line, bytes);
	put_u8(line, DW_LNS_advance_line);
	put_uleb(line, lines);
	put_u8(line, DW_LNS_copy);
}

static inline void put_line_end(struct bytes *line, size_t start, unsigned int bytes)
{
	put_u8(line, DW_LNS_advance_pc);
	put_uleb(line, bytes);
	put_u8(line, 0);
	put_u8(line, 1);
	put_u8(line, DW_LNE_end_sequence);
	patch_u32(line, start, line->n - start - 4);
}

/*
 * A sound file. At DWARF_WRITER_CODE: "first", line 1; from 0x10 to 0x20 in it "small", line 11,
 * called in line 5; behind it "second", line 21. All in /src/sound.c.
 *
 * @origin: set to where "small" is, as a reference; may be NULL
 * Return: the unit, open: more entries can follow. dwarf_writer_close() ends it.
 */
static inline struct dwarf_unit_writer dwarf_writer_sound(struct elf_writer *elf, uint32_t *origin)
{
	const uint64_t first = DWARF_WRITER_CODE, size = DWARF_WRITER_FUNCTION;
	elf_writer_init(elf);
	elf_writer_add_code(elf, DWARF_WRITER_CODE, DWARF_WRITER_CODE_BYTES);
	dwarf_writer_abbreviations(elf_writer_bytes(elf, ".debug_abbrev"));
	struct bytes *line = elf_writer_bytes(elf, ".debug_line");
	const size_t table = put_line_header(line, "sound.c");
	put_line_address(line, first);
	put_line_row(line, 0, 0);
	put_line_row(line, 0x10, 10);
	put_line_row(line, 0x10, 0);
	put_line_row(line, (unsigned int)size - 0x20, 10);
	put_line_end(line, table, (unsigned int)size);
	struct dwarf_unit_writer unit = dwarf_unit_begin(elf, 4);
	put_unit(unit.info, "sound.c", first, DWARF_WRITER_CODE_BYTES);
	const uint32_t small = dwarf_unit_here(&unit);
	put_uleb(unit.info, CODE_ABSTRACT);
	put_text(unit.info, "small");
	put_uleb(unit.info, CODE_FUNCTION);
	put_text(unit.info, "first");
	put_place(unit.info, first, size);
	put_uleb(unit.info, CODE_INLINED);
	put_u32(unit.info, small);
	put_place(unit.info, first + 0x10, 0x10);
	put_u8(unit.info, 1);
	put_u16(unit.info, 5);
	put_u8(unit.info, CODE_END);
	put_u8(unit.info, CODE_END);
	put_function(unit.info, "second", first + size, size);
	if (origin)
		*origin = small;
	return unit;
}

/* End the unit's children, the unit and the abbreviations. */
static inline void dwarf_writer_close(struct elf_writer *elf, struct dwarf_unit_writer *unit)
{
	put_u8(unit->info, CODE_END);
	dwarf_unit_end(unit);
	put_u8(elf_writer_bytes(elf, ".debug_abbrev"), 0);
}

#endif
