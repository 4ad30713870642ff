#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/strbuf.h"

#include <string.h>

static void expect_printable(const char *bytes, const char *expected)
{
	struct strbuf buf = {0};
	strbuf_add_printable(&buf, bytes);
	assert_string_equal(strbuf_text(&buf), expected);
	assert_false(strbuf_failed(&buf));
	strbuf_deinit(&buf);
}

static void expect_utf8(const char *bytes, const char *expected)
{
	struct strbuf buf = {0};
	strbuf_add_utf8(&buf, bytes);
	assert_string_equal(strbuf_text(&buf), expected);
	strbuf_deinit(&buf);
}

static void test_strbuf__grows_over_many_appends(void **state)
{
	(void)state;
	struct strbuf buf = {0};
	assert_string_equal(strbuf_text(&buf), "");
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&buf, "%03d,", i);
	assert_int_equal(buf.n, 4000);
	assert_memory_equal(buf.bytes, "000,001,", 8);
	assert_string_equal(buf.bytes + 3996, "999,");
	strbuf_clear(&buf);
	assert_string_equal(strbuf_text(&buf), "");
	strbuf_add_bytes(&buf, "abcdef", 3);
	assert_string_equal(strbuf_text(&buf), "abc");
	strbuf_deinit(&buf);
	strbuf_deinit(&buf);
}

static void test_strbuf__printable_writes_control_characters_out(void **state)
{
	(void)state;
	expect_printable("a\nb\tc\x1b[31md\x7f", "a\\x0ab\\x09c\\x1b[31md\\x7f");
	/* C1 control U+009B starts an escape sequence on some terminals */
	expect_printable("\xc2\x9b", "\\x9b");
	/* NOLINTBEGIN(misc-misleading-bidirectional) what is tested */
	/* right-to-left override, isolate, left-to-right mark, line separator */
	expect_printable("\xe2\x80\xae", "\\u202e");
	expect_printable("\xd8\x9c", "\\u061c"); /* ARABIC LETTER MARK */
	expect_printable("\xe2\x81\xa6", "\\u2066");
	expect_printable("\xe2\x80\x8e", "\\u200e");
	expect_printable("\xe2\x80\xa8", "\\u2028");
	/* NOLINTEND(misc-misleading-bidirectional) */
}

static void test_strbuf__valid_utf8_stays(void **state)
{
	(void)state;
	static const char text[] = "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\xa5 \xef\xbf\xbd";
	expect_utf8(text, text);
	expect_printable(text, text);
	expect_utf8("a\x1b\n", "a\x1b\n");
}

static void test_strbuf__malformed_utf8_is_replaced(void **state)
{
	(void)state;
#define FFFD "\xef\xbf\xbd"
	expect_utf8("a\xff"
		    "b",
		    "a" FFFD "b");
	expect_utf8("\x80", FFFD);
	expect_utf8("\xc0\xaf", FFFD FFFD);                   /* overlong "/" */
	expect_utf8("\xe0\x80\xaf", FFFD FFFD FFFD);          /* overlong "/" */
	expect_utf8("\xed\xa0\x80", FFFD FFFD FFFD);          /* surrogate */
	expect_utf8("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD); /* U+110000 */
	expect_utf8("\xf8\x88\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD);
	/* cut at the end of the string: nothing beyond is read */
	expect_utf8("x\xe2\x82", "x" FFFD FFFD);
	expect_utf8("x\xf0", "x" FFFD);
}

static void test_strbuf__columns_count_code_points(void **state)
{
	(void)state;
	static const char text[] = "a\xe2\x82\xac"
				   "b\xf0\x9f\x94\xa5";
	assert_int_equal(strbuf_columns(""), 0);
	assert_int_equal(strbuf_columns(text), 4);
	assert_string_equal(strbuf_tail(text, 2), "b\xf0\x9f\x94\xa5");
	assert_string_equal(strbuf_tail(text, 9), text);
	assert_string_equal(strbuf_tail(text, 0), "");
	assert_int_equal(strbuf_head(text, 2), 4);
	assert_int_equal(strbuf_head(text, 9), strlen(text));
	assert_int_equal(strbuf_head(text, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strbuf__grows_over_many_appends),
		cmocka_unit_test(test_strbuf__printable_writes_control_characters_out),
		cmocka_unit_test(test_strbuf__valid_utf8_stays),
		cmocka_unit_test(test_strbuf__malformed_utf8_is_replaced),
		cmocka_unit_test(test_strbuf__columns_count_code_points),
	};
	return cmocka_run_group_tests_name("strbuf", tests, NULL, NULL);
}
