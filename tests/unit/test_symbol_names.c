#include "symbolizer/symbol_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(struct symbol_names *names, const char *symbol_name, enum symbol_suffix suffix,
		   const char *wanted)
{
	const struct symbol symbol = {.name = symbol_name};
	names->last = NULL; /* the same address again is another symbol here */
	const char *name = symbol_names_get(names, &symbol, suffix);
	assert_non_null(name);
	assert_string_equal(name, wanted);
}

static void test_symbol_names__versions_and_clones_and_stubs(void **state)
{
	(void)state;
	struct symbol_names names;
	assert_int_equal(symbol_names_init(&names), 0);
	expect(&names, "read", SYMBOL_SUFFIX_SHOWN, "read");
	expect(&names, "read@@GLIBC_2.2.5", SYMBOL_SUFFIX_SHOWN, "read");
	expect(&names, "read@GLIBC_2.2.5", SYMBOL_SUFFIX_HIDDEN, "read");
	expect(&names, "free@plt", SYMBOL_SUFFIX_SHOWN, "free@plt");
	expect(&names, "_Z1fi@plt", SYMBOL_SUFFIX_SHOWN, "f(int)@plt");
	expect(&names, "@odd", SYMBOL_SUFFIX_SHOWN, "@odd");
	expect(&names, "_Z1fi.isra.0", SYMBOL_SUFFIX_SHOWN, "f(int) [clone .isra.0]");
	expect(&names, "_Z1fi.constprop.0", SYMBOL_SUFFIX_HIDDEN, "f(int)");
	expect(&names, "main.constprop.0", SYMBOL_SUFFIX_SHOWN, "main.constprop.0");
	symbol_names_deinit(&names);
}

static void test_symbol_names__parts_have_the_name_of_their_function(void **state)
{
	(void)state;
	struct symbol_names names;
	assert_int_equal(symbol_names_init(&names), 0);
	expect(&names, "main.cold", SYMBOL_SUFFIX_SHOWN, "main");
	expect(&names, "_Z1fi.cold", SYMBOL_SUFFIX_SHOWN, "f(int)");
	expect(&names, "f.part.0", SYMBOL_SUFFIX_SHOWN, "f");
	expect(&names, "f.part.0.cold.12", SYMBOL_SUFFIX_SHOWN, "f");
	expect(&names, "f.isra.0.cold", SYMBOL_SUFFIX_SHOWN, "f.isra.0");
	expect(&names, "f.cold@@V1", SYMBOL_SUFFIX_SHOWN, "f");
	expect(&names, ".cold", SYMBOL_SUFFIX_SHOWN, ".cold");
	expect(&names, "f.colder", SYMBOL_SUFFIX_SHOWN, "f.colder");
	expect(&names, "cold", SYMBOL_SUFFIX_SHOWN, "cold");
	symbol_names_deinit(&names);
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
	struct symbol_names names;
	assert_int_equal(symbol_names_init(&names), 0);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct symbol symbol = {.name = pairs[i][0]};
		assert_string_equal(symbol_names_function(&names, &symbol), pairs[i][1]);
	}
	assert_string_equal(symbol_names_demangled(&names, "_Z1fi"), "f(int)");
	assert_string_equal(symbol_names_demangled(&names, "main"), "main");
	symbol_names_deinit(&names);
}

static void test_symbol_names__a_dot_inside_a_name_hides_nothing(void **state)
{
	(void)state;
	struct symbol_names names;
	assert_int_equal(symbol_names_init(&names), 0);
	expect(&names, "_Z7counterPZ7countervE17_Z7counterv.Frame.actor", SYMBOL_SUFFIX_HIDDEN,
	       "counter(counter()::_Z7counterv.Frame*) [clone .actor]");
	expect(&names, "_Zbad.cold", SYMBOL_SUFFIX_HIDDEN, "_Zbad");
	symbol_names_deinit(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbol_names__versions_and_clones_and_stubs),
		cmocka_unit_test(test_symbol_names__parts_have_the_name_of_their_function),
		cmocka_unit_test(test_symbol_names__the_function_in_the_words_of_the_file),
		cmocka_unit_test(test_symbol_names__a_dot_inside_a_name_hides_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
