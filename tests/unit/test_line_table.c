#include "symbolizer/line_table.h"

#include "symbolizer/dwarf_units.h"
#include "symbolizer_fixtures/fixtures.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/temp_dir.h"

/* A program of DWARF 4 by hand: line_base -1, line_range 4, opcode_base 10, two files. */
/* clang-format off */
static const uint8_t program[] = {
	66, 0, 0, 0, 4, 0, 35, 0, 0, 0, 1, 1, 1, 0xff, 4, 10, 0, 1, 1, 1, 1, 0, 0, 0, 1, /* header */
	'd', 'i', 'r', 0, 0, 'a', '.', 'c', 0, 0, 0, 0, 'b', '.', 'c', 0, 1, 0, 0, 0,    /* names */
	0, 9, DW_LNE_set_address, 0, 0x10, 0, 0, 0, 0, 0, 0,
	10 + 4 * 2 + 3,         /* 0x1002, line 3 */
	10 + 4 * 2 + 1,         /* 0x1004, line 3: no change */
	DW_LNS_set_file, 2,     /* b.c */
	DW_LNS_advance_line, 7, /* line 10 */
	DW_LNS_copy,            /* 0x1004 again: replaces the row there */
	DW_LNS_const_add_pc,    /* + (255 - 10) / 4 = 61 */
	10 + 2,                 /* 0x1041, line 11 */
	DW_LNS_advance_pc, 0x3f, 0, 1, DW_LNE_end_sequence, /* 0x1080 */
};
/* clang-format on */

static const struct code_ranges anywhere = {.n = 0};

static struct line_sections sections_of(const uint8_t *bytes, size_t n)
{
	return (struct line_sections){.line = {.bytes = bytes, .n = n}, .budget = 1 << 20};
}

static void expect_row(const struct line_table *table, uint64_t svma, const char *file,
		       uint32_t line, uint64_t start, uint64_t end)
{
	uint64_t found_start, found_end;
	const struct line_row *row = line_table_find(table, svma, &found_start, &found_end);
	assert_non_null(row);
	assert_true(row->file < table->n_files);
	assert_string_equal(table->files[row->file].name, file);
	assert_int_equal(row->line, line);
	assert_int_equal(found_start, start);
	assert_int_equal(found_end, end);
}

static void test_line_table__rows_by_hand(void **state)
{
	(void)state;
	struct line_table table;
	uint64_t start, end;
	struct line_sections sections = sections_of(program, sizeof(program));
	assert_int_equal(line_table_read(&table, &sections, 0, &anywhere), 0);
	assert_int_equal(table.n_sequences, 1);
	assert_int_equal(table.n_files, 3);
	assert_string_equal(line_table_dir(&table, &table.files[1]), "");
	assert_string_equal(line_table_dir(&table, &table.files[2]), "dir");
	assert_null(line_table_find(&table, 0x1001, &start, &end));
	expect_row(&table, 0x1002, "a.c", 3, 0x1002, 0x1004);
	expect_row(&table, 0x1004, "b.c", 10, 0x1004, 0x1041);
	expect_row(&table, 0x1040, "b.c", 10, 0x1004, 0x1041);
	expect_row(&table, 0x107f, "b.c", 11, 0x1041, 0x1080);
	assert_null(line_table_find(&table, 0x1080, &start, &end));
	line_table_deinit(&table);
	line_sections_deinit(&sections);
}

static void test_line_table__code_that_is_not_there_has_no_rows(void **state)
{
	(void)state;
	struct line_table table;
	struct code_range range = {.start = 0x2000, .end = 0x3000};
	const struct code_ranges elsewhere = {.ranges = &range, .n = 1};
	struct line_sections sections = sections_of(program, sizeof(program));
	assert_int_equal(line_table_read(&table, &sections, 0, &elsewhere), 0);
	assert_int_equal(table.n_sequences, 0);
	assert_int_equal(table.n_rows, 0);
	line_table_deinit(&table);
	line_sections_deinit(&sections);
}

