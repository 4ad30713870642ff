#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/recording.h"

static void burn_three_to_one(void)
{
	burn(burn_a, 600);
	burn(burn_b, 200);
}

static void test_recorder_truth__samples_lie_where_the_time_went(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, burn_three_to_one);
	struct recorder_options options = options_for(f);
	f->release = true;
	record(&options, &result);
	uint64_t used_ns = reap(f);
	assert_true(result.target_ended);
	struct profile *profile = load(f);
	uint64_t total = sum(profile, "samples");
	assert_int_equal(total, result.samples);
	assert_int_equal(total, number(profile, HEADER_SAMPLES));
	assert_cpu_close(sum(profile, "cpu"), used_ns);
	/* 3:1, within four standard deviations of a share of 3/4 among some 800 samples */
	double a = (double)samples_in(profile, __start_burn_a_code, __stop_burn_a_code);
	double b = (double)samples_in(profile, __start_burn_b_code, __stop_burn_b_code);
	assert_true(a + b > 0.95 * (double)total);
	assert_true(a / (a + b) > 0.69 && a / (a + b) < 0.81);
	assert_true(number(profile, "stop.end") > total * 95 / 100);
	/* rusage has microseconds and the time before it was let go; /proc has ticks of 10 ms */
	uint64_t counted_ns =
		number(profile, HEADER_TARGET_USER_NS) + number(profile, HEADER_TARGET_SYSTEM_NS);
	assert_int_equal(counted_ns, result.target_cpu_ns);
	assert_true(counted_ns > used_ns - 20000000 && counted_ns < used_ns + 20000000);
	profile_destroy(profile);
}

/* 60 to 120 bytes a frame: some 40 KB of stack */
enum { DEEP_FRAMES = 400 };

static __attribute__((noinline)) uint64_t go_deep(unsigned depth)
{
	volatile uint64_t locals[8] = {depth};
	if (depth == 0)
		burn(burn_b, 100000); /* until it is killed */
	else
		locals[1] = go_deep(depth - 1);
	return locals[0] + locals[1];
}

static void deepen_later(void)
{
	burn(burn_a, 600);
	sink = go_deep(DEEP_FRAMES);
}

/* Return: the largest dump of a recording that meets stacks of 40 KB. */
static uint64_t dump_for_deep_stacks(struct fixture *f)
{
	struct recorder_result result;
	start_target(f, deepen_later);
	struct recorder_options options = options_for(f);
	f->release = true;
	f->stop_samples = 2500;
	record(&options, &result);
	struct profile *profile = load(f);
	uint64_t total = number(profile, HEADER_SAMPLES);
	uint64_t deep = samples_in(profile, __start_burn_b_code, __stop_burn_b_code);
	uint64_t cut = number(profile, "stop.truncated");
	uint64_t largest = number(profile, HEADER_DUMP_BYTES_MAX);
	uint64_t changes = number(profile, HEADER_DUMP_CHANGES);
	assert_in_range(deep, 1000, total);
	/* the first one was cut; it was noticed within a second: most others are complete */
	assert_in_range(cut, 1, deep / 2);
	assert_in_range(number(profile, HEADER_DUMP_BYTES_MIN), 1024, 8192);
	/* up by steps to what holds them, and hardly any back */
	if (number(profile, HEADER_DUMP_PRESSED) == 0)
		assert_in_range(changes, 1, 10);
	profile_destroy(profile);
	drop_target(f);
	return largest;
}

static void test_recorder_truth__dumps_grow_with_the_stacks(void **state)
{
	/* dumps do not grow while the recorder comes late, as on a busy machine: not for ever */
	enum { ATTEMPTS = 10, HOLDS_BYTES = 32768 };
	uint64_t largest = 0;
	for (unsigned i = 0; i < ATTEMPTS && largest < HOLDS_BYTES; i++)
		largest = dump_for_deep_stacks(*state);
	assert_in_range(largest, HOLDS_BYTES, 65528);
}

