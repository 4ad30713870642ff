#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/profile.h"

#include "../support/profile_builder.h"

#include <errno.h>

static void test_profile__an_empty_one_knows_only_the_empty_string(void **state)
{
	(void)state;
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	assert_int_equal(profile->strings.n, 1);
	assert_int_equal(profile->n_value_types, 0);
	assert_int_equal(profile->stacks.n, 1);
	profile_destroy(profile);
	profile_destroy(NULL);
}

static void test_profile__value_types_are_columns(void **state)
{
	(void)state;
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	static const char *const names[] = {"a", "b", "c", "d", "f", "g"};
	for (size_t i = 0; i < PROFILE_MAX_VALUES; i++)
		assert_int_equal(profile_add_value_type(profile, names[i], "count"), 0);
	assert_int_equal(profile_add_value_type(profile, "e", "count"), -ENOSPC);
	assert_int_equal(profile_value_column(profile, "a"), 0);
	assert_int_equal(profile_value_column(profile, "d"), 3);
	assert_int_equal(profile_value_column(profile, "e"), -1);
	assert_int_equal(profile_value_column(profile, "count"), -1);
	profile_destroy(profile);
}

static uint32_t add_module(struct profile *profile, struct profile_module module)
{
	module_id id = {UINT32_MAX};
	assert_int_equal(profile_add_module(profile, &module, &id), 0);
	return id.v;
}

static void test_profile__modules_differ_by_path_build_id_and_place(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct profile_module module = {
		.path = build_string(profile, "/bin/a"),
		.build_id = build_string(profile, "00ff"),
		.svma_start = 0x1000,
		.svma_end = 0x2000,
		.file_off = 0x1000,
		.has_functions = true,
	};
	assert_int_equal(add_module(profile, module), 0);
	/* what symbolization found is no part of the identity, and stays as first given */
	module.has_functions = false;
	assert_int_equal(add_module(profile, module), 0);
	assert_true(profile->modules[0].has_functions);
	module.svma_end = 0x3000;
	assert_int_equal(add_module(profile, module), 1);
	module.svma_start = 0x800;
	assert_int_equal(add_module(profile, module), 2);
	module.file_off = 0;
	assert_int_equal(add_module(profile, module), 3);
	module.build_id = STRING_EMPTY;
	assert_int_equal(add_module(profile, module), 4);
	module.path = build_string(profile, PROFILE_PATH_KERNEL);
	assert_int_equal(add_module(profile, module), 5);
	assert_int_equal(profile->n_modules, 6);
	assert_true(profile_module_is_kernel(profile, (module_id){5}));
	assert_false(profile_module_is_kernel(profile, (module_id){0}));
	profile_destroy(profile);
}

static void test_profile__locations_are_addresses_in_modules(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id a = build_module(profile, "/bin/a", false);
	module_id b = build_module(profile, "/bin/b", false);
	location_id out;
	assert_int_equal(profile_add_location(profile, a, 0x1234, &out), 0);
	assert_int_equal(out.v, 0);
	assert_int_equal(profile_add_location(profile, b, 0x1234, &out), 0);
	assert_int_equal(out.v, 1);
	assert_int_equal(profile_add_location(profile, a, 0x1235, &out), 0);
	assert_int_equal(out.v, 2);
	assert_int_equal(profile_add_location(profile, b, 0x1234, &out), 0);
	assert_int_equal(out.v, 1);
	assert_int_equal(profile->n_locations, 3);
	profile_destroy(profile);
}

static void test_profile__functions_differ_by_every_field(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct profile_function function = {
		.name = build_string(profile, "f()"),
		.system_name = build_string(profile, "_Z1fv"),
		.file = build_string(profile, "f.cc"),
		.start_line = 3,
	};
	function_id out;
	assert_int_equal(profile_add_function(profile, &function, &out), 0);
	assert_int_equal(profile_add_function(profile, &function, &out), 0);
	assert_int_equal(out.v, 0);
	function.start_line = 4;
	assert_int_equal(profile_add_function(profile, &function, &out), 0);
	assert_int_equal(out.v, 1);
	function.file = STRING_EMPTY;
	assert_int_equal(profile_add_function(profile, &function, &out), 0);
	assert_int_equal(out.v, 2);
	function.system_name = function.name;
	assert_int_equal(profile_add_function(profile, &function, &out), 0);
	assert_int_equal(out.v, 3);
	profile_destroy(profile);
}

