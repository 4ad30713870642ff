#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/heap_report_made.h"
#include "heap/heap_settings.h"

#include <errno.h>
#include <math.h>

static void test_heap_report__sites_have_their_numbers(void **state)
{
	(void)state;
	struct made made;
	make_leaking(&made);
	json_t *json = report_json_of(&made, (struct heap_report_options){0}, NULL);
	assert_string_equal(string(json, "schema"), "cprof-heap/1");
	json_t *sites = json_object_get(json, "sites");
	assert_int_equal(json_array_size(sites), 3);
	json_t *cache = json_array_get(sites, 0), *leak = json_array_get(sites, 1);
	assert_string_equal(string(cache, "name"), "cache");
	assert_int_equal(number(cache, "bytes"), 50000);
	assert_string_equal(string(leak, "name"), "parse");
	assert_int_equal(number(leak, "blocks"), 100);
	assert_int_equal(number(leak, "bytes"), 10000);
	assert_int_equal(number(leak, "peak_bytes"), 10000);
	assert_int_equal(number(leak, "alloc_calls"), 100);
	assert_int_equal(number(leak, "oldest_age_ns"), 100000000000);
	assert_int_equal(number(leak, "threads"), 2);
	json_t *frames = json_object_get(leak, "frames");
	assert_int_equal(json_array_size(frames), 3);
	assert_string_equal(string(json_array_get(frames, 0), "function"), "xmalloc");
	assert_string_equal(string(json_object_get(leak, "in_charge"), "file"), "src/a.c");
	assert_int_equal(number(json_object_get(leak, "in_charge"), "line"), 20);
	assert_true(json_is_true(json_object_get(leak, "complete")));
	assert_true(json_is_null(json_object_get(leak, "estimate")));
	json_t *totals = json_object_get(json, "totals");
	assert_int_equal(number(totals, "blocks"), 102);
	assert_int_equal(number(totals, "bytes"), 60007);
	assert_int_equal(number(totals, "alloc_calls"), 1102);
	assert_int_equal(number(totals, "free_calls"), 1000);
	assert_int_equal(number(json_object_get(json, "losses"), "difference_blocks"), 0);
	json_decref(json);
	release(&made);
}

static void test_heap_report__what_grows_comes_first(void **state)
{
	(void)state;
	struct made made;
	make_leaking(&made);
	json_t *json = report_json_of(&made, (struct heap_report_options){0}, NULL);
	json_t *verdict = json_object_get(json, "verdict");
	assert_string_equal(string(verdict, "kind"), "growing");
	assert_int_equal(number(verdict, "growing_places"), 1);
	/* both stacks with parse:20 in charge: one place */
	json_t *places = json_object_get(verdict, "places");
	assert_int_equal(json_array_size(places), 2);
	json_t *first = json_array_get(places, 0);
	assert_string_equal(string(first, "name"), "parse");
	assert_int_equal(number(first, "stacks"), 2);
	assert_int_equal(number(first, "bytes"), 10007);
	json_t *growth = json_object_get(first, "growth");
	assert_string_equal(string(growth, "verdict"), "growing");
	const double rate = json_real_value(json_object_get(growth, "bytes_per_hour"));
	assert_true(fabs(rate - 360000) < 1);
	json_decref(json);
	release(&made);
}

static void test_heap_report__ages_and_rules_take_blocks_out(void **state)
{
	(void)state;
	struct made made;
	make_leaking(&made);
	struct cp_err err;
	assert_int_equal(heap_suppressions_parse(&made.rules, "leak:^cache$\n", "r", &err), 0);
	json_t *json = report_json_of(
		&made, (struct heap_report_options){.min_age_ns = 10000000000}, NULL);
	json_t *verdict = json_object_get(json, "verdict");
	/* born in the seconds 0 to 90 */
	assert_int_equal(number(verdict, "blocks"), 91);
	assert_int_equal(number(verdict, "bytes"), 9100);
	json_t *young = json_object_get(json, "too_young");
	assert_int_equal(number(young, "blocks"), 10);
	assert_int_equal(number(young, "bytes"), 907);
	json_t *suppressed = json_object_get(json, "suppressed");
	assert_int_equal(number(suppressed, "blocks"), 1);
	assert_int_equal(number(suppressed, "bytes"), 50000);
	json_t *rule = json_array_get(json_object_get(suppressed, "rules"), 0);
	assert_string_equal(string(rule, "pattern"), "^cache$");
	assert_int_equal(number(rule, "bytes"), 50000);
	assert_int_equal(number(json_object_get(json, "totals"), "bytes"), 60007);
	json_decref(json);
	release(&made);
}

