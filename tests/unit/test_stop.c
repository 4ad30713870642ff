#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/stop.h"

#include <string.h>

static void test_stop__names_are_the_contract_with_files(void **state)
{
	(void)state;
	assert_string_equal(cp_stop_name(CP_STOP_END), "end");
	assert_string_equal(cp_stop_name(CP_STOP_TRUNCATED), "truncated");
	assert_string_equal(cp_stop_name(CP_STOP_NO_MAP), "no_map");
	assert_string_equal(cp_stop_name(CP_STOP_NO_CFI), "no_cfi");
	assert_string_equal(cp_stop_name(CP_STOP_UNSUPPORTED), "unsupported");
	assert_string_equal(cp_stop_name(CP_STOP_SP_BACKWARDS), "sp_backwards");
	assert_string_equal(cp_stop_name(CP_STOP_BAD_RA), "bad_ra");
	assert_string_equal(cp_stop_name(CP_STOP_DEPTH), "depth");
	assert_string_equal(cp_stop_name(CP_STOP_NO_USER), "no_user");
	assert_string_equal(cp_stop_name(CP_STOP_UNSEEN), "unseen");
}

static void test_stop__every_name_is_parsed_back(void **state)
{
	(void)state;
	for (int i = 0; i < CP_STOP_COUNT; i++) {
		enum cp_stop stop = CP_STOP_COUNT;
		assert_true(cp_stop_parse(cp_stop_name((enum cp_stop)i), &stop));
		assert_int_equal(stop, i);
		assert_true(strlen(cp_stop_advice((enum cp_stop)i)) > 0);
	}
	enum cp_stop stop = CP_STOP_DEPTH;
	assert_false(cp_stop_parse("", &stop));
	assert_false(cp_stop_parse("END", &stop));
	assert_false(cp_stop_parse("end ", &stop));
	assert_int_equal(stop, CP_STOP_DEPTH);
}

static void test_stop__only_whole_stacks_are_complete(void **state)
{
	(void)state;
	for (int i = 0; i < CP_STOP_COUNT; i++)
		assert_int_equal(cp_stop_is_complete((enum cp_stop)i),
				 i == CP_STOP_END || i == CP_STOP_NO_USER);
}

static void test_stop__a_root_is_there_also_without_the_middle(void **state)
{
	(void)state;
	for (int i = 0; i < CP_STOP_COUNT; i++)
		assert_int_equal(cp_stop_has_root((enum cp_stop)i),
				 cp_stop_is_complete((enum cp_stop)i) || i == CP_STOP_DEPTH);
}

static void test_stop__names_of_joins_are_parsed_back(void **state)
{
	(void)state;
	assert_string_equal(cp_joined_name(CP_JOINED_NO), "no");
	assert_string_equal(cp_joined_name(CP_JOINED_MEMORY), "memory");
	assert_string_equal(cp_joined_name(CP_JOINED_CALLCHAIN), "callchain");
	assert_string_equal(cp_joined_name(CP_JOINED_FRAME_POINTERS), "frame_pointers");
	for (int i = 0; i < CP_JOINED_COUNT; i++) {
		enum cp_joined joined = CP_JOINED_COUNT;
		assert_true(cp_joined_parse(cp_joined_name((enum cp_joined)i), &joined));
		assert_int_equal(joined, i);
	}
	enum cp_joined joined = CP_JOINED_MEMORY;
	assert_false(cp_joined_parse("", &joined));
	assert_false(cp_joined_parse("Memory", &joined));
	assert_int_equal(joined, CP_JOINED_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop__names_are_the_contract_with_files),
		cmocka_unit_test(test_stop__every_name_is_parsed_back),
		cmocka_unit_test(test_stop__only_whole_stacks_are_complete),
		cmocka_unit_test(test_stop__a_root_is_there_also_without_the_middle),
		cmocka_unit_test(test_stop__names_of_joins_are_parsed_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
