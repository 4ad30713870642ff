#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/overhead.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static const struct overhead_limits LIMITS = {
	.max_share = 0.01,
	.max_pause_ns = 200 * US,
	.n_cpus = 2,
	.interval_ns = MS,
};

static void test_overhead__percentiles_of_known_pauses(void **state)
{
	(void)state;
	struct overhead overhead;
	overhead_init(&overhead, LIMITS, 0, 0);
	assert_int_equal(pauses_percentile_ns(&overhead.pauses, 50), 0);
	/* 1 us to 1000 us, each once: the n-th percentile is n * 10 us */
	for (uint64_t us = 1; us <= 1000; us++)
		overhead_add_pause(&overhead, us * US);
	const struct pauses *pauses = &overhead.pauses;
	assert_int_equal(pauses->n, 1000);
	assert_int_equal(pauses->total_ns, UINT64_C(500500) * US);
	assert_int_equal(pauses->max_ns, 1000 * US);
	assert_int_equal(pauses->n_beyond, 800);
	for (unsigned percent = 1; percent <= 100; percent++) {
		const uint64_t told = pauses_percentile_ns(pauses, percent);
		const uint64_t right = UINT64_C(10) * percent * US;
		assert_in_range(told, right, right + right / 16 + 1);
	}
}

static void test_overhead__the_longest_and_the_shortest_pause(void **state)
{
	(void)state;
	struct overhead overhead;
	overhead_init(&overhead, LIMITS, 0, 0);
	overhead_add_pause(&overhead, 0);
	assert_int_equal(pauses_percentile_ns(&overhead.pauses, 100), 0);
	overhead_add_pause(&overhead, UINT64_MAX / 4);
	assert_true(pauses_percentile_ns(&overhead.pauses, 100) == UINT64_MAX / 4);
	assert_int_equal(pauses_percentile_ns(&overhead.pauses, 50), 0);
}

/* Rounds of the given cost until the end. Return: how many there were. */
static unsigned simulate(struct overhead *overhead, uint64_t cpu_ns_each, uint64_t pause_ns_each,
			 uint64_t seconds, uint64_t *out_cpu_ns)
{
	unsigned n = 0;
	uint64_t cpu_ns = 0;
	for (uint64_t now_ns = 0; now_ns < seconds * CLOCK_NS_PER_S; n++) {
		cpu_ns += cpu_ns_each;
		if (pause_ns_each)
			overhead_add_pause(overhead, pause_ns_each);
		/* one thread that runs all the time */
		now_ns += overhead_settle(overhead, now_ns, cpu_ns, now_ns);
	}
	*out_cpu_ns = cpu_ns;
	return n;
}

static void test_overhead__cheap_rounds_come_as_asked_for(void **state)
{
	(void)state;
	struct overhead overhead;
	uint64_t cpu_ns;
	overhead_init(&overhead, LIMITS, 0, 0);
	/* 10 us each ms is 1 % of a CPU, half of what two of them allow */
	assert_int_equal(simulate(&overhead, 10 * US, 5 * US, 10, &cpu_ns), 10000);
}

static void test_overhead__own_cpu_time_stays_inside(void **state)
{
	(void)state;
	struct overhead overhead;
	uint64_t cpu_ns;
	overhead_init(&overhead, LIMITS, 0, 0);
	/* 100 us each ms would be 10 % of a CPU; 1 % of two are 20 ms a second */
	const unsigned n = simulate(&overhead, 100 * US, 0, 100, &cpu_ns);
	assert_in_range(cpu_ns, 1900 * MS, 2030 * MS);
	assert_in_range(n, 19000, 20300);
}

static void test_overhead__pauses_stay_inside(void **state)
{
	(void)state;
	struct overhead overhead;
	uint64_t cpu_ns;
	overhead_init(&overhead, LIMITS, 0, 0);
	/* 50 us each ms would be 5 % of the thread's time */
	simulate(&overhead, 0, 50 * US, 100, &cpu_ns);
	assert_in_range(overhead.pauses.total_ns, 950 * MS, 1015 * MS);
}

static void test_overhead__a_costly_beginning_slows_down_and_is_paid_back(void **state)
{
	(void)state;
	struct overhead overhead;
	uint64_t at_first, cpu_ns = 100 * MS; /* 5 s worth */
	overhead_init(&overhead, LIMITS, 0, 0);
	at_first = overhead_settle(&overhead, MS, cpu_ns, MS);
	assert_in_range(at_first, 20 * MS, 22 * MS);
	/* the longer nothing more is used, the nearer it comes to what was asked for */
	assert_in_range(overhead_settle(&overhead, 3000 * MS, cpu_ns, MS), 8 * MS, 10 * MS);
	assert_int_equal(overhead_settle(&overhead, 6000 * MS, cpu_ns, MS), MS);
}

static void test_overhead__without_a_limit_nothing_slows_down(void **state)
{
	(void)state;
	struct overhead overhead;
	struct overhead_limits limits = LIMITS;
	uint64_t cpu_ns;
	limits.max_share = 1;
	overhead_init(&overhead, limits, 0, 0);
	assert_int_equal(simulate(&overhead, 2 * MS, 900 * US, 10, &cpu_ns), 10000);
}

static void test_overhead__long_pauses_ask_for_shorter_copies_and_fewer_samples(void **state)
{
	(void)state;
	struct overhead overhead;
	struct overhead_limits limits = LIMITS;
	limits.max_share = 0.9;
	overhead_init(&overhead, limits, 0, 0);
	for (int i = 0; i < 198; i++)
		overhead_add_pause(&overhead, 10 * US);
	for (int i = 0; i < 2; i++) /* one in a hundred may be */
		overhead_add_pause(&overhead, 300 * US);
	assert_false(overhead_wants_smaller(&overhead));
	assert_int_equal(overhead_settle(&overhead, 1000 * MS, 0, 1000 * MS), MS);
	for (int i = 0; i < 197; i++)
		overhead_add_pause(&overhead, 10 * US);
	for (int i = 0; i < 3; i++)
		overhead_add_pause(&overhead, 300 * US);
	assert_true(overhead_wants_smaller(&overhead));
	assert_false(overhead_wants_smaller(&overhead)); /* once */
	/* by the end of this the debt is none */
	assert_int_equal(overhead_settle(&overhead, 60000 * MS, 0, 60000 * MS), MS * 3 / 2);
	/* and back again */
	for (int i = 0; i < 400; i++)
		overhead_add_pause(&overhead, 10 * US);
	assert_int_equal(overhead_settle(&overhead, 61000 * MS, 0, 61000 * MS), MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overhead__percentiles_of_known_pauses),
		cmocka_unit_test(test_overhead__the_longest_and_the_shortest_pause),
		cmocka_unit_test(test_overhead__cheap_rounds_come_as_asked_for),
		cmocka_unit_test(test_overhead__own_cpu_time_stays_inside),
		cmocka_unit_test(test_overhead__pauses_stay_inside),
		cmocka_unit_test(test_overhead__a_costly_beginning_slows_down_and_is_paid_back),
		cmocka_unit_test(test_overhead__without_a_limit_nothing_slows_down),
		cmocka_unit_test(
			test_overhead__long_pauses_ask_for_shorter_copies_and_fewer_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
