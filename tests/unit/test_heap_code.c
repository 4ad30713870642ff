#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "heap_shim/code.h"
#include "heap_shim/rule_cache.h"

static uint64_t address_of(const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);
	assert_non_null(found);
	return (uint64_t)(uintptr_t)found;
}

static void test_code__finds_the_object_of_an_address(void **state)
{
	(void)state;
	struct code_object object;
	Dl_info info;
	const uint64_t at = address_of("qsort");
	assert_true(code_find(at, &object));
	assert_true(at >= object.start && at < object.end);
	assert_int_not_equal(dladdr((void *)(uintptr_t)at, &info), 0);
	assert_string_equal(object.name, info.dli_fname);
	assert_int_equal(object.start, (uint64_t)(uintptr_t)info.dli_fbase);
	assert_false(code_find(0x10, &object));
}

/* At a function's first instruction the return address lies on top, whatever the compiler does. */
static void test_code__entry_of_a_function(void **state)
{
	(void)state;
	const char *const names[] = {"qsort", "malloc", "printf", "getenv", "pthread_create"};
	for (unsigned i = 0; i < 5; i++) {
		const cfi_rule rule = code_rule(address_of(names[i]));
		assert_int_equal(cfi_rule_kind(rule), CFI_RSP);
		assert_int_equal(cfi_rule_offset(rule), 8);
		assert_int_equal(cfi_rule_rbp(rule), CFI_RBP_SAME);
	}
}

static void test_code__nothing_outside_of_code(void **state)
{
	(void)state;
	char here;
	assert_int_equal(code_rule((uint64_t)(uintptr_t)&here), CFI_NONE);
	assert_int_equal(code_rule(0), CFI_NONE);
	assert_int_equal(code_rule(UINT64_MAX), CFI_NONE);
}

static void test_rule_cache__answers_as_the_code_does(void **state)
{
	(void)state;
	struct rule_cache *cache = calloc(1, sizeof(*cache));
	assert_non_null(cache);
	const uint64_t start = address_of("qsort");
	for (int round = 0; round < 2; round++) {
		for (uint64_t at = start; at < start + 20000; at++)
			assert_int_equal(rule_cache_get(cache, at), code_rule(at));
	}
	/* no rule is kept as such, too */
	assert_int_equal(rule_cache_get(cache, 0x10), CFI_NONE);
	assert_int_equal(rule_cache_get(cache, 0x10), CFI_NONE);
	assert_int_equal(rule_cache_get(cache, UINT64_C(1) << 60), CFI_NONE);
	rule_cache_clear(cache);
	for (unsigned i = 0; i < RULE_CACHE_SLOTS; i++)
		assert_int_equal(cache->slots[i], 0);
	free(cache);
}

/* Two addresses never pass for each other: the slot and what is kept of them tell all. */
static void test_rule_cache__mixing_is_a_bijection(void **state)
{
	(void)state;
	const uint64_t inverse_steps = 6;
	uint64_t inverse = 1;
	for (uint64_t i = 0; i < inverse_steps; i++)
		inverse *= 2 - UINT64_C(0x5bd1e9955bd1e995) * inverse;
	for (uint64_t at = 0x1000; at < UINT64_C(1) << 47; at = at * 3 + 1) {
		const uint64_t mixed = rule_cache_mix(at);
		assert_true(mixed < UINT64_C(1) << 47);
		assert_int_equal(mixed * inverse & ((UINT64_C(1) << 47) - 1), at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code__finds_the_object_of_an_address),
		cmocka_unit_test(test_code__entry_of_a_function),
		cmocka_unit_test(test_code__nothing_outside_of_code),
		cmocka_unit_test(test_rule_cache__answers_as_the_code_does),
		cmocka_unit_test(test_rule_cache__mixing_is_a_bijection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
