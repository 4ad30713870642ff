/*
 * What cprof writes, read by the reference reader: `go tool pprof`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/pprof_file.h"

#include "../support/profile_full.h"
#include "../support/temp_dir.h"

#include <ctype.h>

/* Run a report of go's pprof. Return: its output with each run of blanks as one space. */
static char *pprof(const char *report, const char *path)
{
	char command[PATH_MAX + 100];
	snprintf(command, sizeof(command), "go tool pprof %s -symbolize=none '%s' 2>&1", report,
		 path);
	FILE *pipe = popen(command, "re");
	assert_non_null(pipe);
	size_t n = 0, cap = 1 << 20;
	char *text = malloc(cap);
	assert_non_null(text);
	for (int c; (c = fgetc(pipe)) != EOF && n + 1 < cap;) {
		if (c == ' ' && (n == 0 || isspace((unsigned char)text[n - 1])))
			continue;
		text[n++] = (char)c;
	}
	text[n] = '\0';
	int status = pclose(pipe);
	if (status)
		print_error("%s: %s\n", command, text);
	assert_int_equal(status, 0);
	return text;
}

static void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("not found: \"%s\" in\n%s\n", part, text);
	assert_non_null(strstr(text, part));
}

static void flush(struct pprof_writer *writer, const struct profile *profile)
{
	struct cp_err err = {""};
	int rc = pprof_writer_flush(writer, profile, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
}

/* Two threads, 40 samples in work() called by main(), 2 in main(); 10 ms each. */
static struct profile *first_interval(location_id *caller)
{
	struct profile *profile = build_profile();
	profile->period_type = profile->value_types[1];
	profile->duration_ns = 1000000000;
	module_id app = build_module(profile, "/opt/app", true);
	thread_id one = build_thread(profile, 10, 10, "app", "app");
	thread_id two = build_thread(profile, 10, 11, "app", "worker");
	*caller = build_at(profile, app, "main", "main.c", 50);
	location_id work = build_at(profile, app, "work", "work.c", 7);
	assert_int_equal(profile_header_set(profile, HEADER_ENGINE, "perf"), 0);
	assert_int_equal(profile_header_set(profile, HEADER_LOST, "1"), 0);
	BUILD_SAMPLES(profile, one, 2, *caller);
	BUILD_SAMPLES(profile, one, 10, work, *caller);
	BUILD_SAMPLES(profile, two, 30, work, *caller);
	return profile;
}

/* In a second module, with an inlined function: 8 samples, truncated, 1.5 s after the start. */
static void second_interval(struct profile *profile, location_id caller)
{
	profile_clear_samples(profile);
	profile->duration_ns = 2000000000;
	module_id library = build_module(profile, "/usr/lib/libnew.so", true);
	struct build_line chain[] = {{"inlined_late", "late.h", 3, 1}, {"late", "late.c", 33, 30}};
	location_id late = build_chain(profile, library, chain, 2);
	full_sample(profile, (thread_id){1}, CP_STOP_TRUNCATED, 1500000000, 8,
		    (location_id[]){late, caller}, 2);
	assert_int_equal(profile_header_set(profile, HEADER_LOST, "5"), 0);
}

static void test_pprof_go__reads_the_file_after_every_flush(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a.pb.gz"));
	struct pprof_writer *writer = NULL;
	assert_int_equal(pprof_writer_create(path, &writer, NULL), 0);
	location_id caller;
	struct profile *profile = first_interval(&caller);
	flush(writer, profile);
	char *top = pprof("-top", path);
	expect(top, "Type: cpu\n");
	expect(top, "Duration: 1s, Total samples = 420ms");
	expect(top, "400ms 95.24% 95.24% 400ms 95.24% work\n");
	expect(top, "20ms 4.76% 100% 420ms 100% main\n");
	free(top);

	second_interval(profile, caller);
	flush(writer, profile);
	top = pprof("-top", path);
	expect(top, "Duration: 2s, Total samples = 500ms");
	expect(top, "400ms 80.00% 80.00% 400ms 80.00% work\n");
	expect(top, "80ms 16.00% 96.00% 80ms 16.00% inlined_late (inline)\n");
	expect(top, "20ms 4.00% 100% 500ms 100% main\n");
	expect(top, "0 0% 100% 80ms 16.00% late\n");
	free(top);
	top = pprof("-top -lines -sample_index=samples", path);
	expect(top, "8 16.00% 96.00% 8 16.00% inlined_late late.h:3 (inline)\n");
	expect(top, "0 0% 100% 8 16.00% late late.c:33\n");
	free(top);
	pprof_writer_destroy(writer);
	profile_destroy(profile);
}

static void test_pprof_go__sees_labels_comments_and_mappings(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a.pb.gz"));
	struct pprof_writer *writer = NULL;
	assert_int_equal(pprof_writer_create(path, &writer, NULL), 0);
	location_id caller;
	struct profile *profile = first_interval(&caller);
	flush(writer, profile);
	second_interval(profile, caller);
	flush(writer, profile);
	char *raw = pprof("-raw", path);
	expect(raw, "Comment: engine=perf\n");
	expect(raw, "Comment: lost=1\n");
	expect(raw, "Comment: lost=5\n");
	expect(raw, "PeriodType: cpu nanoseconds\nPeriod: 10000000\n");
	expect(raw, "samples/count cpu/nanoseconds\n");
	expect(raw, "30 300000000: 2 1 \ncomm:[app] thread:[worker]\npid:[10] tid:[11]\n");
	expect(raw, "8 80000000: 3 1 \ncomm:[app] stop:[truncated] thread:[worker]\n"
		    "pid:[10] tid:[11] time_ns:[1500000000 nanoseconds]\n");
	expect(raw, "3: 0x1020 M=2 inlined_late late.h:3 s=1\nlate late.c:33 s=30\n");
	expect(raw, "1: 0x1000/0x10000000/0x0 /opt/app");
	expect(raw, "2: 0x1000/0x10000000/0x0 /usr/lib/libnew.so");
	free(raw);
	pprof_writer_destroy(writer);
	profile_destroy(profile);
}

static void test_pprof_go__reads_compacted_and_saved_files(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX];
	strcpy(path, temp_dir_file(dir, "a.pb.gz"));
	struct pprof_writer *writer = NULL;
	assert_int_equal(pprof_writer_create(path, &writer, NULL), 0);
	location_id caller;
	struct profile *profile = first_interval(&caller);
	flush(writer, profile);
	assert_int_equal(pprof_writer_compact(writer, profile, 1000000000, NULL), 0);
	second_interval(profile, caller);
	flush(writer, profile);
	pprof_writer_destroy(writer);
	char *compacted = pprof("-top", path);
	expect(compacted, "lost=1\nlost=5\nType");
	struct profile *loaded = NULL;
	assert_int_equal(pprof_load(path, &loaded, NULL, NULL), 0);
	assert_int_equal(pprof_save(loaded, path, NULL), 0);
	char *saved = pprof("-top", path);
	expect(saved, "400ms 80.00% 80.00% 400ms 80.00% work\n");
	expect(saved, "0 0% 100% 80ms 16.00% late\n");
	expect(saved, "engine=perf\nlost=5\nType"); /* the last one only */
	assert_string_equal(strstr(compacted, "Type"), strstr(saved, "Type"));
	free(compacted);
	free(saved);
	profile_destroy(loaded);
	profile_destroy(profile);
}

