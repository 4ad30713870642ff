/*
 * busy.c - the target of scripts/bench/record: threads that do countable work at the bottom of
 * stacks of a given depth, with an inlined function at the leaf.
 *
 *     busy SECONDS THREADS DEPTH [IDLE]
 *
 * IDLE more threads wake fifty times a second, do next to nothing and sleep again. Prints "ready"
 * when the threads run, and at the end the work units done. A unit costs the same whatever the
 * profiler does, so units per second with and without one are the slowdown.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static atomic_bool stop;
static int depth;

struct worker {
	pthread_t thread;
	uint64_t state, units;
};

static inline __attribute__((always_inline)) uint64_t xorshift(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static __attribute__((noinline)) uint64_t unit(uint64_t x)
{
	for (int i = 0; i < 2000; i++)
		x = xorshift(x);
	return x;
}

/* Two functions that call each other: frames of different sizes, no tail calls. */
static __attribute__((noinline)) uint64_t odd(struct worker *worker, int level);

static __attribute__((noinline)) uint64_t even(struct worker *worker, int level)
{
	volatile uint64_t locals[6] = {worker->state};
	if (level > 0)
		return odd(worker, level - 1) + locals[0];
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		worker->state = unit(worker->state);
		worker->units++;
	}
	return worker->state;
}

static __attribute__((noinline)) uint64_t odd(struct worker *worker, int level)
{
	volatile uint64_t local = worker->state;
	if (level > 0)
		return even(worker, level - 1) ^ local;
	return even(worker, 0) ^ local;
}

static void *run(void *arg)
{
	struct worker *worker = arg;
	worker->state ^= even(worker, depth);
	return NULL;
}

static void *idle(void *arg)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	uint64_t state = 1;
	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		state = unit(state);
		nanosleep(&pause, NULL);
	}
	return (void *)(uintptr_t)(state & 1);
}

static bool start_idle(size_t n)
{
	pthread_attr_t attr;
	pthread_t thread;
	if (pthread_attr_init(&attr) || pthread_attr_setstacksize(&attr, 64 << 10) ||
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED))
		return false;
	while (n > 0 && pthread_create(&thread, &attr, idle, NULL) == 0)
		n--;
	return n == 0;
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: busy SECONDS THREADS DEPTH [IDLE]\n");
		return 2;
	}
	double seconds = strtod(argv[1], NULL);
	size_t n = strtoul(argv[2], NULL, 10);
	depth = (int)strtol(argv[3], NULL, 10);
	struct worker *workers = calloc(n, sizeof(*workers));
	if (!workers)
		return 1;
	for (size_t i = 0; i < n; i++) {
		workers[i].state = 88172645463325252ULL + i;
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]))
			return 1;
	}
	if (argc == 5 && !start_idle(strtoul(argv[4], NULL, 10)))
		return 1;
	printf("ready\n");
	fflush(stdout);
	struct timespec wait = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
	nanosleep(&wait, NULL);
	atomic_store(&stop, true);
	uint64_t units = 0, check = 0;
	for (size_t i = 0; i < n; i++) {
		pthread_join(workers[i].thread, NULL);
		units += workers[i].units;
		check ^= workers[i].state;
	}
	printf("%llu %llx\n", (unsigned long long)units, (unsigned long long)check);
	free(workers);
	return 0;
}
