#include "symbolizer/symbolizer.h"

#include "profile/header_keys.h"
#include "symbolizer_fixtures/fixtures.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

static struct profile *new_profile(void)
{
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	return profile;
}

static module_id add_module(struct profile *profile, const char *path, const char *build_id,
			    uint64_t start, uint64_t end)
{
	struct profile_module module = {.svma_start = start, .svma_end = end};
	module_id id;
	assert_int_equal(profile_string(profile, path, &module.path), 0);
	assert_int_equal(profile_string(profile, build_id, &module.build_id), 0);
	assert_int_equal(profile_add_module(profile, &module, &id), 0);
	return id;
}

static location_id add_location(struct profile *profile, module_id module, uint64_t svma)
{
	location_id id;
	assert_int_equal(profile_add_location(profile, module, svma, &id), 0);
	return id;
}

static struct symbolizer_stats run(struct profile *profile,
				   const struct symbolizer_options *options)
{
	const struct symbolizer_options none = {0};
	struct symbolizer_stats stats;
	struct cp_err err;
	assert_int_equal(symbolizer_run(profile, options ? options : &none, &stats, &err), 0);
	return stats;
}

static void expect_line(const struct profile *profile, location_id location, size_t index,
			const char *name, const char *mark)
{
	const struct profile_location *at = &profile->locations[location.v];
	assert_true(index < at->n_lines);
	const struct profile_line *line = &profile->lines[at->first_line + index];
	const struct profile_function *function = &profile->functions[line->function.v];
	char file[FIXTURE_PATH_MAX];
	snprintf(file, sizeof(file), "%s/chain.c", FIXTURE_SOURCE_DIR);
	assert_string_equal(profile_text(profile, function->name), name);
	assert_string_equal(profile_text(profile, function->system_name), name);
	assert_string_equal(profile_text(profile, function->file), file);
	assert_int_equal(line->line, fixture_line("chain.c", mark));
}

static const char *function_at(const struct profile *profile, location_id location)
{
	const struct profile_location *at = &profile->locations[location.v];
	if (at->n_lines == 0)
		return "none";
	const struct profile_line *line = &profile->lines[at->first_line];
	return profile_text(profile, profile->functions[line->function.v].name);
}

static const char *reason(const struct profile *profile, const char *path)
{
	char key[2 * FIXTURE_PATH_MAX];
	snprintf(key, sizeof(key), SYMBOLIZER_REASON_PREFIX "%s", path);
	const char *value = profile_header_get(profile, key);
	return value ? value : "none";
}

struct progress {
	size_t calls, last_done, last_total;
	char paths[2048];
};

static void note_progress(void *ctx, const char *path, size_t done, size_t total)
{
	struct progress *progress = ctx;
	progress->calls++;
	progress->last_done = done;
	progress->last_total = total;
	strncat(progress->paths, path, sizeof(progress->paths) - strlen(progress->paths) - 1);
}

static void test_symbolizer__one_binary_in_two_modules_is_one_job(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX], id[FIXTURE_PATH_MAX];
	fixture_build_id(fixture_path("chain_gcc5", path), id);
	uint64_t inner = fixture_address(path, "at_innermost");
	uint64_t last = fixture_address(path, "at_last");
	struct profile *profile = new_profile();
	module_id first = add_module(profile, path, id, 0, last);
	module_id second = add_module(profile, path, id, last, last + 0x1000);
	location_id at_last = add_location(profile, second, last);
	location_id at_inner = add_location(profile, first, inner);
	location_id outside = add_location(profile, first, 0xfffff000);
	struct progress progress = {0};
	const struct symbolizer_options options = {.progress = note_progress,
						   .progress_ctx = &progress};
	struct symbolizer_stats stats = run(profile, &options);
	assert_int_equal(stats.locations, 3);
	assert_int_equal(stats.symbolized, 2);
	assert_int_equal(stats.with_lines, 2);
	assert_int_equal(stats.modules_mismatched, 0);
	assert_int_equal(progress.calls, 1);
	assert_int_equal(progress.last_done, 1);
	assert_int_equal(progress.last_total, 1);
	assert_string_equal(progress.paths, path);
	assert_int_equal(profile->locations[at_inner.v].n_lines, 3);
	expect_line(profile, at_inner, 0, "innermost", "innermost");
	expect_line(profile, at_inner, 1, "middle", "middle");
	expect_line(profile, at_inner, 2, "outer", "outer");
	expect_line(profile, at_last, 0, "last", "last");
	assert_int_equal(profile->locations[outside.v].n_lines, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_true(profile->modules[i].has_functions);
		assert_true(profile->modules[i].has_filenames);
		assert_true(profile->modules[i].has_lines);
		assert_true(profile->modules[i].has_inlines);
	}
	assert_string_equal(reason(profile, path), "none");
	/* what has names is left alone */
	stats = run(profile, NULL);
	assert_int_equal(stats.locations, 1);
	assert_int_equal(stats.symbolized, 0);
	profile_destroy(profile);
}

