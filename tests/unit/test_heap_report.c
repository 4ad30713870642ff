#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/heap_builder.h"
#include "heap/heap_profile.h"
#include "heap/heap_settings.h"
#include "output/heap_report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* A heap file, read, and with names given by the test. */
struct made {
	struct heap_build build;
	struct heap_snapshot *snapshot;
	struct heap_target target;
	struct profile *profile;
	stack_id *stacks;
	struct heap_suppressions rules;
	struct heap_input input;
};

static void name_location(struct profile *profile, uint32_t location, const char *name,
			  const char *file, uint32_t line)
{
	struct profile_function function = {0};
	struct profile_line entry = {.line = line};
	assert_int_equal(profile_string(profile, name, &function.name), 0);
	assert_int_equal(profile_string(profile, file, &function.file), 0);
	assert_int_equal(profile_add_function(profile, &function, &entry.function), 0);
	assert_int_equal(profile_set_lines(profile, (location_id){location}, &entry, 1), 0);
}

/* Addresses 0x40N000 are function number N. */
static void name_all(struct profile *profile)
{
	static const char *const names[] = {"?", "main", "parse", "xmalloc", "cache"};
	for (uint32_t i = 0; i < profile->n_locations; i++) {
		const uint64_t n = profile->locations[i].svma >> 12;
		if (n < 5)
			name_location(profile, i, names[n], "src/a.c", (uint32_t)n * 10);
	}
}

static void finish(struct made *made)
{
	struct cp_err err = {""};
	if (heap_snapshot_read_bytes(made->build.bytes, made->build.n, &made->snapshot, &err))
		fail_msg("%s", err.message);
	assert_int_equal(heap_profile_create(made->snapshot, &made->profile, &made->stacks, NULL),
			 0);
	name_all(made->profile);
	assert_int_equal(heap_suppressions_init(&made->rules), 0);
	made->target = (struct heap_target){.state = HEAP_TARGET_EXITED, .now_ns = 100000000000};
	made->input = (struct heap_input){
		.snapshot = made->snapshot,
		.target = &made->target,
		.path = "built.cprof-heap",
		.profile = made->profile,
		.stacks = made->stacks,
		.rss_unknown = "a test",
		.rules = &made->rules,
	};
}

static void release(struct made *made)
{
	heap_suppressions_deinit(&made->rules);
	profile_destroy(made->profile);
	free(made->stacks);
	heap_snapshot_destroy(made->snapshot);
	build_heap_free(&made->build);
}

/* Site 1: main -> parse -> xmalloc. Site 2: main -> cache. Site 3: main -> parse. */
static struct made begin(uint64_t sample_bytes)
{
	struct made made = {.build = build_heap(sample_bytes)};
	const uint16_t exe = build_heap_module(&made.build, "/usr/bin/built", 0x400000);
	const uint32_t main_node = build_heap_node(&made.build, 0, 0x401000, exe, 0);
	const uint32_t parse = build_heap_node(&made.build, main_node, 0x402000, exe, 0);
	build_heap_site(&made.build, build_heap_node(&made.build, parse, 0x403000, exe, 0));
	build_heap_site(&made.build, build_heap_node(&made.build, main_node, 0x404000, exe, 0));
	build_heap_site(&made.build, parse);
	return made;
}

/* A leak of 100 bytes a second for 100 s, a cache filled at the start, a block of the last second.
 */
static void make_leaking(struct made *made)
{
	*made = begin(0);
	for (uint32_t s = 0; s < 100; s++)
		build_heap_alloc(&made->build, 1, 100, s * 100, s % 2 ? 11 : 12);
	build_heap_alloc(&made->build, 2, 50000, 20, 11);
	build_heap_alloc(&made->build, 3, 7, 9950, 11);
	build_heap_churn(&made->build, 3, 1000, 16);
	finish(made);
}

