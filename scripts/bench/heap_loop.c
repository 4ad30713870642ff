/* heap_loop PAIRS FRAMES: malloc and free at once, FRAMES frames deep, main() being one of them. */
#include "heap_work.h"

static KEPT void one_pair(uint64_t i)
{
	char *block = malloc(16 + (i & 63));
	if (!block)
		abort();
	*(volatile char *)block = (char)i;
	free(block);
}

static KEPT int descend(uint64_t pairs, uint64_t frames)
{
	if (frames > 1)
		return descend(pairs, frames - 1) + 1; /* no tail call */
	for (uint64_t i = 0; i < pairs; i++)
		one_pair(i);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t pairs = work_argument(argc, argv, 1);
	uint64_t frames = work_argument(argc, argv, 2);
	struct work_clock start = work_clock_now();
	descend(pairs, frames - 2); /* main() and one_pair() */
	work_print(start, pairs);
	return 0;
}
