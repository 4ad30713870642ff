#include "symbolizer/lookup_pool.h"

#include "symbolizer_fixtures/fixtures.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

/* As many as need several threads' help, asked again and again over a small file. */
enum { MANY = 8 * LOOKUP_HELP_MIN, SPAN = 0x2000 };

static struct source_request request_for(const char *path)
{
	return (struct source_request){.path = path, .build_id = "", .share_pct = 100};
}

/* Addresses of sweep_gcc5's code, ascending, each as often as it takes to have @n. */
static uint64_t *addresses(size_t n)
{
	uint64_t *svmas = malloc(n * sizeof(*svmas));
	assert_non_null(svmas);
	for (size_t i = 0; i < n; i++)
		svmas[i] = 0x2000 + i * SPAN / n;
	return svmas;
}

static void expect_same(const struct lookup *a, const struct lookup *b, uint64_t svma)
{
	struct lookup_answer left, right;
	assert_true(lookup_find(a, svma, &left));
	assert_true(lookup_find(b, svma, &right));
	assert_int_equal(left.answer->n_frames, right.answer->n_frames);
	for (size_t i = 0; i < left.answer->n_frames; i++) {
		struct symbol_frame x = answer_table_frame(left.table, left.answer, i);
		struct symbol_frame y = answer_table_frame(right.table, right.answer, i);
		assert_string_equal(x.name, y.name);
		assert_string_equal(x.system_name, y.system_name);
		assert_string_equal(x.file, y.file);
		assert_int_equal(x.line, y.line);
		assert_int_equal(x.start_line, y.start_line);
	}
}

/* Look all up with the options. Return: the look-up, its work done. */
static struct lookup *done(const struct source_request *request,
			   const struct symbolizer_options *options, const uint64_t *svmas,
			   size_t n, bool together)
{
	struct lookup *lookup;
	struct cp_err err;
	assert_int_equal(lookup_create(request, options, &lookup), 0);
	if (together) {
		assert_int_equal(lookup_work_together(lookup, svmas, n, &err), 0);
	} else {
		assert_int_equal(lookup_begin(lookup, svmas, n, &err), 0);
		assert_int_equal(lookup_work(lookup), 0);
	}
	assert_int_equal(lookup_left(lookup), 0);
	lookup_end(lookup);
	return lookup;
}

static void test_lookup__helpers_find_what_the_owner_alone_does(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	const struct source_request request = request_for(fixture_path("sweep_gcc5", path));
	const struct symbolizer_options options = {.cache_dir = NULL};
	uint64_t *svmas = addresses(MANY);
	struct lookup *alone = done(&request, &options, svmas, MANY, false);
	struct lookup *together = done(&request, &options, svmas, MANY, true);
	size_t named = 0;
	for (size_t i = 0; i < MANY; i++) {
		struct lookup_answer found;
		expect_same(alone, together, svmas[i]);
		named += lookup_find(alone, svmas[i], &found) && found.answer->n_frames > 0;
	}
	assert_true(named > MANY / 2);
	assert_true(lookup_has_inlines(together));
	assert_false(lookup_changed(together));
	assert_string_equal(lookup_shortcoming(together), "");
	lookup_destroy(alone);
	lookup_destroy(together);
	free(svmas);
}

static void test_lookup__second_run_looks_up_only_what_is_new(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], cache[FIXTURE_PATH_MAX];
	const struct source_request request = request_for(fixture_path("sweep_gcc5", path));
	snprintf(cache, sizeof(cache), "%s/cprof", dir);
	const struct symbolizer_options options = {.cache_dir = cache};
	uint64_t *svmas = addresses(2000);
	struct lookup *first = done(&request, &options, svmas, 1000, false), *second;
	struct cp_err err;
	assert_int_equal(lookup_create(&request, &options, &second), 0);
	assert_int_equal(lookup_begin(second, svmas, 1000, &err), 0);
	assert_int_equal(lookup_left(second), 0);
	assert_true(lookup_has_functions(second));
	assert_true(lookup_has_inlines(second));
	for (size_t i = 0; i < 1000; i++)
		expect_same(first, second, svmas[i]);
	assert_int_equal(lookup_begin(second, svmas, 2000, &err), 0);
	assert_int_equal(lookup_left(second), 1000);
	assert_int_equal(lookup_work(second), 0);
	lookup_end(second);
	/* the third has what both found */
	struct lookup *third;
	assert_int_equal(lookup_create(&request, &options, &third), 0);
	assert_int_equal(lookup_begin(third, svmas, 2000, &err), 0);
	assert_int_equal(lookup_left(third), 0);
	expect_same(first, third, svmas[0]);
	expect_same(second, third, svmas[1999]);
	lookup_destroy(first);
	lookup_destroy(second);
	lookup_destroy(third);
	free(svmas);
}