static json_t *report_json_of(struct made *made, struct heap_report_options options,
			      enum heap_gate_result *gate)
{
	char *text = NULL;
	size_t n = 0;
	struct cp_err err = {""};
	json_error_t error;
	enum heap_gate_result ignored;
	FILE *out = open_memstream(&text, &n);
	assert_non_null(out);
	options.format = REPORT_JSON;
	const int rc = heap_report_write(&made->input, &options, out, gate ? gate : &ignored, &err);
	fclose(out);
	if (rc)
		fail_msg("%s", err.message);
	json_t *json = json_loads(text, 0, &error);
	if (!json)
		fail_msg("%s: %s", error.text, text);
	free(text);
	return json;
}

static json_int_t number(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	if (!json_is_integer(value))
		fail_msg("%s is no integer", key);
	return json_integer_value(value);
}

static const char *string(json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	if (!value)
		fail_msg("%s is no string", key);
	return value;
}

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
	struct made now = begin(0), then = begin(0);
	/* the same first blocks at the same addresses */
	for (uint32_t s = 0; s < 50; s++) {
		build_heap_alloc(&now.build, 1, 100, s * 100, 1);
		build_heap_alloc(&then.build, 1, 100, s * 100, 1);
	}
	build_heap_alloc(&then.build, 2, 3000, 0, 1);
	for (uint32_t s = 50; s < 100; s++)
		build_heap_alloc(&now.build, 1, 100, s * 100, 1);
	build_heap_churn(&now.build, 2, 1, 3000);
	finish(&now);
	finish(&then);
	then.target.now_ns = 50000000000;
	now.input.since = then.snapshot;
	now.input.since_target = &then.target;
	now.input.since_path = "t0";
	json_t *json = report_json_of(&now, (struct heap_report_options){0}, NULL);
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
	json_decref(json);

	enum heap_gate_result gate;
	struct cp_err err;
	const struct heap_report_options options = {0};
	then.snapshot->header.pid = 1;
	assert_int_equal(heap_report_write(&now.input, &options, stdout, &gate, &err), -EINVAL);
	assert_non_null(strstr(err.message, "another process"));
	release(&now);
	release(&then);
}

/* What was live of a place then and now, at the seconds 50 and 100. */
struct turn {
	struct made then, now;
};

static void begin_turn(struct turn *turn, uint64_t sample_bytes)
{
	*turn = (struct turn){.then = begin(sample_bytes), .now = begin(sample_bytes)};
}

static void finish_turn(struct turn *turn)
{
	finish(&turn->then);
	finish(&turn->now);
	turn->then.target.now_ns = 50000000000;
	turn->now.input.since = turn->then.snapshot;
	turn->now.input.since_target = &turn->then.target;
	turn->now.input.since_path = "t0";
}

static void release_turn(struct turn *turn)
{
	release(&turn->now);
	release(&turn->then);
}

static enum heap_gate_result gate_of(struct made *made, struct heap_report_options options)
{
	enum heap_gate_result gate;
	json_decref(report_json_of(made, options, &gate));
	return gate;
}

static void test_heap_report__gates(void **state)
{
	(void)state;
	struct made made;
	make_leaking(&made);
	struct heap_report_options options = {.fail_on_unfreed = true};
	assert_int_equal(gate_of(&made, (struct heap_report_options){0}), HEAP_GATE_NONE);
	assert_int_equal(gate_of(&made, options), HEAP_GATE_FAIL);
	options.unfreed_bytes = 60006;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_FAIL);
	options.unfreed_bytes = 60007;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_PASS);
	made.snapshot->header.frozen = 1;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_UNKNOWN);
	options.unfreed_bytes = 0;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_FAIL);
	made.snapshot->header.frozen = 0;
	made.snapshot->header.losses[HEAP_LOSS_LOCK] = 1;
	options.unfreed_bytes = 1 << 20;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_UNKNOWN);
	made.snapshot->header.losses[HEAP_LOSS_LOCK] = 0;
	options.fail_on_growth = true;
	options.growth_per_hour = 400000;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_PASS);
	options.growth_per_hour = 300000;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_FAIL);
	made.target.now_ns = 1000000000;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_UNKNOWN);
	release(&made);
}

