/*
 * cfi_sources.c - a chain of twelve calls, known by name, that uses CPU time.
 *
 *     cfi_sources CPU_SECONDS
 *
 * The work of each call is of random length, so that no timer keeps step with it. Built and
 * rewritten in many ways by test_cfi_sources.py: what is tested is where its unwind tables are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static uint64_t seed = 1;

__attribute__((noinline, noclone)) uint64_t link_12(uint64_t x)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	for (uint64_t n = 5000 + (seed >> 50); n > 0; n--)
		x = x * 31 + (x >> 7);
	return x;
}

/* What is added afterwards keeps the call from becoming a jump; the array gives it a frame. */
#define LINK(name, callee)                                                                         \
	__attribute__((noinline, noclone)) uint64_t name(uint64_t x)                               \
	{                                                                                          \
		uint64_t pad[4] = {x, x + 1, x + 2, x + 3};                                        \
		__asm__ volatile("" : : "r"(pad) : "memory");                                      \
		return callee(x + pad[x & 3]) + pad[1];                                            \
	}

LINK(link_11, link_12)
LINK(link_10, link_11)
LINK(link_09, link_10)
LINK(link_08, link_09)
LINK(link_07, link_08)
LINK(link_06, link_07)
LINK(link_05, link_06)
LINK(link_04, link_05)
LINK(link_03, link_04)
LINK(link_02, link_03)
LINK(link_01, link_02)

static double cpu_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const double end = cpu_seconds() + (argc > 1 ? atof(argv[1]) : 1);
	uint64_t x = 0;
	do {
		for (int i = 0; i < 100; i++)
			x += link_01(x);
	} while (cpu_seconds() < end);
	return x == 42;
}