static void test_heap_report__since_an_earlier_copy(void **state)
{
	(void)state;
	struct turn turn;
	begin_turn(&turn, 0);
	/* the same first blocks at the same addresses */
	for (uint32_t s = 0; s < 50; s++) {
		build_heap_alloc(&turn.now.build, 1, 100, s * 100, 1);
		build_heap_alloc(&turn.then.build, 1, 100, s * 100, 1);
	}
	build_heap_alloc(&turn.then.build, 2, 3000, 0, 1);
	for (uint32_t s = 50; s < 100; s++)
		build_heap_alloc(&turn.now.build, 1, 100, s * 100, 1);
	build_heap_churn(&turn.now.build, 2, 1, 3000);
	finish_turn(&turn);
	json_t *json = report_json_of(&turn.now, (struct heap_report_options){0}, NULL);
	assert_string_equal(string(json, "since"), "t0");
	assert_int_equal(number(json_object_get(json, "before"), "blocks"), 50);
	json_t *verdict = json_object_get(json, "verdict");
	assert_int_equal(number(verdict, "bytes"), 5000);
	json_t *growth =
		json_object_get(json_array_get(json_object_get(verdict, "places"), 0), "growth");
	assert_string_equal(string(growth, "basis"), "since");
	assert_string_equal(string(growth, "verdict"), "growing");
	const double rate = json_real_value(json_object_get(growth, "bytes_per_hour"));
	assert_true(fabs(rate - 360000) < 1);
	/* in all 3000 bytes went, 5000 came */
	const double all = json_real_value(json_object_get(verdict, "bytes_per_hour"));
	assert_true(fabs(all - 2000.0 / 50 * 3600) < 1);
	/* the place that leaks is not made up for by another that freed */
	const double judged = json_real_value(json_object_get(verdict, "judged_bytes_per_hour"));
	assert_true(fabs(judged - 360000) < 1);
	json_decref(json);

	enum heap_gate_result gate;
	struct cp_err err;
	const struct heap_report_options options = {0};
	turn.then.snapshot->header.pid = 1;
	assert_int_equal(heap_report_write(&turn.now.input, &options, stdout, &gate, &err),
			 -EINVAL);
	assert_non_null(strstr(err.message, "another process"));
	release_turn(&turn);
}

/* A cache whose blocks live 20 s, since a copy of 50 s ago: what came is as old as what went. */
static void test_heap_report__a_cache_that_was_turned_over_has_not_grown(void **state)
{
	(void)state;
	struct turn turn;
	begin_turn(&turn, 0);
	/* the same blocks at the same addresses */
	for (uint32_t s = 0; s < 100; s++) {
		build_heap_alloc(&turn.now.build, 1, 10, s * 100, 1);
		if (s < 50)
			build_heap_alloc(&turn.then.build, 1, 10, s * 100, 1);
	}
	for (uint32_t s = 0; s < 20; s++) {
		build_heap_alloc(&turn.now.build, 2, 1000, (80 + s) * 100, 1);
		build_heap_alloc(&turn.then.build, 2, 1000, (30 + s) * 100, 1);
	}
	build_heap_churn(&turn.now.build, 2, 80, 1000);
	build_heap_churn(&turn.then.build, 2, 30, 1000);
	finish_turn(&turn);
	json_t *json = report_json_of(
		&turn.now, (struct heap_report_options){.min_age_ns = 10000000000}, NULL);
	json_t *sites = json_object_get(json, "sites");
	bool found = false;
	for (size_t i = 0; i < json_array_size(sites); i++) {
		json_t *growth = json_object_get(json_array_get(sites, i), "growth");
		const bool leaks = number(json_array_get(sites, i), "bytes") == 410;
		const double rate = json_real_value(json_object_get(growth, "bytes_per_hour"));
		assert_true(fabs(rate - (leaks ? 36000 : 0)) < 1);
		assert_int_equal(strcmp(string(growth, "verdict"), "growing") == 0, leaks);
		found |= leaks;
	}
	assert_true(found);
	json_decref(json);
	release_turn(&turn);
}

