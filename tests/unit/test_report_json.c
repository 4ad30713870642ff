#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/profile_builder.h"
#include "../support/report_made.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The report, parsed by a strict parser: invalid UTF-8 and duplicate keys are errors. */
static json_t *report(const struct profile *profile, struct report_options options)
{
	options.format = REPORT_JSON;
	char *text = report_made(profile, &options);
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		fail_msg("line %d: %s", error.line, error.text);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	return root;
}

static const json_t *get(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (!value)
		fail_msg("no key %s", key);
	return value;
}

static void expect_text(const json_t *object, const char *key, const char *expected)
{
	assert_true(json_is_string(get(object, key)));
	assert_string_equal(json_string_value(get(object, key)), expected);
}

static void expect_int(const json_t *object, const char *key, int64_t expected)
{
	assert_true(json_is_integer(get(object, key)));
	assert_int_equal(json_integer_value(get(object, key)), expected);
}

static void expect_pct(const json_t *object, const char *key, double expected)
{
	assert_true(json_is_real(get(object, key)));
	assert_true(fabs(json_real_value(get(object, key)) - expected) < 1e-9);
}

static void expect_null(const json_t *object, const char *key)
{
	assert_true(json_is_null(get(object, key)));
}

static const json_t *row(const json_t *root, size_t i)
{
	const json_t *value = json_array_get(get(root, "hotspots"), i);
	assert_non_null(value);
	return value;
}

static void set(struct profile *profile, const char *key, const char *value)
{
	assert_int_equal(profile_header_set(profile, key, value), 0);
}

/* 7 samples: work 4 (inlined into main), read in the kernel 2, one truncated in work. */
static struct profile *example(void)
{
	struct profile *profile = build_profile();
	profile->start_ns = 1767600000012345678;
	profile->duration_ns = 2500000000;
	set(profile, HEADER_CPROF_VERSION, "0.1.0");
	set(profile, HEADER_COMMAND, "app --fast");
	set(profile, HEADER_PIDS, "7,9");
	set(profile, HEADER_RATE_HZ, "100");
	set(profile, HEADER_LOST, "3");
	set(profile, HEADER_RUNTIMES, "python");
	set(profile, HEADER_CPUS, "many");
	module_id app = build_module(profile, "/bin/app", true);
	module_id kernel = build_module(profile, PROFILE_PATH_KERNEL, true);
	thread_id thread = build_thread(profile, 7, 8, "app", "worker");
	const struct build_line chain[] = {{"work", "work.h", 21, 20}, {"main", "app.c", 10, 9}};
	const struct build_line caller = {"main", "app.c", 12, 9};
	location_id work = build_chain(profile, app, chain, 2);
	location_id main_ = build_chain(profile, app, &caller, 1);
	location_id sys = build_at(profile, kernel, "vfs_read", "", 0);
	BUILD_SAMPLES(profile, thread, 4, work);
	BUILD_SAMPLES(profile, thread, 2, sys, main_);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 1, &work, 1);
	return profile;
}

static void test_report_json__recording_and_totals(void **state)
{
	(void)state;
	struct profile *profile = example();
	json_t *root = report(profile, (struct report_options){.path = "x.pb.gz"});
	expect_text(root, "schema", "cprof.report");
	expect_int(root, "version", 1);
	expect_text(root, "profile", "x.pb.gz");
	expect_text(root, "by", "function");
	expect_text(root, "sort", "self");
	expect_null(root, "focus");
	expect_null(root, "ignore");
	expect_text(get(root, "value"), "type", "samples");
	expect_text(get(root, "value"), "unit", "count");

	const json_t *recording = get(root, "recording");
	expect_text(recording, "start_time", "2026-01-05T08:00:00.012345678Z");
	expect_int(recording, "start_ns", 1767600000012345678);
	expect_int(recording, "duration_ns", 2500000000);
	expect_text(recording, "command", "app --fast");
	expect_int(recording, "rate_hz", 100);
	expect_null(recording, "engine");
	expect_null(recording, "cpus"); /* what is no number is unknown */
	const json_t *pids = get(recording, "pids");
	assert_int_equal(json_array_size(pids), 2);
	assert_int_equal(json_integer_value(json_array_get(pids, 0)), 7);
	assert_int_equal(json_integer_value(json_array_get(pids, 1)), 9);
	assert_string_equal(json_string_value(json_array_get(get(recording, "runtimes"), 0)),
			    "python");

	const json_t *totals = get(root, "totals");
	expect_int(totals, "samples", 7);
	expect_int(totals, "selected_samples", 7);
	expect_pct(totals, "selected_pct", 100);
	expect_int(totals, "cpu_ns", 70000000);
	expect_int(totals, "threads", 1);
	expect_int(totals, "processes", 1);
	expect_int(totals, "rows", 3);
	json_decref(root);
	profile_destroy(profile);
}

