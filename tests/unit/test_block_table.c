#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "heap_shim/block_table.h"

enum { MAX_BLOCKS = 1 << 17, THREADS = 4, ROUNDS = 20000 };

struct fixture {
	struct heap_header header;
	struct block_table table;
	struct block_cache cache;
	struct heap_block *blocks;
	void *memory;
};

static struct fixture *make(uint32_t max_blocks)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->header.max_blocks = max_blocks;
	f->blocks = calloc(max_blocks, sizeof(*f->blocks));
	const uint64_t bytes = block_table_private_bytes(max_blocks);
	f->memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
	assert_true(f->blocks && f->memory);
	memset(f->memory, 0, bytes);
	block_table_init(&f->table, &f->header, f->blocks, f->memory, true);
	return f;
}

static void destroy(struct fixture *f)
{
	free(f->blocks);
	free(f->memory);
	free(f);
}

static enum block_status insert(struct fixture *f, const struct block *block,
				struct block *replaced)
{
	return block_table_insert(&f->table, &f->cache, block, replaced);
}

static enum block_status take(struct fixture *f, uint64_t address, struct block *out)
{
	return block_table_remove(&f->table, &f->cache, address, out);
}

static uint32_t count_used(const struct fixture *f)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < HEAP_SHARDS; i++)
		n += f->header.entries_used[i];
	return n;
}

static uint64_t count_live(const struct fixture *f)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < f->header.max_blocks; i++)
		n += f->blocks[i].address != 0;
	return n;
}

static uint64_t address_of(uint64_t i)
{
	return 0x7f0000000000 + i * 48;
}

static void test_block_table__finds_what_was_inserted(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_BLOCKS);
	struct block replaced, out;
	const uint32_t n = 100000;
	for (uint32_t i = 0; i < n; i++) {
		const struct block block = {address_of(i), i * 3, i % 7, i % 11, i / 5};
		assert_int_equal(insert(f, &block, &replaced), BLOCK_OK);
	}
	assert_int_equal(count_live(f), n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(take(f, address_of(i), &out), BLOCK_OK);
		assert_true(out.address == address_of(i) && out.size == (uint64_t)i * 3);
		assert_true(out.site == i % 7 && out.tid == i % 11 && out.born == i / 5);
		assert_int_equal(take(f, address_of(i), &out), BLOCK_UNKNOWN);
	}
	assert_int_equal(count_live(f), 0);
	destroy(f);
}

static void test_block_table__replaces_a_block_whose_free_was_missed(void **state)
{
	(void)state;
	struct fixture *f = make(4096);
	struct block first = {.address = 0x1000, .size = 10, .site = 1};
	struct block second = {.address = 0x1000, .size = 20, .site = 2};
	struct block out;
	assert_int_equal(insert(f, &first, &out), BLOCK_OK);
	assert_int_equal(insert(f, &second, &out), BLOCK_REPLACED);
	assert_true(out.size == 10 && out.site == 1);
	assert_int_equal(count_live(f), 1);
	assert_int_equal(take(f, 0x1000, &out), BLOCK_OK);
	assert_true(out.size == 20 && out.site == 2);
	destroy(f);
}

/* A reader tells by the sequence number that an entry was used again in between. */
static void test_block_table__each_use_of_an_entry_has_another_number(void **state)
{
	(void)state;
	struct fixture *f = make(4096);
	struct block block = {.address = 0x1000, .size = 10}, out;
	uint64_t last = 0;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(insert(f, &block, &out), BLOCK_OK);
		uint32_t at = 0;
		while (f->blocks[at].address != 0x1000)
			at++;
		assert_int_not_equal(f->blocks[at].size_seq >> 48, last);
		last = f->blocks[at].size_seq >> 48;
		assert_int_equal(heap_block_size(f->blocks[at].size_seq), 10);
		assert_int_equal(take(f, 0x1000, &out), BLOCK_OK);
	}
	destroy(f);
}

