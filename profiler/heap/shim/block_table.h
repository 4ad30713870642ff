/*
 * block_table.h - the live blocks: address -> size, site, thread, age.
 *
 * Sharded by address, each shard with a lock of its own, so that threads rarely meet. Entries come
 * from a slab per shard that lies in the file, last freed first: short-lived blocks use the same
 * cache lines over and over. Chains hang on bucket heads in private memory.
 *
 * Depends on: heap_file.h, region.h, spin.h. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_BLOCK_TABLE_H
#define CPROF_HEAP_SHIM_BLOCK_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/heap_file.h"
#include "region.h"
#include "spin.h"

struct block_shard {
	struct spin lock;
	uint32_t free_entry; /* chain of entries that were used before; 0 = none */
	uint32_t n_live;
	uint32_t n_buckets;
	uint32_t *heads;
	struct region entries;
} __attribute__((aligned(128)));

struct block_table {
	struct heap_header *header;
	uint32_t entries_per_shard;
	struct block_shard shards[HEAP_SHARDS];
};

struct block {
	uint64_t address, size;
	uint32_t site, tid, born;
};

enum block_status {
	BLOCK_OK,
	BLOCK_REPLACED, /* and a block that was at the address is gone */
	BLOCK_UNKNOWN,  /* nothing at the address */
	BLOCK_FULL,
	BLOCK_NO_SPACE,
	BLOCK_LOCKED, /* the shard was locked for too long: nothing done */
};

/** Bytes of private memory that a table needs. */
uint64_t block_table_heads_bytes(uint32_t max_blocks);

/**
 * @header: max_blocks is set; entries_used[] is kept
 * @blocks: the file's region
 * @heads:  block_table_heads_bytes() of zeros
 */
void block_table_init(struct block_table *table, struct heap_header *header, void *blocks,
		      void *heads, bool populated);

/** A block at @address is about to be inserted: begin to load its chain's head. */
void block_table_expect(struct block_table *table, uint64_t address);

/**
 * @replaced: set on BLOCK_REPLACED
 * Return: BLOCK_OK, BLOCK_REPLACED; or BLOCK_FULL, BLOCK_NO_SPACE, BLOCK_LOCKED and nothing done.
 */
enum block_status block_table_insert(struct block_table *table, const struct block *block,
				     struct block *replaced);

/** Return: BLOCK_OK with *out set, BLOCK_UNKNOWN, BLOCK_LOCKED. */
enum block_status block_table_remove(struct block_table *table, uint64_t address,
				     struct block *out);

#endif
