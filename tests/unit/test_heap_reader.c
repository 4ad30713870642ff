#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/heap_builder.h"
#include "../support/temp_dir.h"
#include "heap/heap_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

static struct heap_snapshot *read_sound(const struct heap_build *build)
{
	struct heap_snapshot *snapshot = NULL;
	struct cp_err err = {""};
	const int rc = heap_snapshot_read_bytes(build->bytes, build->n, &snapshot, &err);
	if (rc)
		printf("message: %s\n", err.message);
	assert_int_equal(rc, 0);
	return snapshot;
}

static void refuse(const struct heap_build *build, int code, const char *message)
{
	struct heap_snapshot *snapshot = NULL;
	struct cp_err err = {""};
	assert_int_equal(heap_snapshot_read_bytes(build->bytes, build->n, &snapshot, &err), code);
	assert_null(snapshot);
	if (!strstr(err.message, message))
		printf("message: %s\n", err.message);
	assert_non_null(strstr(err.message, message));
}

/* main -> parse -> malloc, and main -> malloc */
static struct heap_build sample(void)
{
	struct heap_build build = build_heap(0);
	const uint16_t exe = build_heap_module(&build, "/usr/bin/built", 0x400000);
	const uint32_t main_node = build_heap_node(&build, 0, 0x401000, exe, 0);
	const uint32_t parse_node = build_heap_node(&build, main_node, 0x402000, exe, 0);
	build_heap_site(&build, parse_node);
	build_heap_site(&build, main_node);
	build_heap_alloc(&build, 1, 100, 500, 7);
	build_heap_alloc(&build, 1, 28, 700, 8);
	build_heap_alloc(&build, 2, 4096, 10, 7);
	build_heap_churn(&build, 2, 1000, 16);
	return build;
}

static void test_heap_reader__tables_and_sums(void **state)
{
	(void)state;
	struct heap_build build = sample();
	struct heap_counter *second = build_heap_counter(&build, 1, 1);
	/* another thread: it freed more than it allocated */
	*second = (struct heap_counter){
		.allocs = 3, .alloc_bytes = 300, .frees = 3, .free_bytes = 300, .temporary = 2};
	build_heap_replica(&build, 1)->reallocs = 5;
	build_heap_replica(&build, 0)->size_allocs[7] = 9;
	build_heap_replica(&build, 1)->size_allocs[7] = 1;
	struct heap_snapshot *snapshot = read_sound(&build);
	assert_int_equal(snapshot->n_blocks, 3);
	uint64_t bytes = 0;
	for (size_t i = 0; i < snapshot->n_blocks; i++)
		bytes += snapshot->blocks[i].size_bytes;
	assert_int_equal(bytes, 100 + 28 + 4096);
	assert_int_equal(snapshot->newest_ns, 7000000000);
	assert_int_equal(snapshot->sites[1].allocs, 5);
	assert_int_equal(snapshot->sites[1].alloc_bytes, 428);
	assert_int_equal(snapshot->sites[1].frees, 3);
	assert_int_equal(snapshot->sites[1].temporary, 2);
	assert_int_equal(snapshot->sites[2].allocs, 1001);
	assert_int_equal(snapshot->sites[2].free_bytes, 16000);
	assert_int_equal(snapshot->reallocs, 5);
	assert_int_equal(snapshot->size_allocs[7], 10);
	assert_int_equal(snapshot->torn_blocks, 0);
	assert_int_equal(heap_stack_end(snapshot, snapshot->sites[1].node), 0);
	heap_snapshot_destroy(snapshot);
	build_heap_free(&build);
}

