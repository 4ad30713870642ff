#include "symbolizer/range_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_range_table__finds_containing_ranges_last_start_first(void **state)
{
	(void)state;
	struct range_table table = {0};
	uint32_t ids[4];
	assert_int_equal(range_table_add(&table, 0x100, 0x200, 1), 0);
	assert_int_equal(range_table_add(&table, 0x150, 0x160, 2), 0);
	assert_int_equal(range_table_add(&table, 0x100, 0x158, 3), 0);
	assert_int_equal(range_table_add(&table, 0x300, 0x300, 4), 0); /* empty */
	range_table_seal(&table);
	assert_int_equal(range_table_find(&table, 0x155, ids, 4), 3);
	assert_int_equal(ids[0], 2);
	assert_int_equal(ids[1], 3);
	assert_int_equal(ids[2], 1);
	assert_int_equal(range_table_find(&table, 0x1ff, ids, 4), 1);
	assert_int_equal(ids[0], 1);
	assert_int_equal(range_table_find(&table, 0x155, ids, 1), 1);
	assert_int_equal(ids[0], 2);
	assert_int_equal(range_table_find(&table, 0xff, ids, 4), 0);
	assert_int_equal(range_table_find(&table, 0x200, ids, 4), 0);
	assert_int_equal(range_table_find(&table, 0x300, ids, 4), 0);
	range_table_deinit(&table);
}

static void test_range_table__empty_finds_nothing(void **state)
{
	(void)state;
	struct range_table table = {0};
	uint32_t id;
	range_table_seal(&table);
	assert_int_equal(range_table_find(&table, 1, &id, 1), 0);
	range_table_deinit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_table__finds_containing_ranges_last_start_first),
		cmocka_unit_test(test_range_table__empty_finds_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
