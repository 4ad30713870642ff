#include "symbolizer/perf_map.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static const char *name_at(const struct perf_map *map, uint64_t address)
{
	const struct symbol *symbol = symbol_table_find(&map->table, address);
	return symbol ? symbol->name : "none";
}

static void test_perf_map__names_may_hold_spaces_and_later_entries_win(void **state)
{
	(void)state;
	char path[] = "/tmp/cprof-perf-map-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	write_file(path, "7f0000001000 100 LazyCompile:*old /srv/a.js:1\n"
			 "7f0000001100 80 Stub:Call (x, y)\n"
			 "broken\n"
			 "7f0000002000 0 empty\n"
			 "ffffffffffffffff 10 wraps\n"
			 "7f0000001080 100 LazyCompile:*new /srv/a.js:9\n"
			 "7f0000003000 10 last");
	struct perf_map map;
	assert_int_equal(perf_map_read(&map, path, NULL), 0);
	unlink(path);
	assert_string_equal(name_at(&map, 0x7f0000001000), "LazyCompile:*old /srv/a.js:1");
	assert_string_equal(name_at(&map, 0x7f000000107f), "LazyCompile:*old /srv/a.js:1");
	assert_string_equal(name_at(&map, 0x7f0000001080), "LazyCompile:*new /srv/a.js:9");
	assert_string_equal(name_at(&map, 0x7f0000001110), "LazyCompile:*new /srv/a.js:9");
	assert_string_equal(name_at(&map, 0x7f000000117f), "LazyCompile:*new /srv/a.js:9");
	assert_string_equal(name_at(&map, 0x7f0000001180), "none");
	assert_string_equal(name_at(&map, 0x7f0000003001), "last");
	assert_int_equal(map.malformed, 3);
	perf_map_deinit(&map);
}

static void test_perf_map__is_found_by_pid(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	write_file(path, "1000 10 jitted\n");
	char found[128];
	struct perf_map map;
	assert_int_equal(perf_map_find(getpid(), NULL, found, sizeof(found)), 0);
	assert_int_equal(perf_map_read(&map, found, NULL), 0);
	assert_string_equal(name_at(&map, 0x1008), "jitted");
	perf_map_deinit(&map);
	unlink(path);
	assert_int_equal(perf_map_find(getpid(), NULL, found, sizeof(found)), -ENOENT);
}

static void test_perf_map__what_an_earlier_process_left_is_not_this_ones(void **state)
{
	(void)state;
	char path[64], found[128];
	const struct timespec long_ago[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	write_file(path, "1000 10 of_another\n");
	assert_int_equal(perf_map_find(getpid(), NULL, found, sizeof(found)), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	assert_int_equal(perf_map_find(getpid(), NULL, found, sizeof(found)), -ENOENT);
	unlink(path);
}

static void test_perf_map__what_another_user_left_is_not_this_ones(void **state)
{
	(void)state;
	enum { ANOTHER_USER = 12345 };
	char path[64], found[128];
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	write_file(path, "1000 10 forged\n");
	assert_int_equal(perf_map_find(getpid(), NULL, found, sizeof(found)), 0);
	if (chown(path, ANOTHER_USER, ANOTHER_USER) == 0) /* root may; others own what they write */
		assert_int_equal(perf_map_find(getpid(), NULL, found, sizeof(found)), -EPERM);
	assert_non_null(strstr(found, path)); /* below /proc/PID/root */
	unlink(path);
}

static pid_t ended_process(void)
{
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* Of a process that is gone nobody knows who it was, but for who has held its files. */
static void test_perf_map__of_a_process_that_is_gone_its_known_user_counts(void **state)
{
	(void)state;
	enum { ITS_USER = 12345 };
	const pid_t pid = ended_process();
	const struct perf_map_users known = {.known = true, .real = ITS_USER, .effective = 1};
	const struct perf_map_users others = {.known = true, .real = ITS_USER + 1, .effective = 1};
	struct perf_map_users now = {.known = false};
	char path[64], found[128];
	assert_false(perf_map_users_of(pid, &now));
	assert_true(perf_map_users_of(getpid(), &now) && now.known && now.real == getuid());
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)pid);
	write_file(path, "1000 10 jitted\n");
	assert_int_equal(perf_map_find(pid, NULL, found, sizeof(found)), 0); /* our own */
	if (chown(path, ITS_USER, ITS_USER) == 0) {
		assert_int_equal(perf_map_find(pid, NULL, found, sizeof(found)), -EPERM);
		assert_int_equal(perf_map_find(pid, &others, found, sizeof(found)), -EPERM);
		assert_int_equal(perf_map_find(pid, &known, found, sizeof(found)), 0);
	}
	unlink(path);
}

static void test_perf_map__a_fifo_in_its_place_does_not_block(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	assert_int_equal(mkfifo(path, 0600), 0);
	struct perf_map map;
	assert_int_equal(perf_map_read(&map, path, NULL), -EINVAL);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_perf_map__names_may_hold_spaces_and_later_entries_win),
		cmocka_unit_test(test_perf_map__is_found_by_pid),
		cmocka_unit_test(test_perf_map__what_an_earlier_process_left_is_not_this_ones),
		cmocka_unit_test(test_perf_map__what_another_user_left_is_not_this_ones),
		cmocka_unit_test(test_perf_map__of_a_process_that_is_gone_its_known_user_counts),
		cmocka_unit_test(test_perf_map__a_fifo_in_its_place_does_not_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
