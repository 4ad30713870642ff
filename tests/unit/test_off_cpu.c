#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/perf_records.h"
#include "capture/dispatch.h"
#include "capture/off_cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers no process of this machine has. */
enum { PID = 10000000, ID = 71 };

#define MS UINT64_C(1000000)
#define START_NS (1000 * MS)

struct fixture {
	struct perf_events events;
	struct processes *processes;
	struct profile *profile;
	struct sample_sink sink;
	struct off_cpu off;
	struct dispatch dispatch;
	struct record_bytes bytes;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (!f)
		return -1;
	*state = f;
	f->events.handles = calloc(1, sizeof(*f->events.handles));
	if (!f->events.handles || processes_create(&f->processes) < 0 ||
	    profile_create(&f->profile) < 0)
		return -1;
	f->events.handles[0] =
		(struct perf_event_handle){.fd = -1, .owner = PERF_OWNER_SYSTEM, .id = ID};
	cp_index_add(&f->events.by_id, cp_hash_mix(ID, 0), 0);
	f->events.n_handles = 1;
	profile_add_value_type(f->profile, "samples", "count");
	profile_add_value_type(f->profile, "off_cpu", "nanoseconds");
	f->sink = (struct sample_sink){
		.profile = f->profile, .processes = f->processes, .start_ns = START_NS};
	if (sample_sink_init(&f->sink) < 0)
		return -1;
	f->off =
		(struct off_cpu){.sink = &f->sink, .processes = f->processes, .start_ns = START_NS};
	f->dispatch = (struct dispatch){.events = &f->events,
					.processes = f->processes,
					.sink = &f->sink,
					.off_cpu = &f->off,
					.layout = {.n_regs = RECORD_REGS}};
	return off_cpu_init(&f->off, 999, 1);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	off_cpu_deinit(&f->off);
	perf_events_close(&f->events);
	sample_sink_deinit(&f->sink);
	profile_destroy(f->profile);
	processes_destroy(f->processes);
	free(f);
	return 0;
}

/* Times are in ms from the start. */
static struct record_origin at(uint32_t tid, uint64_t ms)
{
	return (struct record_origin){
		.pid = PID, .tid = tid, .time_ns = START_NS + ms * MS, .id = ID};
}

static void switched_of(struct fixture *f, struct record_origin origin, uint16_t misc)
{
	record_begin(&f->bytes, PERF_RECORD_SWITCH, misc);
	dispatch_record(&f->dispatch, record_end_with(&f->bytes, origin));
}

static void switched(struct fixture *f, uint32_t tid, uint64_t ms, uint16_t misc)
{
	switched_of(f, at(tid, ms), misc);
}

static void out(struct fixture *f, uint32_t tid, uint64_t ms)
{
	switched(f, tid, ms, PERF_RECORD_MISC_SWITCH_OUT);
}

static void preempted(struct fixture *f, uint32_t tid, uint64_t ms)
{
	switched(f, tid, ms, PERF_RECORD_MISC_SWITCH_OUT | PERF_RECORD_MISC_SWITCH_OUT_PREEMPT);
}

static void in(struct fixture *f, uint32_t tid, uint64_t ms)
{
	switched(f, tid, ms, 0);
}

/* What a round would have found. */
static void looked(struct fixture *f, uint32_t tid, uint64_t ms, const char *place)
{
	struct off_cpu_thread *t = f->off.by_tid[tid % OFF_CPU_BUCKETS];
	while (t && t->tid != (pid_t)tid)
		t = t->next;
	assert_non_null(t);
	struct off_cpu_look *look = &t->looks[t->n_looks++];
	assert_int_equal(sample_sink_keep_named(&f->sink, place, CP_STOP_END, &look->stack), 0);
	look->time_ns = START_NS + ms * MS;
	look->info.state = CP_STATE_LOCK;
	snprintf(look->info.object, sizeof(look->info.object), "0x%s", place);
}

