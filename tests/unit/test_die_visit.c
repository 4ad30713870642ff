#include "symbolizer/die_visit.h"

#include "symbolizer_fixtures/fixtures.h"

#include <dwarf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What entries are passed over in a visit; all that both ways must agree on. */
enum way { WHOLE, TOP, FUNCTIONS };

static bool descends(enum way way, const struct die_entry *entry)
{
	return way == WHOLE || entry->depth == 0 ||
	       (way == FUNCTIONS && entry->tag != DW_TAG_subprogram);
}

static uint64_t number(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute found;
	Dwarf_Word value = 0;
	if (dwarf_attr(die, attribute, &found))
		assert_int_equal(dwarf_formudata(&found, &value), 0);
	return value;
}

static void expect_same_code(Dwarf_Die *die, const struct die_entry *entry)
{
	Dwarf_Addr low, high, base;
	if (entry->tag != DW_TAG_subprogram && entry->tag != DW_TAG_inlined_subroutine)
		return;
	assert_int_equal(entry->call_file, number(die, DW_AT_call_file));
	assert_int_equal(entry->call_line, number(die, DW_AT_call_line));
	bool has_code = dwarf_hasattr(die, DW_AT_low_pc) || dwarf_hasattr(die, DW_AT_ranges);
	assert_int_equal(entry->has_code, has_code);
	if (!entry->has_bounds)
		return;
	ptrdiff_t next = dwarf_ranges(die, 0, &base, &low, &high);
	if (next <= 0) { /* an empty one is none to libdw */
		assert_true(entry->low == entry->high);
		return;
	}
	assert_int_equal(entry->low, low);
	assert_int_equal(entry->high, high);
	assert_true(dwarf_ranges(die, next, &base, &low, &high) <= 0);
}

/* Both ways at once. Return: the entries. */
static size_t compare_unit(struct die_tables *tables, const struct die_unit *unit,
			   const Dwarf_Die *root, enum way way)
{
	struct die_tables none = {.dwarf = NULL};
	struct die_visit *quick = malloc(sizeof(*quick)), *slow = malloc(sizeof(*slow));
	size_t n = 0;
	bool descend = true;
	assert_non_null(quick);
	assert_non_null(slow);
	die_visit_init(quick, tables, unit, root);
	die_visit_init(slow, &none, unit, root);
	assert_true(quick->quick);
	assert_false(slow->quick);
	while (die_visit_next(slow, descend)) {
		const struct die_entry *a = &quick->current, *b = &slow->current;
		assert_true(die_visit_next(quick, descend));
		assert_ptr_equal(a->addr, b->addr);
		assert_int_equal(a->tag, b->tag);
		assert_int_equal(a->depth, b->depth);
		assert_int_equal(a->has_children, b->has_children);
		expect_same_code(&slow->die, a);
		descend = descends(way, b);
		n++;
	}
	assert_false(die_visit_next(quick, descend));
	free(quick);
	free(slow);
	return n;
}

static size_t compare_file(const char *path, enum way way)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	Dwarf *dwarf = dwarf_begin(fd, DWARF_C_READ);
	assert_non_null(dwarf);
	struct die_tables tables;
	die_tables_init(&tables, dwarf);
	size_t n = 0, header_size;
	Dwarf_Off offset = 0, next, abbrevs;
	Dwarf_Half version;
	uint8_t address_size, offset_size;
	for (; dwarf_next_unit(dwarf, offset, &next, &header_size, &version, &abbrevs,
			       &address_size, &offset_size, NULL, NULL) == 0;
	     offset = next) {
		Dwarf_Die root;
		assert_non_null(dwarf_offdie(dwarf, offset + header_size, &root));
		const uint8_t *start = (const uint8_t *)root.addr - header_size;
		const struct die_unit unit = {.dwarf = dwarf,
					      .start = start,
					      .end = start + (next - offset),
					      .abbrev_offset = abbrevs,
					      .format = {.version = version,
							 .address_size = address_size,
							 .offset_size = offset_size}};
		n += compare_unit(&tables, &unit, &root, way);
	}
	die_tables_deinit(&tables);
	dwarf_end(dwarf);
	close(fd);
	return n;
}

static void check_fixture(const char *name)
{
	char path[FIXTURE_PATH_MAX];
	fixture_path(name, path);
	size_t whole = compare_file(path, WHOLE);
	size_t top = compare_file(path, TOP);
	size_t functions = compare_file(path, FUNCTIONS);
	assert_true(top > 2);
	assert_true(functions >= top);
	assert_true(whole >= functions);
}

static void test_die_visit__quickly_and_through_libdw_it_is_the_same(void **state)
{
	(void)state;
	fixture_each(CHAIN_MATRIX, check_fixture);
	fixture_each(TEMPLATES_MATRIX, check_fixture);
	fixture_each(SWEEP_MATRIX, check_fixture);
}

