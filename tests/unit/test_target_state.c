#include "cli/target_state.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void test_target_state__of_this_process(void **state)
{
	(void)state;
	/* a name that a naive parser of /proc/PID/stat stumbles on */
	assert_int_equal(prctl(PR_SET_NAME, "a) R 1 (b"), 0);
	struct target_state self;
	target_state_read(getpid(), &self);
	assert_true(self.exists);
	assert_string_equal(self.comm, "a) R 1 (b");
	assert_int_equal(self.state, 'R');
	assert_int_equal(self.threads, 1);
	assert_int_equal(self.uid, geteuid());
	assert_true(self.maps_readable);
	assert_false(self.kernel_thread || self.other_mounts || self.other_pids || self.not_x86_64);
}

static void test_target_state__cpu_time_is_the_processs(void **state)
{
	(void)state;
	struct timespec used;
	volatile unsigned work = 0;
	do {
		work = work + 1;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	} while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < 50);
	struct target_state self;
	target_state_read(getpid(), &self);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	uint64_t now_ns = (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
	/* /proc counts user and system time in ticks of 10 ms, each rounded down */
	assert_true(self.cpu_ns >= 30000000);
	assert_true(self.cpu_ns <= now_ns);
}

static void test_target_state__a_zombie_and_then_nothing(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	struct target_state zombie;
	target_state_read(child, &zombie);
	assert_true(zombie.exists);
	assert_int_equal(zombie.state, 'Z');
	assert_int_equal(waitpid(child, NULL, 0), child);
	target_state_read(child, &zombie);
	assert_false(zombie.exists);
	assert_int_equal(zombie.pid, child);
}

static void test_target_state__every_state_has_words(void **state)
{
	(void)state;
	for (const char *c = "RSDTtZIX?"; *c; c++)
		assert_true(strlen(target_state_word(*c)) > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target_state__of_this_process),
		cmocka_unit_test(test_target_state__cpu_time_is_the_processs),
		cmocka_unit_test(test_target_state__a_zombie_and_then_nothing),
		cmocka_unit_test(test_target_state__every_state_has_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
