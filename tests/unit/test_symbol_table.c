#include "symbolizer/symbol_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct symbol_table table;

static int setup(void **state)
{
	(void)state;
	symbol_table_init(&table);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	symbol_table_deinit(&table);
	return 0;
}

static void add(const char *name, uint64_t start, uint64_t end, bool sized, uint32_t rank)
{
	const struct symbol symbol = {
		.start = start, .end = end, .name = name, .rank = rank, .sized = sized};
	assert_int_equal(symbol_table_add(&table, &symbol), 0);
}

static void seal(void)
{
	assert_int_equal(symbol_table_seal(&table), 0);
}

static void expect(uint64_t address, const char *name)
{
	const struct symbol *found = symbol_table_find(&table, address);
	if (!name) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found->name, name);
}

static void test_symbol_table__empty_finds_nothing(void **state)
{
	(void)state;
	seal();
	expect(0, NULL);
	expect(UINT64_MAX, NULL);
}

static void test_symbol_table__sized_symbols_cover_exactly_their_size(void **state)
{
	(void)state;
	add("b", 0x200, 0x210, true, 0);
	add("a", 0x100, 0x180, true, 0);
	seal();
	expect(0xff, NULL);
	expect(0x100, "a");
	expect(0x17f, "a");
	expect(0x180, NULL);
	expect(0x200, "b");
	expect(0x20f, "b");
	expect(0x210, NULL);
}

static void test_symbol_table__outer_symbol_shows_again_behind_an_inner_one(void **state)
{
	(void)state;
	add("outer", 0x100, 0x200, true, 0);
	add("inner", 0x140, 0x150, true, 0);
	add("innermost", 0x144, 0x148, true, 0);
	add("across", 0x1f0, 0x220, true, 0);
	seal();
	expect(0x13f, "outer");
	expect(0x140, "inner");
	expect(0x144, "innermost");
	expect(0x148, "inner");
	expect(0x150, "outer");
	expect(0x1f0, "across");
	expect(0x21f, "across");
	expect(0x220, NULL);
}

static void test_symbol_table__unsized_reach_to_the_next_symbol_or_their_limit(void **state)
{
	(void)state;
	add("first", 0x100, 0x1000, false, 0);
	add("second", 0x180, 0x1000, false, 0);
	add("sized", 0x200, 0x280, true, 0);
	add("label_inside", 0x240, 0x1000, false, 9);
	add("label_at_start", 0x200, 0x1000, false, 9);
	add("third", 0x300, 0x400, false, 0);
	seal();
	expect(0x17f, "first");
	expect(0x1ff, "second");
	expect(0x200, "sized");
	expect(0x27f, "sized");
	expect(0x280, NULL);
	expect(0x3ff, "third");
	expect(0x400, NULL);
}

static void test_symbol_table__of_aliases_the_best_ranked_and_plainest_is_shown(void **state)
{
	(void)state;
	add("__libc_write", 0x100, 0x110, true, 2);
	add("write", 0x100, 0x110, true, 2);
	add("__write", 0x100, 0x110, true, 2);
	add("w", 0x100, 0x110, true, 1);
	add("read@@GLIBC_2.2.5", 0x200, 0x210, true, 2);
	add("__read", 0x200, 0x210, true, 2);
	add("longer", 0x300, 0x340, true, 1);
	add("shorter", 0x300, 0x320, true, 2);
	seal();
	expect(0x100, "write");
	expect(0x200, "__read");
	expect(0x31f, "shorter");
	expect(0x320, "longer");
}

static void test_symbol_table__newest_wins_wherever_ranges_overlap(void **state)
{
	(void)state;
	table.newest_wins = true;
	add("old_inner", 0x140, 0x150, true, 1);
	add("old_tail", 0x1f0, 0x240, true, 2);
	add("new", 0x100, 0x200, true, 3);
	add("newest", 0x180, 0x190, true, 4);
	seal();
	expect(0x145, "new");
	expect(0x185, "newest");
	expect(0x190, "new");
	expect(0x1ff, "new");
	expect(0x200, "old_tail");
}

static void test_symbol_table__agrees_with_a_plain_scan_on_random_symbols(void **state)
{
	(void)state;
	enum { N = 300, SPACE = 2000 };
	static char names[N][8];
	for (int newest = 0; newest < 2; newest++) {
		table.newest_wins = newest;
		struct symbol all[N];
		srandom(7);
		for (int i = 0; i < N; i++) {
			uint64_t start = (uint64_t)random() % SPACE;
			snprintf(names[i], sizeof(names[i]), "s%d", i);
			all[i] = (struct symbol){.start = start,
						 .end = start + 1 + (uint64_t)random() % 60,
						 .name = names[i],
						 .rank = (uint32_t)i,
						 .sized = true};
			assert_int_equal(symbol_table_add(&table, &all[i]), 0);
		}
		assert_int_equal(symbol_table_seal(&table), 0);
		for (uint64_t address = 0; address < SPACE + 100; address++) {
			const struct symbol *best = NULL;
			for (int i = 0; i < N; i++) {
				if (all[i].start > address || all[i].end <= address)
					continue;
				if (!best || newest || all[i].start >= best->start)
					best = &all[i];
			}
			expect(address, best ? best->name : NULL);
		}
		symbol_table_deinit(&table);
		symbol_table_init(&table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_symbol_table__empty_finds_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_table__sized_symbols_cover_exactly_their_size, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_table__outer_symbol_shows_again_behind_an_inner_one, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_table__unsized_reach_to_the_next_symbol_or_their_limit, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_table__of_aliases_the_best_ranked_and_plainest_is_shown, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_table__newest_wins_wherever_ranges_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_table__agrees_with_a_plain_scan_on_random_symbols, setup,
			teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
