/*
 * profile_builder.h - small profiles in memory for tests, in a few words each.
 *
 * Every helper asserts that it worked, so that a test reads as its data. Locations get addresses
 * by themselves, one per call: 0x1000, 0x1010, ...
 *
 * Depends on: base, profile, cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_PROFILE_BUILDER_H
#define CPROF_TESTS_PROFILE_BUILDER_H

#include "profile/header_keys.h"
#include "profile/profile.h"

enum { BUILD_PERIOD_NS = 10000000 }; /* 100 Hz: each sample is 10 ms of CPU */

/* One entry of an inline chain, as for build_chain(). */
struct build_line {
	const char *name, *file;
	uint32_t line, start_line;
};

/** An empty profile with the value types of a CPU recording. */
static inline struct profile *build_profile(void)
{
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	assert_int_equal(profile_add_value_type(profile, "samples", "count"), 0);
	assert_int_equal(profile_add_value_type(profile, "cpu", "nanoseconds"), 0);
	profile->period = BUILD_PERIOD_NS;
	return profile;
}

static inline string_id build_string(struct profile *profile, const char *text)
{
	string_id id = STRING_EMPTY;
	assert_int_equal(profile_string(profile, text, &id), 0);
	return id;
}

/** A module of this path that has functions and lines (@symbols) or nothing. */
static inline module_id build_module(struct profile *profile, const char *path, bool symbols)
{
	struct profile_module module = {
		.path = build_string(profile, path),
		.svma_start = 0x1000,
		.svma_end = 0x10000000,
		.has_functions = symbols,
		.has_filenames = symbols,
		.has_lines = symbols,
	};
	module_id id = {0};
	assert_int_equal(profile_add_module(profile, &module, &id), 0);
	return id;
}

/** A new address in a module, not symbolized. */
static inline location_id build_bare(struct profile *profile, module_id module)
{
	location_id id = {0};
	uint64_t svma = 0x1000 + 0x10 * profile->n_locations;
	assert_int_equal(profile_add_location(profile, module, svma, &id), 0);
	return id;
}

/** A new address with an inline chain, innermost first. */
static inline location_id build_chain(struct profile *profile, module_id module,
				      const struct build_line *chain, size_t n)
{
	location_id id = build_bare(profile, module);
	struct profile_line lines[8];
	assert_true(n <= 8);
	for (size_t i = 0; i < n; i++) {
		struct profile_function function = {
			.name = build_string(profile, chain[i].name),
			.system_name = build_string(profile, chain[i].name),
			.file = build_string(profile, chain[i].file),
			.start_line = chain[i].start_line,
		};
		assert_int_equal(profile_add_function(profile, &function, &lines[i].function), 0);
		lines[i].line = chain[i].line;
	}
	assert_int_equal(profile_set_lines(profile, id, lines, n), 0);
	return id;
}

/** A new address in a function that is not inlined and starts at line 1. */
static inline location_id build_at(struct profile *profile, module_id module, const char *name,
				   const char *file, uint32_t line)
{
	struct build_line chain = {name, file, line, 1};
	return build_chain(profile, module, &chain, 1);
}

static inline thread_id build_thread(struct profile *profile, uint32_t pid, uint32_t tid,
				     const char *comm, const char *name)
{
	struct profile_thread thread = {
		.pid = pid,
		.tid = tid,
		.comm = build_string(profile, comm),
		.name = build_string(profile, name),
	};
	thread_id id = {0};
	assert_int_equal(profile_add_thread(profile, &thread, &id), 0);
	return id;
}

/** Add @count samples of a stack that ends for the reason @stop; stack[0] = leaf. */
static inline void build_stopped(struct profile *profile, thread_id thread, enum cp_stop stop,
				 int64_t count, const location_id *stack, size_t n)
{
	struct profile_sample_key key = {.thread = thread, .stop = stop, .time_ns = -1};
	assert_int_equal(stack_store_intern(&profile->stacks, stack, n, &key.stack), 0);
	int64_t values[PROFILE_MAX_VALUES] = {count, count * BUILD_PERIOD_NS};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
}

/* Complete stacks whose outer part is from elsewhere. */
static inline void build_joined(struct profile *profile, thread_id thread, enum cp_joined joined,
				int64_t count, const location_id *stack, size_t n)
{
	struct profile_sample_key key = {.thread = thread, .joined = joined, .time_ns = -1};
	assert_int_equal(stack_store_intern(&profile->stacks, stack, n, &key.stack), 0);
	int64_t values[PROFILE_MAX_VALUES] = {count, count * BUILD_PERIOD_NS};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
}

/* BUILD_SAMPLES(profile, thread, count, leaf, ..., root): complete stacks. */
#define BUILD_SAMPLES(profile, thread, count, ...)                                                 \
	do {                                                                                       \
		const location_id stack_[] = {__VA_ARGS__};                                        \
		build_stopped(profile, thread, CP_STOP_END, count, stack_,                         \
			      sizeof(stack_) / sizeof(stack_[0]));                                 \
	} while (0)

#endif
