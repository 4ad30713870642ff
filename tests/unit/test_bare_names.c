#include "symbolizer/bare_names.h"

#include "symbolizer/demangle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(const char *mangled, const char *wanted)
{
	char *bare = demangle_bare(mangled);
	assert_non_null(bare);
	assert_string_equal(bare, wanted);
	free(bare);
}

static void test_bare_names__without_parameters(void **state)
{
	(void)state;
	expect("_ZN2ns1fEi", "ns::f");
	expect("_ZN2ns1fEd", "ns::f");
	expect("_ZNK3FooplERKS_", "Foo::operator+");
	expect("_ZN2ns1gIiEEvT_", "ns::g<int>");
	expect("_ZNSt8functionIFvidEEC2Ev", "std::function<void (int, double)>::function");
	expect("_RNvC6_123foo3bar", "123foo::bar");
	expect("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt");
}

static function_id add(struct profile *profile, const char *name, const char *system_name)
{
	struct profile_function function = {.start_line = 1};
	function_id id;
	assert_int_equal(profile_string(profile, name, &function.name), 0);
	assert_int_equal(profile_string(profile, system_name, &function.system_name), 0);
	assert_int_equal(profile_add_function(profile, &function, &id), 0);
	return id;
}

static void test_bare_names__other_names_of_a_profile_stay(void **state)
{
	struct profile *profile;
	(void)state;
	assert_int_equal(profile_create(&profile), 0);
	const function_id cxx = add(profile, "ns::f(int)", "_ZN2ns1fEi");
	const function_id c = add(profile, "main", "main");
	const function_id scoped = add(profile, "ns::local", "local");
	assert_int_equal(bare_names_rewrite(profile), 0);
	assert_string_equal(profile_text(profile, profile->functions[cxx.v].name), "ns::f");
	assert_string_equal(profile_text(profile, profile->functions[c.v].name), "main");
	assert_string_equal(profile_text(profile, profile->functions[scoped.v].name), "ns::local");
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare_names__without_parameters),
		cmocka_unit_test(test_bare_names__other_names_of_a_profile_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
