#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/random.h"
#include "heap/heap_growth.h"

#include <math.h>

static const uint64_t second = 1000000000;

static struct heap_births births_of(uint64_t seconds)
{
	return (struct heap_births){.to_ns = seconds * second};
}

static struct heap_growth judge(const struct heap_births *births, bool turnover)
{
	struct heap_growth growth;
	heap_growth_judge(births, turnover, &growth);
	return growth;
}

static void test_heap_growth__a_steady_leak_has_its_rate(void **state)
{
	(void)state;
	struct heap_births births = births_of(100);
	for (uint64_t t = 0; t < 1000; t++)
		heap_births_add(&births, t * second / 10, 100);
	for (int turnover = 0; turnover < 2; turnover++) {
		const struct heap_growth growth = judge(&births, turnover);
		assert_int_equal(growth.verdict, HEAP_GROWTH_GROWING);
		assert_true(fabs(growth.rate - 1000) < 1e-9);
		assert_true(growth.low <= 1000 && growth.high >= 1000);
		assert_int_equal(growth.n_windows, turnover ? 15 : 20);
		assert_int_equal(growth.n_hit, growth.n_windows);
		assert_int_equal(growth.window_ns, 5 * second);
	}
}

/* What the program needs once, at its start, is nothing that grows. */
static void test_heap_growth__what_was_made_once_is_a_plateau(void **state)
{
	(void)state;
	struct heap_births births = births_of(100);
	heap_births_add(&births, 0, 1e9);
	heap_births_add(&births, 3 * second, 1e6);
	assert_int_equal(judge(&births, false).verdict, HEAP_GROWTH_PLATEAU);
	/* a cache that was filled for most of the time, and stands since */
	for (uint64_t t = 0; t < 74; t++)
		heap_births_add(&births, t * second, 1000);
	assert_int_equal(judge(&births, false).verdict, HEAP_GROWTH_PLATEAU);
}

/* The queue of the last ten seconds: all that is live was allocated lately. */
static void test_heap_growth__a_queue_is_not_growing(void **state)
{
	(void)state;
	struct heap_births births = births_of(100);
	for (uint64_t t = 900; t < 1000; t++)
		heap_births_add(&births, t * second / 10, 5000);
	assert_int_equal(judge(&births, true).verdict, HEAP_GROWTH_BURSTY);
}

/* A full cache with random replacement: survivors get fewer with age, all ages occur. */
static void test_heap_growth__a_cache_that_turns_over_is_not_growing(void **state)
{
	(void)state;
	struct heap_births births = births_of(100);
	for (uint64_t t = 0; t < 1000; t++)
		heap_births_add(&births, t * second / 10, 1e6 * exp((double)t / 200));
	assert_int_equal(judge(&births, true).verdict, HEAP_GROWTH_BURSTY);
	/* a leak that only gets faster: nothing is ever freed */
	assert_int_equal(judge(&births, false).verdict, HEAP_GROWTH_GROWING);
}

/* A leak beside the blocks in use: the young ones do not count. */
static void test_heap_growth__a_leak_shows_through_blocks_in_use(void **state)
{
	(void)state;
	struct heap_births births = births_of(100);
	for (uint64_t t = 0; t < 100; t++)
		heap_births_add(&births, t * second, 1000);
	for (uint64_t t = 99; t < 100; t++)
		heap_births_add(&births, t * second, 1e9);
	const struct heap_growth growth = judge(&births, true);
	assert_int_equal(growth.verdict, HEAP_GROWTH_GROWING);
	assert_true(fabs(growth.rate - 1000) < 1e-9);
}

static void test_heap_growth__bursts_are_told_from_growth(void **state)
{
	(void)state;
	struct heap_births births = births_of(100);
	for (uint64_t t = 0; t < 100; t += 10)
		heap_births_add(&births, t * second, 1e6);
	heap_births_add(&births, 99 * second, 1e6);
	const struct heap_growth growth = judge(&births, false);
	assert_int_equal(growth.verdict, HEAP_GROWTH_BURSTY);
	assert_int_equal(growth.n_hit, 11);
}

static void test_heap_growth__short_runs_say_nothing(void **state)
{
	(void)state;
	struct heap_births births = {.to_ns = 1999999999};
	for (uint64_t t = 0; t < 200; t++)
		heap_births_add(&births, t * second / 100, 100);
	const struct heap_growth growth = judge(&births, false);
	assert_int_equal(growth.verdict, HEAP_GROWTH_UNKNOWN);
	assert_true(growth.rate == 0);
	const struct heap_births nothing = {.from_ns = 5, .to_ns = 3};
	assert_int_equal(judge(&nothing, false).verdict, HEAP_GROWTH_UNKNOWN);
}

static void test_heap_growth__births_outside_are_not_counted(void **state)
{
	(void)state;
	struct heap_births births = {.from_ns = 10 * second, .to_ns = 20 * second};
	heap_births_add(&births, 10 * second - 1, 1);
	heap_births_add(&births, 20 * second + 1, 2);
	heap_births_add(&births, 10 * second, 4);
	heap_births_add(&births, 20 * second, 8);
	double sum = 0;
	for (int i = 0; i < HEAP_GROWTH_WINDOWS; i++)
		sum += births.bytes[i];
	assert_true(sum == 12);
	assert_true(births.bytes[0] == 4 && births.bytes[HEAP_GROWTH_WINDOWS - 1] == 8);
}

static double exponential(uint64_t *random)
{
	return -log(((double)(random_next(random) >> 11) + 1) * 0x1p-53);
}

/* Leaks at random moments, as a Poisson process: the interval holds the rate as often as it says.
 */
static void test_heap_growth__the_interval_holds_the_rate(void **state)
{
	(void)state;
	uint64_t random = 4711;
	unsigned held = 0;
	enum { RUNS = 1000, PER_SECOND = 40 };
	for (unsigned run = 0; run < RUNS; run++) {
		struct heap_births births = births_of(100);
		for (double at = exponential(&random) / PER_SECOND; at < 100;
		     at += exponential(&random) / PER_SECOND)
			heap_births_add(&births, (uint64_t)(at * 1e9), 100);
		const struct heap_growth growth = judge(&births, false);
		assert_int_equal(growth.verdict, HEAP_GROWTH_GROWING);
		held += growth.low <= 100 * PER_SECOND && growth.high >= 100 * PER_SECOND;
	}
	/* 95.9 % of 1,000 with a standard deviation of 6.3; ties of whole blocks add a little */
	assert_in_range(held, 935, 990);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_growth__a_steady_leak_has_its_rate),
		cmocka_unit_test(test_heap_growth__what_was_made_once_is_a_plateau),
		cmocka_unit_test(test_heap_growth__a_queue_is_not_growing),
		cmocka_unit_test(test_heap_growth__a_cache_that_turns_over_is_not_growing),
		cmocka_unit_test(test_heap_growth__a_leak_shows_through_blocks_in_use),
		cmocka_unit_test(test_heap_growth__bursts_are_told_from_growth),
		cmocka_unit_test(test_heap_growth__short_runs_say_nothing),
		cmocka_unit_test(test_heap_growth__births_outside_are_not_counted),
		cmocka_unit_test(test_heap_growth__the_interval_holds_the_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