struct found {
	int64_t waits, ms, ns;
};

/* Everything in the profile with this innermost frame, state and mark; "" = any frame. */
static struct found found(const struct fixture *f, const char *place, enum cp_state state,
			  enum cp_inferred inferred)
{
	const struct profile *profile = f->profile;
	struct found sum = {0};
	for (size_t i = 0; i < profile->n_samples; i++) {
		const struct profile_sample_key *key = &profile->samples[i];
		location_id leaf = stack_store_leaf(&profile->stacks, key->stack);
		module_id module = profile->locations[leaf.v].module;
		const char *path = profile_text(profile, profile->modules[module.v].path);
		if (key->state != state || key->inferred != inferred || strcmp(path, place) != 0)
			continue;
		sum.waits += profile->values[2 * i];
		sum.ns += profile->values[2 * i + 1];
	}
	sum.ms = sum.ns / (int64_t)MS;
	return sum;
}

static void expect(const struct fixture *f, const char *place, enum cp_state state,
		   enum cp_inferred inferred, int64_t waits, int64_t ms)
{
	const struct found sum = found(f, place, state, inferred);
	assert_int_equal(sum.waits, waits);
	assert_int_equal(sum.ms, ms);
}

static int64_t all_ns(const struct fixture *f)
{
	int64_t sum = 0;
	for (size_t i = 0; i < f->profile->n_samples; i++)
		sum += f->profile->values[2 * i + 1];
	return sum;
}

static void end(struct fixture *f, uint64_t ms)
{
	off_cpu_flush(&f->off, START_NS + ms * MS, true);
}

static void test_off_cpu__a_wait_that_was_looked_at_has_its_exact_length_and_object(void **state)
{
	struct fixture *f = *state;
	out(f, PID, 100);
	looked(f, PID, 102, "take");
	in(f, PID, 350);
	end(f, 1000);
	expect(f, "take", CP_STATE_LOCK, CP_INFERRED_NO, 1, 250);
	assert_int_equal(f->profile->n_samples, 1);
	assert_string_equal(profile_text(f->profile, f->profile->samples[0].waits_for), "0xtake");
	assert_int_equal(f->off.counts.seen_ns, 250 * MS);
	assert_int_equal(f->off.counts.wait_ns, 250 * MS);
	assert_int_equal(f->off.counts.broken, 0);
}

static void test_off_cpu__losing_the_cpu_is_no_wait_for_something(void **state)
{
	struct fixture *f = *state;
	preempted(f, PID, 100);
	in(f, PID, 130);
	preempted(f, PID, 140);
	in(f, PID, 141);
	end(f, 1000);
	expect(f, PROFILE_PATH_NO_CPU, CP_STATE_RUNNABLE, CP_INFERRED_NO, 2, 31);
	assert_int_equal(f->profile->samples[0].stop, CP_STOP_UNSEEN);
	assert_int_equal(f->off.counts.cpu_wait_ns, 31 * MS);
	assert_int_equal(f->off.counts.wait_ns, 0);
}

static void test_off_cpu__a_new_thread_waits_for_its_first_cpu(void **state)
{
	struct fixture *f = *state;
	in(f, PID, 0);
	dispatch_record(&f->dispatch,
			record_task(&f->bytes, PERF_RECORD_FORK, at(PID, 100), PID, PID + 1));
	in(f, PID + 1, 107);
	end(f, 1000);
	expect(f, PROFILE_PATH_NO_CPU, CP_STATE_RUNNABLE, CP_INFERRED_NO, 1, 7);
	assert_int_equal(f->off.counts.broken, 0);
}