static void test_block_table__full_refuses_and_goes_on_when_blocks_are_freed(void **state)
{
	(void)state;
	struct fixture *f = make(4096);
	struct block out;
	uint32_t n = 0, refused = 0;
	for (uint32_t i = 0; i < 8192; i++) {
		const struct block block = {.address = address_of(i)};
		const enum block_status status = insert(f, &block, &out);
		if (status == BLOCK_OK)
			n++;
		else
			assert_int_equal(status, BLOCK_FULL);
		refused += status == BLOCK_FULL;
	}
	/* entry 0 is none */
	assert_int_equal(n, 4095);
	assert_int_equal(refused, 8192 - n);
	for (uint32_t i = 0; i < 8192; i++)
		n -= take(f, address_of(i), &out) == BLOCK_OK;
	assert_int_equal(n, 0);
	const struct block block = {.address = 0x1000};
	assert_int_equal(insert(f, &block, &out), BLOCK_OK);
	destroy(f);
}

/* Where the table is full, what is at an address is replaced all the same. */
static void test_block_table__full_replaces_in_place(void **state)
{
	(void)state;
	struct fixture *f = make(4096);
	struct block out;
	for (uint32_t i = 0; i < 4095; i++) {
		const struct block block = {.address = address_of(i), .size = i};
		assert_int_equal(insert(f, &block, &out), BLOCK_OK);
	}
	for (uint32_t i = 0; i < 4095; i++) {
		const struct block block = {.address = address_of(i), .size = 7};
		assert_int_equal(insert(f, &block, &out), BLOCK_REPLACED);
		assert_int_equal(out.size, i);
	}
	for (uint32_t i = 0; i < 4095; i++) {
		assert_int_equal(take(f, address_of(i), &out), BLOCK_OK);
		assert_int_equal(out.size, 7);
	}
	assert_int_equal(count_live(f), 0);
	destroy(f);
}

enum { MODEL = 7000, STEPS = 400000 };

/*
 * Blocks come and go at random, in a table that is nearly full: buckets overflow into chains, and
 * chains fill slots again. A plain array says what is there.
 */
static void test_block_table__agrees_with_a_plain_array(void **state)
{
	(void)state;
	struct fixture *f = make(8192);
	uint64_t *sizes = calloc(MODEL, sizeof(*sizes)), random = 1;
	assert_non_null(sizes);
	uint32_t n_chained = 0;
	for (uint64_t step = 1; step <= STEPS; step++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		const uint32_t i = (uint32_t)(random >> 33) % MODEL;
		const struct block block = {.address = address_of(i), .size = step};
		struct block out = {0};
		/* three of four add, so that most of them are there */
		if (random >> 62) {
			assert_int_equal(insert(f, &block, &out),
					 sizes[i] ? BLOCK_REPLACED : BLOCK_OK);
			assert_int_equal(out.size, sizes[i]);
			sizes[i] = step;
		} else {
			assert_int_equal(take(f, block.address, &out),
					 sizes[i] ? BLOCK_OK : BLOCK_UNKNOWN);
			assert_int_equal(out.size, sizes[i]);
			sizes[i] = 0;
		}
	}
	for (uint32_t i = 0; i < linear_hash_n(f->table.shape); i++)
		n_chained += f->table.lines[i].next != 0;
	assert_true(n_chained > 0);
	uint32_t n = 0;
	for (uint32_t i = 0; i < MODEL; i++)
		n += sizes[i] != 0;
	assert_int_equal(count_live(f), n);
	free(sizes);
	destroy(f);
}

/*
 * Two to five blocks to a line of the index, also in the middle of a doubling; and of the lines
 * beyond buckets less than half is needed, however irregular the addresses are.
 */