static void test_profile__lines_of_a_location_can_be_replaced(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	location_id location = build_bare(profile, build_module(profile, "/bin/a", false));
	/* no lines is no error, even as the first thing that is set */
	assert_int_equal(profile_set_lines(profile, location, NULL, 0), 0);
	assert_int_equal(profile->locations[0].n_lines, 0);
	struct profile_line lines[] = {{{4}, 10}, {{5}, 20}};
	assert_int_equal(profile_set_lines(profile, location, lines, 2), 0);
	lines[0] = (struct profile_line){{6}, 30};
	assert_int_equal(profile_set_lines(profile, location, lines, 1), 0);
	assert_int_equal(profile->locations[0].n_lines, 1);
	const struct profile_line *have = &profile->lines[profile->locations[0].first_line];
	assert_int_equal(have->function.v, 6);
	assert_int_equal(have->line, 30);
	profile_destroy(profile);
}

static void test_profile__threads_differ_by_ids_and_names(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	assert_int_equal(build_thread(profile, 1, 1, "app", "app").v, 0);
	assert_int_equal(build_thread(profile, 1, 2, "app", "app").v, 1);
	assert_int_equal(build_thread(profile, 1, 2, "app", "worker").v, 2);
	assert_int_equal(build_thread(profile, 1, 2, "sh", "worker").v, 3);
	assert_int_equal(build_thread(profile, 2, 2, "sh", "worker").v, 4);
	assert_int_equal(build_thread(profile, 1, 2, "app", "worker").v, 2);
	profile_destroy(profile);
}

static void add(struct profile *profile, struct profile_sample_key key, int64_t a, int64_t b)
{
	int64_t values[] = {a, b};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
}

static void test_profile__samples_of_equal_keys_are_summed(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct profile_sample_key key = {.time_ns = -1};
	add(profile, key, 1, 10);
	add(profile, key, 2, 20);
	key.time_ns = 0;
	add(profile, key, 4, 40);
	key.stop = CP_STOP_TRUNCATED;
	add(profile, key, 8, 80);
	key.thread.v = 1;
	add(profile, key, 16, 160);
	key.stack.v = 1;
	add(profile, key, 32, 320);
	assert_int_equal(profile->n_samples, 5);
	static const int64_t counts[] = {3, 4, 8, 16, 32};
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(profile->values[2 * i], counts[i]);
		assert_int_equal(profile->values[2 * i + 1], counts[i] * 10);
	}
	profile_destroy(profile);
}

static void test_profile__samples_differ_by_what_their_thread_did(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct profile_sample_key key = {.time_ns = -1};
	add(profile, key, 1, 10);
	key.state = CP_STATE_LOCK;
	add(profile, key, 2, 20);
	key.waits_for = build_string(profile, "0x1000");
	add(profile, key, 4, 40);
	key.waits_for = build_string(profile, "0x2000");
	add(profile, key, 8, 80);
	key.inferred = CP_INFERRED_FRAMES;
	add(profile, key, 16, 160);
	add(profile, key, 16, 160);
	assert_int_equal(profile->n_samples, 5);
	static const int64_t counts[] = {1, 2, 4, 8, 32};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(profile->values[2 * i], counts[i]);
	profile_destroy(profile);
}

static void test_profile__sums_saturate(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct profile_sample_key key = {.time_ns = -1};
	add(profile, key, INT64_MAX, INT64_MIN);
	add(profile, key, 1, -1);
	assert_true(profile->values[0] == INT64_MAX);
	assert_true(profile->values[1] == INT64_MIN);
	profile_destroy(profile);
}

static void test_profile__clear_keeps_all_but_the_samples(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	location_id f = build_at(profile, build_module(profile, "/bin/a", true), "f", "f.c", 1);
	BUILD_SAMPLES(profile, thread, 5, f);
	profile_clear_samples(profile);
	assert_int_equal(profile->n_samples, 0);
	assert_int_equal(profile->stacks.n, 1);
	assert_int_equal(profile->n_locations, 1);
	assert_int_equal(profile->n_threads, 1);
	BUILD_SAMPLES(profile, thread, 2, f);
	assert_int_equal(profile->n_samples, 1);
	assert_int_equal(profile->values[0], 2);
	profile_destroy(profile);
}

static void test_profile__threads_can_be_forgotten(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	build_thread(profile, 1, 1, "app", "app");
	thread_id second = build_thread(profile, 2, 2, "app", "app");
	profile_clear_threads(profile);
	assert_int_equal(profile->n_threads, 0);
	/* numbers begin anew, and none is found that is no more */
	thread_id again = build_thread(profile, 2, 2, "app", "app");
	assert_int_equal(second.v, 1);
	assert_int_equal(again.v, 0);
	assert_int_equal(build_thread(profile, 1, 1, "app", "app").v, 1);
	assert_int_equal(profile->n_threads, 2);
	profile_destroy(profile);
}