static void test_symbolizer__another_build_is_not_used_and_named(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	uint64_t inner = fixture_address(fixture_path("chain_gcc5", path), "at_innermost");
	struct profile *profile = new_profile();
	module_id module = add_module(profile, path, "00112233445566778899", 0, 0x10000);
	location_id location = add_location(profile, module, inner);
	struct symbolizer_stats stats = run(profile, NULL);
	assert_int_equal(stats.symbolized, 0);
	assert_int_equal(stats.modules_mismatched, 1);
	assert_int_equal(profile->locations[location.v].n_lines, 0);
	assert_false(profile->modules[module.v].has_functions);
	assert_non_null(strstr(reason(profile, path), "another build"));
	profile_destroy(profile);
}

static void test_symbolizer__without_build_id_code_must_lie_where_it_was(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	uint64_t inner = fixture_address(fixture_path("chain_no_id", path), "at_innermost");
	struct profile *profile = new_profile();
	location_id good = add_location(
		profile, add_module(profile, path, "", inner & ~0xfffULL, inner + 0x1000), inner);
	assert_int_equal(run(profile, NULL).symbolized, 1);
	assert_string_equal(function_at(profile, good), "innermost");
	profile_destroy(profile);

	profile = new_profile();
	location_id bad =
		add_location(profile, add_module(profile, path, "", 0x7000000, 0x7001000), inner);
	struct symbolizer_stats stats = run(profile, NULL);
	assert_int_equal(stats.modules_mismatched, 1);
	assert_string_equal(function_at(profile, bad), "none");
	profile_destroy(profile);
}

static void test_symbolizer__without_build_id_a_file_of_after_the_recording_is_told(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	uint64_t inner = fixture_address(fixture_path("chain_no_id", path), "at_innermost");
	struct stat file;
	assert_int_equal(stat(path, &file), 0);
	for (int later = -1; later <= 1; later += 2) {
		struct profile *profile = new_profile();
		profile->start_ns = (file.st_mtim.tv_sec + later * 60) * INT64_C(1000000000);
		profile->duration_ns = INT64_C(30000000000);
		add_location(profile,
			     add_module(profile, path, "", inner & ~0xfffULL, inner + 0x1000),
			     inner);
		run(profile, NULL);
		bool told = strstr(reason(profile, path), "may be of another build") != NULL;
		assert_int_equal(told, later < 0);
		profile_destroy(profile);
	}
}

