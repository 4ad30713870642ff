/*
 * block_table.h - the live blocks: address -> size, site, thread, age.
 *
 * The entries lie in the file. What finds them is an index in private memory: buckets of one cache
 * line, with a lock, and for each block the number of its entry beside 32 bits of its hash. So an
 * event looks at one line of the index and at the block's own entry, and at no other block's; and
 * threads meet only where they change blocks of one bucket.
 *
 * The index grows by linear hashing, some buckets at a time, where entries are handed out: the hash
 * is in the bucket, so that to split one no entry is looked at.
 *
 * A thread takes unused entries from a cache of its own, last freed first: short-lived blocks use
 * the same lines over and over. Caches are filled from, and emptied into, a pool with a lock.
 *
 * Depends on: heap_file.h, region.h, spin.h. Threads: any; a cache is one thread's.
 */
#ifndef CPROF_HEAP_SHIM_BLOCK_TABLE_H
#define CPROF_HEAP_SHIM_BLOCK_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/heap_file.h"
#include "linear_hash.h"
#include "region.h"
#include "spin.h"

enum {
	BLOCK_LINE_SLOTS = 7,
	BLOCK_SMALL_INDEX = 256, /* buckets */
	BLOCK_CACHE_ENTRIES = 64,
	/* entries that a cache takes, or gives back, at once */
	BLOCK_CACHE_BATCH = 32,
};

/*
 * A bucket, or the line after a full one. Slots are used from the first on, and no line is empty
 * but a bucket.
 */
struct block_line {
	struct spin lock;                 /* of the bucket */
	uint32_t next;                    /* the number of another line; 0 = none */
	uint64_t slots[BLOCK_LINE_SLOTS]; /* hash << 32 | entry; 0 = unused */
} __attribute__((aligned(64)));

/* Entries that a thread may use. */
struct block_cache {
	uint32_t n;
	uint32_t entries[BLOCK_CACHE_ENTRIES];
};

struct block_pool {
	struct spin lock;
	uint32_t n_out;  /* entries in caches and in use */
	uint32_t n_free; /* entries that were in use, in free[] */
	uint32_t part;   /* of the file's regions: the one that unused entries are taken from */
	uint32_t *free;
	/* lines that are no buckets lie behind those that are */
	uint32_t n_lines;      /* that were in use */
	uint32_t n_free_lines; /* of them, that are not any more: a chain from free_line */
	uint32_t free_line;
	struct region parts[HEAP_SHARDS];
} __attribute__((aligned(64)));

struct block_table {
	struct heap_header *header;
	struct heap_block *entries;
	struct block_line *lines; /* the first @max_buckets are buckets */
	uint64_t shape;           /* linear_hash_shape() of those in use */
	uint32_t max_buckets, max_more;
	struct block_pool pool;
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
	BLOCK_LOCKED, /* a lock was held for too long: nothing done */
};

/** Bytes of private memory that a table needs, at most. */
uint64_t block_table_private_bytes(uint32_t max_blocks);

/**
 * @header: max_blocks is set; entries_used[] is kept
 * @blocks: the file's region
 * @memory: block_table_private_bytes() of zeros, at the start of a cache line
 */
void block_table_init(struct block_table *table, struct heap_header *header, void *blocks,
		      void *memory, bool populated);

static inline uint32_t block_hash(uint64_t address)
{
	return (uint32_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/** A block at @address is about to be inserted: begin to load its bucket. */
static inline void block_table_expect(const struct block_table *table, uint64_t address)
{
	const uint64_t shape = __atomic_load_n(&table->shape, __ATOMIC_RELAXED);
	/* while it is small it lies in the CPU's cache */
	if (linear_hash_n(shape) <= BLOCK_SMALL_INDEX)
		return;
	__builtin_prefetch(&table->lines[linear_hash_at(block_hash(address), shape)], 1);
}

/**
 * @replaced: set on BLOCK_REPLACED
 * Return: BLOCK_OK, BLOCK_REPLACED; or BLOCK_FULL, BLOCK_NO_SPACE, BLOCK_LOCKED and nothing done.
 */
enum block_status block_table_insert(struct block_table *table, struct block_cache *cache,
				     const struct block *block, struct block *replaced);

/** Return: BLOCK_OK with *out set, BLOCK_UNKNOWN, BLOCK_LOCKED. */
enum block_status block_table_remove(struct block_table *table, struct block_cache *cache,
				     uint64_t address, struct block *out);

#endif