static void test_report_json__quality(void **state)
{
	(void)state;
	struct profile *profile = example();
	json_t *root = report(profile, (struct report_options){.torn_bytes = 17});
	expect_null(root, "profile");
	const json_t *quality = get(root, "quality");
	expect_int(quality, "samples", 7);
	expect_int(quality, "complete_samples", 6);
	expect_pct(quality, "complete_pct", 85.714); /* 6 / 7 */
	expect_int(quality, "complete_unjoined_samples", 6);
	expect_pct(quality, "complete_unjoined_pct", 85.714);
	expect_pct(quality, "joined_pct", 0);
	expect_int(get(quality, "joined"), "memory", 0);
	expect_int(get(quality, "joined"), "callchain", 0);
	assert_int_equal(json_array_size(get(quality, "ended_in")), 1);
	expect_pct(quality, "symbolized_pct", 100);
	expect_pct(quality, "lines_pct", 71.429); /* 5 / 7 */
	expect_pct(quality, "score_pct", 60);     /* 6 / (7 + 3) */
	expect_int(quality, "lost", 3);
	expect_null(quality, "lost_scope"); /* unknown */
	expect_int(quality, "lost_at_most", 3);
	expect_pct(quality, "lost_at_most_pct", 30); /* 3 / 10 */
	expect_int(quality, "uncovered_cpu_ns", 0);
	expect_int(quality, "too_deep_samples", 0);
	expect_pct(quality, "too_deep_pct", 0);
	expect_int(quality, "torn_bytes", 17);
	expect_int(get(quality, "stops"), "end", 6);
	expect_int(get(quality, "stops"), "truncated", 1);
	assert_int_equal(json_object_size(get(quality, "stops")), CP_STOP_COUNT);
	expect_int(quality, "kernel_samples", 2);
	expect_null(quality, "target_cpu_ns");
	expect_int(quality, "invisible_cpu_ns", 0);
	assert_int_equal(json_array_size(get(quality, "modules_without_debug_info")), 0);
	json_decref(root);
	profile_destroy(profile);
}

static void test_report_json__function_rows(void **state)
{
	(void)state;
	struct profile *profile = example();
	json_t *root = report(profile, (struct report_options){.limit = 0});
	assert_int_equal(json_array_size(get(root, "hotspots")), 3);
	const json_t *work = row(root, 0);
	expect_text(work, "function", "work");
	expect_text(work, "file", "work.h");
	expect_int(work, "line", 21);
	expect_text(work, "module", "/bin/app");
	assert_true(json_is_true(get(work, "inlined")));
	assert_true(json_is_false(get(work, "kernel")));
	assert_true(json_is_true(get(work, "symbolized")));
	expect_int(work, "self_samples", 5);
	expect_int(work, "total_samples", 5);
	expect_pct(work, "self_pct", 71.429);
	expect_pct(work, "total_pct", 71.429);
	expect_int(work, "self_cpu_ns", 50000000);
	expect_int(work, "total_cpu_ns", 50000000);
	const json_t *sys = row(root, 1);
	expect_text(sys, "function", "vfs_read");
	expect_null(sys, "file");
	expect_null(sys, "line");
	assert_true(json_is_true(get(sys, "kernel")));
	const json_t *main_ = row(root, 2);
	expect_int(main_, "self_samples", 0);
	expect_int(main_, "total_samples", 7);
	expect_int(main_, "line", 9);
	json_decref(root);
	profile_destroy(profile);
}