/* What is live at the peak is kept where it changed since, and is what is live now elsewhere. */
static void test_heap_reader__the_peak_is_lazy(void **state)
{
	(void)state;
	struct heap_build build = sample();
	build.header->peak_epoch = 4;
	struct heap_counter *changed = build_heap_counter(&build, 0, 1);
	changed->epoch = 4;
	changed->peak_blocks = 40;
	changed->peak_bytes = 4000;
	struct heap_counter *unchanged = build_heap_counter(&build, 0, 2);
	unchanged->epoch = 3;
	unchanged->peak_blocks = 99;
	unchanged->peak_bytes = 9999;
	struct heap_snapshot *snapshot = read_sound(&build);
	assert_int_equal(snapshot->sites[1].peak_blocks, 40);
	assert_int_equal(snapshot->sites[1].peak_bytes, 4000);
	assert_int_equal(snapshot->sites[2].peak_blocks, 1);
	assert_int_equal(snapshot->sites[2].peak_bytes, 4096);
	heap_snapshot_destroy(snapshot);
	build_heap_free(&build);
}

static void test_heap_reader__sampled_counts_are_in_parts_of_one(void **state)
{
	(void)state;
	struct heap_build build = build_heap(1024);
	const uint32_t node = build_heap_node(&build, 0, 0x1000, 0, HEAP_STACK_NO_CFI);
	const uint32_t site = build_heap_site(&build, node);
	struct heap_counter_sampled *counter =
		(struct heap_counter_sampled *)(void *)build_heap_counter(&build, 0, site);
	counter->weighted.allocs = 10 * HEAP_WEIGHT_ONE + 200;
	counter->weighted.frees = 2 * HEAP_WEIGHT_ONE;
	counter->weighted.alloc_bytes = 5000;
	counter->raw_allocs = 4;
	counter->alloc_bytes_variance = 12.5;
	build_heap_block(&build, site, 512, 1, 1);
	struct heap_snapshot *snapshot = read_sound(&build);
	assert_int_equal(snapshot->sites[site].allocs, 11);
	assert_int_equal(snapshot->sites[site].frees, 2);
	assert_int_equal(snapshot->sites[site].alloc_bytes, 5000);
	assert_int_equal(snapshot->sites[site].raw_allocs, 4);
	assert_true(snapshot->sites[site].alloc_bytes_variance == 12.5);
	assert_int_equal(heap_stack_end(snapshot, node), HEAP_STACK_NO_CFI);
	heap_snapshot_destroy(snapshot);
	build_heap_free(&build);
}

static void test_heap_reader__weights(void **state)
{
	(void)state;
	const struct heap_weight exact = heap_weight_of(100, 0);
	assert_true(exact.blocks == 1 && exact.bytes == 100 && exact.bytes_variance == 0);
	/* p = 1 - 1/e for a block as large as the distance */
	const double p = 1 - exp(-1);
	const struct heap_weight weight = heap_weight_of(4096, 4096);
	assert_true(fabs(weight.blocks - 1 / p) < 1e-12);
	assert_true(fabs(weight.bytes - 4096 / p) < 1e-8);
	assert_true(fabs(weight.bytes_variance - (1 - p) / (p * p) * 4096 * 4096) < 1e-4);
	/* an empty block has the chance of one byte, and no bytes */
	const struct heap_weight empty = heap_weight_of(0, 4096);
	assert_true(fabs(empty.blocks - 4096.5) < 1e-3);
	assert_true(empty.bytes == 0);
}

