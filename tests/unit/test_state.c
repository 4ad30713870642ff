#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/state.h"

static void test_state__names_are_the_contract_with_files(void **state)
{
	(void)state;
	static const char *const names[CP_STATE_COUNT] = {
		"none", "running", "runnable",   "lock",    "io",   "sleep",
		"poll", "child",   "page_fault", "stopped", "wait",
	};
	for (int i = 0; i < CP_STATE_COUNT; i++)
		assert_string_equal(cp_state_name((enum cp_state)i), names[i]);
	assert_string_equal(cp_inferred_name(CP_INFERRED_NO), "no");
	assert_string_equal(cp_inferred_name(CP_INFERRED_FRAMES), "frames");
	assert_string_equal(cp_inferred_name(CP_INFERRED_WAIT), "wait");
}

static void test_state__every_name_is_parsed_back(void **state)
{
	(void)state;
	for (int i = 0; i < CP_STATE_COUNT; i++) {
		enum cp_state parsed = CP_STATE_COUNT;
		assert_true(cp_state_parse(cp_state_name((enum cp_state)i), &parsed));
		assert_int_equal(parsed, i);
		assert_true(cp_state_title((enum cp_state)i)[0]);
	}
	for (int i = 0; i < CP_INFERRED_COUNT; i++) {
		enum cp_inferred parsed = CP_INFERRED_COUNT;
		assert_true(cp_inferred_parse(cp_inferred_name((enum cp_inferred)i), &parsed));
		assert_int_equal(parsed, i);
	}
}

static void test_state__other_names_leave_the_output_alone(void **state)
{
	(void)state;
	enum cp_state parsed = CP_STATE_LOCK;
	assert_false(cp_state_parse("", &parsed));
	assert_false(cp_state_parse("Lock", &parsed));
	assert_int_equal(parsed, CP_STATE_LOCK);
	enum cp_inferred inferred = CP_INFERRED_WAIT;
	assert_false(cp_inferred_parse("", &inferred));
	assert_false(cp_inferred_parse("waits", &inferred));
	assert_int_equal(inferred, CP_INFERRED_WAIT);
}

static void test_state__only_what_waits_for_something_is_blocked(void **state)
{
	(void)state;
	assert_false(cp_state_is_blocked(CP_STATE_NONE));
	assert_false(cp_state_is_blocked(CP_STATE_RUNNING));
	assert_false(cp_state_is_blocked(CP_STATE_RUNNABLE));
	for (int i = CP_STATE_LOCK; i < CP_STATE_COUNT; i++)
		assert_true(cp_state_is_blocked((enum cp_state)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state__names_are_the_contract_with_files),
		cmocka_unit_test(test_state__every_name_is_parsed_back),
		cmocka_unit_test(test_state__other_names_leave_the_output_alone),
		cmocka_unit_test(test_state__only_what_waits_for_something_is_blocked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
