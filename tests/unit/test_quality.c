#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/quality.h"

#include "../support/profile_builder.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define assert_close(a, b) assert_true(fabs((a) - (b)) < 1e-9)

/* A source that answers every path with a package of its own. */
static bool name_all(void *ctx, const char *const *paths, size_t n, char **packages)
{
	size_t *asked = ctx;
	*asked += n;
	for (size_t i = 0; i < n; i++) {
		if (asprintf(&packages[i], "pkg%s", strrchr(paths[i], '/') + 1) < 0)
			packages[i] = NULL;
	}
	return true;
}

static bool always(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
	return true;
}

static struct quality *compute(const struct profile *profile)
{
	struct quality *quality;
	assert_int_equal(quality_compute_from(profile, NULL, &quality), 0);
	return quality;
}

static void set(struct profile *profile, const char *key, const char *value)
{
	assert_int_equal(profile_header_set(profile, key, value), 0);
}

static void test_quality__shares_by_completeness_and_symbols(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	module_id libc = build_module(profile, "/lib/libc.so.6", false);
	module_id kernel = build_module(profile, PROFILE_PATH_KERNEL, true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id lined = build_at(profile, app, "work", "app.c", 10);
	location_id named = build_at(profile, app, "asm_loop", "", 0);
	location_id bare = build_bare(profile, libc);
	location_id sys = build_at(profile, kernel, "do_syscall_64", "", 0);
	BUILD_SAMPLES(profile, thread, 50, lined);
	BUILD_SAMPLES(profile, thread, 20, named);
	BUILD_SAMPLES(profile, thread, 10, bare, lined);
	BUILD_SAMPLES(profile, thread, 8, sys, lined);
	location_id cut[] = {lined};
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 7, cut, 1);
	build_stopped(profile, thread, CP_STOP_NO_CFI, 2, &bare, 1);
	build_stopped(profile, thread, CP_STOP_NO_USER, 3, &sys, 1);
	set(profile, HEADER_LOST, "90");
	set(profile, HEADER_UNTRACKED, "10");
	set(profile, HEADER_THROTTLED, "4");
	set(profile, HEADER_FRAMES, "1000");
	set(profile, HEADER_FP_FRAMES, "25");

	struct quality *quality = compute(profile);
	assert_int_equal(quality->samples, 100);
	assert_int_equal(quality->complete, 91); /* 50 + 20 + 10 + 8, and 3 without a user part */
	assert_int_equal(quality->kernel, 11);
	assert_close(quality->complete_pct, 91);
	assert_close(quality->symbolized_pct, 88); /* all but 10 + 2 in libc */
	assert_close(quality->lines_pct, 57);      /* 50 + 7 */
	assert_int_equal(quality->lost, 90);
	assert_int_equal(quality->untracked, 10);
	assert_int_equal(quality->throttled, 4);
	assert_int_equal(quality->stops[CP_STOP_END], 88);
	assert_int_equal(quality->stops[CP_STOP_TRUNCATED], 7);
	assert_int_equal(quality->stops[CP_STOP_NO_CFI], 2);
	assert_int_equal(quality->stops[CP_STOP_NO_USER], 3);
	assert_close(quality->fp_frames_pct, 2.5);
	/* complete and symbolized: 50 + 20 + 8 + 3 of 100 written, 90 lost, 10 dropped */
	assert_close(quality->score_pct, 40.5);
	assert_int_equal(quality->sampled_cpu_ns, 1000000000);
	quality_destroy(quality);
	profile_destroy(profile);
}