static void test_heap_reader__refuses_what_it_does_not_know(void **state)
{
	(void)state;
	struct heap_build build = sample();
	struct heap_header *header = build.header;
	const struct heap_header sound = *header;
#define REFUSE(change, message)                                                                    \
	do {                                                                                       \
		change;                                                                            \
		refuse(&build, -EBADMSG, message);                                                 \
		*header = sound;                                                                   \
	} while (0)
	REFUSE(header->magic[0] = 'X', "no heap file");
	REFUSE(header->version = 2, "version 2");
	REFUSE(header->header_bytes += 8, "header has");
	REFUSE(header->state = 9, "state 9");
	REFUSE(header->counter_bytes = 128, "128 bytes");
	REFUSE(header->n_replicas = 0, "0 sets of counters");
	REFUSE(header->n_replicas = HEAP_REPLICAS_MAX + 1, "65 sets");
	REFUSE(header->n_nodes = BUILD_HEAP_NODES + 1, "more than its limit");
	REFUSE(header->n_sites = BUILD_HEAP_SITES + 1, "more than its limit");
	REFUSE(header->n_modules = BUILD_HEAP_MODULES + 1, "more than its limit");
	REFUSE(header->max_modules = 1 << 20, "more than its limit");
	REFUSE(header->entries_used[3] = 33, "part 3");
	REFUSE(header->nodes.off = build.n, "outside the file");
	REFUSE(header->nodes.off = UINT64_MAX - 7, "outside the file");
	REFUSE(header->nodes.off = 8, "outside the file");
	REFUSE(header->nodes.off += 1, "outside the file");
	REFUSE(header->nodes.max_bytes = UINT64_MAX, "outside the file");
	REFUSE(header->nodes.max_bytes = 24, "do not fit");
	REFUSE(header->max_blocks = UINT32_MAX, "do not fit");
	REFUSE(header->counters.max_bytes = 64, "do not fit");
#undef REFUSE
	memset(header->magic, 0, sizeof(header->magic));
	refuse(&build, -EAGAIN, "is being made");
	build_heap_free(&build);
}

/* Doubles of a file can be anything; JSON knows no infinity. */
static void test_heap_reader__refuses_impossible_variances(void **state)
{
	(void)state;
	static const double bad[] = {NAN, INFINITY, -1};
	struct heap_build build = build_heap(4096);
	build_heap_site(&build, 0);
	struct heap_counter_sampled *counter =
		(struct heap_counter_sampled *)(void *)build_heap_counter(&build, 0, 1);
	for (size_t i = 0; i < 3; i++) {
		counter->alloc_bytes_variance = bad[i];
		refuse(&build, -EBADMSG, "site 1 has an impossible variance");
		counter->alloc_bytes_variance = 0;
		counter->alloc_blocks_variance = bad[i];
		refuse(&build, -EBADMSG, "site 1 has an impossible variance");
		counter->alloc_blocks_variance = 0;
	}
	build_heap_free(&build);
}

static void test_heap_reader__refuses_indices_out_of_range(void **state)
{
	(void)state;
	struct heap_build build = sample();
	struct heap_node *nodes = build_heap_at(&build, &build.header->nodes);
	struct heap_site *sites = build_heap_at(&build, &build.header->sites);
	struct heap_module *modules = build_heap_at(&build, &build.header->modules);
	nodes[2].parent = 2;
	refuse(&build, -EBADMSG, "called from frame 2");
	nodes[2].parent = 1;
	nodes[2].module = 2;
	refuse(&build, -EBADMSG, "in module 2 of 2");
	nodes[2].module = 1;
	sites[2].node = 3;
	refuse(&build, -EBADMSG, "site 2 has the stack 3");
	sites[2].node = 1;
	modules[1].build_id_bytes = 33;
	refuse(&build, -EBADMSG, "module 1");
	modules[1].build_id_bytes = 0;
	modules[1].end = modules[1].start - 1;
	refuse(&build, -EBADMSG, "module 1");
	modules[1].end = modules[1].start;
	build_heap_block(&build, 3, 8, 0, 0);
	refuse(&build, -EBADMSG, "site 3 of 3");
	build_heap_free(&build);
}

static void test_heap_reader__cut_anywhere_it_is_refused(void **state)
{
	(void)state;
	struct heap_build build = sample();
	const uint64_t end = build.header->blocks.off + build.header->blocks.max_bytes;
	for (size_t n = 0; n < end; n += n < 9000 ? 1 : 511) {
		struct heap_snapshot *snapshot = NULL;
		/* a copy of its own: a read beyond its end is seen by ASan */
		uint8_t *cut = malloc(n + 1);
		assert_non_null(cut);
		memcpy(cut, build.bytes, n);
		assert_int_equal(heap_snapshot_read_bytes(cut, n, &snapshot, NULL), -EBADMSG);
		assert_null(snapshot);
		free(cut);
	}
	build_heap_free(&build);
}

