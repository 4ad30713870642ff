#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/dump_size.h"
#include "capture/perf_attr.h"

#define MS 1000000ULL
#define RING_BYTES ((size_t)4 << 20)

enum { KB_1, KB_2, KB_4, KB_8, KB_16, KB_32, KB_64 }; /* rungs */

/* A recording: threads whose stacks take so much, looked at every 100 ms. */
struct run {
	struct dump_size size;
	struct dump_use use;
	uint64_t now_ns;
	size_t ring_bytes, fill_bytes;
	unsigned samples_per_look;
};

static void begin(struct run *run, unsigned rate_hz, size_t ring_bytes)
{
	*run = (struct run){
		.now_ns = 1000 * MS,
		.ring_bytes = ring_bytes,
		.fill_bytes = ring_bytes / 4,
		.samples_per_look = rate_hz / 5, /* two threads */
	};
	dump_size_init(&run->size, dump_limits_for(rate_hz, ring_bytes));
}

static bool look(struct run *run, uint64_t lost)
{
	const struct dump_look look = {
		.use = &run->use,
		.lost = lost,
		.fill_bytes = run->fill_bytes,
		.ring_bytes = run->ring_bytes,
		.now_ns = run->now_ns,
	};
	run->now_ns += 100 * MS;
	return dump_size_look(&run->size, &look);
}

/* For @ms, every stack takes @bytes, and one in @large_every takes @large_bytes. */
static void pass(struct run *run, unsigned ms, uint64_t bytes, unsigned large_every,
		 uint64_t large_bytes)
{
	for (; ms >= 100; ms -= 100) {
		for (unsigned i = 0; i < run->samples_per_look; i++) {
			uint64_t n = large_every && run->use.samples % large_every == 0
					     ? large_bytes
					     : bytes;
			bool cut = n > dump_rung_bytes(run->size.rung);
			dump_use_add(&run->use, cut ? dump_rung_bytes(run->size.rung) : n, cut);
		}
		look(run, 0);
	}
}

static void test_dump_size__rungs_are_powers_of_two_up_to_what_the_kernel_takes(void **state)
{
	(void)state;
	assert_int_equal(dump_rung_bytes(KB_1), 1024);
	assert_int_equal(dump_rung_bytes(KB_8), 8192);
	assert_int_equal(dump_rung_bytes(KB_64), PERF_DUMP_MAX);
	assert_int_equal(dump_rung_of(0), KB_1);
	assert_int_equal(dump_rung_of(1024), KB_1);
	assert_int_equal(dump_rung_of(1025), KB_2);
	assert_int_equal(dump_rung_of(PERF_DUMP_MAX), KB_64);
	assert_int_equal(dump_rung_of(PERF_DUMP_MAX + 1), DUMP_RUNG_NONE);
	for (unsigned rung = 0; rung < DUMP_RUNGS; rung++)
		assert_int_equal(dump_rung_bytes(rung) % 8, 0);
}

static void test_dump_size__limits_suit_rate_and_ring(void **state)
{
	(void)state;
	assert_int_equal(dump_limits_for(99, RING_BYTES).start, KB_32);
	assert_int_equal(dump_limits_for(999, RING_BYTES).start, KB_8);
	assert_int_equal(dump_limits_for(4999, RING_BYTES).start, KB_4);
	assert_int_equal(dump_limits_for(999, RING_BYTES).most, KB_64);
	assert_int_equal(dump_limits_for(999, 512 << 10).start, KB_8);
	assert_int_equal(dump_limits_for(999, 512 << 10).most, KB_16);
	for (size_t ring = 64 << 10; ring <= RING_BYTES; ring *= 2) {
		for (unsigned rate = 1; rate <= 50000; rate += 997) {
			struct dump_limits limits = dump_limits_for(rate, ring);
			assert_true(limits.least <= limits.start && limits.start <= limits.most);
			assert_true((size_t)dump_rung_bytes(limits.start) * 60 <= ring);
			assert_true((size_t)dump_rung_bytes(limits.most) * 30 <= ring);
		}
	}
}

static void test_dump_size__grows_until_the_stacks_fit(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	pass(&run, 1000, 5000, 0, 0);
	assert_int_equal(run.size.rung, KB_8);
	pass(&run, 1500, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_64);
	pass(&run, 1000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_64);
	assert_int_equal(run.size.n_changes, 3);
	assert_int_equal(run.size.smallest, KB_8);
	assert_int_equal(run.size.largest, KB_64);
}

static void test_dump_size__a_small_share_of_cut_stacks_is_not_worth_it(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	pass(&run, 20000, 5000, 400, 40000); /* 0.25 % */
	assert_int_equal(run.size.n_changes, 0);
	pass(&run, 20000, 5000, 50, 40000); /* 2 % */
	assert_int_equal(run.size.rung, KB_64);
}

static void test_dump_size__few_samples_are_judged_too(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 99, RING_BYTES);
	pass(&run, 5000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_64);
}

static void test_dump_size__shrinks_when_half_would_do_for_a_while(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	pass(&run, 2000, 3000, 0, 0);
	assert_int_equal(run.size.rung, KB_8);
	pass(&run, 4000, 3000, 0, 0);
	assert_int_equal(run.size.rung, KB_4);
	pass(&run, 60000, 500, 0, 0);
	assert_int_equal(run.size.rung, KB_4); /* less is not worth a thing at this rate */
	assert_int_equal(run.size.n_changes, 1);
	begin(&run, 4999, RING_BYTES);
	pass(&run, 60000, 500, 0, 0);
	assert_int_equal(run.size.rung, KB_2);
}