static void test_report_json__other_rows(void **state)
{
	(void)state;
	struct profile *profile = example();
	json_t *root = report(profile, (struct report_options){.by = REPORT_BY_THREAD});
	expect_text(root, "by", "thread");
	expect_int(row(root, 0), "pid", 7);
	expect_int(row(root, 0), "tid", 8);
	expect_text(row(root, 0), "comm", "app");
	expect_text(row(root, 0), "thread", "worker");
	expect_int(row(root, 0), "self_samples", 7);
	json_decref(root);

	root = report(profile,
		      (struct report_options){.by = REPORT_BY_LINE, .sort = REPORT_SORT_TOTAL});
	expect_text(root, "sort", "total");
	/* as many in total: self decides */
	expect_int(row(root, 0), "line", 21);
	expect_int(row(root, 1), "line", 10);
	json_decref(root);

	root = report(profile, (struct report_options){.by = REPORT_BY_FILE});
	expect_text(row(root, 0), "file", "work.h");
	expect_null(row(root, 0), "module");
	expect_null(row(root, 1), "file");
	expect_text(row(root, 1), "module", PROFILE_PATH_KERNEL);
	json_decref(root);

	root = report(profile, (struct report_options){.by = REPORT_BY_MODULE, .limit = 1});
	assert_int_equal(json_array_size(get(root, "hotspots")), 1);
	expect_int(get(root, "totals"), "rows", 2);
	expect_text(row(root, 0), "module", "/bin/app");
	expect_int(row(root, 0), "self_samples", 5);
	expect_int(row(root, 0), "total_samples", 7);
	json_decref(root);
	profile_destroy(profile);
}

static void test_report_json__self_adds_up(void **state)
{
	(void)state;
	struct profile *profile = example();
	static const enum report_by bys[] = {REPORT_BY_FUNCTION, REPORT_BY_LINE,
					     REPORT_BY_FILE,     REPORT_BY_MODULE,
					     REPORT_BY_THREAD,   REPORT_BY_PROCESS};
	for (size_t by = 0; by < 6; by++) {
		json_t *root = report(profile, (struct report_options){.by = bys[by]});
		int64_t self = 0;
		for (size_t i = 0; i < json_array_size(get(root, "hotspots")); i++)
			self += json_integer_value(get(row(root, i), "self_samples"));
		assert_int_equal(self, 7);
		json_decref(root);
	}
	profile_destroy(profile);
}

static void test_report_json__hostile_names_stay_valid(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/\xff\xfe", true);
	thread_id thread = build_thread(profile, 7, 7, "a\x80", "\"\\\n");
	set(profile, HEADER_COMMAND, "run \xc3\x28 \"x\"");
	BUILD_SAMPLES(profile, thread, 1,
		      build_at(profile, app, "f\xed\xa0\x80(\"\\\x01\")", "d\xc0/\xe2\x82.c", 3));
	json_t *root = report(profile, (struct report_options){.path = "p\xffq"});
	expect_text(root, "profile", "p\xef\xbf\xbdq");
	expect_text(get(root, "recording"), "command", "run \xef\xbf\xbd( \"x\"");
	expect_text(row(root, 0), "function", "f\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd(\"\\\x01\")");
	expect_text(row(root, 0), "file", "d\xef\xbf\xbd/\xef\xbf\xbd\xef\xbf\xbd.c");
	json_decref(root);
	root = report(profile, (struct report_options){.by = REPORT_BY_THREAD});
	expect_text(row(root, 0), "comm", "a\xef\xbf\xbd");
	expect_text(row(root, 0), "thread", "\"\\\n");
	json_decref(root);
	profile_destroy(profile);
}

static void test_report_json__without_cpu_time(void **state)
{
	(void)state;
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	assert_int_equal(profile_add_value_type(profile, "alloc_space", "bytes"), 0);
	module_id app = build_module(profile, "/bin/app", true);
	struct profile_sample_key key = {.thread = build_thread(profile, 0, 0, "", ""),
					 .time_ns = -1};
	location_id location = build_at(profile, app, "alloc", "app.go", 10);
	assert_int_equal(stack_store_intern(&profile->stacks, &location, 1, &key.stack), 0);
	int64_t values[PROFILE_MAX_VALUES] = {4096};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
	json_t *root = report(profile, (struct report_options){.limit = 0});
	expect_text(get(root, "value"), "type", "alloc_space");
	expect_text(get(root, "value"), "unit", "bytes");
	expect_null(get(root, "totals"), "cpu_ns");
	expect_int(row(root, 0), "self_samples", 4096);
	expect_null(row(root, 0), "self_cpu_ns");
	expect_null(get(root, "recording"), "start_time");
	expect_null(get(root, "recording"), "duration_ns");
	expect_null(get(root, "recording"), "pids");
	json_decref(root);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_json__recording_and_totals),
		cmocka_unit_test(test_report_json__quality),
		cmocka_unit_test(test_report_json__function_rows),
		cmocka_unit_test(test_report_json__other_rows),
		cmocka_unit_test(test_report_json__self_adds_up),
		cmocka_unit_test(test_report_json__hostile_names_stay_valid),
		cmocka_unit_test(test_report_json__without_cpu_time),
	};
	return cmocka_run_group_tests_name("report_json", tests, NULL, NULL);
}
