#include "symbolizer/jit_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void write_file(const char *path, const char *mode, const char *text)
{
	FILE *file = fopen(path, mode);
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void read_file(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

static void test_jit_files__a_map_is_read_whole_after_it_was_removed(void **state)
{
	char path[64], found[128], text[64];
	struct jit_files *files = jit_files_create();
	(void)state;
	assert_non_null(files);
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	jit_files_hold(files, getpid());
	assert_int_equal(jit_files_find(files, getpid(), JIT_FILE_MAP, found, sizeof(found)),
			 -ENOENT);
	write_file(path, "w", "1000 10 a\n");
	jit_files_refresh(files);
	write_file(path, "a", "2000 10 b\n");
	unlink(path);
	assert_int_equal(jit_files_find(files, getpid(), JIT_FILE_MAP, found, sizeof(found)), 0);
	read_file(found, text, sizeof(text));
	assert_string_equal(text, "1000 10 a\n2000 10 b\n");
	assert_int_equal(jit_files_find(NULL, getpid(), JIT_FILE_MAP, found, sizeof(found)),
			 -ENOENT);
	jit_files_destroy(files);
}

static void test_jit_files__a_dump_is_found_by_its_mapping(void **state)
{
	char dir[] = "/tmp/cprof-jit-XXXXXX", path[64], other[64], found[256];
	struct jit_files *files = jit_files_create();
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/jit-77.dump", dir);
	snprintf(other, sizeof(other), "%s/jit-x.dump", dir);
	write_file(path, "w", "dump");
	write_file(other, "w", "other");
	assert_int_equal(jit_files_find(files, getpid(), JIT_FILE_DUMP, found, sizeof(found)),
			 -ENOENT);
	void *places[2];
	const char *const mapped[] = {other, path};
	for (int i = 0; i < 2; i++) {
		FILE *file = fopen(mapped[i], "r");
		assert_non_null(file);
		places[i] = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0);
		assert_true(places[i] != MAP_FAILED);
		fclose(file);
	}
	char text[64];
	assert_int_equal(jit_files_find(files, getpid(), JIT_FILE_DUMP, found, sizeof(found)), 0);
	read_file(found, text, sizeof(text));
	assert_string_equal(text, "dump");
	for (int i = 0; i < 2; i++) {
		munmap(places[i], 4096);
		unlink(mapped[i]);
	}
	rmdir(dir);
	jit_files_destroy(files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jit_files__a_map_is_read_whole_after_it_was_removed),
		cmocka_unit_test(test_jit_files__a_dump_is_found_by_its_mapping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