static void test_pprof_go__reads_every_field_of_the_model(void **state)
{
	struct temp_dir *dir = *state;
	struct profile *profile = full_profile();
	assert_int_equal(pprof_save(profile, temp_dir_file(dir, "a"), NULL), 0);
	char *raw = pprof("-raw", temp_dir_file(dir, "a"));
	expect(raw, "Time: 2023-11-14 22:13:20.123456789 +0000 UTC\n");
	expect(raw, "Comment: command=app --x='a=b' \xc3\xa9\n");
	expect(raw, "0x1234 M=1 inner inner.h:7 s=5(_Z5innerv)\nmiddle app.c:70 s=60\n"
		    "main app.c:123 s=100\n");
	expect(raw, "0xffffffff81234567 M=2");
	expect(raw, "1: 0x1000/0x9000/0x1000 /opt/app/bin/app "
		    "0123456789abcdef0123456789abcdef01234567 [FN][FL][LN][IN]\n");
	free(raw);
	profile_destroy(profile);
}

#define TEST_IN_DIR(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	/* go wants a home; it need not be a good one */
	setenv("HOME", "/tmp", 0);
	setenv("TZ", "UTC", 1);
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(test_pprof_go__reads_the_file_after_every_flush),
		TEST_IN_DIR(test_pprof_go__sees_labels_comments_and_mappings),
		TEST_IN_DIR(test_pprof_go__reads_compacted_and_saved_files),
		TEST_IN_DIR(test_pprof_go__reads_every_field_of_the_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
