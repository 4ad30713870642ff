/*
 * heap_handover BLOCKS THREADS: a server's threads, which free what others allocated.
 *
 * Each thread replaces random blocks of 16 to 527 bytes of a tray of 1024, BLOCKS times; every 4096
 * it puts its tray into the shared rack and takes another thread's from there.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "heap_work.h"

enum { TRAY = 1024, RACK = 4, TURN = 4096, DEPTH = 8 };

struct tray {
	char *blocks[TRAY];
};

static _Atomic(struct tray *) rack[RACK];
static uint64_t n_blocks;

static struct tray *tray_make(void)
{
	struct tray *tray = calloc(1, sizeof(*tray));
	if (!tray)
		abort();
	return tray;
}

static KEPT void replace_block(struct tray *tray, uint64_t *random)
{
	uint64_t r = work_random(random);
	char **slot = &tray->blocks[r % TRAY];
	free(*slot);
	*slot = malloc(16 + (r >> 32) % 512);
	if (!*slot)
		abort();
	**slot = 1;
}

/* A request goes through some layers before it allocates. */
static KEPT int serve(struct tray *tray, uint64_t *random, int depth)
{
	if (depth > 0)
		return serve(tray, random, depth - 1) + 1;
	for (int i = 0; i < TURN; i++)
		replace_block(tray, random);
	return 0;
}

static void *worker(void *seed)
{
	uint64_t random = 0x9e3779b97f4a7c15 * (uint64_t)(1 + (uintptr_t)seed);
	struct tray *tray = tray_make();
	for (uint64_t done = 0; done < n_blocks; done += TURN) {
		serve(tray, &random, DEPTH);
		tray = atomic_exchange(&rack[work_random(&random) % RACK], tray);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	n_blocks = work_argument(argc, argv, 1);
	uint64_t n_threads = work_argument(argc, argv, 2);
	pthread_t threads[64];
	if (n_threads < 1 || n_threads > 64)
		return 2;
	for (int i = 0; i < RACK; i++)
		rack[i] = tray_make();
	struct work_clock start = work_clock_now();
	for (uint64_t i = 0; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, worker, (void *)(uintptr_t)i))
			abort();
	for (uint64_t i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	work_print(start, (n_blocks + TURN - 1) / TURN * TURN * n_threads);
	return 0;
}
