/*
 * heap_time: heaps whose truth is in when things are allocated and freed.
 *
 *	growth       blocks that stay, some of them with every step
 *	cache        a table that fills, then replaces: live for long, yet no leak
 *	sawtooth     filled and emptied again and again
 *	peak         most bytes are live in the middle of the run
 *	temporaries  a million blocks, each freed by the next call
 *	mixture      blocks of many sizes, for statistics (N = how many steps)
 *	live         allocates, prints its truth, waits for a byte, allocates more, and again
 */
#include "heap_truth.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t random_state = 88172645463325252u;

static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32);
}

static HEAP_NOINLINE void growth_leak(size_t size)
{
	HEAP_AT(malloc(size), size);
}

static HEAP_NOINLINE void growth_work(void)
{
	for (int i = 0; i < 20; i++)
		heap_free(HEAP_AT(malloc(512), 512));
}

static int run_growth(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int step = 0; step < 1000; step++) {
		growth_work();
		growth_leak(64);
	}
	heap_truth_end();
	return 0;
}

static void *cache[512];

static HEAP_NOINLINE void cache_put(void)
{
	uint32_t slot = next_random() % 512, size = 100 + next_random() % 900;
	heap_free(cache[slot]);
	cache[slot] = HEAP_AT(malloc(size), size);
}

static int run_cache(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int i = 0; i < 20000; i++)
		cache_put();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void sawtooth_fill(void **blocks, int n)
{
	for (int i = 0; i < n; i++)
		blocks[i] = HEAP_AT(malloc(256), 256);
}

static int run_sawtooth(int argc, char **argv)
{
	static void *blocks[300];
	(void)argc, (void)argv;
	for (int tooth = 0; tooth < 50; tooth++) {
		sawtooth_fill(blocks, 300);
		for (int i = 0; i < (tooth == 49 ? 250 : 300); i++)
			heap_free(blocks[i]);
	}
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void *peak_small(void)
{
	return HEAP_AT(malloc(1000), 1000);
}

static HEAP_NOINLINE void *peak_large(void)
{
	return HEAP_AT(malloc(50000), 50000);
}

static int run_peak(int argc, char **argv)
{
	static void *small[40], *large[40];
	(void)argc, (void)argv;
	for (int i = 0; i < 40; i++)
		small[i] = peak_small();
	for (int i = 0; i < 40; i++)
		large[i] = peak_large();
	heap_truth_fact("peak_small", 40 * 1000);
	heap_truth_fact("peak_large", 40 * 50000);
	for (int i = 0; i < 39; i++)
		heap_free(large[i]);
	for (int i = 0; i < 30; i++)
		heap_free(small[i]);
	for (int i = 0; i < 30; i++)
		small[i] = peak_small();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void temporary(uint32_t size)
{
	heap_free(HEAP_AT(malloc(size), size));
}

static int run_temporaries(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int i = 0; i < 1000000; i++)
		temporary(next_random() % 2000);
	heap_truth_fact("temporary", 1000000);
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void *mixture_tiny(void)
{
	uint32_t size = 1 + next_random() % 64;
	return HEAP_AT(malloc(size), size);
}

static HEAP_NOINLINE void *mixture_middle(void)
{
	uint32_t size = 500 + next_random() % 3000;
	return HEAP_AT(malloc(size), size);
}

static HEAP_NOINLINE void *mixture_large(void)
{
	uint32_t size = 20000 + next_random() % 80000;
	return HEAP_AT(malloc(size), size);
}

/* A third of everything is freed again. */
static int run_mixture(int argc, char **argv)
{
	int steps = argc > 1 ? atoi(argv[1]) : 20000;
	for (int i = 0; i < steps; i++) {
		void *blocks[3] = {mixture_tiny(), NULL, NULL};
		if (i % 4 == 0)
			blocks[1] = mixture_middle();
		if (i % 100 == 0)
			blocks[2] = mixture_large();
		for (int j = 0; j < 3; j++)
			if (next_random() % 3 == 0)
				heap_free(blocks[j]);
	}
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void live_leak(int step)
{
	for (int i = 0; i < 10; i++)
		HEAP_AT(malloc(100 + (size_t)step), 100 + (size_t)step);
}

static HEAP_NOINLINE void live_once(void)
{
	HEAP_AT(malloc(7777), 7777);
}

/* One step for each byte that comes; ends with the input. */
static int run_live(int argc, char **argv)
{
	char byte;
	(void)argc, (void)argv;
	live_once();
	for (int step = 0;; step++) {
		live_leak(step);
		heap_truth_end();
		if (read(STDIN_FILENO, &byte, 1) != 1)
			return 0;
	}
}

int main(int argc, char **argv)
{
	static const struct heap_mode modes[] = {
		{"growth", run_growth},
		{"cache", run_cache},
		{"sawtooth", run_sawtooth},
		{"peak", run_peak},
		{"temporaries", run_temporaries},
		{"mixture", run_mixture},
		{"live", run_live},
	};
	return heap_truth_main(modes, sizeof(modes) / sizeof(modes[0]), argc, argv);
}
