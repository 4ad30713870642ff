#include "perf_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int perf_ring_open(struct perf_ring *ring, const struct perf_setup *setup, int cpu,
		   size_t size_bytes)
{
	struct perf_event_attr attr;
	perf_attr_fill_ring_owner(setup, &attr);
	int fd = perf_attr_open(&attr, 0, cpu);
	if (fd < 0)
		return fd;
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t base_bytes = page_bytes + size_bytes;
	void *base = mmap(NULL, base_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		int code = -errno;
		close(fd);
		return code;
	}
	*ring = (struct perf_ring){
		.fd = fd,
		.cpu = cpu,
		.base = base,
		.base_bytes = base_bytes,
		.page = base,
		.data = (const uint8_t *)base + page_bytes,
		.size_bytes = size_bytes,
	};
	return 0;
}

void perf_ring_close(struct perf_ring *ring)
{
	if (!ring->base)
		return;
	munmap(ring->base, ring->base_bytes);
	close(ring->fd);
	memset(ring, 0, sizeof(*ring));
}

/* Records are multiples of 8 bytes, so an aligned word never wraps. */
static uint64_t word_at(const struct perf_ring *ring, uint64_t position)
{
	uint64_t word;
	memcpy(&word, ring->data + (position & (ring->size_bytes - 1)), sizeof(word));
	return word;
}

static struct perf_event_header header_at(const struct perf_ring *ring, uint64_t position)
{
	struct perf_event_header header;
	uint64_t word = word_at(ring, position);
	memcpy(&header, &word, sizeof(header));
	return header;
}

/* Where the time is, by perf_attr_fill()'s sample_type: after identifier, ip and tid in a sample,
 * second of the four words (tid, time, cpu, identifier) that end all other records. */
enum { SAMPLE_TIME_OFFSET = 32, TRAILER_TIME_OFFSET = 24 };

/* Find the next record and its time. Return: false when the ring's contents make no sense. */
static bool peek(struct perf_ring *ring)
{
	uint64_t available = ring->head - ring->tail;
	ring->has_next = false;
	if (available == 0)
		return true;
	if (available < sizeof(struct perf_event_header) || available > ring->size_bytes ||
	    ring->tail % 8 != 0)
		return false;
	struct perf_event_header header = header_at(ring, ring->tail);
	if (header.size > available || header.size % 8 != 0)
		return false;
	bool sample = header.type == PERF_RECORD_SAMPLE;
	unsigned time_offset = sample ? SAMPLE_TIME_OFFSET : header.size - TRAILER_TIME_OFFSET;
	unsigned least = sample ? SAMPLE_TIME_OFFSET + 8 : sizeof(header) + 32;
	if (header.size < least)
		return false;
	ring->next_ns = word_at(ring, ring->tail + time_offset);
	ring->has_next = true;
	return true;
}

static void give_back(struct perf_ring *ring)
{
	/* pairs with the kernel's load of data_tail: our reads come before it may overwrite */
	__atomic_store_n(&ring->page->data_tail, ring->tail, __ATOMIC_RELEASE);
}

static void drop_contents(struct perf_ring *ring)
{
	ring->tail = ring->head;
	ring->has_next = false;
	give_back(ring);
}

static void hand_out(struct perf_ring *ring, uint8_t *scratch, perf_ring_fn *fn, void *ctx)
{
	struct perf_event_header header = header_at(ring, ring->tail);
	uint64_t offset = ring->tail & (ring->size_bytes - 1);
	const void *record = ring->data + offset;
	if (offset + header.size > ring->size_bytes) {
		size_t first = ring->size_bytes - offset;
		memcpy(scratch, ring->data + offset, first);
		memcpy(scratch + first, ring->data, header.size - first);
		record = scratch;
	}
	fn(ctx, record);
	ring->tail += header.size;
	give_back(ring);
}

static struct perf_ring *oldest(struct perf_ring *rings, size_t n)
{
	struct perf_ring *best = NULL;
	for (size_t i = 0; i < n; i++) {
		if (rings[i].has_next && (!best || rings[i].next_ns < best->next_ns))
			best = &rings[i];
	}
	return best;
}

size_t perf_rings_drain(struct perf_ring *rings, size_t n, uint64_t horizon_ns, void *scratch,
			perf_ring_fn *fn, void *ctx)
{
	size_t n_damaged = 0;
	for (size_t i = 0; i < n; i++) {
		struct perf_ring *ring = &rings[i];
		/* the tail is ours: the page can be written by nobody but us and the kernel */
		ring->head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
		ring->fill_bytes = (size_t)(ring->head - ring->tail);
		if (!peek(ring)) {
			drop_contents(ring);
			n_damaged++;
		}
	}
	struct perf_ring *ring;
	while ((ring = oldest(rings, n)) && ring->next_ns < horizon_ns) {
		hand_out(ring, scratch, fn, ctx);
		if (!peek(ring)) {
			drop_contents(ring);
			n_damaged++;
		}
	}
	return n_damaged;
}
