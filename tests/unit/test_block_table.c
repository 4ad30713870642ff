#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "heap_shim/block_table.h"

enum { MAX_BLOCKS = 1 << 17, THREADS = 4, ROUNDS = 20000 };

struct fixture {
	struct heap_header header;
	struct block_table table;
	struct heap_block *blocks;
	uint32_t *heads;
};

static struct fixture *make(uint32_t max_blocks)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->header.max_blocks = max_blocks;
	f->blocks = calloc(max_blocks, sizeof(*f->blocks));
	f->heads = calloc(1, block_table_heads_bytes(max_blocks));
	assert_true(f->blocks && f->heads);
	block_table_init(&f->table, &f->header, f->blocks, f->heads, true);
	return f;
}

static void destroy(struct fixture *f)
{
	free(f->blocks);
	free(f->heads);
	free(f);
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
		assert_int_equal(block_table_insert(&f->table, &block, &replaced), BLOCK_OK);
	}
	assert_int_equal(count_live(f), n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(block_table_remove(&f->table, address_of(i), &out), BLOCK_OK);
		assert_true(out.address == address_of(i) && out.size == (uint64_t)i * 3);
		assert_true(out.site == i % 7 && out.tid == i % 11 && out.born == i / 5);
		assert_int_equal(block_table_remove(&f->table, address_of(i), &out), BLOCK_UNKNOWN);
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
	assert_int_equal(block_table_insert(&f->table, &first, &out), BLOCK_OK);
	assert_int_equal(block_table_insert(&f->table, &second, &out), BLOCK_REPLACED);
	assert_true(out.size == 10 && out.site == 1);
	assert_int_equal(count_live(f), 1);
	assert_int_equal(block_table_remove(&f->table, 0x1000, &out), BLOCK_OK);
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
		assert_int_equal(block_table_insert(&f->table, &block, &out), BLOCK_OK);
		uint32_t at = 0;
		while (f->blocks[at].address != 0x1000)
			at++;
		assert_int_not_equal(f->blocks[at].size_seq >> 48, last);
		last = f->blocks[at].size_seq >> 48;
		assert_int_equal(heap_block_size(f->blocks[at].size_seq), 10);
		assert_int_equal(block_table_remove(&f->table, 0x1000, &out), BLOCK_OK);
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
		const enum block_status status = block_table_insert(&f->table, &block, &out);
		if (status == BLOCK_OK)
			n++;
		else
			assert_int_equal(status, BLOCK_FULL);
		refused += status == BLOCK_FULL;
	}
	/* one entry of each shard is none */
	assert_int_equal(n, 4096 - HEAP_SHARDS);
	assert_int_equal(refused, 8192 - n);
	for (uint32_t i = 0; i < 8192; i++)
		n -= block_table_remove(&f->table, address_of(i), &out) == BLOCK_OK;
	assert_int_equal(n, 0);
	const struct block block = {.address = 0x1000};
	assert_int_equal(block_table_insert(&f->table, &block, &out), BLOCK_OK);
	destroy(f);
}

struct worker {
	struct block_table *table;
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
		worker->failures += block_table_insert(worker->table, &block, &out) != BLOCK_OK;
		worker->failures +=
			block_table_remove(worker->table, block.address, &out) != BLOCK_OK ||
			out.size != i;
	}
	return NULL;
}

static void test_block_table__threads_do_not_disturb_each_other(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_BLOCKS);
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){&f->table, i * UINT64_C(1000), 0};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].failures, 0);
	}
	assert_int_equal(count_live(f), 0);
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_table__finds_what_was_inserted),
		cmocka_unit_test(test_block_table__replaces_a_block_whose_free_was_missed),
		cmocka_unit_test(test_block_table__each_use_of_an_entry_has_another_number),
		cmocka_unit_test(test_block_table__full_refuses_and_goes_on_when_blocks_are_freed),
		cmocka_unit_test(test_block_table__threads_do_not_disturb_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
