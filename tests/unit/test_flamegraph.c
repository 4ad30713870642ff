#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/flamegraph.h"

#include "../support/profile_builder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_BYTES = 1000000 };

static char *write_graph(const struct profile *profile, const struct flamegraph_options *options,
			 size_t *size)
{
	static const struct flamegraph_options defaults;
	char *text;
	size_t n;
	struct cp_err err = {""};
	FILE *out = open_memstream(&text, &n);
	assert_non_null(out);
	assert_int_equal(flamegraph_write(profile, options ? options : &defaults, out, &err), 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(text), n);
	if (size)
		*size = n;
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("not in the graph: %s", part);
}

static void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("in the graph: %s", part);
}

static struct profile *example(void)
{
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id main_at = build_at(profile, exe, "main", "m.c", 4);
	location_id a = build_at(profile, exe, "a<int>", "m.c", 10);
	BUILD_SAMPLES(profile, thread, 750, a, main_at);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 250, &main_at, 1);
	profile->duration_ns = 2500000000;
	assert_int_equal(profile_header_set(profile, HEADER_COMMAND, "./app -x 'a&b'"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_PIDS, "7"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_RATE_HZ, "999"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_EVENT, "cpu-clock"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_LOST, "12"), 0);
	return profile;
}

static void test_flamegraph__says_what_was_measured_and_how_well(void **state)
{
	(void)state;
	struct profile *profile = example();
	char *text = write_graph(profile, NULL, NULL);
	assert_has(text, "<title>./app -x &#39;a&amp;b&#39; (pid 7)</title>");
	assert_has(text,
		   ">1,000 samples \xc2\xb7 2.5 s \xc2\xb7 999 Hz \xc2\xb7 cpu-clock \xc2\xb7 "
		   "1 thread</text>");
	assert_has(text, ">[truncated]: outer functions missing</text>");
	assert_has(text, ">75.0 % of stacks complete \xc2\xb7 100.0 % symbolized \xc2\xb7 12 lost"
			 "</text>");
	assert_has(text, "data-total-samples=\"1000\" data-merged-frames=\"0\"");
	free(text);
	profile_destroy(profile);
}

/* A heap: amounts of memory in words, and what is not in the picture. */
static void test_flamegraph__heaps_say_what_is_counted(void **state)
{
	(void)state;
	static const struct {
		const char *type, *unit, *wanted;
	} values[] = {
		{"inuse_space", "bytes",
		 ">6.3 MiB live \xc2\xb7 estimated: sampled every 4.0 KiB \xc2\xb7 71.0 KiB "
		 "suppressed, not shown"},
		{"peak_space", "bytes", ">6.3 MiB live at the peak \xc2\xb7"},
		{"alloc_objects", "count", ">6,606,028 allocations \xc2\xb7"},
	};
	for (size_t i = 0; i < 3; i++) {
		struct profile *profile;
		assert_int_equal(profile_create(&profile), 0);
		assert_int_equal(profile_add_value_type(profile, values[i].type, values[i].unit),
				 0);
		assert_int_equal(profile_header_set(profile, HEADER_MODE, "heap"), 0);
		assert_int_equal(profile_header_set(profile, HEADER_HEAP_SUPPRESSED, "72704"), 0);
		profile->period = 4096;
		const module_id app = build_module(profile, "/bin/app", true);
		const thread_id thread = build_thread(profile, 7, 7, "app", "app");
		BUILD_SAMPLES(profile, thread, 6606028, build_at(profile, app, "leak", "a.c", 3));
		char *text = write_graph(profile, NULL, NULL);
		assert_has(text, values[i].wanted);
		assert_has(text, i < 2 ? "leak (6.3 MiB, 100.00 %)</title>"
				       : "leak (6,606,028 allocations, 100.00 %)</title>");
		free(text);
		profile_destroy(profile);
	}
}

static void test_flamegraph__whole_machine_is_called_so(void **state)
{
	(void)state;
	struct profile *profile = example();
	location_id deep = build_bare(profile, build_module(profile, "/bin/app", true));
	build_stopped(profile, build_thread(profile, 7, 7, "app", "app"), CP_STOP_DEPTH, 1000,
		      &deep, 1);
	build_stopped(profile, build_thread(profile, 8, 8, "b", "b"), CP_STOP_END, 500, &deep, 1);
	assert_int_equal(profile_header_set(profile, HEADER_SYSTEM_WIDE, "yes"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_CPUS, "2"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_THREADS, "99"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_LOST_SCOPE, "cpus"), 0);
	char *text = write_graph(profile, NULL, NULL);
	assert_has(text, "<title>whole machine, 2 CPUs, during ./app -x &#39;a&amp;b&#39; (pid 7)"
			 "</title>");
	assert_has(text, "\xc2\xb7 2 threads</text>"); /* that have samples */
	assert_has(text,
		   ">90.0 % of stacks complete \xc2\xb7 40.0 % without their middle ([depth])");
	assert_has(text, "up to 12 lost, other programs&#39; included</text>");
	assert_has(text, ">[truncated]: outer functions missing \xc2\xb7 [depth]: middle left out");
	free(text);
	assert_int_equal(profile_header_set(profile, HEADER_COMMAND, ""), 0);
	text = write_graph(profile, NULL, NULL);
	assert_has(text, "<title>whole machine, 2 CPUs</title>");
	free(text);
	profile_destroy(profile);
}