static void test_heap_reader__texts_that_fill_their_field_end(void **state)
{
	(void)state;
	struct heap_build build = sample();
	struct heap_module *modules = build_heap_at(&build, &build.header->modules);
	memset(build.header->exe, 'e', sizeof(build.header->exe));
	memset(build.header->command, 'c', sizeof(build.header->command));
	memset(modules[1].path, 'p', sizeof(modules[1].path));
	struct heap_snapshot *snapshot = read_sound(&build);
	assert_int_equal(strlen(snapshot->header.exe), HEAP_PATH_BYTES - 1);
	assert_int_equal(strlen(snapshot->header.command), HEAP_COMMAND_BYTES - 1);
	assert_int_equal(strlen(snapshot->modules[1].path), HEAP_PATH_BYTES - 1);
	heap_snapshot_destroy(snapshot);
	build_heap_free(&build);
}

/* A writer that keeps the protocol: a block's size, site, tid and birth follow from its address. */
struct writer {
	struct heap_block *entries;
	size_t n;
	atomic_bool stop;
};

static void *write_blocks(void *ctx)
{
	struct writer *writer = ctx;
	uint64_t use = 0;
	while (!atomic_load(&writer->stop)) {
		struct heap_block *block = &writer->entries[use % writer->n];
		use++;
		const uint64_t key = use % 1000 + 1;
		__atomic_store_n(&block->address, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&block->size_seq, (use & 0xffff) << 48 | key * 3,
				 __ATOMIC_RELEASE);
		__atomic_store_n(&block->site, (uint32_t)(1 + key % 2), __ATOMIC_RELAXED);
		__atomic_store_n(&block->tid, (uint32_t)(key * 5), __ATOMIC_RELAXED);
		__atomic_store_n(&block->born, (uint32_t)(key * 7), __ATOMIC_RELAXED);
		__atomic_store_n(&block->address, key << 12, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void test_heap_reader__a_block_read_while_written_is_whole(void **state)
{
	struct heap_build build = sample();
	const char *path = temp_dir_file(*state, "live");
	build.header->entries_used[0] = 16;
	temp_dir_write(path, build.bytes, build.n);
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	uint8_t *file = mmap(NULL, build.n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(file, MAP_FAILED);
	struct writer writer = {.entries = (void *)(file + build.header->blocks.off), .n = 16};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, write_blocks, &writer), 0);
	size_t seen = 0;
	for (int i = 0; i < 300 || (seen < 200 && i < 100000); i++) {
		struct heap_snapshot *snapshot = NULL;
		assert_int_equal(heap_snapshot_read_fd(fd, "live", true, &snapshot, NULL), 0);
		for (size_t k = 0; k < snapshot->n_blocks; k++) {
			const struct heap_live *block = &snapshot->blocks[k];
			const uint64_t key = block->address >> 12;
			if (block->tid == 7 || block->tid == 8)
				continue; /* the sample's own */
			assert_int_equal(block->size_bytes, key * 3);
			assert_int_equal(block->site, 1 + key % 2);
			assert_int_equal(block->tid, key * 5);
			assert_int_equal(block->born_ticks, key * 7);
			seen++;
		}
		heap_snapshot_destroy(snapshot);
	}
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	assert_true(seen >= 200);
	munmap(file, build.n);
	close(fd);
	build_heap_free(&build);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_reader__tables_and_sums),
		cmocka_unit_test(test_heap_reader__the_peak_is_lazy),
		cmocka_unit_test(test_heap_reader__sampled_counts_are_in_parts_of_one),
		cmocka_unit_test(test_heap_reader__weights),
		cmocka_unit_test(test_heap_reader__refuses_what_it_does_not_know),
		cmocka_unit_test(test_heap_reader__refuses_impossible_variances),
		cmocka_unit_test(test_heap_reader__refuses_indices_out_of_range),
		cmocka_unit_test(test_heap_reader__cut_anywhere_it_is_refused),
		cmocka_unit_test(test_heap_reader__texts_that_fill_their_field_end),
		cmocka_unit_test_setup_teardown(
			test_heap_reader__a_block_read_while_written_is_whole, temp_dir_setup,
			temp_dir_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
