#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/recording.h"

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
	assert_string_equal(profile_header_get(profile, HEADER_LOST_SCOPE),
			    scope == RECORDER_SCOPE_CPUS ? "cpus" : "target");
	assert_int_equal(result.lost_of_cpus, scope == RECORDER_SCOPE_CPUS);
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
		first_in_line();
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
		TEST(ends_on_request_and_leaves_the_target_alone),
		TEST(idle_target_gives_a_file_without_samples),
		TEST(commands_status_is_passed_on),
		TEST(unknown_command_leaves_everything_as_it_was),
		TEST(command_is_ended_with_the_recording),
	};
	const struct CMUnitTest once[] = {
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
