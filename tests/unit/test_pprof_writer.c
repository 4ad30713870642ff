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
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/*
 * The executable is linked with --wrap=write: the library's writes come here first. Each fault
 * but the full disk happens once.
 */
static enum {
	WRITE_OK,
	WRITE_EINTR,
	WRITE_HALF,
	WRITE_HALF_ENOSPC, /* then */
	WRITE_ENOSPC,
	WRITE_HALF_KILL
} fault;

ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
	switch (fault) {
	case WRITE_OK:
		break;
	case WRITE_EINTR:
		fault = WRITE_OK;
		errno = EINTR;
		return -1;
	case WRITE_HALF:
		fault = WRITE_OK;
		n /= 2;
		break;
	case WRITE_HALF_ENOSPC:
		fault = WRITE_ENOSPC;
		n /= 2;
		break;
	case WRITE_ENOSPC:
		errno = ENOSPC;
		return -1;
	case WRITE_HALF_KILL:
		__real_write(fd, bytes, n / 2);
		raise(SIGKILL);
		break;
	}
	return __real_write(fd, bytes, n);
}

static struct profile *load(const char *path, struct pprof_load_info *info)
{
	struct cp_err err = {""};
	struct profile *profile = NULL;
	int rc = pprof_load(path, &profile, info, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
	return profile;
}

static struct pprof_writer *create(const char *path)
{
	struct cp_err err = {""};
	struct pprof_writer *writer = NULL;
	int rc = pprof_writer_create(path, &writer, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
	return writer;
}

static void flush(struct pprof_writer *writer, const struct profile *profile)
{
	struct cp_err err = {""};
	int rc = pprof_writer_flush(writer, profile, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
}

/* What a second interval of the recording brings: a bit of everything. */
static void second_interval(struct profile *profile)
{
	module_id module = build_module(profile, "/usr/lib/libnew.so", true);
	thread_id thread = build_thread(profile, 100, 102, "app", "late");
	location_id late = build_at(profile, module, "late_function", "late.c", 9);
	location_id frames[] = {late, {1}, {4}};
	full_sample(profile, thread, CP_STOP_DEPTH, 1000000000, 6, frames, 3);
	full_sample(profile, (thread_id){0}, CP_STOP_END, 0, 100,
		    (location_id[]){{2}, {0}, {1}, {1}, {4}}, 5);
	profile->duration_ns = 5000000000;
	assert_int_equal(profile_header_set(profile, HEADER_LOST, "17"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_STATE, "recording"), 0);
}

static void test_pprof_writer__members_add_up_to_one_profile(void **state)
{
	struct temp_dir *dir = *state;
	const char *path = temp_dir_file(dir, "a.pb.gz");
	struct profile *parts = full_profile();
	struct pprof_writer *writer = create(path);
	assert_int_equal(pprof_writer_size_bytes(writer), 0);
	flush(writer, parts);
	assert_int_equal(pprof_writer_samples(writer), FULL_SAMPLES);
	profile_clear_samples(parts);
	second_interval(parts);
	flush(writer, parts);
	assert_int_equal(pprof_writer_samples(writer), FULL_SAMPLES + 2);

	struct profile *whole = full_profile();
	second_interval(whole);
	assert_int_equal(whole->n_samples, FULL_SAMPLES + 1); /* one of the two was there before */
	struct pprof_load_info info;
	struct profile *again = load(path, &info);
	equal_profiles(whole, again);
	assert_int_equal(info.members, 2);
	assert_int_equal(info.torn_bytes, 0);
	assert_int_equal(again->values[0], 103);
	assert_string_equal(profile_header_get(again, HEADER_LOST), "17");
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(pprof_writer_size_bytes(writer), st.st_size);
	pprof_writer_destroy(writer);
	pprof_writer_destroy(NULL);
	profile_destroy(parts);
	profile_destroy(whole);
	profile_destroy(again);
}

static void test_pprof_writer__a_flush_brings_only_what_is_new(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = full_profile();
	struct pprof_writer *writer = create(temp_dir_file(dir, "a"));
	flush(writer, profile);
	profile_clear_samples(profile);
	uint64_t before = pprof_writer_size_bytes(writer);
	profile->duration_ns++;
	flush(writer, profile);
	/* 18 bytes of gzip around a 7-byte duration */
	uint64_t grown = pprof_writer_size_bytes(writer) - before;
	assert_in_range(grown, 20, 40);
	pprof_writer_destroy(writer);
	profile_destroy(profile);
}

static void test_pprof_writer__an_existing_file_is_kept_as_old(void **state)
{
	struct temp_dir *dir = *state;
	char old[PATH_MAX], path[PATH_MAX];
	strcpy(old, temp_dir_file(dir, "a.pb.gz.old"));
	strcpy(path, temp_dir_file(dir, "a.pb.gz"));
	temp_dir_write(path, "before", 6);
	pprof_writer_destroy(create(path));
	size_t n;
	char *bytes = temp_dir_read(old, &n);
	assert_int_equal(n, 6);
	assert_memory_equal(bytes, "before", 6);
	free(bytes);
	bytes = temp_dir_read(path, &n);
	assert_int_equal(n, 0);
	free(bytes);
	assert_int_equal(temp_dir_count(dir), 2);
}

static void test_pprof_writer__a_place_that_cannot_be_says_why(void **state)
{
	struct temp_dir *dir = *state;
	struct cp_err err = {""};
	struct pprof_writer *writer = NULL;
	assert_int_equal(pprof_writer_create(dir->path, &writer, &err), -EISDIR);
	assert_non_null(strstr(err.message, dir->path));
	assert_int_equal(pprof_writer_create(temp_dir_file(dir, "no/such"), &writer, &err),
			 -ENOENT);
	assert_non_null(strstr(err.message, "no/such"));
	assert_null(writer);
	assert_int_equal(temp_dir_count(dir), 0);
}

static void test_pprof_writer__devices_are_not_renamed(void **state)
{
	(void)state;
	struct profile *profile = full_profile();
	struct pprof_writer *writer = create("/dev/null");
	flush(writer, profile);
	assert_true(pprof_writer_size_bytes(writer) > 100);
	struct cp_err err = {""};
	assert_int_equal(pprof_writer_compact(writer, profile, 0, &err), -EOPNOTSUPP);
	pprof_writer_destroy(writer);
	struct stat st;
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(stat("/dev/null.old", &st), -1);

	writer = create("/dev/full");
	assert_int_equal(pprof_writer_flush(writer, profile, &err), -ENOSPC);
	assert_non_null(strstr(err.message, "/dev/full"));
	pprof_writer_destroy(writer);
	profile_destroy(profile);
}

/* Flush the first interval, let the second run into @trouble, and then succeed. */
static void check_failed_flush(struct temp_dir *dir, void (*trouble)(uint64_t size), int code)
{
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a"));
	struct profile *parts = full_profile();
	struct pprof_writer *writer = create(path);
	flush(writer, parts);
	profile_clear_samples(parts);
	second_interval(parts);
	size_t n_before, n_after;
	char *before = temp_dir_read(path, &n_before);
	struct cp_err err = {""};
	trouble(n_before);
	int rc = pprof_writer_flush(writer, parts, &err);
	trouble(0);
	assert_int_equal(rc, code);
	assert_non_null(strstr(err.message, path));
	assert_non_null(strstr(err.message, "what was recorded before is kept"));
	/* nothing of it is left */
	char *after = temp_dir_read(path, &n_after);
	assert_int_equal(n_before, n_after);
	assert_memory_equal(before, after, n_after);
	assert_int_equal(pprof_writer_size_bytes(writer), n_before);
	assert_int_equal(pprof_writer_samples(writer), FULL_SAMPLES);
	/* and all of it comes with the next one */
	flush(writer, parts);
	pprof_writer_destroy(writer);
	struct profile *whole = full_profile();
	second_interval(whole);
	struct pprof_load_info info;
	struct profile *again = load(path, &info);
	equal_profiles(whole, again);
	assert_int_equal(info.members, 2);
	free(before);
	free(after);
	profile_destroy(parts);
	profile_destroy(whole);
	profile_destroy(again);
}

static void limit_file_size(uint64_t size)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size ? size + 25 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_pprof_writer__a_file_size_limit_leaves_a_valid_file(void **state)
{
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	check_failed_flush(*state, limit_file_size, -EFBIG);
	signal(SIGXFSZ, before);
}

static void fill_disk(uint64_t size)
{
	fault = size ? WRITE_HALF_ENOSPC : WRITE_OK;
}

static void test_pprof_writer__a_full_disk_leaves_a_valid_file(void **state)
{
	check_failed_flush(*state, fill_disk, -ENOSPC);
}

static void test_pprof_writer__interrupted_and_partial_writes_go_on(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = full_profile();
	struct pprof_writer *writer = create(temp_dir_file(dir, "a"));
	fault = WRITE_EINTR;
	flush(writer, profile);
	profile_clear_samples(profile);
	second_interval(profile);
	fault = WRITE_HALF;
	flush(writer, profile);
	assert_int_equal(fault, WRITE_OK);
	pprof_writer_destroy(writer);
	struct pprof_load_info info;
	struct profile *again = load(temp_dir_file(dir, "a"), &info);
	assert_int_equal(info.members, 2);
	assert_int_equal(info.torn_bytes, 0);
	assert_int_equal(again->n_samples, FULL_SAMPLES + 1);
	profile_destroy(profile);
	profile_destroy(again);
}

static void test_pprof_writer__a_kill_inside_the_write_loses_one_member(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a"));
	fflush(stdout);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct profile *profile = full_profile();
		struct pprof_writer *writer = create(path);
		flush(writer, profile);
		profile_clear_samples(profile);
		second_interval(profile);
		fault = WRITE_HALF_KILL;
		pprof_writer_flush(writer, profile, NULL);
		_exit(1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);

	struct pprof_load_info info;
	struct profile *again = load(path, &info), *first = full_profile();
	equal_profiles(first, again);
	assert_int_equal(info.members, 1);
	assert_true(info.torn_bytes > 20);
	/* written anew, it is whole again */
	assert_int_equal(pprof_save(again, path, NULL), 0);
	struct profile *repaired = load(path, &info);
	equal_profiles(first, repaired);
	assert_int_equal(info.torn_bytes, 0);
	profile_destroy(first);
	profile_destroy(again);
	profile_destroy(repaired);
}

/* Every 10 ms of a second: stacks that differ, and a location that is new at each tenth. */
static int64_t record_second(struct profile *profile, int64_t second)
{
	int64_t sum = 0;
	profile_clear_samples(profile);
	for (int64_t tick = 0; tick < 100; tick++) {
		if (tick % 10 == 0)
			build_at(profile, (module_id){0}, "f", "f.c",
				 (uint32_t)(second * 100 + tick));
		uint32_t newest = (uint32_t)profile->n_locations - 1;
		location_id frames[] = {{newest}, {newest / 2}, {0}};
		full_sample(profile, (thread_id){(uint32_t)tick % 2}, CP_STOP_END,
			    (second * 100 + tick) * 10000000, tick + 1, frames, 3);
		sum += tick + 1;
	}
	profile->duration_ns = (second + 1) * 1000000000;
	assert_int_equal(profile_header_setf(profile, HEADER_LOST, "%d", (int)second), 0);
	return sum;
}

static void test_pprof_writer__compacting_keeps_sums_and_later_flushes(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a"));
	struct profile *profile = full_tables();
	build_thread(profile, 1, 1, "app", "one");
	build_thread(profile, 1, 2, "app", "two");
	struct pprof_writer *writer = create(path);
	int64_t sum = 0;
	for (int64_t second = 0; second < 5; second++) {
		sum += record_second(profile, second);
		flush(writer, profile);
	}
	assert_int_equal(pprof_writer_samples(writer), 500);
	uint64_t before = pprof_writer_size_bytes(writer);
	struct cp_err err = {""};
	int rc = pprof_writer_compact(writer, profile, 1000000000, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
	/* 10 locations a second, 2 threads */
	assert_int_equal(pprof_writer_samples(writer), 100);
	assert_true(pprof_writer_size_bytes(writer) < before / 2);
	assert_int_equal(temp_dir_count(dir), 1);
	for (int64_t second = 5; second < 8; second++) {
		sum += record_second(profile, second);
		flush(writer, profile);
	}
	pprof_writer_destroy(writer);

	struct pprof_load_info info;
	struct profile *again = load(path, &info);
	assert_int_equal(info.members, 4);
	assert_int_equal(info.torn_bytes, 0);
	equal_tables(profile, again);
	assert_int_equal(again->n_samples, 400);
	int64_t have = 0;
	for (size_t i = 0; i < again->n_samples; i++) {
		const struct profile_sample_key *key = &again->samples[i];
		int64_t second = key->time_ns / 1000000000;
		have += again->values[2 * i];
		assert_int_equal(key->time_ns % (second < 5 ? 1000000000 : 10000000), 0);
		/* the leaf is one of the locations that were new in that second */
		uint32_t leaf = stack_store_leaf(&again->stacks, key->stack).v;
		assert_in_range(leaf, 5 + second * 10, 14 + second * 10);
		assert_int_equal(stack_store_depth(&again->stacks, key->stack), 3);
		assert_string_equal(profile_text(again, again->threads[key->thread.v].name),
				    again->threads[key->thread.v].tid == 1 ? "one" : "two");
	}
	assert_int_equal(have, sum);
	profile_destroy(profile);
	profile_destroy(again);
}

/* What is found while a child compacts comes into the new file. */
static void test_pprof_writer__the_profile_grows_while_the_file_is_compacted(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a"));
	struct profile *profile = full_tables();
	build_thread(profile, 1, 1, "app", "one");
	build_thread(profile, 1, 2, "app", "two");
	struct pprof_writer *writer = create(path);
	int64_t sum = 0;
	for (int64_t second = 0; second < 5; second++) {
		sum += record_second(profile, second);
		flush(writer, profile);
	}
	struct cp_err err = {""};
	assert_int_equal(pprof_writer_compact_begin(writer, profile, 1000000000, &err), 0);
	assert_true(pprof_writer_is_compacting(writer));
	sum += record_second(profile, 5);
	build_thread(profile, 1, 3, "app", "born meanwhile");
	assert_int_equal(pprof_writer_compact_poll(writer, true, &err), 1);
	assert_false(pprof_writer_is_compacting(writer));
	assert_true(pprof_writer_helper_cpu_ns(writer) > 0);
	assert_true(pprof_writer_helper_peak_rss_bytes(writer) > 100000);
	assert_int_equal(pprof_writer_samples(writer), 100);
	assert_int_equal(temp_dir_count(dir), 1);
	flush(writer, profile);
	sum += record_second(profile, 6);
	flush(writer, profile);
	/* given up: nothing has changed */
	assert_int_equal(pprof_writer_compact_begin(writer, profile, 1000000000, &err), 0);
	pprof_writer_compact_stop(writer);
	assert_false(pprof_writer_is_compacting(writer));
	assert_int_equal(temp_dir_count(dir), 1);
	sum += record_second(profile, 7);
	flush(writer, profile);
	/* closed in the middle of it */
	assert_int_equal(pprof_writer_compact_begin(writer, profile, 1000000000, &err), 0);
	pprof_writer_destroy(writer);
	assert_int_equal(temp_dir_count(dir), 1);

	struct pprof_load_info info;
	struct profile *again = load(path, &info);
	assert_int_equal(info.members, 4);
	equal_tables(profile, again);
	assert_int_equal(again->n_samples, 400);
	int64_t have = 0;
	for (size_t i = 0; i < again->n_samples; i++)
		have += again->values[2 * i];
	assert_int_equal(have, sum);
	profile_destroy(profile);
	profile_destroy(again);
}

/* A recorder that was started without standard streams: what it opens gets their numbers. */
static void test_pprof_writer__compacting_without_standard_streams(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a"));
	struct profile *profile = full_tables();
	build_thread(profile, 1, 1, "app", "one");
	build_thread(profile, 1, 2, "app", "two");
	struct pprof_writer *writer = create(path);
	int64_t sum = record_second(profile, 0);
	flush(writer, profile);
	pid_t child = fork();
	if (child == 0) {
		struct cp_err err = {""};
		/* the new file has number 0, then its pipe a small one too */
		for (int fd = 0; fd < 3; fd++) {
			close(fd);
			if (pprof_writer_compact(writer, profile, 1000000000, &err))
				_exit(1);
		}
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pprof_writer_destroy(writer);
	struct profile *again = load(path, NULL);
	int64_t have = 0;
	for (size_t i = 0; i < again->n_samples; i++)
		have += again->values[2 * i];
	assert_int_equal(have, sum);
	profile_destroy(profile);
	profile_destroy(again);
}

static void test_pprof_writer__a_failed_compaction_changes_nothing(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a"));
	struct profile *profile = full_profile();
	struct pprof_writer *writer = create(path);
	flush(writer, profile);
	size_t n_before, n_after;
	char *before = temp_dir_read(path, &n_before);
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	struct rlimit limit, small;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){100, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	struct cp_err err = {""};
	int rc = pprof_writer_compact(writer, profile, 0, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, handler);
	assert_int_equal(rc, -EFBIG);
	assert_non_null(strstr(err.message, path));
	char *after = temp_dir_read(path, &n_after);
	assert_int_equal(n_before, n_after);
	assert_memory_equal(before, after, n_after);
	assert_int_equal(temp_dir_count(dir), 1);

	profile_clear_samples(profile);
	second_interval(profile);
	flush(writer, profile);
	pprof_writer_destroy(writer);
	struct pprof_load_info info;
	struct profile *again = load(path, &info);
	assert_int_equal(info.members, 2);
	assert_int_equal(again->n_samples, FULL_SAMPLES + 1);
	free(before);
	free(after);
	profile_destroy(profile);
	profile_destroy(again);
}

#define TEST_IN_DIR(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(test_pprof_writer__members_add_up_to_one_profile),
		TEST_IN_DIR(test_pprof_writer__a_flush_brings_only_what_is_new),
		TEST_IN_DIR(test_pprof_writer__an_existing_file_is_kept_as_old),
		TEST_IN_DIR(test_pprof_writer__a_place_that_cannot_be_says_why),
		TEST_IN_DIR(test_pprof_writer__devices_are_not_renamed),
		TEST_IN_DIR(test_pprof_writer__a_file_size_limit_leaves_a_valid_file),
		TEST_IN_DIR(test_pprof_writer__a_full_disk_leaves_a_valid_file),
		TEST_IN_DIR(test_pprof_writer__interrupted_and_partial_writes_go_on),
		TEST_IN_DIR(test_pprof_writer__a_kill_inside_the_write_loses_one_member),
		TEST_IN_DIR(test_pprof_writer__compacting_keeps_sums_and_later_flushes),
		TEST_IN_DIR(test_pprof_writer__the_profile_grows_while_the_file_is_compacted),
		TEST_IN_DIR(test_pprof_writer__compacting_without_standard_streams),
		TEST_IN_DIR(test_pprof_writer__a_failed_compaction_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
