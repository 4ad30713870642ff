#include "symbolizer/jit_times.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/jitdump_writer.h"
#include "../support/profile_builder.h"
#include "../support/temp_dir.h"

/* The timeline begins at 1000 s on the clock, in steps of 10 ms. */
static const uint64_t start_ns = 1000000000000, quantum_ns = 10000000;
enum { CODE = 0x7000, MAPPED_BYTES = 4096 };

/* A dump that this process has mapped, as a runtime does. */
static void *map_dump(void **state, const struct bytes *bytes)
{
	const char *path = temp_dir_file(*state, "jit-1.dump");
	temp_dir_write(path, bytes->data, bytes->n);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	void *place = mmap(NULL, MAPPED_BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(place != MAP_FAILED);
	close(fd);
	return place;
}

static module_id jit_module(struct profile *profile)
{
	char path[32];
	snprintf(path, sizeof(path), PROFILE_PATH_JIT "%d]", (int)getpid());
	const struct profile_module whole = {.path = build_string(profile, path),
					     .svma_end = UINT64_MAX};
	module_id id = {0};
	assert_int_equal(profile_add_module(profile, &whole, &id), 0);
	return id;
}

static struct profile *new_profile(void)
{
	struct profile *profile = build_profile();
	assert_int_equal(profile_header_setf(profile, HEADER_TIME_START_NS, "%llu",
					     (unsigned long long)start_ns),
			 0);
	assert_int_equal(profile_header_setf(profile, HEADER_TIME_QUANTUM_NS, "%llu",
					     (unsigned long long)quantum_ns),
			 0);
	return profile;
}

/* One sample: the caller, and the generated code at @svma. */
static void add_sample(struct profile *profile, int64_t time_ns, uint64_t svma)
{
	const module_id program = build_module(profile, "/bin/runtime", true);
	location_id stack[2] = {{0}};
	struct profile_sample_key key = {.time_ns = time_ns};
	const int64_t values[] = {1, 1};
	assert_int_equal(profile_add_location(profile, jit_module(profile), svma, &stack[0]), 0);
	assert_int_equal(profile_add_location(profile, program, 0x100, &stack[1]), 0);
	assert_int_equal(stack_store_intern(&profile->stacks, stack, 2, &key.stack), 0);
	assert_true(profile->n_value_types <= 2);
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
}

/* What a sample's leaf is called by now: "" = it is left to be looked up. */
static const char *leaf_name(const struct profile *profile, size_t sample)
{
	const location_id leaf = stack_store_leaf(&profile->stacks, profile->samples[sample].stack);
	const struct profile_location *location = &profile->locations[leaf.v];
	if (location->n_lines == 0)
		return "";
	const function_id function = profile->lines[location->first_line].function;
	return profile_text(profile, profile->functions[function.v].name);
}

static void test_jit_times__samples_get_what_was_there_at_their_time(void **state)
{
	struct bytes bytes = {.data = NULL};
	jitdump_put_header(&bytes);
	jitdump_put_load_at(&bytes, "one", CODE, 0x40, 1, start_ns + 50000000);
	jitdump_put_load_at(&bytes, "alone", CODE + 0x100, 0x40, 2, start_ns + 50000000);
	jitdump_put_load_at(&bytes, "two", CODE + 0x20, 0x40, 3, start_ns + 200000000);
	jitdump_put_load_at(&bytes, "three", CODE, 0x40, 4, start_ns + 300000000);
	void *place = map_dump(state, &bytes);
	struct profile *profile = new_profile();
	const struct {
		int64_t time_ns;
		uint64_t offset;
		const char *wanted;
	} cases[] = {
		{100000000, 0x28, "one"}, {190000000, 0x28, "one"}, {200000000, 0x28, "two"},
		{290000000, 0x28, "two"}, {300000000, 0x28, ""},    {100000000, 0x08, "one"},
		{290000000, 0x08, "one"}, {300000000, 0x08, ""},    {0, 0x08, "one"},
		{290000000, 0x50, ""},    {100000000, 0x108, ""},   {900000000, 0x108, ""},
		{400000000, 0x200, ""},
	};
	const size_t n = sizeof(cases) / sizeof(cases[0]);
	for (size_t i = 0; i < n; i++)
		add_sample(profile, cases[i].time_ns, CODE + cases[i].offset);
	assert_int_equal(profile->n_samples, n);
	for (int again = 0; again < 2; again++) {
		struct jit_times times = {.n = 0};
		const size_t n_locations = profile->n_locations;
		assert_int_equal(jit_times_split(profile, NULL, &times), 0);
		assert_int_equal(times.n, 0);
		assert_int_equal(profile->n_samples, n);
		for (size_t i = 0; i < n; i++) {
			assert_string_equal(leaf_name(profile, i), cases[i].wanted);
			assert_int_equal(
				stack_store_depth(&profile->stacks, profile->samples[i].stack), 2);
			assert_int_equal(profile->values[i * profile->n_value_types], 1);
		}
		/* "one" at two addresses, "two" at one */
		assert_int_equal(profile->n_locations - n_locations, again ? 0 : 3);
		jit_times_deinit(&times);
	}
	munmap(place, MAPPED_BYTES);
	free(bytes.data);
	profile_destroy(profile);
}

/* Also where a runtime writes no times at all: the later record counts, as in the look-up. */
static void test_jit_times__of_one_time_the_last_counts(void **state)
{
	struct bytes bytes = {.data = NULL};
	jitdump_put_header(&bytes);
	jitdump_put_load_at(&bytes, "before", CODE + 0x20, 0x40, 1, start_ns);
	jitdump_put_load_at(&bytes, "after", CODE, 0x40, 2, start_ns);
	void *place = map_dump(state, &bytes);
	struct profile *profile = new_profile();
	struct jit_times times = {.n = 0};
	add_sample(profile, 100000000, CODE + 0x28);
	assert_int_equal(jit_times_split(profile, NULL, &times), 0);
	assert_string_equal(leaf_name(profile, 0), "");
	jit_times_deinit(&times);
	munmap(place, MAPPED_BYTES);
	free(bytes.data);
	profile_destroy(profile);
}

/* How many addresses are in doubt, and what the header says; @why: part of it. */
static void expect_doubt(struct profile *profile, size_t n, const char *why)
{
	struct jit_times times = {.n = 0};
	char key[64];
	assert_int_equal(jit_times_split(profile, NULL, &times), 0);
	assert_int_equal(times.n, 1);
	assert_int_equal(times.notes[0].n, n);
	assert_int_equal(jit_times_tell(&times, profile), 0);
	snprintf(key, sizeof(key), "symbols." PROFILE_PATH_JIT "%d]", (int)getpid());
	assert_non_null(profile_header_get(profile, key));
	assert_non_null(strstr(profile_header_get(profile, key), why));
	/* all are looked up, by the last that was there */
	for (size_t i = 0; i < profile->n_samples; i++)
		assert_string_equal(leaf_name(profile, i), "");
	jit_times_deinit(&times);
}

static void test_jit_times__without_times_the_doubt_is_told(void **state)
{
	enum { HEADER_FLAGS = 32 };
	struct bytes bytes = {.data = NULL};
	struct profile *profile = build_profile();
	jitdump_put_header(&bytes);
	jitdump_put_load_at(&bytes, "one", CODE, 0x40, 1, start_ns);
	jitdump_put_load_at(&bytes, "two", CODE, 0x40, 2, start_ns + quantum_ns);
	void *place = map_dump(state, &bytes);
	add_sample(profile, -1, CODE + 8);
	add_sample(profile, -1, CODE + 16);
	add_sample(profile, -1, CODE + 0x100);
	expect_doubt(profile, 2, "--no-timeline");
	profile_destroy(profile);
	munmap(place, MAPPED_BYTES);

	patch_u32(&bytes, HEADER_FLAGS, 1); /* the processor's clock */
	place = map_dump(state, &bytes);
	profile = new_profile();
	add_sample(profile, 0, CODE + 8);
	expect_doubt(profile, 1, "of another clock");
	profile_destroy(profile);
	munmap(place, MAPPED_BYTES);
	free(bytes.data);
}

static void test_jit_times__a_map_has_no_times(void **state)
{
	static const char map[] = "7000 40 one\n7000 40 two\n7100 40 same\n7100 40 same\n";
	char path[64];
	(void)state;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	temp_dir_write(path, map, sizeof(map) - 1);
	struct profile *profile = new_profile();
	add_sample(profile, 0, CODE + 8);
	add_sample(profile, 0, CODE + 0x108);
	expect_doubt(profile, 1, "a perf map has no times");
	profile_destroy(profile);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_jit_times__samples_get_what_was_there_at_their_time, temp_dir_setup,
			temp_dir_teardown),
		cmocka_unit_test_setup_teardown(test_jit_times__of_one_time_the_last_counts,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(test_jit_times__without_times_the_doubt_is_told,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test(test_jit_times__a_map_has_no_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