static void test_symbolizer__missing_and_undebuggable_binaries_say_so(void **state)
{
	const char *dir = *state;
	char gone[FIXTURE_PATH_MAX], stubs[FIXTURE_PATH_MAX], text[FIXTURE_PATH_MAX];
	snprintf(gone, sizeof(gone), "%s/gone", dir);
	snprintf(text, sizeof(text), "%s/text", dir);
	fixture_run("echo hello > %s", text);
	uint64_t exported = fixture_address(fixture_path("stubs_plain", stubs), "exported");
	struct profile *profile = new_profile();
	add_location(profile, add_module(profile, gone, "", 0, 0x1000), 0x10);
	add_location(profile, add_module(profile, text, "", 0, 0x1000), 0x10);
	add_location(profile, add_module(profile, PROFILE_PATH_UNKNOWN, "", 0, 0), 0x10);
	add_location(profile, add_module(profile, "[heap]", "", 0, 0), 0x10);
	module_id module = add_module(profile, stubs, "", 0x1000, 0x2000);
	location_id location = add_location(profile, module, exported + 1);
	struct symbolizer_stats stats = run(profile, NULL);
	assert_int_equal(stats.symbolized, 1);
	assert_int_equal(stats.with_lines, 0);
	assert_int_equal(stats.modules_mismatched, 0);
	assert_string_equal(reason(profile, gone), "No such file or directory");
	assert_string_equal(reason(profile, text), "not an ELF program or library");
	assert_string_equal(reason(profile, PROFILE_PATH_UNKNOWN), "none");
	assert_string_equal(
		reason(profile, stubs),
		"no debug information: function names as far as ELF symbols go, no lines");
	assert_string_equal(function_at(profile, location), "exported");
	assert_true(profile->modules[module.v].has_functions);
	assert_false(profile->modules[module.v].has_filenames);
	assert_false(profile->modules[module.v].has_lines);
	assert_false(profile->modules[module.v].has_inlines);
	profile_destroy(profile);
}

static void test_symbolizer__a_later_run_overrules_an_earlier_reason(void **state)
{
	const char *dir = *state, *dirs[] = {dir};
	char whole[FIXTURE_PATH_MAX], stripped[FIXTURE_PATH_MAX], id[FIXTURE_PATH_MAX];
	fixture_build_id(fixture_path("chain_gcc5", whole), id);
	snprintf(stripped, sizeof(stripped), "%s/chain", dir);
	fixture_run(OBJCOPY " --strip-all %s %s", whole, stripped);
	uint64_t inner = fixture_address(whole, "at_innermost");
	struct profile *profile = new_profile();
	module_id module = add_module(profile, stripped, id, 0, 0x10000);
	location_id location = add_location(profile, module, inner);
	assert_int_equal(run(profile, NULL).with_lines, 0);
	assert_string_equal(function_at(profile, location), "outer"); /* it is exported */
	assert_non_null(strstr(reason(profile, stripped), "no debug information"));

	profile->locations[location.v].n_lines = 0;
	fixture_run("cd %s && mkdir -p .build-id/%.2s && cp %s .build-id/%.2s/%s.debug", dir, id,
		    whole, id, id + 2);
	const struct symbolizer_options options = {.debug_dirs = dirs, .n_debug_dirs = 1};
	assert_int_equal(run(profile, &options).with_lines, 1);
	expect_line(profile, location, 0, "innermost", "innermost");
	assert_string_equal(reason(profile, stripped), "");
	profile_destroy(profile);
}

static void test_symbolizer__files_are_looked_for_below_the_targets_root(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	uint64_t last = fixture_address(fixture_path("chain_gcc5", path), "at_last");
	struct profile *profile = new_profile();
	location_id location =
		add_location(profile, add_module(profile, path, "", 0, 0x10000), last);
	const struct symbolizer_options options = {.root_pid = getpid()};
	assert_int_equal(run(profile, &options).symbolized, 1);
	assert_string_equal(function_at(profile, location), "last");
	profile_destroy(profile);
}

static void test_symbolizer__vdso_functions_by_our_own_copy(void **state)
{
	(void)state;
	struct profile *profile = new_profile();
	uint64_t base = getauxval(AT_SYSINFO_EHDR);
	assert_true(base != 0);
	/* the loader's own answer: dlvsym in the vDSO, as libc finds it */
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	assert_non_null(vdso);
	uint64_t wanted = (uint64_t)(uintptr_t)dlsym(vdso, "__vdso_clock_gettime");
	assert_true(wanted > base);
	dlclose(vdso);
	module_id module = add_module(profile, PROFILE_PATH_VDSO, "", 0, 0x2000);
	location_id location = add_location(profile, module, wanted - base);
	run(profile, NULL);
	assert_non_null(strstr(function_at(profile, location), "clock_gettime"));
	assert_true(profile->modules[module.v].has_functions);
	profile_destroy(profile);
}