static void test_off_cpu__what_goes_on_is_counted_once_and_in_parts(void **state)
{
	struct fixture *f = *state;
	out(f, PID, 100);
	looked(f, PID, 102, "nap");
	off_cpu_flush(&f->off, START_NS + 1000 * MS, false);
	expect(f, "nap", CP_STATE_LOCK, CP_INFERRED_NO, 1, 900);
	profile_clear_samples(f->profile);
	off_cpu_flush(&f->off, START_NS + 2000 * MS, false);
	expect(f, "nap", CP_STATE_LOCK, CP_INFERRED_NO, 0, 1000);
	in(f, PID, 2500);
	expect(f, "nap", CP_STATE_LOCK, CP_INFERRED_NO, 0, 1500);
	assert_int_equal(f->off.counts.waits, 1);
	assert_int_equal(f->off.counts.wait_ns, 2400 * MS);
}

static void test_off_cpu__what_is_not_sure_yet_is_not_counted_yet(void **state)
{
	struct fixture *f = *state;
	out(f, PID, 100);
	/* later than the records that have been read: it may be of another wait */
	looked(f, PID, 1001, "nap");
	off_cpu_flush(&f->off, START_NS + 1000 * MS, false);
	assert_int_equal(f->profile->n_samples, 0);
	in(f, PID, 1000);
	out(f, PID, 1001);
	in(f, PID, 1501);
	end(f, 2000);
	expect(f, "nap", CP_STATE_LOCK, CP_INFERRED_NO, 1, 500);
	expect(f, PROFILE_PATH_NOT_SEEN, CP_STATE_WAIT, CP_INFERRED_NO, 1, 900);
}

static void test_off_cpu__looks_wait_for_the_records_about_their_moments(void **state)
{
	struct fixture *f = *state;
	out(f, PID, 100);
	looked(f, PID, 101, "first");
	looked(f, PID, 121, "second");
	looked(f, PID, 135, "running"); /* wrong: the records know of no wait then */
	looked(f, PID, 141, "third");
	in(f, PID, 110);
	out(f, PID, 120);
	in(f, PID, 130);
	out(f, PID, 140);
	in(f, PID, 150);
	end(f, 1000);
	expect(f, "first", CP_STATE_LOCK, CP_INFERRED_NO, 1, 10);
	expect(f, "second", CP_STATE_LOCK, CP_INFERRED_NO, 1, 10);
	expect(f, "third", CP_STATE_LOCK, CP_INFERRED_NO, 1, 10);
	assert_int_equal(all_ns(f), 30 * MS);
}

static void test_off_cpu__who_waited_before_the_beginning_has_waited_since(void **state)
{
	struct fixture *f = *state;
	off_cpu_add(&f->off, PID, PID);
	in(f, PID, 300);
	end(f, 1000);
	expect(f, PROFILE_PATH_NOT_SEEN, CP_STATE_WAIT, CP_INFERRED_NO, 1, 300);
}

static void test_off_cpu__who_never_runs_is_told_by_looks_alone(void **state)
{
	struct fixture *f = *state;
	struct process *process = processes_add(f->processes, PID);
	assert_non_null(processes_add_thread(f->processes, process, PID, "sleeper"));
	assert_non_null(processes_add_thread(f->processes, process, PID + 1, "runner"));
	off_cpu_add(&f->off, PID, PID);
	off_cpu_add(&f->off, PID, PID + 1);
	looked(f, PID, 2, "nap");
	end(f, 1000);
	expect(f, "nap", CP_STATE_LOCK, CP_INFERRED_NO, 1, 1000);
	/* of the other one nothing says that it did not run all the time */
	assert_int_equal(all_ns(f), 1000 * MS);
}

