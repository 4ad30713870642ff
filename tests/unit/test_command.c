#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/command.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct command start(char *const *argv)
{
	struct command command;
	struct cp_err err = {""};
	if (command_start(argv, &command, &err) != 0)
		fail_msg("%s", err.message);
	return command;
}

static int run(char *const *argv)
{
	struct command command = start(argv);
	assert_int_equal(command_release(&command, argv[0], NULL), 0);
	command_wait(&command, -1, false);
	assert_true(command.reaped);
	return command.wait_status;
}

static void test_command__status_is_that_of_the_command(void **state)
{
	(void)state;
	char *exits[] = {"sh", "-c", "exit 42", NULL};
	char *dies[] = {"sh", "-c", "kill -KILL $$", NULL};
	int status = run(exits);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	status = run(dies);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_command__missing_command_is_said_and_reaped(void **state)
{
	(void)state;
	char *argv[] = {"cprof-no-such-command", NULL};
	struct cp_err err = {""};
	struct command command = start(argv);
	assert_int_equal(command_release(&command, argv[0], &err), -ENOENT);
	assert_string_equal(err.message, "no such command: cprof-no-such-command");
	assert_true(command.reaped);
	assert_false(command.released);
	assert_int_equal(waitpid(command.pid, NULL, 0), -1);
	command_abandon(&command);
}

static void test_command__file_that_is_no_program(void **state)
{
	(void)state;
	char *argv[] = {"/etc/passwd", NULL};
	struct cp_err err = {""};
	struct command command = start(argv);
	assert_int_equal(command_release(&command, argv[0], &err), -EACCES);
	assert_string_equal(err.message, "cannot run /etc/passwd: Permission denied");
}

static void test_command__abandoned_one_never_runs(void **state)
{
	(void)state;
	char path[] = "/tmp/cprof-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	char *argv[] = {"rm", path, NULL};
	struct command command = start(argv);
	command_abandon(&command);
	assert_true(command.reaped);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

static void test_command__stop_request_terminates_it_once(void **state)
{
	(void)state;
	/* it survives the first SIGTERM, and a second one would end it with another status */
	char *argv[] = {"sh", "-c", "trap 'exit 5' TERM; echo; while :; do :; done", NULL};
	int out[2], saved = dup(STDOUT_FILENO);
	assert_int_equal(pipe(out), 0);
	dup2(out[1], STDOUT_FILENO);
	struct command command = start(argv);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(out[1]);
	assert_int_equal(command_release(&command, argv[0], NULL), 0);
	char byte;
	assert_int_equal(read(out[0], &byte, 1), 1); /* the trap is set */
	int stop_fd = eventfd(1, EFD_CLOEXEC);
	command_wait(&command, stop_fd, false);
	assert_true(WIFEXITED(command.wait_status));
	assert_int_equal(WEXITSTATUS(command.wait_status), 5);
	close(stop_fd);
	close(out[0]);
}

static void test_command__inherits_no_descriptor_of_ours_and_our_mask(void **state)
{
	(void)state;
	sigset_t none, old;
	/* 0 1 2, and the directory that ls reads: */
	char *argv[] = {"sh", "-c",
			"test \"$(ls /proc/self/fd | wc -l)\" = 4 && "
			"grep -q '^SigBlk:[[:space:]]*0000000000000000$' /proc/self/status",
			NULL};
	/* what the test's environment left open */
	assert_int_equal(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC), 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, &old);
	int status = run(argv);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command__status_is_that_of_the_command),
		cmocka_unit_test(test_command__missing_command_is_said_and_reaped),
		cmocka_unit_test(test_command__file_that_is_no_program),
		cmocka_unit_test(test_command__abandoned_one_never_runs),
		cmocka_unit_test(test_command__stop_request_terminates_it_once),
		cmocka_unit_test(test_command__inherits_no_descriptor_of_ours_and_our_mask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