static void test_heap_report__estimates_have_intervals(void **state)
{
	(void)state;
	struct made made = begin(4096);
	for (int i = 0; i < 10; i++)
		build_heap_block(&made.build, 1, 4096, 1, 1);
	build_heap_counter(&made.build, 0, 1)->allocs = 16 * HEAP_WEIGHT_ONE;
	finish(&made);
	json_t *json = report_json_of(&made, (struct heap_report_options){0}, NULL);
	json_t *site = json_array_get(json_object_get(json, "sites"), 0);
	const double p = 1 - exp(-1), bytes = 10 * 4096 / p;
	const double half = 1.96 * sqrt(10 * (1 - p)) / p * 4096;
	assert_int_equal(number(site, "bytes"), llround(bytes));
	json_t *estimate = json_object_get(site, "estimate");
	assert_int_equal(number(estimate, "raw_blocks"), 10);
	json_t *interval = json_object_get(estimate, "bytes");
	assert_true(fabs(json_real_value(json_array_get(interval, 0)) - (bytes - half)) < 0.01);
	assert_true(fabs(json_real_value(json_array_get(interval, 1)) - (bytes + half)) < 0.01);
	/* nothing seen is not nothing there */
	const struct heap_report_options little = {.fail_on_unfreed = true, .min_age_ns = 200e9};
	const struct heap_report_options much = {
		.fail_on_unfreed = true, .min_age_ns = 200e9, .unfreed_bytes = 13000};
	assert_int_equal(gate_of(&made, little), HEAP_GATE_UNKNOWN);
	assert_int_equal(gate_of(&made, much), HEAP_GATE_PASS);
	json_decref(json);
	release(&made);
}

static void test_heap_report__rows_by_other_things(void **state)
{
	(void)state;
	struct made made;
	make_leaking(&made);
	json_t *json =
		report_json_of(&made, (struct heap_report_options){.by = HEAP_BY_THREAD}, NULL);
	assert_true(json_is_null(json_object_get(json, "sites")));
	json_t *rows = json_object_get(json, "rows");
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(string(json_array_get(rows, 0), "name"), "tid 11");
	assert_int_equal(number(json_array_get(rows, 0), "bytes"), 50 * 100 + 50000 + 7);
	assert_int_equal(number(json_array_get(rows, 1), "bytes"), 50 * 100);
	json_decref(json);
	static const struct {
		enum heap_by by;
		const char *name;
	} bys[] = {{HEAP_BY_FILE, "src/a.c"}, {HEAP_BY_MODULE, "/usr/bin/built"}};
	for (size_t i = 0; i < 2; i++) {
		json = report_json_of(&made, (struct heap_report_options){.by = bys[i].by}, NULL);
		rows = json_object_get(json, "rows");
		assert_int_equal(json_array_size(rows), 1);
		assert_string_equal(string(json_array_get(rows, 0), "name"), bys[i].name);
		assert_int_equal(number(json_array_get(rows, 0), "bytes"), 60007);
		json_decref(json);
	}
	json = report_json_of(
		&made,
		(struct heap_report_options){.by = HEAP_BY_FUNCTION, .sort = HEAP_SORT_CALLS},
		NULL);
	rows = json_object_get(json, "rows");
	assert_string_equal(string(json_array_get(rows, 0), "name"), "parse");
	assert_int_equal(number(json_array_get(rows, 0), "alloc_calls"), 1101);
	json_decref(json);
	release(&made);
}

