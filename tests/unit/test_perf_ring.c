#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/perf_records.h"
#include "capture/perf_ring.h"

enum { RING_BYTES = 1024, SEEN_MAX = 256 };

/* A ring as the kernel's half sees it. */
struct fake_ring {
	struct perf_event_mmap_page page;
	_Alignas(8) uint8_t data[RING_BYTES];
};

struct seen {
	size_t n;
	uint32_t tids[SEEN_MAX];
	uint64_t times[SEEN_MAX];
	char comms[SEEN_MAX][32];
};

static _Alignas(8) uint8_t scratch[PERF_RING_RECORD_MAX];

static struct perf_ring ring_over(struct fake_ring *fake, uint64_t start)
{
	memset(fake, 0, sizeof(*fake));
	fake->page.data_head = fake->page.data_tail = start;
	return (struct perf_ring){
		.page = &fake->page, .data = fake->data, .size_bytes = RING_BYTES, .tail = start};
}

static void put(struct fake_ring *fake, const void *bytes, size_t n)
{
	assert_true(fake->page.data_head + n - fake->page.data_tail <= RING_BYTES);
	for (size_t i = 0; i < n; i++)
		fake->data[(fake->page.data_head + i) % RING_BYTES] = ((const uint8_t *)bytes)[i];
	fake->page.data_head += n;
}

static void put_comm(struct fake_ring *fake, uint32_t tid, uint64_t time_ns, const char *comm)
{
	struct record_bytes bytes;
	record_comm(&bytes, 0, (struct record_origin){.tid = tid, .time_ns = time_ns}, comm);
	put(fake, bytes.bytes, bytes.n);
}

static void see(void *ctx, const struct perf_event_header *record)
{
	struct seen *seen = ctx;
	const uint8_t *bytes = (const uint8_t *)record;
	assert_int_equal((uintptr_t)record % 8, 0);
	assert_true(seen->n < SEEN_MAX);
	memcpy(&seen->tids[seen->n], bytes + 12, 4);
	memcpy(&seen->times[seen->n], bytes + record->size - 24, 8);
	strncpy(seen->comms[seen->n], (const char *)bytes + 16, 31);
	seen->n++;
}

static void test_perf_ring__records_of_all_rings_come_in_the_order_of_time(void **state)
{
	(void)state;
	static struct fake_ring fakes[3];
	struct perf_ring rings[3];
	struct seen seen = {0};
	for (size_t i = 0; i < 3; i++)
		rings[i] = ring_over(&fakes[i], 0);
	put_comm(&fakes[0], 1, 10, "a");
	put_comm(&fakes[0], 2, 40, "a");
	put_comm(&fakes[1], 3, 20, "a");
	put_comm(&fakes[1], 4, 30, "a");
	put_comm(&fakes[1], 5, 50, "a");
	assert_int_equal(perf_rings_drain(rings, 3, UINT64_MAX, scratch, see, &seen), 0);
	assert_int_equal(seen.n, 5);
	const uint32_t expected[] = {1, 3, 4, 2, 5};
	assert_memory_equal(seen.tids, expected, sizeof(expected));
	assert_int_equal(fakes[0].page.data_tail, fakes[0].page.data_head);
	assert_int_equal(fakes[1].page.data_tail, fakes[1].page.data_head);
}

