#include "symbolizer/symbol_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct symbol_names names;

static int setup(void **state)
{
	(void)state;
	return symbol_names_init(&names);
}

static int teardown(void **state)
{
	(void)state;
	symbol_names_deinit(&names);
	return 0;
}

static void expect(const char *symbol_name, enum symbol_suffix suffix, const char *wanted)
{
	const struct symbol symbol = {.name = symbol_name};
	names.last = NULL; /* the same address again is another symbol here */
	const char *name = symbol_names_get(&names, &symbol, suffix);
	assert_non_null(name);
	assert_string_equal(name, wanted);
}

static void test_symbol_names__versions_and_clones_and_stubs(void **state)
{
	(void)state;
	expect("read", SYMBOL_SUFFIX_SHOWN, "read");
	expect("read@@GLIBC_2.2.5", SYMBOL_SUFFIX_SHOWN, "read");
	expect("read@GLIBC_2.2.5", SYMBOL_SUFFIX_HIDDEN, "read");
	expect("free@plt", SYMBOL_SUFFIX_SHOWN, "free@plt");
	expect("_Z1fi@plt", SYMBOL_SUFFIX_SHOWN, "f(int)@plt");
	expect("@odd", SYMBOL_SUFFIX_SHOWN, "@odd");
	expect("_Z1fi.isra.0", SYMBOL_SUFFIX_SHOWN, "f(int) [clone .isra.0]");
	expect("_Z1fi.constprop.0", SYMBOL_SUFFIX_HIDDEN, "f(int)");
	expect("main.constprop.0", SYMBOL_SUFFIX_SHOWN, "main.constprop.0");
}

static void test_symbol_names__parts_have_the_name_of_their_function(void **state)
{
	(void)state;
	expect("main.cold", SYMBOL_SUFFIX_SHOWN, "main");
	expect("_Z1fi.cold", SYMBOL_SUFFIX_SHOWN, "f(int)");
	expect("f.part.0", SYMBOL_SUFFIX_SHOWN, "f");
	expect("f.part.0.cold.12", SYMBOL_SUFFIX_SHOWN, "f");
	expect("f.isra.0.cold", SYMBOL_SUFFIX_SHOWN, "f.isra.0");
	expect("f.cold@@V1", SYMBOL_SUFFIX_SHOWN, "f");
	expect(".cold", SYMBOL_SUFFIX_SHOWN, ".cold");
	expect("f.colder", SYMBOL_SUFFIX_SHOWN, "f.colder");
	expect("cold", SYMBOL_SUFFIX_SHOWN, "cold");
}

static void test_symbol_names__the_function_in_the_words_of_the_file(void **state)
{
	static const char *const pairs[][2] = {
		{"__GI_f.part.0", "__GI_f"},
		{"_ZL1fi.isra.0.cold", "_ZL1fi"},
		{"f.constprop.0.isra.1", "f"},
		{"read@@GLIBC_2.2.5", "read"},
		{"f.localalias", "f"},
		{"f.Frame.actor", "f.Frame.actor"},
		{"_ZN1a1bE.llvm.123", "_ZN1a1bE.llvm.123"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct symbol symbol = {.name = pairs[i][0]};
		assert_string_equal(symbol_names_function(&names, &symbol), pairs[i][1]);
	}
	assert_string_equal(symbol_names_demangled(&names, "_Z1fi"), "f(int)");
	assert_string_equal(symbol_names_demangled(&names, "main"), "main");
}

static void test_symbol_names__a_dot_inside_a_name_hides_nothing(void **state)
{
	(void)state;
	expect("_Z7counterPZ7countervE17_Z7counterv.Frame.actor", SYMBOL_SUFFIX_HIDDEN,
	       "counter(counter()::_Z7counterv.Frame*) [clone .actor]");
	expect("_Zbad.cold", SYMBOL_SUFFIX_HIDDEN, "_Zbad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_symbol_names__versions_and_clones_and_stubs,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_names__parts_have_the_name_of_their_function, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_names__the_function_in_the_words_of_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_symbol_names__a_dot_inside_a_name_hides_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
