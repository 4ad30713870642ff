#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "capture/perf_probe.h"
#include "capture/recorder.h"
#include "profile/header_keys.h"
#include "profile/pprof_file.h"
#include "profile/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Code in sections of its own: the linker gives their bounds. */
#define IN_SECTION(name) __attribute__((noinline, section(name)))
extern const char __start_burn_a_code[], __stop_burn_a_code[];
extern const char __start_burn_b_code[], __stop_burn_b_code[];

static volatile uint64_t sink;

static IN_SECTION("burn_a_code") void burn_a(void)
{
	for (uint64_t i = 0; i < 100000; i++)
		sink = sink * 3 + i;
}

static IN_SECTION("burn_b_code") void burn_b(void)
{
	for (uint64_t i = 0; i < 100000; i++)
		sink = sink * 5 + i;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void burn(void (*code)(void), unsigned cpu_ms)
{
	uint64_t end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + cpu_ms * 1000000ULL;
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		code();
}

/* Both ways of recording have to give the same. */
static enum recorder_scope scope;

struct fixture {
	char dir[32], path[64];
	int stop_fd;
	pid_t target;
	int go_fd; /* a byte lets the target run */
	/* what the progress call-back does */
	bool release;          /* let the target run, once */
	uint64_t stop_samples; /* ask for the end when there are so many; 0 = no */
	unsigned n_progress;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (!f)
		return -1;
	*state = f;
	strcpy(f->dir, "/tmp/cprof-test-XXXXXX");
	f->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (!mkdtemp(f->dir) || f->stop_fd < 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/p.pb.gz", f->dir);
	f->go_fd = -1;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char old[80];
	if (f->target > 0) {
		kill(f->target, SIGKILL);
		waitpid(f->target, NULL, 0);
	}
	if (f->go_fd >= 0)
		close(f->go_fd);
	close(f->stop_fd);
	snprintf(old, sizeof(old), "%s.old", f->path);
	unlink(old);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* A child that runs @body when it is let go; it dies with us. */
static void start_target(struct fixture *f, void (*body)(void))
{
	int go[2];
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	f->target = fork();
	assert_true(f->target >= 0);
	if (f->target == 0) {
		char byte;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		if (read(go[0], &byte, 1) == 1)
			body();
		_exit(0);
	}
	close(go[0]);
	f->go_fd = go[1];
}

static void let_go(struct fixture *f)
{
	assert_int_equal(write(f->go_fd, "", 1), 1);
}

static void on_progress(void *ctx, const struct recorder_progress *progress)
{
	struct fixture *f = ctx;
	const uint64_t one = 1;
	f->n_progress++;
	if (f->release)
		let_go(f);
	f->release = false;
	if (f->stop_samples && progress->samples >= f->stop_samples)
		assert_int_equal(write(f->stop_fd, &one, sizeof(one)), sizeof(one));
}

static struct recorder_options options_for(struct fixture *f)
{
	return (struct recorder_options){
		.pids = &f->target,
		.n_pids = 1,
		.path = f->path,
		.rate_hz = 999,
		.scope = scope,
		.stop_fd = f->stop_fd,
		.progress = on_progress,
		.progress_ctx = f,
	};
}

static void record(const struct recorder_options *options, struct recorder_result *result)
{
	struct cp_err err = {""};
	if (recorder_run(options, result, &err) != 0)
		fail_msg("recorder_run: %s", err.message);
}

static struct profile *load(const struct fixture *f)
{
	struct profile *profile;
	struct cp_err err = {""};
	if (pprof_load(f->path, &profile, NULL, &err) != 0)
		fail_msg("pprof_load: %s", err.message);
	return profile;
}

/* CPU time of a target that has ended; it is reaped. */
static uint64_t reap(struct fixture *f)
{
	struct rusage usage;
	int status;
	assert_int_equal(wait4(f->target, &status, 0, &usage), f->target);
	f->target = 0;
	assert_true(WIFEXITED(status));
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static uint64_t number(const struct profile *profile, const char *key)
{
	const uint64_t missing = UINT64_MAX;
	uint64_t value = profile_header_u64(profile, key, missing);
	if (value == missing)
		fail_msg("no %s in the header", key);
	return value;
}

static uint64_t sum(const struct profile *profile, const char *type)
{
	int column = profile_value_column(profile, type);
	uint64_t total = 0;
	assert_true(column >= 0);
	for (size_t i = 0; i < profile->n_samples; i++)
		total += (uint64_t)profile->values[i * profile->n_value_types + (size_t)column];
	return total;
}

static int own_bias(struct dl_phdr_info *info, size_t size, void *bias)
{
	(void)size;
	*(uint64_t *)bias = info->dlpi_addr;
	return 1; /* the first is the program itself */
}

/* Samples with a frame in [start, end) of this program, which is the profile's first module. */
static uint64_t samples_in(const struct profile *profile, const char *start, const char *end)
{
	uint64_t bias = 0, n = 0;
	dl_iterate_phdr(own_bias, &bias);
	const char *own_path = profile_text(profile, profile->modules[0].path);
	assert_non_null(strstr(own_path, "/test_recorder"));
	for (size_t i = 0; i < profile->n_samples; i++) {
		stack_id stack = profile->samples[i].stack;
		bool inside = false;
		for (; stack.v != 0; stack = stack_store_parent(&profile->stacks, stack)) {
			const struct profile_location *location =
				&profile->locations[stack_store_leaf(&profile->stacks, stack).v];
			const struct profile_module *module = &profile->modules[location->module.v];
			inside = inside ||
				 (strcmp(profile_text(profile, module->path), own_path) == 0 &&
				  location->svma >= (uint64_t)(uintptr_t)start - bias &&
				  location->svma < (uint64_t)(uintptr_t)end - bias);
		}
		n += inside ? (uint64_t)profile->values[i * profile->n_value_types] : 0;
	}
	return n;
}

static uint64_t square_root(uint64_t n)
{
	uint64_t root = 0;
	while ((root + 1) * (root + 1) <= n)
		root++;
	return root;
}

/*
 * How far a count of samples may be from the expected one. Timers per CPU hit a thread at random,
 * the more so the shorter its turns: up to 5 standard deviations. Timers per thread are exact but
 * for what is left of a period on each CPU at the end of each thread; a hypervisor takes some.
 */
static uint64_t allowance(uint64_t expected)
{
	return 5 * square_root(expected) + expected / 20;
}

static void assert_near(uint64_t samples, uint64_t expected)
{
	uint64_t off = samples > expected ? samples - expected : expected - samples;
	if (off > allowance(expected))
		fail_msg("%lu samples, not about %lu", (unsigned long)samples,
			 (unsigned long)expected);
}

/* @sampled_ns: in periods of 1,001,001 ns, as all here is recorded at 999 Hz */
static void assert_cpu_close(uint64_t sampled_ns, uint64_t used_ns)
{
	assert_near(sampled_ns / 1001001, used_ns / 1001001);
}

/* ---- what is recorded ---- */

static void burn_three_to_one(void)
{
	burn(burn_a, 600);
	burn(burn_b, 200);
}

static void test_recorder__samples_lie_where_the_time_went(void **state)
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

static void test_recorder__dumps_grow_with_the_stacks(void **state)
{
	struct fixture *f = *state;
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
	assert_in_range(deep, 1000, total);
	/* it was noticed within a second: the other deep stacks are complete */
	assert_in_range(cut, 100, deep / 2);
	assert_in_range(number(profile, HEADER_DUMP_BYTES_MIN), 1024, 8192);
	assert_in_range(number(profile, HEADER_DUMP_BYTES_MAX), 32768, 65528);
	assert_in_range(number(profile, HEADER_DUMP_CHANGES), 1, 10);
	profile_destroy(profile);
}

static void test_recorder__header_says_how_it_was_done(void **state)
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

static void test_recorder__timeline_can_be_left_out(void **state)
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

static void test_recorder__threads_and_children_are_followed(void **state)
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

static void test_recorder__children_can_be_left_out(void **state)
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

static bool has_kernel(const struct profile *profile)
{
	for (size_t i = 0; i < profile->n_modules; i++) {
		if (profile_module_is_kernel(profile, (module_id){(uint32_t)i}))
			return true;
	}
	return false;
}

static void test_recorder__time_in_the_kernel_is_credited_or_shown(void **state)
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

static void test_recorder__processes_of_a_millisecond_are_seen(void **state)
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

static void test_recorder__threads_born_while_attaching_count_once(void **state)
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

/* ---- how it ends ---- */

static void burn_for_ever(void)
{
	for (;;)
		burn_a();
}

static void test_recorder__ends_on_request_and_leaves_the_target_alone(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, burn_for_ever);
	let_go(f);
	struct recorder_options options = options_for(f);
	f->stop_samples = 100;
	record(&options, &result);
	assert_false(result.target_ended);
	assert_true(result.samples >= 100);
	assert_true(f->n_progress > 0);
	assert_int_equal(kill(f->target, 0), 0);
	struct profile *profile = load(f);
	assert_string_equal(profile_header_get(profile, HEADER_STATE), "complete");
	assert_int_equal(sum(profile, "samples"), result.samples);
	profile_destroy(profile);
}

static void test_recorder__ends_after_the_duration(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, burn_for_ever);
	let_go(f);
	struct recorder_options options = options_for(f);
	options.duration_ns = 300000000;
	record(&options, &result);
	assert_false(result.target_ended);
	assert_true(result.duration_ns >= 300000000);
	assert_true(result.samples > 0);
	assert_int_equal(kill(f->target, 0), 0);
}

static void test_recorder__idle_target_gives_a_file_without_samples(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	start_target(f, burn_for_ever); /* and is never let go */
	struct recorder_options options = options_for(f);
	options.duration_ns = 100000000;
	record(&options, &result);
	assert_int_equal(result.samples, 0);
	struct profile *profile = load(f);
	assert_int_equal(profile->n_samples, 0);
	assert_int_equal(number(profile, HEADER_SAMPLES), 0);
	profile_destroy(profile);
}

static struct recorder_options command_for(struct fixture *f, char *const *argv)
{
	struct recorder_options options = options_for(f);
	options.pids = NULL;
	options.n_pids = 0;
	options.argv = argv;
	return options;
}

static void test_recorder__commands_status_is_passed_on(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	char *argv[] = {"sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 7",
			NULL};
	struct recorder_options options = command_for(f, argv);
	record(&options, &result);
	assert_true(result.target_ended);
	assert_true(WIFEXITED(result.wait_status));
	assert_int_equal(WEXITSTATUS(result.wait_status), 7);
	assert_true(result.samples > 0);
	struct profile *profile = load(f);
	assert_string_equal(profile_header_get(profile, HEADER_COMMAND),
			    "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 7'");
	/* nothing of what ran before the exec */
	for (size_t i = 0; i < profile->n_threads; i++)
		assert_string_equal(profile_text(profile, profile->threads[i].comm), "sh");
	for (size_t i = 0; i < profile->n_modules; i++)
		assert_null(
			strstr(profile_text(profile, profile->modules[i].path), "test_recorder"));
	profile_destroy(profile);
}

static void test_recorder__unknown_command_leaves_everything_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result = {0};
	struct cp_err err = {""};
	char *argv[] = {"/nonexistent/command", NULL}, old[80];
	struct stat before, after;
	struct recorder_options options = command_for(f, argv);
	assert_int_equal(recorder_run(&options, &result, &err), -ENOENT);
	assert_string_equal(err.message, "no such command: /nonexistent/command");
	assert_int_equal(access(f->path, F_OK), -1);
	/* an earlier profile keeps its name */
	close(open(f->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(stat(f->path, &before), 0);
	assert_int_equal(recorder_run(&options, &result, &err), -ENOENT);
	assert_int_equal(stat(f->path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	snprintf(old, sizeof(old), "%s.old", f->path);
	assert_int_equal(access(old, F_OK), -1);
}

static void test_recorder__command_is_ended_with_the_recording(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	char *argv[] = {"sh", "-c", "while :; do :; done", NULL};
	struct recorder_options options = command_for(f, argv);
	f->stop_samples = 10;
	record(&options, &result);
	assert_false(result.target_ended);
	assert_true(WIFSIGNALED(result.wait_status));
	assert_int_equal(WTERMSIG(result.wait_status), SIGTERM);
}

static void test_recorder__command_goes_on_after_the_duration(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result;
	char script[256], done[80];
	char *argv[] = {"sh", "-c", script, NULL};
	/* it ends when the file is there, which the end of the recording makes */
	snprintf(done, sizeof(done), "%s.old", f->path);
	snprintf(script, sizeof(script),
		 "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; : > %s; exit 3", done);
	struct recorder_options options = command_for(f, argv);
	options.duration_ns = 10000000;
	record(&options, &result);
	assert_true(WIFEXITED(result.wait_status));
	assert_int_equal(WEXITSTATUS(result.wait_status), 3);
	assert_int_equal(access(done, F_OK), 0);
	assert_true(result.duration_ns >= 10000000);
}

/* ---- what goes wrong ---- */

static void test_recorder__full_disk_ends_it_with_a_message(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result = {0};
	struct cp_err err = {""};
	start_target(f, burn_for_ever);
	let_go(f);
	struct recorder_options options = options_for(f);
	options.path = "/dev/full";
	assert_int_equal(recorder_run(&options, &result, &err), -ENOSPC);
	assert_non_null(strstr(err.message, "/dev/full"));
	assert_true(result.samples > 0);
	assert_int_equal(kill(f->target, 0), 0);
}

static void test_recorder__what_was_written_before_a_failure_is_valid(void **state)
{
	struct fixture *f = *state;
	start_target(f, burn_for_ever);
	let_go(f);
	pid_t recorder = fork();
	if (recorder == 0) {
		/* a limit that the second or a later flush exceeds */
		struct rlimit limit = {.rlim_cur = 6000, .rlim_max = 6000};
		struct recorder_result result = {0};
		struct recorder_options options = options_for(f);
		options.progress = NULL;
		options.rate_hz = 4999;
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		int code = recorder_run(&options, &result, NULL);
		_exit(code == -EFBIG || code == -ENOSPC ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(recorder, &status, 0), recorder);
	assert_int_equal(status, 0);
	struct profile *profile = load(f);
	assert_true(sum(profile, "samples") > 0);
	assert_string_equal(profile_header_get(profile, HEADER_STATE), "recording");
	profile_destroy(profile);
}

static void tell(void *ctx, const struct recorder_progress *progress)
{
	if (progress->file_bytes > 0 && write(*(int *)ctx, "", 1) != 1)
		_exit(1);
}

static void test_recorder__killed_recorder_leaves_a_file_and_a_running_target(void **state)
{
	struct fixture *f = *state;
	int told[2];
	clockid_t cpu_clock;
	char byte;
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	start_target(f, burn_for_ever);
	let_go(f);
	pid_t recorder = fork();
	if (recorder == 0) {
		struct recorder_result result;
		struct recorder_options options = options_for(f);
		options.progress = tell;
		options.progress_ctx = &told[1];
		_exit(recorder_run(&options, &result, NULL) != 0);
	}
	assert_int_equal(read(told[0], &byte, 1), 1);
	kill(recorder, SIGKILL);
	assert_int_equal(waitpid(recorder, NULL, 0), recorder);
	struct profile *profile = load(f);
	assert_true(sum(profile, "samples") > 0);
	assert_string_equal(profile_header_get(profile, HEADER_STATE), "recording");
	assert_int_equal(number(profile, HEADER_LOST), 0);
	profile_destroy(profile);
	/* the target still gets on */
	assert_int_equal(clock_getcpuclockid(f->target, &cpu_clock), 0);
	uint64_t then_ns = clock_ns(cpu_clock);
	while (clock_ns(cpu_clock) < then_ns + 50000000)
		assert_int_equal(waitpid(f->target, NULL, WNOHANG), 0);
	close(told[0]);
	close(told[1]);
}

static void test_recorder__pids_that_cannot_be_recorded(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result = {0};
	struct cp_err err = {""};
	struct recorder_options options = options_for(f);
	const pid_t missing = INT_MAX;
	options.pids = &missing;
	assert_int_equal(recorder_run(&options, &result, &err), -ESRCH);
	assert_string_equal(err.message, "no such process: 2147483647");
	const pid_t negative = -5;
	options.pids = &negative;
	assert_int_equal(recorder_run(&options, &result, &err), -ESRCH);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void test_recorder__rates_out_of_range(void **state)
{
	struct fixture *f = *state;
	struct recorder_result result = {0};
	struct cp_err err = {""};
	static const unsigned RATES[] = {0, 50001};
	start_target(f, burn_for_ever);
	for (size_t i = 0; i < 2; i++) {
		struct recorder_options options = options_for(f);
		options.rate_hz = RATES[i];
		assert_int_equal(recorder_run(&options, &result, &err), -EINVAL);
		assert_non_null(strstr(err.message, "50000"));
	}
}

/* Without privileges the kernel is hidden, or nothing may be recorded at all: both are said. */
static void test_recorder__without_privileges(void **state)
{
	struct fixture *f = *state;
	enum { NOBODY = 65534, AS_EXPECTED = 0, WRONG = 1 };
	assert_int_equal(geteuid(), 0);
	assert_int_equal(chmod(f->dir, 0777), 0);
	pid_t recorder = fork();
	if (recorder == 0) {
		struct recorder_result result = {0};
		struct cp_err err = {""};
		struct perf_probe probe;
		if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
			_exit(WRONG);
		prctl(PR_SET_DUMPABLE, 1); /* a change of uid took it away, unlike a login */
		perf_probe_run(0, &probe);
		char *argv[] = {"sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done",
				NULL};
		struct recorder_options options = command_for(f, argv);
		options.progress = NULL;
		int code = recorder_run(&options, &result, &err);
		if (probe.paranoid > 2)
			_exit(code == -EACCES && strstr(err.message, "paranoid") ? AS_EXPECTED
										 : WRONG);
		_exit(code == 0 && result.samples > 0 && !probe.capable ? AS_EXPECTED : WRONG);
	}
	int status;
	assert_int_equal(waitpid(recorder, &status, 0), recorder);
	assert_int_equal(status, 0);
	if (access(f->path, F_OK) != 0)
		return; /* refused, and said so */
	struct profile *profile = load(f);
	struct perf_probe probe;
	perf_probe_run(0, &probe);
	assert_string_equal(profile_header_get(profile, HEADER_KERNEL),
			    probe.paranoid > 1 ? "hidden" : "visible");
	assert_int_equal(has_kernel(profile), probe.paranoid <= 1);
	profile_destroy(profile);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_recorder__##name, setup, teardown)

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
		TEST(ends_on_request_and_leaves_the_target_alone),
		TEST(idle_target_gives_a_file_without_samples),
		TEST(commands_status_is_passed_on),
		TEST(unknown_command_leaves_everything_as_it_was),
		TEST(command_is_ended_with_the_recording),
	};
	const struct CMUnitTest once[] = {
		TEST(timeline_can_be_left_out),
		TEST(processes_of_a_millisecond_are_seen),
		TEST(ends_after_the_duration),
		TEST(command_goes_on_after_the_duration),
		TEST(full_disk_ends_it_with_a_message),
		TEST(what_was_written_before_a_failure_is_valid),
		TEST(killed_recorder_leaves_a_file_and_a_running_target),
		TEST(pids_that_cannot_be_recorded),
		TEST(rates_out_of_range),
		TEST(without_privileges),
	};
	scope = RECORDER_SCOPE_THREADS;
	int failed = cmocka_run_group_tests_name("threads", both_ways, NULL, NULL);
	scope = RECORDER_SCOPE_CPUS;
	failed += cmocka_run_group_tests_name("cpus", both_ways, NULL, NULL);
	scope = RECORDER_SCOPE_AUTO;
	failed += cmocka_run_group_tests_name("auto", once, NULL, NULL);
	return failed;
}