static void test_quality__joined_stacks_are_counted_apart(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id work = build_at(profile, app, "work", "app.c", 10);
	BUILD_SAMPLES(profile, thread, 60, work);
	build_joined(profile, thread, CP_JOINED_MEMORY, 25, &work, 1);
	build_joined(profile, thread, CP_JOINED_CALLCHAIN, 5, &work, 1);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 10, &work, 1);
	struct quality *quality = compute(profile);
	assert_int_equal(quality->complete, 90);
	assert_int_equal(quality->complete_alone, 60);
	assert_int_equal(quality->joined[CP_JOINED_MEMORY], 25);
	assert_int_equal(quality->joined[CP_JOINED_CALLCHAIN], 5);
	assert_close(quality->complete_pct, 90);
	assert_close(quality->complete_alone_pct, 60);
	assert_close(quality->joined_pct, 30);
	quality_destroy(quality);
	profile_destroy(profile);
}

static struct quality *quality_with_lost(const char *scope, const char *target_ns)
{
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id work = build_at(profile, app, "work", "app.c", 10);
	BUILD_SAMPLES(profile, thread, 95, work); /* 10 ms each */
	build_stopped(profile, thread, CP_STOP_DEPTH, 5, &work, 1);
	set(profile, HEADER_LOST, "60");
	set(profile, HEADER_RATE_HZ, "100");
	if (scope)
		set(profile, HEADER_LOST_SCOPE, scope);
	if (target_ns)
		set(profile, HEADER_TARGET_USER_NS, target_ns);
	struct quality *quality = compute(profile);
	profile_destroy(profile);
	return quality;
}

static void test_quality__losses_of_whole_cpus_count_as_far_as_time_is_missing(void **state)
{
	(void)state;
	static const struct {
		const char *scope, *target_ns;
		uint64_t most;
		double score_pct;
	} cases[] = {
		{"cpus", "1250000000", 25, 80},    {"cpus", "900000000", 0, 100},
		{"cpus", "9000000000", 60, 62.5},  {"cpus", NULL, 60, 62.5},
		{"target", "900000000", 60, 62.5}, {NULL, "900000000", 60, 62.5},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quality *quality = quality_with_lost(cases[i].scope, cases[i].target_ns);
		assert_int_equal(quality->lost, 60);
		assert_int_equal(quality->lost_most, cases[i].most);
		assert_close(quality->score_pct, cases[i].score_pct);
		/* the too deep ones have their root */
		assert_int_equal(quality->complete, 100);
		assert_int_equal(quality->too_deep, 5);
		assert_close(quality->too_deep_pct, 5);
		quality_destroy(quality);
	}
}

static void test_quality__names_the_binaries_where_walks_end(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	module_id foo = build_module(profile, "/lib/libfoo.so", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id work = build_at(profile, app, "work", "app.c", 10);
	location_id hand = build_at(profile, foo, "hand", "", 0);
	location_id more = build_at(profile, foo, "more", "", 0);
	BUILD_SAMPLES(profile, thread, 80, work, hand);
	build_stopped(profile, thread, CP_STOP_NO_CFI, 6, (location_id[]){work, hand}, 2);
	build_stopped(profile, thread, CP_STOP_NO_CFI, 3, (location_id[]){work, work, more}, 3);
	build_stopped(profile, thread, CP_STOP_NO_CFI, 2, (location_id[]){hand, work}, 2);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 4, (location_id[]){hand, work}, 2);
	/* these have their root, or no user part, or no frame */
	build_stopped(profile, thread, CP_STOP_DEPTH, 2, &work, 1);
	build_stopped(profile, thread, CP_STOP_NO_USER, 2, &work, 1);
	build_stopped(profile, thread, CP_STOP_NO_MAP, 1, NULL, 0);
	struct quality *quality = compute(profile);
	assert_int_equal(quality->n_ends, 3);
	assert_int_equal(quality->ends[0].stop, CP_STOP_NO_CFI);
	assert_string_equal(quality->ends[0].path, "/lib/libfoo.so");
	assert_int_equal(quality->ends[0].samples, 9);
	assert_close(quality->ends[0].share_pct, 9);
	assert_int_equal(quality->ends[1].stop, CP_STOP_TRUNCATED);
	assert_string_equal(quality->ends[1].path, "/bin/app");
	assert_int_equal(quality->ends[1].samples, 4);
	assert_int_equal(quality->ends[2].stop, CP_STOP_NO_CFI);
	assert_string_equal(quality->ends[2].path, "/bin/app");
	assert_int_equal(quality->ends[2].samples, 2);
	quality_destroy(quality);
	profile_destroy(profile);
}