static bool own_package(void *ctx, const char *const *paths, size_t n, char **packages)
{
	(void)ctx;
	for (size_t i = 0; i < n; i++)
		packages[i] = strcmp(paths[i], "/usr/bin/built") == 0 ? strdup("built") : NULL;
	return true;
}

static bool is_there(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
	return true;
}

/* What has no name has an address, so that two places are two, and what would bring the name. */
static void test_heap_report__frames_without_names_have_addresses_and_remedies(void **state)
{
	(void)state;
	static const struct remedy_source debian = {.find_packages = own_package,
						    .file_exists = is_there,
						    .os_id = "debian",
						    .os_codename = "bookworm"};
	struct made made = {.build = build_heap(0)};
	const uint16_t exe = build_heap_module(&made.build, "/usr/bin/built", 0x400000);
	const uint32_t main_node = build_heap_node(&made.build, 0, 0x401000, exe, 0);
	for (uint64_t at = 0x405000; at <= 0x406000; at += 0x1000) {
		build_heap_site(&made.build, build_heap_node(&made.build, main_node, at, exe, 0));
		build_heap_alloc(&made.build, (uint32_t)(at - 0x404000) >> 12, 100, 1, 1);
	}
	finish(&made);
	made.input.remedies = &debian;
	char *text = text_of(&made, REPORT_TEXT);
	has(text, "in 2 blocks from 2 places");
	has(text, "[built+0x5000]");
	has(text, "[built+0x6000]");
	has(text, "no symbols: /usr/bin/built: apt install built-dbgsym");
	has(text, "bookworm-debug");
	free(text);
	json_t *json =
		report_json_of(&made, (struct heap_report_options){.by = HEAP_BY_FUNCTION}, NULL);
	assert_int_equal(json_array_size(json_object_get(json, "rows")), 1);
	json_t *missing =
		json_array_get(json_object_get(json_object_get(json, "coverage"), "missing"), 0);
	assert_string_equal(string(missing, "remedy"), "apt install built-dbgsym");
	json_decref(json);
	release(&made);
}

/* Instances of a template are one line of source: one place. */
static void test_heap_report__a_line_is_one_place(void **state)
{
	(void)state;
	struct made made = begin(0);
	build_heap_alloc(&made.build, 2, 100, 1, 1);
	build_heap_alloc(&made.build, 3, 300, 1, 1);
	finish(&made);
	for (uint32_t i = 0; i < made.profile->n_locations; i++) {
		const uint64_t n = made.profile->locations[i].svma >> 12;
		if (n == 2 || n == 4)
			name_location(made.profile, i, n == 2 ? "put<int>" : "put<long>", "src/a.h",
				      7);
	}
	json_t *json = report_json_of(&made, (struct heap_report_options){0}, NULL);
	json_t *places = json_object_get(json_object_get(json, "verdict"), "places");
	assert_int_equal(json_array_size(places), 1);
	json_t *place = json_array_get(places, 0);
	assert_string_equal(string(place, "name"), "put<int>");
	assert_int_equal(number(place, "bytes"), 400);
	assert_int_equal(number(place, "stacks"), 2);
	json_decref(json);
	release(&made);
}

/* The library cannot print: the report says which of its settings it did not take. */
static void test_heap_report__refused_settings_are_told(void **state)
{
	(void)state;
	struct made made = begin(0);
	build_heap_alloc(&made.build, 1, 8, 1, 1);
	made.build.header->settings_refused =
		1 << HEAP_SETTING_MAX_SITES | 1 << HEAP_SETTING_FOLLOW;
	finish(&made);
	char *text = text_of(&made, REPORT_TEXT);
	has(text, "CPROF_HEAP_MAX_SITES was not used as it was set: a whole number from 64 to "
		  "16777216");
	has(text, "CPROF_HEAP_FOLLOW was not used");
	assert_null(strstr(text, "CPROF_HEAP_OUTPUT was"));
	free(text);
	release(&made);
}