static void test_off_cpu__short_waits_are_divided_by_what_was_met_of_them(void **state)
{
	struct fixture *f = *state;
	uint64_t ms = 0;
	/* of 1 ms: 60 of "a" and 40 of "b", every fifth is met; of 4 ms: 50 of "c", half are met */
	for (int i = 0; i < 100; i++, ms += 2) {
		out(f, PID, ms);
		if (i % 5 == 0)
			looked(f, PID, ms, i < 60 ? "a" : "b");
		in(f, PID, ms + 1);
	}
	for (int i = 0; i < 50; i++, ms += 5) {
		out(f, PID, ms);
		if (i % 2 == 0)
			looked(f, PID, ms, "c");
		in(f, PID, ms + 4);
	}
	off_cpu_flush(&f->off, START_NS + ms * MS, false);
	expect(f, "a", CP_STATE_LOCK, CP_INFERRED_NO, 12, 12);
	expect(f, "b", CP_STATE_LOCK, CP_INFERRED_NO, 8, 8);
	expect(f, "c", CP_STATE_LOCK, CP_INFERRED_NO, 25, 100);
	expect(f, "a", CP_STATE_LOCK, CP_INFERRED_WAIT, 48, 48);
	expect(f, "b", CP_STATE_LOCK, CP_INFERRED_WAIT, 32, 32);
	expect(f, "c", CP_STATE_LOCK, CP_INFERRED_WAIT, 25, 100);
	assert_int_equal(all_ns(f), 300 * MS);
	assert_int_equal(f->off.counts.waits, 150);
	assert_int_equal(f->off.counts.estimated_ns, 180 * MS);
}

static void test_off_cpu__a_length_that_none_was_met_of_goes_by_one_within_an_octave(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t from, to;
		const char *met;
	} waits[] = {{0, 1, NULL}, {10, 14, "four"}, {20, 36, "sixteen"}, {40, 50, NULL}};
	for (size_t i = 0; i < 4; i++) {
		out(f, PID, waits[i].from);
		if (waits[i].met)
			looked(f, PID, waits[i].from, waits[i].met);
		in(f, PID, waits[i].to);
	}
	off_cpu_flush(&f->off, START_NS + 60 * MS, false);
	expect(f, "sixteen", CP_STATE_LOCK, CP_INFERRED_WAIT, 1, 10);
	expect(f, "four", CP_STATE_LOCK, CP_INFERRED_WAIT, 0, 0);
	assert_int_equal(all_ns(f), 30 * MS);
	/* of 1 ms, one is met in the end */
	out(f, PID, 70);
	looked(f, PID, 70, "one");
	in(f, PID, 71);
	off_cpu_flush(&f->off, START_NS + 80 * MS, false);
	expect(f, "one", CP_STATE_LOCK, CP_INFERRED_WAIT, 1, 1);
	assert_int_equal(all_ns(f), 32 * MS);
}

static void test_off_cpu__short_waits_that_none_was_met_of_are_kept_without_stack(void **state)
{
	struct fixture *f = *state;
	for (uint64_t ms = 0; ms < 100; ms += 2) {
		out(f, PID, ms);
		in(f, PID, ms + 1);
	}
	/* one may yet be met */
	off_cpu_flush(&f->off, START_NS + 100 * MS, false);
	assert_int_equal(f->profile->n_samples, 0);
	end(f, 200);
	expect(f, PROFILE_PATH_NOT_SEEN, CP_STATE_WAIT, CP_INFERRED_NO, 50, 50);
	assert_int_equal(f->off.counts.estimated_ns, 0);
}

static void test_off_cpu__a_long_wait_is_not_shared_out_among_short_ones(void **state)
{
	struct fixture *f = *state;
	out(f, PID, 0);
	in(f, PID, 150);
	out(f, PID, 151);
	looked(f, PID, 151, "short");
	in(f, PID, 152);
	end(f, 200);
	expect(f, PROFILE_PATH_NOT_SEEN, CP_STATE_WAIT, CP_INFERRED_NO, 1, 150);
	expect(f, "short", CP_STATE_LOCK, CP_INFERRED_NO, 1, 1);
	expect(f, "short", CP_STATE_LOCK, CP_INFERRED_WAIT, 0, 0);
}