static void test_line_table__cut_or_changed_anywhere_it_ends(void **state)
{
	(void)state;
	struct line_table table;
	for (size_t n = 0; n < sizeof(program); n++) {
		uint8_t *copy = malloc(n + 1);
		memcpy(copy, program, n);
		struct line_sections sections = sections_of(copy, n);
		assert_int_equal(line_table_read(&table, &sections, 0, &anywhere), 0);
		assert_int_equal(table.n_sequences, 0); /* its length says more than there is */
		line_table_deinit(&table);
		line_sections_deinit(&sections);
		free(copy);
	}
	for (size_t at = 0; at < sizeof(program); at++) {
		for (unsigned int value = 0; value < 256; value++) {
			uint8_t *copy = malloc(sizeof(program));
			memcpy(copy, program, sizeof(program));
			copy[at] = (uint8_t)value;
			struct line_sections sections = sections_of(copy, sizeof(program));
			assert_int_equal(line_table_read(&table, &sections, 0, &anywhere), 0);
			assert_true(table.n_rows <= sizeof(program));
			line_table_deinit(&table);
			line_sections_deinit(&sections);
			free(copy);
		}
	}
}

static void test_line_table__programs_are_run_within_a_budget(void **state)
{
	(void)state;
	struct line_table table;
	struct line_sections sections = sections_of(program, sizeof(program));
	sections.budget = sizeof(program);
	assert_int_equal(line_table_read(&table, &sections, 0, &anywhere), 0);
	assert_int_equal(table.n_sequences, 1);
	line_table_deinit(&table);
	assert_int_equal(line_table_read(&table, &sections, 0, &anywhere), 0);
	assert_int_equal(table.n_sequences, 0);
	line_table_deinit(&table);
	line_sections_deinit(&sections);
}

/* DWARF 5: a million files whose names are all one long string. */
static void test_line_table__one_long_string_is_not_measured_for_each_name(void **state)
{
	(void)state;
	/* clang-format off */
	static const uint8_t head[] = {
		0, 0, 0, 0, 5, 0, 8, 0, 0, 0, 0, 0, 1, 1, 1, 0xff, 4, 1, /* lengths filled in below */
		0, 0,                                                   /* no directories */
		1, DW_LNCT_path, DW_FORM_line_strp, 0xc0, 0x84, 0x3d,   /* 1000000 files */
	};
	/* clang-format on */
	enum { LENGTH_AT = 0, HEADER_LENGTH_AT = 8, FILES = 1000000, STRING = 16 << 20 };
	const size_t n = sizeof(head) + 4 * (size_t)FILES;
	const uint32_t length = (uint32_t)n - 4, header_length = (uint32_t)n - 12;
	uint8_t *line = calloc(n, 1), *string = malloc(STRING);
	struct line_table table;
	assert_true(line && string);
	memcpy(line, head, sizeof(head));
	memcpy(line + LENGTH_AT, &length, sizeof(length));
	memcpy(line + HEADER_LENGTH_AT, &header_length, sizeof(header_length));
	memset(string, 'a', STRING);
	for (int ends = 0; ends < 2; ends++) {
		struct line_sections sections = sections_of(line, n);
		sections.line_str = (struct elf_bytes){.bytes = string, .n = STRING};
		sections.budget = 2 * n - 1;
		string[STRING - 1] = ends ? '\0' : 'a';
		assert_int_equal(line_table_read(&table, &sections, 0, &anywhere), 0);
		assert_int_equal(table.n_files, FILES);
		assert_int_equal(table.files[FILES - 1].name[0], ends ? 'a' : '\0');
		line_table_deinit(&table);
		assert_int_equal(sections.budget, n - 1); /* names count */
		line_sections_deinit(&sections);
	}
	free(line);
	free(string);
}

/* Each row of libdw's, the last of those at one address, is what our table has there. */
static size_t compare_unit(const struct line_table *table, Dwarf_Die *unit)
{
	Dwarf_Lines *lines;
	Dwarf_Addr end_before = 0;
	size_t n, compared = 0;
	if (dwarf_getsrclines(unit, &lines, &n) != 0)
		return 0;
	for (size_t i = 0; i + 1 < n; i++) {
		Dwarf_Line *line = dwarf_onesrcline(lines, i),
			   *next = dwarf_onesrcline(lines, i + 1);
		Dwarf_Addr address, next_address;
		uint64_t start, end;
		int number;
		bool ends;
		assert_int_equal(dwarf_lineaddr(line, &address), 0);
		assert_int_equal(dwarf_lineaddr(next, &next_address), 0);
		assert_int_equal(dwarf_lineendsequence(line, &ends), 0);
		if (ends)
			end_before = address;
		/* libdw sorts the end of a sequence before a row at the same address, which is
		 * empty */
		if (ends || next_address == address || address == end_before)
			continue;
		const struct line_row *row = line_table_find(table, address, &start, &end);
		if (!row)
			fail_msg("no row at %#llx", (unsigned long long)address);
		assert_int_equal(dwarf_lineno(line, &number), 0);
		assert_int_equal(row->line, number);
		assert_true(end >= next_address);
		const char *path = dwarf_linesrc(line, NULL, NULL);
		const char *name = table->files[row->file].name;
		assert_true(strlen(path) >= strlen(name));
		assert_string_equal(path + strlen(path) - strlen(name), name);
		compared++;
	}
	return compared;
}

