#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/procfs.h"
#include "capture/targets.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_THREADS = 8 };

static int refused(pid_t pid, struct cp_err *err)
{
	struct targets targets;
	err->message[0] = 0;
	return targets_open(&pid, 1, &targets, err);
}

static void *hold(void *fd)
{
	char byte;
	if (read(*(int *)fd, &byte, 1) < 0)
		return fd;
	return NULL;
}

/* A child with N_THREADS threads, which ends when *out_fd is closed. */
static pid_t start_threads(int *out_fd)
{
	int stop[2], ready[2];
	char byte;
	assert_int_equal(pipe(stop), 0);
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t threads[N_THREADS];
		close(stop[1]);
		for (int i = 1; i < N_THREADS; i++)
			pthread_create(&threads[i], NULL, hold, &stop[0]);
		if (write(ready[1], "", 1) == 1)
			hold(&stop[0]);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(stop[0]);
	*out_fd = stop[1];
	return pid;
}

static void test_targets__those_that_are_no_program_are_refused_with_the_reason(void **state)
{
	(void)state;
	struct cp_err err;
	siginfo_t info;
	assert_int_equal(refused(2147483647, &err), -ESRCH);
	assert_string_equal(err.message, "no such process: 2147483647");
	assert_int_equal(refused(0, &err), -ESRCH);
	pid_t zombie = fork();
	if (zombie == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(refused(zombie, &err), -ESRCH);
	assert_non_null(strstr(err.message, "has ended"));
	assert_int_equal(waitpid(zombie, NULL, 0), zombie);
}

static void test_targets__thread_is_named_with_its_process(void **state)
{
	(void)state;
	struct cp_err err;
	int stop_fd;
	pid_t pid = start_threads(&stop_fd), *tids = NULL;
	size_t n = 0, cap = 0;
	assert_int_equal(procfs_threads(pid, &tids, &n, &cap), 0);
	assert_int_equal(n, N_THREADS);
	pid_t tid = tids[0] == pid ? tids[1] : tids[0];
	assert_int_equal(refused(tid, &err), -EINVAL);
	char expected[64];
	snprintf(expected, sizeof(expected), "%d is a thread of process %d: use -p %d", tid, pid,
		 pid);
	assert_string_equal(err.message, expected);
	free(tids);
	close(stop_fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void open_events(struct perf_events *events)
{
	const struct perf_setup setup = {.rate_hz = 99, .dump_bytes = 1024};
	struct cp_err err = {""};
	if (perf_events_open(&setup, events, &err) != 0)
		fail_msg("%s", err.message);
}

static void test_targets__each_thread_has_an_event_on_each_cpu(void **state)
{
	(void)state;
	int stop_fd;
	pid_t pid = start_threads(&stop_fd);
	struct targets targets;
	struct perf_events events;
	struct perf_probe probe;
	perf_probe_run(pid, &probe);
	assert_int_equal(targets_open(&pid, 1, &targets, NULL), 0);
	open_events(&events);
	assert_int_equal(targets_attach(&targets, &probe, RECORDER_SCOPE_THREADS, &events, NULL),
			 0);
	assert_int_equal(events.n_rings, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(events.n_handles, N_THREADS * events.n_rings);
	for (size_t i = 0; i < events.n_handles; i++)
		assert_int_equal(perf_events_owner(&events, events.handles[i].id),
				 events.handles[i].owner);
	assert_int_equal(perf_events_owner(&events, UINT64_MAX), PERF_OWNER_NONE);
	perf_events_close(&events);
	targets_close(&targets);
	close(stop_fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_targets__too_few_descriptors(void **state)
{
	(void)state;
	int stop_fd;
	pid_t pid = start_threads(&stop_fd);
	struct targets targets;
	struct perf_events events;
	struct perf_probe probe;
	struct cp_err err = {""};
	perf_probe_run(pid, &probe);
	assert_int_equal(targets_open(&pid, 1, &targets, NULL), 0);
	open_events(&events);
	const struct rlimit low = {.rlim_cur = 64, .rlim_max = 64};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	/* where events of all tasks are permitted, one on each CPU does */
	assert_int_equal(targets_attach(&targets, &probe, RECORDER_SCOPE_THREADS, &events, &err),
			 0);
	assert_int_equal(events.setup.follow, PERF_FOLLOW_NONE);
	assert_int_equal(events.n_handles, events.n_rings);
	assert_int_equal(perf_events_owner(&events, events.handles[0].id), PERF_OWNER_SYSTEM);
	/* where not, the limit is the message */
	probe.system_wide = false;
	events.setup.follow = PERF_FOLLOW_CHILDREN;
	assert_int_equal(targets_attach(&targets, &probe, RECORDER_SCOPE_THREADS, &events, &err),
			 -EMFILE);
	assert_non_null(strstr(err.message, "8 threads"));
	assert_non_null(strstr(err.message, "the limit is 64"));
	assert_non_null(strstr(err.message, "ulimit -n"));
	perf_events_close(&events);
	targets_close(&targets);
	close(stop_fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_targets__timers_are_per_cpu_where_that_is_permitted_and_cheap(void **state)
{
	(void)state;
	struct perf_probe probe = {.usable = true, .system_wide = true};
	assert_true(targets_prefer_cpus(&probe, 1, 2));
	assert_true(targets_prefer_cpus(&probe, 1, 32));
	assert_false(targets_prefer_cpus(&probe, 1, 128));
	assert_true(targets_prefer_cpus(&probe, 200, 128));
	probe.hardware_cycles = true;
	assert_false(targets_prefer_cpus(&probe, 200, 128));
	assert_false(targets_prefer_cpus(&probe, 1, 2));
	probe = (struct perf_probe){.usable = true};
	assert_false(targets_prefer_cpus(&probe, 200, 128));
}

static void test_targets__soft_limit_is_raised(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		struct perf_events events = {.n_rings = 4, .n_sizes = 1};
		struct rlimit limit;
		size_t n;
		getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_max = 500;
		limit.rlim_cur = 100;
		setrlimit(RLIMIT_NOFILE, &limit);
		bool fits = perf_events_fit(&events, 100, &n) && n == 500;
		bool too_many = perf_events_fit(&events, 200, &n);
		_exit(fits && !too_many ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_targets__cpu_time_is_divided_as_the_ticks_say(void **state)
{
	(void)state;
	struct cpu_time time =
		cpu_time_divide(1000, (struct cpu_time){.user_ns = 30, .system_ns = 10});
	assert_int_equal(time.user_ns, 750);
	assert_int_equal(time.system_ns, 250);
	time = cpu_time_divide(1000, (struct cpu_time){0});
	assert_int_equal(time.user_ns, 1000);
	assert_int_equal(time.system_ns, 0);
	time = cpu_time_divide(1000, (struct cpu_time){.system_ns = 1});
	assert_int_equal(time.system_ns, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_targets__those_that_are_no_program_are_refused_with_the_reason),
		cmocka_unit_test(test_targets__thread_is_named_with_its_process),
		cmocka_unit_test(test_targets__each_thread_has_an_event_on_each_cpu),
		cmocka_unit_test(
			test_targets__timers_are_per_cpu_where_that_is_permitted_and_cheap),
		cmocka_unit_test(test_targets__soft_limit_is_raised),
		cmocka_unit_test(test_targets__cpu_time_is_divided_as_the_ticks_say),
		/* last: it lowers the hard limit of this process for good */
		cmocka_unit_test(test_targets__too_few_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
