#include "cli/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[64], file[80], link[80];
};

static int set_up(void **state)
{
	static struct place place;
	strcpy(place.dir, "/tmp/cprof-test-XXXXXX");
	if (!mkdtemp(place.dir))
		return -1;
	snprintf(place.file, sizeof(place.file), "%s/out", place.dir);
	snprintf(place.link, sizeof(place.link), "%s/link", place.dir);
	*state = &place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;
	unlink(place->link);
	unlink(place->file);
	return rmdir(place->dir); /* fails when a temporary file was left behind */
}

static void put(const char *path, const char *text)
{
	struct out_file out;
	struct cp_err err = {""};
	assert_int_equal(out_file_open(&out, path, &err), 0);
	fputs(text, out.stream);
	assert_int_equal(out_file_commit(&out, &err), 0);
	out_file_close(&out);
}

static void expect_content(const char *path, const char *text)
{
	char got[64] = "";
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t n = fread(got, 1, sizeof(got) - 1, file);
	fclose(file);
	assert_int_equal(n, strlen(text));
	assert_string_equal(got, text);
}

static void test_out_file__a_new_file_gets_the_umasks_mode(void **state)
{
	struct place *place = *state;
	mode_t before = umask(027);
	put(place->file, "one\n");
	umask(before);
	struct stat st;
	assert_int_equal(stat(place->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	expect_content(place->file, "one\n");
}

static void test_out_file__a_file_is_replaced_with_its_mode_kept(void **state)
{
	struct place *place = *state;
	put(place->file, "a longer text than the next\n");
	assert_int_equal(chmod(place->file, 0604), 0);
	put(place->file, "two\n");
	struct stat st;
	assert_int_equal(stat(place->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	expect_content(place->file, "two\n");
}

static void test_out_file__a_link_stays_and_its_target_is_replaced(void **state)
{
	struct place *place = *state;
	put(place->file, "one\n");
	assert_int_equal(symlink("out", place->link), 0);
	put(place->link, "two\n");
	struct stat st;
	assert_int_equal(lstat(place->link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	expect_content(place->file, "two\n");
}

static void test_out_file__what_is_not_committed_leaves_the_old_file(void **state)
{
	struct place *place = *state;
	put(place->file, "one\n");
	struct out_file out;
	struct cp_err err;
	assert_int_equal(out_file_open(&out, place->file, &err), 0);
	fputs("half", out.stream);
	out_file_close(&out);
	expect_content(place->file, "one\n");
}

static void test_out_file__a_missing_directory_is_told(void **state)
{
	(void)state;
	struct out_file out;
	struct cp_err err = {""};
	assert_int_equal(out_file_open(&out, "/nonexistent/dir/out", &err), 0);
	assert_int_equal(out_file_commit(&out, &err), -ENOENT);
	assert_string_equal(err.message, "/nonexistent/dir/out: No such file or directory");
	out_file_close(&out);
}

static void test_out_file__a_device_is_written_to_not_replaced(void **state)
{
	(void)state;
	assert_true(out_file_is_special("/dev/null"));
	put("/dev/null", "gone\n");
	struct stat st;
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

static void test_out_file__a_full_device_is_told(void **state)
{
	(void)state;
	struct out_file out;
	struct cp_err err = {""};
	assert_int_equal(out_file_open(&out, "/dev/full", &err), 0);
	fputs("text", out.stream);
	assert_int_equal(out_file_commit(&out, &err), -ENOSPC);
	assert_string_equal(err.message, "/dev/full: No space left on device");
	out_file_close(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_out_file__a_new_file_gets_the_umasks_mode,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_out_file__a_file_is_replaced_with_its_mode_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_out_file__a_link_stays_and_its_target_is_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_out_file__what_is_not_committed_leaves_the_old_file, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_out_file__a_missing_directory_is_told, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_out_file__a_device_is_written_to_not_replaced,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_out_file__a_full_device_is_told, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
