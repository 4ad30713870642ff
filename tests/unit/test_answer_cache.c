#include "symbolizer/answer_cache.h"

#include <elfutils/libdwfl.h>
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/temp_dir.h"

/* A cache in a directory of the test's, and a file that answers come from. */
struct cache {
	char dir[PATH_MAX], file[PATH_MAX];
	struct answer_cache_key key;
	int fd;
};

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void cache_init(struct cache *cache, const struct temp_dir *temp)
{
	snprintf(cache->dir, sizeof(cache->dir), "%s/cache", temp->path);
	snprintf(cache->file, sizeof(cache->file), "%s/program", temp->path);
	write_text(cache->file, "program");
	cache->key = (struct answer_cache_key){
		.dir = cache->dir, .path = "/bin/program", .build_id = "0123abcd"};
	cache->fd = open(cache->file, O_RDONLY | O_CLOEXEC);
	assert_true(cache->fd >= 0);
}

static int cache_teardown(void **state)
{
	struct temp_dir *temp = *state;
	char command[PATH_MAX];
	snprintf(command, sizeof(command), "rm -rf '%s'", temp->path);
	int rc = system(command);
	free(temp);
	return rc;
}

static int save(const struct cache *cache, uint64_t svma, const char *name)
{
	struct answer_table table;
	const struct answer_table *tables[] = {&table};
	const struct symbol_frame frame = {.name = name, .system_name = name, .file = ""};
	assert_int_equal(answer_table_init(&table), 0);
	assert_int_equal(answer_table_add(&table, svma, &frame, 1), 0);
	struct answer_origin origin = {.fd = cache->fd};
	assert_int_equal(fstat(cache->fd, &origin.is), 0);
	int rc = answer_cache_save(&cache->key, &origin, 1, tables, 1);
	answer_table_deinit(&table);
	return rc;
}

/* The name at an address, as the cache has it: "" when it has no entry. */
static const char *name_at(const struct cache *cache, uint64_t svma, char buf[64])
{
	struct answer_file file;
	buf[0] = '\0';
	if (answer_cache_load(&cache->key, &file) < 0)
		return buf;
	const struct answer *answer = answer_table_find(&file.table, svma);
	if (answer)
		snprintf(buf, 64, "%s", answer_table_frame(&file.table, answer, 0).name);
	answer_file_close(&file);
	return buf;
}

static void expect_name(const struct cache *cache, const char *name)
{
	char buf[64];
	assert_string_equal(name_at(cache, 0x10, buf), name);
}

static void test_answer_cache__finds_what_was_saved_under_the_same_key(void **state)
{
	struct cache cache, other;
	cache_init(&cache, *state);
	expect_name(&cache, "");
	assert_int_equal(save(&cache, 0x10, "f"), 0);
	expect_name(&cache, "f");
	other = cache;
	other.key.build_id = "0123abce";
	expect_name(&other, "");
	other = cache;
	other.key.path = "/bin/other";
	expect_name(&other, "");
	/* a root in which the file is not to be found changes nothing */
	other = cache;
	other.key.root = "/proc/self/root/tmp/nowhere";
	expect_name(&other, "f");
	close(cache.fd);
}

static void test_answer_cache__changed_file_makes_its_answers_void(void **state)
{
	struct cache cache;
	cache_init(&cache, *state);
	assert_int_equal(save(&cache, 0x10, "f"), 0);
	struct stat st;
	assert_int_equal(stat(cache.file, &st), 0);
	/* the same size, another time */
	struct timespec times[] = {st.st_atim, st.st_mtim};
	times[1].tv_sec++;
	assert_int_equal(utimensat(AT_FDCWD, cache.file, times, 0), 0);
	expect_name(&cache, "");
	/* and with the time put back, as after cp -p onto it */
	times[1].tv_sec--;
	assert_int_equal(utimensat(AT_FDCWD, cache.file, times, 0), 0);
	expect_name(&cache, "");
	assert_int_equal(save(&cache, 0x10, "f"), 0);
	expect_name(&cache, "f");
	/* another file with the same name, size and time */
	char moved[PATH_MAX + 8];
	snprintf(moved, sizeof(moved), "%s.old", cache.file);
	assert_int_equal(rename(cache.file, moved), 0);
	write_text(cache.file, "program");
	assert_int_equal(utimensat(AT_FDCWD, cache.file, times, 0), 0);
	expect_name(&cache, "");
	assert_int_equal(unlink(cache.file), 0);
	expect_name(&cache, "");
	close(cache.fd);
}

