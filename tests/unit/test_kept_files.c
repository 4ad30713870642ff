#include "elf/kept_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct elf_build_id none = {.n = 0};

static int make_file(const char *text)
{
	int fd = memfd_create("kept", MFD_CLOEXEC);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void expect(struct kept_files *files, const char *path, const struct elf_build_id *id,
		   const char *text)
{
	char buf[64] = "";
	int fd = kept_files_open(files, path, id);
	if (!text) {
		assert_int_equal(fd, -ENOENT);
		return;
	}
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), strlen(text));
	assert_string_equal(buf, text);
	close(fd);
}

static void test_kept_files__by_build_id_else_by_path(void **state)
{
	(void)state;
	const struct elf_build_id a = {.bytes = "aa", .n = 2}, b = {.bytes = "bb", .n = 2};
	struct kept_files *files = kept_files_create();
	kept_files_add(files, make_file("old"), "/bin/x", &a);
	kept_files_add(files, make_file("new"), "/bin/x", &b);
	kept_files_add(files, make_file("nameless"), "/bin/y", &none);
	expect(files, "/bin/x", &a, "old");
	expect(files, "/elsewhere", &b, "new");
	expect(files, "/bin/y", &none, "nameless");
	/* one with a build-id is not what a module without one ran */
	expect(files, "/bin/x", &none, NULL);
	expect(files, "/bin/y", &a, "old");
	expect(NULL, "/bin/x", &a, NULL);
	kept_files_destroy(files);
	kept_files_destroy(NULL);
}

static void test_kept_files__are_few_of_the_descriptors(void **state)
{
	(void)state;
	struct rlimit before, few;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 80;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	struct kept_files *files = kept_files_create();
	size_t n = 0;
	for (; kept_files_has_room(files); n++)
		kept_files_add(files, make_file("x"), "/bin/x", &none);
	assert_int_equal(n, 10);
	const int closed = make_file("x");
	kept_files_add(files, closed, "/bin/x", &none);
	struct stat st;
	assert_int_equal(fstat(closed, &st), -1);
	kept_files_destroy(files);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_files__by_build_id_else_by_path),
		cmocka_unit_test(test_kept_files__are_few_of_the_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