static void test_quality__no_samples(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct quality *quality;
	assert_int_equal(quality_compute_from(profile, NULL, &quality), -ENODATA);
	quality_destroy(NULL);
	profile_destroy(profile);
}

static struct quality *with_cpu(const char *kernel, const char *user_ns, const char *system_ns)
{
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	BUILD_SAMPLES(profile, thread, 100, build_at(profile, app, "work", "app.c", 10));
	set(profile, HEADER_KERNEL, kernel);
	if (user_ns)
		set(profile, HEADER_TARGET_USER_NS, user_ns);
	if (system_ns)
		set(profile, HEADER_TARGET_SYSTEM_NS, system_ns);
	struct quality *quality = compute(profile);
	profile_destroy(profile);
	return quality;
}

static void test_quality__invisible_time_only_where_the_kernel_is_hidden(void **state)
{
	(void)state;
	/* 100 samples are 1 s */
	struct quality *quality = with_cpu("hidden", "1100000000", "3200000000");
	assert_int_equal(quality->target_cpu_ns, 4300000000);
	assert_int_equal(quality->invisible_cpu_ns, 3300000000);
	quality_destroy(quality);
	quality = with_cpu("visible", "1100000000", "3200000000");
	assert_int_equal(quality->invisible_cpu_ns, 0);
	quality_destroy(quality);
	quality = with_cpu("hidden", "900000000", "50000000");
	assert_int_equal(quality->invisible_cpu_ns, 0);
	quality_destroy(quality);
	quality = with_cpu("hidden", NULL, NULL);
	assert_int_equal(quality->target_cpu_ns, 0);
	assert_int_equal(quality->invisible_cpu_ns, 0);
	quality_destroy(quality);
}

static void test_quality__modules_without_debug_information(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	module_id app = build_module(profile, "/bin/app", true);
	module_id small = build_module(profile, "/lib/small.so", false);
	module_id big = build_module(profile, "/lib/big.so", false);
	module_id symbols = build_module(profile, "/lib/symbols.so", false);
	profile->modules[symbols.v].has_functions = true;
	/* says nothing about itself, but its locations have lines: a foreign profile */
	module_id foreign = build_module(profile, "/bin/foreign", false);
	/* a second segment of the same file */
	struct profile_module segment = profile->modules[big.v];
	segment.svma_start = 0x20000000;
	segment.svma_end = 0x30000000;
	module_id big_too;
	assert_int_equal(profile_add_module(profile, &segment, &big_too), 0);
	location_id in_segment;
	assert_int_equal(profile_add_location(profile, big_too, 0x20000010, &in_segment), 0);
	module_id kernel = build_module(profile, PROFILE_PATH_KERNEL, false);
	profile->modules[kernel.v].has_functions = true;
	module_id vdso = build_module(profile, PROFILE_PATH_VDSO, false);

	BUILD_SAMPLES(profile, thread, 700, build_at(profile, app, "work", "app.c", 10));
	BUILD_SAMPLES(profile, thread, 4, build_bare(profile, small));
	BUILD_SAMPLES(profile, thread, 100, build_bare(profile, big));
	BUILD_SAMPLES(profile, thread, 20, in_segment);
	BUILD_SAMPLES(profile, thread, 50, build_at(profile, symbols, "sym", "", 0));
	BUILD_SAMPLES(profile, thread, 66, build_at(profile, foreign, "go.run", "run.go", 3));
	BUILD_SAMPLES(profile, thread, 50, build_at(profile, kernel, "schedule", "", 0));
	BUILD_SAMPLES(profile, thread, 10, build_bare(profile, vdso));
	set(profile, "symbols./lib/big.so", "the file on disk is another build");

	size_t asked = 0;
	struct remedy_source source = {name_all, always, &asked, "debian", "bookworm"};
	struct quality *quality;
	assert_int_equal(quality_compute_from(profile, &source, &quality), 0);
	assert_int_equal(quality->n_modules, 3);
	const struct quality_module *modules = quality->modules;
	assert_string_equal(modules[0].path, "/lib/big.so");
	assert_int_equal(modules[0].samples, 120);
	assert_close(modules[0].share_pct, 12);
	assert_false(modules[0].has_functions);
	assert_string_equal(modules[0].reason, "the file on disk is another build");
	assert_non_null(strstr(modules[0].remedy, "--debug-dir")); /* today's package is no help */
	assert_string_equal(modules[1].path, "/lib/symbols.so");
	assert_true(modules[1].has_functions);
	assert_false(modules[1].has_lines);
	assert_null(modules[1].reason);
	assert_string_equal(modules[1].remedy, "apt install pkgsymbols.so-dbgsym");
	/* 0.4 % of the samples: listed, but not looked up */
	assert_string_equal(modules[2].path, "/lib/small.so");
	assert_null(modules[2].remedy);
	assert_int_equal(asked, 2);
	assert_non_null(strstr(quality->remedy_command, "bookworm-debug"));
	quality_destroy(quality);
	profile_destroy(profile);
}