/* Another build of this program, or of libdw, may answer otherwise: whose entry it is says the key.
 */
static void test_answer_cache__entry_is_of_those_who_made_it(void **state)
{
	struct cache cache;
	struct answer_file file;
	struct stat self;
	char libdw[64], size[64];
	cache_init(&cache, *state);
	assert_int_equal(save(&cache, 0x10, "f"), 0);
	assert_int_equal(answer_cache_load(&cache.key, &file), 0);
	assert_int_equal(stat("/proc/self/exe", &self), 0);
	snprintf(libdw, sizeof(libdw), "\nlibdw %s ", dwfl_version(NULL));
	snprintf(size, sizeof(size), "cprof %lld ", (long long)self.st_size);
	assert_non_null(strstr(file.key, libdw));
	assert_int_equal(strncmp(file.key, size, strlen(size)), 0);
	answer_file_close(&file);
	close(cache.fd);
}

/* The path of the only entry. */
static const char *entry_path(const struct cache *cache, char buf[2 * PATH_MAX])
{
	DIR *dir = opendir(cache->dir);
	assert_non_null(dir);
	buf[0] = '\0';
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		assert_string_equal(buf, ""); /* one */
		snprintf(buf, 2 * PATH_MAX, "%s/%s", cache->dir, entry->d_name);
	}
	closedir(dir);
	return buf;
}

static void test_answer_cache__link_that_leads_elsewhere_is_another_file(void **state)
{
	struct cache cache;
	char link[PATH_MAX], other[PATH_MAX];
	const struct temp_dir *temp = *state;
	cache_init(&cache, temp);
	snprintf(link, sizeof(link), "%s/link", temp->path);
	snprintf(other, sizeof(other), "%s/other", temp->path);
	write_text(other, "other");
	assert_int_equal(symlink(cache.file, link), 0);
	cache.key.path = link;
	cache.key.build_id = "";
	assert_int_equal(save(&cache, 0x10, "f"), 0);
	expect_name(&cache, "f");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(other, link), 0);
	expect_name(&cache, "");
	close(cache.fd);
}

