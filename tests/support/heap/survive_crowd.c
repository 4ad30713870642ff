/*
 * survive_crowd.c - everything at once: threads that free each other's blocks and are replaced all
 * the time, forks, programs started, a plugin loaded and unloaded, and signals whose handler
 * allocates.
 *
 *     survive_crowd SECONDS PLUGIN
 *
 * At the end one block of 700001 bytes is live, and the plugin's, one for each time it was loaded,
 * of 700002 bytes: their number is printed.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 64, EXCHANGE = 512, EVENTS = 2000, MAX_LOADED = 4000 };

extern char **environ;
static void *exchange[EXCHANGE];
static void *loaded[MAX_LOADED];
static int n_loaded;
static volatile bool done;
static volatile unsigned long signals;

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "survive_crowd: %s\n", what);
	_exit(1);
}

static void *put(unsigned slot, void *block)
{
	return __atomic_exchange_n(&exchange[slot % EXCHANGE], block, __ATOMIC_ACQ_REL);
}

static void *worker(void *argument)
{
	unsigned random = (unsigned)(uintptr_t)argument;
	for (int i = 0; i < EVENTS; i++) {
		random = random * 1103515245u + 12345u;
		char *block = malloc(16 + (random >> 8) % 1000);
		require(block != NULL, "malloc");
		block[0] = (char)i;
		if (random >> 28 == 0)
			block = realloc(block, 16 + (random >> 8) % 20000);
		require(block != NULL && block[0] == (char)i, "realloc kept the bytes");
		free(put(random >> 16, block));
	}
	return NULL;
}

/* One generation of threads after the other. */
static void *churn(void *argument)
{
	for (uintptr_t n = (uintptr_t)argument; !done; n += THREADS) {
		pthread_t thread;
		require(pthread_create(&thread, NULL, worker, (void *)n) == 0, "pthread_create");
		pthread_join(thread, NULL);
	}
	return NULL;
}

static void *fork_and_spawn(void *argument)
{
	char *arguments[] = {"true", NULL};
	while (!done) {
		int status = -1;
		const pid_t child = fork();
		if (child == 0) {
			free(malloc(700009));
			_exit(7);
		}
		require(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7, "fork");
		pid_t spawned;
		require(posix_spawnp(&spawned, "true", NULL, NULL, arguments, environ) == 0,
			"spawn");
		require(waitpid(spawned, &status, 0) == spawned && status == 0, "true");
	}
	return argument;
}

static void *load_and_unload(void *path)
{
	while (!done && n_loaded < MAX_LOADED) {
		void *plugin = dlopen(path, RTLD_NOW);
		require(plugin != NULL, "dlopen");
		void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_allocate");
		loaded[n_loaded++] = allocate(700002);
		require(dlclose(plugin) == 0, "dlclose");
		usleep(2000);
	}
	return NULL;
}

/* Of a thread that is never inside of libc's malloc, which handlers may not interrupt. */
static void on_signal(int number)
{
	(void)number;
	void *block = malloc(100);
	free(block);
	signals++;
}

static void *interrupted(void *argument)
{
	static char other_stack[64 << 10];
	const stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
	sigaltstack(&stack, NULL);
	while (!done)
		for (volatile int i = 0; i < 100000; i++)
			;
	return argument;
}

int main(int argc, char **argv)
{
	require(argc == 3, "SECONDS PLUGIN");
	const struct sigaction action = {.sa_handler = on_signal,
					 .sa_flags = SA_ONSTACK | SA_RESTART};
	sigaction(SIGUSR1, &action, NULL);
	pthread_t threads[THREADS], target, others[2];
	pthread_create(&target, NULL, interrupted, NULL);
	pthread_create(&others[0], NULL, fork_and_spawn, NULL);
	pthread_create(&others[1], NULL, load_and_unload, argv[2]);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, churn, (void *)i);
	const time_t end = time(NULL) + atoi(argv[1]);
	while (time(NULL) < end) {
		pthread_kill(target, SIGUSR1);
		usleep(1000);
	}
	done = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(others[0], NULL);
	pthread_join(others[1], NULL);
	pthread_join(target, NULL);
	for (unsigned i = 0; i < EXCHANGE; i++)
		free(put(i, NULL));
	loaded[0] = n_loaded ? loaded[0] : NULL;
	void *volatile kept = malloc(700001);
	require(kept != NULL && signals > 0, "signals");
	FILE *out = fopen(getenv("CROWD_OUT"), "w");
	require(out != NULL, "CROWD_OUT");
	fprintf(out, "%d\n", n_loaded);
	fclose(out);
	return 0;
}
