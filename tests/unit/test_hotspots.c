#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/hotspots.h"

#include "../support/profile_builder.h"

#include <errno.h>
#include <string.h>

static struct hotspots *compute(const struct profile *profile, enum report_by by,
				enum report_sort sort)
{
	struct report_options options = {.by = by, .sort = sort};
	struct cp_err err = {""};
	struct hotspots *hotspots;
	assert_int_equal(hotspots_compute(profile, &options, &hotspots, &err), 0);
	return hotspots;
}

static const struct hotspot *find(const struct hotspots *hotspots, const char *name)
{
	for (size_t i = 0; i < hotspots->n; i++) {
		if (strcmp(hotspots->rows[i].name, name) == 0)
			return &hotspots->rows[i];
	}
	fail_msg("no row %s", name);
	return NULL;
}

static void expect(const struct hotspots *hotspots, const char *name, int64_t self, int64_t total)
{
	const struct hotspot *row = find(hotspots, name);
	assert_int_equal(row->self.value, self);
	assert_int_equal(row->total.value, total);
	assert_int_equal(row->self.cpu_ns, self * BUILD_PERIOD_NS);
	assert_int_equal(row->total.cpu_ns, total * BUILD_PERIOD_NS);
}

static void test_hotspots__self_and_total_follow_the_stacks(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id main_ = build_at(profile, app, "main", "app.c", 10);
	location_id main_too = build_at(profile, app, "main", "app.c", 12);
	location_id a = build_at(profile, app, "a", "app.c", 20);
	location_id b = build_at(profile, app, "b", "app.c", 30);
	BUILD_SAMPLES(profile, thread, 6, a, main_);
	BUILD_SAMPLES(profile, thread, 3, b, main_too);
	BUILD_SAMPLES(profile, thread, 2, b, a, main_);
	BUILD_SAMPLES(profile, thread, 1, main_);
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 3);
	assert_int_equal(hotspots->all.value, 12);
	assert_int_equal(hotspots->selected.value, 12);
	assert_int_equal(hotspots->all.cpu_ns, 120000000);
	assert_int_equal(hotspots->n_threads, 1);
	assert_int_equal(hotspots->n_processes, 1);
	expect(hotspots, "a", 6, 8);
	expect(hotspots, "b", 5, 5);
	expect(hotspots, "main", 1, 12);
	assert_string_equal(hotspots->rows[0].name, "a");
	assert_string_equal(hotspots->rows[1].name, "b");
	assert_string_equal(hotspots->rows[2].name, "main");
	hotspots_destroy(hotspots);
	hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_TOTAL);
	assert_string_equal(hotspots->rows[0].name, "main");
	assert_string_equal(hotspots->rows[1].name, "a");
	assert_string_equal(hotspots->rows[2].name, "b");
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__recursion_counts_once_in_total(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id main_ = build_at(profile, app, "main", "app.c", 10);
	location_id down = build_at(profile, app, "down", "app.c", 20);
	location_id up = build_at(profile, app, "down", "app.c", 22);
	location_id other = build_at(profile, app, "other", "app.c", 30);
	BUILD_SAMPLES(profile, thread, 4, down, down, down, main_);
	/* mutual recursion, and two different lines of one function */
	BUILD_SAMPLES(profile, thread, 5, other, up, other, down, main_);
	BUILD_SAMPLES(profile, thread, 2, other, main_);
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	expect(hotspots, "down", 4, 9);
	expect(hotspots, "other", 7, 7);
	expect(hotspots, "main", 0, 11);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__thousands_of_frames_deep(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id down = build_at(profile, app, "down", "app.c", 20);
	location_id stack[2000];
	for (size_t i = 0; i < 2000; i++)
		stack[i] = down;
	for (size_t depth = 1; depth <= 2000; depth++)
		build_stopped(profile, thread, CP_STOP_END, 1, stack, depth);
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 1);
	expect(hotspots, "down", 2000, 2000);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__inlined_code_is_credited_to_the_inlined_function(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	const struct build_line chain[] = {{"tiny", "util.h", 5, 3}, {"outer", "app.c", 40, 35}};
	location_id inlined = build_chain(profile, app, chain, 2);
	location_id standalone = build_at(profile, app, "tiny", "util.h", 6);
	location_id main_ = build_at(profile, app, "main", "app.c", 10);
	BUILD_SAMPLES(profile, thread, 7, inlined, main_);
	BUILD_SAMPLES(profile, thread, 2, standalone, main_);
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	expect(hotspots, "tiny", 9, 9);
	expect(hotspots, "outer", 0, 7);
	assert_true(find(hotspots, "tiny")->inlined);
	assert_false(find(hotspots, "outer")->inlined);
	assert_string_equal(find(hotspots, "tiny")->file, "util.h");
	assert_int_equal(find(hotspots, "tiny")->line, 5);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__function_line_is_the_hottest_or_the_start(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	/* line 21 has 2 + 2 in an inlined and a plain copy: more than line 22's 3 */
	const struct build_line chain[] = {{"work", "app.c", 21, 18}, {"main", "app.c", 11, 9}};
	const struct build_line plain = {"work", "app.c", 21, 18};
	const struct build_line hot = {"work", "app.c", 22, 18};
	const struct build_line unknown = {"work", "app.c", 0, 18};
	const struct build_line caller = {"main", "app.c", 11, 9};
	location_id in_main = build_chain(profile, app, chain, 2);
	location_id in_21 = build_chain(profile, app, &plain, 1);
	location_id in_22 = build_chain(profile, app, &hot, 1);
	location_id in_0 = build_chain(profile, app, &unknown, 1);
	location_id main_ = build_chain(profile, app, &caller, 1);
	BUILD_SAMPLES(profile, thread, 2, in_main);
	BUILD_SAMPLES(profile, thread, 2, in_21, main_);
	BUILD_SAMPLES(profile, thread, 3, in_22, main_);
	BUILD_SAMPLES(profile, thread, 9, in_0, main_);
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 2);
	assert_int_equal(find(hotspots, "work")->line, 21);
	assert_int_equal(find(hotspots, "main")->line, 9);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__by_line_file_and_module(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	module_id libc = build_module(profile, "/lib/libc.so.6", false);
	module_id kernel = build_module(profile, PROFILE_PATH_KERNEL, true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id main_ = build_at(profile, app, "main", "app.c", 10);
	location_id one = build_at(profile, app, "work", "work.c", 20);
	location_id two = build_at(profile, app, "work", "work.c", 21);
	location_id bare = build_bare(profile, libc);
	location_id sys = build_at(profile, kernel, "do_syscall_64", "", 0);
	BUILD_SAMPLES(profile, thread, 5, one, main_);
	BUILD_SAMPLES(profile, thread, 3, two, main_);
	BUILD_SAMPLES(profile, thread, 4, sys, bare, two, main_);

	struct hotspots *hotspots = compute(profile, REPORT_BY_LINE, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 5);
	assert_string_equal(hotspots->rows[0].name, "work");
	assert_int_equal(hotspots->rows[0].line, 20);
	assert_int_equal(hotspots->rows[0].self.value, 5);
	assert_int_equal(hotspots->rows[0].total.value, 5);
	assert_string_equal(hotspots->rows[1].name, "do_syscall_64");
	assert_true(hotspots->rows[1].kernel);
	assert_int_equal(hotspots->rows[2].line, 21);
	assert_int_equal(hotspots->rows[2].self.value, 3);
	assert_int_equal(hotspots->rows[2].total.value, 7);
	hotspots_destroy(hotspots);

	hotspots = compute(profile, REPORT_BY_FILE, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 4);
	assert_string_equal(hotspots->rows[0].file, "work.c");
	assert_int_equal(hotspots->rows[0].self.value, 8);
	assert_int_equal(hotspots->rows[0].total.value, 12);
	assert_string_equal(hotspots->rows[1].file, "");
	assert_string_equal(hotspots->rows[1].module, PROFILE_PATH_KERNEL);
	hotspots_destroy(hotspots);

	hotspots = compute(profile, REPORT_BY_MODULE, REPORT_SORT_TOTAL);
	assert_int_equal(hotspots->n, 3);
	assert_string_equal(hotspots->rows[0].module, "/bin/app");
	assert_int_equal(hotspots->rows[0].self.value, 8);
	assert_int_equal(hotspots->rows[0].total.value, 12);
	assert_string_equal(hotspots->rows[1].module, PROFILE_PATH_KERNEL);
	assert_int_equal(hotspots->rows[1].self.value, 4);
	assert_string_equal(hotspots->rows[2].module, "/lib/libc.so.6");
	assert_int_equal(hotspots->rows[2].self.value, 0);
	assert_int_equal(hotspots->rows[2].total.value, 4);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__by_thread(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id main_thread = build_thread(profile, 7, 7, "app", "app");
	thread_id worker = build_thread(profile, 7, 8, "app", "worker");
	thread_id child = build_thread(profile, 9, 9, "child", "child");
	thread_id renamed = build_thread(profile, 9, 9, "child", "renamed");
	build_thread(profile, 11, 11, "idle", "idle");
	location_id a = build_at(profile, app, "a", "app.c", 20);
	location_id b = build_at(profile, app, "b", "app.c", 30);
	BUILD_SAMPLES(profile, main_thread, 2, a);
	BUILD_SAMPLES(profile, worker, 5, a);
	BUILD_SAMPLES(profile, worker, 3, b);
	BUILD_SAMPLES(profile, child, 1, b);
	BUILD_SAMPLES(profile, renamed, 1, b);
	struct hotspots *hotspots = compute(profile, REPORT_BY_THREAD, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 4);
	assert_int_equal(hotspots->n_threads, 3);
	assert_int_equal(hotspots->n_processes, 2);
	assert_int_equal(hotspots->rows[0].thread->tid, 8);
	assert_int_equal(hotspots->rows[0].self.value, 8);
	assert_int_equal(hotspots->rows[0].total.cpu_ns, 80000000);
	assert_int_equal(hotspots->rows[1].thread->tid, 7);
	assert_string_equal(hotspots->rows[2].name, "child");
	assert_string_equal(hotspots->rows[3].name, "renamed");
	hotspots_destroy(hotspots);

	struct report_options options = {.by = REPORT_BY_THREAD, .focus = "^a$"};
	struct cp_err err = {""};
	assert_int_equal(hotspots_compute(profile, &options, &hotspots, &err), 0);
	assert_int_equal(hotspots->n, 2);
	assert_int_equal(hotspots->rows[0].self.value, 5);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__by_process_sums_up_all_of_one_name(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id shell = build_thread(profile, 7, 7, "sh", "sh");
	thread_id first = build_thread(profile, 8, 8, "cc", "cc");
	thread_id worker = build_thread(profile, 8, 9, "cc", "worker");
	thread_id second = build_thread(profile, 11, 11, "cc", "cc");
	thread_id nameless = build_thread(profile, 0, 0, "", "");
	location_id a = build_at(profile, app, "a", "app.c", 20);
	location_id b = build_at(profile, app, "b", "app.c", 30);
	BUILD_SAMPLES(profile, shell, 4, a);
	BUILD_SAMPLES(profile, first, 2, a);
	BUILD_SAMPLES(profile, worker, 3, b);
	BUILD_SAMPLES(profile, second, 5, b);
	BUILD_SAMPLES(profile, nameless, 1, a);
	struct hotspots *hotspots = compute(profile, REPORT_BY_PROCESS, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 3);
	assert_string_equal(hotspots->rows[0].name, "cc");
	assert_int_equal(hotspots->rows[0].self.value, 10);
	assert_int_equal(hotspots->rows[0].total.value, 10);
	assert_int_equal(hotspots->rows[0].self.cpu_ns, 100000000);
	assert_int_equal(hotspots->rows[0].n_processes, 2);
	assert_string_equal(hotspots->rows[1].name, "sh");
	assert_int_equal(hotspots->rows[1].n_processes, 1);
	assert_int_equal(hotspots->rows[1].pid, 7);
	assert_string_equal(hotspots->rows[2].name, "");
	assert_int_equal(hotspots->rows[2].n_processes, 0);
	hotspots_destroy(hotspots);
	/* processes that the focus leaves nothing of are not counted */
	struct report_options options = {.by = REPORT_BY_PROCESS, .focus = "^a$"};
	struct cp_err err = {""};
	assert_int_equal(hotspots_compute(profile, &options, &hotspots, &err), 0);
	assert_int_equal(hotspots->n, 3);
	assert_string_equal(hotspots->rows[1].name, "cc");
	assert_int_equal(hotspots->rows[1].self.value, 2);
	assert_int_equal(hotspots->rows[1].n_processes, 1);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__focus_and_ignore_select_samples_not_shares(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id main_ = build_at(profile, app, "main", "app.c", 10);
	location_id read_ = build_at(profile, app, "read_query", "app.c", 20);
	location_id write_ = build_at(profile, app, "write_reply", "app.c", 30);
	location_id copy = build_at(profile, app, "copy", "app.c", 40);
	BUILD_SAMPLES(profile, thread, 4, copy, read_, main_);
	BUILD_SAMPLES(profile, thread, 3, copy, write_, main_);
	BUILD_SAMPLES(profile, thread, 2, read_, main_);
	BUILD_SAMPLES(profile, thread, 1, main_);
	struct cp_err err = {""};
	struct hotspots *hotspots;

	struct report_options options = {.focus = "read|write"};
	assert_int_equal(hotspots_compute(profile, &options, &hotspots, &err), 0);
	assert_int_equal(hotspots->all.value, 10);
	assert_int_equal(hotspots->selected.value, 9);
	assert_int_equal(hotspots->selected.cpu_ns, 90000000);
	expect(hotspots, "copy", 7, 7);
	expect(hotspots, "main", 0, 9);
	hotspots_destroy(hotspots);

	options.ignore = "^copy$";
	assert_int_equal(hotspots_compute(profile, &options, &hotspots, &err), 0);
	assert_int_equal(hotspots->selected.value, 2);
	assert_int_equal(hotspots->n, 2);
	expect(hotspots, "read_query", 2, 2);
	expect(hotspots, "main", 0, 2);
	hotspots_destroy(hotspots);

	options = (struct report_options){.focus = "nothing_like_it"};
	assert_int_equal(hotspots_compute(profile, &options, &hotspots, &err), 0);
	assert_int_equal(hotspots->selected.value, 0);
	assert_int_equal(hotspots->n, 0);
	hotspots_destroy(hotspots);

	options = (struct report_options){.ignore = "a(b"};
	assert_int_equal(hotspots_compute(profile, &options, &hotspots, &err), -EINVAL);
	assert_non_null(strstr(err.message, "--ignore"));
	assert_non_null(strstr(err.message, "a(b"));
	profile_destroy(profile);
}

static void test_hotspots__ties_are_sorted_by_name(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	static const char *const names[] = {"delta", "alpha", "charlie", "bravo"};
	for (size_t i = 0; i < 4; i++)
		BUILD_SAMPLES(profile, thread, 1, build_at(profile, app, names[i], "app.c", 10));
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	assert_string_equal(hotspots->rows[0].name, "alpha");
	assert_string_equal(hotspots->rows[1].name, "bravo");
	assert_string_equal(hotspots->rows[2].name, "charlie");
	assert_string_equal(hotspots->rows[3].name, "delta");
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__same_name_elsewhere_is_another_row(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	module_id plugin = build_module(profile, "/lib/plugin.so", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	BUILD_SAMPLES(profile, thread, 3, build_at(profile, app, "init", "app.c", 10));
	BUILD_SAMPLES(profile, thread, 2, build_at(profile, app, "init", "net.c", 10));
	BUILD_SAMPLES(profile, thread, 1, build_at(profile, plugin, "init", "app.c", 10));
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 3);
	assert_string_equal(hotspots->rows[0].file, "app.c");
	assert_string_equal(hotspots->rows[1].file, "net.c");
	assert_string_equal(hotspots->rows[2].module, "/lib/plugin.so");
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__samples_without_frames_are_a_row(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	BUILD_SAMPLES(profile, thread, 3, build_at(profile, app, "work", "app.c", 10));
	build_stopped(profile, thread, CP_STOP_NO_USER, 2, NULL, 0);
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 2);
	expect(hotspots, "[unknown]", 2, 2);
	assert_false(find(hotspots, "[unknown]")->symbolized);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__foreign_value_types(void **state)
{
	(void)state;
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	assert_int_equal(profile_add_value_type(profile, "inuse_objects", "count"), 0);
	assert_int_equal(profile_add_value_type(profile, "inuse_space", "bytes"), 0);
	module_id app = build_module(profile, "/bin/app", true);
	struct profile_sample_key key = {.thread = build_thread(profile, 0, 0, "", ""),
					 .time_ns = -1};
	location_id location = build_at(profile, app, "alloc", "app.go", 10);
	assert_int_equal(stack_store_intern(&profile->stacks, &location, 1, &key.stack), 0);
	int64_t values[PROFILE_MAX_VALUES] = {3, 4096};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	assert_string_equal(hotspots->measure.type, "inuse_space");
	assert_string_equal(hotspots->measure.unit, "bytes");
	assert_int_equal(hotspots->measure.cpu_column, -1);
	assert_int_equal(hotspots->rows[0].self.value, 4096);
	assert_int_equal(hotspots->rows[0].self.cpu_ns, 0);
	assert_int_equal(hotspots->n_threads, 0);
	assert_int_equal(hotspots->n_processes, 0);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void test_hotspots__sums_stop_at_the_limit(void **state)
{
	(void)state;
	assert_int_equal(amount_sum(INT64_MAX, 1), INT64_MAX);
	assert_int_equal(amount_sum(INT64_MIN, -1), INT64_MIN);
	assert_int_equal(amount_sum(-5, 3), -2);
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	for (uint32_t tid = 1; tid <= 2; tid++) {
		struct profile_sample_key key = {
			.thread = build_thread(profile, 1, tid, "app", "app"), .time_ns = -1};
		location_id location = build_at(profile, app, "work", "app.c", 10);
		assert_int_equal(stack_store_intern(&profile->stacks, &location, 1, &key.stack), 0);
		int64_t values[PROFILE_MAX_VALUES] = {INT64_MAX, INT64_MAX};
		assert_int_equal(profile_add_sample(profile, &key, values), 0);
	}
	struct hotspots *hotspots = compute(profile, REPORT_BY_FUNCTION, REPORT_SORT_SELF);
	assert_int_equal(hotspots->all.value, INT64_MAX);
	assert_int_equal(hotspots->rows[0].self.value, INT64_MAX);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

static void expect_no_data(struct profile *profile, const char *part)
{
	struct report_options options = {.limit = 0};
	struct cp_err err = {""};
	struct hotspots *hotspots;
	assert_int_equal(hotspots_compute(profile, &options, &hotspots, &err), -ENODATA);
	if (!strstr(err.message, part))
		fail_msg("'%s' is not in: %s", part, err.message);
	profile_destroy(profile);
}

static void test_hotspots__empty_profile_says_what_to_check(void **state)
{
	(void)state;
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	expect_no_data(profile, "the pid is the process that does the work");

	profile = build_profile();
	profile->duration_ns = 10000000000;
	assert_int_equal(profile_header_set(profile, HEADER_TARGET_USER_NS, "0"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_TARGET_SYSTEM_NS, "0"), 0);
	expect_no_data(profile, "used no CPU in 10.0 s, so it was idle");

	profile = build_profile();
	assert_int_equal(profile_header_set(profile, HEADER_TARGET_USER_NS, "1000000"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_TARGET_SYSTEM_NS, "2500000000"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_KERNEL, "hidden"), 0);
	expect_no_data(profile, "used 2.5 s of CPU: time in the kernel is not visible");
}

static void test_hotspots__equal_threads_are_in_the_order_of_their_processes(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	location_id a = build_at(profile, app, "a", "app.c", 1);
	BUILD_SAMPLES(profile, build_thread(profile, 9, 4, "app", "w"), 5, a);
	BUILD_SAMPLES(profile, build_thread(profile, 8, 5, "app", "w"), 5, a);
	BUILD_SAMPLES(profile, build_thread(profile, 8, 3, "app", "w"), 5, a);
	struct hotspots *hotspots = compute(profile, REPORT_BY_THREAD, REPORT_SORT_SELF);
	assert_int_equal(hotspots->n, 3);
	assert_int_equal(hotspots->rows[0].thread->tid, 3);
	assert_int_equal(hotspots->rows[1].thread->tid, 5);
	assert_int_equal(hotspots->rows[2].thread->tid, 4);
	hotspots_destroy(hotspots);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hotspots__self_and_total_follow_the_stacks),
		cmocka_unit_test(test_hotspots__recursion_counts_once_in_total),
		cmocka_unit_test(test_hotspots__thousands_of_frames_deep),
		cmocka_unit_test(test_hotspots__inlined_code_is_credited_to_the_inlined_function),
		cmocka_unit_test(test_hotspots__function_line_is_the_hottest_or_the_start),
		cmocka_unit_test(test_hotspots__by_line_file_and_module),
		cmocka_unit_test(test_hotspots__by_thread),
		cmocka_unit_test(test_hotspots__by_process_sums_up_all_of_one_name),
		cmocka_unit_test(test_hotspots__focus_and_ignore_select_samples_not_shares),
		cmocka_unit_test(test_hotspots__ties_are_sorted_by_name),
		cmocka_unit_test(test_hotspots__same_name_elsewhere_is_another_row),
		cmocka_unit_test(test_hotspots__samples_without_frames_are_a_row),
		cmocka_unit_test(test_hotspots__foreign_value_types),
		cmocka_unit_test(test_hotspots__sums_stop_at_the_limit),
		cmocka_unit_test(test_hotspots__empty_profile_says_what_to_check),
		cmocka_unit_test(test_hotspots__equal_threads_are_in_the_order_of_their_processes),
	};
	return cmocka_run_group_tests_name("hotspots", tests, NULL, NULL);
}
