/*
 * heap_threads: blocks that change hands, and threads that are gone.
 *
 *	exited  threads make blocks and end; half of the blocks are freed afterwards
 *	tls     blocks made and freed by destructors of thread-specific data
 *	other   each block is freed by another thread than the one that made it
 *	many    200 threads, one after the other
 *	busy    8 threads allocate and free until they are killed (N = seconds, 0 = for ever)
 */
#include "heap_truth.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 6, BLOCKS = 500 };

/*
 * glibc keeps what it allocates for a thread: that is libc's, and not in the truth. A thread's
 * stack is a mapping.
 */
static void run_threads(void *(*run)(void *), int n)
{
	pthread_t threads[16];
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(intptr_t)i))
			abort();
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void *left[THREADS][BLOCKS];

static HEAP_NOINLINE void *exited_make(size_t size)
{
	return HEAP_AT(malloc(size), size);
}

static void *exited_thread(void *arg)
{
	for (size_t i = 0; i < BLOCKS; i++)
		left[(intptr_t)arg][i] = exited_make(50 + i % 3);
	return NULL;
}

static int run_exited(int argc, char **argv)
{
	(void)argc, (void)argv;
	run_threads(exited_thread, THREADS);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < BLOCKS; i += 2)
			heap_free(left[t][i]);
	heap_truth_end();
	return 0;
}

static pthread_key_t tls_key;

static HEAP_NOINLINE void *tls_make(void)
{
	return HEAP_AT(malloc(111), 111);
}

/* Runs after the thread's own function, and again, as it sets a value anew. */
static void tls_destroy(void *value)
{
	static _Thread_local int rounds;
	heap_free(value);
	if (++rounds < 3)
		pthread_setspecific(tls_key, HEAP_AT(malloc(222), 222));
	else
		HEAP_AT(malloc(333), 333);
}

static void *tls_thread(void *arg)
{
	pthread_setspecific(tls_key, tls_make());
	return arg;
}

static int run_tls(int argc, char **argv)
{
	(void)argc, (void)argv;
	pthread_key_create(&tls_key, tls_destroy);
	run_threads(tls_thread, THREADS);
	heap_truth_end();
	return 0;
}

static _Atomic(void *) handed[256];
static atomic_int producers_left;

static HEAP_NOINLINE void *other_make(void)
{
	return HEAP_AT(malloc(70), 70);
}

static void *other_producer(void *arg)
{
	for (int i = 0; i < 5000; i++) {
		void *block = other_make(), *none = NULL;
		if (!atomic_compare_exchange_strong(&handed[(i + (intptr_t)arg * 64) % 256], &none,
						    block))
			heap_free(block);
	}
	atomic_fetch_sub(&producers_left, 1);
	return NULL;
}

static void *other_consumer(void *arg)
{
	while (atomic_load(&producers_left))
		for (int i = 0; i < 256; i++)
			heap_free(atomic_exchange(&handed[i], NULL));
	return arg;
}

static void *other_thread(void *arg)
{
	return (intptr_t)arg < 3 ? other_producer(arg) : other_consumer(arg);
}

static int run_other(int argc, char **argv)
{
	(void)argc, (void)argv;
	atomic_store(&producers_left, 3);
	run_threads(other_thread, THREADS);
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void many_leak(void)
{
	HEAP_AT(malloc(19), 19);
}

static void *many_thread(void *arg)
{
	for (int i = 0; i < 10; i++)
		heap_free(exited_make(600));
	many_leak();
	return arg;
}

static int run_many(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int i = 0; i < 50; i++)
		run_threads(many_thread, 4);
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void *busy_make(unsigned size)
{
	return malloc(size);
}

static HEAP_NOINLINE void *busy_grow(void *block, unsigned size)
{
	return realloc(block, size);
}

/* Without accounts: their lock would put the threads in a row. Sizes tell what is possible. */
static void *busy_thread(void *arg)
{
	void *blocks[200] = {NULL};
	unsigned random = (unsigned)(intptr_t)arg * 2654435761u + 1;
	for (;;) {
		random = random * 1664525u + 1013904223u;
		unsigned slot = random >> 8 & 127;
		if (random >> 28 == 0) {
			blocks[slot] = busy_grow(blocks[slot], 2048 + (random >> 16 & 511));
		} else {
			free(blocks[slot]);
			blocks[slot] = busy_make(16 + (random >> 16 & 1023));
		}
	}
	return NULL;
}

static int run_busy(int argc, char **argv)
{
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
	pthread_t thread;
	for (intptr_t i = 0; i < 8; i++)
		if (pthread_create(&thread, NULL, busy_thread, (void *)i))
			return 1;
	heap_truth_say("ready\n");
	if (!seconds)
		pthread_join(thread, NULL);
	sleep(seconds);
	_exit(0);
}

int main(int argc, char **argv)
{
	static const struct heap_mode modes[] = {
		{"exited", run_exited}, {"tls", run_tls},   {"other", run_other},
		{"many", run_many},     {"busy", run_busy},
	};
	return heap_truth_main(modes, sizeof(modes) / sizeof(modes[0]), argc, argv);
}
