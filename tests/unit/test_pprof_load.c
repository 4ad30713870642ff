#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/pprof_file.h"

#include "../support/proto_profile.h"
#include "../support/temp_dir.h"

#include <errno.h>

static struct profile *load_bytes(const struct proto_bytes *p, struct pprof_load_info *info)
{
	struct cp_err err = {""};
	struct profile *profile = NULL;
	int rc = pprof_load_bytes(p->bytes, p->n, &profile, info, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
	return profile;
}

static struct profile *load_file(const char *path, struct pprof_load_info *info)
{
	struct cp_err err = {""};
	struct profile *profile = NULL;
	int rc = pprof_load(path, &profile, info, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
	return profile;
}

/* The frame @depth frames out from a sample's leaf, as "function file:line". */
static const char *frame(const struct profile *profile, size_t sample, size_t depth)
{
	static char text[256];
	stack_id at = profile->samples[sample].stack;
	while (depth--)
		at = stack_store_parent(&profile->stacks, at);
	const struct profile_location *location =
		&profile->locations[stack_store_leaf(&profile->stacks, at).v];
	if (!location->n_lines)
		return "?";
	const struct profile_line *line = &profile->lines[location->first_line];
	const struct profile_function *function = &profile->functions[line->function.v];
	snprintf(text, sizeof(text), "%s %s:%u", profile_text(profile, function->name),
		 profile_text(profile, function->file), line->line);
	return text;
}

/*
 * Written by `go test -trimpath -cpuprofile` of Go 1.19 for a loop in burn(), called by outer();
 * the numbers are those of `go tool pprof -raw`.
 */
static void test_pprof_load__a_cpu_profile_of_go(void **state)
{
	(void)state;
	struct pprof_load_info info;
	struct profile *profile = load_file(CPROF_TEST_DATA "/go_cpu.pprof", &info);
	assert_int_equal(info.members, 1);
	assert_int_equal(info.torn_bytes, 0);
	assert_int_equal(info.unknown_labels, 0);
	assert_int_equal(profile->n_value_types, 2);
	assert_int_equal(profile_value_column(profile, "samples"), 0);
	assert_int_equal(profile_value_column(profile, "cpu"), 1);
	assert_int_equal(profile->period, 10000000);
	assert_int_equal(profile->start_ns / 1000000000, 1795259178);
	assert_int_equal(profile->duration_ns / 1000000, 618);
	assert_int_equal(profile->n_samples, 8);
	assert_int_equal(profile->n_locations, 12);
	static const int64_t counts[] = {2, 2, 5, 4, 1, 3, 1, 4};
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(profile->values[2 * i], counts[i]);
		assert_int_equal(profile->values[2 * i + 1], counts[i] * 10000000);
	}
	assert_string_equal(frame(profile, 0, 0), "burn.burn burn/main_test.go:10");
	assert_string_equal(frame(profile, 0, 3), "testing.tRunner testing/testing.go:1446");
	assert_string_equal(frame(profile, 4, 0), "runtime.asyncPreempt runtime/preempt_amd64.s:7");
	assert_string_equal(frame(profile, 7, 1), "burn.outer burn/main_test.go:17");
	assert_int_equal(stack_store_depth(&profile->stacks, profile->samples[4].stack), 5);
	/* -raw does not list the other two, [vdso] and [vsyscall], which nothing refers to */
	assert_int_equal(profile->n_modules, 3);
	assert_string_equal(profile_text(profile, profile->modules[1].path), PROFILE_PATH_VDSO);
	assert_int_equal(profile->modules[0].svma_start, 0x400000);
	assert_int_equal(profile->modules[0].svma_end, 0x4f6000);
	assert_true(profile->modules[0].has_functions);
	assert_false(profile->modules[0].has_inlines);
	profile_destroy(profile);
}

static void test_pprof_load__a_heap_profile_of_go(void **state)
{
	(void)state;
	struct pprof_load_info info;
	struct profile *profile = load_file(CPROF_TEST_DATA "/go_heap.pprof", &info);
	assert_int_equal(info.unknown_labels, 4); /* "bytes", once per sample */
	assert_int_equal(profile->n_value_types, 4);
	assert_int_equal(profile_value_column(profile, "inuse_space"), 3);
	assert_int_equal(profile->n_samples, 4);
	assert_int_equal(profile->values[4 * 1 + 0], 6);
	assert_int_equal(profile->values[4 * 1 + 1], 7276179);
	assert_int_equal(profile->values[4 * 3 + 3], 524496);
	assert_string_equal(frame(profile, 1, 0), "burn.alloc burn/heap_test.go:8");
	assert_string_equal(profile_text(profile, profile->period_type.type), "space");
	assert_int_equal(profile->period, 524288);
	profile_destroy(profile);
}

static void check_sound(const struct profile *profile)
{
	assert_int_equal(profile->n_samples, 1);
	assert_int_equal(profile->values[0], 7);
	assert_string_equal(frame(profile, 0, 0), "main main.c:42");
	assert_string_equal(profile_text(profile, profile->modules[0].path), "/bin/app");
	assert_int_equal(profile->locations[0].svma, 0x400123);
	/* what the file does not say */
	assert_int_equal(profile->samples[0].time_ns, -1);
	assert_int_equal(profile->samples[0].stop, CP_STOP_END);
	assert_int_equal(profile->threads[0].tid, 0);
}

static void test_pprof_load__uncompressed_files_are_read_too(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	struct pprof_load_info info;
	struct profile *profile = load_bytes(&p, &info);
	check_sound(profile);
	assert_int_equal(info.torn_bytes, 0);
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__members_may_be_cut_anywhere(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	for (size_t cut = 0; cut <= p.n; cut++) {
		struct proto_bytes file = {0};
		proto_gzip(&file, p.bytes, cut);
		proto_gzip(&file, p.bytes + cut, p.n - cut);
		struct pprof_load_info info;
		struct profile *profile = load_bytes(&file, &info);
		check_sound(profile);
		assert_int_equal(info.torn_bytes, 0);
		profile_destroy(profile);
		proto_free(&file);
	}
	proto_free(&p);
}

static void test_pprof_load__fields_come_in_any_order(void **state)
{
	(void)state;
	struct proto_bytes p = {0}, sample = {0};
	/* references before what they refer to; repeated numbers one by one */
	proto_int(&sample, 2, 7);
	proto_int(&sample, 1, 1);
	proto_int(&sample, 1, 1);
	proto_message(&p, IN_SAMPLE, &sample);
	proto_int(&p, IN_COMMENT, 3);
	put_location(&p, 1, 1, 0x400123, 1, 42);
	put_function(&p, 1, 3, 3, 4);
	put_mapping(&p, 1, 5);
	put_value_type(&p, IN_SAMPLE_TYPE, 1, 2);
	put_strings(&p);
	struct profile *profile = load_bytes(&p, NULL);
	check_sound(profile);
	assert_int_equal(stack_store_depth(&profile->stacks, profile->samples[0].stack), 2);
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__ids_may_be_any_numbers(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_strings(&p);
	put_value_type(&p, IN_SAMPLE_TYPE, 1, 2);
	put_mapping(&p, UINT64_MAX, 5);
	put_function(&p, 0xdeadbeef00000001, 3, 3, 4);
	put_function(&p, 1, 4, 4, 4); /* position 1, and the id of position 0 */
	put_location(&p, 2, UINT64_MAX, 0x400200, 1, 1);
	put_location(&p, 1ULL << 40, UINT64_MAX, 0x400123, 0xdeadbeef00000001, 42);
	put_sample(&p, 1ULL << 40, 7);
	put_sample(&p, 2, 8);
	struct profile *profile = load_bytes(&p, NULL);
	assert_int_equal(profile->n_samples, 2);
	assert_string_equal(frame(profile, 0, 0), "main main.c:42");
	assert_string_equal(frame(profile, 1, 0), "main.c main.c:1");
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__locations_without_mapping_are_unknown_code(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_strings(&p);
	put_value_type(&p, IN_SAMPLE_TYPE, 1, 2);
	put_function(&p, 1, 0, 0, 0); /* nor has the function a name */
	put_location(&p, 1, 0, 0x1234, 1, 42);
	put_sample(&p, 1, 7);
	struct profile *profile = load_bytes(&p, NULL);
	assert_int_equal(profile->n_modules, 1);
	assert_string_equal(profile_text(profile, profile->modules[0].path), PROFILE_PATH_UNKNOWN);
	assert_int_equal(profile->locations[0].svma, 0x1234);
	assert_string_equal(frame(profile, 0, 0), "[unknown] :42");
	profile_destroy(profile);
	proto_free(&p);
}

/* Profiles of interpreters: no addresses, functions and lines only. */
static void test_pprof_load__locations_without_address_stay_apart(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_strings(&p);
	put_value_type(&p, IN_SAMPLE_TYPE, 1, 2);
	put_function(&p, 1, 3, 3, 4);
	for (uint64_t i = 1; i <= 5; i++)
		put_location(&p, i, 0, 0, 1, i == 5 ? 1 : i);
	for (uint64_t i = 1; i <= 5; i++)
		put_sample(&p, i, i);
	struct profile *profile = load_bytes(&p, NULL);
	/* the fifth says the same as the first */
	assert_int_equal(profile->n_locations, 4);
	assert_int_equal(profile->n_samples, 4);
	assert_string_equal(frame(profile, 0, 0), "main main.c:1");
	assert_string_equal(frame(profile, 1, 0), "main main.c:2");
	assert_string_equal(frame(profile, 2, 0), "main main.c:3");
	assert_string_equal(frame(profile, 3, 0), "main main.c:4");
	assert_int_equal(profile->values[0], 1 + 5);
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__the_last_comment_of_a_key_counts(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p); /* strings 0 to 5 */
	static const char *const comments[] = {
		"lost=1", "free text = x", "lost=2", "a.b_c=x=y",
		"=z",     "empty=",        "lost=3", "source_prefix./Build x=/home=me"};
	for (size_t i = 0; i < 8; i++)
		proto_text(&p, IN_STRING, comments[i]);
	proto_int(&p, IN_COMMENT, 6);
	proto_packed(&p, IN_COMMENT, (uint64_t[]){7, 8, 9}, 3);
	proto_packed(&p, IN_COMMENT, NULL, 0);
	proto_packed(&p, IN_COMMENT, (uint64_t[]){10, 11, 12, 13}, 4);
	struct profile *profile = load_bytes(&p, NULL);
	assert_int_equal(profile->n_header, 6);
	assert_string_equal(profile_header_get(profile, "source_prefix./Build x"), "/home=me");
	assert_string_equal(profile_header_get(profile, "lost"), "3");
	assert_string_equal(profile_header_get(profile, "a.b_c"), "x=y");
	assert_string_equal(profile_header_get(profile, "empty"), "");
	assert_string_equal(profile_header_get(profile, "comment.1"), "free text = x");
	assert_string_equal(profile_header_get(profile, "comment.2"), "=z");
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__what_binaries_lack_is_kept_by_their_paths(void **state)
{
	(void)state;
	enum { BINARIES = 1500 }; /* a machine has more than there are keys */
	struct proto_bytes p = {0};
	put_sound(&p); /* strings 0 to 5 */
	proto_text(&p, IN_STRING, "symbols./opt/A b/lib-x.so (deleted)=no symbols; x=y");
	proto_int(&p, IN_COMMENT, 6);
	for (uint64_t i = 0; i < BINARIES; i++) {
		char text[64];
		snprintf(text, sizeof(text), "symbols./bin/%d=none", (int)i);
		proto_text(&p, IN_STRING, text);
		proto_int(&p, IN_COMMENT, 7 + i);
	}
	struct profile *profile = load_bytes(&p, NULL);
	assert_string_equal(profile_header_get(profile, "symbols./opt/A b/lib-x.so (deleted)"),
			    "no symbols; x=y");
	assert_string_equal(profile_header_get(profile, "symbols./bin/1000"), "none");
	assert_true(profile->n_header > 1000 && profile->n_header <= BINARIES);
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__labels_we_know_become_the_model(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	static const char *const strings[] = {"thread",     "comm",    "pid",    "tid",
					      "stop",       "time_ns", "worker", "truncated",
					      "user-label", "joined",  "memory"};
	enum { THREAD = 6, COMM, PID, TID, STOP, TIME_NS, WORKER, TRUNCATED, OTHER, JOINED };
	enum { MEMORY = JOINED + 1 };
	for (size_t i = 0; i < 11; i++)
		proto_text(&p, IN_STRING, strings[i]);
	struct proto_bytes sample = begin_sample((uint64_t[]){1}, 1, 3);
	put_label(&sample, THREAD, WORKER, 0);
	put_label(&sample, COMM, 3, 0);
	put_label(&sample, PID, 0, 41);
	put_label(&sample, TID, 0, 42);
	put_label(&sample, STOP, TRUNCATED, 0);
	put_label(&sample, TIME_NS, 0, 10000000);
	put_label(&sample, JOINED, MEMORY, 0);
	put_label(&sample, OTHER, WORKER, 0);
	proto_message(&p, IN_SAMPLE, &sample);
	/* values out of range are counted, not believed */
	sample = begin_sample((uint64_t[]){1}, 1, 4);
	put_label(&sample, PID, 0, 1ULL << 32);
	put_label(&sample, TID, 0, UINT64_MAX);
	put_label(&sample, STOP, WORKER, 0);
	put_label(&sample, JOINED, WORKER, 0);
	put_label(&sample, TIME_NS, 0, UINT64_MAX);
	proto_message(&p, IN_SAMPLE, &sample);
	struct pprof_load_info info;
	struct profile *profile = load_bytes(&p, &info);
	assert_int_equal(info.unknown_labels, 5);
	assert_int_equal(profile->n_samples, 2); /* the last one is equal to the first */
	assert_int_equal(profile->values[0], 7 + 4);
	const struct profile_sample_key *key = &profile->samples[1];
	const struct profile_thread *thread = &profile->threads[key->thread.v];
	assert_string_equal(profile_text(profile, thread->name), "worker");
	assert_string_equal(profile_text(profile, thread->comm), "main");
	assert_int_equal(thread->pid, 41);
	assert_int_equal(thread->tid, 42);
	assert_int_equal(key->stop, CP_STOP_TRUNCATED);
	assert_int_equal(key->joined, CP_JOINED_MEMORY);
	assert_int_equal(key->time_ns, 10000000);
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__labels_of_waits_become_the_model(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	static const char *const strings[] = {"state", "waits_for", "inferred",
					      "lock",  "0x1000",    "frames"};
	enum { STATE = 6, WAITS_FOR, INFERRED, LOCK, ADDRESS, FRAMES };
	for (size_t i = 0; i < 6; i++)
		proto_text(&p, IN_STRING, strings[i]);
	struct proto_bytes sample = begin_sample((uint64_t[]){1}, 1, 3);
	put_label(&sample, STATE, LOCK, 0);
	put_label(&sample, WAITS_FOR, ADDRESS, 0);
	put_label(&sample, INFERRED, FRAMES, 0);
	proto_message(&p, IN_SAMPLE, &sample);
	/* names that are none of ours are counted, not believed */
	sample = begin_sample((uint64_t[]){1}, 1, 4);
	put_label(&sample, STATE, ADDRESS, 0);
	put_label(&sample, INFERRED, LOCK, 0);
	proto_message(&p, IN_SAMPLE, &sample);
	struct pprof_load_info info;
	struct profile *profile = load_bytes(&p, &info);
	assert_int_equal(info.unknown_labels, 2);
	assert_int_equal(profile->n_samples, 2);
	assert_int_equal(profile->samples[0].state, CP_STATE_NONE);
	assert_int_equal(profile->samples[0].waits_for.v, STRING_EMPTY.v);
	assert_int_equal(profile->samples[0].inferred, CP_INFERRED_NO);
	const struct profile_sample_key *key = &profile->samples[1];
	assert_int_equal(key->state, CP_STATE_LOCK);
	assert_string_equal(profile_text(profile, key->waits_for), "0x1000");
	assert_int_equal(key->inferred, CP_INFERRED_FRAMES);
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__fields_we_do_not_know_are_passed_over(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	proto_int(&p, 14, 1); /* default_sample_type */
	proto_int(&p, 7, 1);  /* drop_frames */
	proto_text(&p, 99, "future");
	put_sound(&p);
	struct profile *profile = load_bytes(&p, NULL);
	check_sound(profile);
	profile_destroy(profile);
	proto_free(&p);
}

static void test_pprof_load__a_path_that_is_no_profile_says_so(void **state)
{
	struct temp_dir *dir = *state;
	struct cp_err err = {""};
	struct profile *profile = NULL;
	assert_int_equal(pprof_load(temp_dir_file(dir, "none"), &profile, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.message, temp_dir_file(dir, "none")));
	assert_int_equal(pprof_load(dir->path, &profile, NULL, &err), -EISDIR);
	assert_non_null(strstr(err.message, dir->path));
	temp_dir_write(temp_dir_file(dir, "empty"), "", 0);
	assert_int_equal(pprof_load(temp_dir_file(dir, "empty"), &profile, NULL, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "empty"));
	assert_null(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pprof_load__a_cpu_profile_of_go),
		cmocka_unit_test(test_pprof_load__a_heap_profile_of_go),
		cmocka_unit_test(test_pprof_load__uncompressed_files_are_read_too),
		cmocka_unit_test(test_pprof_load__members_may_be_cut_anywhere),
		cmocka_unit_test(test_pprof_load__fields_come_in_any_order),
		cmocka_unit_test(test_pprof_load__ids_may_be_any_numbers),
		cmocka_unit_test(test_pprof_load__locations_without_mapping_are_unknown_code),
		cmocka_unit_test(test_pprof_load__locations_without_address_stay_apart),
		cmocka_unit_test(test_pprof_load__the_last_comment_of_a_key_counts),
		cmocka_unit_test(test_pprof_load__what_binaries_lack_is_kept_by_their_paths),
		cmocka_unit_test(test_pprof_load__labels_we_know_become_the_model),
		cmocka_unit_test(test_pprof_load__labels_of_waits_become_the_model),
		cmocka_unit_test(test_pprof_load__fields_we_do_not_know_are_passed_over),
		cmocka_unit_test_setup_teardown(test_pprof_load__a_path_that_is_no_profile_says_so,
						temp_dir_setup, temp_dir_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
