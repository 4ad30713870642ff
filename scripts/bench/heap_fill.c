/*
 * heap_fill BLOCKS: a heap that only grows, as while a server loads its data: what a table of live
 * blocks costs when it is large.
 */
#include "heap_work.h"

enum { DEPTH = 8 };

struct link {
	struct link *next;
};

static KEPT struct link *add(struct link *list, uint64_t i)
{
	struct link *block = malloc(24 + i % 32);
	if (!block)
		abort();
	block->next = list;
	return block;
}

static KEPT struct link *fill(uint64_t n, int depth)
{
	struct link *list = NULL;
	if (depth > 0) {
		list = fill(n, depth - 1);
		return add(list, 0);
	}
	for (uint64_t i = 0; i < n; i++)
		list = add(list, i);
	return list;
}

int main(int argc, char **argv)
{
	uint64_t n = work_argument(argc, argv, 1);
	struct work_clock start = work_clock_now();
	struct link *list = fill(n, DEPTH);
	work_print(start, n + DEPTH);
	while (list) {
		struct link *next = list->next;
		free(list);
		list = next;
	}
	return 0;
}
