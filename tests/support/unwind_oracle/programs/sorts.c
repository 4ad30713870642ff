/*
 * Sorts numbers and prints some at the bottom of a recursion, for ever: callbacks from the C
 * library, and printf of floating point. Linked statically in two ways.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4000, DEPTH = 30 };

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static __attribute__((noinline)) size_t print(int depth, unsigned seed)
{
	char text[64];
	snprintf(text, sizeof(text), "%d %u %f", depth, seed, seed * 0.5);
	return depth ? print(depth - 1, seed * 7 + 1) + strlen(text) : seed;
}

int main(void)
{
	static int numbers[N];
	for (unsigned round = 0;; round++) {
		for (unsigned i = 0; i < N; i++)
			numbers[i] = (int)((i * 7919 + round) % 10007);
		qsort(numbers, N, sizeof(numbers[0]), compare);
		if (print(DEPTH, round) == 0)
			return 1;
	}
}
