#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "heap_shim/counters.h"

enum { REPLICAS = 4, SITES = 64, THREADS = 6, ROUNDS = 20000, FOLD = 4096 };

struct fixture {
	struct heap_header header;
	struct counters counters;
	struct heap_replica *replicas;
	void *lines;
};

static struct fixture *make(uint32_t counter_bytes)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->header.n_replicas = REPLICAS;
	f->header.max_sites = SITES;
	f->header.counter_bytes = counter_bytes;
	f->header.fold_bytes = FOLD;
	f->replicas = aligned_alloc(4096, 8192);
	f->lines = calloc(REPLICAS * SITES, counter_bytes);
	assert_true(f->replicas && f->lines);
	for (size_t i = 0; i < 8192; i++)
		((char *)f->replicas)[i] = 0;
	assert_true(counters_init(&f->counters, &f->header, f->replicas, f->lines, true));
	return f;
}

static void destroy(struct fixture *f)
{
	free(f->replicas);
	free(f->lines);
	free(f);
}

static void alloc(struct fixture *f, uint32_t replica, uint32_t site, uint64_t bytes, uint64_t now)
{
	struct heap_counter *counter = counters_at(&f->counters, replica, site);
	const struct count count = {.blocks = 1, .bytes = bytes};
	assert_non_null(counter);
	if (f->header.counter_bytes == sizeof(*counter))
		counters_add_alloc(&f->counters, replica, counter, bytes, now);
	else
		counters_add_sampled_alloc(&f->counters, replica, counter, &count, bytes, now);
}

static void release(struct fixture *f, uint32_t replica, uint32_t site, uint64_t bytes)
{
	struct heap_counter *counter = counters_at(&f->counters, replica, site);
	const struct count count = {.blocks = 1, .bytes = bytes};
	if (f->header.counter_bytes == sizeof(*counter))
		counters_add_free(&f->counters, replica, counter, bytes, false);
	else
		counters_add_sampled_free(&f->counters, replica, counter, &count, false);
}

static int64_t peak_of(struct fixture *f, uint32_t site)
{
	int64_t bytes = 0;
	for (uint32_t i = 0; i < REPLICAS; i++) {
		const struct heap_counter *c = counters_at(&f->counters, i, site);
		bytes += c->epoch == f->header.peak_epoch
				 ? c->peak_bytes
				 : (int64_t)(c->alloc_bytes - c->free_bytes);
	}
	return bytes;
}

/* What was live where when the sum was highest: worked out by hand. */
static void test_counters__the_peak_is_credited_to_its_sites(void **state)
{
	(void)state;
	struct fixture *f = make(sizeof(struct heap_counter));
	const uint32_t r = counters_claim(&f->counters, 1);
	alloc(f, r, 1, 100, 10);
	alloc(f, r, 2, 50, 20); /* 150 */
	release(f, r, 1, 100);  /* 50 */
	alloc(f, r, 3, 90, 30); /* 140: no peak */
	assert_int_equal(f->header.peak_bytes, 150);
	assert_int_equal(f->header.peak_monotonic_ns, 20);
	assert_int_equal(peak_of(f, 1), 100);
	assert_int_equal(peak_of(f, 2), 50);
	assert_int_equal(peak_of(f, 3), 0);
	alloc(f, r, 3, 30, 40); /* 170 */
	release(f, r, 2, 50);
	release(f, r, 3, 90);
	assert_int_equal(f->header.peak_bytes, 170);
	assert_int_equal(f->header.peak_monotonic_ns, 40);
	assert_int_equal(peak_of(f, 1), 0);
	assert_int_equal(peak_of(f, 2), 50);
	assert_int_equal(peak_of(f, 3), 120);
	assert_int_equal(f->header.live_bytes, 30);
	destroy(f);
}

static void test_counters__replicas_are_handed_out_and_come_back(void **state)
{
	(void)state;
	struct fixture *f = make(sizeof(struct heap_counter));
	for (uint32_t i = 0; i < REPLICAS - 1; i++)
		assert_int_equal(counters_claim(&f->counters, 100 + i), i);
	assert_int_equal(counters_claim(&f->counters, 200), REPLICAS - 1);
	assert_int_equal(counters_claim(&f->counters, 201), REPLICAS - 1);
	assert_int_equal(f->header.threads_beyond_replicas, 2);
	assert_int_equal(f->header.max_threads, REPLICAS - 1);
	counters_release(&f->counters, 1);
	counters_release(&f->counters, REPLICAS - 1);
	assert_int_equal(counters_claim(&f->counters, 300), 1);
	assert_int_equal(f->replicas[1].n_owners, 2);
	assert_int_equal(f->replicas[1].owner_tid, 300);
	destroy(f);
}

static void test_counters__sizes_have_classes_by_their_bits(void **state)
{
	(void)state;
	struct fixture *f = make(sizeof(struct heap_counter));
	const uint32_t r = counters_claim(&f->counters, 1);
	const uint64_t sizes[] = {0, 1, 2, 3, 4, 1023, 1024, UINT64_C(1) << 40};
	const unsigned classes[] = {0, 1, 2, 2, 3, 10, 11, 41};
	for (unsigned i = 0; i < 8; i++) {
		const uint64_t before = f->replicas[r].size_allocs[classes[i]];
		alloc(f, r, 1, sizes[i], 1);
		assert_int_equal(f->replicas[r].size_allocs[classes[i]], before + 1);
	}
	destroy(f);
}

struct worker {
	struct fixture *f;
	uint32_t number;
};

static void *work(void *argument)
{
	const struct worker *worker = argument;
	const uint32_t r = counters_claim(&worker->f->counters, 100 + worker->number);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		alloc(worker->f, r, i % SITES, 16, i);
		if (i % 4)
			release(worker->f, r, i % SITES, 16);
	}
	counters_release(&worker->f->counters, r);
	return NULL;
}

/* Six threads on three replicas of their own and a shared one: nothing is lost. */
static void test_counters__threads_add_up(void **state)
{
	(void)state;
	struct fixture *f = make(sizeof(struct heap_counter_sampled));
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){f, i};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	uint64_t allocs = 0, frees = 0, raw = 0;
	for (uint32_t r = 0; r < REPLICAS; r++) {
		for (uint32_t site = 0; site < SITES; site++) {
			const struct heap_counter *c = counters_at(&f->counters, r, site);
			allocs += c->allocs;
			frees += c->frees;
			raw += ((const struct heap_counter_sampled *)c)->raw_allocs;
		}
	}
	assert_int_equal(allocs, THREADS * ROUNDS);
	assert_int_equal(raw, THREADS * ROUNDS);
	assert_int_equal(frees, THREADS * (ROUNDS - ROUNDS / 4));
	/* what is not folded yet is less than a fold of each replica */
	const int64_t live = (int64_t)(allocs - frees) * 16;
	const int64_t folded = (int64_t)f->header.live_bytes;
	assert_true(llabs(live - folded) < REPLICAS * FOLD);
	assert_true((int64_t)f->header.peak_bytes > live - REPLICAS * FOLD);
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters__the_peak_is_credited_to_its_sites),
		cmocka_unit_test(test_counters__replicas_are_handed_out_and_come_back),
		cmocka_unit_test(test_counters__sizes_have_classes_by_their_bits),
		cmocka_unit_test(test_counters__threads_add_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
