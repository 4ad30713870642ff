#include "cli/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_suggest__distance_counts_each_kind_of_edit_once(void **state)
{
	(void)state;
	assert_int_equal(suggest_distance("report", "report"), 0);
	assert_int_equal(suggest_distance("report", "repot"), 1);   /* deleted */
	assert_int_equal(suggest_distance("report", "reportt"), 1); /* inserted */
	assert_int_equal(suggest_distance("report", "repart"), 1);  /* replaced */
	assert_int_equal(suggest_distance("report", "reprot"), 1);  /* swapped */
	assert_int_equal(suggest_distance("", "abc"), 3);
	assert_int_equal(suggest_distance("kitten", "sitting"), 3);
}

static void test_suggest__words_beyond_the_limit_are_cut_not_overrun(void **state)
{
	(void)state;
	char longer[200], shorter[200];
	for (size_t i = 0; i < sizeof(longer) - 1; i++)
		longer[i] = shorter[i] = 'a';
	longer[199] = '\0';
	shorter[100] = '\0';
	assert_int_equal(suggest_distance(longer, shorter), 0);
}

static void test_suggest__nearest_of_several_wins_whatever_the_order(void **state)
{
	(void)state;
	const char *best = suggest_nearer("recrod", "record", NULL);
	assert_string_equal(best, "record");
	assert_string_equal(suggest_nearer("recrod", "report", best), "record");
	best = suggest_nearer("no-kernal", "no-kernel",
			      suggest_nearer("no-kernal", "no-inherit", NULL));
	assert_string_equal(best, "no-kernel");
}

static void test_suggest__a_prefix_is_near_and_a_stranger_is_not(void **state)
{
	(void)state;
	assert_string_equal(suggest_nearer("flame", "flamegraph", NULL), "flamegraph");
	assert_null(suggest_nearer("fl", "flamegraph", NULL));
	assert_null(suggest_nearer("banana", "report", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suggest__distance_counts_each_kind_of_edit_once),
		cmocka_unit_test(test_suggest__words_beyond_the_limit_are_cut_not_overrun),
		cmocka_unit_test(test_suggest__nearest_of_several_wins_whatever_the_order),
		cmocka_unit_test(test_suggest__a_prefix_is_near_and_a_stranger_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