static void test_quality__at_most_ten_modules_are_looked_up(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	for (int i = 0; i < 15; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/lib/%02d.so", i);
		BUILD_SAMPLES(profile, thread, 100 - i,
			      build_bare(profile, build_module(profile, path, false)));
	}
	size_t asked = 0;
	struct remedy_source source = {name_all, always, &asked, "debian", "bookworm"};
	struct quality *quality;
	assert_int_equal(quality_compute_from(profile, &source, &quality), 0);
	assert_int_equal(quality->n_modules, 15);
	assert_int_equal(asked, 10);
	assert_string_equal(quality->modules[9].path, "/lib/09.so");
	assert_non_null(quality->modules[9].remedy);
	assert_null(quality->modules[10].remedy);
	quality_destroy(quality);
	profile_destroy(profile);
}

/* Seconds instead of minutes: a file of some megabytes may name a hundred thousand modules. */
static void test_quality__very_many_modules(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	for (int i = 0; i < 100000; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/lib/%06d.so", i);
		BUILD_SAMPLES(profile, thread, 1,
			      build_bare(profile, build_module(profile, path, false)));
	}
	clock_t start = clock();
	struct quality *quality = compute(profile);
	double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	assert_int_equal(quality->n_modules, 100000);
	assert_string_equal(quality->modules[99999].path, "/lib/099999.so");
	if (seconds > 10)
		fail_msg("%.1f s", seconds);
	quality_destroy(quality);
	profile_destroy(profile);
}

/* A profile with @share of 100 samples below a frame of @path, the rest elsewhere. */
static struct profile *with_runtime(const char *path, int64_t share)
{
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id eval =
		build_at(profile, build_module(profile, path, true), "eval", "ceval.c", 10);
	location_id leaf = build_at(profile, build_module(profile, "/lib/libm.so.6", true), "exp",
				    "e_exp.c", 20);
	BUILD_SAMPLES(profile, thread, share, leaf, eval);
	BUILD_SAMPLES(profile, thread, 100 - share, leaf);
	return profile;
}

static void expect_hint(const char *path, int64_t share, const char *part)
{
	struct profile *profile = with_runtime(path, share);
	struct quality *quality = compute(profile);
	if (!part) {
		assert_int_equal(quality->n_runtime_hints, 0);
	} else {
		assert_int_equal(quality->n_runtime_hints, 1);
		if (!strstr(quality->runtime_hints[0], part))
			fail_msg("'%s' is not in: %s", part, quality->runtime_hints[0]);
	}
	quality_destroy(quality);
	profile_destroy(profile);
}

