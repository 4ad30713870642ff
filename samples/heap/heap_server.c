/*
 * heap_server SECONDS [RATE]: a server that leaks, for tests of hours or of minutes.
 *
 * Two threads serve requests, each of a dozen short-lived blocks. Beside them:
 *
 *	leak      1 KB a second (RATE bytes), in blocks of 128, never freed
 *	cache     fills in the first third of the time up to 4 MB, then replaces
 *	sawtooth  fills with 2 MB and is emptied, every 20 seconds (or a tenth of the time)
 *
 * Only the leak is in the truth: a table of blocks would grow, where nothing else may.
 * Once a second a line "second N REQUESTS RSS_KB" tells how it does: the requests served in it.
 */
#include "heap_truth.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CACHE = 4096, TOOTH = 2048, TICKS = 100, LEAK_BYTES = 128 };

static atomic_bool ended;
static atomic_ulong served;

static HEAP_NOINLINE void serve(unsigned *random)
{
	void *blocks[12];
	for (int i = 0; i < 12; i++) {
		*random = *random * 1664525u + 1013904223u;
		blocks[i] = malloc(16 + (*random >> 20));
		memset(blocks[i], 1, 16);
	}
	for (int i = 0; i < 12; i++)
		free(blocks[i]);
	atomic_fetch_add_explicit(&served, 1, memory_order_relaxed);
}

static void *worker(void *arg)
{
	unsigned random = (unsigned)(intptr_t)arg;
	while (!atomic_load(&ended)) {
		struct timespec pause = {.tv_nsec = 200000};
		for (int i = 0; i < 50; i++)
			serve(&random);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static HEAP_NOINLINE void server_leak(void)
{
	void *block;
	HEAP_NOTE(block = malloc(LEAK_BYTES), 1, LEAK_BYTES, 1, LEAK_BYTES);
	if (block)
		memset(block, 2, LEAK_BYTES);
}

static HEAP_NOINLINE void server_cache(void **cache, unsigned slot)
{
	free(cache[slot % CACHE]);
	cache[slot % CACHE] = malloc(1024);
}

static HEAP_NOINLINE void server_sawtooth(void **tooth, unsigned at)
{
	if (at % TOOTH == 0)
		for (int i = 0; i < TOOTH; i++) {
			free(tooth[i]);
			tooth[i] = NULL;
		}
	tooth[at % TOOTH] = malloc(1024);
}

static unsigned rss_kb(void)
{
	unsigned long pages[2] = {0, 0};
	FILE *file = fopen("/proc/self/statm", "r");
	if (file) {
		if (fscanf(file, "%lu %lu", &pages[0], &pages[1]) != 2)
			pages[1] = 0;
		fclose(file);
	}
	return (unsigned)(pages[1] * (unsigned long)sysconf(_SC_PAGESIZE) / 1024);
}

static void tell(unsigned second)
{
	char line[96];
	snprintf(line, sizeof(line), "second %u %lu %u\n", second, atomic_exchange(&served, 0),
		 rss_kb());
	heap_truth_say(line);
}

/* One hundredth of a second, of all that goes by time. */
static void tick(unsigned at, unsigned ticks, unsigned rate)
{
	static void *cache[CACHE], *tooth[TOOTH];
	static unsigned leaked, cached, sawn;
	const unsigned fill = ticks / 3 ? ticks / 3 : 1;
	const unsigned period = ticks / 10 < 20 * TICKS ? ticks / 10 : 20 * TICKS;
	for (; (uint64_t)leaked * LEAK_BYTES * TICKS < (uint64_t)at * rate; leaked++)
		server_leak();
	for (; (uint64_t)cached * fill < (uint64_t)at * CACHE; cached++)
		server_cache(cache, cached);
	for (; (uint64_t)sawn * period < (uint64_t)at * TOOTH; sawn++)
		server_sawtooth(tooth, sawn);
}

int main(int argc, char **argv)
{
	const unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 60;
	const unsigned rate = argc > 2 ? (unsigned)atoi(argv[2]) : 1024;
	pthread_t threads[2];
	struct timespec next;
	for (intptr_t i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, worker, (void *)(i + 1)))
			return 1;
	heap_truth_say("ready\n");
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned at = 1; at <= seconds * TICKS; at++) {
		next.tv_nsec += 1000000000 / TICKS;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		tick(at, seconds * TICKS, rate);
		if (at % TICKS == 0)
			tell(at / TICKS);
	}
	atomic_store(&ended, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	heap_truth_end();
	return 0;
}