static void test_off_cpu__a_lost_record_costs_one_wait_and_is_counted(void **state)
{
	struct fixture *f = *state;
	out(f, PID, 100);
	out(f, PID, 200); /* when it began to run is lost */
	in(f, PID, 300);
	in(f, PID, 500); /* since when it has waited is lost */
	end(f, 1000);
	assert_int_equal(all_ns(f), 100 * MS);
	assert_int_equal(f->off.counts.broken, 2);
}

static void test_off_cpu__a_thread_that_ends_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	out(f, PID + 1, 100);
	in(f, PID + 1, 101);
	dispatch_record(&f->dispatch,
			record_task(&f->bytes, PERF_RECORD_EXIT, at(PID + 1, 110), PID, PID + 1));
	assert_int_equal(all_ns(f), MS);
	/* its last switch comes after its end */
	out(f, PID + 1, 111);
	end(f, 1000);
	assert_int_equal(all_ns(f), MS);
	assert_int_equal(f->off.counts.broken, 0);
}

static void test_off_cpu__a_thread_whose_end_was_not_told_is_forgotten(void **state)
{
	struct fixture *f = *state;
	in(f, PID, 50);
	out(f, PID + 1, 100);
	in(f, PID + 1, 101); /* met by no look */
	out(f, PID + 1, 110);
	const int64_t before = all_ns(f);
	processes_drop(f->processes, PID);
	off_cpu_flush(&f->off, START_NS + 500 * MS, false);
	assert_null(f->off.by_tid[(PID + 1) % OFF_CPU_BUCKETS]);
	end(f, 1000);
	assert_int_equal(all_ns(f), before);
	assert_int_equal(f->off.counts.broken,
			 3); /* the short ones of both, and the one that went on */
	assert_int_equal(f->off.counts.untracked, 0);
}

static void test_off_cpu__another_process_thread_with_the_number_inherits_nothing(void **state)
{
	struct fixture *f = *state;
	struct record_origin origin = at(PID + 1, 300);
	in(f, PID + 1, 50);
	out(f, PID + 1, 60);
	in(f, PID + 1, 61); /* met by no look */
	out(f, PID + 1, 100);
	looked(f, PID + 1, 102, "nap");
	const int64_t before = all_ns(f);
	/* its end is lost, and so is the birth of the one that has its number */
	origin.pid = PID + 7;
	switched_of(f, origin, PERF_RECORD_MISC_SWITCH_OUT);
	assert_int_equal(f->off.counts.broken, 3); /* two short waits, and the one that went on */
	origin.time_ns += 10 * MS;
	switched_of(f, origin, 0);
	end(f, 1000);
	expect(f, "nap", CP_STATE_LOCK, CP_INFERRED_NO, 0, 0);
	assert_int_equal(all_ns(f) - before, 10 * MS);
	assert_int_equal(f->off.counts.broken, 3);
	assert_int_equal(f->off.counts.untracked, 0);
}

#define TEST(behaviour) cmocka_unit_test_setup_teardown(test_off_cpu__##behaviour, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_wait_that_was_looked_at_has_its_exact_length_and_object),
		TEST(losing_the_cpu_is_no_wait_for_something),
		TEST(a_new_thread_waits_for_its_first_cpu),
		TEST(what_goes_on_is_counted_once_and_in_parts),
		TEST(what_is_not_sure_yet_is_not_counted_yet),
		TEST(looks_wait_for_the_records_about_their_moments),
		TEST(who_waited_before_the_beginning_has_waited_since),
		TEST(who_never_runs_is_told_by_looks_alone),
		TEST(short_waits_are_divided_by_what_was_met_of_them),
		TEST(a_length_that_none_was_met_of_goes_by_one_within_an_octave),
		TEST(short_waits_that_none_was_met_of_are_kept_without_stack),
		TEST(a_long_wait_is_not_shared_out_among_short_ones),
		TEST(a_lost_record_costs_one_wait_and_is_counted),
		TEST(a_thread_that_ends_leaves_nothing_behind),
		TEST(a_thread_whose_end_was_not_told_is_forgotten),
		TEST(another_process_thread_with_the_number_inherits_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
