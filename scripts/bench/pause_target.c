/*
 * pause_target.c - one thread that runs and notes whenever it did not, beside others that wait.
 *
 *     pause_target LOG THREADS
 *
 * LOG: 16 bytes for each time in which the clock made a leap of 2 us or more: when
 * (CLOCK_MONOTONIC) and how far, in ns. Ends with its parent's SIGTERM.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LEAP_NS = 2000, LOG_ENTRIES = 1 << 20 };

struct leap {
	uint64_t at_ns, gap_ns;
};

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* A stack of some depth, as a sample of a real program has it. */
static __attribute__((noinline)) int work(struct leap *log, int depth)
{
	volatile char frame[128] = {0};
	if (depth > 0)
		return work(log, depth - 1) + frame[0];
	size_t n = 0;
	for (uint64_t last = now_ns(); n < LOG_ENTRIES;) {
		const uint64_t now = now_ns();
		if (now - last >= LEAP_NS)
			log[n++] = (struct leap){now, now - last};
		last = now;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	const int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const size_t n_bytes = LOG_ENTRIES * sizeof(struct leap);
	if (fd < 0 || ftruncate(fd, (off_t)n_bytes) < 0)
		return 1;
	struct leap *log =
		mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (log == MAP_FAILED)
		return 1;
	for (int i = 1; i < atoi(argv[2]); i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
			return 1;
	}
	puts("ready");
	fflush(stdout);
	return work(log, 20);
}
