#include "symbolizer/source_prefix.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const struct source_prefixes *prefixes, const char *path, const char *wanted)
{
	char text[PATH_MAX];
	assert_string_equal(source_prefixes_apply(prefixes, path, text, sizeof(text)), wanted);
}

static void test_source_prefix__whole_parts_of_a_path_only(void **state)
{
	struct source_prefixes prefixes = {.n = 0};
	(void)state;
	assert_int_equal(source_prefixes_add(&prefixes, "/build/x=/home/me", NULL), 0);
	expect(&prefixes, "/build/x/a.c", "/home/me/a.c");
	expect(&prefixes, "/build/x", "/home/me");
	expect(&prefixes, "/build/xy/a.c", "/build/xy/a.c");
	expect(&prefixes, "/usr/build/x/a.c", "/usr/build/x/a.c");
	expect(&prefixes, "", "");
	source_prefixes_deinit(&prefixes);
}

static void test_source_prefix__the_longest_holds_and_slashes_do_not_matter(void **state)
{
	struct source_prefixes prefixes = {.n = 0};
	(void)state;
	assert_int_equal(source_prefixes_add(&prefixes, "/build/x/lib/=/lib-src/", NULL), 0);
	assert_int_equal(source_prefixes_add(&prefixes, "/build/x=/src", NULL), 0);
	assert_int_equal(source_prefixes_add(&prefixes, "./glibc=/g", NULL), 0);
	expect(&prefixes, "/build/x/lib/a.c", "/lib-src/a.c");
	expect(&prefixes, "/build/x/a.c", "/src/a.c");
	expect(&prefixes, "./glibc/malloc.c", "/g/malloc.c");
	source_prefixes_deinit(&prefixes);
}

static void test_source_prefix__an_empty_new_path_makes_relative_ones(void **state)
{
	struct source_prefixes prefixes = {.n = 0};
	(void)state;
	assert_int_equal(source_prefixes_add(&prefixes, "/build/x=", NULL), 0);
	assert_int_equal(source_prefixes_add(&prefixes, "/=/root/", NULL), 0);
	expect(&prefixes, "/build/x/src/a.c", "src/a.c");
	expect(&prefixes, "/usr/include/a.h", "/root/usr/include/a.h");
	source_prefixes_deinit(&prefixes);
}

static void test_source_prefix__what_is_no_rule_is_refused(void **state)
{
	struct source_prefixes prefixes = {.n = 0};
	struct cp_err err;
	(void)state;
	assert_int_equal(source_prefixes_add(&prefixes, "/build", &err), -EINVAL);
	assert_int_equal(source_prefixes_add(&prefixes, "=/src", &err), -EINVAL);
	assert_int_equal(prefixes.n, 0);
}

static void test_source_prefix__all_functions_of_a_profile(void **state)
{
	struct source_prefixes prefixes = {.n = 0};
	struct profile_function function = {.start_line = 3};
	struct profile *profile;
	function_id id;
	(void)state;
	assert_int_equal(profile_create(&profile), 0);
	assert_int_equal(profile_string(profile, "f", &function.name), 0);
	assert_int_equal(profile_string(profile, "/build/x/a.c", &function.file), 0);
	assert_int_equal(profile_add_function(profile, &function, &id), 0);
	assert_int_equal(source_prefixes_add(&prefixes, "/build/x=/src", NULL), 0);
	assert_int_equal(source_prefixes_rewrite(&prefixes, profile), 0);
	assert_string_equal(profile_text(profile, profile->functions[id.v].file), "/src/a.c");
	assert_string_equal(profile_text(profile, profile->functions[id.v].name), "f");
	profile_destroy(profile);
	source_prefixes_deinit(&prefixes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source_prefix__whole_parts_of_a_path_only),
		cmocka_unit_test(test_source_prefix__the_longest_holds_and_slashes_do_not_matter),
		cmocka_unit_test(test_source_prefix__an_empty_new_path_makes_relative_ones),
		cmocka_unit_test(test_source_prefix__what_is_no_rule_is_refused),
		cmocka_unit_test(test_source_prefix__all_functions_of_a_profile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