static void check_fixture(const char *name)
{
	char path[FIXTURE_PATH_MAX];
	int fd = open(fixture_path(name, path), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	Dwarf *dwarf = dwarf_begin(fd, DWARF_C_READ);
	assert_non_null(dwarf);
	struct line_sections sections;
	line_sections_init(&sections, dwarf_getelf(dwarf));
	size_t header_size, compared = 0;
	Dwarf_Off offset = 0, next;
	for (; dwarf_nextcu(dwarf, offset, &next, &header_size, NULL, NULL, NULL) == 0;
	     offset = next) {
		Dwarf_Die unit;
		Dwarf_Attribute attribute;
		Dwarf_Word program_at;
		struct line_table table;
		assert_non_null(dwarf_offdie(dwarf, offset + header_size, &unit));
		if (!dwarf_attr(&unit, DW_AT_stmt_list, &attribute))
			continue;
		assert_int_equal(dwarf_formudata(&attribute, &program_at), 0);
		assert_int_equal(line_table_read(&table, &sections, program_at, &anywhere), 0);
		compared += compare_unit(&table, &unit);
		line_table_deinit(&table);
	}
	assert_true(compared > 4);
	line_sections_deinit(&sections);
	dwarf_end(dwarf);
	close(fd);
}

static void test_line_table__agrees_with_libdw(void **state)
{
	(void)state;
	fixture_each(CHAIN_MATRIX, check_fixture);
	fixture_each(TEMPLATES_MATRIX, check_fixture);
	fixture_each(SWEEP_MATRIX, check_fixture);
}

/* Questions go to and fro between units, and there is room for one: none is too many. */
static void test_line_table__units_are_read_as_often_as_they_are_asked_for(void **state)
{
	enum { ROUNDS = 100, RANGES = 64 };
	const struct temp_dir *dir = *state;
	const char *path = temp_dir_file(*state, "both");
	/* the unlikely part of a function is elsewhere: it has a list of ranges */
	fixture_run("cd %s && for name in one two; do printf '%%s\\n' "
		    "'__attribute__((cold)) void bad_'$name'(int);' 'volatile int seen_'$name';' "
		    "'int '$name'(int x) { if (x == 7) { bad_'$name'(x); seen_'$name' = 1; }"
		    " return x + 3; }' > $name.c; done && "
		    "gcc -g -O2 -shared -fPIC one.c two.c -o both",
		    dir->path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	Dwarf *dwarf = dwarf_begin(fd, DWARF_C_READ);
	struct dwarf_units units;
	size_t asked = 0;
	assert_non_null(dwarf);
	assert_int_equal(dwarf_units_init(&units, dwarf, path, NULL, &anywhere, RANGES), 0);
	units.max_bytes = 1;
	for (size_t i = 0; i < ROUNDS * units.n; i++) {
		struct dwarf_unit *unit;
		struct dwarf_function *function;
		const struct line_row *row;
		Dwarf_Addr base, start, end;
		if (dwarf_ranges(&units.units[i % units.n].die, 0, &base, &start, &end) <= 0)
			continue;
		assert_int_equal(dwarf_units_find(&units, start, &unit, &function), 0);
		assert_non_null(unit);
		assert_non_null(function);
		assert_int_equal(dwarf_units_line(&units, unit, start, &row), 0);
		assert_non_null(row);
		asked++;
	}
	assert_true(asked >= (size_t)2 * ROUNDS);
	assert_int_equal(dwarf_units_damage(&units), 0);
	dwarf_units_deinit(&units);
	dwarf_end(dwarf);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_table__rows_by_hand),
		cmocka_unit_test(test_line_table__code_that_is_not_there_has_no_rows),
		cmocka_unit_test(test_line_table__cut_or_changed_anywhere_it_ends),
		cmocka_unit_test(test_line_table__programs_are_run_within_a_budget),
		cmocka_unit_test(test_line_table__one_long_string_is_not_measured_for_each_name),
		cmocka_unit_test(test_line_table__agrees_with_libdw),
		cmocka_unit_test_setup_teardown(
			test_line_table__units_are_read_as_often_as_they_are_asked_for,
			temp_dir_setup, temp_dir_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
