#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/folded.h"

#include "../support/profile_builder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What folded_write() gives, and the profile released. */
static void expect_folded(struct profile *profile, bool lines, const char *expected)
{
	struct folded_options options = {.lines = lines};
	struct cp_err err = {""};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	assert_int_equal(folded_write(profile, &options, out, &err), 0);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	profile_destroy(profile);
}

static struct profile *with_all_kinds(void)
{
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	module_id libc = build_module(profile, "/lib/libc.so.6", false);
	module_id kernel = build_module(profile, PROFILE_PATH_KERNEL, true);
	module_id jit = build_module(profile, "[jit:7]", true);
	thread_id thread = build_thread(profile, 7, 7, "my app", "worker");
	const struct build_line chain[] = {{"tiny", "util.h", 5, 3}, {"work", "app.c", 40, 35}};
	location_id main_ = build_at(profile, app, "main", "app.c", 10);
	location_id inlined = build_chain(profile, app, chain, 2);
	location_id bare = build_bare(profile, libc);
	location_id sys = build_at(profile, kernel, "do_syscall_64", "", 0);
	location_id py = build_at(profile, jit, "py::f", "", 0);
	BUILD_SAMPLES(profile, thread, 5, inlined, main_);
	BUILD_SAMPLES(profile, thread, 4, sys, bare, main_);
	BUILD_SAMPLES(profile, thread, 3, py, main_);
	BUILD_SAMPLES(profile, thread, 2, main_);
	return profile;
}

static void test_folded__kinds_of_frames(void **state)
{
	(void)state;
	expect_folded(with_all_kinds(), false,
		      "my_app;main 2\n"
		      "my_app;main;[libc.so.6];do_syscall_64_[k] 4\n"
		      "my_app;main;py::f_[j] 3\n"
		      "my_app;main;work;tiny_[i] 5\n");
}

static void test_folded__lines_where_they_are_known(void **state)
{
	(void)state;
	expect_folded(with_all_kinds(), true,
		      "my_app;main (app.c:10) 2\n"
		      "my_app;main (app.c:10);[libc.so.6];do_syscall_64_[k] 4\n"
		      "my_app;main (app.c:10);py::f_[j] 3\n"
		      "my_app;main (app.c:10);work (app.c:40);tiny (util.h:5)_[i] 5\n");
}

static void test_folded__equal_lines_are_merged(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id one = build_thread(profile, 7, 7, "app", "one");
	thread_id two = build_thread(profile, 9, 9, "app", "two");
	/* two addresses of one function, two threads, two times */
	location_id a = build_at(profile, app, "work", "app.c", 10);
	location_id b = build_at(profile, app, "work", "app.c", 11);
	BUILD_SAMPLES(profile, one, 5, a);
	BUILD_SAMPLES(profile, two, 3, a);
	BUILD_SAMPLES(profile, one, 2, b);
	struct profile_sample_key key = {.thread = one, .time_ns = 20000000};
	assert_int_equal(stack_store_intern(&profile->stacks, &a, 1, &key.stack), 0);
	int64_t values[PROFILE_MAX_VALUES] = {7, 7 * BUILD_PERIOD_NS};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
	expect_folded(profile, false, "app;work 17\n");
}

static void test_folded__joined_stacks_are_marked(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id work = build_at(profile, app, "work", "app.c", 10);
	BUILD_SAMPLES(profile, thread, 1, work);
	build_joined(profile, thread, CP_JOINED_MEMORY, 2, &work, 1);
	build_joined(profile, thread, CP_JOINED_CALLCHAIN, 4, &work, 1);
	expect_folded(profile, false,
		      "app;[joined];work 6\n"
		      "app;work 1\n");
}

static void test_folded__incomplete_stacks_name_their_end(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id work = build_at(profile, app, "work", "app.c", 10);
	BUILD_SAMPLES(profile, thread, 1, work);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 2, &work, 1);
	build_stopped(profile, thread, CP_STOP_NO_CFI, 3, &work, 1);
	build_stopped(profile, thread, CP_STOP_NO_USER, 4, &work, 1);
	build_stopped(profile, thread, CP_STOP_NO_USER, 5, NULL, 0);
	build_stopped(profile, thread, CP_STOP_NO_MAP, 6, NULL, 0);
	expect_folded(profile, false,
		      "app;[no_cfi];work 3\n"
		      "app;[no_map] 6\n"
		      "app;[truncated];work 2\n"
		      "app;[unknown] 5\n"
		      "app;work 5\n");
}

static void test_folded__hostile_names_stay_in_their_field(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "a;b c\nd", "app");
	BUILD_SAMPLES(profile, thread, 1,
		      build_at(profile, app, "x;y\n main 99\x1b[2J\xff", "d;ir/a b.c", 10));
	expect_folded(profile, true,
		      "a:b_c\\x0ad;x:y\\x0a main 99\\x1b[2J\xef\xbf\xbd (d:ir/a b.c:10) 1\n");
}

static void test_folded__nameless_process(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	BUILD_SAMPLES(profile, build_thread(profile, 0, 0, "", ""), 1,
		      build_at(profile, app, "work", "app.c", 10));
	expect_folded(profile, false, "[unknown];work 1\n");
}

static void test_folded__whole_lines_are_sorted_as_bytes(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	static const char *const names[] = {"a b", "a", "a !b", "B", "\xc3\xa9", "a;c"};
	for (size_t i = 0; i < 6; i++)
		BUILD_SAMPLES(profile, thread, 5, build_at(profile, app, names[i], "", 0));
	expect_folded(profile, false,
		      "app;B 5\n"
		      "app;a !b 5\n"
		      "app;a 5\n"
		      "app;a b 5\n"
		      "app;a:c 5\n"
		      "app;\xc3\xa9 5\n");
}

static void test_folded__no_samples(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct folded_options options = {.lines = false};
	struct cp_err err = {""};
	assert_int_equal(folded_write(profile, &options, stdout, &err), -ENODATA);
	assert_non_null(strstr(err.message, "holds no samples"));
	profile_destroy(profile);
}

static void test_folded__full_disk(void **state)
{
	(void)state;
	struct profile *profile = with_all_kinds();
	struct folded_options options = {.lines = false};
	struct cp_err err = {""};
	FILE *full = fopen("/dev/full", "w");
	assert_non_null(full);
	assert_int_equal(folded_write(profile, &options, full, &err), -EIO);
	assert_non_null(strstr(err.message, "No space left on device"));
	fclose(full);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folded__kinds_of_frames),
		cmocka_unit_test(test_folded__lines_where_they_are_known),
		cmocka_unit_test(test_folded__equal_lines_are_merged),
		cmocka_unit_test(test_folded__joined_stacks_are_marked),
		cmocka_unit_test(test_folded__incomplete_stacks_name_their_end),
		cmocka_unit_test(test_folded__hostile_names_stay_in_their_field),
		cmocka_unit_test(test_folded__nameless_process),
		cmocka_unit_test(test_folded__whole_lines_are_sorted_as_bytes),
		cmocka_unit_test(test_folded__no_samples),
		cmocka_unit_test(test_folded__full_disk),
	};
	return cmocka_run_group_tests_name("folded", tests, NULL, NULL);
}
