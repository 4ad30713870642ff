/*
 * address_queue.h - addresses to look up, neighbours beside each other.
 *
 * Depends on: base, source. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_ADDRESS_QUEUE_H
#define CPROF_SYMBOLIZER_ADDRESS_QUEUE_H

#include "source.h"

struct queued_address {
	uint32_t group; /* source_group() */
	uint64_t svma;
};

struct address_queue {
	struct queued_address *items;
	size_t n, cap;
};

void address_queue_deinit(struct address_queue *queue);

/** Return: 0 or -ENOMEM. */
int address_queue_add(struct address_queue *queue, uint64_t svma);

/** Sort, so that what belongs together is looked up together; each address once from then on. */
void address_queue_sort(struct address_queue *queue, const struct source *source);

#endif