/* An abbreviation table and entries by hand; the unit's header is not looked at. */
static const uint8_t abbrevs_bytes[] = {
	1,
	DW_TAG_compile_unit,
	1,
	0,
	0, /* has children */
	2,
	DW_TAG_variable,
	0,
	DW_AT_name,
	DW_FORM_string,
	0,
	0, /* "x" */
	3,
	DW_TAG_structure_type,
	1,
	DW_AT_sibling,
	DW_FORM_ref1,
	0,
	0,
	4,
	DW_TAG_subprogram,
	0,
	DW_AT_low_pc,
	DW_FORM_data4,
	DW_AT_high_pc,
	DW_FORM_udata,
	0,
	0,
	0,
};
static const struct elf_bytes abbrevs_section = {.bytes = abbrevs_bytes,
						 .n = sizeof(abbrevs_bytes)};
static const struct die_format format = {.version = 4, .address_size = 8, .offset_size = 4};

static size_t count_entries(const uint8_t *bytes, size_t n, bool descend, bool *failed)
{
	struct die_abbrevs abbrevs = {.n = 0};
	struct die_scan scan;
	struct die_entry entry;
	uint64_t budget = 1000;
	size_t entries = 0;
	assert_int_equal(die_abbrevs_read(&abbrevs, &abbrevs_section, 0, format, &budget), 0);
	die_scan_init(&scan, &abbrevs, bytes, bytes, bytes + n, &entry);
	while (die_scan_next(&scan, descend || scan.depth == 0))
		entries++;
	*failed = scan.cursor.failed;
	die_abbrevs_deinit(&abbrevs);
	return entries;
}

static void test_die_visit__siblings_only_lead_forwards(void **state)
{
	(void)state;
	bool failed;
	/* a structure whose sibling is stated: at 6, behind its child and the end of its list */
	const uint8_t sound[] = {1, 3, 6, 2, 0, 0, 2, 'x', 0, 0};
	assert_int_equal(count_entries(sound, sizeof(sound), false, &failed), 3);
	assert_false(failed);
	assert_int_equal(count_entries(sound, sizeof(sound), true, &failed), 4);
	assert_false(failed);
	/* one that says it is its own sibling, or lies beyond the unit: its children are passed */
	for (size_t i = 0; i < 2; i++) {
		uint8_t odd[sizeof(sound)];
		memcpy(odd, sound, sizeof(odd));
		odd[2] = i == 0 ? 1 : 200;
		assert_int_equal(count_entries(odd, sizeof(odd), false, &failed), 3);
		assert_false(failed);
	}
}

static void test_die_visit__cut_anywhere_it_ends(void **state)
{
	(void)state;
	const uint8_t sound[] = {1, 3, 6, 2, 0, 0, 2, 'x', 0, 4, 1, 2, 3, 4, 0x85, 0x01, 0};
	bool failed;
	assert_int_equal(count_entries(sound, sizeof(sound), true, &failed), 5);
	for (size_t n = 0; n < sizeof(sound); n++) {
		uint8_t *copy = malloc(n + 1); /* so that a byte too far is noticed */
		memcpy(copy, sound, n);
		assert_true(count_entries(copy, n, true, &failed) <= 5);
		assert_true(count_entries(copy, n, false, &failed) <= 5);
		free(copy);
	}
}

static void test_die_visit__unknown_abbreviations_end_the_unit(void **state)
{
	(void)state;
	const uint8_t bytes[] = {1, 9, 2, 'x', 0, 0};
	bool failed;
	assert_int_equal(count_entries(bytes, sizeof(bytes), true, &failed), 1);
	assert_true(failed);
}

static void test_die_visit__damaged_tables_are_left_to_libdw(void **state)
{
	(void)state;
	struct die_abbrevs table = {.n = 0};
	for (size_t n = 0; n < sizeof(abbrevs_bytes); n++) {
		uint64_t budget = 1000;
		uint8_t *copy = malloc(n + 1);
		memcpy(copy, abbrevs_bytes, n);
		const struct elf_bytes section = {.bytes = copy, .n = n};
		assert_int_equal(die_abbrevs_read(&table, &section, 0, format, &budget), -EINVAL);
		free(copy);
	}
	/* a form that nobody knows; a code that would take gigabytes */
	const uint8_t unknown[] = {1, DW_TAG_compile_unit, 0, DW_AT_name, 0x7e, 0, 0, 0};
	const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x0f, DW_TAG_compile_unit, 0, 0, 0, 0};
	const struct elf_bytes sections[] = {{unknown, sizeof(unknown)}, {huge, sizeof(huge)}};
	for (size_t i = 0; i < 2; i++) {
		uint64_t budget = 1000;
		assert_int_equal(die_abbrevs_read(&table, &sections[i], 0, format, &budget),
				 -EINVAL);
	}
	uint64_t budget = 10;
	assert_int_equal(die_abbrevs_read(&table, &abbrevs_section, 0, format, &budget), -EINVAL);
	assert_int_equal(budget, 0);
	die_abbrevs_deinit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_die_visit__quickly_and_through_libdw_it_is_the_same),
		cmocka_unit_test(test_die_visit__siblings_only_lead_forwards),
		cmocka_unit_test(test_die_visit__cut_anywhere_it_ends),
		cmocka_unit_test(test_die_visit__unknown_abbreviations_end_the_unit),
		cmocka_unit_test(test_die_visit__damaged_tables_are_left_to_libdw),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
