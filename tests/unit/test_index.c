#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/index.h"

#include <stdlib.h>
#include <string.h>

enum { N_MANY = 10000 };

static bool equals(const void *key, const void *owner, uint32_t id)
{
	return ((const uint64_t *)owner)[id] == *(const uint64_t *)key;
}

static uint32_t find(const struct cp_index *index, const uint64_t *items, uint64_t key)
{
	return cp_index_find(index, cp_hash_mix(key, 0), equals, &key, items);
}

static void test_index__empty_index_finds_nothing(void **state)
{
	(void)state;
	struct cp_index zero = {0};
	uint64_t items[1] = {0};
	assert_int_equal(find(&zero, items, 5), CP_INDEX_NONE);
	cp_index_clear(&zero);
	cp_index_deinit(&zero);
	cp_index_deinit(NULL);
}

static void test_index__every_element_is_found_after_growing(void **state)
{
	(void)state;
	static uint64_t items[N_MANY];
	struct cp_index index;
	cp_index_init(&index);
	for (uint32_t i = 0; i < N_MANY; i++) {
		items[i] = (uint64_t)i * 3;
		assert_int_equal(find(&index, items, items[i]), CP_INDEX_NONE);
		assert_int_equal(cp_index_add(&index, cp_hash_mix(items[i], 0), i), 0);
	}
	for (uint32_t i = 0; i < N_MANY; i++) {
		assert_int_equal(find(&index, items, (uint64_t)i * 3), i);
		assert_int_equal(find(&index, items, (uint64_t)i * 3 + 1), CP_INDEX_NONE);
	}
	cp_index_deinit(&index);
}

static void test_index__equal_hashes_are_told_apart_by_comparison(void **state)
{
	(void)state;
	uint64_t items[100];
	struct cp_index index;
	cp_index_init(&index);
	for (uint32_t i = 0; i < 100; i++) {
		items[i] = 1000 + i;
		assert_int_equal(cp_index_add(&index, 0, i), 0);
	}
	for (uint32_t i = 0; i < 100; i++) {
		uint64_t key = 1000 + i;
		assert_int_equal(cp_index_find(&index, 0, equals, &key, items), i);
	}
	uint64_t absent = 999;
	assert_int_equal(cp_index_find(&index, 0, equals, &absent, items), CP_INDEX_NONE);
	cp_index_deinit(&index);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Keys that collide in a hash that multiplies and adds known numbers, as murmur3's finaliser of a
 * linear sum does: its steps can be undone, so anybody can make as many as he likes. */
static void test_index__keys_cannot_be_made_to_collide(void **state)
{
	(void)state;
	static uint64_t hashes[N_MANY];
	for (uint64_t i = 0; i < N_MANY; i++)
		hashes[i] = cp_hash_mix(i, 12345 - i * 0x9e3779b97f4a7c15ULL) >> 32;
	qsort(hashes, N_MANY, sizeof(hashes[0]), by_value);
	size_t equal = 0;
	for (size_t i = 1; i < N_MANY; i++)
		equal += hashes[i] == hashes[i - 1];
	/* 10,000 numbers of 32 bits: 0.012 pairs are to be expected */
	assert_true(equal < 5);
}

static void test_index__clear_forgets_and_can_be_filled_again(void **state)
{
	(void)state;
	uint64_t items[2] = {7, 8};
	struct cp_index index;
	cp_index_init(&index);
	assert_int_equal(cp_index_add(&index, cp_hash_mix(7, 0), 0), 0);
	cp_index_clear(&index);
	assert_int_equal(find(&index, items, 7), CP_INDEX_NONE);
	assert_int_equal(cp_index_add(&index, cp_hash_mix(8, 0), 1), 0);
	assert_int_equal(find(&index, items, 8), 1);
	assert_int_equal(find(&index, items, 7), CP_INDEX_NONE);
	cp_index_deinit(&index);
}

static void test_index__hash_of_bytes_depends_on_every_byte_and_the_length(void **state)
{
	(void)state;
	char text[40];
	memset(text, 'a', sizeof(text));
	uint64_t whole = cp_hash_bytes(text, sizeof(text));
	assert_true(cp_hash_bytes(text, sizeof(text)) == whole);
	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] = 'b';
		assert_true(cp_hash_bytes(text, sizeof(text)) != whole);
		text[i] = 'a';
		assert_true(cp_hash_bytes(text, i) != whole);
	}
	/* trailing NULs are bytes too */
	assert_true(cp_hash_bytes("\0\0", 1) != cp_hash_bytes("\0\0", 2));
	assert_true(cp_hash_mix(1, 2) != cp_hash_mix(2, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_index__empty_index_finds_nothing),
		cmocka_unit_test(test_index__every_element_is_found_after_growing),
		cmocka_unit_test(test_index__equal_hashes_are_told_apart_by_comparison),
		cmocka_unit_test(test_index__keys_cannot_be_made_to_collide),
		cmocka_unit_test(test_index__clear_forgets_and_can_be_filled_again),
		cmocka_unit_test(test_index__hash_of_bytes_depends_on_every_byte_and_the_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
