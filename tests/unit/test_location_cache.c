#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/location_cache.h"

static void test_location_cache__gives_back_what_was_added(void **state)
{
	(void)state;
	struct location_cache cache;
	struct location_scope a = {0}, b = {0};
	location_id found = {77};
	assert_int_equal(location_cache_init(&cache), 0);
	assert_false(location_cache_find(&cache, &a, 1, 0x1000, &found));
	assert_int_equal(found.v, 77);
	location_cache_add(&cache, &a, 0x1000, (location_id){5});
	assert_true(location_cache_find(&cache, &a, 1, 0x1000, &found));
	assert_int_equal(found.v, 5);
	/* the same address of another process, and another one */
	assert_false(location_cache_find(&cache, &b, 1, 0x1000, &found));
	assert_false(location_cache_find(&cache, &a, 1, 0x1001, &found));
	location_cache_deinit(&cache);
}

static void test_location_cache__forgets_when_mappings_change(void **state)
{
	(void)state;
	struct location_cache cache;
	struct location_scope scope = {0};
	location_id found = {0};
	assert_int_equal(location_cache_init(&cache), 0);
	assert_false(location_cache_find(&cache, &scope, 1, 0x1000, &found));
	location_cache_add(&cache, &scope, 0x1000, (location_id){5});
	assert_false(location_cache_find(&cache, &scope, 2, 0x1000, &found));
	/* also when the number comes back: a process whose mappings were replaced begins anew */
	assert_false(location_cache_find(&cache, &scope, 1, 0x1000, &found));
	location_cache_deinit(&cache);
}

static void test_location_cache__what_collides_is_replaced_and_never_mixed_up(void **state)
{
	(void)state;
	enum { N = 4 * LOCATION_CACHE_SLOTS };
	struct location_cache cache;
	struct location_scope scope = {0};
	location_id found = {0};
	size_t n_found = 0;
	assert_int_equal(location_cache_init(&cache), 0);
	assert_false(location_cache_find(&cache, &scope, 1, 0, &found));
	for (uint32_t i = 0; i < N; i++)
		location_cache_add(&cache, &scope, 16 * i, (location_id){i});
	for (uint32_t i = 0; i < N; i++) {
		if (!location_cache_find(&cache, &scope, 1, 16 * i, &found))
			continue;
		assert_int_equal(found.v, i);
		n_found++;
	}
	assert_in_range(n_found, LOCATION_CACHE_SLOTS / 2, LOCATION_CACHE_SLOTS);
	location_cache_deinit(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_location_cache__gives_back_what_was_added),
		cmocka_unit_test(test_location_cache__forgets_when_mappings_change),
		cmocka_unit_test(test_location_cache__what_collides_is_replaced_and_never_mixed_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
