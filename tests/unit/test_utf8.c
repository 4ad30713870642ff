#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

#include <string.h>

static void check(const char *text, size_t n, const char *expected)
{
	char out[64];
	size_t used = utf8_clean(text, n, out);
	assert_int_equal(used, strlen(expected));
	assert_memory_equal(out, expected, used);
}

static void test_utf8__valid_text_is_untouched(void **state)
{
	(void)state;
	static const char *const good[] = {
		"",
		"plain",
		"\xc2\x80",
		"\xc3\xa9t\xc3\xa9",
		"\xe2\x82\xac",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf",
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(utf8_valid_prefix(good[i], strlen(good[i])), strlen(good[i]));
		check(good[i], strlen(good[i]), good[i]);
	}
}

static void test_utf8__a_character_cut_in_the_middle_is_replaced(void **state)
{
	(void)state;
	/* a comm of 15 bytes that ends inside a euro sign */
	check("worker-thread-\xe2", 15, "worker-thread-\xef\xbf\xbd");
	check("\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd");
	check("\xf0\x9f\x98!", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!");
}

static void test_utf8__what_is_no_character_is_replaced(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"\x80", /* a continuation alone */
		"\xc0", /* never valid */
		"\xc1", /* overlong ASCII */
		"\xff", /* never valid */
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check(bad[i], 1, "\xef\xbf\xbd");
	check("a\0b", 3,
	      "a\xef\xbf\xbd"
	      "b");
	assert_int_equal(utf8_valid_prefix("\xe0\x9f\xbf", 3), 0);     /* overlong */
	assert_int_equal(utf8_valid_prefix("\xed\xa0\x80", 3), 0);     /* surrogate */
	assert_int_equal(utf8_valid_prefix("\xf0\x8f\xbf\xbf", 4), 0); /* overlong */
	assert_int_equal(utf8_valid_prefix("\xf4\x90\x80\x80", 4), 0); /* beyond U+10FFFF */
	assert_int_equal(utf8_valid_prefix("ok\xc3", 3), 2);
}

static void test_utf8__cleaned_text_is_clean_whatever_the_bytes(void **state)
{
	(void)state;
	char text[4], out[UTF8_CLEAN_MAX(4)];
	static const unsigned char odd[] = {0x00, 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0,
					    0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff, 0x9f, 0xa0};
	size_t k = sizeof(odd);
	for (size_t i = 0; i < k * k * k * k; i++) {
		size_t rest = i;
		for (size_t j = 0; j < 4; j++, rest /= k)
			text[j] = (char)odd[rest % k];
		size_t n = utf8_clean(text, 4, out);
		assert_true(n <= sizeof(out));
		assert_int_equal(utf8_valid_prefix(out, n), n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8__valid_text_is_untouched),
		cmocka_unit_test(test_utf8__a_character_cut_in_the_middle_is_replaced),
		cmocka_unit_test(test_utf8__what_is_no_character_is_replaced),
		cmocka_unit_test(test_utf8__cleaned_text_is_clean_whatever_the_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
