#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/short_name.h"

static void expect_name(const char *name, size_t width, const char *expected)
{
	struct strbuf buf = {0};
	short_name_add(&buf, name, width);
	assert_string_equal(strbuf_text(&buf), expected);
	assert_in_range(strbuf_columns(expected), 0, width);
	strbuf_deinit(&buf);
}

static void expect_path(const char *path, size_t width, const char *expected)
{
	struct strbuf buf = {0};
	short_path_add(&buf, path, width);
	assert_string_equal(strbuf_text(&buf), expected);
	assert_in_range(strbuf_columns(expected), 0, width);
	strbuf_deinit(&buf);
}

static void test_short_name__what_fits_stays(void **state)
{
	(void)state;
	expect_name("std::vector<int>::at(unsigned long)", 35,
		    "std::vector<int>::at(unsigned long)");
	expect_name("", 8, "");
	expect_path("/usr/src/a.c:12", 15, "/usr/src/a.c:12");
}

static void test_short_name__arguments_go_first_then_templates_then_the_middle(void **state)
{
	(void)state;
	static const char name[] = "std::map<int, std::string>::insert(std::pair<int, int>&&)";
	expect_name(name, 40, "std::map<int, std::string>::insert(...)");
	expect_name(name, 30, "std::map<...>::insert(...)");
	expect_name(name, 22, "std::map<...>::insert");
	expect_name(name, 15, "std::m...insert");
	expect_name("a_very_long_c_function_name", 13, "a_ver..._name");
}

static void test_short_name__empty_arguments_stay_empty(void **state)
{
	(void)state;
	expect_name("ns::Klass<int, int, int>::run()", 25, "ns::Klass<...>::run()");
}

static void test_short_name__rust_and_lambdas(void **state)
{
	(void)state;
	expect_name("<alloc::vec::Vec<T,A> as core::iter::Extend<T>>::extend", 20, "<...>::extend");
	expect_name("main::{lambda(int, int, int)#1}::operator()(int, int, int) const", 46,
		    "main::{lambda(...)#1}::operator()(...) const");
}

static void test_short_name__unpaired_brackets_are_not_guessed_at(void **state)
{
	(void)state;
	expect_name("Klass::operator<(Klass const&, Klass const&)", 30, "Klass::operator<(...)");
	expect_name("Klass::operator->(a, b, c, d, e, f)", 22, "Klass::operator->(...)");
	expect_name("operator<<<int, long, unsigned, char>", 17, "operato..., char>");
}

static void test_short_name__code_points_are_never_cut(void **state)
{
	(void)state;
	expect_name("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 8,
		    "\xc3\xa9\xc3\xa9...\xc3\xa9\xc3\xa9\xc3\xa9");
}

static void test_short_name__paths_keep_their_tail(void **state)
{
	(void)state;
	expect_path("/home/build/redis/src/networking.c:2681", 27, ".../src/networking.c:2681");
	expect_path("/home/build/redis/src/networking.c:2681", 22, ".../networking.c:2681");
	/* no directory left: the end of the name */
	expect_path("/home/build/redis/src/networking.c:2681", 16, "...orking.c:2681");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_name__what_fits_stays),
		cmocka_unit_test(
			test_short_name__arguments_go_first_then_templates_then_the_middle),
		cmocka_unit_test(test_short_name__empty_arguments_stay_empty),
		cmocka_unit_test(test_short_name__rust_and_lambdas),
		cmocka_unit_test(test_short_name__unpaired_brackets_are_not_guessed_at),
		cmocka_unit_test(test_short_name__code_points_are_never_cut),
		cmocka_unit_test(test_short_name__paths_keep_their_tail),
	};
	return cmocka_run_group_tests_name("short_name", tests, NULL, NULL);
}
