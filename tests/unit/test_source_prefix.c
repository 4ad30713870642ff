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
	expect(&prefixes, "/build/x/lib", "/lib-src");
	source_prefixes_deinit(&prefixes);
}

static void test_source_prefix__paths_are_compared_without_detours(void **state)
{
	struct source_prefixes prefixes = {.n = 0};
	(void)state;
	assert_int_equal(source_prefixes_add(&prefixes, "/build//y/../x/.=/src", NULL), 0);
	assert_int_equal(source_prefixes_add(&prefixes, "elf=/g/elf", NULL), 0);
	expect(&prefixes, "/build/x/a/../b.c", "/src/b.c");
	expect(&prefixes, "/build/./x//b.c", "/src/b.c");
	expect(&prefixes, "/build/x/../../../b.c", "/build/x/../../../b.c"); /* as it was */
	expect(&prefixes, "/build/x/../xy/b.c", "/build/x/../xy/b.c");
	expect(&prefixes, "/other/../build/x/b.c", "/src/b.c");
	expect(&prefixes, "./elf/dl-load.c", "/g/elf/dl-load.c");
	expect(&prefixes, "./elf/../sysdeps/a.h", "./elf/../sysdeps/a.h");
	expect(&prefixes, "../elf/a.c", "../elf/a.c");
	expect(&prefixes, "../../a/../elf/a.c", "../../a/../elf/a.c");
	source_prefixes_deinit(&prefixes);
}

static void test_source_prefix__a_dot_is_what_lies_below_the_working_directory(void **state)
{
	struct source_prefixes prefixes = {.n = 0};
	(void)state;
	assert_int_equal(source_prefixes_add(&prefixes, ".=/g", NULL), 0);
	expect(&prefixes, "./elf/../sysdeps/a.h", "/g/sysdeps/a.h");
	expect(&prefixes, "a.c", "/g/a.c");
	expect(&prefixes, "../a.c", "../a.c");
	expect(&prefixes, "/usr/a.c", "/usr/a.c");
	source_prefixes_deinit(&prefixes);
}

static void test_source_prefix__a_path_that_would_be_too_long_stays(void **state)
{
	struct source_prefixes prefixes = {.n = 0};
	char text[16];
	(void)state;
	assert_int_equal(source_prefixes_add(&prefixes, "/b=/much/longer", NULL), 0);
	const char *path = "/b/a.cpp";
	assert_ptr_equal(source_prefixes_apply(&prefixes, path, text, sizeof(text)), path);
	assert_string_equal(source_prefixes_apply(&prefixes, "/b/a", text, sizeof(text)),
			    "/much/longer/a");
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

static function_id add_function(struct profile *profile, const char *file)
{
	struct profile_function function = {.start_line = 3};
	function_id id;
	assert_int_equal(profile_string(profile, "f", &function.name), 0);
	assert_int_equal(profile_string(profile, file, &function.file), 0);
	assert_int_equal(profile_add_function(profile, &function, &id), 0);
	return id;
}

static const char *file_of(const struct profile *profile, function_id id)
{
	return profile_text(profile, profile->functions[id.v].file);
}

/* One run of a command with up to two rules. Return: how often the first one was of use. */
static size_t run_with(struct profile *profile, size_t n_before, const char *rule,
		       const char *another)
{
	struct source_prefixes prefixes = {.n = 0};
	assert_int_equal(source_prefixes_add(&prefixes, rule, NULL), 0);
	if (another)
		assert_int_equal(source_prefixes_add(&prefixes, another, NULL), 0);
	assert_int_equal(source_prefixes_rewrite(&prefixes, profile, n_before), 0);
	const size_t n = prefixes.rules[0].n_moved;
	source_prefixes_deinit(&prefixes);
	return n;
}

static void test_source_prefix__all_functions_of_a_profile(void **state)
{
	struct profile *profile;
	(void)state;
	assert_int_equal(profile_create(&profile), 0);
	const function_id id = add_function(profile, "/build/x/a.c");
	assert_int_equal(run_with(profile, 0, "/build/x=/src", NULL), 1);
	assert_string_equal(file_of(profile, id), "/src/a.c");
	assert_string_equal(profile_text(profile, profile->functions[id.v].name), "f");
	assert_int_equal(run_with(profile, 1, "/elsewhere=/src", NULL), 0);
	profile_destroy(profile);
}

static void test_source_prefix__the_same_once_more_changes_nothing(void **state)
{
	struct profile *profile;
	(void)state;
	assert_int_equal(profile_create(&profile), 0);
	const function_id id = add_function(profile, "/src/a.c");
	for (int i = 0; i < 3; i++) {
		/* the new path lies below the old one: it would move on and on */
		assert_true(run_with(profile, i > 0, "/src=/src/new", "/=/root") > 0);
		assert_string_equal(file_of(profile, id), "/src/new/a.c");
	}
	profile_destroy(profile);
}

static void test_source_prefix__another_new_path_moves_on_what_was_moved(void **state)
{
	struct profile *profile;
	(void)state;
	assert_int_equal(profile_create(&profile), 0);
	const function_id moved = add_function(profile, "/build/x/a.c");
	const function_id other = add_function(profile, "/build/y/a.c");
	assert_int_equal(run_with(profile, 0, "/build/x=/home/typo", NULL), 1);
	assert_int_equal(run_with(profile, 2, "/build/x=/home/me", NULL), 1);
	assert_string_equal(file_of(profile, moved), "/home/me/a.c");
	assert_string_equal(file_of(profile, other), "/build/y/a.c");
	/* by where it is now, as well */
	assert_int_equal(run_with(profile, 2, "/home/me=/srv", NULL), 1);
	assert_string_equal(file_of(profile, moved), "/srv/a.c");
	profile_destroy(profile);
}

static void test_source_prefix__names_found_later_get_what_was_given_before(void **state)
{
	struct profile *profile;
	(void)state;
	assert_int_equal(profile_create(&profile), 0);
	const function_id old = add_function(profile, "/build/x/a.c");
	assert_int_equal(run_with(profile, 0, "/build/x=/src", NULL), 1);
	const function_id found = add_function(profile, "/build/x/b.c");
	const function_id also = add_function(profile, "/build/y/b.c");
	assert_int_equal(run_with(profile, 1, "/build/y=/y", NULL), 1);
	assert_string_equal(file_of(profile, old), "/src/a.c");
	assert_string_equal(file_of(profile, found), "/src/b.c");
	assert_string_equal(file_of(profile, also), "/y/b.c");
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source_prefix__whole_parts_of_a_path_only),
		cmocka_unit_test(test_source_prefix__the_longest_holds_and_slashes_do_not_matter),
		cmocka_unit_test(test_source_prefix__an_empty_new_path_makes_relative_ones),
		cmocka_unit_test(test_source_prefix__what_is_no_rule_is_refused),
		cmocka_unit_test(test_source_prefix__paths_are_compared_without_detours),
		cmocka_unit_test(
			test_source_prefix__a_dot_is_what_lies_below_the_working_directory),
		cmocka_unit_test(test_source_prefix__a_path_that_would_be_too_long_stays),
		cmocka_unit_test(test_source_prefix__all_functions_of_a_profile),
		cmocka_unit_test(test_source_prefix__the_same_once_more_changes_nothing),
		cmocka_unit_test(test_source_prefix__another_new_path_moves_on_what_was_moved),
		cmocka_unit_test(test_source_prefix__names_found_later_get_what_was_given_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
