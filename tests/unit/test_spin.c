#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#include "heap_shim/spin.h"

static void *nothing(void *argument)
{
	return argument;
}

/* With one thread no lock is taken at all. */
static void have_threads(void)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(spin_single_threaded());
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A holder that is gone costs one waiter a second, and nobody else any more. */
static void test_spin__is_given_up_once_for_all(void **state)
{
	(void)state;
	have_threads();
	struct spin lock = {0};
	assert_true(spin_take(&lock));
	assert_false(spin_try(&lock));
	double start = now_s();
	assert_false(spin_take(&lock));
	assert_true(now_s() - start > 0.5);
	start = now_s();
	for (int i = 0; i < 100; i++)
		assert_false(spin_take(&lock));
	assert_true(now_s() - start < 0.5);
	assert_false(spin_try(&lock));
	/* it was not gone after all */
	spin_release(&lock);
	assert_true(spin_take(&lock));
	start = now_s();
	assert_false(spin_take(&lock));
	assert_true(now_s() - start > 0.5);
	spin_release(&lock);
	assert_true(spin_try(&lock));
	spin_release(&lock);
}

enum { THREADS = 4, ROUNDS = 50000 };

static struct spin shared;
static uint64_t sum; /* guarded by it */

static void *add(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (!spin_take(&shared))
			return NULL;
		sum++;
		spin_release(&shared);
	}
	return argument;
}

static void test_spin__excludes(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add, &sum), 0);
	for (int i = 0; i < THREADS; i++) {
		void *done = NULL;
		pthread_join(threads[i], &done);
		assert_non_null(done);
	}
	assert_int_equal(sum, THREADS * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spin__is_given_up_once_for_all),
		cmocka_unit_test(test_spin__excludes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