/* 10 stacks at 100 instants of 10 ms; the value of each says which one it is. */
static struct profile *build_timeline(int64_t *sum)
{
	struct profile *profile = build_profile();
	*sum = 0;
	for (uint32_t stack = 0; stack < 10; stack++) {
		for (int64_t tick = 0; tick < 100; tick++) {
			struct profile_sample_key key = {.stack = {stack},
							 .time_ns = tick * 10000000};
			add(profile, key, tick + 1, (tick + 1) * 1000 + stack);
			*sum += tick + 1;
		}
	}
	return profile;
}

static void test_profile__coarsening_merges_exactly(void **state)
{
	(void)state;
	int64_t sum;
	struct profile *profile = build_timeline(&sum);
	assert_int_equal(profile->n_samples, 1000);
	assert_int_equal(profile_coarsen(profile, 100000000), 0);
	assert_int_equal(profile->n_samples, 100);
	int64_t have = 0;
	for (size_t i = 0; i < profile->n_samples; i++) {
		const struct profile_sample_key *key = &profile->samples[i];
		assert_int_equal(key->time_ns % 100000000, 0);
		/* ticks 10 k .. 10 k + 9 have the values 10 k + 1 .. 10 k + 10 */
		int64_t k = key->time_ns / 100000000;
		int64_t expected = 10 * (10 * k) + 55;
		assert_int_equal(profile->values[2 * i], expected);
		assert_int_equal(profile->values[2 * i + 1],
				 expected * 1000 + 10 * (int64_t)key->stack.v);
		have += profile->values[2 * i];
	}
	assert_int_equal(have, sum);
	profile_destroy(profile);
}

static void test_profile__coarsening_to_zero_drops_the_time(void **state)
{
	(void)state;
	int64_t sum;
	struct profile *profile = build_timeline(&sum);
	assert_int_equal(profile_coarsen(profile, 0), 0);
	assert_int_equal(profile->n_samples, 10);
	int64_t have = 0;
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(profile->samples[i].time_ns, -1);
		have += profile->values[2 * i];
	}
	assert_int_equal(have, sum);
	/* and new samples find their place */
	add(profile, (struct profile_sample_key){.stack = {3}, .time_ns = -1}, 1, 1);
	assert_int_equal(profile->n_samples, 10);
	profile_destroy(profile);
}

static void test_profile__header_keeps_the_last_value_of_a_key(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	assert_int_equal(profile_header_set(profile, "engine", "perf"), 0);
	assert_int_equal(profile_header_setf(profile, HEADER_LOST, "%d", 12), 0);
	assert_int_equal(profile_header_setf(profile, HEADER_LOST, "%d", 34), 0);
	assert_int_equal(profile->n_header, 2);
	assert_string_equal(profile_header_get(profile, "engine"), "perf");
	assert_string_equal(profile_header_get(profile, HEADER_LOST), "34");
	assert_null(profile_header_get(profile, "absent"));
	assert_int_equal(profile_header_u64(profile, HEADER_LOST, 99), 34);
	assert_int_equal(profile_header_u64(profile, "engine", 99), 99);
	assert_int_equal(profile_header_u64(profile, "absent", 99), 99);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profile__an_empty_one_knows_only_the_empty_string),
		cmocka_unit_test(test_profile__value_types_are_columns),
		cmocka_unit_test(test_profile__modules_differ_by_path_build_id_and_place),
		cmocka_unit_test(test_profile__locations_are_addresses_in_modules),
		cmocka_unit_test(test_profile__functions_differ_by_every_field),
		cmocka_unit_test(test_profile__lines_of_a_location_can_be_replaced),
		cmocka_unit_test(test_profile__threads_differ_by_ids_and_names),
		cmocka_unit_test(test_profile__samples_of_equal_keys_are_summed),
		cmocka_unit_test(test_profile__samples_differ_by_what_their_thread_did),
		cmocka_unit_test(test_profile__sums_saturate),
		cmocka_unit_test(test_profile__clear_keeps_all_but_the_samples),
		cmocka_unit_test(test_profile__threads_can_be_forgotten),
		cmocka_unit_test(test_profile__coarsening_merges_exactly),
		cmocka_unit_test(test_profile__coarsening_to_zero_drops_the_time),
		cmocka_unit_test(test_profile__header_keeps_the_last_value_of_a_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
