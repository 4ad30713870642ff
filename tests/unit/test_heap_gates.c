#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/heap_report_made.h"

#include <errno.h>
#include <math.h>

static void test_heap_gates__three_answers(void **state)
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
static void test_heap_gates__unsteady_growth_does_not_pass(void **state)
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
static void test_heap_gates__what_an_exit_freed_does_not_pass(void **state)
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
static void test_heap_gates__copies_tell_growth_that_ages_do_not(void **state)
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

/* What was too young in both is no growth; what has become old enough in between is. */
static void test_heap_gates__young_blocks_of_both_copies_do_not_count(void **state)
{
	(void)state;
	struct turn turn;
	begin_turn(&turn, 0);
	build_heap_alloc(&turn.then.build, 1, 5000, 4900, 1); /* young, and goes */
	build_heap_alloc(&turn.now.build, 1, 10, 4901, 1);    /* the same address, another block */
	build_heap_churn(&turn.now.build, 1, 1, 5000);
	build_heap_alloc(&turn.then.build, 2, 7000, 4950, 1); /* young, and stays: is old now */
	build_heap_alloc(&turn.now.build, 2, 7000, 4950, 1);
	build_heap_alloc(&turn.now.build, 2, 800, 7000, 1); /* came, and is old enough */
	build_heap_alloc(&turn.now.build, 2, 90000, 9900, 1);
	finish_turn(&turn);
	const struct heap_report_options options = {.min_age_ns = 10000000000};
	json_t *json = report_json_of(&turn.now, options, NULL);
	json_t *verdict = json_object_get(json, "verdict");
	const double all = json_real_value(json_object_get(verdict, "bytes_per_hour"));
	assert_true(fabs(all - 7810.0 / 50 * 3600) < 1);
	json_decref(json);
	release_turn(&turn);
}

/* Blocks of both copies are sampled once: they add nothing to how wide the interval is. */
static void test_heap_gates__sampled_differences_have_intervals(void **state)
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

static void test_heap_gates__a_file_with_nothing_in_it_passes_no_gate(void **state)
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

static void test_heap_gates__an_unknown_end_judges_nothing(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_gates__three_answers),
		cmocka_unit_test(test_heap_gates__unsteady_growth_does_not_pass),
		cmocka_unit_test(test_heap_gates__what_an_exit_freed_does_not_pass),
		cmocka_unit_test(test_heap_gates__copies_tell_growth_that_ages_do_not),
		cmocka_unit_test(test_heap_gates__young_blocks_of_both_copies_do_not_count),
		cmocka_unit_test(test_heap_gates__sampled_differences_have_intervals),
		cmocka_unit_test(test_heap_gates__a_file_with_nothing_in_it_passes_no_gate),
		cmocka_unit_test(test_heap_gates__an_unknown_end_judges_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