/*
 * A recorder that comes late: stopped for 300 ms in every 600, in which a ring of 4 MB fills to
 * more than half with dumps of 8 KB. Smaller ones last longer.
 */
static void test_recorder_truth__pauses_of_the_recorder_cost_depth_before_samples(void **state)
{
	struct fixture *f = *state;
	const struct timespec pause = {.tv_nsec = 300000000};
	int status = 0;
	start_target(f, deepen_later);
	let_go(f);
	pid_t recorder = fork();
	if (recorder == 0) {
		struct recorder_result result;
		struct recorder_options options = options_for(f);
		f->stop_samples = 4000;
		_exit(recorder_run(&options, &result, NULL) != 0);
	}
	while (waitpid(recorder, &status, WNOHANG) == 0) {
		nanosleep(&pause, NULL);
		kill(recorder, SIGSTOP);
		nanosleep(&pause, NULL);
		kill(recorder, SIGCONT);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	struct profile *profile = load(f);
	uint64_t samples = number(profile, HEADER_SAMPLES);
	assert_in_range(samples, 4000, 100000);
	assert_in_range(number(profile, HEADER_DUMP_PRESSED), 1, 100);
	assert_in_range(number(profile, HEADER_DUMP_BYTES_MIN), 1024, 4096);
	/* with dumps of 64 KB, which these stacks take, three of four would be lost */
	assert_in_range(number(profile, HEADER_LOST), 0, samples / 4);
	profile_destroy(profile);
}

static void test_recorder_truth__header_says_how_it_was_done(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, burn_three_to_one);
	struct recorder_options options = options_for(f);
	f->release = true;
	record(&options, &result);
	struct perf_probe probe;
	perf_probe_run(0, &probe);
	struct profile *profile = load(f);
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", f->target);
	assert_string_equal(profile_header_get(profile, HEADER_STATE), "complete");
	assert_string_equal(profile_header_get(profile, HEADER_ENGINE), "perf");
	assert_string_equal(profile_header_get(profile, HEADER_EVENT),
			    probe.hardware_cycles ? "cycles" : "cpu-clock");
	assert_string_equal(profile_header_get(profile, HEADER_MODE), "cpu");
	assert_string_equal(profile_header_get(profile, HEADER_UNWIND), "auto");
	assert_string_equal(profile_header_get(profile, HEADER_PIDS), pid);
	assert_non_null(strstr(profile_header_get(profile, HEADER_COMMAND), "test_recorder"));
	assert_int_equal(number(profile, HEADER_RATE_HZ), 999);
	assert_int_equal(number(profile, HEADER_PROCESSES), 1);
	assert_int_equal(number(profile, HEADER_THREADS), 1);
	assert_int_equal(number(profile, HEADER_LOST), result.lost);
	assert_int_equal(number(profile, HEADER_UNTRACKED), 0);
	assert_int_equal(number(profile, HEADER_TIME_QUANTUM_NS), 10000000);
	assert_true(number(profile, HEADER_DUMP_BYTES) >= 1024);
	assert_true(number(profile, HEADER_DUMP_BYTES) <= number(profile, HEADER_DUMP_BYTES_MAX));
	assert_true(number(profile, HEADER_DUMP_BYTES) >= number(profile, HEADER_DUMP_BYTES_MIN));
	assert_true(number(profile, HEADER_RECORDER_CPU_NS) > 0);
	assert_true(number(profile, HEADER_RECORDER_PEAK_RSS_BYTES) > 1000000);
	assert_null(profile_header_get(profile, HEADER_RUNTIMES));
	assert_int_equal(profile->period, 1001001);
	assert_int_equal(profile->duration_ns, result.duration_ns);
	assert_true(profile->start_ns > 1000000000000000000);
	for (size_t i = 0; i < profile->n_samples; i++) {
		assert_true(profile->samples[i].time_ns >= 0);
		assert_true(profile->samples[i].time_ns <= profile->duration_ns);
		assert_int_equal(profile->samples[i].time_ns % 10000000, 0);
	}
	profile_destroy(profile);
}

