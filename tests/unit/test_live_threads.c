/* The threads of child processes and of this one, whose births and ends the test knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/live_programs.h"
#include "capture/live_threads.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct processes *processes;
static struct live_threads live;

static int setup(void **state)
{
	(void)state;
	if (processes_create(&processes) < 0)
		return -1;
	live = (struct live_threads){.processes = processes, .follow_children = true};
	live_threads_init(&live);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	live_threads_deinit(&live);
	assert_int_equal(live.n_fds, 0);
	processes_destroy(processes);
	return 0;
}

/* A round of all of them: each has its turn once. */
static struct live_thread *find(pid_t tid, struct live_process **process)
{
	struct live_thread *found = NULL;
	for (size_t i = 0; i < live.n_threads; i++) {
		struct live_process *of;
		struct live_thread *thread = live_threads_next(&live, &of);
		assert_non_null(thread);
		if (thread->tid != tid)
			continue;
		assert_null(found);
		found = thread;
		*process = of;
	}
	return found;
}

struct other {
	pthread_t thread;
	_Atomic pid_t tid;
	_Atomic bool end;
};

static void *spin(void *arg)
{
	struct other *other = arg;
	prctl(PR_SET_NAME, "spinner");
	for (other->tid = gettid(); !other->end;)
		;
	return NULL;
}

static void begin(struct other *other)
{
	*other = (struct other){0};
	assert_int_equal(pthread_create(&other->thread, NULL, spin, other), 0);
	while (!other->tid)
		sched_yield();
}

static void finish(struct other *other)
{
	other->end = true;
	pthread_join(other->thread, NULL);
}

static void update(void)
{
	/* everything is due */
	assert_int_equal(live_threads_update(&live, clock_now_ns() + 10 * CLOCK_NS_PER_S), 0);
}

static void burn(uint64_t ns)
{
	const uint64_t until_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
	while (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) < until_ns)
		;
}

static void test_live_threads__births_and_ends(void **state)
{
	(void)state;
	struct other before, after;
	struct live_process *process;
	const pid_t pid = getpid();
	begin(&before);
	burn(50000000);
	assert_int_equal(live_threads_add(&live, pid, false), 0);
	assert_int_equal(live.n_threads, 2);
	/* what it has used already does not count */
	assert_in_range(find(pid, &process)->cpu_ns, 40000000, UINT64_MAX);
	begin(&after);
	update();
	assert_int_equal(live.n_threads, 3);
	assert_int_equal(find(after.tid, &process)->cpu_ns, 0);
	assert_int_equal(process->pid, pid);
	finish(&before);
	finish(&after);
	const uint64_t known_ns = find(pid, &process)->cpu_ns;
	/* the kernel takes a moment after the join */
	while (live.n_threads > 1)
		update();
	assert_null(find(before.tid, &process));
	assert_int_equal(find(pid, &process)->cpu_ns, known_ns);
}

static void *burn_and_end(void *arg)
{
	const uint64_t *ns = arg;
	burn(*ns);
	return NULL;
}

static void test_live_threads__time_of_threads_that_ended_unmet_is_counted(void **state)
{
	(void)state;
	enum { THREADS = 5 };
	uint64_t each_ns = 20000000;
	struct live_process *process;
	clockid_t clock;
	pthread_t thread;
	burn(50000000);
	assert_int_equal(live_threads_add(&live, getpid(), false), 0);
	assert_int_equal(clock_getcpuclockid(getpid(), &clock), 0);
	const uint64_t start_ns = clock_read_ns(clock);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&thread, NULL, burn_and_end, &each_ns), 0);
		pthread_join(thread, NULL);
	}
	assert_non_null(find(getpid(), &process));
	process->sampled_ns = 3000000;
	live_threads_look_at_clocks(&live);
	/* less what was used between adding and the start, more what was since the look */
	assert_in_range(live_threads_unsampled_ns(&live), THREADS * each_ns - 3000000,
			clock_read_ns(clock) - start_ns + CLOCK_NS_PER_S / 100);
}

/* As a child, which is counted from its birth on. */
static void test_live_threads__time_of_a_process_that_ended_unmet_is_counted(void **state)
{
	(void)state;
	siginfo_t info;
	const pid_t child = fork();
	if (child == 0) {
		burn(30000000);
		_exit(0);
	}
	assert_int_equal(live_threads_add(&live, child, true), 0);
	/* it has ended, and is there until its parent has seen that */
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	update();
	assert_int_equal(waitpid(child, NULL, 0), child);
	update();
	assert_int_equal(live.n, 0);
	assert_in_range(live_threads_unsampled_ns(&live), 30000000, CLOCK_NS_PER_S);
}

static void test_live_threads__a_birth_is_noticed_before_the_list_is_due(void **state)
{
	(void)state;
	struct other other;
	struct live_process *process;
	assert_int_equal(live_threads_add(&live, getpid(), false), 0);
	begin(&other);
	assert_int_equal(live_threads_update(&live, clock_now_ns()), 0);
	assert_non_null(find(other.tid, &process));
	finish(&other);
}

