#include "cli/interrupts.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) == 1;
}

static void restore_defaults(void)
{
	interrupts_deinit();
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

static void test_interrupts__each_signal_ends_the_recording(void **state)
{
	(void)state;
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < 3; i++) {
		int fd = -1;
		assert_int_equal(interrupts_init(&fd, NULL), 0);
		assert_false(readable(fd));
		raise(signals[i]);
		assert_true(readable(fd));
		/* the same request twice, as from timeout(1), asks for nothing more */
		raise(signals[i]);
		assert_int_equal(*interrupts_cancel(), 0);
		restore_defaults();
	}
}

static void test_interrupts__the_next_one_cuts_the_rest_short(void **state)
{
	(void)state;
	int fd = -1;
	assert_int_equal(interrupts_init(&fd, NULL), 0);
	raise(SIGINT);
	interrupts_recording_over();
	assert_int_equal(*interrupts_cancel(), 0);
	raise(SIGINT);
	assert_int_equal(*interrupts_cancel(), 1);
	restore_defaults();
}

static void test_interrupts__one_more_ends_the_program(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		int fd = -1;
		if (interrupts_init(&fd, NULL) != 0)
			_exit(1);
		interrupts_recording_over();
		raise(SIGINT);
		raise(SIGINT);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGINT);
}

static void test_interrupts__nohup_is_respected(void **state)
{
	(void)state;
	signal(SIGHUP, SIG_IGN);
	int fd = -1;
	assert_int_equal(interrupts_init(&fd, NULL), 0);
	raise(SIGHUP);
	assert_false(readable(fd));
	restore_defaults();
}

static void test_interrupts__sigint_counts_also_where_a_shell_ignored_it(void **state)
{
	(void)state;
	signal(SIGINT, SIG_IGN);
	int fd = -1;
	assert_int_equal(interrupts_init(&fd, NULL), 0);
	raise(SIGINT);
	assert_true(readable(fd));
	restore_defaults();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupts__each_signal_ends_the_recording),
		cmocka_unit_test(test_interrupts__the_next_one_cuts_the_rest_short),
		cmocka_unit_test(test_interrupts__one_more_ends_the_program),
		cmocka_unit_test(test_interrupts__nohup_is_respected),
		cmocka_unit_test(test_interrupts__sigint_counts_also_where_a_shell_ignored_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
