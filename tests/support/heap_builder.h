/*
 * heap_builder.h - heap files made from code, byte for byte as heap_file.h states them.
 *
 * Shares nothing with the shim that writes real ones: what a reader makes of these files is
 * asserted against the numbers put in here. All tables are small.
 *
 * Depends on: cmocka.h (included before), heap_file.h. Threads: one.
 */
#ifndef CPROF_TESTS_HEAP_BUILDER_H
#define CPROF_TESTS_HEAP_BUILDER_H

#include "heap/heap_file.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUILD_HEAP_PAGE = 4096,
	BUILD_HEAP_BLOCKS = 32 * HEAP_SHARDS,
	BUILD_HEAP_NODES = 128,
	BUILD_HEAP_SITES = 32,
	BUILD_HEAP_MODULES = 8,
	BUILD_HEAP_REPLICAS = 3,
};

struct heap_build {
	uint8_t *bytes;
	size_t n;
	struct heap_header *header;
	uint64_t next_address;
};

static inline struct heap_region build_heap_region(uint64_t *at, uint64_t bytes)
{
	const struct heap_region region = {.off = *at, .max_bytes = bytes};
	*at += (bytes + BUILD_HEAP_PAGE - 1) & ~(uint64_t)(BUILD_HEAP_PAGE - 1);
	return region;
}

/** An active, empty file. @sample_bytes: 0 = exact. */
static inline struct heap_build build_heap(uint64_t sample_bytes)
{
	struct heap_header header = {
		.version = HEAP_FILE_VERSION,
		.header_bytes = sizeof(header),
		.state = HEAP_STATE_EXITED,
		.pid = 4711,
		.start_realtime_ns = 1700000000000000000,
		.start_monotonic_ns = 5000000000,
		.start_boot_ticks = 77,
		.end_monotonic_ns = 105000000000,
		.page_bytes = BUILD_HEAP_PAGE,
		.sample_bytes = sample_bytes,
		.max_blocks = BUILD_HEAP_BLOCKS,
		.max_nodes = BUILD_HEAP_NODES,
		.max_sites = BUILD_HEAP_SITES,
		.max_modules = BUILD_HEAP_MODULES,
		.n_replicas = BUILD_HEAP_REPLICAS,
		.counter_bytes = sample_bytes ? sizeof(struct heap_counter_sampled)
					      : sizeof(struct heap_counter),
		.n_nodes = 1,
		.n_sites = 1,
		.n_modules = 1,
		.fold_bytes = 65536,
		.peak_epoch = 1,
		.max_threads = 1,
		.exe = "/usr/bin/built",
		.command = "built\0--x",
		.allocator = "/lib/libc.so.6",
	};
	uint64_t at = BUILD_HEAP_PAGE;
	while (at < sizeof(header))
		at += BUILD_HEAP_PAGE;
	memcpy(header.magic, HEAP_FILE_MAGIC, sizeof(header.magic));
	header.modules = build_heap_region(&at, BUILD_HEAP_MODULES * sizeof(struct heap_module));
	header.nodes = build_heap_region(&at, BUILD_HEAP_NODES * sizeof(struct heap_node));
	header.sites = build_heap_region(&at, BUILD_HEAP_SITES * sizeof(struct heap_site));
	header.replicas = build_heap_region(&at, BUILD_HEAP_REPLICAS * sizeof(struct heap_replica));
	header.counters = build_heap_region(&at, (uint64_t)BUILD_HEAP_REPLICAS * BUILD_HEAP_SITES *
							 header.counter_bytes);
	header.blocks = build_heap_region(&at, BUILD_HEAP_BLOCKS * sizeof(struct heap_block));
	header.index = build_heap_region(&at, 0);
	header.file_bytes = at;
	struct heap_build build = {.bytes = calloc(1, at), .n = at, .next_address = 0x10000};
	assert_non_null(build.bytes);
	build.header = (struct heap_header *)(void *)build.bytes;
	*build.header = header;
	return build;
}

static inline void build_heap_free(struct heap_build *build)
{
	free(build->bytes);
}