static void test_recorder_truth__timeline_can_be_left_out(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, burn_three_to_one);
	struct recorder_options options = options_for(f);
	options.no_timeline = true;
	f->release = true;
	record(&options, &result);
	struct profile *profile = load(f);
	assert_null(profile_header_get(profile, HEADER_TIME_QUANTUM_NS));
	for (size_t i = 0; i < profile->n_samples; i++)
		assert_int_equal(profile->samples[i].time_ns, -1);
	assert_int_equal(sum(profile, "samples"), result.samples);
	profile_destroy(profile);
}

static void *burn_as_second(void *unused)
{
	(void)unused;
	pthread_setname_np(pthread_self(), "second");
	burn(burn_b, 200);
	return NULL;
}

static void burn_in_threads_and_children(void)
{
	pthread_t thread;
	prctl(PR_SET_NAME, "first");
	pthread_create(&thread, NULL, burn_as_second, NULL);
	pthread_join(thread, NULL);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_NAME, "child");
		burn(burn_a, 200);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* Samples by the thread's name, of the target or of others. */
static uint64_t samples_of(const struct profile *profile, const char *name, pid_t pid, bool others)
{
	uint64_t n = 0;
	for (size_t i = 0; i < profile->n_samples; i++) {
		const struct profile_thread *thread =
			&profile->threads[profile->samples[i].thread.v];
		if (strcmp(profile_text(profile, thread->name), name) == 0 &&
		    (thread->pid != (uint32_t)pid) == others)
			n += (uint64_t)profile->values[i * profile->n_value_types];
	}
	return n;
}

static void test_recorder_truth__threads_and_children_are_followed(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, burn_in_threads_and_children);
	struct recorder_options options = options_for(f);
	f->release = true;
	record(&options, &result);
	struct profile *profile = load(f);
	/* 200 ms of CPU time each, at 999 Hz */
	assert_near(samples_of(profile, "second", f->target, false), 200);
	assert_near(samples_of(profile, "child", f->target, true), 200);
	assert_near(samples_in(profile, __start_burn_a_code, __stop_burn_a_code), 200);
	assert_near(samples_in(profile, __start_burn_b_code, __stop_burn_b_code), 200);
	assert_int_equal(number(profile, HEADER_PROCESSES), 2);
	profile_destroy(profile);
}

static void test_recorder_truth__children_can_be_left_out(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, burn_in_threads_and_children);
	struct recorder_options options = options_for(f);
	options.no_inherit = true;
	f->release = true;
	record(&options, &result);
	struct profile *profile = load(f);
	assert_near(samples_of(profile, "second", f->target, false), 200);
	assert_int_equal(samples_of(profile, "child", f->target, true), 0);
	assert_int_equal(number(profile, HEADER_PROCESSES), 1);
	profile_destroy(profile);
}

static void enter_the_kernel(void)
{
	uint64_t end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + 400000000;
	char bytes[65536];
	int fd = open("/dev/zero", O_RDONLY);
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns) {
		if (read(fd, bytes, sizeof(bytes)) < 0)
			_exit(1);
	}
}

static void test_recorder_truth__time_in_the_kernel_is_credited_or_shown(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	for (int no_kernel = 0; no_kernel < 2; no_kernel++) {
		start_target(f, enter_the_kernel);
		struct recorder_options options = options_for(f);
		options.no_kernel = no_kernel;
		f->release = true;
		record(&options, &result);
		uint64_t used_ns = reap(f);
		struct profile *profile = load(f);
		assert_string_equal(profile_header_get(profile, HEADER_KERNEL),
				    no_kernel ? "credited" : "visible");
		assert_int_equal(has_kernel(profile), !no_kernel);
		assert_cpu_close(sum(profile, "cpu"), used_ns);
		assert_true(number(profile, HEADER_TARGET_SYSTEM_NS) > used_ns / 2);
		profile_destroy(profile);
		close(f->go_fd);
		f->go_fd = -1;
	}
}

