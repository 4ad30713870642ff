/*
 * perf_ring.h - the buffers that the kernel fills, one per CPU, read in the order of time.
 *
 * A ring belongs to an event of our own process that counts nothing, so it outlives every
 * recorded thread; the sampling events of a CPU write into it. Records are handed out in place and
 * given back one by one; only one that wraps around the end of the ring is copied.
 *
 * Nothing in a ring is trusted: a record that cannot be empties the ring, which is counted.
 *
 * Depends on: base, perf_attr.h. Threads: one reader; the kernel writes.
 */
#ifndef CPROF_CAPTURE_PERF_RING_H
#define CPROF_CAPTURE_PERF_RING_H

#include "base/err.h"
#include "perf_attr.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of a record is 16 bits. */
enum { PERF_RING_RECORD_MAX = 65536 };

struct perf_ring {
	int fd; /* the owning event; readable when the watermark is passed */
	int cpu;
	void *base; /* of the mapping: a control page, then the data */
	size_t base_bytes;
	struct perf_event_mmap_page *page;
	const uint8_t *data;
	uint64_t size_bytes; /* of the data, a power of two */
	/* of the current drain: bytes ever consumed, bytes written when it began, next record */
	uint64_t tail, head;
	uint64_t next_ns;
	bool has_next;
	size_t fill_bytes; /* that waited when the last drain began */
};

/**
 * Map the ring of one CPU.
 *
 * @size_bytes: a power of two, whole pages
 * Return: 0; -EPERM, -ENOMEM: too large for the limit on locked memory; -ENODEV: the CPU is
 *         offline; other negative errno values.
 */
int perf_ring_open(struct perf_ring *ring, const struct perf_setup *setup, int cpu,
		   size_t size_bytes);

/** An all-zero ring is accepted: it was not open. */
void perf_ring_close(struct perf_ring *ring);

/**
 * Called for each record.
 *
 * @record: 8-byte aligned; its size field is valid and covers readable memory. Borrowed for the
 * call.
 */
typedef void perf_ring_fn(void *ctx, const struct perf_event_header *record);

/**
 * Hand out what the rings held when the call began, oldest first across all of them.
 *
 * @horizon_ns: records from then on are left for the next call: an older one of another CPU may
 *              still be on its way
 * @scratch:    PERF_RING_RECORD_MAX bytes, 8-byte aligned
 * Return: how many rings were found damaged; their contents at the time were dropped.
 */
size_t perf_rings_drain(struct perf_ring *rings, size_t n, uint64_t horizon_ns, void *scratch,
			perf_ring_fn *fn, void *ctx);

#endif
