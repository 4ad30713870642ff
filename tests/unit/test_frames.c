#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/frames.h"

#include "../support/profile_builder.h"

#include <stdlib.h>

static const struct frame *only_frame(const struct frames *frames, location_id location)
{
	size_t n;
	const frame_id *ids = frames_of_location(frames, location, &n);
	assert_int_equal(n, 1);
	return frames_get(frames, ids[0]);
}

static void test_frames__bare_location_is_named_after_its_module(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	location_id libc = build_bare(profile, build_module(profile, "/usr/lib/libc.so.6", false));
	location_id kernel = build_bare(profile, build_module(profile, PROFILE_PATH_KERNEL, false));
	location_id jit = build_bare(profile, build_module(profile, "[jit:4711]", false));
	location_id unknown =
		build_bare(profile, build_module(profile, PROFILE_PATH_UNKNOWN, false));
	location_id nameless = build_bare(profile, build_module(profile, "", false));
	location_id directory = build_bare(profile, build_module(profile, "/odd/", false));
	struct frames *frames;
	assert_int_equal(frames_create(profile, &frames), 0);

	static const struct {
		const char *name;
		bool kernel, jit;
	} expected[] = {
		{"[libc.so.6]", false, false}, {"[kernel.kallsyms]", true, false},
		{"[jit:4711]", false, true},   {"[unknown]", false, false},
		{"[unknown]", false, false},   {"[/odd/]", false, false},
	};
	location_id locations[] = {libc, kernel, jit, unknown, nameless, directory};
	for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
		const struct frame *frame = only_frame(frames, locations[i]);
		assert_string_equal(frames_text(frames, frame->name), expected[i].name);
		assert_int_equal(frame->kernel, expected[i].kernel);
		assert_int_equal(frame->jit, expected[i].jit);
		assert_false(frame->symbolized);
		assert_false(frame->inlined);
		assert_int_equal(frame->line, 0);
		assert_string_equal(frames_text(frames, frame->file), "");
	}
	assert_string_equal(frames_text(frames, only_frame(frames, libc)->module),
			    "/usr/lib/libc.so.6");
	frames_destroy(frames);
	profile_destroy(profile);
}

static void test_frames__inline_chain_is_innermost_first(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id module = build_module(profile, "/bin/app", true);
	const struct build_line chain[] = {
		{"clamp", "util.h", 7, 5},
		{"scale", "util.h", 20, 18},
		{"render", "render.c", 101, 90},
	};
	location_id location = build_chain(profile, module, chain, 3);
	struct frames *frames;
	assert_int_equal(frames_create(profile, &frames), 0);
	size_t n;
	const frame_id *ids = frames_of_location(frames, location, &n);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct frame *frame = frames_get(frames, ids[i]);
		assert_string_equal(frames_text(frames, frame->name), chain[i].name);
		assert_string_equal(frames_text(frames, frame->file), chain[i].file);
		assert_int_equal(frame->line, chain[i].line);
		assert_int_equal(frame->start_line, chain[i].start_line);
		assert_true(frame->symbolized);
		assert_int_equal(frame->inlined, i < 2);
	}
	frames_destroy(frames);
	profile_destroy(profile);
}

static void test_frames__addresses_of_one_line_are_one_frame(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	module_id other = build_module(profile, "/bin/other", true);
	location_id a = build_at(profile, app, "run", "run.c", 10);
	location_id b = build_at(profile, app, "run", "run.c", 10);
	location_id c = build_at(profile, app, "run", "run.c", 11);
	location_id d = build_at(profile, other, "run", "run.c", 10);
	struct frames *frames;
	assert_int_equal(frames_create(profile, &frames), 0);
	assert_ptr_equal(only_frame(frames, a), only_frame(frames, b));
	assert_ptr_not_equal(only_frame(frames, a), only_frame(frames, c));
	assert_ptr_not_equal(only_frame(frames, a), only_frame(frames, d));
	assert_int_equal(frames_count(frames), 3);
	frames_destroy(frames);
	profile_destroy(profile);
}

static void test_frames__nameless_function_falls_back_to_its_module(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id module = build_module(profile, "/bin/app", true);
	location_id location = build_at(profile, module, "", "run.c", 10);
	struct frames *frames;
	assert_int_equal(frames_create(profile, &frames), 0);
	const struct frame *frame = only_frame(frames, location);
	assert_string_equal(frames_text(frames, frame->name), "[app]");
	assert_false(frame->symbolized);
	assert_int_equal(frame->line, 10);
	frames_destroy(frames);
	profile_destroy(profile);
}

static void test_frames__line_without_a_file_is_unknown(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	location_id location =
		build_at(profile, build_module(profile, "/bin/app", true), "run", "", 10);
	struct frames *frames;
	assert_int_equal(frames_create(profile, &frames), 0);
	assert_int_equal(only_frame(frames, location)->line, 0);
	assert_int_equal(only_frame(frames, location)->start_line, 0);
	assert_true(only_frame(frames, location)->symbolized);
	frames_destroy(frames);
	profile_destroy(profile);
}

static void test_frames__stack_is_leaf_first_with_inlines_expanded(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id module = build_module(profile, "/bin/app", true);
	const struct build_line chain[] = {{"inner", "a.h", 1, 1}, {"leaf", "a.c", 2, 1}};
	location_id stack[] = {
		build_chain(profile, module, chain, 2),
		build_at(profile, module, "middle", "a.c", 30),
		build_at(profile, module, "main", "a.c", 40),
	};
	stack_id id;
	assert_int_equal(stack_store_intern(&profile->stacks, stack, 3, &id), 0);
	struct frames *frames;
	assert_int_equal(frames_create(profile, &frames), 0);
	frame_id *array = NULL;
	size_t cap = 0;
	assert_int_equal(frames_of_stack(frames, STACK_NONE, &array, &cap), 0);
	/* twice, as callers reuse the array */
	for (int round = 0; round < 2; round++) {
		static const char *const expected[] = {"inner", "leaf", "middle", "main"};
		assert_int_equal(frames_of_stack(frames, id, &array, &cap), 4);
		for (size_t i = 0; i < 4; i++)
			assert_string_equal(frames_text(frames, frames_get(frames, array[i])->name),
					    expected[i]);
	}
	free(array);
	frames_destroy(frames);
	profile_destroy(profile);
}

static void test_frames__empty_profile_has_none(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct frames *frames;
	assert_int_equal(frames_create(profile, &frames), 0);
	assert_int_equal(frames_count(frames), 0);
	frames_destroy(frames);
	frames_destroy(NULL);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames__bare_location_is_named_after_its_module),
		cmocka_unit_test(test_frames__inline_chain_is_innermost_first),
		cmocka_unit_test(test_frames__addresses_of_one_line_are_one_frame),
		cmocka_unit_test(test_frames__nameless_function_falls_back_to_its_module),
		cmocka_unit_test(test_frames__line_without_a_file_is_unknown),
		cmocka_unit_test(test_frames__stack_is_leaf_first_with_inlines_expanded),
		cmocka_unit_test(test_frames__empty_profile_has_none),
	};
	return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
