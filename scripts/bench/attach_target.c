/*
 * attach_target.c - many threads of which few run: tokens are passed round, and who has one
 * computes for some time.
 *
 *     attach_target COUNTER THREADS
 *
 * COUNTER: a file of 8 bytes, the number of turns so far. Ends when it is killed.
 */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS_MAX = 4000, TOKENS = 4, STACK_BYTES = 128 << 10, WORK = 50000, DEPTH = 8 };

static sem_t turns[THREADS_MAX];
static atomic_uint_least64_t *counter;
static long n_threads;
static volatile uint64_t sink;

static __attribute__((noinline)) uint64_t work(uint64_t x, int depth)
{
	volatile char frame[64] = {0};
	if (depth > 0)
		return work(x, depth - 1) + (uint64_t)frame[0];
	for (int i = 0; i < WORK; i++)
		x = (x ^ x >> 7) * UINT64_C(2654435761) + 1;
	return x;
}

static void *run(void *arg)
{
	const long self = (long)(intptr_t)arg;
	for (;;) {
		if (sem_wait(&turns[self]) < 0)
			continue;
		sink = work((uint64_t)self, DEPTH);
		++*counter;
		sem_post(&turns[(self + 1) % n_threads]);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;
	if (argc != 3)
		return 2;
	n_threads = strtol(argv[2], NULL, 10);
	const int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (n_threads < TOKENS || n_threads > THREADS_MAX || fd < 0 ||
	    ftruncate(fd, sizeof(*counter)) < 0)
		return 1;
	counter = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counter == MAP_FAILED)
		return 1;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (long i = 0; i < n_threads; i++) {
		sem_init(&turns[i], 0, 0);
		if (pthread_create(&thread, &attr, run, (void *)(intptr_t)i))
			return 1;
	}
	for (long i = 0; i < TOKENS; i++)
		sem_post(&turns[i * n_threads / TOKENS]);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