static void test_flamegraph__one_cut_stack_in_many_is_not_rounded_away(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id main_at = build_at(profile, exe, "main", "m.c", 4);
	location_id bare = build_bare(profile, exe);
	BUILD_SAMPLES(profile, thread, 9999, main_at);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 1, &bare, 1);
	char *text = write_graph(profile, NULL, NULL);
	assert_has(text, ">99.9 % of stacks complete \xc2\xb7 99.9 % symbolized");
	free(text);
	profile_destroy(profile);
}

static void test_flamegraph__is_a_picture_without_script(void **state)
{
	(void)state;
	struct profile *profile = example();
	char *text = write_graph(profile, NULL, NULL);
	/* 1,180 px for 1,000 samples; [truncated] has 295 px, main and a 885; levels of 18 px */
	assert_has(text, "<title>all (1,000 samples, 100.00 %)</title>"
			 "<rect x=\"10\" y=\"116\" width=\"1179.4\" height=\"17\" class=\"p0\"/>");
	assert_has(text, "<title>[truncated] (250 samples, 25.00 %)</title>"
			 "<rect x=\"10\" y=\"80\" width=\"294.4\"");
	assert_has(text, "<title>a&lt;int&gt; (750 samples, 75.00 %)</title>"
			 "<rect x=\"305\" y=\"62\" width=\"884.4\"");
	assert_has(text, ">a&lt;int&gt;</text>");
	free(text);
	profile_destroy(profile);
}

static void test_flamegraph__icicle_has_the_root_at_the_top(void **state)
{
	(void)state;
	struct profile *profile = example();
	struct flamegraph_options options = {.icicle = true};
	char *text = write_graph(profile, &options, NULL);
	assert_has(text, "<title>all (1,000 samples, 100.00 %)</title><rect x=\"10\" y=\"62\"");
	assert_has(text, "</title><rect x=\"305\" y=\"116\" width=\"884.4\"");
	assert_has(text, "\"icicle\":true");
	free(text);
	profile_destroy(profile);
}

static void test_flamegraph__carries_its_data(void **state)
{
	(void)state;
	struct profile *profile = example();
	char *text = write_graph(profile, NULL, NULL);
	/* by width, then by depth: all, app, then main and a<int> below app, then the marker's */
	assert_has(text, "\"strings\":[\"\",\"all\",\"app\",\"main\",\"m.c\",\"/bin/app\","
			 "\"a\\u003cint\\u003e\",\"[truncated]\"],");
	/* pop, entry, samples, line */
	assert_has(text, "\"cells\":[0,0,1000,0,0,1,1000,0,0,4,250,0,0,2,250,4,2,2,750,4,"
			 "0,3,750,10]}");
	free(text);
	profile_destroy(profile);
}

static void test_flamegraph__title_and_thread_filter(void **state)
{
	(void)state;
	struct profile *profile = example();
	module_id exe = build_module(profile, "/bin/app", true);
	BUILD_SAMPLES(profile, build_thread(profile, 7, 8, "app", "io"), 40,
		      build_at(profile, exe, "read", "r.c", 3));
	struct flamegraph_options options = {.title = "Before <fix>", .thread_re = "^io$"};
	char *text = write_graph(profile, &options, NULL);
	assert_has(text, "<title>Before &lt;fix&gt;</title>");
	assert_has(text, "data-total-samples=\"40\"");
	assert_has(text, ">40 samples \xc2\xb7 threads matching &quot;^io$&quot; \xc2\xb7 2.5 s");
	assert_lacks(text, "a&lt;int&gt;");
	free(text);

	struct cp_err err = {""};
	options.thread_re = "nothing";
	FILE *sink = fopen("/dev/null", "w");
	assert_non_null(sink);
	assert_int_equal(flamegraph_write(profile, &options, sink, &err), -ENODATA);
	assert_has(err.message, "\"nothing\"");
	fclose(sink);
	profile_destroy(profile);
}

static void test_flamegraph__same_profile_same_bytes(void **state)
{
	(void)state;
	struct profile *first = example(), *second = example();
	char *a = write_graph(first, NULL, NULL), *b = write_graph(second, NULL, NULL);
	assert_string_equal(a, b);
	free(a);
	free(b);
	profile_destroy(first);
	profile_destroy(second);
}

static void test_flamegraph__nothing_from_outside_is_loaded(void **state)
{
	(void)state;
	struct profile *profile = example();
	char *text = write_graph(profile, NULL, NULL);
	/* the namespaces of SVG and XHTML are names, not addresses that are fetched */
	for (const char *at = text; (at = strstr(at, "http")); at += 4)
		assert_int_equal(strncmp(at, "http://www.w3.org/", 18), 0);
	assert_lacks(text, "url(");
	assert_lacks(text, "@import");
	assert_lacks(text, " src=");
	assert_lacks(text, "href=");
	free(text);
	profile_destroy(profile);
}

