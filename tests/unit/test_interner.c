#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/interner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t add(struct interner *interner, const char *text)
{
	string_id id = {UINT32_MAX};
	assert_int_equal(interner_add(interner, text, &id), 0);
	return id.v;
}

static void test_interner__id_0_is_the_empty_string(void **state)
{
	(void)state;
	struct interner interner;
	assert_int_equal(interner_init(&interner), 0);
	assert_int_equal(interner.n, 1);
	assert_string_equal(interner_get(&interner, STRING_EMPTY), "");
	assert_int_equal(add(&interner, ""), 0);
	interner_deinit(&interner);
	interner_deinit(&interner);
	interner_deinit(NULL);
}

static void test_interner__ids_are_dense_in_order_of_first_appearance(void **state)
{
	(void)state;
	struct interner interner;
	assert_int_equal(interner_init(&interner), 0);
	assert_int_equal(add(&interner, "main"), 1);
	assert_int_equal(add(&interner, "work"), 2);
	assert_int_equal(add(&interner, "main"), 1);
	assert_int_equal(add(&interner, "wor"), 3);
	assert_int_equal(interner.n, 4);
	assert_string_equal(interner_get(&interner, (string_id){3}), "wor");
	assert_int_equal(interner.lengths[2], 4);
	interner_deinit(&interner);
}

static void test_interner__bytes_need_no_terminator(void **state)
{
	(void)state;
	struct interner interner;
	string_id id;
	assert_int_equal(interner_init(&interner), 0);
	assert_int_equal(interner_add_bytes(&interner, "mainframe", 4, &id), 0);
	assert_string_equal(interner_get(&interner, id), "main");
	assert_int_equal(add(&interner, "main"), id.v);
	interner_deinit(&interner);
}

static void test_interner__strings_stay_where_they_are(void **state)
{
	(void)state;
	struct interner interner;
	assert_int_equal(interner_init(&interner), 0);
	add(&interner, "first");
	const char *first = interner_get(&interner, (string_id){1});
	char text[32];
	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "string number %d", i);
		assert_int_equal(add(&interner, text), 2 + i);
	}
	assert_ptr_equal(interner_get(&interner, (string_id){1}), first);
	assert_string_equal(first, "first");
	assert_string_equal(interner_get(&interner, (string_id){2 + 12345}), "string number 12345");
	interner_deinit(&interner);
}

static void test_interner__a_string_larger_than_a_block_fits(void **state)
{
	(void)state;
	struct interner interner;
	size_t n = 300000;
	char *text = malloc(n + 1);
	assert_non_null(text);
	memset(text, 'x', n);
	text[n] = '\0';
	assert_int_equal(interner_init(&interner), 0);
	add(&interner, "before");
	assert_int_equal(add(&interner, text), 2);
	assert_int_equal(add(&interner, "after"), 3);
	assert_int_equal(add(&interner, text), 2);
	assert_int_equal(interner.lengths[2], n);
	assert_string_equal(interner_get(&interner, (string_id){1}), "before");
	assert_string_equal(interner_get(&interner, (string_id){3}), "after");
	interner_deinit(&interner);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interner__id_0_is_the_empty_string),
		cmocka_unit_test(test_interner__ids_are_dense_in_order_of_first_appearance),
		cmocka_unit_test(test_interner__bytes_need_no_terminator),
		cmocka_unit_test(test_interner__strings_stay_where_they_are),
		cmocka_unit_test(test_interner__a_string_larger_than_a_block_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
