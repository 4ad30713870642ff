/*
 * kinds.h - what the programs of tests/e2e/test_kinds.py share: a name, a time, and a leaf.
 *
 * Each is started as "PROGRAM NAME MILLISECONDS [MODE]", calls itself NAME for the profile, and
 * works for that much CPU time. Whatever the frames in between are, the leaf is kind_leaf().
 */
#ifndef CPROF_TESTS_KINDS_H
#define CPROF_TESTS_KINDS_H

#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#ifdef __clang__
#define KIND_FRAME __attribute__((noinline))
#else
#define KIND_FRAME __attribute__((noinline, noclone))
#endif

/* No tail call: the frame has to be there. */
#define KIND_KEEP() __asm__ volatile("" ::: "memory")

static long kind_end_ms;

static inline long kind_cpu_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Return: the mode, "" without one. */
static inline const char *kind_begin(int argc, char **argv)
{
	if (argc < 3)
		exit(2);
	prctl(PR_SET_NAME, argv[1]);
	kind_end_ms = kind_cpu_ms() + atoi(argv[2]);
	return argc > 3 ? argv[3] : "";
}

static inline int kind_more(void)
{
	return kind_cpu_ms() < kind_end_ms;
}

/* About 100 us that leave no doubt where they were spent. */
static __inline__ __attribute__((always_inline)) void kind_spin(void)
{
	for (int i = 0; i < 40000; i++)
		__asm__ volatile("imul $3, %%eax, %%eax" ::: "eax", "cc");
}

#endif