static void test_quality__hints_by_runtime_and_version(void **state)
{
	(void)state;
	expect_hint("/usr/bin/python3.12", 60, "run the program with `python3 -X perf`");
	expect_hint("/usr/lib/libpython3.13.so.1.0", 60, "run the program with");
	expect_hint("/usr/bin/python3.11", 60, "this is 3.11");
	expect_hint("/usr/bin/python3.9", 60, "this is 3.9");
	expect_hint("/usr/local/bin/python3", 60, "3.12 and later");
	expect_hint("/usr/bin/node", 60, "--perf-basic-prof");
	expect_hint("/usr/lib/jvm/lib/server/libjvm.so", 60, "perf-map agent");
	expect_hint("/usr/bin/python3.11", 4, NULL);
	expect_hint("/usr/bin/python-config-tool", 60, NULL);
	expect_hint("/usr/bin/nodemon", 60, NULL);
}

static void test_quality__hint_from_the_header_for_generated_code(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 7, 7, "java", "java");
	module_id jit = build_module(profile, "[jit:7]", false);
	BUILD_SAMPLES(profile, thread, 10, build_bare(profile, jit));
	set(profile, HEADER_RUNTIMES, "nodejs,java");
	struct quality *quality = compute(profile);
	assert_int_equal(quality->n_runtime_hints, 1);
	assert_memory_equal(quality->runtime_hints[0], "java:", 5);
	quality_destroy(quality);
	profile_destroy(profile);
}

/* It has names, and some are in doubt: that is told, not that it has no lines. */
static void test_quality__what_is_told_of_generated_code_with_names_is_listed(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	module_id jit = build_module(profile, "[jit:7]", false);
	module_id other = build_module(profile, "[jit:8]", false);
	BUILD_SAMPLES(profile, thread, 10, build_at(profile, jit, "f", "", 0));
	BUILD_SAMPLES(profile, thread, 10, build_at(profile, other, "g", "", 0));
	set(profile, "symbols.[jit:7]", "2 of its addresses held several functions");
	struct quality *quality = compute(profile);
	assert_int_equal(quality->n_modules, 1);
	assert_string_equal(quality->modules[0].path, "[jit:7]");
	assert_true(quality->modules[0].has_functions && quality->modules[0].has_lines);
	assert_string_equal(quality->modules[0].reason,
			    "2 of its addresses held several functions");
	quality_destroy(quality);
	profile_destroy(profile);
}

static void test_quality__no_hint_once_generated_code_has_names(void **state)
{
	(void)state;
	struct profile *profile = with_runtime("/usr/bin/python3.12", 60);
	module_id jit = build_module(profile, "[jit:7]", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	BUILD_SAMPLES(profile, thread, 1, build_at(profile, jit, "py::main:/app.py", "", 0));
	struct quality *quality = compute(profile);
	assert_int_equal(quality->n_runtime_hints, 0);
	quality_destroy(quality);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quality__shares_by_completeness_and_symbols),
		cmocka_unit_test(test_quality__joined_stacks_are_counted_apart),
		cmocka_unit_test(
			test_quality__losses_of_whole_cpus_count_as_far_as_time_is_missing),
		cmocka_unit_test(test_quality__names_the_binaries_where_walks_end),
		cmocka_unit_test(test_quality__no_samples),
		cmocka_unit_test(test_quality__invisible_time_only_where_the_kernel_is_hidden),
		cmocka_unit_test(test_quality__modules_without_debug_information),
		cmocka_unit_test(test_quality__at_most_ten_modules_are_looked_up),
		cmocka_unit_test(test_quality__very_many_modules),
		cmocka_unit_test(test_quality__hints_by_runtime_and_version),
		cmocka_unit_test(test_quality__hint_from_the_header_for_generated_code),
		cmocka_unit_test(test_quality__what_is_told_of_generated_code_with_names_is_listed),
		cmocka_unit_test(test_quality__no_hint_once_generated_code_has_names),
	};
	return cmocka_run_group_tests_name("quality", tests, NULL, NULL);
}
