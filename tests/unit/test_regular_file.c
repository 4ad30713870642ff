/* Paths that lead to something else than a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/temp_dir.h"
#include "base/regular_file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_regular_file__only_files_are_opened(void **state)
{
	struct temp_dir *dir = *state;
	char byte;
	const char *path = temp_dir_file(dir, "file");
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fputc('x', file), 'x');
	assert_int_equal(fclose(file), 0);
	const int fd = regular_file_open(path);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(fd);
	assert_int_equal(regular_file_open(dir->path), -EINVAL);
	assert_int_equal(regular_file_open("/dev/zero"), -EINVAL);
	assert_int_equal(regular_file_open("/nonexistent/x"), -ENOENT);
}

static void test_regular_file__what_is_none_is_not_even_opened(void **state)
{
	struct temp_dir *dir = *state;
	char event[256];
	const char *path = temp_dir_file(dir, "fifo");
	assert_int_equal(mkfifo(path, 0600), 0);
	const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	assert_true(watch >= 0);
	assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
	assert_int_equal(regular_file_open(path), -EINVAL);
	assert_int_equal(read(watch, event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
	close(watch);
}

#define IN_DIR(name) cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_regular_file__only_files_are_opened),
		IN_DIR(test_regular_file__what_is_none_is_not_even_opened),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