static void test_heap_report__no_live_sample_is_not_nothing_live(void **state)
{
	(void)state;
	struct made made = begin(4096);
	build_heap_churn(&made.build, 3, 1000, 16);
	finish(&made);
	char *text = text_of(&made, REPORT_TEXT);
	has(text, "no sampled block is live: less than about 12.0 KiB (95 %)");
	assert_null(strstr(text, "nothing is left"));
	free(text);
	release(&made);
}

static void test_heap_report__texts_say_it(void **state)
{
	(void)state;
	struct made made;
	make_leaking(&made);
	char *text = text_of(&made, REPORT_TEXT);
	has(text, "VERDICT growing: 1 place piles up memory steadily: +100 B/s");
	has(text, "Not freed: 58.6 KiB in 102 blocks from 2 places");
	has(text, "parse  src/a.c:20");
	has(text, "by xmalloc; called by main");
	has(text, "is not yet \"leaked\"");
	has(text, "lost: nothing");
	has(text, "gate --fail-on-unfreed: FAILED");
	assert_true(strstr(text, "parse  src/a.c:20") < strstr(text, "cache  src/a.c:40"));
	free(text);
	text = text_of(&made, REPORT_MARKDOWN);
	has(text, "| 48.8 KiB | 1 | ");
	has(text, "growing +100 B/s");
	free(text);
	release(&made);
}

/* 100 bytes a second, and four times 10,000: the median does not see those. */
static void test_heap_report__of_an_uneven_leak_the_mean_is_told_too(void **state)
{
	(void)state;
	struct made made = begin(0);
	for (uint32_t s = 0; s < 100; s++)
		build_heap_alloc(&made.build, 1, 100, s * 100, 1);
	for (uint32_t s = 12; s < 100; s += 25)
		build_heap_alloc(&made.build, 1, 10000, s * 100, 1);
	finish(&made);
	char *text = text_of(&made, REPORT_TEXT);
	has(text, "1 place piles up memory steadily: +100 B/s, mean +500 B/s. ");
	has(text, "growing +100 B/s, mean +500 B/s; oldest");
	free(text);
	json_t *json = report_json_of(&made, (struct heap_report_options){0}, NULL);
	json_t *verdict = json_object_get(json, "verdict");
	json_t *place = json_array_get(json_object_get(verdict, "places"), 0);
	const struct {
		json_t *of;
		const char *key;
		double per_second;
	} rates[] = {
		{verdict, "growing_bytes_per_hour", 100},
		{verdict, "growing_mean_bytes_per_hour", 500},
		{verdict, "bytes_per_hour", 100},
		{verdict, "mean_bytes_per_hour", 500},
		{verdict, "judged_bytes_per_hour", 100},
		{json_object_get(place, "growth"), "bytes_per_hour", 100},
		{json_object_get(place, "growth"), "mean_bytes_per_hour", 500},
	};
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		const double rate = json_real_value(json_object_get(rates[i].of, rates[i].key));
		assert_true(fabs(rate - 3600 * rates[i].per_second) < 1);
	}
	json_decref(json);
	release(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_report__sites_have_their_numbers),
		cmocka_unit_test(test_heap_report__what_grows_comes_first),
		cmocka_unit_test(test_heap_report__ages_and_rules_take_blocks_out),
		cmocka_unit_test(test_heap_report__since_an_earlier_copy),
		cmocka_unit_test(test_heap_report__a_cache_that_was_turned_over_has_not_grown),
		cmocka_unit_test(test_heap_report__estimates_have_intervals),
		cmocka_unit_test(test_heap_report__rows_by_other_things),
		cmocka_unit_test(
			test_heap_report__frames_without_names_have_addresses_and_remedies),
		cmocka_unit_test(test_heap_report__a_line_is_one_place),
		cmocka_unit_test(test_heap_report__refused_settings_are_told),
		cmocka_unit_test(test_heap_report__no_live_sample_is_not_nothing_live),
		cmocka_unit_test(test_heap_report__texts_say_it),
		cmocka_unit_test(test_heap_report__of_an_uneven_leak_the_mean_is_told_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