static void test_flamegraph__hostile_names_are_escaped_everywhere(void **state)
{
	(void)state;
	static const char hostile[] = "</script><b x=\"]]>\xff&'\x02";
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, hostile, true);
	thread_id thread = build_thread(profile, 7, 7, hostile, hostile);
	BUILD_SAMPLES(profile, thread, 10, build_at(profile, exe, hostile, hostile, 4));
	assert_int_equal(profile_header_set(profile, HEADER_COMMAND, hostile), 0);
	assert_int_equal(profile_header_set(profile, HEADER_EVENT, hostile), 0);
	char *text = write_graph(profile, NULL, NULL);
	assert_has(text, "&lt;/script&gt;&lt;b x=&quot;]]&gt;\xef\xbf\xbd&amp;&#39;\xef\xbf\xbd");
	assert_has(text, "\"\\u003c/script\\u003e\\u003cb x=\\\"]]\\u003e\xef\xbf\xbd\\u0026\\u0027"
			 "\xef\xbf\xbd\"");
	assert_lacks(text, "<b x=");
	assert_lacks(text, "\xff");
	assert_lacks(text, "\x02");
	/* one CDATA section and two script elements: ours */
	const char *end = strstr(text, "]]>");
	assert_non_null(end);
	assert_lacks(end + 3, "]]>");
	int scripts = 0;
	for (const char *at = text; (at = strstr(at, "</script>")); at++)
		scripts++;
	assert_int_equal(scripts, 2);
	free(text);
	profile_destroy(profile);
}

/* Stacks of distinct functions whose names escape to six bytes a character. */
static void add_stacks(struct profile *profile, unsigned n, size_t depth, size_t name_bytes)
{
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	char *name = malloc(name_bytes + 32);
	location_id *stack = malloc(depth * sizeof(*stack));
	assert_true(name && stack);
	for (unsigned i = 0; i < n; i++) {
		for (size_t d = 0; d < depth; d++) {
			int length = snprintf(name, 32, "%u-%zu", i, d);
			memset(name + length, '&', name_bytes);
			name[(size_t)length + name_bytes] = '\0';
			stack[d] = build_at(profile, exe, name, name, 4);
		}
		build_stopped(profile, thread, CP_STOP_END, 10, stack, depth);
	}
	free(name);
	free(stack);
}

static void assert_below_limit(struct profile *profile, size_t at_least)
{
	size_t size;
	char *text = write_graph(profile, NULL, &size);
	assert_true(size < LIMIT_BYTES);
	assert_true(size > at_least);
	free(text);
	profile_destroy(profile);
}

static void test_flamegraph__stays_below_a_megabyte_with_many_wide_stacks(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	add_stacks(profile, 3000, 20, 10); /* 60,000 cells of 0.4 px */
	assert_below_limit(profile, LIMIT_BYTES / 2);
}

static void test_flamegraph__stays_below_a_megabyte_with_huge_names(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	add_stacks(profile, 40, 30, 5000);
	assert_int_equal(profile_header_setf(profile, HEADER_COMMAND, "%0*d", 100000, 0), 0);
	assert_below_limit(profile, LIMIT_BYTES / 2);
}

static void test_flamegraph__stays_below_a_megabyte_with_one_very_deep_stack(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	add_stacks(profile, 1, 20000, 40);
	assert_below_limit(profile, LIMIT_BYTES / 2);
}

static void test_flamegraph__a_full_device_is_an_error(void **state)
{
	(void)state;
	struct profile *profile = example();
	struct flamegraph_options options = {0};
	struct cp_err err = {""};
	FILE *full = fopen("/dev/full", "w");
	assert_non_null(full);
	assert_int_equal(flamegraph_write(profile, &options, full, &err), -EIO);
	assert_has(err.message, "No space left on device");
	fclose(full);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flamegraph__says_what_was_measured_and_how_well),
		cmocka_unit_test(test_flamegraph__heaps_say_what_is_counted),
		cmocka_unit_test(test_flamegraph__whole_machine_is_called_so),
		cmocka_unit_test(test_flamegraph__one_cut_stack_in_many_is_not_rounded_away),
		cmocka_unit_test(test_flamegraph__is_a_picture_without_script),
		cmocka_unit_test(test_flamegraph__icicle_has_the_root_at_the_top),
		cmocka_unit_test(test_flamegraph__carries_its_data),
		cmocka_unit_test(test_flamegraph__title_and_thread_filter),
		cmocka_unit_test(test_flamegraph__same_profile_same_bytes),
		cmocka_unit_test(test_flamegraph__nothing_from_outside_is_loaded),
		cmocka_unit_test(test_flamegraph__hostile_names_are_escaped_everywhere),
		cmocka_unit_test(test_flamegraph__stays_below_a_megabyte_with_many_wide_stacks),
		cmocka_unit_test(test_flamegraph__stays_below_a_megabyte_with_huge_names),
		cmocka_unit_test(test_flamegraph__stays_below_a_megabyte_with_one_very_deep_stack),
		cmocka_unit_test(test_flamegraph__a_full_device_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
