/*
 * profile_full.h - one small profile in which every field of the model says something.
 *
 * Depends on: profile_builder.h (included by it), cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_PROFILE_FULL_H
#define CPROF_TESTS_PROFILE_FULL_H

#include "profile_builder.h"

/* In full_profile(): by name, stop, join and state, and those written out there. */
enum { FULL_SAMPLES = 3 + CP_STOP_COUNT + CP_JOINED_COUNT + CP_STATE_COUNT + 2 + 3 };

static inline void full_sample(struct profile *profile, thread_id thread, enum cp_stop stop,
			       int64_t time_ns, int64_t count, const location_id *frames, size_t n)
{
	struct profile_sample_key key = {.thread = thread, .stop = stop, .time_ns = time_ns};
	assert_int_equal(stack_store_intern(&profile->stacks, frames, n, &key.stack), 0);
	int64_t values[] = {count, count * BUILD_PERIOD_NS};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
}

static inline void full_joined(struct profile *profile, thread_id thread, enum cp_joined joined,
			       int64_t count, const location_id *frames, size_t n)
{
	struct profile_sample_key key = {
		.thread = thread, .stop = CP_STOP_END, .joined = joined, .time_ns = 30000000};
	assert_int_equal(stack_store_intern(&profile->stacks, frames, n, &key.stack), 0);
	int64_t values[] = {count, count * BUILD_PERIOD_NS};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
}

static inline void full_wait(struct profile *profile, thread_id thread, enum cp_state state,
			     enum cp_inferred inferred, const char *waits_for,
			     const location_id *frames, size_t n)
{
	struct profile_sample_key key = {
		.thread = thread,
		.state = state,
		.inferred = inferred,
		.waits_for = build_string(profile, waits_for),
		.time_ns = 40000000,
	};
	assert_int_equal(stack_store_intern(&profile->stacks, frames, n, &key.stack), 0);
	int64_t values[] = {1 + (int64_t)state, 10 * (int64_t)inferred};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
}

static inline location_id full_location(struct profile *profile, module_id module, uint64_t svma)
{
	location_id id = {0};
	assert_int_equal(profile_add_location(profile, module, svma, &id), 0);
	return id;
}

/** Modules, locations, functions and the header. */
static inline struct profile *full_tables(void)
{
	struct profile *profile = build_profile();
	profile->period_type = (struct profile_value_type){build_string(profile, "cpu"),
							   build_string(profile, "nanoseconds")};
	profile->start_ns = 1700000000123456789;
	profile->duration_ns = 2500000000;
	struct profile_module app = {
		.path = build_string(profile, "/opt/app/bin/app"),
		.build_id = build_string(profile, "0123456789abcdef0123456789abcdef01234567"),
		.svma_start = 0x1000,
		.svma_end = 0x9000,
		.file_off = 0x1000,
		.has_functions = true,
		.has_filenames = true,
		.has_lines = true,
		.has_inlines = true,
	};
	struct profile_module kernel = {
		.path = build_string(profile, PROFILE_PATH_KERNEL),
		.svma_start = 0xffffffff81000000,
		.svma_end = 0xffffffffffffffff,
		.has_functions = true,
	};
	struct profile_module unknown = {.path = build_string(profile, PROFILE_PATH_UNKNOWN)};
	module_id ids[3];
	assert_int_equal(profile_add_module(profile, &app, &ids[0]), 0);
	assert_int_equal(profile_add_module(profile, &kernel, &ids[1]), 0);
	assert_int_equal(profile_add_module(profile, &unknown, &ids[2]), 0);
	/* location 0: two inlined functions in main; 1: plain; 2: kernel; 3 and 4: not known */
	struct build_line chain[] = {{"inner", "inner.h", 7, 5},
				     {"middle", "app.c", 70, 60},
				     {"main", "app.c", 123, 100}};
	location_id location = full_location(profile, ids[0], 0x1234);
	struct profile_line lines[3];
	for (size_t i = 0; i < 3; i++) {
		struct profile_function function = {
			.name = build_string(profile, chain[i].name),
			.system_name = build_string(profile, i ? chain[i].name : "_Z5innerv"),
			.file = build_string(profile, chain[i].file),
			.start_line = chain[i].start_line,
		};
		assert_int_equal(profile_add_function(profile, &function, &lines[i].function), 0);
		lines[i].line = chain[i].line;
	}
	assert_int_equal(profile_set_lines(profile, location, lines, 3), 0);
	location = full_location(profile, ids[0], 0x2345);
	assert_int_equal(profile_set_lines(profile, location, lines + 2, 1), 0);
	full_location(profile, ids[1], 0xffffffff81234567);
	full_location(profile, ids[2], 0x7f0000001000);
	full_location(profile, ids[0], 0x8fff);
	assert_int_equal(profile_header_set(profile, HEADER_ENGINE, "perf"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_COMMAND, "app --x='a=b' \xc3\xa9"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_LOST, "0"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_PIDS, ""), 0);
	return profile;
}

/** The same with samples: all stops, all joins, all states, with and without time, empty stack, no
 * thread. */
static inline struct profile *full_profile(void)
{
	struct profile *profile = full_tables();
	thread_id main_thread = build_thread(profile, 100, 100, "app", "app");
	thread_id worker = build_thread(profile, 100, 101, "app", "worker 1");
	thread_id nobody = build_thread(profile, 0, 0, "", "");
	location_id deep[] = {{2}, {0}, {1}, {1}, {4}};
	full_sample(profile, main_thread, CP_STOP_END, 0, 3, deep, 5);
	full_sample(profile, main_thread, CP_STOP_END, 10000000, 4, deep, 5);
	full_sample(profile, main_thread, CP_STOP_END, -1, 5, deep, 5);
	for (int stop = 0; stop < CP_STOP_COUNT; stop++)
		full_sample(profile, worker, (enum cp_stop)stop, 20000000, 10 + stop, deep + 1, 3);
	for (int joined = 0; joined < CP_JOINED_COUNT; joined++)
		full_joined(profile, worker, (enum cp_joined)joined, 100 + joined, deep, 5);
	for (int state = 0; state < CP_STATE_COUNT; state++)
		full_wait(profile, worker, (enum cp_state)state,
			  (enum cp_inferred)(state % CP_INFERRED_COUNT),
			  state % 2 ? "0x7f0000002000" : "", deep, 2);
	full_wait(profile, worker, CP_STATE_LOCK, CP_INFERRED_NO, "0x7f0000003000", deep, 2);
	full_wait(profile, worker, CP_STATE_IO, CP_INFERRED_NO, "/tmp/a file", deep, 2);
	full_sample(profile, worker, CP_STOP_NO_USER, -1, 1, NULL, 0);
	full_sample(profile, nobody, CP_STOP_END, -1, 1LL << 38, deep + 3, 1);
	full_sample(profile, nobody, CP_STOP_NO_MAP, -1, -7, deep + 3, 2);
	return profile;
}

#endif
