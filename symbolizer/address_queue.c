#include "address_queue.h"

#include "base/array.h"

#include <errno.h>

void address_queue_deinit(struct address_queue *queue)
{
	free(queue->items);
	*queue = (struct address_queue){.n = 0};
}

int address_queue_add(struct address_queue *queue, uint64_t svma)
{
	struct queued_address *added = CP_ARRAY_PUSH(queue->items, queue->n, queue->cap);
	if (!added)
		return -ENOMEM;
	*added = (struct queued_address){.svma = svma};
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct queued_address *a = left, *b = right;
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return a->svma < b->svma ? -1 : a->svma > b->svma;
}

void address_queue_sort(struct address_queue *queue, const struct source *source)
{
	struct queued_address *items = queue->items;
	size_t n = 0;
	for (size_t i = 0; i < queue->n; i++)
		items[i].group = source_group(source, items[i].svma);
	if (queue->n > 0)
		qsort(items, queue->n, sizeof(*items), compare);
	for (size_t i = 0; i < queue->n; i++)
		if (n == 0 || items[i].svma != items[n - 1].svma)
			items[n++] = items[i];
	queue->n = n;
}