static void test_lookup__damaged_entries_are_found_anew(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], cache[FIXTURE_PATH_MAX];
	const struct source_request request = request_for(fixture_path("sweep_gcc5", path));
	snprintf(cache, sizeof(cache), "%s/cprof", dir);
	const struct symbolizer_options options = {.cache_dir = cache};
	uint64_t *svmas = addresses(100);
	struct lookup *first = done(&request, &options, svmas, 100, false), *lookup;
	struct cp_err err;
	fixture_run("for f in %s/*.sym; do printf XX | dd of=$f bs=1 seek=200 conv=notrunc "
		    "status=none; done",
		    cache);
	assert_int_equal(lookup_create(&request, &options, &lookup), 0);
	assert_int_equal(lookup_begin(lookup, svmas, 100, &err), 0);
	assert_int_equal(lookup_left(lookup), 100);
	assert_int_equal(lookup_work(lookup), 0);
	lookup_end(lookup);
	for (size_t i = 0; i < 100; i++)
		expect_same(first, lookup, svmas[i]);
	lookup_destroy(lookup);
	assert_int_equal(lookup_create(&request, &options, &lookup), 0);
	assert_int_equal(lookup_begin(lookup, svmas, 100, &err), 0);
	assert_int_equal(lookup_left(lookup), 0);
	lookup_destroy(lookup);
	lookup_destroy(first);
	free(svmas);
}

static void test_lookup__incomplete_answers_are_not_kept(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], stripped[FIXTURE_PATH_MAX], cache[FIXTURE_PATH_MAX];
	snprintf(stripped, sizeof(stripped), "%s/stripped", dir);
	const struct source_request request = request_for(stripped);
	snprintf(cache, sizeof(cache), "%s/cprof", dir);
	const struct symbolizer_options options = {.cache_dir = cache};
	uint64_t *svmas = addresses(100);
	fixture_run(OBJCOPY " --strip-debug %s %s", fixture_path("sweep_gcc5", path), stripped);
	for (int i = 0; i < 2; i++) {
		struct lookup *lookup;
		struct cp_err err;
		assert_int_equal(lookup_create(&request, &options, &lookup), 0);
		assert_int_equal(lookup_begin(lookup, svmas, 100, &err), 0);
		assert_int_equal(lookup_left(lookup), 100);
		assert_int_equal(lookup_work(lookup), 0);
		lookup_end(lookup);
		assert_string_not_equal(lookup_shortcoming(lookup), "");
		lookup_destroy(lookup);
	}
	free(svmas);
}

/* Whoever writes to a file may put its time of modification back: the time of change tells. */
static void test_lookup__answers_of_a_touched_file_are_not_kept(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], copy[FIXTURE_PATH_MAX], cache[FIXTURE_PATH_MAX];
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	snprintf(cache, sizeof(cache), "%s/cprof", dir);
	const struct source_request request = request_for(copy);
	const struct symbolizer_options options = {.cache_dir = cache};
	uint64_t *svmas = addresses(100);
	fixture_run("cp %s %s", fixture_path("sweep_gcc5", path), copy);
	for (int i = 0; i < 3; i++) {
		struct lookup *lookup;
		struct cp_err err;
		struct stat before, after;
		assert_int_equal(stat(copy, &before), 0);
		assert_int_equal(lookup_create(&request, &options, &lookup), 0);
		assert_int_equal(lookup_begin(lookup, svmas, 100, &err), 0);
		assert_int_equal(lookup_left(lookup), i < 2 ? 100 : 0);
		assert_int_equal(lookup_work(lookup), 0);
		do { /* the clock of a file system may be coarse */
			assert_true(i > 0 || chmod(copy, 0700) == 0);
			assert_int_equal(stat(copy, &after), 0);
		} while (i == 0 && after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
			 after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
		lookup_end(lookup);
		lookup_destroy(lookup);
	}
	free(svmas);
}

