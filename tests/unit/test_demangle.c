#include "symbolizer/demangle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *name, const char *wanted)
{
	char *got = demangle(name);
	if (!wanted) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_string_equal(got, wanted);
	free(got);
}

static void test_demangle__cxx_names_keep_their_parameters(void **state)
{
	(void)state;
	expect("_ZN2ns1fEi", "ns::f(int)");
	expect("_Z1fd", "f(double)");
	expect("_ZN3FooC2ERKS_", "Foo::Foo(Foo const&)");
	expect("_ZNSt6vectorIiSaIiEE9push_backEOi",
	       "std::vector<int, std::allocator<int> >::push_back(int&&)");
	expect("_ZN12_GLOBAL__N_16hiddenEv", "(anonymous namespace)::hidden()");
	expect("_Z3fooi.cold", "foo(int) [clone .cold]");
}

static void test_demangle__rust_legacy_names_lose_their_hash(void **state)
{
	(void)state;
	expect("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt");
	expect("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
	       "3bar17h930b740aa94f1d3aE",
	       "<Test + 'static as foo::Bar<Test>>::bar");
}

static void test_demangle__rust_v0_names(void **state)
{
	(void)state;
	expect("_RNvC6_123foo3bar", "123foo::bar");
	expect("_RNvCs1234_7mycrate3foo", "mycrate::foo");
}

static void test_demangle__other_names_are_left_alone(void **state)
{
	(void)state;
	expect("main", NULL);
	expect("", NULL);
	expect("_", NULL);
	expect("_Z", NULL);
	expect("_R", NULL);
	expect("_Zebra", NULL);
	expect("_start", NULL);
	expect("__libc_start_main", NULL);
}

static void test_demangle__names_that_would_print_for_hours_are_left_alone(void **state)
{
	(void)state;
	/* Each parameter is a pair of the one before: the text doubles, the name grows by 5 bytes.
	 * pair<int,int>, pair<S1,S1>, pair<S2,S2>, ... */
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[1024];
	int n = snprintf(name, sizeof(name), "_Z1f1pIiiE");
	for (int i = 0; i < 34; i++)
		n += snprintf(name + n, sizeof(name) - (size_t)n, "S_IS%c_S%c_E", digits[i],
			      digits[i]);
	expect(name, NULL);
	/* and the same short enough to be shown */
	expect("_Z1f1pIiiES_IS0_S0_E", "f(p<int, int>, p<p<int, int>, p<int, int> >)");
}

static void test_demangle__overlong_and_deeply_nested_names_are_left_alone(void **state)
{
	(void)state;
	enum { N = 200000 };
	char *name = malloc(N + 16);
	assert_non_null(name);
	memcpy(name, "_Z1f", 4);
	memset(name + 4, 'P', N); /* pointer to pointer to ... */
	memcpy(name + 4 + N, "i", 2);
	expect(name, NULL);
	name[DEMANGLE_MAX_INPUT - 2] = 'i';
	name[DEMANGLE_MAX_INPUT - 1] = '\0';
	expect(name, NULL);
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demangle__cxx_names_keep_their_parameters),
		cmocka_unit_test(test_demangle__rust_legacy_names_lose_their_hash),
		cmocka_unit_test(test_demangle__rust_v0_names),
		cmocka_unit_test(test_demangle__other_names_are_left_alone),
		cmocka_unit_test(test_demangle__names_that_would_print_for_hours_are_left_alone),
		cmocka_unit_test(test_demangle__overlong_and_deeply_nested_names_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