/* 100 bytes a second, but in bursts of 20 s. */
static void make_bursts(struct made *made)
{
	*made = begin(0);
	for (uint32_t s = 0; s < 100; s += 20)
		build_heap_alloc(&made->build, 1, 2000, s * 100 + 1, 1);
	finish(made);
}

/* The leak of 200 bytes a second begins at the 60th. */
static void make_late(struct made *made)
{
	*made = begin(0);
	for (uint32_t s = 60; s < 100; s++)
		build_heap_alloc(&made->build, 1, 200, s * 100, 1);
	finish(made);
}

/* One block that was made larger at the second 97. */
static void make_vector(struct made *made)
{
	*made = begin(0);
	build_heap_churn(&made->build, 1, 10, 1000);
	build_heap_alloc(&made->build, 1, 10000, 9700, 1);
	finish(made);
}

/* Growth that ages do not show must not pass: it is no more than the limit only where all that was
 * allocated after the first quarter is. */
static void test_heap_report__unsteady_growth_does_not_pass(void **state)
{
	(void)state;
	static void (*const makers[])(struct made *) = {make_bursts, make_late, make_vector};
	/* bytes of the seconds 25 to 100 in 75 s */
	static const double most_per_hour[] = {6000.0 / 75 * 3600, 8000.0 / 75 * 3600,
					       10000.0 / 75 * 3600};
	for (size_t i = 0; i < 3; i++) {
		struct made made;
		struct heap_report_options options = {.fail_on_growth = true};
		makers[i](&made);
		options.growth_per_hour = most_per_hour[i] - 1;
		enum heap_gate_result gate;
		json_t *json = report_json_of(&made, options, &gate);
		assert_int_equal(gate, HEAP_GATE_UNKNOWN);
		json_t *told = json_array_get(json_object_get(json, "gates"), 0);
		assert_int_equal(number(told, "most"), llround(most_per_hour[i]));
		assert_non_null(strstr(string(told, "reason"), "--since"));
		json_decref(json);
		options.growth_per_hour = most_per_hour[i] + 1;
		assert_int_equal(gate_of(&made, options), HEAP_GATE_PASS);
		release(&made);
	}
}

/* A cache that grew for the whole run, and is freed by a destructor. */
static void test_heap_report__what_an_exit_freed_does_not_pass(void **state)
{
	(void)state;
	struct made made = begin(0);
	build_heap_churn(&made.build, 1, 1000, 1000);
	build_heap_alloc(&made.build, 2, 100, 1, 1);
	made.build.header->peak_bytes = 1000100;
	finish(&made);
	struct heap_report_options options = {.fail_on_growth = true, .growth_per_hour = 35999999};
	assert_int_equal(gate_of(&made, options), HEAP_GATE_UNKNOWN);
	options.growth_per_hour = 36000000;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_PASS);
	options.growth_per_hour = 1000;
	made.target.state = HEAP_TARGET_RUNNING;
	assert_int_equal(gate_of(&made, options), HEAP_GATE_PASS);
	release(&made);
}

