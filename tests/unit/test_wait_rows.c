#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/flamegraph.h"
#include "output/folded.h"

#include "../support/profile_builder.h"
#include "../support/report_made.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct wait {
	uint32_t tid;
	enum cp_state state;
	const char *waits_for;
	enum cp_inferred inferred;
	int64_t waits, ms;
	unsigned place; /* of the innermost frame */
};

static struct profile *of_waiting(const char *type, const struct wait *waits, size_t n)
{
	static const char *const names[] = {"take", "read_all", "nap"};
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	assert_int_equal(profile_add_value_type(profile, "samples", "count"), 0);
	assert_int_equal(profile_add_value_type(profile, type, "nanoseconds"), 0);
	module_id app = build_module(profile, "/bin/app", true);
	location_id main_ = build_at(profile, app, "main", "app.c", 10);
	location_id places[3];
	for (size_t i = 0; i < 3; i++)
		places[i] = build_at(profile, app, names[i], "app.c", 20 + (uint32_t)i);
	for (size_t i = 0; i < n; i++) {
		const struct wait *wait = &waits[i];
		struct profile_sample_key key = {
			.thread = build_thread(profile, 7, wait->tid, "app", "worker"),
			.state = wait->state,
			.waits_for = build_string(profile, wait->waits_for),
			.inferred = wait->inferred,
			.time_ns = -1,
		};
		location_id stack[] = {places[wait->place], main_};
		assert_int_equal(stack_store_intern(&profile->stacks, stack, 2, &key.stack), 0);
		int64_t values[] = {wait->waits, wait->ms * 1000000};
		assert_int_equal(profile_add_sample(profile, &key, values), 0);
	}
	return profile;
}

/* 10 s of waiting: 6 s for two locks, 3 s asleep, 1 s for a CPU; of few and of many waits. */
static struct profile *example(const char *type)
{
	static const struct wait waits[] = {
		{8, CP_STATE_LOCK, "0x1000", CP_INFERRED_NO, 5, 3000, 0},
		{9, CP_STATE_LOCK, "0x1000", CP_INFERRED_NO, 2, 1000, 0},
		{9, CP_STATE_LOCK, "0x1000", CP_INFERRED_WAIT, 1000, 1500, 1},
		{9, CP_STATE_LOCK, "0x2000", CP_INFERRED_NO, 1, 500, 1},
		{7, CP_STATE_SLEEP, "", CP_INFERRED_FRAMES, 1, 3000, 2},
		{7, CP_STATE_RUNNABLE, "", CP_INFERRED_NO, 4000, 1000, 2},
	};
	return of_waiting(type, waits, sizeof(waits) / sizeof(waits[0]));
}

/* The example in *state. */
static int setup(void **state)
{
	*state = example("off_cpu");
	return 0;
}

static int teardown(void **state)
{
	profile_destroy(*state);
	return 0;
}

static char *written(const struct profile *profile, enum report_format format, enum report_by by)
{
	const struct report_options options = {.format = format, .by = by, .path = "p"};
	return report_made(profile, &options);
}

/* @parts: all of them in one report; NULL ends them */
static void expect_parts(const struct profile *profile, enum report_format format,
			 enum report_by by, const char *const *parts)
{
	char *text = written(profile, format, by);
	for (; *parts; parts++)
		expect_part(text, *parts);
	free(text);
}

#define EXPECT(profile, format, by, ...)                                                           \
	expect_parts(profile, format, by, (const char *const[]){__VA_ARGS__, NULL})

static json_t *written_json(const struct profile *profile, enum report_by by)
{
	char *text = written(profile, REPORT_JSON, by);
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	free(text);
	return root;
}

static void test_wait_rows__time_counts_and_not_the_number_of_waits(void **state)
{
	EXPECT(*state, REPORT_TEXT, REPORT_BY_FUNCTION,
	       "5,009 waits, 10.00 s off-CPU time on 3 threads of 1 process",
	       "  SELF %  SELF s  TOTAL %  FUNCTION",
	       "  40.0 %    4.00   40.0 %  take      app.c:20\n",
	       "Quality: 100.0 % complete stacks (45.0 % inferred)",
	       "45.0 % of the time has an inferred stack: callers were searched for");
	EXPECT(*state, REPORT_MARKDOWN, REPORT_BY_FUNCTION, "5,009 waits, 10.00 s off-CPU time");
	struct profile *wall = example("wall");
	EXPECT(wall, REPORT_TEXT, REPORT_BY_FUNCTION,
	       "5,009 samples, 10.00 s wall time on 3 threads of 1 process");
	profile_destroy(wall);
}

static void
test_wait_rows__the_report_says_how_durations_are_known_and_what_is_missing(void **state)
{
	struct profile *profile = *state;
	profile_header_set(profile, HEADER_EVENT, "context-switches");
	profile_header_set(profile, HEADER_OFF_CPU_DURATIONS, HEADER_OFF_CPU_EXACT);
	profile_header_set(profile, HEADER_OFF_CPU_WAIT_NS, "9000000000");
	profile_header_set(profile, HEADER_OFF_CPU_SEEN_NS, "4500000000");
	profile_header_set(profile, HEADER_OFF_CPU_BROKEN, "2");
	profile_header_set(profile, HEADER_LOST, "12");
	profile_header_set(profile, HEADER_BUFFERS_LIMITED, "mlock");
	EXPECT(profile, REPORT_TEXT, REPORT_BY_FUNCTION, "context-switches (exact durations)",
	       "durations are exact, from the kernel's records of switches; 50.0 % of the "
	       "time waited for something has the stack that was taken in that wait",
	       "2 waits are missing: the record of the beginning or the end was lost",
	       "12 records of switches were lost, and with them the waits around: the "
	       "kernel's buffers were full; raise kernel.perf_event_mlock_kb\n");
	profile_header_set(profile, HEADER_OFF_CPU_DURATIONS, HEADER_OFF_CPU_SAMPLED);
	EXPECT(profile, REPORT_TEXT, REPORT_BY_FUNCTION, "5,009 samples, 10.00 s off-CPU time",
	       "durations are sampled, as the kernel's records of switches may not be had");
}

