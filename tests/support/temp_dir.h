/*
 * temp_dir.h - a directory of a test's own, removed with all its files at the end.
 *
 * As cmocka's setup and teardown: cmocka_unit_test_setup_teardown(test, temp_dir_setup,
 * temp_dir_teardown); *state is the struct temp_dir.
 *
 * Depends on: cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_TEMP_DIR_H
#define CPROF_TESTS_TEMP_DIR_H

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct temp_dir {
	char path[64];
	char file[PATH_MAX]; /* the last temp_dir_file() */
};

static inline int temp_dir_setup(void **state)
{
	struct temp_dir *dir = calloc(1, sizeof(*dir));
	if (!dir)
		return -1;
	strcpy(dir->path, "/tmp/cprof-test-XXXXXX");
	*state = dir;
	return mkdtemp(dir->path) ? 0 : -1;
}

/* Call @fn for each entry's path. Return: how many. */
static inline size_t temp_dir_each(struct temp_dir *dir, int (*fn)(const char *path))
{
	size_t n = 0;
	DIR *stream = opendir(dir->path);
	if (!stream)
		return 0;
	for (struct dirent *entry; (entry = readdir(stream));) {
		char path[PATH_MAX];
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir->path, entry->d_name);
		if (fn)
			fn(path);
		n++;
	}
	closedir(stream);
	return n;
}

static inline int temp_dir_teardown(void **state)
{
	struct temp_dir *dir = *state;
	temp_dir_each(dir, unlink);
	int rc = rmdir(dir->path);
	free(dir);
	return rc;
}

/** The path of a file in the directory; valid until the next call. */
static inline const char *temp_dir_file(struct temp_dir *dir, const char *name)
{
	snprintf(dir->file, sizeof(dir->file), "%s/%s", dir->path, name);
	return dir->file;
}

/** Files in the directory. */
static inline size_t temp_dir_count(struct temp_dir *dir)
{
	return temp_dir_each(dir, NULL);
}

/** Read a whole file; the caller frees. */
static inline char *temp_dir_read(const char *path, size_t *n)
{
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	char *bytes = NULL;
	*n = 0;
	for (size_t cap = 4096, got = 1; got; *n += got, cap *= 2) {
		bytes = realloc(bytes, cap);
		assert_non_null(bytes);
		got = fread(bytes + *n, 1, cap - *n, file);
	}
	fclose(file);
	return bytes;
}

static inline void temp_dir_write(const char *path, const void *bytes, size_t n)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

#endif
