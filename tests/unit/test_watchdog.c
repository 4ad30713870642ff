/* A recorder that hangs, played by a child of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/procfs.h"
#include "capture/watchdog.h"

#include "../support/first_in_line.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	_Atomic uint64_t rounds;
	_Atomic pid_t watchdog;
};

static struct shared *shared;

static int setup(void **state)
{
	(void)state;
	first_in_line();
	/* the orphaned watchdog is ours to reap */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return shared == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(shared, sizeof(*shared));
}

static pid_t start_target(void)
{
	const pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			shared->rounds++;
	}
	return pid;
}

enum behaviour { HOLDS_AND_HANGS, HANGS, WORKS_ON };

static void play_recorder(pid_t target, enum behaviour behaviour)
{
	struct watchdog watchdog;
	struct cp_err err;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* on a busy machine one that works stood still else, for want of a CPU */
	first_in_line();
	/* its message is not the test's output */
	if (watchdog_start(&watchdog, &err) < 0 || ptrace(PTRACE_SEIZE, target, NULL, NULL) < 0)
		_exit(1);
	shared->watchdog = watchdog.pid;
	watchdog_note(&watchdog, 0, target);
	if (behaviour != HANGS) {
		ptrace(PTRACE_INTERRUPT, target, NULL, NULL);
		waitpid(target, NULL, __WALL);
	}
	while (behaviour == WORKS_ON)
		watchdog_note(&watchdog, 0, target);
	raise(SIGSTOP);
	_exit(2);
}

static pid_t start_recorder(pid_t target, enum behaviour behaviour)
{
	shared->watchdog = 0;
	const pid_t pid = fork();
	if (pid == 0)
		play_recorder(target, behaviour);
	while (!shared->watchdog)
		sched_yield();
	return pid;
}

static void assert_runs(pid_t target)
{
	char state;
	const uint64_t before = shared->rounds;
	while (shared->rounds == before)
		sched_yield();
	assert_int_equal(procfs_tracer(target, &state), 0);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_watchdog__frees_a_target_that_is_held_by_a_hung_recorder(void **state)
{
	(void)state;
	int status;
	const pid_t target = start_target();
	const pid_t recorder = start_recorder(target, HOLDS_AND_HANGS);
	assert_int_equal(waitpid(recorder, &status, WUNTRACED), recorder);
	assert_true(WIFSTOPPED(status));
	const uint64_t hung_ns = clock_now_ns();
	assert_int_equal(waitpid(recorder, &status, 0), recorder);
	/* half a second, and what a busy machine makes of it */
	assert_true(clock_now_ns() - hung_ns < 2 * CLOCK_NS_PER_S);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_runs(target);
	/* and ends itself */
	assert_int_equal(waitpid(shared->watchdog, &status, 0), shared->watchdog);
	assert_true(WIFEXITED(status));
	end(target);
}

/* Longer than a recorder may hang; then it is ended, and what it leaves behind as well. */
static void expect_left_alone(pid_t target, pid_t recorder)
{
	int status;
	const struct timespec time = {.tv_nsec = 900000000};
	nanosleep(&time, NULL);
	assert_int_equal(waitpid(recorder, &status, WNOHANG), 0);
	end(recorder);
	assert_int_equal(waitpid(shared->watchdog, &status, 0), shared->watchdog);
	assert_runs(target);
	end(target);
}

static void test_watchdog__leaves_a_recorder_alone_that_holds_nothing(void **state)
{
	(void)state;
	int status;
	const pid_t target = start_target();
	const pid_t recorder = start_recorder(target, HANGS);
	assert_int_equal(waitpid(recorder, &status, WUNTRACED), recorder);
	expect_left_alone(target, recorder);
}

static void test_watchdog__leaves_a_recorder_alone_that_works(void **state)
{
	(void)state;
	const pid_t target = start_target();
	expect_left_alone(target, start_recorder(target, WORKS_ON));
}

static void test_watchdog__stops_when_it_is_told(void **state)
{
	(void)state;
	struct watchdog watchdog;
	struct cp_err err;
	assert_int_equal(watchdog_start(&watchdog, &err), 0);
	const pid_t pid = watchdog.pid;
	watchdog_stop(&watchdog);
	assert_int_equal(waitpid(pid, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
	watchdog_stop(&watchdog); /* all-zero now */
	watchdog_note(&watchdog, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_watchdog__frees_a_target_that_is_held_by_a_hung_recorder, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_watchdog__leaves_a_recorder_alone_that_holds_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog__leaves_a_recorder_alone_that_works,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog__stops_when_it_is_told, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
