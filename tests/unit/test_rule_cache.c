#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/remote/rule_cache.h"

#include <errno.h>

static void add_function(struct rule_cache *cache, uint64_t avma, const uint8_t *rules, size_t n)
{
	struct rule_function *function = rule_cache_add_function(cache, avma);
	assert_non_null(function);
	function->avma_start = avma;
	function->avma_end = avma + n * 16;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rule_cache_add_row(cache, avma + i * 16, &rules[i], 1), 0);
}

static void test_rule_cache__rows_of_a_function(void **state)
{
	(void)state;
	struct rule_cache cache;
	uint32_t rule_id;
	assert_int_equal(rule_cache_init(&cache), 0);
	assert_null(rule_cache_function(&cache, 0x1000));
	add_function(&cache, 0x1000, (const uint8_t[]){7, 8, 7}, 3);
	add_function(&cache, 0x2000, (const uint8_t[]){8, 9}, 2);
	assert_int_equal(cache.n_rules, 3); /* each once */
	const struct rule_function *function = rule_cache_function(&cache, 0x1000);
	assert_non_null(function);
	for (uint64_t avma = 0x1000; avma < 0x1030; avma++) {
		assert_true(rule_cache_search(&cache, function, avma, &rule_id));
		assert_int_equal(cache.rules[rule_id].bytes[0], avma / 16 % 2 ? 8 : 7);
	}
	assert_false(rule_cache_search(&cache, function, 0xfff, &rule_id));
	assert_false(rule_cache_search(&cache, function, 0x1030, &rule_id));
	function = rule_cache_function(&cache, 0x2000);
	assert_true(rule_cache_search(&cache, function, 0x201f, &rule_id));
	assert_int_equal(cache.rules[rule_id].bytes[0], 9);
	rule_cache_deinit(&cache);
}

static void test_rule_cache__a_function_whose_rows_were_dropped(void **state)
{
	(void)state;
	struct rule_cache cache;
	uint32_t rule_id;
	assert_int_equal(rule_cache_init(&cache), 0);
	add_function(&cache, 0x1000, (const uint8_t[]){1, 2}, 2);
	rule_cache_drop_rows(&cache);
	add_function(&cache, 0x2000, (const uint8_t[]){3}, 1);
	assert_false(
		rule_cache_search(&cache, rule_cache_function(&cache, 0x1000), 0x1000, &rule_id));
	assert_true(
		rule_cache_search(&cache, rule_cache_function(&cache, 0x2000), 0x2000, &rule_id));
	assert_int_equal(cache.rules[rule_id].bytes[0], 3);
	rule_cache_deinit(&cache);
}

static void test_rule_cache__a_function_without_rows_in_an_empty_cache(void **state)
{
	(void)state;
	struct rule_cache cache;
	uint32_t rule_id;
	assert_int_equal(rule_cache_init(&cache), 0);
	add_function(&cache, 0x1000, NULL, 0);
	/* holds an address all the same; damaged information has such ones */
	struct rule_function *function = &cache.functions[0];
	function->avma_end = 0x1010;
	assert_false(rule_cache_search(&cache, function, 0x1000, &rule_id));
	rule_cache_deinit(&cache);
}

static void test_rule_cache__memory_is_bounded(void **state)
{
	(void)state;
	struct rule_cache cache;
	uint32_t rule_id;
	assert_int_equal(rule_cache_init(&cache), 0);
	/* every function with a rule that no other one has */
	for (uint32_t i = 0; i < 3 * RULE_CACHE_RULES; i++) {
		const uint64_t avma = 0x1000 + (uint64_t)i * 16;
		struct rule_function *function = rule_cache_add_function(&cache, avma);
		assert_non_null(function);
		function->avma_start = avma;
		function->avma_end = avma + 16;
		assert_int_equal(rule_cache_add_row(&cache, avma, &i, sizeof(i)), 0);
		assert_true(rule_cache_search(&cache, rule_cache_function(&cache, avma), avma,
					      &rule_id));
		assert_memory_equal(cache.rules[rule_id].bytes, &i, sizeof(i));
		assert_true(cache.n_rules <= RULE_CACHE_RULES);
	}
	/* one function with more rules than there is room for */
	assert_non_null(rule_cache_add_function(&cache, 1));
	int ret = 0;
	for (uint32_t i = 1U << 31; ret == 0; i++)
		ret = rule_cache_add_row(&cache, 0, &i, sizeof(i));
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(cache.n_rules, RULE_CACHE_RULES);
	rule_cache_deinit(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule_cache__rows_of_a_function),
		cmocka_unit_test(test_rule_cache__a_function_whose_rows_were_dropped),
		cmocka_unit_test(test_rule_cache__a_function_without_rows_in_an_empty_cache),
		cmocka_unit_test(test_rule_cache__memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