static void test_wait_rows__states_add_up_to_all_of_the_time(void **state)
{
	EXPECT(*state, REPORT_TEXT, REPORT_BY_STATE,
	       "  SELF %  SELF s  STATE              NUMBER\n"
	       "  60.0 %    6.00  lock               1,008 waits\n"
	       "  30.0 %    3.00  sleep              1 wait\n"
	       "  10.0 %    1.00  waiting for a CPU  4,000 waits\n");
	EXPECT(*state, REPORT_MARKDOWN, REPORT_BY_STATE,
	       "| 60.0 % | 6.00 | `lock` | 1,008 waits |\n");
	json_t *root = written_json(*state, REPORT_BY_STATE);
	const char *name = NULL;
	json_int_t ns = 0, count = 0, all = 0;
	assert_int_equal(json_unpack(root, "{s:{s:I},s:[{s:s,s:I,s:I}]}", "totals", "samples", &all,
				     "hotspots", "state", &name, "self_samples", &ns, "self_count",
				     &count),
			 0);
	assert_int_equal(all, 10000000000);
	assert_string_equal(name, "lock");
	assert_int_equal(ns, 6000000000);
	assert_int_equal(count, 1008);
	json_decref(root);
}

static void test_wait_rows__locks_come_with_their_waiters(void **state)
{
	EXPECT(*state, REPORT_TEXT, REPORT_BY_LOCK,
	       "  55.0 %    5.50  0x1000  app (pid 7), 2 threads, 1,007 waits\n"
	       "            4.00 s  take < main\n"
	       "            1.50 s  read_all < main\n"
	       "   5.0 %    0.50  0x2000  app (pid 7), 1 thread, 1 wait\n");
	EXPECT(*state, REPORT_MARKDOWN, REPORT_BY_LOCK,
	       "| 55.0 % | 5.50 | `0x1000` | app (pid 7), 2 threads, 1,007 waits |\n",
	       "- `0x1000`: 4.00 s");
	json_t *root = written_json(*state, REPORT_BY_LOCK);
	const char *lock = NULL, *leaf = NULL, *outer = NULL;
	json_int_t pid = 0, threads = 0, ns = 0;
	assert_int_equal(json_unpack(root, "{s:[{s:s,s:I,s:I,s:[{s:I,s:[s,s]}]}]}", "hotspots",
				     "lock", &lock, "pid", &pid, "threads", &threads, "stacks",
				     "samples", &ns, "frames", &leaf, &outer),
			 0);
	assert_string_equal(lock, "0x1000");
	assert_int_equal(pid, 7);
	assert_int_equal(threads, 2);
	assert_int_equal(ns, 4000000000);
	assert_string_equal(leaf, "take");
	assert_string_equal(outer, "main");
	json_decref(root);
}

static void expect_refused(const struct profile *profile, enum report_by by)
{
	const struct report_options options = {.by = by, .path = "p"};
	char *message = report_made_with(profile, &options, -ENODATA);
	expect_part(message, "record with --mode wall or --mode offcpu");
	free(message);
}

static void test_wait_rows__a_profile_without_states_is_told_apart_from_one_without_locks(void **s)
{
	(void)s;
	static const struct wait asleep[] = {{7, CP_STATE_SLEEP, "", CP_INFERRED_NO, 1, 10, 2}};
	struct profile *profile = of_waiting("wall", asleep, 1);
	EXPECT(profile, REPORT_TEXT, REPORT_BY_LOCK, "no lock was waited for\n");
	profile_destroy(profile);
	static const struct wait silent[] = {{7, CP_STATE_NONE, "", CP_INFERRED_NO, 1, 10, 2}};
	profile = of_waiting("wall", silent, 1);
	expect_refused(profile, REPORT_BY_LOCK);
	expect_refused(profile, REPORT_BY_STATE);
	profile_destroy(profile);
}

static void test_wait_rows__folded_stacks_and_flame_graphs_are_in_time(void **state)
{
	struct cp_err err = {""};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_int_equal(folded_write(*state, &(struct folded_options){0}, out, &err), 0);
	fclose(out);
	assert_string_equal(text, "app;[estimated];main;read_all 1500000000\n"
				  "app;[inferred];main;nap 3000000000\n"
				  "app;main;nap 1000000000\n"
				  "app;main;read_all 500000000\n"
				  "app;main;take 4000000000\n");
	free(text);
	out = open_memstream(&text, &size);
	assert_int_equal(flamegraph_write(*state, &(struct flamegraph_options){0}, out, &err), 0);
	fclose(out);
	expect_part(text, "10.0 s off-CPU time");
	expect_part(text, "<title>take (4.0 s, 40.00 %)</title>");
	expect_part(text, "[estimated]: short waits, with another stack of the thread");
	expect_part(text, "[inferred]: callers searched for, not seen");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_wait_rows__time_counts_and_not_the_number_of_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_wait_rows__the_report_says_how_durations_are_known_and_what_is_missing,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_rows__states_add_up_to_all_of_the_time,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_rows__locks_come_with_their_waiters,
						setup, teardown),
		cmocka_unit_test(
			test_wait_rows__a_profile_without_states_is_told_apart_from_one_without_locks),
		cmocka_unit_test_setup_teardown(
			test_wait_rows__folded_stacks_and_flame_graphs_are_in_time, setup,
			teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
