#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/profile_builder.h"
#include "output/heap_suppress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_heap_suppress__patterns_are_those_of_leaksanitizer(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{"foo", "a_foo_b", true},
		{"foo", "bar", false},
		{"^foo", "foo_b", true},
		{"^foo", "a_foo", false},
		{"foo$", "a_foo", true},
		{"foo$", "foo_b", false},
		{"^foo$", "foo", true},
		{"^foo$", "foofoo", false},
		{"f*o", "a fxxo b", true},
		{"f*o$", "fxxob", false},
		{"^f*o$", "fxxo", true},
		{"^f*o$", "afxxo", false},
		{"*", "anything", true},
		{"", "anything", true},
		{"*foo*", "a_foo_b", true},
		{"a*b*c", "1a2b3c4", true},
		{"a*b*c", "1a2c3b4", false},
		{"ab*ab$", "abab", true},
		{"ab*ab$", "ab", false},
		{"^a*", "ba", false},
		{"foo$bar", "foo$bar", false},
		{"libx.so", "/usr/lib/libx.so.1", true},
		{"oo$", "foo foo", true},
		{"^", "x", true},
		{"$", "x", true},
		{"^$", "", true},
		{"^$", "x", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (heap_pattern_matches(cases[i].pattern, cases[i].text) != cases[i].matches)
			fail_msg("\"%s\" on \"%s\"", cases[i].pattern, cases[i].text);
}

static void test_heap_suppress__files_of_rules(void **state)
{
	(void)state;
	struct heap_suppressions rules;
	struct cp_err err;
	assert_int_equal(heap_suppressions_init(&rules), 0);
	const size_t builtin = rules.n;
	assert_true(builtin > 0);
	assert_int_equal(heap_suppressions_parse(&rules,
						 "# comment\n\n  leak:one  \r\nleak:two*three\n"
						 "leak:last without a newline",
						 "file", &err),
			 0);
	assert_int_equal(rules.n, builtin + 3);
	assert_string_equal(rules.rules[builtin].pattern, "one");
	assert_string_equal(rules.rules[builtin + 1].pattern, "two*three");
	assert_string_equal(rules.rules[builtin + 2].pattern, "last without a newline");
	assert_false(rules.rules[builtin].builtin);
	assert_true(rules.rules[0].builtin);
	assert_int_equal(heap_suppressions_parse(&rules, "leak:a\nrace:b\n", "file", &err),
			 -EINVAL);
	assert_non_null(strstr(err.message, "file:2: \"race:b\""));
	assert_int_equal(heap_suppressions_parse(&rules, "leak:", "file", &err), -EINVAL);
	heap_suppressions_deinit(&rules);
}

/* The rule of a stack, with its frames leaf first; NULL: none. */
static const char *rule_of(struct heap_suppressions *rules, const struct frames *frames,
			   struct profile *profile, const location_id *stack, size_t n,
			   bool complete)
{
	stack_id id;
	frame_id *array = NULL;
	size_t cap = 0;
	assert_int_equal(stack_store_intern(&profile->stacks, stack, n, &id), 0);
	const long count = frames_of_stack(frames, id, &array, &cap);
	const uint32_t rule = heap_suppressions_find(rules, array, (size_t)count, complete);
	free(array);
	return rule == HEAP_RULE_NONE ? NULL : rules->rules[rule].pattern;
}

static void test_heap_suppress__what_every_program_holds(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	const module_id exe = build_module(profile, "/usr/bin/server", true);
	const module_id libc = build_module(profile, "/lib/libc.so.6", true);
	const module_id ld = build_module(profile, "/lib64/ld-linux-x86-64.so.2", true);
	const module_id cxx = build_module(profile, "/usr/lib/libstdc++.so.6", false);
	const location_id doallocate = build_at(profile, libc, "_IO_file_doallocate", "f.c", 1);
	const location_id puts_at = build_at(profile, libc, "puts", "p.c", 1);
	const location_id main_at = build_at(profile, exe, "main", "main.c", 3);
	const location_id pool = build_bare(profile, cxx);
	const location_id dl_init = build_at(profile, ld, "_dl_init", "dl.c", 1);
	const location_id constructor = build_at(profile, exe, "make_table", "t.c", 1);
	struct frames *frames;
	struct heap_suppressions rules;
	assert_int_equal(frames_create(profile, &frames), 0);
	assert_int_equal(heap_suppressions_init(&rules), 0);
	assert_int_equal(heap_suppressions_parse(&rules, "leak:^make_\nleak:t.c$\n", "file", NULL),
			 0);
	assert_int_equal(heap_suppressions_bind(&rules, frames), 0);
#define RULE(complete, ...)                                                                        \
	rule_of(&rules, frames, profile, (const location_id[]){__VA_ARGS__},                       \
		sizeof((const location_id[]){__VA_ARGS__}) / sizeof(location_id), complete)
	assert_string_equal(RULE(true, doallocate, puts_at, main_at), "buffers of stdio streams");
	assert_null(RULE(true, puts_at, main_at));
	assert_non_null(strstr(RULE(true, pool, dl_init), "emergency pool"));
	/* a stack that ends early may have begun anywhere */
	assert_null(RULE(false, pool));
	assert_string_equal(RULE(true, dl_init, main_at), "the dynamic loader's own");
	/* the loader calls constructors: what they allocate is theirs */
	assert_string_equal(RULE(true, constructor, dl_init), "^make_");
	assert_null(RULE(true, main_at));
#undef RULE
	heap_suppressions_deinit(&rules);
	frames_destroy(frames);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_suppress__patterns_are_those_of_leaksanitizer),
		cmocka_unit_test(test_heap_suppress__files_of_rules),
		cmocka_unit_test(test_heap_suppress__what_every_program_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
