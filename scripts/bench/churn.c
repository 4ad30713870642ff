/*
 * churn.c - the target of scripts/bench/record-memory: threads that make new stacks all the time.
 *
 *     churn SECONDS THREADS
 *
 * Every work unit goes down a random path of 5 to 60 calls over 64 functions, two ways to call from
 * each, so that a stack hardly ever comes again while the code, and with it the profile's tables,
 * stays the same. Prints "ready" when the threads run.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REPEAT_8(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)
#define REPEAT_64(X)                                                                               \
	REPEAT_8(X, 0)                                                                             \
	REPEAT_8(X, 1)                                                                             \
	REPEAT_8(X, 2)                                                                             \
	REPEAT_8(X, 3)                                                                             \
	REPEAT_8(X, 4)                                                                             \
	REPEAT_8(X, 5)                                                                             \
	REPEAT_8(X, 6)                                                                             \
	REPEAT_8(X, 7)

static atomic_bool stop;

struct path {
	uint64_t state; /* of the random numbers */
	int depth;      /* calls to go */
};

static uint64_t next(struct path *path)
{
	path->state ^= path->state << 13;
	path->state ^= path->state >> 7;
	path->state ^= path->state << 17;
	return path->state;
}

typedef uint64_t step(struct path *path);

#define DECLARE(n) static step step_##n;
REPEAT_64(DECLARE)

#define ADDRESS(n) step_##n,
static step *const steps[64] = {REPEAT_64(ADDRESS)};

static __attribute__((noinline)) uint64_t work(struct path *path)
{
	uint64_t sum = 0;
	for (int i = 0; i < 20000; i++)
		sum += next(path);
	return sum;
}

#define DEFINE(n)                                                                                  \
	static __attribute__((noinline)) uint64_t step_##n(struct path *path)                      \
	{                                                                                          \
		uint64_t choice = next(path);                                                      \
		if (path->depth-- == 0)                                                            \
			return work(path);                                                         \
		if (choice & 64)                                                                   \
			return steps[choice & 63](path) + 1;                                       \
		return steps[choice & 63](path) ^ choice;                                          \
	}
REPEAT_64(DEFINE)

static void *run(void *arg)
{
	struct path path = {.state = 88172645463325252ULL + (uintptr_t)arg};
	uint64_t sum = 0;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		path.depth = 5 + (int)(next(&path) % 56);
		sum += steps[next(&path) & 63](&path);
	}
	return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: churn SECONDS THREADS\n");
		return 2;
	}
	size_t n = strtoul(argv[2], NULL, 10);
	pthread_t *threads = calloc(n, sizeof(*threads));
	for (size_t i = 0; i < n; i++) {
		if (!threads || pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)i))
			return 1;
	}
	printf("ready\n");
	fflush(stdout);
	struct timespec wait = {strtol(argv[1], NULL, 10), 0};
	nanosleep(&wait, NULL);
	atomic_store(&stop, true);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return 0;
}
