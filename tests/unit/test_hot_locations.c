#include "symbolizer/hot_locations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/profile_builder.h"

static void add_sample(struct profile *profile, const location_id *frames, size_t n, int64_t count)
{
	struct profile_sample_key key = {.time_ns = -1};
	const int64_t values[] = {count, count * BUILD_PERIOD_NS};
	assert_int_equal(stack_store_intern(&profile->stacks, frames, n, &key.stack), 0);
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
}

static void test_hot_locations__the_fewest_that_hold_the_share(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id module = build_module(profile, "/bin/program", false);
	location_id root = build_bare(profile, module), hot = build_bare(profile, module);
	location_id warm = build_bare(profile, module), cold = build_bare(profile, module);
	location_id unused = build_bare(profile, module);
	/* frames: root 100, hot 60, warm 30, cold 10 */
	add_sample(profile, (location_id[]){hot, root}, 2, 60);
	add_sample(profile, (location_id[]){warm, root}, 2, 30);
	add_sample(profile, (location_id[]){cold, root}, 2, 10);
	const struct {
		double pct;
		bool root, hot, warm, cold;
	} cases[] = {
		{50, true, false, false, false}, {51, true, true, false, false},
		{80, true, true, false, false},  {81, true, true, true, false},
		{95, true, true, true, false},   {96, true, true, true, true},
		{100, true, true, true, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool *found;
		assert_int_equal(hot_locations_find(profile, cases[i].pct, &found), 0);
		assert_int_equal(found[root.v], cases[i].root);
		assert_int_equal(found[hot.v], cases[i].hot);
		assert_int_equal(found[warm.v], cases[i].warm);
		assert_int_equal(found[cold.v], cases[i].cold);
		assert_false(found[unused.v]);
		free(found);
	}
	profile_destroy(profile);
}

static void test_hot_locations__nothing_is_hot_without_samples(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	bool *found;
	location_id location = build_bare(profile, build_module(profile, "/bin/program", false));
	assert_int_equal(hot_locations_find(profile, 90, &found), 0);
	assert_false(found[location.v]);
	free(found);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hot_locations__the_fewest_that_hold_the_share),
		cmocka_unit_test(test_hot_locations__nothing_is_hot_without_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
