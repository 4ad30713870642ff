#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/thread_rounds.h"

#include <math.h>

enum { THREADS = 50, MS = 1000000 };

static struct thread_rounds rounds;
static uint32_t order[THREADS];
static uint64_t other_cpu_ns; /* between two rounds */

static int setup(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < THREADS; i++)
		order[i] = i;
	other_cpu_ns = 0;
	thread_rounds_init(&rounds, 10 * MS, 0.01, 4711, 0);
	return 0;
}

/* Rounds of looks that take @cost_ns each, for @until_ns. Return: CPU time used. */
static double run(uint64_t until_ns, uint64_t cost_ns, unsigned *looks)
{
	double used_ns = 0;
	while (rounds.next_ns < until_ns) {
		const uint64_t now_ns = rounds.next_ns;
		thread_rounds_charge(&rounds, other_cpu_ns);
		const size_t k = thread_rounds_begin(&rounds, THREADS, now_ns);
		for (size_t i = 0; i < k; i++)
			looks[thread_rounds_pick(&rounds, order, i, THREADS)]++;
		used_ns += (double)(k * cost_ns);
		thread_rounds_end(&rounds, k, k * cost_ns, now_ns + k * cost_ns);
	}
	return used_ns;
}

static void test_thread_rounds__all_threads_while_that_is_paid_for(void **state)
{
	(void)state;
	unsigned looks[THREADS] = {0};
	/* 50 looks of 1 us in 10 ms: half of the share */
	run(UINT64_C(100000) * MS, 1000, looks);
	unsigned least = looks[0], most = looks[0];
	for (size_t i = 0; i < THREADS; i++) {
		least = looks[i] < least ? looks[i] : least;
		most = looks[i] > most ? looks[i] : most;
	}
	/* of 10,000 rounds all but the first few, before the cost was known */
	assert_true(least >= 9500);
	assert_true(most - least <= 50);
}

/* Beyond the share: it is kept, and every thread is as likely as the others. */
static void test_thread_rounds__a_random_subset_beyond_that(void **state)
{
	(void)state;
	unsigned looks[THREADS] = {0}, sum = 0;
	const uint64_t duration_ns = UINT64_C(1000000) * MS;
	const double used_ns = run(duration_ns, 10000, looks);
	assert_true(used_ns <= 0.0101 * (double)duration_ns);
	assert_true(used_ns >= 0.009 * (double)duration_ns);
	for (size_t i = 0; i < THREADS; i++)
		sum += looks[i];
	const double expected = (double)sum / THREADS;
	for (size_t i = 0; i < THREADS; i++)
		assert_true(fabs(looks[i] - expected) < 4.5 * sqrt(expected));
	assert_int_equal(rounds.n_looks, sum);
	assert_int_equal(rounds.n_passed_over, rounds.n_rounds * THREADS - sum);
}

/* The share is for all that the recorder does; a quarter is left for looks. */
static void test_thread_rounds__leave_room_for_other_work(void **state)
{
	(void)state;
	unsigned looks[THREADS] = {0};
	const uint64_t duration_ns = UINT64_C(100000) * MS;
	other_cpu_ns = 40000; /* of 100,000 that may be used in 10 ms */
	const double used_ns = run(duration_ns, 10000, looks);
	assert_true(used_ns > 0.0055 * (double)duration_ns &&
		    used_ns < 0.0065 * (double)duration_ns);
	other_cpu_ns = MS;
	const double least_ns = run(2 * duration_ns, 10000, looks);
	assert_true(least_ns > 0.0023 * (double)duration_ns &&
		    least_ns < 0.0027 * (double)duration_ns);
}

/* New threads are looked at once, whatever the share. */
static void test_thread_rounds__a_first_look_is_granted(void **state)
{
	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		thread_rounds_grant(&rounds);
	/* 20 us each are expected at first */
	assert_int_equal(thread_rounds_begin(&rounds, THREADS, 0), THREADS);
	thread_rounds_end(&rounds, THREADS, THREADS * 200000, THREADS * 200000);
	assert_true(thread_rounds_begin(&rounds, THREADS, THREADS * 200000) <= 2);
	/* that has an end: a program that makes threads all the time is looked at for its share */
	for (size_t i = 0; i < 100000; i++)
		thread_rounds_grant(&rounds);
	assert_true(rounds.granted_ns <= (double)THREAD_ROUNDS_GRANT_NS);
}

/* A look that takes far longer (unwind tables are compiled) is granted: rounds go on at once. */
static void test_thread_rounds__a_costly_beginning_silences_nothing(void **state)
{
	(void)state;
	thread_rounds_end(&rounds, 1, 50 * MS, 50 * MS);
	rounds.look_cost_ns = 1000;
	assert_int_equal(thread_rounds_begin(&rounds, THREADS, 60 * MS), THREADS);
}

/* But no more than all grants together. */
static void test_thread_rounds__what_was_too_much_is_paid_back(void **state)
{
	(void)state;
	thread_rounds_end(&rounds, 1, 50 * MS + THREAD_ROUNDS_GRANT_NS, 50 * MS);
	for (uint64_t ms = 100; ms < 4900; ms += 100)
		assert_int_equal(thread_rounds_begin(&rounds, THREADS, ms * MS), 0);
	rounds.look_cost_ns = 1000;
	assert_true(thread_rounds_begin(&rounds, THREADS, UINT64_C(6000) * MS) > 0);
}

static void test_thread_rounds__are_in_step_with_nothing(void **state)
{
	(void)state;
	uint64_t at_ns = rounds.next_ns, gaps = 0, sum_ns = 0;
	unsigned phases[10] = {0};
	for (; gaps < 10000; gaps++) {
		thread_rounds_end(&rounds, 0, 0, at_ns);
		const uint64_t gap_ns = rounds.next_ns - at_ns;
		assert_in_range(gap_ns, 5 * MS, 15 * MS);
		sum_ns += gap_ns;
		at_ns = rounds.next_ns;
		phases[at_ns / MS % 10]++;
	}
	assert_in_range(sum_ns / gaps, 10 * MS - MS / 5, 10 * MS + MS / 5);
	for (size_t i = 0; i < 10; i++) /* of a timer of 10 ms */
		assert_in_range(phases[i], 1000 - 150, 1000 + 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_thread_rounds__all_threads_while_that_is_paid_for,
				       setup),
		cmocka_unit_test_setup(test_thread_rounds__a_random_subset_beyond_that, setup),
		cmocka_unit_test_setup(test_thread_rounds__leave_room_for_other_work, setup),
		cmocka_unit_test_setup(test_thread_rounds__a_first_look_is_granted, setup),
		cmocka_unit_test_setup(test_thread_rounds__a_costly_beginning_silences_nothing,
				       setup),
		cmocka_unit_test_setup(test_thread_rounds__what_was_too_much_is_paid_back, setup),
		cmocka_unit_test_setup(test_thread_rounds__are_in_step_with_nothing, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