static void test_symbolizer__jit_code_by_the_map_of_its_process(void **state)
{
	(void)state;
	char map[64], path[64];
	snprintf(map, sizeof(map), "/tmp/perf-%d.map", (int)getpid());
	snprintf(path, sizeof(path), PROFILE_PATH_JIT "%d]", (int)getpid());
	fixture_run("echo '7f1234560000 40 JS:~fib /srv/a.js:3' > %s", map);
	struct profile *profile = new_profile();
	module_id module = add_module(profile, path, "", 0, 0);
	location_id inside = add_location(profile, module, 0x7f1234560020);
	location_id outside = add_location(profile, module, 0x7f1234560040);
	location_id other =
		add_location(profile, add_module(profile, PROFILE_PATH_JIT "x]", "", 0, 0), 1);
	run(profile, NULL);
	unlink(map);
	assert_string_equal(function_at(profile, inside), "JS:~fib /srv/a.js:3");
	assert_string_equal(function_at(profile, outside), "none");
	assert_string_equal(function_at(profile, other), "none");
	assert_true(profile->modules[module.v].has_functions);
	assert_false(profile->modules[module.v].has_lines);
	profile_destroy(profile);

	profile = new_profile();
	add_location(profile, add_module(profile, path, "", 0, 0), 1);
	run(profile, NULL);
	assert_non_null(strstr(reason(profile, path), map));
	profile_destroy(profile);
}

/* The first text symbol in /proc/kallsyms at or behind which nothing else starts for 64 bytes. */
static bool kernel_symbol(uint64_t *address, char name[256])
{
	char line[1024], type, candidate[256] = "";
	unsigned long long here, before = 0;
	bool found = false;
	FILE *file = fopen("/proc/kallsyms", "r");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %c %255s", &here, &type, name) != 3 || !strchr("tT", type))
			continue;
		found = candidate[0] && before && here > before + 64;
		if (found)
			break;
		snprintf(candidate, sizeof(candidate), "%s", here == before ? "" : name);
		before = here;
	}
	fclose(file);
	*address = before;
	strcpy(name, candidate);
	return found;
}

static void test_symbolizer__kernel_functions_of_this_boot_only(void **state)
{
	(void)state;
	uint64_t address = 0;
	char name[256];
	bool readable = kernel_symbol(&address, name);
	struct utsname host;
	assert_int_equal(uname(&host), 0);

	struct profile *profile = new_profile();
	module_id module = add_module(profile, PROFILE_PATH_KERNEL, "", 0, UINT64_MAX);
	location_id location = add_location(profile, module, address + 1);
	profile_header_set(profile, HEADER_KERNEL_RELEASE, host.release);
	run(profile, NULL);
	if (readable)
		assert_string_equal(function_at(profile, location), name);
	else /* no permission: the reason is told */
		assert_string_not_equal(reason(profile, PROFILE_PATH_KERNEL), "none");
	profile_destroy(profile);

	profile = new_profile();
	module = add_module(profile, PROFILE_PATH_KERNEL, "", 0, UINT64_MAX);
	location = add_location(profile, module, address + 1);
	profile_header_set(profile, HEADER_KERNEL_RELEASE, "2.6.32-ancient");
	assert_int_equal(run(profile, NULL).modules_mismatched, 1);
	assert_string_equal(function_at(profile, location), "none");
	assert_non_null(strstr(reason(profile, PROFILE_PATH_KERNEL), "2.6.32-ancient"));
	profile_destroy(profile);

	profile = new_profile();
	module = add_module(profile, PROFILE_PATH_KERNEL, "", 0, UINT64_MAX);
	location = add_location(profile, module, address + 1);
	profile->start_ns = 1000000000000000000; /* September 2001 */
	assert_int_equal(run(profile, NULL).modules_mismatched, 1);
	assert_string_equal(function_at(profile, location), "none");
	assert_non_null(strstr(reason(profile, PROFILE_PATH_KERNEL), "before this machine booted"));
	profile_destroy(profile);
}