static void test_live_threads__who_runs_and_who_waits(void **state)
{
	(void)state;
	struct other other;
	struct live_process *process;
	begin(&other);
	const pid_t sleeper = fork();
	if (sleeper == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(live_threads_add(&live, getpid(), false), 0);
	assert_int_equal(live_threads_add(&live, sleeper, false), 0);
	assert_true(live_thread_is_running(find(other.tid, &process)));
	while (live_thread_is_running(find(sleeper, &process)))
		sched_yield();
	kill(sleeper, SIGKILL);
	waitpid(sleeper, NULL, 0);
	assert_false(live_thread_is_running(find(sleeper, &process)));
	assert_true(find(sleeper, &process)->has_ended);
	update();
	assert_null(find(sleeper, &process));
	assert_int_equal(live.n, 1);
	finish(&other);
}

static void test_live_threads__names_are_those_of_now(void **state)
{
	(void)state;
	struct other other;
	struct live_process *process;
	begin(&other);
	assert_int_equal(live_threads_add(&live, getpid(), false), 0);
	const struct thread *thread =
		live_thread_named(&live, find(other.tid, &process), clock_now_ns());
	assert_string_equal(thread->name, "spinner");
	pthread_setname_np(other.thread, "renamed");
	thread = live_thread_named(&live, find(other.tid, &process),
				   clock_now_ns() + 2 * CLOCK_NS_PER_S);
	assert_string_equal(thread->name, "renamed");
	finish(&other);
}

static void test_live_threads__children_are_followed_or_not(void **state)
{
	(void)state;
	struct live_process *process;
	int pair[2];
	char byte;
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(live_threads_add(&live, getpid(), false), 0);
	const pid_t child = fork();
	if (child == 0) {
		fork(); /* a grandchild */
		close(pair[1]);
		_exit(read(pair[0], &byte, 1) < 0);
	}
	while (live.n < 3)
		update();
	assert_non_null(find(child, &process));
	assert_int_equal(find(child, &process)->cpu_ns, 0);
	close(pair[1]);
	waitpid(child, NULL, 0);
	live_threads_deinit(&live);
	live.follow_children = false;
	assert_int_equal(live_threads_add(&live, getpid(), false), 0);
	const pid_t unknown = fork();
	if (unknown == 0) {
		pause();
		_exit(0);
	}
	update();
	assert_int_equal(live.n, 1);
	kill(unknown, SIGKILL);
	waitpid(unknown, NULL, 0);
	close(pair[0]);
}

static pid_t fork_sleeper(void)
{
	const pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	return child;
}

/* What they have used before would be told as used in the recording. */
static void test_live_threads__children_from_before_are_not_followed(void **state)
{
	(void)state;
	/* their births are told in ticks of 10 ms */
	const struct timespec ticks = {.tv_nsec = 50000000};
	struct live_process *process;
	const pid_t before = fork_sleeper();
	nanosleep(&ticks, NULL);
	live_threads_init(&live);
	assert_int_equal(live_threads_add(&live, getpid(), false), 0);
	const pid_t after = fork_sleeper();
	while (live.n < 2)
		update();
	update();
	assert_int_equal(live.n, 2);
	assert_non_null(find(after, &process));
	assert_null(find(before, &process));
	kill(before, SIGKILL);
	kill(after, SIGKILL);
	waitpid(before, NULL, 0);
	waitpid(after, NULL, 0);
}

static void test_live_threads__another_program_is_noticed(void **state)
{
	(void)state;
	struct live_process *process;
	int go[2];
	char byte;
	/* shared by the program of now only */
	char *here = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	here[0] = 1;
	assert_int_equal(pipe(go), 0);
	const pid_t child = fork();
	if (child == 0) {
		if (read(go[0], &byte, 1) == 1)
			execl("/bin/sleep", "sleep", "600", NULL);
		_exit(1);
	}
	assert_int_equal(processes_scan(processes, child, NULL), 0);
	assert_int_equal(live_threads_add(&live, child, false), 0);
	find(child, &process);
	assert_false(live_programs_has_changed(&live, process, (uint64_t)(uintptr_t)here));
	assert_int_equal(live.execs, 0);
	assert_int_equal(write(go[1], "x", 1), 1);
	while (!live_programs_has_changed(&live, process, (uint64_t)(uintptr_t)here))
		sched_yield();
	/* between the two programs there may be one look that saw neither */
	while (strcmp(processes_find(processes, child)->comm, "sleep") != 0)
		update();
	assert_in_range(live.execs, 1, 2);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(go[0]);
	close(go[1]);
	munmap(here, 4096);
}

static void test_live_threads__nobody(void **state)
{
	(void)state;
	assert_int_equal(live_threads_add(&live, INT_MAX, false), -ESRCH);
	assert_int_equal(live.n, 0);
	update();
}

/* Taken for ended, it would be begun anew, and all its CPU time would count once more. */
static void test_live_threads__one_that_cannot_be_looked_at_has_not_ended(void **state)
{
	(void)state;
	struct live_thread self = {.pid = getpid(), .tid = gettid(), .syscall_fd = -1};
	struct rlimit limit, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	const bool runs = live_thread_is_running(&self);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_false(runs);
	assert_false(self.has_ended);
	self.tid = 1 << 22; /* pid_max at the most */
	assert_false(live_thread_is_running(&self));
	assert_true(self.has_ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_threads__one_that_cannot_be_looked_at_has_not_ended),
		cmocka_unit_test_setup_teardown(test_live_threads__births_and_ends, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_live_threads__time_of_threads_that_ended_unmet_is_counted, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_live_threads__time_of_a_process_that_ended_unmet_is_counted, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_live_threads__a_birth_is_noticed_before_the_list_is_due, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_live_threads__who_runs_and_who_waits, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_live_threads__names_are_those_of_now, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_live_threads__children_are_followed_or_not,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_live_threads__children_from_before_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_live_threads__another_program_is_noticed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_live_threads__nobody, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
