/*
 * heap_work.h - what the programs of scripts/bench/heap measure of themselves.
 *
 * Their work alone, without the start and the end of the process; CPU time beside the clock, since
 * the machine may be loaded.
 */
#ifndef HEAP_WORK_H
#define HEAP_WORK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* Keeps a function's frame, and what it allocates, from being optimised away. */
#ifdef __clang__
#define KEPT __attribute__((noinline))
#else
#define KEPT __attribute__((noipa))
#endif

struct work_clock {
	double cpu_s, wall_s;
};

static inline struct work_clock work_clock_now(void)
{
	struct rusage usage;
	struct timespec wall;
	getrusage(RUSAGE_SELF, &usage);
	clock_gettime(CLOCK_MONOTONIC, &wall);
	return (struct work_clock){
		.cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			 1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
		.wall_s = (double)wall.tv_sec + 1e-9 * (double)wall.tv_nsec,
	};
}

/* One line of JSON: allocations, and what they took since @start. */
static inline void work_print(struct work_clock start, uint64_t allocations)
{
	struct work_clock end = work_clock_now();
	printf("{\"allocations\": %" PRIu64 ", \"cpu_s\": %.6f, \"wall_s\": %.6f}\n", allocations,
	       end.cpu_s - start.cpu_s, end.wall_s - start.wall_s);
}

static inline uint64_t work_argument(int argc, char **argv, int i)
{
	if (i >= argc) {
		fprintf(stderr, "%s: too few arguments\n", argv[0]);
		exit(2);
	}
	return strtoull(argv[i], NULL, 10);
}

/* xorshift64: the same numbers in every run. */
static inline uint64_t work_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
