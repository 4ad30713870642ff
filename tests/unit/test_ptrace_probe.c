#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/ptrace_probe.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is said of a process that anybody may trace. */
static struct ptrace_facts permitted(void)
{
	return (struct ptrace_facts){
		.pid = 42,
		.exists = true,
		.yama_scope = -1,
		.uid = 1000,
		.own_uid = 1000,
		.readable = true,
	};
}

static struct ptrace_probe judge(const struct ptrace_facts *facts)
{
	struct ptrace_probe probe;
	ptrace_probe_judge(facts, &probe);
	return probe;
}

static void assert_refused(const struct ptrace_facts *facts, int error, const char *reason,
			   const char *remedy)
{
	const struct ptrace_probe probe = judge(facts);
	assert_false(probe.usable);
	assert_int_equal(probe.error, error);
	if (!strstr(probe.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", probe.reason, reason);
	if (!strstr(probe.remedy, remedy))
		fail_msg("\"%s\" does not say \"%s\"", probe.remedy, remedy);
}

static void test_ptrace_probe__what_is_permitted(void **state)
{
	(void)state;
	struct ptrace_facts facts = permitted();
	assert_true(judge(&facts).usable);
	/* whatever else is so: what counts is that the kernel says yes */
	facts.yama_scope = 1;
	assert_true(judge(&facts).usable);
	facts.uid = 0;
	assert_true(judge(&facts).usable);
	facts.yama_scope = 2;
	facts.capable = true;
	assert_true(judge(&facts).usable);
	assert_string_equal(judge(&facts).reason, "");
}

static void test_ptrace_probe__what_no_permission_helps_against(void **state)
{
	(void)state;
	struct ptrace_facts facts = permitted();
	facts.exists = false;
	assert_refused(&facts, ESRCH, "no such process: 42", "pgrep");
	facts = permitted();
	facts.has_ended = true;
	assert_refused(&facts, ESRCH, "has ended", "");
	facts = permitted();
	facts.kernel_thread = true;
	assert_refused(&facts, EPERM, "thread of the kernel", "");
	facts = permitted();
	facts.runs_32_bit = true;
	assert_refused(&facts, ENOTSUP, "32-bit", "");
	facts = permitted();
	facts.is_self = true;
	assert_refused(&facts, EPERM, "cprof itself", "");
}

static void test_ptrace_probe__says_who_traces_it(void **state)
{
	(void)state;
	struct ptrace_facts facts = permitted();
	facts.tracer = 77;
	assert_refused(&facts, EBUSY, "traced already, by 77;", "end that one");
	snprintf(facts.tracer_name, sizeof(facts.tracer_name), "gdb");
	assert_refused(&facts, EBUSY, "traced already, by 77 (gdb);", "perf");
}

static void test_ptrace_probe__yama_scopes(void **state)
{
	(void)state;
	struct ptrace_facts facts = permitted();
	facts.readable = false;
	facts.yama_scope = 1;
	assert_refused(&facts, EPERM, "kernel.yama.ptrace_scope is 1", "cprof record -- CMD");
	assert_refused(&facts, EPERM, "only a process that started 42", "ptrace_scope=0");
	facts.yama_scope = 2;
	assert_refused(&facts, EPERM, "kernel.yama.ptrace_scope is 2", "cap_sys_ptrace");
	facts.yama_scope = 3;
	assert_refused(&facts, EPERM, "kernel.yama.ptrace_scope is 3", "reboot");
	/* nobody: not those with the capability either, whatever the file that was read says */
	facts.capable = facts.readable = true;
	assert_refused(&facts, EPERM, "kernel.yama.ptrace_scope is 3", "perf");
}

static void test_ptrace_probe__yama_is_not_blamed_for_another_user(void **state)
{
	(void)state;
	struct ptrace_facts facts = permitted();
	facts.readable = false;
	facts.uid = 33;
	facts.yama_scope = 1;
	assert_refused(&facts, EPERM, "belongs to uid 33, cprof runs as uid 1000", "that user");
	/* one of ours, that Yama lets through: it hides itself */
	facts.uid = 1000;
	facts.is_descendant = true;
	assert_refused(&facts, EPERM, "not dumpable", "sudo");
	facts.yama_scope = 0;
	facts.is_descendant = false;
	assert_refused(&facts, EPERM, "not dumpable", "sudo");
	facts.capable = true;
	assert_refused(&facts, EPERM, "another user namespace", "outside of this container");
}

static void test_ptrace_probe__a_sandbox_that_refuses_the_call(void **state)
{
	(void)state;
	struct ptrace_facts facts = permitted();
	facts.call_refused = true;
	assert_refused(&facts, EPERM, "sandbox", "--cap-add SYS_PTRACE");
	facts.has_filter = true;
	assert_refused(&facts, EPERM, "seccomp filter", "--cap-add SYS_PTRACE");
	facts.call_refused = false;
	facts.memory_refused = true;
	assert_refused(&facts, EPERM, "process_vm_readv() is refused", "--cap-add SYS_PTRACE");
}

static char root[64];

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/cprof-test-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static int remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A /proc of files. */
static void write_file(const char *path, const char *text)
{
	char full[PATH_MAX];
	const int n = snprintf(full, sizeof(full), "%s%s", root, path);
	assert_in_range(n, 1, sizeof(full) - 1);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(full, 0700);
		*slash = '/';
	}
	FILE *file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void test_ptrace_probe__facts_are_read_from_files(void **state)
{
	(void)state;
	struct ptrace_facts facts;
	write_file("/proc/self/status", "Name:\tcprof\nCapEff:\t0000000000080000\nSeccomp:\t2\n");
	write_file("/proc/sys/kernel/yama/ptrace_scope", "2\n");
	write_file("/proc/42/status",
		   "Name:\tserver\nState:\tS (sleeping)\nPid:\t42\nPPid:\t1\nTracerPid:\t77\n"
		   "Uid:\t7\t8\t9\t10\nVmSize:\t 100 kB\nThreads:\t3\n");
	write_file("/proc/77/comm", "strace\n");
	ptrace_facts_read(root, 42, &facts);
	assert_true(facts.exists);
	assert_true(facts.capable); /* bit 19 */
	assert_true(facts.has_filter);
	assert_int_equal(facts.yama_scope, 2);
	assert_int_equal(facts.uid, 8);
	assert_int_equal(facts.tracer, 77);
	assert_string_equal(facts.tracer_name, "strace");
	assert_false(facts.readable);
	assert_false(facts.kernel_thread || facts.has_ended || facts.runs_32_bit ||
		     facts.is_descendant);
	write_file("/proc/42/syscall", "running\n");
	write_file("/proc/42/exe", "\177ELF\1\1\1");
	write_file("/proc/sys/kernel/yama/ptrace_scope", "0\n");
	ptrace_facts_read(root, 42, &facts);
	assert_true(facts.readable);
	assert_int_equal(facts.yama_scope, 0);
	ptrace_facts_read(root, 43, &facts);
	assert_false(facts.exists);
}

static void test_ptrace_probe__kernel_threads_zombies_and_lost_leaders(void **state)
{
	(void)state;
	struct ptrace_facts facts;
	write_file("/proc/2/status", "Name:\tkthreadd\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\n");
	ptrace_facts_read(root, 2, &facts);
	assert_true(facts.kernel_thread);
	assert_int_equal(facts.yama_scope, -1);
	write_file("/proc/3/status",
		   "Name:\ta\nState:\tZ (zombie)\nUid:\t0\t0\t0\t0\nThreads:\t1\n");
	ptrace_facts_read(root, 3, &facts);
	assert_true(facts.has_ended);
	assert_false(facts.kernel_thread);
	/* its first thread has ended, others go on */
	write_file("/proc/4/status",
		   "Name:\ta\nState:\tZ (zombie)\nUid:\t0\t0\t0\t0\nThreads:\t3\n");
	ptrace_facts_read(root, 4, &facts);
	assert_false(facts.has_ended || facts.kernel_thread);
}

static void test_ptrace_probe__of_real_processes(void **state)
{
	(void)state;
	struct ptrace_probe probe;
	const pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	ptrace_probe_run(child, &probe);
	assert_string_equal(probe.reason, "");
	assert_true(probe.usable);
	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	ptrace_probe_run(child, &probe);
	assert_int_equal(probe.error, EBUSY);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ptrace_probe_run(INT_MAX, &probe);
	assert_int_equal(probe.error, ESRCH);
	ptrace_probe_run(getpid(), &probe);
	assert_int_equal(probe.error, EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ptrace_probe__what_is_permitted),
		cmocka_unit_test(test_ptrace_probe__what_no_permission_helps_against),
		cmocka_unit_test(test_ptrace_probe__says_who_traces_it),
		cmocka_unit_test(test_ptrace_probe__yama_scopes),
		cmocka_unit_test(test_ptrace_probe__yama_is_not_blamed_for_another_user),
		cmocka_unit_test(test_ptrace_probe__a_sandbox_that_refuses_the_call),
		cmocka_unit_test_setup_teardown(test_ptrace_probe__facts_are_read_from_files,
						make_root, remove_root),
		cmocka_unit_test_setup_teardown(
			test_ptrace_probe__kernel_threads_zombies_and_lost_leaders, make_root,
			remove_root),
		cmocka_unit_test(test_ptrace_probe__of_real_processes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