static inline void *build_heap_at(const struct heap_build *build, const struct heap_region *region)
{
	return build->bytes + region->off;
}

/** Its code is at [start, start + 0x10000), its svma 0x1000 lower by `start`. */
static inline uint16_t build_heap_module(struct heap_build *build, const char *path, uint64_t start)
{
	struct heap_module *modules = build_heap_at(build, &build->header->modules);
	const uint32_t i = build->header->n_modules++;
	assert_true(i < BUILD_HEAP_MODULES);
	modules[i] = (struct heap_module){.start = start, .end = start + 0x10000, .bias = start};
	modules[i].build_id_bytes = 2;
	modules[i].build_id[0] = 0xab;
	modules[i].build_id[1] = (uint8_t)i;
	strncpy(modules[i].path, path, sizeof(modules[i].path) - 1);
	return (uint16_t)i;
}

static inline uint32_t build_heap_node(struct heap_build *build, uint32_t parent, uint64_t address,
				       uint16_t module, uint16_t flags)
{
	struct heap_node *nodes = build_heap_at(build, &build->header->nodes);
	const uint32_t i = build->header->n_nodes++;
	assert_true(i < BUILD_HEAP_NODES);
	nodes[i] = (struct heap_node){
		.address = address, .parent = parent, .module = module, .flags = flags};
	return i;
}

static inline uint32_t build_heap_site(struct heap_build *build, uint32_t node)
{
	struct heap_site *sites = build_heap_at(build, &build->header->sites);
	const uint32_t i = build->header->n_sites++;
	assert_true(i < BUILD_HEAP_SITES);
	sites[i].node = node;
	return i;
}

static inline struct heap_replica *build_heap_replica(struct heap_build *build, uint32_t i)
{
	struct heap_replica *replicas = build_heap_at(build, &build->header->replicas);
	replicas[i].n_owners = 1;
	return &replicas[i];
}

static inline struct heap_counter *build_heap_counter(struct heap_build *build, uint32_t replica,
						      uint32_t site)
{
	uint8_t *counters = build_heap_at(build, &build->header->counters);
	build_heap_replica(build, replica);
	return (struct heap_counter *)(void *)(counters + ((size_t)replica * BUILD_HEAP_SITES +
							   site) * build->header->counter_bytes);
}

/** Put a block into the table only. Return: the entry. */
static inline struct heap_block *build_heap_block(struct heap_build *build, uint32_t site,
						  uint64_t size, uint32_t born_ticks, uint32_t tid)
{
	const uint64_t address = build->next_address;
	const uint32_t shard = (uint32_t)(address / 0x1000 % HEAP_SHARDS);
	struct heap_block *blocks = build_heap_at(build, &build->header->blocks);
	const uint32_t i = build->header->entries_used[shard]++;
	assert_true(i < BUILD_HEAP_BLOCKS / HEAP_SHARDS);
	struct heap_block *block = &blocks[shard * (BUILD_HEAP_BLOCKS / HEAP_SHARDS) + i];
	*block = (struct heap_block){.address = address,
				     .size_seq = size | UINT64_C(3) << 48,
				     .site = site,
				     .tid = tid,
				     .born = born_ticks};
	build->next_address += 0x1000;
	return block;
}

/** A live block of an exact file: in the table, and counted by the first replica. */
static inline void build_heap_alloc(struct heap_build *build, uint32_t site, uint64_t size,
				    uint32_t born_ticks, uint32_t tid)
{
	struct heap_counter *counter = build_heap_counter(build, 0, site);
	build_heap_block(build, site, size, born_ticks, tid);
	counter->allocs++;
	counter->alloc_bytes += size;
}

/** Blocks of an exact file that came and went. */
static inline void build_heap_churn(struct heap_build *build, uint32_t site, uint64_t n,
				    uint64_t size)
{
	struct heap_counter *counter = build_heap_counter(build, 0, site);
	counter->allocs += n;
	counter->alloc_bytes += n * size;
	counter->frees += n;
	counter->free_bytes += n * size;
}

#endif