static void test_block_table__index_follows_the_blocks(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_BLOCKS);
	struct block out;
	uint64_t random = 1;
	for (uint32_t i = 0; i < MAX_BLOCKS - 1; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		const struct block block = {.address = random >> 17 & ~UINT64_C(15)};
		assert_int_equal(insert(f, &block, &out), BLOCK_OK);
		assert_true((f->table.pool.n_lines - f->table.pool.n_free_lines) * 2 <=
			    f->table.max_more);
		assert_true(linear_hash_n(f->table.shape) <= i / 2 + 64);
		assert_true(linear_hash_n(f->table.shape) >= i / 5);
	}
	destroy(f);
}

struct worker {
	struct block_table *table;
	struct block_cache cache;
	uint64_t first;
	uint64_t failures;
};

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct block out;
	for (uint64_t i = 0; i < ROUNDS; i++) {
		const struct block block = {.address = address_of(worker->first + i % 500),
					    .size = i};
		worker->failures +=
			block_table_insert(worker->table, &worker->cache, &block, &out) != BLOCK_OK;
		worker->failures += block_table_remove(worker->table, &worker->cache, block.address,
						       &out) != BLOCK_OK ||
				    out.size != i;
	}
	return NULL;
}

/* All blocks at once, so that the index grows under the others. */
static void *fill_and_empty(void *argument)
{
	struct worker *worker = argument;
	struct block out;
	for (uint64_t i = 0; i < ROUNDS; i++) {
		const struct block block = {.address = address_of(worker->first + i), .size = i};
		worker->failures +=
			block_table_insert(worker->table, &worker->cache, &block, &out) != BLOCK_OK;
	}
	for (uint64_t i = 0; i < ROUNDS; i++)
		worker->failures +=
			block_table_remove(worker->table, &worker->cache,
					   address_of(worker->first + i), &out) != BLOCK_OK ||
			out.size != i;
	return NULL;
}

static void run_workers(void *(*job)(void *), uint64_t apart)
{
	struct fixture *f = make(MAX_BLOCKS);
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.table = &f->table, .first = i * apart};
		assert_int_equal(pthread_create(&threads[i], NULL, job, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].failures, 0);
	}
	assert_int_equal(count_live(f), 0);
	destroy(f);
}

static void test_block_table__threads_do_not_disturb_each_other(void **state)
{
	(void)state;
	run_workers(work, 1000);
}

static void test_block_table__grows_under_threads(void **state)
{
	(void)state;
	run_workers(fill_and_empty, ROUNDS);
}

/* One thread allocates, another frees: entries come back, or the file would grow for ever. */
static void test_block_table__entries_go_round_between_threads(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_BLOCKS);
	struct block_cache other = {0};
	struct block out;
	for (uint64_t i = 0; i < 10 * MAX_BLOCKS; i++) {
		const struct block block = {.address = address_of(i)};
		assert_int_equal(insert(f, &block, &out), BLOCK_OK);
		if (i >= 100)
			assert_int_equal(
				block_table_remove(&f->table, &other, address_of(i - 100), &out),
				BLOCK_OK);
	}
	assert_int_equal(count_live(f), 100);
	assert_true(count_used(f) <= 100 + 2 * BLOCK_CACHE_ENTRIES + 2 * BLOCK_CACHE_BATCH);
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_table__finds_what_was_inserted),
		cmocka_unit_test(test_block_table__replaces_a_block_whose_free_was_missed),
		cmocka_unit_test(test_block_table__each_use_of_an_entry_has_another_number),
		cmocka_unit_test(test_block_table__full_refuses_and_goes_on_when_blocks_are_freed),
		cmocka_unit_test(test_block_table__full_replaces_in_place),
		cmocka_unit_test(test_block_table__agrees_with_a_plain_array),
		cmocka_unit_test(test_block_table__index_follows_the_blocks),
		cmocka_unit_test(test_block_table__threads_do_not_disturb_each_other),
		cmocka_unit_test(test_block_table__grows_under_threads),
		cmocka_unit_test(test_block_table__entries_go_round_between_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
