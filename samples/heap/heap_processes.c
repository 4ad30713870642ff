/*
 * heap_processes: processes that become two, become another, or end badly.
 *
 *	fork       a child that allocates, frees what it inherited, and ends
 *	vfork      children by vfork() and posix_spawn()
 *	exec       becomes "heap_basic plain" (PATH); what it had is gone
 *	segv, abort, kill   a crash, after the truth
 *	daemon     closes every file descriptor, uses their numbers anew
 *	strict     seccomp's strict mode: read, write and exit only
 *	setuid     ends at once; as a setuid program nothing is recorded of it
 */
#include "heap_truth.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static HEAP_NOINLINE void *parent_make(size_t size)
{
	return HEAP_AT(malloc(size), size);
}

static HEAP_NOINLINE void child_make(void)
{
	for (int i = 0; i < 1000; i++)
		HEAP_AT(malloc(5000), 5000);
}

static int wait_for(pid_t child)
{
	int status;
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int run_fork(int argc, char **argv)
{
	void *inherited[10];
	int status;
	(void)argc, (void)argv;
	for (size_t i = 0; i < 10; i++)
		inherited[i] = parent_make(100 + i);
	pid_t child = fork();
	if (child == 0) {
		for (size_t i = 0; i < 10; i++)
			heap_free(inherited[i]);
		child_make();
		_exit(7);
	}
	status = wait_for(child);
	parent_make(200);
	heap_truth_end();
	return status == 7 ? 0 : 1;
}

static int run_vfork(int argc, char **argv)
{
	char program[] = "true";
	char *args[] = {program, NULL};
	pid_t child;
	(void)argc, (void)argv;
	parent_make(300);
	child = vfork(); // NOLINT: this is what is tested
	if (child == 0)
		_exit(9);
	if (wait_for(child) != 9)
		return 1;
	parent_make(301);
	for (int i = 0; i < 20; i++)
		if (posix_spawnp(&child, "true", NULL, NULL, args, environ) || wait_for(child) != 0)
			return 1;
	parent_make(302);
	heap_truth_end();
	return 0;
}

static int run_exec(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	parent_make(4444);
	execl(argv[1], argv[1], "plain", (char *)NULL);
	return 1;
}

static int run_signal(int number)
{
	for (size_t i = 0; i < 30; i++)
		parent_make(60 + i);
	heap_truth_end();
	raise(number);
	return 1;
}

static int run_segv(int argc, char **argv)
{
	(void)argc, (void)argv;
	return run_signal(SIGSEGV);
}

static int run_abort(int argc, char **argv)
{
	(void)argc, (void)argv;
	return run_signal(SIGABRT);
}

static int run_kill(int argc, char **argv)
{
	(void)argc, (void)argv;
	return run_signal(SIGKILL);
}

static HEAP_NOINLINE void daemon_make(void)
{
	for (size_t i = 0; i < 5000; i++)
		HEAP_AT(malloc(1000), 1000);
}

/* What is written to the numbers must be what the daemon wrote. */
static int run_daemon(int argc, char **argv)
{
	char file[] = "/tmp/heap_daemon.XXXXXX", back[8] = "";
	(void)argc, (void)argv;
	parent_make(500);
	int out = dup(STDOUT_FILENO);
	if (out < 0 || dup2(out, 1000) != 1000 || close_range(0, 999, 0) != 0)
		return 1;
	int fd = mkstemp(file);
	for (int i = 0; i < 40; i++)
		if (fcntl(fd, F_DUPFD, 0) < 0)
			return 1;
	unlink(file);
	daemon_make();
	if (write(fd, "daemon", 6) != 6 || lseek(fd, 0, SEEK_END) != 6 ||
	    pread(fd, back, 6, 0) != 6 || strcmp(back, "daemon") != 0)
		return 1;
	dup2(1000, STDOUT_FILENO);
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void strict_make(void)
{
	for (int i = 0; i < 100; i++)
		HEAP_AT(malloc(80), 80);
}

/* Memory is there beforehand: with brk() or mmap(), malloc itself would be killed. */
static int run_strict(int argc, char **argv)
{
	(void)argc, (void)argv;
	free(malloc(100000));
	parent_make(600);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
		return 1;
	strict_make();
	heap_truth_say("strict\n");
	syscall(SYS_exit, 0);
	return 1;
}

static int run_setuid(int argc, char **argv)
{
	(void)argc, (void)argv;
	parent_make(700);
	heap_truth_end();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct heap_mode modes[] = {
		{"fork", run_fork},     {"vfork", run_vfork},   {"exec", run_exec},
		{"segv", run_segv},     {"abort", run_abort},   {"kill", run_kill},
		{"daemon", run_daemon}, {"strict", run_strict}, {"setuid", run_setuid},
	};
	return heap_truth_main(modes, sizeof(modes) / sizeof(modes[0]), argc, argv);
}
