#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/pprof_file.h"

#include "../support/profile_equal.h"
#include "../support/profile_full.h"
#include "../support/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct profile *load(const char *path, struct pprof_load_info *info)
{
	struct cp_err err = {""};
	struct profile *profile = NULL;
	int rc = pprof_load(path, &profile, info, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
	return profile;
}

static void save(const struct profile *profile, const char *path)
{
	struct cp_err err = {""};
	int rc = pprof_save(profile, path, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_pprof_save__every_field_is_read_back(void **state)
{
	struct temp_dir *dir = *state;
	const char *path = temp_dir_file(dir, "a.pb.gz");
	struct profile *profile = full_profile();
	save(profile, path);
	struct pprof_load_info info;
	struct profile *again = load(path, &info);
	equal_profiles(profile, again);
	assert_int_equal(info.members, 1);
	assert_int_equal(info.torn_bytes, 0);
	assert_int_equal(info.unknown_labels, 0);
	/* the builder's numbers, once without the code that compares */
	assert_int_equal(again->n_samples, FULL_SAMPLES);
	assert_int_equal(again->values[0], 3);
	assert_string_equal(profile_header_get(again, HEADER_COMMAND), "app --x='a=b' \xc3\xa9");
	profile_destroy(profile);
	profile_destroy(again);
}

static void test_pprof_save__equal_profiles_make_equal_files(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = full_profile();
	save(profile, temp_dir_file(dir, "a"));
	struct profile *again = load(temp_dir_file(dir, "a"), NULL);
	save(again, temp_dir_file(dir, "b"));
	size_t n_a, n_b;
	char *a = temp_dir_read(temp_dir_file(dir, "a"), &n_a);
	char *b = temp_dir_read(temp_dir_file(dir, "b"), &n_b);
	assert_int_equal(n_a, n_b);
	assert_memory_equal(a, b, n_a);
	free(a);
	free(b);
	profile_destroy(profile);
	profile_destroy(again);
}

static void test_pprof_save__a_profile_without_samples_is_a_profile(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = build_profile();
	save(profile, temp_dir_file(dir, "a"));
	struct profile *again = load(temp_dir_file(dir, "a"), NULL);
	equal_profiles(profile, again);
	profile_destroy(profile);
	profile_destroy(again);
}

static void test_pprof_save__names_that_are_no_utf8_are_made_so(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 1, 1, "app-\xe2\x82", "ok");
	BUILD_SAMPLES(profile, thread, 1, build_bare(profile, build_module(profile, "/a", false)));
	assert_int_equal(profile_header_set(profile, HEADER_COMMAND, "\xff"), 0);
	save(profile, temp_dir_file(dir, "a"));
	struct profile *again = load(temp_dir_file(dir, "a"), NULL);
	assert_string_equal(profile_text(again, again->threads[0].comm),
			    "app-\xef\xbf\xbd\xef\xbf\xbd");
	assert_string_equal(profile_header_get(again, HEADER_COMMAND), "\xef\xbf\xbd");
	profile_destroy(profile);
	profile_destroy(again);
}

static void test_pprof_save__mode_is_kept_or_follows_the_umask(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = build_profile();
	const char *path = temp_dir_file(dir, "a");
	mode_t before = umask(027);
	save(profile, path);
	umask(before);
	assert_int_equal(mode_of(path), 0640);
	assert_int_equal(chmod(path, 0604), 0);
	save(profile, path);
	assert_int_equal(mode_of(path), 0604);
	assert_int_equal(temp_dir_count(dir), 1);
	profile_destroy(profile);
}

static void test_pprof_save__a_link_keeps_pointing(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = build_profile();
	char target[PATH_MAX];
	strcpy(target, temp_dir_file(dir, "target"));
	save(profile, target);
	const char *link = temp_dir_file(dir, "link");
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(profile_header_set(profile, "x", "y"), 0);
	save(profile, link);
	struct stat st;
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	struct profile *again = load(target, NULL);
	assert_string_equal(profile_header_get(again, "x"), "y");
	profile_destroy(profile);
	profile_destroy(again);
}

static void test_pprof_save__failing_leaves_what_was_there(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = full_profile();
	struct cp_err err = {""};
	assert_int_equal(pprof_save(profile, dir->path, &err), -EISDIR);
	assert_non_null(strstr(err.message, dir->path));
	assert_int_equal(pprof_save(profile, temp_dir_file(dir, "no/such"), &err), -ENOENT);
	assert_non_null(strstr(err.message, "no/such"));
	assert_int_equal(temp_dir_count(dir), 0);
	profile_destroy(profile);
}

static void test_pprof_save__devices_are_written_to_not_replaced(void **state)
{
	(void)state;
	struct profile *profile = full_profile();
	struct cp_err err = {""};
	assert_int_equal(pprof_save(profile, "/dev/full", &err), -ENOSPC);
	assert_non_null(strstr(err.message, "/dev/full"));
	save(profile, "/dev/null");
	struct stat st;
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	profile_destroy(profile);
}

static void test_pprof_save__dash_is_standard_output_and_input(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = full_profile();
	int saved_out = dup(1), saved_in = dup(0);
	int fd = open(temp_dir_file(dir, "out"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	fflush(stdout);
	assert_true(dup2(fd, 1) >= 0);
	int rc = pprof_save(profile, "-", NULL);
	dup2(saved_out, 1);
	assert_int_equal(rc, 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	dup2(fd, 0);
	struct profile *again = load("-", NULL);
	/* and from a pipe, which cannot be read twice */
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	rc = pprof_save(profile, temp_dir_file(dir, "fd"), NULL);
	assert_int_equal(rc, 0);
	size_t n;
	char *bytes = temp_dir_read(temp_dir_file(dir, "fd"), &n);
	assert_true(n < 4096);
	assert_int_equal(write(ends[1], bytes, n), n);
	close(ends[1]);
	dup2(ends[0], 0);
	struct profile *piped = load("-", NULL);
	dup2(saved_in, 0);
	equal_profiles(profile, again);
	equal_profiles(profile, piped);
	close(ends[0]);
	close(saved_out);
	close(saved_in);
	close(fd);
	free(bytes);
	profile_destroy(profile);
	profile_destroy(again);
	profile_destroy(piped);
}

static void test_pprof_save__a_large_profile_takes_its_time_not_its_memory(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = build_profile();
	module_id module = build_module(profile, "/bin/app", false);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	location_id frames[20];
	for (size_t i = 0; i < 20; i++)
		frames[i] = build_bare(profile, module);
	for (int64_t i = 0; i < 100000; i++)
		full_sample(profile, thread, CP_STOP_END, i * 10000000, i, frames + i % 10, 10);
	save(profile, temp_dir_file(dir, "a"));
	struct profile *again = load(temp_dir_file(dir, "a"), NULL);
	assert_int_equal(again->n_samples, 100000);
	assert_int_equal(again->stacks.n, profile->stacks.n);
	equal_profiles(profile, again);
	profile_destroy(profile);
	profile_destroy(again);
}

#define TEST_IN_DIR(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(test_pprof_save__every_field_is_read_back),
		TEST_IN_DIR(test_pprof_save__equal_profiles_make_equal_files),
		TEST_IN_DIR(test_pprof_save__a_profile_without_samples_is_a_profile),
		TEST_IN_DIR(test_pprof_save__names_that_are_no_utf8_are_made_so),
		TEST_IN_DIR(test_pprof_save__mode_is_kept_or_follows_the_umask),
		TEST_IN_DIR(test_pprof_save__a_link_keeps_pointing),
		TEST_IN_DIR(test_pprof_save__failing_leaves_what_was_there),
		TEST_IN_DIR(test_pprof_save__devices_are_written_to_not_replaced),
		TEST_IN_DIR(test_pprof_save__dash_is_standard_output_and_input),
		TEST_IN_DIR(test_pprof_save__a_large_profile_takes_its_time_not_its_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