/* The block of 10,000 bytes took the place of one of 4,000: two copies tell. */
static void test_heap_report__copies_tell_growth_that_ages_do_not(void **state)
{
	(void)state;
	struct turn turn;
	begin_turn(&turn, 0);
	build_heap_alloc(&turn.then.build, 1, 4000, 1000, 1);
	build_heap_alloc(&turn.now.build, 1, 10000, 9700, 1);
	build_heap_churn(&turn.now.build, 1, 1, 4000);
	finish_turn(&turn);
	const double rate = 6000.0 / 50 * 3600;
	struct heap_report_options options = {.fail_on_growth = true, .growth_per_hour = rate - 1};
	enum heap_gate_result gate;
	json_t *json = report_json_of(&turn.now, options, &gate);
	assert_int_equal(gate, HEAP_GATE_FAIL);
	json_t *verdict = json_object_get(json, "verdict");
	json_t *growth =
		json_object_get(json_array_get(json_object_get(verdict, "places"), 0), "growth");
	assert_true(fabs(json_real_value(json_object_get(growth, "bytes_per_hour")) - rate) < 1);
	assert_true(json_is_null(json_object_get(growth, "interval")));
	json_decref(json);
	options.growth_per_hour = rate + 1;
	assert_int_equal(gate_of(&turn.now, options), HEAP_GATE_PASS);
	/* the wrong way round */
	struct cp_err err = {""};
	turn.then.input.since = turn.now.snapshot;
	turn.then.input.since_target = &turn.now.target;
	turn.then.input.since_path = "t1";
	assert_int_equal(heap_report_write(&turn.then.input, &options, stdout, &gate, &err),
			 -EINVAL);
	assert_non_null(strstr(err.message, "t1 is later than"));
	release_turn(&turn);
}

/* What was too young in both is no growth, nor what the earlier copy had when it was young. */
static void test_heap_report__young_blocks_of_both_copies_do_not_count(void **state)
{
	(void)state;
	struct turn turn;
	begin_turn(&turn, 0);
	build_heap_alloc(&turn.then.build, 1, 5000, 4900, 1); /* young, and goes */
	build_heap_alloc(&turn.now.build, 1, 10, 4901, 1);    /* the same address, another block */
	build_heap_churn(&turn.now.build, 1, 1, 5000);
	build_heap_alloc(&turn.then.build, 2, 7000, 4950, 1); /* young, and stays */
	build_heap_alloc(&turn.now.build, 2, 7000, 4950, 1);
	build_heap_alloc(&turn.now.build, 2, 800, 7000, 1); /* came, and is old enough */
	build_heap_alloc(&turn.now.build, 2, 90000, 9900, 1);
	finish_turn(&turn);
	const struct heap_report_options options = {.min_age_ns = 10000000000};
	json_t *json = report_json_of(&turn.now, options, NULL);
	json_t *verdict = json_object_get(json, "verdict");
	const double all = json_real_value(json_object_get(verdict, "bytes_per_hour"));
	assert_true(fabs(all - 810.0 / 40 * 3600) < 1);
	json_decref(json);
	release_turn(&turn);
}

/* Blocks of both copies are sampled once: they add nothing to how wide the interval is. */
static void test_heap_report__sampled_differences_have_intervals(void **state)
{
	(void)state;
	struct turn turn;
	begin_turn(&turn, 4096);
	for (int i = 0; i < 20; i++) {
		build_heap_block(&turn.then.build, 1, 4096, 100, 1);
		build_heap_block(&turn.now.build, 1, 4096, 100, 1);
	}
	for (int i = 0; i < 5; i++)
		build_heap_block(&turn.now.build, 1, 4096, (uint32_t)(6000 + i * 500), 1);
	build_heap_counter(&turn.then.build, 0, 1)->allocs = 32 * HEAP_WEIGHT_ONE;
	build_heap_counter(&turn.now.build, 0, 1)->allocs = 40 * HEAP_WEIGHT_ONE;
	finish_turn(&turn);
	const double p = 1 - exp(-1), rate = 5 * 4096 / p / 50 * 3600;
	const double half = 1.96 * sqrt(5 * (1 - p)) / p * 4096 / 50 * 3600;
	struct heap_report_options options = {.fail_on_growth = true, .growth_per_hour = rate + 1};
	enum heap_gate_result gate;
	json_t *json = report_json_of(&turn.now, options, &gate);
	assert_int_equal(gate, HEAP_GATE_UNKNOWN);
	json_t *interval = json_object_get(json_object_get(json, "verdict"), "interval");
	assert_true(fabs(json_real_value(json_array_get(interval, 0)) - (rate - half)) < 1);
	assert_true(fabs(json_real_value(json_array_get(interval, 1)) - (rate + half)) < 1);
	assert_true(json_is_null(json_object_get(json_object_get(json, "totals"), "temporary")));
	json_decref(json);
	options.growth_per_hour = rate + half + 1;
	assert_int_equal(gate_of(&turn.now, options), HEAP_GATE_PASS);
	release_turn(&turn);
}