/* Many batches: what is kept of them is bounded, and the cache has what came first. */
static void test_lookup__earlier_batches_make_room(void **state)
{
	const char *dir = *state;
	enum { N = 300 * 1000, BATCH = 100 * 1000 };
	char path[FIXTURE_PATH_MAX], cache[FIXTURE_PATH_MAX];
	const struct source_request request = request_for(fixture_path("sweep_gcc5", path));
	snprintf(cache, sizeof(cache), "%s/cprof", dir);
	const struct symbolizer_options options = {.cache_dir = cache};
	uint64_t *svmas = malloc(N * sizeof(*svmas));
	struct lookup_answer found;
	struct lookup *lookup, *later;
	struct cp_err err;
	assert_non_null(svmas);
	for (size_t i = 0; i < N; i++) /* descending; code first, then where nothing is */
		svmas[i] = i < SPAN ? 0x2000 + SPAN - i : 0x20000000 - i;
	assert_int_equal(lookup_create(&request, &options, &lookup), 0);
	for (size_t i = 0; i < N; i += BATCH) {
		assert_int_equal(lookup_work_together(lookup, svmas + i, BATCH, &err), 0);
		assert_true(lookup_find(lookup, svmas[i], &found));
		assert_true(lookup_find(lookup, svmas[i + BATCH - 1], &found));
		assert_true(lookup_find(lookup, svmas[0], &found));
	}
	assert_int_equal(lookup_work_together(lookup, svmas + N - 1, 1, &err), 0);
	assert_true(lookup_find(lookup, svmas[N - 1], &found));
	assert_false(lookup_find(lookup, svmas[0], &found));
	lookup_end(lookup);
	lookup_destroy(lookup);
	assert_int_equal(lookup_create(&request, &options, &later), 0);
	assert_int_equal(lookup_begin(later, svmas, N, &err), 0);
	assert_int_equal(lookup_left(later), 0);
	lookup_destroy(later);
	free(svmas);
}

/* What a pool told: in which order, what was found. */
struct told {
	size_t n, named;
	const struct lookup_job *first;
};

static int note_job(void *ctx, struct lookup_job *job)
{
	struct told *told = ctx;
	struct lookup_answer found;
	assert_ptr_equal(job, told->first + told->n); /* in order */
	told->n++;
	for (size_t i = 0; i < job->n && job->rc == 0; i++)
		told->named += lookup_find(job->lookup, job->svmas[i], &found) &&
			       found.answer->n_frames > 0;
	return 0;
}

static size_t run_pool(const struct symbolizer_options *symbols, unsigned int n_threads,
		       struct lookup_job *jobs, size_t n)
{
	struct told told = {.first = jobs};
	const struct lookup_pool_options options = {
		.symbols = symbols, .n_threads = n_threads, .done = note_job, .ctx = &told};
	assert_int_equal(lookup_pool_run(jobs, n, &options), 0);
	assert_int_equal(told.n, n);
	return told.named;
}

static void fill_jobs(struct lookup_job *jobs, const char paths[][FIXTURE_PATH_MAX],
		      const uint64_t *svmas)
{
	for (size_t i = 0; i < 4; i++)
		jobs[i] = (struct lookup_job){.request = request_for(paths[i]),
					      .svmas = svmas,
					      .n = i == 1 ? MANY : 1000};
}

static void test_lookup_pool__outcome_does_not_depend_on_threads(void **state)
{
	(void)state;
	char paths[4][FIXTURE_PATH_MAX];
	struct lookup_job jobs[4];
	const struct symbolizer_options symbols = {.cache_dir = NULL};
	uint64_t *svmas = addresses(MANY);
	fixture_path("sweep_gcc4", paths[0]);
	fixture_path("sweep_gcc5", paths[1]);
	strcpy(paths[2], "/nowhere/at/all");
	fixture_path("sweep_O0", paths[3]);
	fill_jobs(jobs, paths, svmas);
	size_t alone = run_pool(&symbols, 1, jobs, 4);
	assert_int_equal(jobs[2].rc, -ENOENT);
	assert_true(alone > 1000);
	for (unsigned int n_threads = 2; n_threads <= 8; n_threads += 3) {
		fill_jobs(jobs, paths, svmas);
		assert_int_equal(run_pool(&symbols, n_threads, jobs, 4), alone);
		assert_int_equal(jobs[2].rc, -ENOENT);
	}
	free(svmas);
}

static void test_lookup_pool__time_that_is_over_is_no_failure(void **state)
{
	(void)state;
	char paths[4][FIXTURE_PATH_MAX];
	struct lookup_job jobs[4];
	const struct symbolizer_options symbols = {.deadline_ns = 1};
	uint64_t *svmas = addresses(MANY);
	for (size_t i = 0; i < 4; i++)
		fixture_path("sweep_gcc5", paths[i]);
	fill_jobs(jobs, paths, svmas);
	assert_int_equal(run_pool(&symbols, 2, jobs, 4), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(jobs[i].rc, -ECANCELED);
	free(svmas);
}

#define DIR_TEST(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, fixture_setup_dir, fixture_teardown_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup__helpers_find_what_the_owner_alone_does),
		DIR_TEST(test_lookup__second_run_looks_up_only_what_is_new),
		DIR_TEST(test_lookup__damaged_entries_are_found_anew),
		DIR_TEST(test_lookup__incomplete_answers_are_not_kept),
		DIR_TEST(test_lookup__answers_of_a_touched_file_are_not_kept),
		DIR_TEST(test_lookup__earlier_batches_make_room),
		cmocka_unit_test(test_lookup_pool__outcome_does_not_depend_on_threads),
		cmocka_unit_test(test_lookup_pool__time_that_is_over_is_no_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
