/*
 * survive_stacks.c - stacks of random shape, and what glibc's backtrace() says of them.
 *
 *     survive_stacks OUT MAPS
 *
 * Every allocation has a size of its own; a line of OUT is that size and the return addresses at
 * the call. MAPS is /proc/self/maps. Frames with and without frame pointers, of changing size,
 * realigned, of signal handlers, of callbacks from libc, in several threads.
 */
#include <alloca.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_SIZE = 100000, MAX_FRAMES = 600, ROUNDS = 40, THREADS = 3 };

#define NOINLINE __attribute__((noinline))

static __thread unsigned state;
static unsigned next_size = FIRST_SIZE;
static FILE *out;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void go(int depth);

static unsigned random_number(void)
{
	state = state * 1103515245u + 12345u;
	return state >> 16;
}

static NOINLINE void take(void)
{
	void *frames[MAX_FRAMES];
	const unsigned size = __atomic_fetch_add(&next_size, 1, __ATOMIC_RELAXED);
	const int n = backtrace(frames, MAX_FRAMES);
	void *block = malloc(size);
	__asm__ volatile("" ::"r"(block));
	pthread_mutex_lock(&lock);
	fprintf(out, "%u", size);
	for (int i = 1; i < n; i++)
		fprintf(out, " %p", frames[i]);
	fprintf(out, "\n");
	pthread_mutex_unlock(&lock);
}

static NOINLINE void plain(int depth)
{
	volatile char bytes[40];
	bytes[0] = (char)depth;
	go(depth - 1);
	bytes[1] = bytes[0];
}

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void framed(int depth)
{
	go(depth - 1);
	go(depth - 2);
}

static NOINLINE void growing(int depth)
{
	volatile char *bytes = alloca(random_number() % 200 + 8);
	bytes[0] = (char)depth;
	go(depth - 1);
	bytes[0]++;
}

static NOINLINE void realigned(int depth)
{
	volatile char bytes[64] __attribute__((aligned(64)));
	bytes[0] = (char)depth;
	go(depth - 1);
	bytes[0]++;
}

__attribute__((noinline, optimize("O0"))) static void unoptimised(int depth)
{
	go(depth - 1);
	take();
	go(depth - 3);
}

static NOINLINE void twice(int depth)
{
	take();
	go(depth - 1);
	take();
}

static int compare(const void *a, const void *b)
{
	go((int)(random_number() % 3));
	return *(const int *)a - *(const int *)b;
}

static NOINLINE void called_back(int depth)
{
	int values[4];
	for (int i = 0; i < 4; i++)
		values[i] = (int)random_number();
	qsort(values, 4, sizeof(values[0]), compare);
	go(depth - 1);
}

static void on_signal(int number)
{
	(void)number;
	go((int)(random_number() % 3));
	take();
}

static NOINLINE void interrupted(int depth)
{
	raise(SIGUSR1);
	go(depth - 1);
}

static void go(int depth)
{
	static void (*const ways[])(int) = {plain, framed, growing, realigned, unoptimised, twice};
	if (depth <= 0) {
		take();
		return;
	}
	const unsigned way = random_number() % 8;
	if (way < 6)
		ways[way](depth);
	else if (way == 6)
		called_back(depth - 3);
	else
		interrupted(depth - 2);
}

static void *run(void *seed)
{
	state = (unsigned)(uintptr_t)seed;
	for (int i = 0; i < ROUNDS; i++)
		go((int)(random_number() % 9));
	return NULL;
}

static int copy_maps(const char *path)
{
	char line[1024];
	FILE *maps = fopen("/proc/self/maps", "r");
	FILE *copy = fopen(path, "w");
	if (!maps || !copy)
		return 1;
	while (fgets(line, sizeof(line), maps))
		fputs(line, copy);
	fclose(maps);
	return fclose(copy);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	if (argc < 3 || !(out = fopen(argv[1], "w")))
		return 2;
	signal(SIGUSR1, on_signal);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, run, (void *)(i + 7)); // NOLINT: a number
	run((void *)1);                                                  // NOLINT: a number
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (fclose(out) != 0)
		return 2;
	return copy_maps(argv[2]);
}
