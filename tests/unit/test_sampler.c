#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>

#include "heap_shim/sampler.h"

/* Against libm, which the shim does without. */
static void test_sampler__weights_are_the_inverse_chance(void **state)
{
	(void)state;
	const uint64_t every[] = {1, 100, 4096, 524288, 1 << 30};
	const uint64_t sizes[] = {1, 8, 100, 4096, 100000, 524288, 1 << 24, UINT64_C(1) << 36};
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned j = 0; j < 8; j++) {
			struct count count;
			const double p = -expm1(-(double)sizes[j] / (double)every[i]);
			sampler_weigh(sizes[j], every[i], &count);
			assert_true(fabs((double)count.blocks - 256 / p) <= 0.5 + 256 / p * 1e-13);
			assert_true(fabs((double)count.bytes - (double)sizes[j] / p) <=
				    0.5 + (double)sizes[j] / p * 1e-13);
			const double variance = (1 - p) / (p * p);
			assert_true(fabs(count.blocks_variance - variance) <=
				    variance * 1e-9 + 1e-12);
		}
	}
}

static void test_sampler__an_empty_block_has_a_weight(void **state)
{
	(void)state;
	struct count count;
	sampler_weigh(0, 1000, &count);
	assert_true(count.blocks > 999 * 256 && count.blocks < 1002 * 256);
	assert_int_equal(count.bytes, 0);
}

/* Mean and spread of the distances, and their distribution at its quartiles. */
static void test_sampler__distances_are_exponential(void **state)
{
	(void)state;
	enum { N = 200000, EVERY = 10000 };
	uint64_t random = sampler_seed(7, 0);
	double sum = 0, squares = 0;
	unsigned below[3] = {0};
	const double quartiles[] = {0.2876820724 * EVERY, 0.6931471806 * EVERY,
				    1.3862943611 * EVERY};
	for (int i = 0; i < N; i++) {
		const double distance = (double)sampler_distance(&random, EVERY);
		assert_true(distance >= 0);
		sum += distance;
		squares += distance * distance;
		for (unsigned q = 0; q < 3; q++)
			below[q] += distance < quartiles[q];
	}
	const double mean = sum / N;
	const double deviation = sqrt(squares / N - mean * mean);
	assert_true(fabs(mean / EVERY - 1) < 5 / sqrt(N));
	assert_true(fabs(deviation / EVERY - 1) < 10 / sqrt(N));
	for (unsigned q = 0; q < 3; q++)
		assert_true(fabs((double)below[q] / N - 0.25 * (q + 1)) < 5 * 0.5 / sqrt(N));
}

static void test_sampler__threads_and_seeds_differ(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		for (uint64_t thread = 0; thread < 50; thread++) {
			assert_int_not_equal(sampler_seed(seed, thread), 0);
			assert_true(thread == 0 ||
				    sampler_seed(seed, thread) != sampler_seed(seed, thread - 1));
			assert_true(seed == 0 ||
				    sampler_seed(seed, thread) != sampler_seed(seed - 1, thread));
		}
	}
}

static struct sample_filter filter;

static void *churn(void *argument)
{
	const uint64_t base = (uint64_t)(uintptr_t)argument;
	for (uint64_t i = 0; i < 20000; i++) {
		sample_filter_add(&filter, base + i % 64 * 16);
		sample_filter_remove(&filter, base + i % 64 * 16);
	}
	return NULL;
}

static void test_sampler__the_filter_never_denies_a_recorded_block(void **state)
{
	(void)state;
	pthread_t threads[4];
	for (uint64_t i = 0; i < 1000; i++)
		sample_filter_add(&filter, 0x5000 + i * 16);
	for (uint64_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)(0x5000 + i * 64));
	for (uint64_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(sample_filter_maybe(&filter, 0x5000 + i * 16));
	for (uint64_t i = 0; i < 1000; i++)
		sample_filter_remove(&filter, 0x5000 + i * 16);
	for (uint64_t i = 0; i < 1 << SAMPLER_FILTER_LOG2; i++)
		assert_int_equal(filter.counts[i], 0);
	for (uint64_t i = 0; i < 1 << SAMPLER_ROUGH_LOG2; i++)
		assert_int_equal(filter.rough[i], 0);
}

/* More blocks of one hash than a count can hold: from then on every free is looked up. */
static void test_sampler__the_filter_saturates(void **state)
{
	(void)state;
	static struct sample_filter full;
	for (int i = 0; i < 300; i++)
		sample_filter_add(&full, 0x1000);
	for (int i = 0; i < 300; i++)
		sample_filter_remove(&full, 0x1000);
	assert_true(sample_filter_maybe(&full, 0x1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sampler__weights_are_the_inverse_chance),
		cmocka_unit_test(test_sampler__an_empty_block_has_a_weight),
		cmocka_unit_test(test_sampler__distances_are_exponential),
		cmocka_unit_test(test_sampler__threads_and_seeds_differ),
		cmocka_unit_test(test_sampler__the_filter_never_denies_a_recorded_block),
		cmocka_unit_test(test_sampler__the_filter_saturates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