static void test_symbolizer__cancelled_run_leaves_the_rest_bare(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	uint64_t last = fixture_address(fixture_path("chain_gcc5", path), "at_last");
	const volatile sig_atomic_t cancel = 1;
	struct progress progress = {0};
	const struct symbolizer_options options = {
		.cancel = &cancel, .progress = note_progress, .progress_ctx = &progress};
	struct profile *profile = new_profile();
	location_id location =
		add_location(profile, add_module(profile, path, "", 0, 0x10000), last);
	struct symbolizer_stats stats = run(profile, &options);
	assert_int_equal(stats.locations, 1);
	assert_int_equal(stats.symbolized, 0);
	assert_int_equal(progress.calls, 0);
	assert_string_equal(function_at(profile, location), "none");
	profile_destroy(profile);
}

static void test_symbolizer__what_is_not_reached_in_time_is_told(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	uint64_t last = fixture_address(fixture_path("chain_gcc5", path), "at_last");
	const struct symbolizer_options options = {.deadline_ns = 1};
	struct profile *profile = new_profile();
	module_id module = add_module(profile, path, "", 0, 0x10000);
	location_id location = add_location(profile, module, last);
	add_location(profile, module, last + 1);
	struct symbolizer_stats stats = run(profile, &options);
	assert_int_equal(stats.locations, 2);
	assert_int_equal(stats.symbolized, 0);
	assert_int_equal(stats.not_reached, 2);
	assert_string_equal(reason(profile, path),
			    "the time for symbols was over before 2 of 2 addresses: 'cprof "
			    "symbolize' looks them up");
	/* with time enough the rest follows, and nothing is wanting any more */
	stats = run(profile, NULL);
	assert_int_equal(stats.symbolized, 2);
	assert_int_equal(stats.not_reached, 0);
	assert_string_equal(function_at(profile, location), "last");
	assert_string_equal(reason(profile, path), "");
	profile_destroy(profile);
}

static void test_symbolizer__empty_profile_is_no_work(void **state)
{
	(void)state;
	struct profile *profile = new_profile();
	struct symbolizer_stats stats = run(profile, NULL);
	assert_int_equal(stats.locations, 0);
	assert_int_equal(stats.symbolized, 0);
	profile_destroy(profile);
}

#define WITH_DIR(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, fixture_setup_dir, fixture_teardown_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbolizer__one_binary_in_two_modules_is_one_job),
		cmocka_unit_test(test_symbolizer__another_build_is_not_used_and_named),
		cmocka_unit_test(test_symbolizer__without_build_id_code_must_lie_where_it_was),
		cmocka_unit_test(
			test_symbolizer__without_build_id_a_file_of_after_the_recording_is_told),
		WITH_DIR(test_symbolizer__missing_and_undebuggable_binaries_say_so),
		WITH_DIR(test_symbolizer__a_later_run_overrules_an_earlier_reason),
		cmocka_unit_test(test_symbolizer__files_are_looked_for_below_the_targets_root),
		cmocka_unit_test(test_symbolizer__vdso_functions_by_our_own_copy),
		cmocka_unit_test(test_symbolizer__jit_code_by_the_map_of_its_process),
		cmocka_unit_test(test_symbolizer__kernel_functions_of_this_boot_only),
		cmocka_unit_test(test_symbolizer__cancelled_run_leaves_the_rest_bare),
		cmocka_unit_test(test_symbolizer__what_is_not_reached_in_time_is_told),
		cmocka_unit_test(test_symbolizer__empty_profile_is_no_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