static void test_answer_cache__damaged_entry_is_none_and_replaced(void **state)
{
	struct cache cache;
	char path[2 * PATH_MAX];
	cache_init(&cache, *state);
	assert_int_equal(save(&cache, 0x10, "f"), 0);
	int fd = open(entry_path(&cache, path), O_RDWR | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	for (off_t at = 0; at < size; at++) {
		uint8_t byte, wrong;
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		wrong = (uint8_t)~byte;
		assert_int_equal(pwrite(fd, &wrong, 1, at), 1);
		expect_name(&cache, "");
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	expect_name(&cache, "f");
	assert_int_equal(ftruncate(fd, size / 2), 0);
	close(fd);
	expect_name(&cache, "");
	assert_int_equal(save(&cache, 0x10, "g"), 0);
	expect_name(&cache, "g");
	close(cache.fd);
}

static void test_answer_cache__others_may_have_no_say(void **state)
{
	struct cache cache;
	char path[2 * PATH_MAX], link[2 * PATH_MAX + 8];
	struct stat st;
	cache_init(&cache, *state);
	assert_int_equal(save(&cache, 0x10, "f"), 0);
	assert_int_equal(stat(cache.dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(entry_path(&cache, path), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* an entry, then a directory, that others could write to */
	assert_int_equal(chmod(path, 0620), 0);
	expect_name(&cache, "");
	assert_int_equal(chmod(path, 0600), 0);
	expect_name(&cache, "f");
	assert_int_equal(chmod(cache.dir, 0777), 0);
	expect_name(&cache, "");
	assert_int_equal(save(&cache, 0x10, "g"), -EACCES);
	assert_int_equal(chmod(cache.dir, 0700), 0);
	/* what somebody put in an entry's place */
	snprintf(link, sizeof(link), "%s.real", path);
	assert_int_equal(rename(path, link), 0);
	assert_int_equal(symlink(link, path), 0);
	expect_name(&cache, "");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_name(&cache, "");
	close(cache.fd);
}

static void test_answer_cache__oldest_entries_go_first(void **state)
{
	struct cache cache;
	char path[2 * PATH_MAX];
	struct stat st;
	cache_init(&cache, *state);
	const char *const names[] = {"/a", "/b", "/c"};
	for (size_t i = 0; i < 3; i++) {
		cache.key.path = names[i];
		assert_int_equal(save(&cache, 0x10, names[i]), 0);
		if (i == 0) {
			const struct timespec old[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
			assert_int_equal(stat(entry_path(&cache, path), &st), 0);
			assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
		}
	}
	/* what a killed writer left */
	char left[PATH_MAX + 16];
	const struct timespec old[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	snprintf(left, sizeof(left), "%s/.new-1-1", cache.dir);
	write_text(left, "half an entr");
	assert_int_equal(utimensat(AT_FDCWD, left, old, 0), 0);
	answer_cache_trim(cache.dir, 2 * (uint64_t)st.st_size + 8);
	assert_int_equal(access(left, F_OK), -1);
	for (size_t i = 0; i < 3; i++) {
		cache.key.path = names[i];
		expect_name(&cache, i == 0 ? "" : names[i]);
	}
	answer_cache_trim(cache.dir, 0);
	expect_name(&cache, "");
	close(cache.fd);
}

/* Save and load in turn. Whatever others do, an entry is whole or not there. */
static int save_and_load(const struct cache *cache, unsigned int number)
{
	char name[64], found[64];
	for (unsigned int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "name-%u-%u", number, i);
		if (save(cache, 0x10, name) != 0)
			return 1;
		if (strncmp(name_at(cache, 0x10, found), "name-", 5) != 0)
			return 2;
	}
	return 0;
}

static void test_answer_cache__processes_at_once_see_whole_entries(void **state)
{
	struct cache cache;
	char path[2 * PATH_MAX];
	pid_t children[4];
	cache_init(&cache, *state);
	for (unsigned int i = 0; i < 4; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0)
			_exit(save_and_load(&cache, i));
	}
	for (unsigned int i = 0; i < 4; i++) {
		int status;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_string_not_equal(entry_path(&cache, path), ""); /* and nothing else is left */
	close(cache.fd);
}

static void test_answer_cache__directory_of_the_user(void **state)
{
	(void)state;
	char buf[PATH_MAX];
	setenv("XDG_CACHE_HOME", "/var/cache/me", 1);
	setenv("HOME", "/home/me", 1);
	assert_true(answer_cache_default_dir(buf, sizeof(buf)));
	assert_string_equal(buf, "/var/cache/me/cprof");
	setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, says the specification */
	assert_true(answer_cache_default_dir(buf, sizeof(buf)));
	assert_string_equal(buf, "/home/me/.cache/cprof");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	assert_false(answer_cache_default_dir(buf, sizeof(buf)));
	setenv("HOME", "/home/me", 1);
	assert_false(answer_cache_default_dir(buf, 8));
}

#define CACHE_TEST(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, cache_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_answer_cache__finds_what_was_saved_under_the_same_key),
		CACHE_TEST(test_answer_cache__changed_file_makes_its_answers_void),
		CACHE_TEST(test_answer_cache__entry_is_of_those_who_made_it),
		CACHE_TEST(test_answer_cache__link_that_leads_elsewhere_is_another_file),
		CACHE_TEST(test_answer_cache__damaged_entry_is_none_and_replaced),
		CACHE_TEST(test_answer_cache__others_may_have_no_say),
		CACHE_TEST(test_answer_cache__oldest_entries_go_first),
		CACHE_TEST(test_answer_cache__processes_at_once_see_whole_entries),
		cmocka_unit_test(test_answer_cache__directory_of_the_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