static void fork_many(void)
{
	for (int i = 0; i < 300; i++) {
		pid_t child = fork();
		if (child == 0) {
			burn(burn_b, 1);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

static void test_recorder_truth__processes_of_a_millisecond_are_seen(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, fork_many);
	struct recorder_options options = options_for(f);
	options.scope = RECORDER_SCOPE_CPUS;
	f->release = true;
	record(&options, &result);
	uint64_t used_ns = reap(f);
	struct profile *profile = load(f);
	assert_cpu_close(sum(profile, "cpu"), used_ns);
	/* 300 times a millisecond and a bit, sampled every millisecond: 5 standard deviations */
	uint64_t in_children = samples_in(profile, __start_burn_b_code, __stop_burn_b_code);
	assert_in_range(in_children, 210, 450);
	assert_in_range(number(profile, HEADER_PROCESSES), 150, 301);
	assert_true(result.target_cpu_ns > used_ns - 40000000 &&
		    result.target_cpu_ns < used_ns + 40000000);
	profile_destroy(profile);
}

/* ---- threads that come while we attach ---- */

static void *burn_shortly(void *unused)
{
	(void)unused;
	burn(burn_a, 20);
	return NULL;
}

static void *spawn_for_ever(void *unused)
{
	(void)unused;
	for (;;) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, burn_shortly, NULL) != 0)
			_exit(1);
		pthread_join(thread, NULL);
	}
	return NULL;
}

static void churn(void)
{
	pthread_t threads[6];
	for (size_t i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, spawn_for_ever, NULL);
	pthread_join(threads[0], NULL);
}

static void test_recorder_truth__threads_born_while_attaching_count_once(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	clockid_t cpu_clock;
	start_target(f, churn);
	assert_int_equal(clock_getcpuclockid(f->target, &cpu_clock), 0);
	let_go(f);
	while (clock_ns(cpu_clock) < 50000000)
		; /* until it spawns threads */
	for (int i = 0; i < 3; i++) {
		struct recorder_options options = options_for(f);
		options.duration_ns = 1000000000;
		uint64_t before_ns = clock_ns(cpu_clock);
		record(&options, &result);
		uint64_t between_ns = clock_ns(cpu_clock) - before_ns;
		struct profile *profile = load(f);
		uint64_t sampled_ns = sum(profile, "cpu");
		/* between also covers attaching and finishing: no lower bound from it; a
		 * thread of 20 ms loses half a period on each CPU it runs on: 5 % on two */
		uint64_t slack_ns = allowance(between_ns / 1001001) * 1001001;
		assert_true(sampled_ns < between_ns + slack_ns);
		assert_true(sampled_ns < result.target_cpu_ns + slack_ns);
		assert_true(sampled_ns > result.target_cpu_ns * 90 / 100 - slack_ns);
		profile_destroy(profile);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_recorder_truth__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest both_ways[] = {
		TEST(samples_lie_where_the_time_went),
		TEST(dumps_grow_with_the_stacks),
		TEST(header_says_how_it_was_done),
		TEST(threads_and_children_are_followed),
		TEST(children_can_be_left_out),
		TEST(time_in_the_kernel_is_credited_or_shown),
		TEST(threads_born_while_attaching_count_once),
	};
	const struct CMUnitTest once[] = {
		TEST(timeline_can_be_left_out),
		TEST(processes_of_a_millisecond_are_seen),
		TEST(pauses_of_the_recorder_cost_depth_before_samples),
	};
	scope = RECORDER_SCOPE_THREADS;
	int failed = cmocka_run_group_tests_name("threads", both_ways, NULL, NULL);
	scope = RECORDER_SCOPE_CPUS;
	failed += cmocka_run_group_tests_name("cpus", both_ways, NULL, NULL);
	scope = RECORDER_SCOPE_AUTO;
	failed += cmocka_run_group_tests_name("auto", once, NULL, NULL);
	return failed;
}