static void test_perf_ring__records_from_the_horizon_on_stay(void **state)
{
	(void)state;
	static struct fake_ring fake;
	struct perf_ring ring = ring_over(&fake, 0);
	struct seen seen = {0};
	put_comm(&fake, 1, 10, "a");
	put_comm(&fake, 2, 20, "a");
	assert_int_equal(perf_rings_drain(&ring, 1, 20, scratch, see, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(fake.page.data_tail, 56);
	put_comm(&fake, 3, 30, "a");
	assert_int_equal(perf_rings_drain(&ring, 1, 31, scratch, see, &seen), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.tids[1], 2);
	assert_int_equal(seen.tids[2], 3);
}

static void test_perf_ring__wrapped_records_are_whole(void **state)
{
	(void)state;
	static struct fake_ring fake;
	for (uint64_t start = 0; start < RING_BYTES; start += 8) {
		struct perf_ring ring = ring_over(&fake, start);
		struct seen seen = {0};
		put_comm(&fake, 1, 10, "a-name-that-wraps");
		put_comm(&fake, 2, 20, "another");
		assert_int_equal(perf_rings_drain(&ring, 1, UINT64_MAX, scratch, see, &seen), 0);
		assert_int_equal(seen.n, 2);
		assert_string_equal(seen.comms[0], "a-name-that-wraps");
		assert_string_equal(seen.comms[1], "another");
		assert_int_equal(seen.times[0], 10);
		assert_int_equal(seen.times[1], 20);
	}
}

static void test_perf_ring__positions_beyond_4_GiB_work(void **state)
{
	(void)state;
	static struct fake_ring fake;
	struct perf_ring ring = ring_over(&fake, (1ULL << 40) + 16);
	struct seen seen = {0};
	put_comm(&fake, 7, 10, "a");
	perf_rings_drain(&ring, 1, UINT64_MAX, scratch, see, &seen);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.tids[0], 7);
}

static void test_perf_ring__hostile_sizes_empty_the_ring_and_are_counted(void **state)
{
	(void)state;
	static const uint16_t SIZES[] = {0, 7, 8, 12, 39, 64, 65535};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		static struct fake_ring fake, good;
		struct perf_ring rings[] = {ring_over(&fake, 0), ring_over(&good, 0)};
		struct seen seen = {0};
		put_comm(&fake, 1, 10, "a");
		struct perf_event_header bad = {.type = PERF_RECORD_COMM, .size = SIZES[i]};
		uint64_t zeros[6] = {0};
		memcpy(zeros, &bad, sizeof(bad));
		put(&fake, zeros, sizeof(zeros));
		put_comm(&good, 2, 20, "a");
		assert_int_equal(perf_rings_drain(rings, 2, UINT64_MAX, scratch, see, &seen), 1);
		assert_int_equal(seen.n, 2); /* what came before, and the other ring */
		assert_int_equal(seen.tids[0], 1);
		assert_int_equal(seen.tids[1], 2);
		assert_int_equal(fake.page.data_tail, fake.page.data_head);
		put_comm(&fake, 3, 30, "a");
		assert_int_equal(perf_rings_drain(rings, 2, UINT64_MAX, scratch, see, &seen), 0);
		assert_int_equal(seen.n, 3);
	}
}

static void test_perf_ring__head_that_cannot_be_empties_the_ring(void **state)
{
	(void)state;
	static struct fake_ring fake;
	static const uint64_t HEADS[] = {4, RING_BYTES + 8, UINT64_MAX, 1ULL << 63};
	for (size_t i = 0; i < sizeof(HEADS) / sizeof(HEADS[0]); i++) {
		struct perf_ring ring = ring_over(&fake, 0);
		struct seen seen = {0};
		fake.page.data_head = HEADS[i];
		assert_int_equal(perf_rings_drain(&ring, 1, UINT64_MAX, scratch, see, &seen), 1);
		assert_int_equal(seen.n, 0);
	}
}

static void test_perf_ring__samples_are_ordered_by_their_own_time(void **state)
{
	(void)state;
	static struct fake_ring fakes[2];
	struct perf_ring rings[2] = {ring_over(&fakes[0], 0), ring_over(&fakes[1], 0)};
	struct seen seen = {0};
	struct record_bytes bytes;
	record_sample(&bytes, 0, (struct record_origin){.pid = 1, .time_ns = 30}, 0, NULL, 0,
		      PERF_SAMPLE_REGS_ABI_NONE);
	put(&fakes[0], bytes.bytes, bytes.n);
	put_comm(&fakes[1], 9, 20, "before");
	put_comm(&fakes[1], 9, 40, "after");
	perf_rings_drain(rings, 2, UINT64_MAX, scratch, see, &seen);
	assert_int_equal(seen.n, 3);
	assert_string_equal(seen.comms[0], "before");
	assert_string_equal(seen.comms[2], "after");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_perf_ring__records_of_all_rings_come_in_the_order_of_time),
		cmocka_unit_test(test_perf_ring__records_from_the_horizon_on_stay),
		cmocka_unit_test(test_perf_ring__wrapped_records_are_whole),
		cmocka_unit_test(test_perf_ring__positions_beyond_4_GiB_work),
		cmocka_unit_test(test_perf_ring__hostile_sizes_empty_the_ring_and_are_counted),
		cmocka_unit_test(test_perf_ring__head_that_cannot_be_empties_the_ring),
		cmocka_unit_test(test_perf_ring__samples_are_ordered_by_their_own_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