static void test_dump_size__does_not_swing(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	/* two minutes of ten seconds each way */
	for (int i = 0; i < 6; i++) {
		pass(&run, 10000, 3000, 0, 0);
		pass(&run, 10000, 6000, 0, 0);
	}
	assert_in_range(run.size.n_changes, 2, 6);
	assert_int_equal(run.size.rung, KB_8);
}

static void test_dump_size__gives_up_on_stacks_deeper_than_any_dump(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	pass(&run, 3000, 1 << 20, 0, 0);
	assert_int_equal(run.size.rung, KB_8);
	assert_int_equal(run.size.largest, KB_64);
	assert_int_equal(run.size.n_changes, 4);
	pass(&run, 55000, 1 << 20, 0, 0);
	assert_int_equal(run.size.n_changes, 4);
	pass(&run, 10000, 1 << 20, 0, 0); /* tried again a minute later */
	assert_int_equal(run.size.n_changes, 8);
	pass(&run, 100000, 1 << 20, 0, 0); /* and then two */
	assert_int_equal(run.size.n_changes, 8);
}

static void test_dump_size__shrinks_at_once_when_records_are_lost(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	pass(&run, 3000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_64);
	assert_true(look(&run, 17));
	assert_int_equal(run.size.rung, KB_16);
	assert_int_equal(run.size.n_pressed, 1);
	pass(&run, 9000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_16); /* not so soon */
	pass(&run, 3000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_64);
	for (int i = 0; i < 10; i++)
		look(&run, 1);
	assert_int_equal(run.size.rung, KB_1);
	assert_false(look(&run, 1));
	pass(&run, 15000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_1); /* the second time it waits for longer */
	pass(&run, 8000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_64);
}

static void test_dump_size__shrinks_when_a_ring_runs_full(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	pass(&run, 500, 12000, 0, 0);
	assert_int_equal(run.size.rung, KB_16);
	run.fill_bytes = RING_BYTES / 2;
	assert_false(look(&run, 0));
	run.fill_bytes = RING_BYTES / 2 + 8;
	assert_true(look(&run, 0));
	assert_int_equal(run.size.rung, KB_8);
	assert_false(look(&run, 0));
	assert_false(look(&run, 0)); /* what it began with is kept for longer */
	run.fill_bytes = RING_BYTES / 4 * 3 + 8;
	assert_true(look(&run, 0));
	assert_int_equal(run.size.rung, KB_4);
	assert_false(look(&run, 0)); /* that was still of the size before */
	assert_true(look(&run, 0));
	assert_int_equal(run.size.rung, KB_2);
}

static void test_dump_size__grows_only_where_there_is_room(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	run.fill_bytes = RING_BYTES / 2 - 8;
	pass(&run, 5000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_8);
	run.fill_bytes = RING_BYTES / 4;
	pass(&run, 2000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_64);
}

static void test_dump_size__does_not_ask_again_for_what_was_refused(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	for (unsigned before = run.size.rung; run.size.rung == before;) {
		dump_use_add(&run.use, 8192, true);
		look(&run, 0);
	}
	assert_int_equal(run.size.rung, KB_16);
	dump_size_refuse(&run.size, KB_8);
	pass(&run, 100000, 40000, 0, 0);
	assert_int_equal(run.size.rung, KB_8);
	assert_int_equal(run.size.n_changes, 0);
	assert_int_equal(run.size.largest, KB_8);
}

static void test_dump_size__a_smaller_one_that_was_refused_is_left_out(void **state)
{
	(void)state;
	struct run run;
	begin(&run, 999, RING_BYTES);
	const unsigned start = run.size.rung;
	assert_true(start >= 3);
	assert_true(look(&run, 5)); /* two down */
	assert_int_equal(run.size.rung, start - 2);
	dump_size_refuse(&run.size, start);
	assert_int_equal(run.size.rung, start);
	assert_int_equal(run.size.smallest, start);
	assert_true(look(&run, 5)); /* the next that may be had */
	assert_int_equal(run.size.rung, start - 3);
	dump_size_refuse(&run.size, start);
	for (unsigned i = 1; i <= start; i++)
		run.size.refused[start - i] = true;
	const uint64_t n_changes = run.size.n_changes;
	for (unsigned i = 0; i < 100; i++)
		assert_false(look(&run, 5));
	assert_int_equal(run.size.rung, start);
	assert_int_equal(run.size.n_changes, n_changes);
	assert_int_equal(run.size.n_pressed, 0);
	/* what lies between is better than nothing */
	run.size.refused[start - 1] = false;
	assert_true(look(&run, 5));
	assert_int_equal(run.size.rung, start - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_dump_size__rungs_are_powers_of_two_up_to_what_the_kernel_takes),
		cmocka_unit_test(test_dump_size__limits_suit_rate_and_ring),
		cmocka_unit_test(test_dump_size__grows_until_the_stacks_fit),
		cmocka_unit_test(test_dump_size__a_small_share_of_cut_stacks_is_not_worth_it),
		cmocka_unit_test(test_dump_size__few_samples_are_judged_too),
		cmocka_unit_test(test_dump_size__shrinks_when_half_would_do_for_a_while),
		cmocka_unit_test(test_dump_size__does_not_swing),
		cmocka_unit_test(test_dump_size__gives_up_on_stacks_deeper_than_any_dump),
		cmocka_unit_test(test_dump_size__shrinks_at_once_when_records_are_lost),
		cmocka_unit_test(test_dump_size__shrinks_when_a_ring_runs_full),
		cmocka_unit_test(test_dump_size__grows_only_where_there_is_room),
		cmocka_unit_test(test_dump_size__does_not_ask_again_for_what_was_refused),
		cmocka_unit_test(test_dump_size__a_smaller_one_that_was_refused_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
