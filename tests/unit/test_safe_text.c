#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/safe_text.h"

#include <stdlib.h>
#include <string.h>

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static void assert_written(void (*write)(FILE *, const char *), size_t (*size)(const char *),
			   const char *text, const char *expected)
{
	char *written;
	size_t n;
	FILE *out = open_memstream(&written, &n);
	assert_non_null(out);
	write(out, text);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(written, expected);
	assert_int_equal(size(text), strlen(expected));
	free(written);
}

static void assert_xml(const char *text, const char *expected)
{
	assert_written(safe_text_write_xml, safe_text_xml_size, text, expected);
}

static void assert_json(const char *text, const char *expected)
{
	assert_written(safe_text_write_json, safe_text_json_size, text, expected);
}

static void test_safe_text__xml_special_characters_are_escaped(void **state)
{
	(void)state;
	assert_xml("", "");
	assert_xml("std::map<int, T&>", "std::map&lt;int, T&amp;&gt;");
	assert_xml("a\"b'c", "a&quot;b&#39;c");
	assert_xml("]]>", "]]&gt;");
	assert_xml("f\xc3\xbcr", "f\xc3\xbcr");
}

static void test_safe_text__json_may_stand_in_a_script_element(void **state)
{
	(void)state;
	assert_json("", "\"\"");
	assert_json("</script>", "\"\\u003c/script\\u003e\"");
	assert_json("]]>", "\"]]\\u003e\"");
	assert_json("a&b", "\"a\\u0026b\"");
	assert_json("\"\\'", "\"\\\"\\\\\\u0027\"");
}

static void test_safe_text__malformed_utf8_becomes_replacement_characters(void **state)
{
	(void)state;
	assert_xml("a\xff", "a" BAD);
	assert_xml("\xc3", BAD);                         /* cut short by the end */
	assert_xml("\xe2\x82", BAD BAD);                 /* cut short by the end */
	assert_xml("\xc3(", BAD "(");                    /* no continuation byte */
	assert_xml("\xc0\xaf", BAD BAD);                 /* overlong '/' */
	assert_xml("\xe0\x80\xaf", BAD BAD BAD);         /* overlong '/' */
	assert_xml("\xed\xa0\x80", BAD BAD BAD);         /* a surrogate */
	assert_xml("\xf4\x90\x80\x80", BAD BAD BAD BAD); /* past U+10FFFF */
	assert_xml("\xf0\x9f\x94\xa5", "\xf0\x9f\x94\xa5");
}

static void test_safe_text__controls_and_reordering_characters_are_replaced(void **state)
{
	(void)state;
	assert_xml("\x01\n\t\x1b[0m\x7f", BAD BAD BAD BAD "[0m" BAD);
	assert_xml("\xc2\x85", BAD); /* U+0085 */
	/* U+202E, right-to-left override, and U+2066, isolate */
	/* NOLINTBEGIN(misc-misleading-bidirectional) */
	assert_xml("\xe2\x80\xae", BAD);
	assert_xml("\xe2\x81\xa6", BAD);
	/* NOLINTEND(misc-misleading-bidirectional) */
	assert_xml("\xef\xbf\xbe", BAD); /* U+FFFE is no XML character */
	assert_xml("\xe2\x80\xa6", "\xe2\x80\xa6");
}

static void test_safe_text__copy_ends_a_cut_text_in_an_ellipsis(void **state)
{
	(void)state;
	char buf[64];
	assert_int_equal(safe_text_copy("abcdef", 6, buf), 6);
	assert_string_equal(buf, "abcdef");
	assert_int_equal(safe_text_copy("abcdef", 5, buf), 7);
	assert_string_equal(buf, "abcd\xe2\x80\xa6");
	assert_int_equal(safe_text_copy("abcdef", 1, buf), 3);
	assert_string_equal(buf, "\xe2\x80\xa6");
	assert_int_equal(safe_text_copy("abcdef", 0, buf), 0);
	assert_string_equal(buf, "");
	safe_text_copy("\xc3\xa4\xc3\xb6\xc3\xbc", 2, buf);
	assert_string_equal(buf, "\xc3\xa4\xe2\x80\xa6");
}

static void test_safe_text__wide_characters_take_two_columns(void **state)
{
	(void)state;
	char buf[64];
	safe_text_copy_columns("abc", 3, buf);
	assert_string_equal(buf, "abc");
	safe_text_copy_columns("\xff", 1, buf);
	assert_string_equal(buf, BAD);
	safe_text_copy_columns("\xe5\x87\xbd\xe6\x95\xb0", 4, buf);
	assert_string_equal(buf, "\xe5\x87\xbd\xe6\x95\xb0");
	safe_text_copy_columns("\xe5\x87\xbd\xe6\x95\xb0", 3, buf);
	assert_string_equal(buf, "\xe5\x87\xbd\xe2\x80\xa6");
	safe_text_copy_columns("\xe5\x87\xbd\xe6\x95\xb0", 2, buf);
	assert_string_equal(buf, "\xe2\x80\xa6");
}

/* A buffer that ends where the text ends: a read past it is the sanitizer's to find. */
static void test_safe_text__never_reads_past_a_cut_sequence(void **state)
{
	(void)state;
	static const char whole[] = "\xf0\x9f\x94\xa5";
	for (size_t n = 0; n < 4; n++) {
		char *cut = malloc(n + 1);
		assert_non_null(cut);
		memcpy(cut, whole, n);
		cut[n] = '\0';
		assert_int_equal(safe_text_xml_size(cut), 3 * n);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_safe_text__xml_special_characters_are_escaped),
		cmocka_unit_test(test_safe_text__json_may_stand_in_a_script_element),
		cmocka_unit_test(test_safe_text__malformed_utf8_becomes_replacement_characters),
		cmocka_unit_test(test_safe_text__controls_and_reordering_characters_are_replaced),
		cmocka_unit_test(test_safe_text__copy_ends_a_cut_text_in_an_ellipsis),
		cmocka_unit_test(test_safe_text__wide_characters_take_two_columns),
		cmocka_unit_test(test_safe_text__never_reads_past_a_cut_sequence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
