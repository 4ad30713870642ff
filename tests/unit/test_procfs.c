#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/procfs.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void test_procfs__another_namespaces_is_told(void **state)
{
	(void)state;
	char root[] = "/tmp/cprof-test-XXXXXX", path[64], own[16];
	struct cp_err err;
	assert_int_equal(procfs_check("", &err), 0);
	assert_non_null(mkdtemp(root));
	assert_int_equal(procfs_check(root, &err), -ENOENT);
	assert_non_null(strstr(err.message, "mount -t proc"));
	snprintf(path, sizeof(path), "%s/proc", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/proc/self", root);
	snprintf(own, sizeof(own), "%d", getpid() + 1);
	assert_int_equal(symlink(own, path), 0);
	assert_int_equal(procfs_check(root, &err), -ESRCH);
	assert_non_null(strstr(err.message, "another PID namespace"));
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/proc", root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(root), 0);
}

static void test_procfs__quotes_only_what_needs_them(void **state)
{
	(void)state;
	static const struct {
		const char *argument, *quoted;
	} CASES[] = {
		{"simple", "simple"},
		{"--key=/a/b.c", "--key=/a/b.c"},
		{"two words", "'two words'"},
		{"", "''"},
		{"it's", "'it'\\''s'"},
		{"$HOME", "'$HOME'"},
		{"a\nb", "'a b'"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char buf[64] = "";
		procfs_quote(buf, sizeof(buf), CASES[i].argument);
		assert_string_equal(buf, CASES[i].quoted);
	}
	char line[64] = "";
	procfs_quote(line, sizeof(line), "a");
	procfs_quote(line, sizeof(line), "b c");
	assert_string_equal(line, "a 'b c'");
}

static void test_procfs__quoting_stays_in_its_buffer(void **state)
{
	(void)state;
	for (size_t cap = 1; cap < 40; cap++) {
		char *buf = malloc(cap); /* of just that size, for the sanitizer */
		assert_non_null(buf);
		buf[0] = 0;
		procfs_quote(buf, cap, "it's it's");
		procfs_quote(buf, cap, "''''''''''''''''");
		assert_true(strlen(buf) < cap);
		free(buf);
	}
}

static void test_procfs__stat_of_this_process(void **state)
{
	(void)state;
	/* a name that would confuse whoever splits at spaces or at the first parenthesis */
	prctl(PR_SET_NAME, "a) R 1 (b");
	struct procfs_stat stat;
	assert_int_equal(procfs_stat(getpid(), &stat), 0);
	assert_int_equal(stat.state, 'R');
	assert_int_equal(stat.n_threads, 1);
	assert_false(stat.kernel_thread);
	assert_int_equal(stat.parent, getppid());
	char comm[PROCFS_COMM_MAX];
	assert_true(procfs_comm(getpid(), getpid(), comm));
	assert_string_equal(comm, "a) R 1 (b");
	assert_int_equal(procfs_stat(INT_MAX, &stat), -ESRCH);
	assert_false(procfs_comm(getpid(), INT_MAX, comm));
}

static uint64_t own_cpu_ns(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static void test_procfs__cpu_time_is_in_nanoseconds(void **state)
{
	(void)state;
	struct procfs_stat stat;
	while (own_cpu_ns() < 200000000)
		;
	uint64_t before_ns = own_cpu_ns();
	assert_int_equal(procfs_stat(getpid(), &stat), 0);
	/* clock ticks of 10 ms, user and system time both rounded down */
	uint64_t used_ns = stat.user_ns + stat.system_ns;
	assert_true(used_ns + 20000000 > before_ns && used_ns <= own_cpu_ns());
}

static void test_procfs__start_is_on_the_clock_of_the_records(void **state)
{
	(void)state;
	struct procfs_stat stat;
	uint64_t before_ns = clock_now_ns();
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	uint64_t after_ns = clock_now_ns();
	assert_int_equal(procfs_stat(pid, &stat), 0);
	/* rounded down to a tick of 10 ms */
	assert_true(stat.started_ns + 11000000 > before_ns);
	assert_true(stat.started_ns <= after_ns);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_procfs__ended_processes(void **state)
{
	(void)state;
	siginfo_t info;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	struct procfs_stat stat;
	assert_int_equal(procfs_stat(pid, &stat), 0);
	assert_int_equal(stat.state, 'Z');
	assert_true(procfs_has_ended(pid));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(procfs_has_ended(pid));
	assert_false(procfs_has_ended(getpid()));
}

static void *leave_the_first_thread(void *pipe_end)
{
	char byte;
	if (read(*(int *)pipe_end, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

static void test_procfs__process_without_its_first_thread_runs_on(void **state)
{
	(void)state;
	int stop[2];
	struct procfs_stat stat;
	assert_int_equal(pipe(stop), 0);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		close(stop[1]);
		pthread_create(&thread, NULL, leave_the_first_thread, &stop[0]);
		pthread_exit(NULL);
	}
	do
		assert_int_equal(procfs_stat(pid, &stat), 0);
	while (stat.state != 'Z');
	assert_false(procfs_has_ended(pid));
	close(stop[0]);
	close(stop[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_procfs__owner_and_thread_group(void **state)
{
	(void)state;
	uid_t uid;
	pid_t tgid;
	assert_int_equal(procfs_owner(getpid(), &uid, &tgid), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(tgid, getpid());
	assert_int_equal(procfs_owner(INT_MAX, &uid, &tgid), -ESRCH);
}

static void test_procfs__threads_are_listed(void **state)
{
	(void)state;
	pid_t *tids = NULL;
	size_t n = 0, cap = 0;
	assert_int_equal(procfs_threads(getpid(), &tids, &n, &cap), 0);
	assert_int_equal(n, 1);
	assert_int_equal(tids[0], getpid());
	assert_int_equal(procfs_threads(INT_MAX, &tids, &n, &cap), -ESRCH);
	free(tids);
}

static void test_procfs__main_executable(void **state)
{
	(void)state;
	uint64_t start = 0, code = (uint64_t)(uintptr_t)&test_procfs__main_executable;
	assert_true(procfs_exe_start(getpid(), &start));
	assert_int_equal(start % 4096, 0);
	assert_true(start <= code && code - start < 100000000);
	assert_false(procfs_exe_start(INT_MAX, &start));
}

static void test_procfs__command_line(void **state)
{
	(void)state;
	char command[4096];
	procfs_command(getpid(), command, sizeof(command));
	assert_non_null(strstr(command, "test_procfs"));
	procfs_command(INT_MAX, command, sizeof(command));
	assert_string_equal(command, "");
}

static void test_procfs__online_cpus(void **state)
{
	(void)state;
	int cpus[4096];
	size_t n = procfs_online_cpus(cpus, 4096);
	assert_int_equal(n, sysconf(_SC_NPROCESSORS_ONLN));
	for (size_t i = 1; i < n; i++)
		assert_true(cpus[i] > cpus[i - 1]);
	assert_int_equal(procfs_online_cpus(cpus, 1), 1);
}

static void test_procfs__processes_are_listed(void **state)
{
	(void)state;
	pid_t *pids = NULL;
	size_t n = 0, cap = 0;
	bool self = false, first = false;
	assert_int_equal(procfs_processes(&pids, &n, &cap), 0);
	for (size_t i = 0; i < n; i++) {
		self = self || pids[i] == getpid();
		first = first || pids[i] == 1;
	}
	assert_true(self && first);
	free(pids);
}

static void test_procfs__machine_time_is_less_than_what_its_cpus_had(void **state)
{
	(void)state;
	uint64_t user_ns, system_ns, before_ns;
	struct timespec up;
	assert_int_equal(procfs_machine_time(&user_ns, &system_ns), 0);
	clock_gettime(CLOCK_BOOTTIME, &up);
	assert_true(user_ns + system_ns > 0);
	assert_true(user_ns + system_ns <= (uint64_t)(up.tv_sec + 1) * 1000000000 *
						   (uint64_t)sysconf(_SC_NPROCESSORS_CONF));
	/* our own time is in it: some ticks of 10 ms */
	before_ns = user_ns + system_ns;
	for (clock_t end = clock() + CLOCKS_PER_SEC / 10; clock() < end;)
		;
	assert_int_equal(procfs_machine_time(&user_ns, &system_ns), 0);
	assert_true(user_ns + system_ns >= before_ns + 70000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_procfs__quotes_only_what_needs_them),
		cmocka_unit_test(test_procfs__quoting_stays_in_its_buffer),
		cmocka_unit_test(test_procfs__stat_of_this_process),
		cmocka_unit_test(test_procfs__start_is_on_the_clock_of_the_records),
		cmocka_unit_test(test_procfs__cpu_time_is_in_nanoseconds),
		cmocka_unit_test(test_procfs__ended_processes),
		cmocka_unit_test(test_procfs__process_without_its_first_thread_runs_on),
		cmocka_unit_test(test_procfs__owner_and_thread_group),
		cmocka_unit_test(test_procfs__threads_are_listed),
		cmocka_unit_test(test_procfs__processes_are_listed),
		cmocka_unit_test(test_procfs__machine_time_is_less_than_what_its_cpus_had),
		cmocka_unit_test(test_procfs__main_executable),
		cmocka_unit_test(test_procfs__command_line),
		cmocka_unit_test(test_procfs__another_namespaces_is_told),
		cmocka_unit_test(test_procfs__online_cpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
