#include "damaged_binaries.h"

static struct bytes *section(struct elf_writer *elf, const char *name)
{
	return elf_writer_bytes(elf, name);
}

static void put_reference(struct bytes *info, unsigned int code, uint32_t target)
{
	put_uleb(info, code);
	put_u32(info, target);
}

static void put_damaged(struct bytes *info, unsigned int code, uint32_t target)
{
	put_reference(info, code, target);
	put_place(info, DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	put_u8(info, CODE_END);
}

/* References */

static void origins_in_a_circle(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	(void)n;
	const uint32_t here = dwarf_unit_here(unit);
	put_reference(unit->info, CODE_POINTER, here + 5);
	put_reference(unit->info, CODE_POINTER, here);
	put_damaged(unit->info, CODE_ORIGIN, here);
}

static void specification_of_itself(struct elf_writer *elf, struct dwarf_unit_writer *unit,
				    size_t n)
{
	(void)elf;
	(void)n;
	put_damaged(unit->info, CODE_MEMBER, dwarf_unit_here(unit));
}

static void inlined_from_itself(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	(void)n;
	put_uleb(unit->info, CODE_FUNCTION);
	put_text(unit->info, "around");
	put_place(unit->info, DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	put_reference(unit->info, CODE_INLINED, dwarf_unit_here(unit));
	put_place(unit->info, DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	put_u8(unit->info, 200); /* no such file */
	put_u16(unit->info, 5);
	put_u16(unit->info, CODE_END);
}

static void reference_beyond_the_file(struct elf_writer *elf, struct dwarf_unit_writer *unit,
				      size_t n)
{
	(void)elf;
	(void)n;
	put_damaged(unit->info, CODE_ORIGIN, 0xffffff00);
}

static void reference_into_the_header(struct elf_writer *elf, struct dwarf_unit_writer *unit,
				      size_t n)
{
	(void)elf;
	(void)n;
	put_damaged(unit->info, CODE_ORIGIN, 3);
}

static void put_sibling(struct bytes *info, uint32_t sibling)
{
	put_reference(info, CODE_SIBLING, sibling);
	put_text(info, "sibling");
	put_place(info, DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	put_u8(info, CODE_END);
}

static void sibling_before_itself(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	(void)n;
	const uint32_t here = dwarf_unit_here(unit);
	put_function(unit->info, "between", DAMAGED_SVMA + 0x100, DWARF_WRITER_FUNCTION);
	put_sibling(unit->info, here);
}

static void sibling_of_itself(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	(void)n;
	put_sibling(unit->info, dwarf_unit_here(unit));
}

/* Ranges */

static void put_ranges(struct bytes *info, const char *name, uint32_t offset)
{
	put_uleb(info, CODE_RANGES);
	put_text(info, name);
	put_u32(info, offset);
	put_u8(info, CODE_END);
}

/* One list that ends with the section, for many functions: n times n steps. */
static void ranges_without_end(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	struct bytes *ranges = section(elf, ".debug_ranges");
	for (size_t i = 0; i < n; i++)
		put_place(ranges, 0x1000, 0x1001);
	for (size_t i = 0; i < n / 8 + 1; i++)
		put_ranges(unit->info, "r", 0);
}

/* A list of nothing but changes of its base. */
static void ranges_of_bases(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	struct bytes *ranges = section(elf, ".debug_ranges");
	for (size_t i = 0; i < n; i++)
		put_place(ranges, UINT64_MAX, i);
	for (size_t i = 0; i < n / 8 + 1; i++)
		put_ranges(unit->info, "b", 0);
}

static void ranges_that_wrap(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)n;
	struct bytes *ranges = section(elf, ".debug_ranges");
	put_place(ranges, UINT64_MAX, UINT64_MAX - 0x10);
	put_place(ranges, 0x8, DAMAGED_SVMA + 0x20);
	put_place(ranges, DAMAGED_SVMA + 0x20, DAMAGED_SVMA);
	put_place(ranges, 0, 0);
	put_ranges(unit->info, "wraps", 0);
	put_ranges(unit->info, "beyond", 0x7fffffff);
}

static void range_list_of_dwarf_5(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	static const uint8_t unknown[] = {0x42, 0xff, 0xff};
	struct bytes *lists = section(elf, ".debug_rnglists");
	put_u8(unit->info, CODE_END);
	dwarf_unit_end(unit);
	*unit = dwarf_unit_begin(elf, 5);
	put_unit(unit->info, "five.c", DAMAGED_SVMA, 0x1000);
	put_ranges(unit->info, "endless", 12);
	put_u32(lists, 0);
	put_u16(lists, 5);
	put_u8(lists, 8);
	put_u8(lists, 0);
	put_u32(lists, 0);
	for (size_t i = 0; i < n; i++) {
		put_u8(lists, DW_RLE_start_length);
		put_u64(lists, DAMAGED_SVMA);
		put_uleb(lists, UINT64_MAX);
		put_u8(lists, DW_RLE_startx_endx);
		put_uleb(lists, UINT64_MAX);
		put_uleb(lists, i);
	}
	put(lists, unknown, sizeof(unknown));
	patch_u32(lists, 0, lists->n - 4);
}

/* Abbreviations */

/* Each entry is one byte that stands for n attributes. */
static void abbreviation_of_many_attributes(struct elf_writer *elf, struct dwarf_unit_writer *unit,
					    size_t n)
{
	struct bytes *abbreviations = section(elf, ".debug_abbrev");
	put_uleb(abbreviations, CODE_FREE);
	put_uleb(abbreviations, DW_TAG_variable);
	put_u8(abbreviations, DW_CHILDREN_no);
	for (size_t i = 0; i < n; i++) {
		put_uleb(abbreviations, DW_AT_external);
		put_uleb(abbreviations, DW_FORM_flag_present);
	}
	put_u16(abbreviations, 0);
	for (size_t i = 0; i < n; i++)
		put_uleb(unit->info, CODE_FREE);
	put_function(unit->info, "behind", DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
}

static void many_abbreviations(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	struct bytes *abbreviations = section(elf, ".debug_abbrev");
	for (size_t i = 0; i < n; i++)
		PUT_ABBREVIATION(abbreviations, (unsigned int)(CODE_FREE + i), DW_TAG_variable, 0,
				 DW_AT_external, DW_FORM_flag_present);
	put_uleb(unit->info, CODE_FREE + n - 1);
	put_function(unit->info, "behind", DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
}

static void entry_of_no_abbreviation(struct elf_writer *elf, struct dwarf_unit_writer *unit,
				     size_t n)
{
	(void)elf;
	(void)n;
	put_uleb(unit->info, UINT64_MAX);
	put_function(unit->info, "behind", DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
}

static void abbreviations_without_end(struct elf_writer *elf, size_t n)
{
	struct bytes *abbreviations = section(elf, ".debug_abbrev");
	put_fill(abbreviations, 0x85, n);
}

static void forms_that_are_indirect(struct elf_writer *elf, struct dwarf_unit_writer *unit,
				    size_t n)
{
	PUT_ABBREVIATION(section(elf, ".debug_abbrev"), CODE_FREE, DW_TAG_variable, 0, DW_AT_name,
			 DW_FORM_indirect);
	put_uleb(unit->info, CODE_FREE);
	put_fill(unit->info, DW_FORM_indirect, n);
	put_uleb(unit->info, DW_FORM_string);
	put_text(unit->info, "at last");
	put_function(unit->info, "behind", DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
}

/* Units and entries */

/* All of them claim all addresses, and so do their functions. */
static void units_that_overlap(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put_u8(unit->info, CODE_END);
		dwarf_unit_end(unit);
		*unit = dwarf_unit_begin(elf, 4);
		put_unit(unit->info, "over.c", DWARF_WRITER_CODE + 0x800 + i % 64,
			 DWARF_WRITER_CODE_BYTES - 0x900);
		put_function(unit->info, "over", DAMAGED_SVMA - i % 32, 0x80);
	}
}

static void functions_that_overlap(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	for (size_t i = 0; i < n; i++)
		put_function(unit->info, "over", DAMAGED_SVMA - i % 0x400, i % 0x400 + 2);
}

static void blocks_nested_deep(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	put_uleb(unit->info, CODE_FUNCTION);
	put_text(unit->info, "deep");
	put_place(unit->info, DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	for (size_t i = 0; i < n; i++)
		put_uleb(unit->info, CODE_BLOCK);
	put_fill(unit->info, CODE_END, n + 1);
}

static void calls_nested_deep(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	const uint32_t origin = dwarf_unit_here(unit);
	put_uleb(unit->info, CODE_ABSTRACT);
	put_text(unit->info, "nested");
	put_uleb(unit->info, CODE_FUNCTION);
	put_text(unit->info, "deep");
	put_place(unit->info, DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	for (size_t i = 0; i < n; i++) {
		put_reference(unit->info, CODE_INLINED, origin);
		put_place(unit->info, DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
		put_u8(unit->info, 1);
		put_u16(unit->info, 7);
	}
	put_fill(unit->info, CODE_END, n + 1);
}

static void unit_longer_than_the_file(struct elf_writer *elf, size_t n)
{
	(void)n;
	patch_u32(section(elf, ".debug_info"), 0, 0x7fffffff);
}

static void unit_of_64_bits(struct elf_writer *elf, size_t n)
{
	(void)n;
	struct bytes *info = section(elf, ".debug_info");
	patch_u32(info, 0, 0xffffffff);
	memset(info->data + 4, 0xff, 8);
}

static void unit_of_no_length(struct elf_writer *elf, size_t n)
{
	(void)n;
	patch_u32(section(elf, ".debug_info"), 0, 0);
}

static void version_from_the_future(struct elf_writer *elf, size_t n)
{
	(void)n;
	section(elf, ".debug_info")->data[4] = 77;
}

static void addresses_of_3_bytes(struct elf_writer *elf, size_t n)
{
	(void)n;
	section(elf, ".debug_info")->data[10] = 3;
}

static void unit_cut_in_an_entry(struct elf_writer *elf, size_t n)
{
	(void)n;
	struct bytes *info = section(elf, ".debug_info");
	info->n -= 12;
}

static void name_without_end(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	put_uleb(unit->info, CODE_FUNCTION);
	put_fill(unit->info, 'x', n);
}

static void name_that_doubles(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)elf;
	put_uleb(unit->info, CODE_LINKED);
	put_text(unit->info, "doubles");
	put(unit->info, "_Z1fSt4pairI1A1AE", 17);
	for (size_t i = 0; i < n; i++) { /* pair<the last, the last> */
		static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
		put(unit->info, "St4pairIS", 9);
		put_u8(unit->info, (unsigned int)digits[i % 36]);
		put(unit->info, "_S", 2);
		put_u8(unit->info, (unsigned int)digits[i % 36]);
		put(unit->info, "_E", 2);
	}
	put_u8(unit->info, 0);
	put_place(unit->info, DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	put_u8(unit->info, CODE_END);
}

/* Lines */

/* A unit with a line table of its own, which starts at @offset of .debug_line. */
static struct bytes *begin_lines(struct elf_writer *elf, struct dwarf_unit_writer *unit)
{
	struct bytes *line = section(elf, ".debug_line");
	const uint32_t offset = (uint32_t)line->n;
	put_u8(unit->info, CODE_END);
	dwarf_unit_end(unit);
	*unit = dwarf_unit_begin(elf, 4);
	put_unit(unit->info, "lines.c", DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	patch_u32(unit->info, unit->info->n - 4, offset);
	put_function(unit->info, "lined", DAMAGED_SVMA, DWARF_WRITER_FUNCTION);
	return line;
}

static void line_range_of_0(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	(void)n;
	struct bytes *line = begin_lines(elf, unit);
	const size_t start = put_line_header(line, "lines.c");
	line->data[start + 14] = 0;
	put_line_address(line, DAMAGED_SVMA);
	put_fill(line, 0xf0, 16); /* special opcodes divide by it */
	put_u8(line, DW_LNS_const_add_pc);
	patch_u32(line, start, line->n - start - 4);
}

static void lines_without_end(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	struct bytes *line = begin_lines(elf, unit);
	const size_t start = put_line_header(line, "lines.c");
	put_line_address(line, DAMAGED_SVMA);
	put_fill(line, DW_LNS_copy, n);
	patch_u32(line, start, 0x7fffffff);
}

static void lines_that_wrap(struct elf_writer *elf, struct dwarf_unit_writer *unit, size_t n)
{
	struct bytes *line = begin_lines(elf, unit);
	const size_t start = put_line_header(line, "lines.c");
	for (size_t i = 0; i < n; i++) {
		put_line_address(line, DAMAGED_SVMA - i);
		put_u8(line, DW_LNS_advance_pc);
		put_uleb(line, UINT64_MAX - 7 * i);
		put_u8(line, DW_LNS_advance_line);
		put_uleb(line, UINT64_MAX >> 1);
		put_u8(line, DW_LNS_set_file);
		put_uleb(line, UINT64_MAX);
		put_u8(line, DW_LNS_copy);
	}
	patch_u32(line, start, line->n - start - 4);
}

/* Version 5: 2^60 directories of which each takes no bytes. */
static void directories_without_bytes(struct elf_writer *elf, struct dwarf_unit_writer *unit,
				      size_t n)
{
	struct bytes *line = begin_lines(elf, unit);
	const size_t start = line->n;
	static const uint8_t lengths[] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
	put_u32(line, 0);
	put_u16(line, 5);
	put_u8(line, 8);
	put_u8(line, 0);
	put_u32(line, 0);
	put_u8(line, 1);
	put_u8(line, 1);
	put_u8(line, 1);
	put_u8(line, 0xfb);
	put_u8(line, 14);
	put_u8(line, sizeof(lengths) + 1);
	put(line, lengths, sizeof(lengths));
	put_u8(line, 0); /* formats of a directory: none */
	put_uleb(line, (uint64_t)n << 32);
	put_u8(line, 1); /* formats of a file: a flag, which is present without a byte */
	put_uleb(line, DW_LNCT_path);
	put_uleb(line, DW_FORM_flag_present);
	put_uleb(line, (uint64_t)n << 32);
	patch_u32(line, start + 8, line->n - start - 12);
	patch_u32(line, start, line->n - start - 4);
}

/* Sections and symbols */

static void section_that_claims_100_gigabytes(struct elf_writer *elf, size_t n)
{
	elf_writer_compress(elf, ".debug_info", (uint64_t)n << 30);
}

static void section_that_inflates_to_less(struct elf_writer *elf, size_t n)
{
	struct bytes *info = section(elf, ".debug_info");
	elf_writer_compress(elf, ".debug_info", info->n + n);
}

static void section_compressed_in_an_unknown_way(struct elf_writer *elf, size_t n)
{
	elf_writer_compress(elf, ".debug_info", 0);
	section(elf, ".debug_info")->data[0] = (uint8_t)n;
}

static void section_beyond_the_file(struct elf_writer *elf, size_t n)
{
	elf_writer_section(elf, ".debug_line")->header.sh_size = (uint64_t)n << 32;
}

static void code_up_to_the_last_address(struct elf_writer *elf, size_t n)
{
	(void)n;
	elf_writer_section(elf, ".text")->header.sh_size = UINT64_MAX - DWARF_WRITER_CODE;
}

static void sections_without_names(struct elf_writer *elf, size_t n)
{
	elf->header.e_shstrndx = (uint16_t)n;
}

static void section_of_itself(struct elf_writer *elf, size_t n)
{
	(void)n;
	elf_writer_add_symbol(elf, "itself", DAMAGED_SVMA, 0x40, STT_FUNC);
	struct elf_writer_section *symbols = elf_writer_section(elf, ".symtab");
	symbols->header.sh_link = elf_writer_index(elf, ".symtab");
}

static void symbols_of_no_size(struct elf_writer *elf, size_t n)
{
	(void)n;
	elf_writer_add_symbol(elf, "none", DAMAGED_SVMA, 0x40, STT_FUNC);
	elf_writer_section(elf, ".symtab")->header.sh_entsize = 0;
}

static void symbols_nested_deep(struct elf_writer *elf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		elf_writer_add_symbol(elf, "nested", DAMAGED_SVMA - 0x800 + i % 0x800,
				      UINT64_MAX - i, STT_FUNC);
	for (size_t i = 0; i < n; i++)
		elf_writer_add_symbol(elf, "wide", DAMAGED_SVMA - i % 0x800, 0x2000,
				      ELF64_ST_INFO(STB_GLOBAL, STT_FUNC));
}

static void symbol_names_beyond_the_table(struct elf_writer *elf, size_t n)
{
	elf_writer_add_symbol(elf, "cut", DAMAGED_SVMA, 0x40, STT_FUNC);
	struct bytes *symbols = section(elf, ".symtab");
	patch_u32(symbols, sizeof(Elf64_Sym), n);
	section(elf, ".strtab")->n -= 1;
}

static void shared_information_in_itself(struct elf_writer *elf, size_t n)
{
	static const uint8_t id[20] = {1, 2, 3, 4, 5, 6, 7};
	(void)n;
	struct elf_writer_section *note = elf_writer_section(elf, ".note.gnu.build-id");
	note->header.sh_type = SHT_NOTE;
	note->header.sh_flags = SHF_ALLOC;
	put_u32(&note->bytes, 4);
	put_u32(&note->bytes, sizeof(id));
	put_u32(&note->bytes, NT_GNU_BUILD_ID);
	put(&note->bytes, "GNU", 4);
	put(&note->bytes, id, sizeof(id));
	struct bytes *link = section(elf, ".gnu_debugaltlink");
	put_text(link, "damaged"); /* next to the file: the file */
	put(link, id, sizeof(id));
}

const struct damaged_binary damaged_binaries[] = {
	{"origins_in_a_circle", origins_in_a_circle, NULL, 0, 0, true, NULL},
	{"specification_of_itself", specification_of_itself, NULL, 0, 0, true, NULL},
	{"inlined_from_itself", inlined_from_itself, NULL, 0, 0, true, NULL},
	{"reference_beyond_the_file", reference_beyond_the_file, NULL, 0, 0, true, ".debug_info"},
	{"reference_into_the_header", reference_into_the_header, NULL, 0, 0, true, NULL},
	{"sibling_before_itself", sibling_before_itself, NULL, 0, 0, true, NULL},
	{"sibling_of_itself", sibling_of_itself, NULL, 0, 0, true, NULL},
	{"ranges_without_end", ranges_without_end, NULL, 400000, 9, true, ".debug_ranges"},
	{"ranges_of_bases", ranges_of_bases, NULL, 400000, 9, true, ".debug_ranges"},
	{"ranges_that_wrap", ranges_that_wrap, NULL, 0, 0, true, ".debug_ranges"},
	{"range_list_of_dwarf_5", range_list_of_dwarf_5, NULL, 40000, 3, true, ".debug_rnglists"},
	{"abbreviation_of_many_attributes", abbreviation_of_many_attributes, NULL, 100000, 20,
	 false, NULL},
	{"many_abbreviations", many_abbreviations, NULL, 300000, 20, true, NULL},
	{"entry_of_no_abbreviation", entry_of_no_abbreviation, NULL, 0, 0, true, ".debug_abbrev"},
	{"abbreviations_without_end", NULL, abbreviations_without_end, 100000, 9, false, NULL},
	{"forms_that_are_indirect", forms_that_are_indirect, NULL, 1000000, 9, true, ".debug_info"},
	{"units_that_overlap", units_that_overlap, NULL, 20000, 3, true, NULL},
	{"functions_that_overlap", functions_that_overlap, NULL, 100000, 9, true, NULL},
	{"blocks_nested_deep", blocks_nested_deep, NULL, 1000000, 300, true, NULL},
	{"calls_nested_deep", calls_nested_deep, NULL, 100000, 9, true, NULL},
	{"unit_longer_than_the_file", NULL, unit_longer_than_the_file, 0, 0, false, ".debug_info"},
	{"unit_of_64_bits", NULL, unit_of_64_bits, 0, 0, false, ".debug_info"},
	{"unit_of_no_length", NULL, unit_of_no_length, 0, 0, false, ".debug_info"},
	{"version_from_the_future", NULL, version_from_the_future, 0, 0, false, ".debug_info"},
	{"addresses_of_3_bytes", NULL, addresses_of_3_bytes, 0, 0, false, ".debug_info"},
	{"unit_cut_in_an_entry", NULL, unit_cut_in_an_entry, 0, 0, false, ".debug_info"},
	{"name_without_end", name_without_end, NULL, 1000000, 9, true, ".debug_info"},
	{"name_that_doubles", name_that_doubles, NULL, 200, 20, true, NULL},
	{"line_range_of_0", line_range_of_0, NULL, 0, 0, true, ".debug_line"},
	{"lines_without_end", lines_without_end, NULL, 2000000, 9, true, ".debug_line"},
	{"lines_that_wrap", lines_that_wrap, NULL, 50000, 3, true, ".debug_line"},
	{"directories_without_bytes", directories_without_bytes, NULL, 1 << 20, 1, true,
	 ".debug_line"},
	{"section_that_claims_100_gigabytes", NULL, section_that_claims_100_gigabytes, 100, 100,
	 false, ".debug_info"},
	{"section_that_inflates_to_less", NULL, section_that_inflates_to_less, 4096, 16, false,
	 ".debug_info"},
	{"section_compressed_in_an_unknown_way", NULL, section_compressed_in_an_unknown_way, 9, 9,
	 false, ".debug_info"},
	{"section_beyond_the_file", NULL, section_beyond_the_file, 1, 1, false, ".debug_info"},
	{"code_up_to_the_last_address", NULL, code_up_to_the_last_address, 0, 0, false, NULL},
	{"sections_without_names", NULL, sections_without_names, 200, 200, false, NULL},
	{"section_of_itself", NULL, section_of_itself, 0, 0, true, NULL},
	{"symbols_of_no_size", NULL, symbols_of_no_size, 0, 0, true, NULL},
	{"symbols_nested_deep", NULL, symbols_nested_deep, 100000, 9, true, NULL},
	{"symbol_names_beyond_the_table", NULL, symbol_names_beyond_the_table, 1 << 30, 99, true,
	 NULL},
	{"shared_information_in_itself", NULL, shared_information_in_itself, 0, 0, true, NULL},
};

const size_t n_damaged_binaries = sizeof(damaged_binaries) / sizeof(damaged_binaries[0]);

struct bytes damaged_binary_make(const struct damaged_binary *binary, bool small)
{
	struct elf_writer elf;
	struct dwarf_unit_writer unit = dwarf_writer_sound(&elf, NULL);
	const size_t n = small ? binary->n_small : binary->n;
	if (binary->add)
		binary->add(&elf, &unit, n);
	dwarf_writer_close(&elf, &unit);
	if (binary->spoil)
		binary->spoil(&elf, n);
	struct bytes file = elf_writer_finish(&elf);
	elf_writer_deinit(&elf);
	return file;
}