static void test_heap_report__a_file_with_nothing_in_it_passes_no_gate(void **state)
{
	(void)state;
	struct made made = begin(0);
	finish(&made);
	const struct heap_report_options options = {.fail_on_unfreed = true,
						    .unfreed_bytes = 1 << 30};
	enum heap_gate_result gate;
	json_t *json = report_json_of(&made, options, &gate);
	assert_int_equal(gate, HEAP_GATE_UNKNOWN);
	assert_string_equal(string(json_object_get(json, "verdict"), "kind"), "unknown");
	json_decref(json);
	release(&made);
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

static char *text_of(struct made *made, enum report_format format)
{
	char *text = NULL;
	size_t n = 0;
	enum heap_gate_result gate;
	FILE *out = open_memstream(&text, &n);
	assert_non_null(out);
	const struct heap_report_options options = {
		.format = format, .fail_on_unfreed = true, .width = 140};
	assert_int_equal(heap_report_write(&made->input, &options, out, &gate, NULL), 0);
	fclose(out);
	return text;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void test_heap_report__an_unknown_end_judges_nothing(void **state)
{
	(void)state;
	struct made made;
	make_leaking(&made);
	made.target.state = HEAP_TARGET_KILLED;
	made.target.now_is_guess = true;
	const struct heap_report_options growth = {.fail_on_growth = true, .growth_per_hour = 1};
	const struct heap_report_options old = {.fail_on_unfreed = true, .min_age_ns = 200e9};
	const struct heap_report_options any = {.fail_on_unfreed = true};
	assert_int_equal(gate_of(&made, growth), HEAP_GATE_UNKNOWN);
	assert_int_equal(gate_of(&made, old), HEAP_GATE_UNKNOWN);
	assert_int_equal(gate_of(&made, any), HEAP_GATE_FAIL);
	json_t *json = report_json_of(&made, (struct heap_report_options){0}, NULL);
	json_t *site = json_array_get(json_object_get(json, "sites"), 0);
	assert_string_equal(string(json_object_get(site, "growth"), "verdict"), "unknown");
	json_decref(json);
	char *text = text_of(&made, REPORT_TEXT);
	has(text, "VERDICT not freed: 58.6 KiB");
	has(text, "growth is not judged");
	assert_null(strstr(text, "growing"));
	free(text);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_report__sites_have_their_numbers),
		cmocka_unit_test(test_heap_report__what_grows_comes_first),
		cmocka_unit_test(test_heap_report__ages_and_rules_take_blocks_out),
		cmocka_unit_test(test_heap_report__since_an_earlier_copy),
		cmocka_unit_test(test_heap_report__gates),
		cmocka_unit_test(test_heap_report__unsteady_growth_does_not_pass),
		cmocka_unit_test(test_heap_report__what_an_exit_freed_does_not_pass),
		cmocka_unit_test(test_heap_report__copies_tell_growth_that_ages_do_not),
		cmocka_unit_test(test_heap_report__young_blocks_of_both_copies_do_not_count),
		cmocka_unit_test(test_heap_report__sampled_differences_have_intervals),
		cmocka_unit_test(test_heap_report__a_file_with_nothing_in_it_passes_no_gate),
		cmocka_unit_test(test_heap_report__estimates_have_intervals),
		cmocka_unit_test(test_heap_report__an_unknown_end_judges_nothing),
		cmocka_unit_test(test_heap_report__no_live_sample_is_not_nothing_live),
		cmocka_unit_test(test_heap_report__refused_settings_are_told),
		cmocka_unit_test(test_heap_report__rows_by_other_things),
		cmocka_unit_test(test_heap_report__texts_say_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
