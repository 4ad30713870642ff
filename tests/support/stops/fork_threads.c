/*
 * fork_threads: threads that compute and start children all the time - forks that compute, and
 * programs that are executed - and check what becomes of each.
 *
 *     fork_threads [--threads N]
 *
 * Until SIGTERM. Prints how many children there were, and how many ended otherwise than they ought
 * to: none.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS_MAX = 64, WORK_OF_CHILD = 50000, WORK_OF_PARENT = 400000, EXECUTE_EACH = 8 };

static atomic_bool stop;
static atomic_long children, executed, wrong;
static volatile uint64_t sink;

__attribute__((noinline)) static uint64_t burn_child(uint64_t x)
{
	for (int i = 0; i < WORK_OF_CHILD; i++)
		x = (x ^ x >> 7) * UINT64_C(2654435761) + 1;
	return x;
}

__attribute__((noinline)) static uint64_t burn_parent(uint64_t x)
{
	for (int i = 0; i < WORK_OF_PARENT; i++)
		x = (x ^ x >> 9) * UINT64_C(2654435761) + 1;
	return x;
}

static int status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Return: false when the child did not do as it was told. */
static int fork_one(uint64_t seed)
{
	const int expected = (int)(burn_child(seed) & 0x7f);
	const pid_t pid = fork();

	if (pid == 0)
		_exit((int)(burn_child(seed) & 0x7f));
	return pid > 0 && status_of(pid) == expected;
}

static int execute_one(void)
{
	extern char **environ;
	char *arguments[] = {"sh", "-c", "exit 42", NULL};
	pid_t pid;

	return posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ) == 0 &&
	       status_of(pid) == 42;
}

static void *run(void *argument)
{
	uint64_t x = (uint64_t)(uintptr_t)argument;

	for (long i = 0; !stop; i++) {
		const int is_program = i % EXECUTE_EACH == EXECUTE_EACH - 1;

		x = burn_parent(x + 1);
		if (!(is_program ? execute_one() : fork_one(x)))
			wrong++;
		children++;
		executed += is_program;
	}
	sink = x;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	const int has_number = argc > 2 && strcmp(argv[1], "--threads") == 0;
	const long n = has_number ? strtol(argv[2], NULL, 10) : 4;
	sigset_t ends;
	int sig;

	if (n < 1 || n > THREADS_MAX)
		return 2;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	for (long i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)(i + 1)))
			return 1;
	printf("ready pid=%d\n", (int)getpid());
	fflush(stdout);
	sigwait(&ends, &sig);
	stop = 1;
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("{\"sample\": \"fork_threads\", \"children\": %ld, \"executed\": %ld, \"wrong\": "
	       "%ld}\n",
	       children, executed, wrong);
	return 0;
}
